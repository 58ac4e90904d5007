// Elementary functions for float that loops can be vectorised over. The C library's versions are calls, which
// keep a loop scalar unless fast-math is on; these are branch-free straight lines of fma, selects and bit
// operations, so that a plain loop `y[i] = math::exp(x[i])` becomes vector code under the project's flags
// (-O3 -fno-math-errno -fno-trapping-math and an -march with FMA; without FMA the bits are the same and the
// speed is lost). Every product that feeds a sum is an explicit fma: the bits depend neither on contraction,
// nor on the vector width, nor on the place of an element in its array. Overloads for double forward to the C
// library, so that a functor written for T runs in both; on the device float forwards to the CUDA library,
// which is as accurate and has its own instructions.
//
// Contract for float: at most 2 ulp from the exact value over the whole range (an ulp of a denormal result is
// 2^-149); infinities, NaN and signed zeros as in C99 Annex F. Exceptions are stated at the function.
//
// Method: range reduction and minimax polynomials, error weighted relative to the result, coefficients
// rounded to float one by one with the others refitted (Muller, Elementary Functions, 3rd ed., ch. 3, 4 and
// 11; the erf tail exp(-t - t q(t)) is N. Juffa's). Selects are written one after the other, never nested:
// GCC turns nested ones into more masks than there are conditions.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "engine/base/hd.h"

namespace mld::math {

template <class T>
struct SinCos {
  T sin;
  T cos;
};

#if defined(__CUDA_ARCH__)

MLD_HD float exp(float x) { return ::expf(x); }
MLD_HD float expm1(float x) { return ::expm1f(x); }
MLD_HD float log(float x) { return ::logf(x); }
MLD_HD float log_regular(float x) { return ::logf(x); }
MLD_HD float log1p(float x) { return ::log1pf(x); }
MLD_HD float tanh(float x) { return ::tanhf(x); }
MLD_HD float erf(float x) { return ::erff(x); }
MLD_HD float sin(float x) { return ::sinf(x); }
MLD_HD float cos(float x) { return ::cosf(x); }
MLD_HD SinCos<float> sincos_2pi(float turns) {
  SinCos<float> y;
  ::sincospif(2 * turns, &y.sin, &y.cos);
  return y;
}

#else

namespace detail {

inline constexpr float kInf = std::numeric_limits<float>::infinity();
inline constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
// Added to a float of magnitude below 2^22 it rounds to an integer, which then sits in the
// low bits of the sum.
inline constexpr float kRound = 0x1.8p23f;
inline constexpr double kRoundDouble = 0x1.8p52;

inline std::uint32_t to_bits(float x) { return std::bit_cast<std::uint32_t>(x); }
inline float from_bits(std::uint32_t bits) { return std::bit_cast<float>(bits); }
inline float at_most(float x, float limit) { return x > limit ? limit : x; }  // NaN passes

// x = k ln 2 + r with |r| <= ln(2)/2, for |x| <= 104.
struct ExpParts {
  float expm1_r;           // e^r - 1
  std::uint32_t biased_k;  // k + bias in the low bits: shifted left by 23 it is the float 2^(k + bias - 127)
};

inline ExpParts split_exp(float x, float bias) {
  const float shifted = std::fma(x, 0x1.715476p+0f, kRound + bias);
  const float k = shifted - (kRound + bias);
  const float r = std::fma(k, 0x1.05c610p-29f, std::fma(k, -0x1.62e430p-1f, x));
  float p = 0x1.6b89e6p-10f;
  p = std::fma(p, r, 0x1.1226dcp-7f);
  p = std::fma(p, r, 0x1.555700p-5f);
  p = std::fma(p, r, 0x1.5554b2p-3f);
  p = std::fma(p, r, 0x1.fffffep-2f);
  return {std::fma(r * r, p, r), to_bits(shifted)};
}

// exp where neither the argument nor the result needs care: |x| <= 87.
inline float exp_regular(float x) {
  const ExpParts e = split_exp(x, 127);
  const float scale = from_bits(e.biased_k << 23);
  return std::fma(scale, e.expm1_r, scale);
}

// x = 2^k (1 + f) with 2/3 <= 1 + f < 4/3: the bits of k, at the place they have in a float.
inline std::uint32_t exponent_bits(float x) { return (to_bits(x) - 0x3f2aaaabu) & 0xff800000u; }

// log(2^k (1 + f)), k given as exponent_bits.
inline float log_parts(std::uint32_t exponent, float f) {
  float p = -0x1.ff9338p-4f;
  p = std::fma(p, f, 0x1.1febfcp-3f);
  p = std::fma(p, f, -0x1.f6b70cp-4f);
  p = std::fma(p, f, 0x1.1e828cp-3f);
  p = std::fma(p, f, -0x1.557e26p-3f);
  p = std::fma(p, f, 0x1.99d58cp-3f);
  p = std::fma(p, f, -0x1.ffff94p-3f);
  p = std::fma(p, f, 0x1.5554fap-2f);
  p = std::fma(p, f, -0.5f);
  const float k = static_cast<float>(static_cast<std::int32_t>(exponent));  // times 2^23
  return std::fma(k, 0x1.62e430p-24f, std::fma(p, f * f, f));
}

// sin and cos of r + quadrant pi/2 for |r| <= pi/4; only the low two bits of the quadrant count.
inline SinCos<float> sincos_quadrant(float r, std::uint32_t quadrant) {
  const float s = r * r;
  float p = -0x1.9953fep-13f;
  p = std::fma(p, s, 0x1.110778p-7f);
  p = std::fma(p, s, -0x1.555546p-3f);
  const float sine = std::fma(p, r * s, r);
  float q = 0x1.99e80cp-16f;
  q = std::fma(q, s, -0x1.6c0c28p-10f);
  q = std::fma(q, s, 0x1.55554ap-5f);
  q = std::fma(q, s, -0.5f);
  const float cosine = std::fma(q, s, 1.0f);
  const bool odd = (quadrant & 1) != 0;
  return {from_bits(to_bits(odd ? cosine : sine) ^ ((quadrant & 2) << 30)),
          from_bits(to_bits(odd ? sine : cosine) ^ (((quadrant + 1) & 2) << 30))};
}

// sin and cos in radians for |x| <= 2^40. Cody-Waite reduction, in double since pi/2 then
// needs two parts only.
inline constexpr float kTrigLimit = 0x1p40f;
inline SinCos<float> sincos(float x) {
  const double shifted = std::fma(static_cast<double>(x), 0x1.45f306dc9c883p-1, kRoundDouble);
  const double k = shifted - kRoundDouble;
  const double r =
      std::fma(k, -0x1.1a62633145c07p-54, std::fma(k, -0x1.921fb54442d18p+0, static_cast<double>(x)));
  return sincos_quadrant(static_cast<float>(r),
                         static_cast<std::uint32_t>(std::bit_cast<std::uint64_t>(shifted)));
}

}  // namespace detail

MLD_HD float exp(float x) {
  const auto e = detail::split_exp(std::fabs(x) > 104 ? std::copysign(104.0f, x) : x, 254);
  // 2^k as two factors, 2^floor(k/2) and the rest, since 2^k itself may be denormal or too large.
  const float scale = detail::from_bits(e.biased_k >> 1 << 23);
  const float rest = detail::from_bits((e.biased_k - (e.biased_k >> 1)) << 23);
  return std::fma(scale, e.expm1_r, scale) * rest;
}

// e^x - 1.
MLD_HD float expm1(float x) {
  const auto e = detail::split_exp(detail::at_most(x, 89), 126);
  const float scale =
      detail::from_bits(e.biased_k << 23);  // 2^(k-1), for 2^128 is out of range and results are not
  const float half = std::fma(scale, e.expm1_r, scale - 0.5f);
  const float y = std::fabs(x) < 0x1p-25f ? x : half + half;
  return x < -30 ? -1 : y;
}

// log of a normal, positive, finite number: log without its special cases.
MLD_HD float log_regular(float x) {
  const std::uint32_t exponent = detail::exponent_bits(x);
  return detail::log_parts(exponent, detail::from_bits(detail::to_bits(x) - exponent) - 1);
}

MLD_HD float log(float x) {
  const float up = x < std::numeric_limits<float>::min() ? 0x1p23f : 1.0f;  // makes denormals normal
  const float scaled = x * up;
  const std::uint32_t exponent = detail::exponent_bits(scaled);
  const float f = detail::from_bits(detail::to_bits(scaled) - exponent) - 1;
  float y = detail::log_parts(exponent + (detail::to_bits(1.0f) - detail::to_bits(up)), f);
  y = x < detail::kInf ? y : x;
  y = x == 0 ? -detail::kInf : y;
  return x < 0 ? detail::kNaN : y;
}

// log(1 + x).
MLD_HD float log1p(float x) {
  const std::uint32_t exponent = detail::exponent_bits(1 + x);
  // 1 + x = 2^k (1 + f), from x itself to keep its low bits; 4 2^-k is normal up to k = 127, 2^-k is not.
  const float scale = detail::from_bits(0x40800000u - exponent);
  const float f = std::fma(0.25f * x, scale, std::fma(0.25f, scale, -1.0f));
  float y = detail::log_parts(exponent, f);
  y = std::fabs(x) < 0x1p-25f ? x : y;
  y = x < detail::kInf ? y : x;
  y = x == -1 ? -detail::kInf : y;
  return x < -1 ? detail::kNaN : y;
}

MLD_HD float tanh(float x) {
  const float a = std::fabs(x);
  const float s = a * a;
  float p = -0x1.9921a0p-8f;
  p = std::fma(p, s, 0x1.58e518p-6f);
  p = std::fma(p, s, -0x1.b91e7ep-5f);
  p = std::fma(p, s, 0x1.110ceep-3f);
  p = std::fma(p, s, -0x1.55554ap-2f);
  const float small = std::fma(p, a * s, a);
  const float large = 1 - 2 / (detail::exp_regular(2 * detail::at_most(a, 10)) + 1);  // tanh(10) rounds to 1
  return std::copysign(a < 0.55f ? small : large, x);
}

MLD_HD float erf(float x) {
  const float a = std::fabs(x);
  const float s = a * a;
  float p = -0x1.3ba9cep-11f;
  p = std::fma(p, s, 0x1.479c9ep-8f);
  p = std::fma(p, s, -0x1.b69b96p-6f);
  p = std::fma(p, s, 0x1.ce1b86p-4f);
  p = std::fma(p, s, -0x1.8126ecp-2f);
  p = std::fma(p, s, 0x1.06eba6p-3f);
  const float small = std::fma(p, a, a);
  const float t = detail::at_most(a, 4);  // erf(4) rounds to 1
  float q = -0x1.c20782p-13f;
  q = std::fma(q, t, 0x1.a60b88p-9f);
  q = std::fma(q, t, -0x1.774a98p-6f);
  q = std::fma(q, t, 0x1.af4134p-4f);
  q = std::fma(q, t, 0x1.457a64p-1f);
  q = std::fma(q, t, 0x1.073578p-3f);
  const float large = 1 - detail::exp_regular(std::fma(q, -t, -t));
  return std::copysign(a < 0.9f ? small : large, x);
}

// NaN for |x| > 2^40, where neighbouring floats are thousands of periods apart. Use std::sin if
// that has a meaning.
MLD_HD float sin(float x) {
  float y = detail::sincos(x).sin;
  y = std::fabs(x) <= detail::kTrigLimit ? y : detail::kNaN;
  return x == 0 ? x : y;
}

// NaN for |x| > 2^40, as sin.
MLD_HD float cos(float x) {
  const float y = detail::sincos(x).cos;
  return std::fabs(x) <= detail::kTrigLimit ? y : detail::kNaN;
}

// sin and cos of 2 pi turns, |turns| <= 2^20. Exact at quarter turns, but for the sign of a zero.
MLD_HD SinCos<float> sincos_2pi(float turns) {
  const float shifted = std::fma(turns, 4.0f, detail::kRound);
  const float f = std::fma(turns, 4.0f, detail::kRound - shifted);  // quarter turns, exact
  return detail::sincos_quadrant(std::fma(f, 0x1.921fb6p+0f, f * -0x1.777a5cp-25f), detail::to_bits(shifted));
}

#endif

// 1 / (1 + e^-x).
MLD_HD float sigmoid(float x) {
  const float e = exp(-std::fabs(x));
  const float sum = 1 + e;
  const float lost = e - (sum - 1);  // what rounding took off the sum
  const float numerator = x < 0 ? e : 1.0f;
  const float inverse = 1 / sum;
  const float y = numerator * inverse;
  return std::fma(std::fma(-y, lost, std::fma(-y, sum, numerator)), inverse, y);
}

MLD_HD double exp(double x) { return std::exp(x); }
MLD_HD double expm1(double x) { return std::expm1(x); }
MLD_HD double log(double x) { return std::log(x); }
MLD_HD double log_regular(double x) { return std::log(x); }
MLD_HD double log1p(double x) { return std::log1p(x); }
MLD_HD double tanh(double x) { return std::tanh(x); }
MLD_HD double erf(double x) { return std::erf(x); }
MLD_HD double sin(double x) { return std::sin(x); }
MLD_HD double cos(double x) { return std::cos(x); }
MLD_HD SinCos<double> sincos_2pi(double turns) {
  const double angle = 6.283185307179586477 * (turns - std::floor(turns));
  return {std::sin(angle), std::cos(angle)};
}
MLD_HD double sigmoid(double x) {
  const double e = std::exp(-std::fabs(x));
  return (x < 0 ? e : 1.0) / (1 + e);
}

}  // namespace mld::math
