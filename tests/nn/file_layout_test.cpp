#include "nn/file_layout.h"

#include <doctest/doctest.h>

#include <functional>

#include "tests/nn/helpers.h"

namespace mld::nn {
namespace {

// Elements numbered in memory order, as the file would hold them.
std::vector<float> filed(const FileLayout& layout, const Shape& memory) {
  std::vector<float> numbers(static_cast<std::size_t>(memory.numel()));
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(i);
  std::vector<float> file(numbers.size());
  to_file(Tensor::from(numbers, memory), layout, std::as_writable_bytes(std::span(file)));

  const Tensor back = Tensor::full(memory, -1);
  from_file(std::as_bytes(std::span(file)), layout, back);
  for (std::size_t i = 0; i < numbers.size(); ++i) CHECK(back.span<float>()[i] == numbers[i]);
  return file;
}

// Position in memory of element (h,w,c) of a map.
std::int64_t hwc(FeatureMap m, std::int64_t h, std::int64_t w, std::int64_t c) {
  return (h * m.width + w) * m.channels + c;
}

void for_chw(FeatureMap m, const std::function<void(std::int64_t memory)>& f) {
  for (std::int64_t c = 0; c < m.channels; ++c)
    for (std::int64_t h = 0; h < m.height; ++h)
      for (std::int64_t w = 0; w < m.width; ++w) f(hwc(m, h, w, c));
}

TEST_CASE("plain parameters are stored as they are") {
  const auto file = filed(plain_layout({3, 4}), {3, 4});
  for (std::size_t i = 0; i < 12; ++i) CHECK(file[i] == static_cast<float>(i));
}

TEST_CASE("convolution weights go from channels-last to PyTorch's order") {
  const std::int64_t first = 3, kh = 2, kw = 5, last = 4;
  const FileLayout layout = conv_layout(first, kh, kw, last, 4);
  CHECK(layout.shape == Shape{3, 4, 2, 5});
  const auto file = filed(layout, {first, kh, kw, last});
  std::size_t i = 0;
  for (std::int64_t a = 0; a < first; ++a)
    for (std::int64_t b = 0; b < last; ++b)
      for (std::int64_t r = 0; r < kh; ++r)
        for (std::int64_t t = 0; t < kw; ++t)
          CHECK(file[i++] == static_cast<float>(((a * kh + r) * kw + t) * last + b));
  CHECK(conv_layout(3, 1, 5, 4, 3).shape == Shape{3, 4, 5});
}

TEST_CASE("columns and rows that stand for flattened maps go from HWC to CHW order") {
  const FeatureMap from{2, 3, 4}, to{3, 1, 5};
  const std::int64_t in = from.numel(), out = to.numel();
  CHECK(linear_layout(out, in, to, from).shape == Shape{15, 24});

  const auto columns = filed(linear_layout(out, in, {}, from), {out, in});
  const auto rows = filed(linear_layout(out, in, to, {}), {out, in});
  const auto both = filed(linear_layout(out, in, to, from), {out, in});
  const auto bias = filed(vector_layout(out, to), {out});
  std::size_t i = 0;
  for (std::int64_t o = 0; o < out; ++o)
    for_chw(from, [&](std::int64_t m) { CHECK(columns[i++] == static_cast<float>(o * in + m)); });
  i = 0;
  for_chw(to, [&](std::int64_t o) {
    for (std::int64_t m = 0; m < in; ++m) CHECK(rows[i++] == static_cast<float>(o * in + m));
  });
  i = 0;
  for_chw(to, [&](std::int64_t o) {
    for_chw(from, [&](std::int64_t m) { CHECK(both[i++] == static_cast<float>(o * in + m)); });
  });
  i = 0;
  for_chw(to, [&](std::int64_t o) { CHECK(bias[i++] == static_cast<float>(o)); });
}

TEST_CASE("a map must have as many values as the axis it stands for") {
  const auto message = test::error_of(ErrorKind::internal, [] { linear_layout(8, 25, {}, {2, 3, 4}); });
  CHECK(test::contains(message, "[2,3,4]"));
  CHECK(test::contains(message, "25"));
}

}  // namespace
}  // namespace mld::nn
