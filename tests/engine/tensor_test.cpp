#include "engine/core/tensor.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <vector>

#include "tests/engine/gradcheck.h"
#include "tests/expect_error.h"

namespace mld {
namespace {

using test::contains;
using test::error_of;

TEST_CASE("shape: extents, negative axes, products, limits") {
  const Shape s{2, 3, 4};
  CHECK(s.rank() == 3);
  CHECK(s[-1] == 4);
  CHECK(s.numel() == 24);
  CHECK(s.product(1, 3) == 12);
  CHECK(s.axis(-3) == 0);
  CHECK(s.str() == "[2,3,4]");
  CHECK(Shape().numel() == 1);
  CHECK(s == Shape{2, 3, 4});
  CHECK_FALSE(s == Shape{2, 3});
  CHECK(batch_shape(5, s) == Shape{5, 2, 3, 4});
  CHECK(batch_shape(5, {}) == Shape{5});
  CHECK(contains(error_of(ErrorKind::internal, [&] { s.axis(3); }), "[2,3,4]"));
  CHECK(contains(error_of(ErrorKind::internal, [] { Shape{1, -1}; }), "negative"));
  CHECK(contains(error_of(ErrorKind::internal, [] { Shape{1, 1, 1, 1, 1, 1, 1}; }), "axes"));
}

TEST_CASE("host values in and out, on every device") {
  for (const Device device : test::test_devices()) {
    const Tensor t = Tensor::from(std::vector<float>{1, 2, 3, 4, 5, 6}, {2, 3}, device);
    CHECK(t.shape() == Shape{2, 3});
    CHECK(t.dtype() == DType::f32);
    CHECK(t.device() == device);
    CHECK(t.bytes() == 24);
    if (device.kind == DeviceKind::cuda)
      CHECK(contains(error_of(ErrorKind::internal, [&] { t.span<float>(); }), "to(kCpu)"));
    else
      CHECK(t.span<float>()[4] == 5);
    CHECK(t.to(kCpu).data<float>()[5] == 6);
  }
  const std::string message = error_of(ErrorKind::internal, [] {
    Tensor::from(std::vector<float>{1, 2, 3}, {2, 2});
  });
  CHECK(contains(message, "3 values"));
  CHECK(contains(message, "[2,2]"));
}

TEST_CASE("fills and conversions of every type") {
  for (const DType dtype : {DType::f32, DType::f64, DType::i32, DType::u8}) {
    CAPTURE(dtype_name(dtype));
    for (const Device device : test::test_devices()) {
      const Tensor seven = Tensor::full({3}, 7, dtype, device), zero = Tensor::zeros({1}, dtype, device);
      synchronize(device);
      CHECK(seven.view(2, {1}).item() == 7);
      CHECK(zero.item() == 0);
      CHECK(seven.bytes() == 3 * dtype_size(dtype));
    }
    for (const DType other : {DType::f32, DType::f64, DType::i32, DType::u8})
      CHECK(Tensor::full({2}, 9, dtype).to(other).view(1, {1}).item() == 9);
  }
  CHECK(error_of(ErrorKind::internal, [] { Tensor::zeros({1}, DType::f32, kSim).to(DType::f64); }) ==
        "to: dtypes are converted on the cpu");
}

TEST_CASE("handles share memory, clones do not") {
  const Tensor t = Tensor::from(std::vector<float>{0, 1, 2, 3, 4, 5}, {3, 2});
  const Tensor row = t.rows(1, 2), flat = t.reshape({6}), last = t.view(5, {1}), copy = t.clone();
  CHECK(row.shape() == Shape{2, 2});
  t.data<float>()[5] = 50;
  CHECK(row.data<float>()[3] == 50);
  CHECK(flat.data<float>()[5] == 50);
  CHECK(last.item() == 50);
  CHECK(copy.data<float>()[5] == 5);
  CHECK(copy.unique());
  CHECK_FALSE(t.unique());
  CHECK(t.rows(3, 0).numel() == 0);
  CHECK(contains(error_of(ErrorKind::internal, [&] { t.rows(2, 2); }), "[3,2]"));
  CHECK(contains(error_of(ErrorKind::internal, [&] { t.reshape({4}); }), "[3,2] does not fit [4]"));
  CHECK(contains(error_of(ErrorKind::internal, [&] { t.view(4, {3}); }), "[3]"));
}

TEST_CASE("copies need one shape, type and device") {
  for (const Device device : test::test_devices()) {
    const Tensor a = Tensor::zeros({2}, DType::f32, device);
    a.copy_from(Tensor::full({2}, 3, DType::f32, device));
    CHECK(a.to(kCpu).data<float>()[1] == 3);
    a.zero();
    CHECK(a.to(kCpu).data<float>()[1] == 0);
  }
  const Tensor a = Tensor::zeros({2});
  const std::string shapes = error_of(ErrorKind::internal, [&] { a.copy_from(Tensor::zeros({3})); });
  CHECK(contains(shapes, "[2]"));
  CHECK(contains(shapes, "[3]"));
  CHECK(contains(error_of(ErrorKind::internal, [&] { a.copy_from(Tensor::zeros({2}, DType::f64)); }), "f64"));
  CHECK(contains(error_of(ErrorKind::internal, [&] { a.copy_from(Tensor::zeros({2}, DType::f32, kSim)); }),
                 "sim"));
}

TEST_CASE("wrong access is refused") {
  const Tensor t = Tensor::zeros({2});
  CHECK(contains(error_of(ErrorKind::internal, [&] { t.ptr<double>(); }), "holds f32, asked for f64"));
  CHECK(contains(error_of(ErrorKind::internal, [&] { t.item(); }), "[2]"));
  CHECK(contains(error_of(ErrorKind::internal, [] { Tensor().ptr<float>(); }), "no memory"));
  CHECK(contains(error_of(ErrorKind::internal, [] { Tensor().item(); }), "item"));
  CHECK_FALSE(Tensor().defined());
}

TEST_CASE("sizes that overflow are refused before anything is allocated") {
  constexpr std::int64_t big = std::int64_t{1} << 31;
  CHECK(contains(error_of(ErrorKind::internal, [] { Tensor::empty({big, big, 4}); }), "overflows"));
  CHECK(contains(
      error_of(ErrorKind::internal, [] { Tensor::empty({std::numeric_limits<std::int64_t>::max()}); }),
      "overflows"));
}

TEST_CASE("empty tensors are ordinary tensors, an undefined one has no elements") {
  CHECK(Tensor().numel() == 0);
  CHECK(Tensor().bytes() == 0);
  for (const Device device : test::test_devices()) {
    const Tensor t = Tensor::zeros({0, 3}, DType::f32, device);
    CHECK(t.defined());
    CHECK(t.numel() == 0);
    CHECK(t.clone().to(kCpu).shape() == Shape{0, 3});
  }
}

}  // namespace
}  // namespace mld
