// Gradient checks. A GradCase is a small program around one operator; check_gradients runs it in double
// against central differences, and then every other way in which the engine may run the same program:
// gradients into parameters, an input used twice (a diamond, with aliased upstream gradients), every subset
// of one differentiated input, float, and the sim and cuda devices.
//
// Cases register themselves (static objects), and gradcheck_test.cpp fails for every entry of kAllOps that
// has no case. To add cases, in any file of this folder:
//
//   const test::GradCases conv_cases([](test::CaseList& list) {
//     list.push_back({.op = Op::conv2d, .name = "3x3 stride 2",
//                     .inputs = {test::random({2, 5, 5, 3}, 1), test::random({4, 3, 3, 3}, 2)},
//                     .program = [](const test::Args& in) { return conv2d(in[0], in[1], {}, {...}); }});
//   });
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/core/op_list.h"
#include "engine/core/tape.h"
#include "tests/devices.h"

namespace mld::test {

// Seeded values, exactly representable in float so that float and double runs see the same numbers.
Tensor random(const Shape& shape, std::uint64_t seed, double lo = -1, double hi = 1);  // f64, uniform
// f64, in random order and random sign, all magnitudes at least `gap` from 0 and from each other: for
// operators with kinks or maxima, whose central differences must not step over them.
Tensor distinct(const Shape& shape, std::uint64_t seed, double gap = 0.01);
Tensor random_int(const Shape& shape, std::uint64_t seed, std::int32_t lo, std::int32_t hi);  // i32, lo..hi

// What a program gets: in[i] is differentiated input i; constant(i) is an entry of GradCase::constants. All
// are in the precision and on the device of the run.
struct Args {
  std::vector<Var> inputs;
  std::vector<Tensor> constants;
  const Var& operator[](std::size_t i) const { return inputs.at(i); }
  const Tensor& constant(std::size_t i) const { return constants.at(i); }
};

struct GradCase {
  Op op = Op::leaf;                 // must be recorded by the program
  std::string name = {};            // which variant
  std::vector<Tensor> inputs = {};  // f64, on the cpu
  std::vector<Tensor> constants =
      {};  // targets, masks, labels, ...: f64 (converted to the run's precision), i32, u8
  std::function<Var(const Args&)> program = {};
  // |analytic - numeric| <= tolerance * max(1, |numeric|). With h = 2^-20 (about 1e-6) and values of
  // order 1 the truncation error is about h^2/6 |f'''| < 1e-12 and the rounding error eps |y| / h <
  // 1e-9, so that 1e-6 leaves a factor of a thousand for curvature and condition, while a wrong formula
  // is off by 1e-3 or more.
  double tolerance = 1e-6;
  // |f32 - f64| <= f32_tolerance * max(1, largest |f64|) over values and over each gradient. 2e-6 is 16 float
  // roundings (eps = 1.2e-7); operators that sum many terms or divide by small numbers state a larger one.
  double f32_tolerance = 2e-6;
};

// Of a cuda run in double against the cpu's: the same formulas, but sums in another order, fused
// multiply-adds, and another C library (a few ulp).
constexpr double kCudaF64Tolerance = 1e-12;

using CaseList = std::vector<GradCase>;

// Static registrar: `add` is called when the test runs.
struct GradCases {
  explicit GradCases(std::function<void(CaseList&)> add);
};
CaseList all_grad_cases();

// doctest checks; messages name the operator and the case.
void check_gradients(const GradCase& c);

}  // namespace mld::test
