// Activation functions: the one place where their formulas live. The GEMM and convolution epilogues, the
// unary operators and the fused normalisation kernels all call these templates, with T = float (vectorised by
// engine/math/vecmath.h) or double (gradient checks).
#pragma once

#include <array>
#include <cstdint>

#include "engine/base/hd.h"
#include "engine/core/op_list.h"
#include "engine/math/vecmath.h"

namespace mld {

enum class Act : std::uint8_t {
#define X(name, Functor) name,
  X(none, None) MLD_ACTIVATIONS(X, X)
#undef X
};

constexpr auto kAllActs = std::to_array<Act>({
#define X(name, Functor) Act::name,
    X(none, None) MLD_ACTIVATIONS(X, X)
#undef X
});

struct Activation {
  Act kind = Act::none;
  float slope = 0;  // leaky_relu for x < 0; not negative, so that the sign of y tells the sign of x
};

namespace fn {

// Which of x and y = value(x) a derivative uses, so that nothing else is kept for backward.
enum class Saved : std::uint8_t { nothing, input, output };

// What a formula is tested on: to where float stops being interesting, without poles.
struct Domain {
  double lo = 0, hi = 0;
};

// Each functor: value(x), and derivative(x, y) = dy/dx at x with y = value(x).
struct None {
  static constexpr Saved kSaved = Saved::nothing;
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
  static constexpr Saved kSaved = Saved::output;
  static constexpr Domain kDomain{-4, 4};
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
  static constexpr Saved kSaved = Saved::output;
  static constexpr Domain kDomain{-4, 4};
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
  static constexpr Saved kSaved = Saved::input;
  static constexpr Domain kDomain{-30, 30};
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
  static constexpr Saved kSaved = Saved::input;
  static constexpr Domain kDomain{-6, 6};
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
  static constexpr Saved kSaved = Saved::output;
  static constexpr Domain kDomain{-20, 20};
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
  static constexpr Saved kSaved = Saved::output;
  static constexpr Domain kDomain{-6, 6};
  template <class T>
  MLD_HD T value(T x) const {
    return math::tanh(x);
  }
  template <class T>
  MLD_HD T derivative(T, T y) const {
    return T(1) - y * y;
  }
};

}  // namespace fn

// Calls f with the functor of an activation, so that a loop inside f is compiled once per kind and without a
// branch per element: with_activation(a, [&](auto g) { for (...) y[i] = g.value(x[i]); }).
template <class F>
void with_activation(Activation a, F&& f) {
  switch (a.kind) {
#define X(name, Functor) \
  case Act::name:        \
    return f(fn::Functor{});
#define P(name, Functor) \
  case Act::name:        \
    return f(fn::Functor{a.slope});
    X(none, None) MLD_ACTIVATIONS(X, P)
#undef X
#undef P
  }
}

// True if the derivative needs the input x; the others are computed from the output y alone.
constexpr bool activation_needs_input(Act kind) {
  switch (kind) {
#define X(name, Functor) \
  case Act::name:        \
    return fn::Functor::kSaved == fn::Saved::input;
    X(none, None) MLD_ACTIVATIONS(X, X)
#undef X
  }
  return false;
}

// A single value, where the branch does not matter.
template <class T>
T activate(Activation a, T x) {
  T y{};
  with_activation(a, [&](auto f) { y = f.value(x); });
  return y;
}

}  // namespace mld
