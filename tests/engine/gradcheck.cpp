#include "tests/engine/gradcheck.h"

#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <utility>

#include "engine/ops/pointwise.h"

namespace mld::test {
namespace {

constexpr double kStep = 1.0 / (1 << 20);

// splitmix64 (Steele, Lea, Flood 2014): portable, one line of state.
struct Generator {
  std::uint64_t state;
  std::uint64_t next() {
    std::uint64_t z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }
};

double as_float(double v) { return static_cast<double>(static_cast<float>(v)); }

std::vector<std::function<void(CaseList&)>>& registrars() {
  static std::vector<std::function<void(CaseList&)>> all;
  return all;
}

// How the differentiated inputs enter the tape.
enum class Entry { watch, parameter };

struct Run {
  DType dtype = DType::f64;
  Device device = kCpu;
  Entry entry = Entry::watch;
  bool twice = false;  // program(x) + program(x)
  int only = -1;       // index of the one input that is differentiated; -1: all
};

struct Result {
  Tensor value;               // cpu
  std::vector<Tensor> grads;  // cpu; undefined for a constant or an input without influence
  std::vector<Op> recorded;
};

Tensor moved(const Tensor& t, const Run& run) {
  return (t.dtype() == DType::f64 ? t.to(run.dtype) : t).to(run.device);
}

Args make_args(const GradCase& c, const std::vector<Tensor>& inputs, const Run& run) {
  Args args;
  // Clones: a program that changed an input in place would show up as a difference between runs.
  for (const Tensor& x : inputs) args.inputs.emplace_back(moved(x.clone(), run));
  for (const Tensor& k : c.constants) args.constants.push_back(moved(k.clone(), run));
  return args;
}

Tensor forward(const GradCase& c, const std::vector<Tensor>& inputs, const Run& run) {
  return c.program(make_args(c, inputs, run)).value.to(kCpu);
}

Result differentiate(const GradCase& c, const Tensor& upstream, const Run& run) {
  Args args = make_args(c, c.inputs, run);
  std::vector<GradSink> sinks(args.inputs.size());
  Result result;
  Tape tape;
  for (std::size_t i = 0; i < args.inputs.size(); ++i) {
    if (run.only >= 0 && static_cast<std::size_t>(run.only) != i) continue;
    Var& x = args.inputs[i];
    if (run.entry == Entry::parameter) {
      // Memory of a sink is stale at first: NaN must be overwritten.
      sinks[i].grad = Tensor::full(x.shape(), std::nan(""), run.dtype, run.device);
      x.slot = tape.leaf(&sinks[i]);
    } else {
      x = tape.watch(x.value);
    }
  }
  const Var y = run.twice ? add(c.program(args), c.program(args)) : c.program(args);
  result.recorded = tape.recorded();
  tape.backward(y, moved(upstream.clone(), run));
  result.value = y.value.to(kCpu);
  for (std::size_t i = 0; i < args.inputs.size(); ++i) {
    Tensor grad;
    if (run.entry == Entry::parameter) {
      if (sinks[i].written) grad = sinks[i].grad;
    } else if (!args.inputs[i].slot.constant()) {
      grad = tape.grad(args.inputs[i]);
    }
    result.grads.push_back(grad.defined() ? grad.to(kCpu) : grad);
  }
  return result;
}

// d/dx_j of sum(upstream * program(x)); the difference is taken per output element, before the sum, so that
// its rounding error does not grow with the size of the output.
Tensor numeric_gradient(const GradCase& c, const Tensor& upstream, std::size_t which) {
  std::vector<Tensor> inputs;
  for (const Tensor& x : c.inputs) inputs.push_back(x.clone());
  double* x = inputs[which].data<double>();
  Tensor grad = Tensor::empty(inputs[which].shape(), DType::f64);
  for (std::int64_t j = 0; j < grad.numel(); ++j) {
    const double centre = x[j];
    const double h = kStep * std::max(1.0, std::abs(centre));
    x[j] = centre + h;
    const Tensor above = forward(c, inputs, {});
    const double hi = x[j];
    x[j] = centre - h;
    const Tensor below = forward(c, inputs, {});
    const double lo = x[j];
    x[j] = centre;
    double slope = 0;
    for (std::int64_t k = 0; k < above.numel(); ++k)
      slope += upstream.data<double>()[k] * (above.data<double>()[k] - below.data<double>()[k]);
    grad.data<double>()[j] = slope / (hi - lo);
  }
  return grad;
}

// Worst |a - b| over max(1, |b|) of the element, with b scaled.
void check_against_numeric(const Tensor& got, const Tensor& numeric, double factor, double tolerance) {
  REQUIRE(got.defined());
  REQUIRE(got.shape() == numeric.shape());
  for (std::int64_t j = 0; j < got.numel(); ++j) {
    const double want = factor * numeric.data<double>()[j];
    const double have = got.data<double>()[j];
    if (std::abs(have - want) <= tolerance * std::max(1.0, std::abs(want))) continue;
    CAPTURE(j);
    CHECK(have == doctest::Approx(want));
    FAIL_CHECK("gradient differs from central differences");
    return;
  }
}

// |got - want| <= tolerance * max(1, largest |want|); `got` may be f32, `want` is f64.
void check_close(const Tensor& found, const Tensor& want, double tolerance) {
  REQUIRE(found.defined() == want.defined());
  if (!want.defined()) return;
  REQUIRE(found.shape() == want.shape());
  const Tensor got = found.to(DType::f64);
  double scale = 1, worst = 0;
  for (std::int64_t j = 0; j < want.numel(); ++j) {
    const double exact = want.data<double>()[j];
    const double error = std::abs(got.data<double>()[j] - exact);
    scale = std::max(scale, std::abs(exact));
    worst = error <= worst ? worst : error;  // keeps a NaN
  }
  CHECK(worst <= tolerance * scale);
}

void check_close(const Result& got, const Result& want, double tolerance) {
  check_close(got.value, want.value, tolerance);
  for (std::size_t i = 0; i < want.grads.size(); ++i) check_close(got.grads[i], want.grads[i], tolerance);
}

void check_same_bits(const Tensor& a, const Tensor& b) {
  REQUIRE(a.defined() == b.defined());
  if (!a.defined()) return;
  REQUIRE(a.shape() == b.shape());
  REQUIRE(a.dtype() == b.dtype());
  CHECK(std::memcmp(a.raw(), b.raw(), static_cast<std::size_t>(a.bytes())) == 0);
}

void check_same_result(const Result& a, const Result& b) {
  check_same_bits(a.value, b.value);
  for (std::size_t i = 0; i < a.grads.size(); ++i) check_same_bits(a.grads[i], b.grads[i]);
}

// Without a tape, or with one but only constants, the value is the same and nothing is recorded.
void check_inference(const GradCase& c, const Tensor& value) {
  check_same_bits(forward(c, c.inputs, {}), value);
  const Tape tape;
  const Var y = c.program(make_args(c, c.inputs, {}));
  CHECK(y.slot.constant());
  CHECK(tape.recorded().empty());
}

// Every way of the cpu on a cuda device, in double and in float; the same program twice gives the same bits.
void check_cuda(const GradCase& c, const Tensor& upstream, const Result& once, const Result& twice) {
  INFO("cuda");
  if (MLD_CUDA_F64) {
    check_close(differentiate(c, upstream, {.device = kCuda}), once, kCudaF64Tolerance);
    check_close(differentiate(c, upstream, {.device = kCuda, .entry = Entry::parameter, .twice = true}),
                twice, kCudaF64Tolerance);
  }
  check_close(differentiate(c, upstream,
                            {.dtype = DType::f32, .device = kCuda, .entry = Entry::parameter, .twice = true}),
              twice, c.f32_tolerance);
  const Result f32 = differentiate(c, upstream, {.dtype = DType::f32, .device = kCuda});
  check_close(f32, once, c.f32_tolerance);
  check_same_result(differentiate(c, upstream, {.dtype = DType::f32, .device = kCuda}), f32);
}

}  // namespace

Tensor random(const Shape& shape, std::uint64_t seed, double lo, double hi) {
  Generator g{seed};
  std::vector<double> values(static_cast<std::size_t>(shape.numel()));
  for (double& v : values) v = as_float(lo + (hi - lo) * g.uniform());
  return Tensor::from(values, shape);
}

Tensor distinct(const Shape& shape, std::uint64_t seed, double gap) {
  Generator g{seed};
  std::vector<double> values(static_cast<std::size_t>(shape.numel()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double magnitude = (1.5 * static_cast<double>(i + 1) + 0.4 * g.uniform()) * gap;
    values[i] = as_float(g.next() % 2 == 0 ? magnitude : -magnitude);
  }
  for (std::size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[g.next() % i]);
  return Tensor::from(values, shape);
}

Tensor random_int(const Shape& shape, std::uint64_t seed, std::int32_t lo, std::int32_t hi) {
  Generator g{seed};
  std::vector<std::int32_t> values(static_cast<std::size_t>(shape.numel()));
  const auto extent = static_cast<std::uint64_t>(hi - lo + 1);
  for (std::int32_t& v : values) v = lo + static_cast<std::int32_t>(g.next() % extent);
  return Tensor::from(values, shape);
}

GradCases::GradCases(std::function<void(CaseList&)> add) { registrars().push_back(std::move(add)); }

CaseList all_grad_cases() {
  CaseList list;
  for (const auto& add : registrars()) add(list);
  return list;
}

void check_gradients(const GradCase& c) {
  INFO("operator ", std::string(op_name(c.op)), ", case ", c.name);
  const Tensor value = forward(c, c.inputs, {});
  const Tensor upstream = random(value.shape(), 1000003);
  const Result once = differentiate(c, upstream, {});
  CHECK(std::count(once.recorded.begin(), once.recorded.end(), c.op) > 0);
  check_same_bits(once.value, value);
  check_inference(c, value);

  const Result twice = differentiate(c, upstream, {.twice = true});
  const Result parameters = differentiate(c, upstream, {.entry = Entry::parameter});
  const Result both = differentiate(c, upstream, {.entry = Entry::parameter, .twice = true});
  for (std::size_t i = 0; i < c.inputs.size(); ++i) {
    CAPTURE(i);
    const Tensor numeric = numeric_gradient(c, upstream, i);
    check_against_numeric(once.grads[i], numeric, 1, c.tolerance);
    check_against_numeric(twice.grads[i], numeric, 2, c.tolerance);
    check_against_numeric(parameters.grads[i], numeric, 1, c.tolerance);
    check_against_numeric(both.grads[i], numeric, 2, c.tolerance);
    const Result alone = differentiate(c, upstream, {.only = static_cast<int>(i)});
    check_same_bits(alone.grads[i], once.grads[i]);
  }

  check_same_result(differentiate(c, upstream, {.device = kSim}), once);
  const Result f32 = differentiate(c, upstream, {.dtype = DType::f32});
  check_same_result(differentiate(c, upstream, {.dtype = DType::f32, .device = kSim}), f32);
  check_close(f32, once, c.f32_tolerance);
  if (has_cuda()) check_cuda(c, upstream, once, twice);
}

}  // namespace mld::test
