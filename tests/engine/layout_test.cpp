#include "engine/ops/layout.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <vector>

#include "engine/ops/pointwise.h"
#include "tests/engine/gradcheck.h"
#include "tests/expect_error.h"

namespace mld {
namespace {

using test::contains;
using test::error_of;

Tensor iota(const Shape& shape, DType dtype = DType::f32) {
  std::vector<double> values(static_cast<std::size_t>(shape.numel()));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i);
  return Tensor::from(values, shape).to(dtype);
}

std::vector<float> values(const Var& x) {
  const Tensor host = x.value.to(kCpu);
  return {host.span<float>().begin(), host.span<float>().end()};
}

void add_case(test::CaseList& list, Op op, std::string name, std::vector<Shape> shapes,
              std::function<Var(const test::Args&)> program, std::vector<Tensor> constants = {}) {
  std::vector<Tensor> inputs;
  for (const Shape& shape : shapes) inputs.push_back(test::random(shape, 7 + inputs.size()));
  list.push_back({.op = op,
                  .name = std::move(name),
                  .inputs = std::move(inputs),
                  .constants = std::move(constants),
                  .program = std::move(program)});
}

auto joined(int axis) {
  return [axis](const test::Args& in) { return concat(in.inputs, axis); };
}

auto sliced(int axis, std::int64_t first, std::int64_t count) {
  return [=](const test::Args& in) { return slice(in[0], axis, first, count); };
}

const test::GradCases concat_cases([](test::CaseList& list) {
  add_case(list, Op::concat, "first axis", {{2, 3}, {1, 3}, {4, 3}}, joined(0));
  add_case(list, Op::concat, "last axis", {{3, 2}, {3, 1}, {3, 4}}, joined(-1));
  add_case(list, Op::concat, "middle axis", {{2, 3, 2}, {2, 1, 2}}, joined(1));
  add_case(list, Op::concat, "one part", {{2, 3}}, joined(0));
  add_case(list, Op::concat, "leading extent 1", {{1, 2, 2}, {1, 3, 2}}, joined(1));
  add_case(list, Op::concat, "a value twice", {{2, 3}, {2, 2}}, [](const test::Args& in) {
    return concat(std::vector<Var>{in[0], in[1], in[0]}, 1);
  });
  add_case(list, Op::concat, "six parts", {{2, 1}, {2, 2}, {2, 4}, {2, 1}, {2, 3}, {2, 4}}, joined(1));
  add_case(list, Op::concat, "a value twice, first axis", {{2, 3}}, [](const test::Args& in) {
    return concat(std::vector<Var>{in[0], in[0]}, 0);
  });
});

const test::GradCases slice_cases([](test::CaseList& list) {
  add_case(list, Op::slice, "first axis", {{5, 3}}, sliced(0, 1, 2));
  add_case(list, Op::slice, "last axis", {{3, 5}}, sliced(-1, 3, 2));
  add_case(list, Op::slice, "middle axis", {{2, 4, 3}}, sliced(1, 0, 3));
  add_case(list, Op::slice, "everything", {{2, 4}}, sliced(1, 0, 4));
  add_case(list, Op::slice, "overlapping", {{3, 5}},
           [](const test::Args& in) { return mul(slice(in[0], 1, 0, 3), slice(in[0], 1, 2, 3)); });
  add_case(list, Op::slice, "overlapping, first axis", {{5, 3}},
           [](const test::Args& in) { return mul(slice(in[0], 0, 0, 3), slice(in[0], 0, 2, 3)); });
});

const test::GradCases rearranging_cases([](test::CaseList& list) {
  const auto permuted = [](std::initializer_list<int> order) {
    return [o = std::vector<int>(order)](const test::Args& in) {
      if (o.size() == 2) return permute(in[0], {o[0], o[1]});
      if (o.size() == 3) return permute(in[0], {o[0], o[1], o[2]});
      return permute(in[0], {o[0], o[1], o[2], o[3]});
    };
  };
  add_case(list, Op::permute, "transpose", {{3, 4}}, permuted({1, 0}));
  add_case(list, Op::permute, "identity", {{3, 4}}, permuted({0, 1}));
  add_case(list, Op::permute, "cycle", {{2, 3, 4}}, permuted({2, 0, 1}));
  add_case(list, Op::permute, "last axis stays", {{2, 3, 4}}, permuted({1, 0, -1}));
  add_case(list, Op::permute, "NHWC to NCHW", {{2, 3, 2, 3}}, permuted({0, 3, 1, 2}));
  add_case(list, Op::permute, "reversed", {{2, 3, 1, 4}}, permuted({3, 2, 1, 0}));
  add_case(list, Op::reshape, "to one axis", {{2, 3}},
           [](const test::Args& in) { return reshape(in[0], {6}); });
  const Tensor index = Tensor::from(std::vector<std::int32_t>{2, 0, 2, 2, 4, 0}, {2, 3});
  const auto gathered = [](const test::Args& in) { return gather_rows(in[0], in.constant(0)); };
  add_case(list, Op::gather_rows, "repeated rows", {{5, 3}}, gathered, {index});
  add_case(list, Op::gather_rows, "scalars", {{5}}, gathered, {index});
  add_case(list, Op::gather_rows, "an index of none", {{5, 3}}, gathered,
           {Tensor::from(std::vector<std::int32_t>{4, -1, 0, 4}, {4})});
  add_case(list, Op::gather_rows, "rows of two axes", {{5, 2, 2}}, gathered, {index});
});

TEST_CASE("concat and slice: values, and slices undo concat") {
  for (const Device device : test::test_devices()) {
    const Var a(iota({2, 2}).to(device)), b(affine(Var(iota({2, 1}).to(device)), 1, 10));
    const Var joined = concat(std::vector<Var>{a, b}, 1);
    CHECK(joined.shape() == Shape({2, 3}));
    CHECK(values(joined) == std::vector<float>{0, 1, 10, 2, 3, 11});
    CHECK(values(slice(joined, 1, 0, 2)) == values(a));
    CHECK(values(slice(joined, -1, 2, 1)) == values(b));
    CHECK(values(concat(std::vector<Var>{a, a}, 0)) == std::vector<float>{0, 1, 2, 3, 0, 1, 2, 3});
    CHECK(slice(joined, 1, 1, 0).shape() == Shape({2, 0}));
  }
  const Var large(iota({3, 50000}));  // rows of several copy pieces
  const Var both = concat(std::vector<Var>{large, large}, 1);
  CHECK(values(slice(both, 1, 50000, 50000)) == values(large));
  CHECK(concat(std::vector<Var>{iota({2}, DType::i32), iota({1}, DType::i32)}, 0)
            .value.data<std::int32_t>()[2] == 0);
}

TEST_CASE("permute: values against the definition") {
  const Tensor x = iota({2, 3, 4, 5});
  const Var y = permute(x, {0, 3, 1, 2});
  REQUIRE(y.shape() == Shape({2, 5, 3, 4}));
  std::size_t at = 0;
  const std::vector<float> got = values(y);
  bool same = true;
  for (int n = 0; n < 2; ++n)
    for (int c = 0; c < 5; ++c)
      for (int h = 0; h < 3; ++h)
        for (int w = 0; w < 4; ++w)
          same = same && got[at++] == x.data<float>()[((n * 3 + h) * 4 + w) * 5 + c];
  CHECK(same);
  const Tensor wide = iota({70, 33});  // tiles that do not fit
  const std::vector<float> turned = values(permute(wide, {1, 0}));
  for (int r = 0; r < 70; ++r)
    for (int c = 0; c < 33; ++c)
      same = same && turned[static_cast<std::size_t>(c * 70 + r)] == wide.data<float>()[r * 33 + c];
  CHECK(same);
  const Tensor bytes = iota({2, 3}, DType::u8);
  CHECK(permute(bytes, {1, 0}).value.data<std::uint8_t>()[1] == 3);
}

TEST_CASE("gather_rows: index -1 is a row of zeros, on every device") {
  for (const Device device : test::test_devices()) {
    const Tensor index = Tensor::from(std::vector<std::int32_t>{2, -1, 0}, {3}, device);
    CHECK(values(gather_rows(iota({3, 2}).to(device), index)) == std::vector<float>{4, 5, 0, 0, 0, 1});
  }
}

TEST_CASE("reshape shares memory, gather_rows reads rows") {
  const Var x(iota({2, 3}));
  CHECK(reshape(x, {3, 2}).value.raw() == x.value.raw());
  const Tensor index = Tensor::from(std::vector<std::int32_t>{1, 0, 1}, {3});
  CHECK(values(gather_rows(x, index)) == std::vector<float>{3, 4, 5, 0, 1, 2, 3, 4, 5});
}

TEST_CASE("detach cuts the gradient") {
  Tape tape;
  const Var x = tape.watch(Tensor::full({2}, 3.0));
  const Var y = mul(x, detach(x));
  tape.backward(y, Tensor::full({2}, 1.0));
  CHECK(values(tape.grad(x)) == std::vector<float>{3, 3});
}

TEST_CASE("an index outside the table throws on the cpu and becomes NaN elsewhere") {
  const Tensor index = Tensor::from(std::vector<std::int32_t>{1, 7}, {2});
  const std::string message = error_of(ErrorKind::data, [&] { gather_rows(iota({3, 2}), index); });
  CHECK(contains(message, "index 7"));
  CHECK(contains(message, "-1..2"));
  Tape tape;
  const Var table = tape.watch(iota({3, 2}).to(kSim));
  const Var y = gather_rows(table, index.to(kSim));
  tape.backward(y, Tensor::full({2, 2}, 1.0, DType::f32, kSim));
  const std::vector<float> got = values(y);
  CHECK(got[0] == 2);
  CHECK(std::isnan(got[2]));
  CHECK(values(tape.grad(table)) == std::vector<float>{0, 0, 1, 1, 0, 0});
}

TEST_CASE("errors name the operator and the shapes") {
  const Var x(Tensor::zeros({2, 3})), y(Tensor::zeros({3, 2})), z(Tensor::zeros({2}));
  const auto concat_error = [](std::vector<Var> parts, int axis) {
    return error_of(ErrorKind::internal, [&] { concat(parts, axis); });
  };
  const std::string message = concat_error({x, y}, 1);
  CHECK(contains(message, "concat"));
  CHECK(contains(message, "[2,3]"));
  CHECK(contains(message, "[3,2]"));
  CHECK(contains(concat_error({x, z}, 0), "[2]"));
  CHECK(contains(concat_error({x, Var(Tensor::zeros({2, 3}, DType::f64))}, 0), "f64"));
  CHECK(contains(concat_error({}, 0), "concat"));
  CHECK(contains(concat_error({x}, 2), "[2,3]"));
  CHECK(contains(error_of(ErrorKind::internal, [&] { slice(x, 1, 2, 2); }),
                 "slice: 2..3 along axis 1 of [2,3]"));
  CHECK(contains(error_of(ErrorKind::internal, [&] { slice(x, 1, -1, 2); }), "slice"));
  CHECK(contains(error_of(ErrorKind::internal, [&] { permute(x, {0}); }), "[2,3]"));
  CHECK(contains(error_of(ErrorKind::internal, [&] { permute(x, {0, 0}); }), "twice"));
  CHECK(contains(error_of(ErrorKind::internal, [&] { reshape(x, {4}); }), "[4]"));
  CHECK(contains(error_of(ErrorKind::internal, [&] { gather_rows(x, Tensor::zeros({2})); }), "f32"));
}

}  // namespace
}  // namespace mld
