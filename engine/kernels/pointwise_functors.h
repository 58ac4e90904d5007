// Every pointwise formula that is no activation (activation.h), with its derivative and the domain it is
// tested on: value(x), and derivative(x, y) with y = value(x). The tests' central differences avoid the kinks
// by seed.
#pragma once

#include <cmath>
#include <cstdint>

#include "engine/base/hd.h"
#include "engine/kernels/activation.h"
#include "engine/math/vecmath.h"

namespace mld::fn {

// log(1 + e^x), written so that neither end overflows or cancels.
struct Softplus {
  static constexpr Saved kSaved = Saved::input;
  static constexpr Domain kDomain{-30, 30};
  template <class T>
  MLD_HD T value(T x) const {
    return (x < T(0) ? T(0) : x) + tail(x);
  }
  template <class T>
  MLD_HD T tail(T x) const {  // log(1 + e^-|x|)
    return math::log1p(math::exp(-std::fabs(x)));
  }
  template <class T>
  MLD_HD T derivative(T x, T) const {
    return Sigmoid{}.value(x);
  }
};

struct Exp {
  static constexpr Saved kSaved = Saved::output;
  static constexpr Domain kDomain{-20, 5};
  template <class T>
  MLD_HD T value(T x) const {
    return math::exp(x);
  }
  template <class T>
  MLD_HD T derivative(T, T y) const {
    return y;
  }
};

struct Log {
  static constexpr Saved kSaved = Saved::input;
  static constexpr Domain kDomain{0.05, 20};
  template <class T>
  MLD_HD T value(T x) const {
    return math::log(x);
  }
  template <class T>
  MLD_HD T derivative(T x, T) const {
    return T(1) / x;
  }
};

struct Sqrt {
  static constexpr Saved kSaved = Saved::output;
  static constexpr Domain kDomain{0.05, 20};
  template <class T>
  MLD_HD T value(T x) const {
    return std::sqrt(x);
  }
  template <class T>
  MLD_HD T derivative(T, T y) const {
    return T(0.5) / y;
  }
};

struct Square {
  static constexpr Saved kSaved = Saved::input;
  static constexpr Domain kDomain{-4, 4};
  template <class T>
  MLD_HD T value(T x) const {
    return x * x;
  }
  template <class T>
  MLD_HD T derivative(T x, T) const {
    return T(2) * x;
  }
};

struct Abs {
  static constexpr Saved kSaved = Saved::input;
  static constexpr Domain kDomain{-4, 4};
  template <class T>
  MLD_HD T value(T x) const {
    return std::fabs(x);
  }
  template <class T>
  MLD_HD T derivative(T x, T) const {
    return x > T(0) ? T(1) : x < T(0) ? T(-1) : T(0);
  }
};

struct Clamp {
  static constexpr Saved kSaved = Saved::input;
  static constexpr Domain kDomain{-4, 4};
  double lo, hi;
  template <class T>
  MLD_HD T value(T x) const {
    return x < T(lo) ? T(lo) : x > T(hi) ? T(hi) : x;
  }
  template <class T>
  MLD_HD T derivative(T x, T) const {
    return x < T(lo) || x > T(hi) ? T(0) : T(1);
  }
};

struct Affine {
  static constexpr Saved kSaved = Saved::nothing;
  static constexpr Domain kDomain{-4, 4};
  double scale, shift;
  template <class T>
  MLD_HD T value(T x) const {
    return T(scale) * x + T(shift);
  }
  template <class T>
  MLD_HD T derivative(T, T) const {
    return T(scale);
  }
};

// What the derivative of a two-operand function with respect to one of them multiplies dy by.
enum class Factor : std::uint8_t { one, minus_one, other, general };  // other: the other operand

// Of two operands: value(a, b), and the factors da(a, b) and db(a, b) of the derivatives. kDaUses* and
// kDbUses* say which operands those need: others are not kept, and come in as 0.
struct Add {
  static constexpr Factor kDa = Factor::one, kDb = Factor::one;
  static constexpr bool kDaUsesB = false, kDbUsesA = false, kDbUsesB = false;
  static constexpr Domain kDomain{-3, 3};
  template <class T>
  MLD_HD T value(T a, T b) const {
    return a + b;
  }
  template <class T>
  MLD_HD T da(T, T) const {
    return T(1);
  }
  template <class T>
  MLD_HD T db(T, T) const {
    return T(1);
  }
};

struct Sub : Add {
  static constexpr Factor kDb = Factor::minus_one;
  template <class T>
  MLD_HD T value(T a, T b) const {
    return a - b;
  }
  template <class T>
  MLD_HD T db(T, T) const {
    return T(-1);
  }
};

struct Mul {
  static constexpr Factor kDa = Factor::other, kDb = Factor::other;
  static constexpr bool kDaUsesB = true, kDbUsesA = true, kDbUsesB = false;
  static constexpr Domain kDomain{-3, 3};
  template <class T>
  MLD_HD T value(T a, T b) const {
    return a * b;
  }
  template <class T>
  MLD_HD T da(T, T b) const {
    return b;
  }
  template <class T>
  MLD_HD T db(T a, T) const {
    return a;
  }
};

struct Div {
  static constexpr Factor kDa = Factor::general, kDb = Factor::general;
  static constexpr bool kDaUsesB = true, kDbUsesA = true, kDbUsesB = true;
  static constexpr Domain kDomain{0.2, 3};
  template <class T>
  MLD_HD T value(T a, T b) const {
    return a / b;
  }
  template <class T>
  MLD_HD T da(T, T b) const {
    return T(1) / b;
  }
  template <class T>
  MLD_HD T db(T a, T b) const {
    return -a / (b * b);
  }
};

}  // namespace mld::fn
