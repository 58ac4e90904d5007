// Activation functions: the one place where their formulas live. The GEMM and convolution epilogues, the
// unary operators and the fused normalisation kernels all call these templates, with T = float (vectorised by
// engine/math/vecmath.h) or double (gradient checks).
#pragma once

#include <cstdint>

#include "engine/base/hd.h"
#include "engine/math/vecmath.h"

namespace mld {

enum class Act : std::uint8_t { none, relu, leaky_relu, silu, gelu, sigmoid, tanh };

struct Activation {
  Act kind = Act::none;
  float slope = 0;  // leaky_relu for x < 0; not negative, so that the sign of y tells the sign of x
};

// True if the derivative needs the input x; the others are computed from the output y alone.
constexpr bool activation_needs_input(Act kind) { return kind == Act::silu || kind == Act::gelu; }

namespace act {

// Each functor: value(x), and derivative(x, y) = dy/dx at x with y = value(x).
struct None {
  template <class T>
  MLD_HD T value(T x) const {
    return x;
  }
  template <class T>
  MLD_HD T derivative(T, T) const {
    return T(1);
  }
};

struct Relu {
  template <class T>
  MLD_HD T value(T x) const {
    return x < T(0) ? T(0) : x;  // NaN passes
  }
  template <class T>
  MLD_HD T derivative(T, T y) const {
    return y > T(0) ? T(1) : T(0);
  }
};

struct LeakyRelu {
  float slope = 0;
  template <class T>
  MLD_HD T value(T x) const {
    return x > T(0) ? x : T(slope) * x;
  }
  template <class T>
  MLD_HD T derivative(T, T y) const {
    return y > T(0) ? T(1) : T(slope);
  }
};

struct Silu {
  template <class T>
  MLD_HD T value(T x) const {
    return x * math::sigmoid(x);
  }
  template <class T>
  MLD_HD T derivative(T x, T) const {
    const T s = math::sigmoid(x);
    return s * (T(1) + x * (T(1) - s));
  }
};

// The exact form x * Phi(x), Phi the normal distribution function.
struct Gelu {
  template <class T>
  MLD_HD T value(T x) const {
    return T(0.5) * x * (T(1) + math::erf(x * T(0.70710678118654752440)));
  }
  template <class T>
  MLD_HD T derivative(T x, T) const {
    const T phi = T(0.39894228040143267794) * math::exp(T(-0.5) * x * x);
    return T(0.5) * (T(1) + math::erf(x * T(0.70710678118654752440))) + x * phi;
  }
};

struct Sigmoid {
  template <class T>
  MLD_HD T value(T x) const {
    return math::sigmoid(x);
  }
  template <class T>
  MLD_HD T derivative(T, T y) const {
    return y * (T(1) - y);
  }
};

struct Tanh {
  template <class T>
  MLD_HD T value(T x) const {
    return math::tanh(x);
  }
  template <class T>
  MLD_HD T derivative(T, T y) const {
    return T(1) - y * y;
  }
};

}  // namespace act

// Calls f with the functor of an activation, so that a loop inside f is compiled once per kind and without a
// branch per element: with_activation(a, [&](auto g) { for (...) y[i] = g.value(x[i]); }).
template <class F>
void with_activation(Activation a, F&& f) {
  switch (a.kind) {
    case Act::none:
      return f(act::None{});
    case Act::relu:
      return f(act::Relu{});
    case Act::leaky_relu:
      return f(act::LeakyRelu{a.slope});
    case Act::silu:
      return f(act::Silu{});
    case Act::gelu:
      return f(act::Gelu{});
    case Act::sigmoid:
      return f(act::Sigmoid{});
    case Act::tanh:
      return f(act::Tanh{});
  }
}

// Single values, where the branch does not matter.
template <class T>
T activate(Activation a, T x) {
  T y{};
  with_activation(a, [&](auto f) { y = f.value(x); });
  return y;
}
template <class T>
T activation_derivative(Activation a, T x, T y) {
  T d{};
  with_activation(a, [&](auto f) { d = f.derivative(x, y); });
  return d;
}

}  // namespace mld
