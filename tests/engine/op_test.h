// What the tests of the layers share: inputs that a Python one-liner reproduces, comparison with reference
// values and of bits, and running one program in several ways.
#pragma once

#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "engine/core/tape.h"
#include "engine/threads/threads.h"
#include "tests/engine/gradcheck.h"
#include "tests/expect_error.h"

namespace mld::test {

// Value i is (7 i mod m - m/2) / 4, in f64: ((arange(n) * 7 % m) - m // 2) / 4 in NumPy or PyTorch.
inline Tensor ramp(const Shape& shape, std::int64_t m = 11) {
  std::vector<double> v;
  for (std::int64_t i = 0; i < shape.numel(); ++i) v.push_back(static_cast<double>(7 * i % m - m / 2) / 4);
  return Tensor::from(v, shape);
}

inline Tensor values(const std::vector<double>& v) {
  return Tensor::from(v, {static_cast<std::int64_t>(v.size())});
}

// |got - want| <= tolerance * max(1, largest |want|), and no NaN. Either may be f32 or f64, on any device.
inline void check_near(const Tensor& got, const Tensor& want, double tolerance) {
  const Tensor a = got.to(kCpu).to(DType::f64), b = want.to(kCpu).to(DType::f64);
  REQUIRE(a.numel() == b.numel());
  double scale = 1, worst = 0;
  for (std::int64_t i = 0; i < b.numel(); ++i) {
    const double error = std::abs(a.data<double>()[i] - b.data<double>()[i]);
    scale = std::max(scale, std::abs(b.data<double>()[i]));
    if (!(error <= worst)) worst = error;
  }
  CAPTURE(scale);
  CHECK(worst <= tolerance * scale);
}

// Against values printed with ten digits by an independent program, for both precisions.
inline void check_golden(const std::function<Tensor(DType)>& program, const Shape& shape,
                         const std::vector<double>& want) {
  for (const DType dtype : {DType::f64, DType::f32}) {
    const Tensor y = program(dtype);
    CHECK(y.shape() == shape);
    check_near(y, values(want), dtype == DType::f64 ? 1e-9 : 2e-6);
  }
}

inline bool same_bits(const Tensor& a, const Tensor& b) {
  const Tensor p = a.to(kCpu), q = b.to(kCpu);
  return p.shape() == q.shape() && p.dtype() == q.dtype() &&
         std::memcmp(p.raw(), q.raw(), static_cast<std::size_t>(p.bytes())) == 0;
}

// Result and gradients of program(inputs), for an upstream gradient that is a function of the shape.
using Program = std::function<Var(const std::vector<Var>&)>;
inline std::vector<Tensor> evaluate(const Program& program, const std::vector<Tensor>& inputs, DType dtype,
                                    Device device = kCpu) {
  Tape tape;
  std::vector<Var> in;
  for (const Tensor& x : inputs) in.push_back(tape.watch(x.to(dtype).to(device)));
  const Var y = program(in);
  tape.backward(y, random(y.shape(), 99).to(dtype).to(device));
  std::vector<Tensor> all{y.value.to(kCpu)};
  for (const Var& x : in) all.push_back(tape.grad(x).to(kCpu));
  return all;
}

// f32 stays close to f64; f32 has the same bits on the sim device and with one or two threads. On a cuda
// device f32 stays as close and a second run has the same bits.
inline void check_precision_and_bits(const Program& program, const std::vector<Tensor>& inputs,
                                     double tolerance) {
  const int threads = max_threads();
  const auto reference = evaluate(program, inputs, DType::f64);
  set_threads(1);
  const auto one = evaluate(program, inputs, DType::f32);
  set_threads(2);
  const auto two = evaluate(program, inputs, DType::f32);
  const auto sim = evaluate(program, inputs, DType::f32, kSim);
  set_threads(threads);
  for (std::size_t i = 0; i < reference.size(); ++i) {
    CAPTURE(i);
    check_near(one[i], reference[i], tolerance);
    CHECK(same_bits(one[i], two[i]));
    CHECK(same_bits(two[i], sim[i]));
  }
  if (!has_cuda()) return;
  const auto cuda = evaluate(program, inputs, DType::f32, kCuda),
             again = evaluate(program, inputs, DType::f32, kCuda);
  for (std::size_t i = 0; i < reference.size(); ++i) {
    CAPTURE(i);
    check_near(cuda[i], reference[i], tolerance);
    CHECK(same_bits(cuda[i], again[i]));
  }
}

// The rows of a result do not depend on the batch they stand in: `program` maps [B,...] to [B,...].
inline void check_rows_independent(const std::function<Tensor(const Tensor&)>& program, const Tensor& batch) {
  const Tensor all = program(batch);
  const std::int64_t last = batch.shape()[0] - 1;
  for (const std::int64_t count : {std::int64_t{1}, std::int64_t{3}})
    for (const std::int64_t first : {std::int64_t{0}, std::int64_t{5}, last - count + 1}) {
      CAPTURE(count);
      CAPTURE(first);
      CHECK(same_bits(program(batch.rows(first, count).clone()), all.rows(first, count)));
    }
}

// Of an operator that is misused.
template <class F>
void check_error(F&& f, std::initializer_list<std::string> words) {
  check_error(ErrorKind::internal, words, f);
}

}  // namespace mld::test
