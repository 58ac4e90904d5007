#include "nn/file_layout.h"

#include <initializer_list>

namespace mld::nn {
namespace {

constexpr std::initializer_list<int> kChannelsFirst = {2, 0, 1};  // [H,W,C] -> [C,H,W]

// Appends the factors of one axis of the memory shape: a map's, or the axis itself.
void append(FileLayout& layout, std::int64_t extent, FeatureMap map) {
  const int first = layout.factors.rank();
  const auto place = [&](int i, int axis) {
    layout.order[static_cast<std::size_t>(first + i)] = first + axis;
  };
  if (!map) {
    layout.factors.push_back(extent);
    return place(0, 0);
  }
  MLD_CHECK(map.numel() == extent, "file layout: feature map [", map.height, ",", map.width, ",",
            map.channels, "] of ", map.numel(), " values for an axis of ", extent);
  for (std::int64_t e : {map.height, map.width, map.channels}) layout.factors.push_back(e);
  int i = 0;
  for (int axis : kChannelsFirst) place(i++, axis);
}

// visit(file element, memory element) for all elements, in file order.
template <class F>
void for_each_pair(const FileLayout& layout, F&& visit) {
  const int rank = layout.factors.rank();
  std::array<std::int64_t, Shape::kMaxRank> extent{}, stride{}, at{};
  for (int i = 0; i < rank; ++i) {
    const int axis = layout.order[static_cast<std::size_t>(i)];
    extent[static_cast<std::size_t>(i)] = layout.factors[axis];
    stride[static_cast<std::size_t>(i)] = layout.factors.product(axis + 1, rank);
  }
  const auto last = static_cast<std::size_t>(rank - 1);
  const std::int64_t total = layout.factors.numel();
  std::int64_t memory = 0;
  for (std::int64_t file = 0; file < total; file += extent[last]) {
    for (std::int64_t j = 0; j < extent[last]; ++j) visit(file + j, memory + j * stride[last]);
    for (std::size_t axis = last; axis-- > 0;) {
      memory += stride[axis];
      if (++at[axis] < extent[axis]) break;
      memory -= stride[axis] * extent[axis];
      at[axis] = 0;
    }
  }
}

void check_size(std::size_t file, const FileLayout& layout, const Tensor& memory) {
  MLD_CHECK(memory.numel() == layout.factors.numel() && static_cast<std::int64_t>(file) == memory.bytes(),
            "file layout: ", file, " bytes for a tensor ", memory.shape(), " with layout ", layout.factors);
}

}  // namespace

FileLayout plain_layout(const Shape& shape) { return {.shape = shape, .factors = {shape.numel()}}; }

FileLayout linear_layout(std::int64_t out, std::int64_t in, FeatureMap to, FeatureMap from) {
  FileLayout layout{.shape = {out, in}};
  append(layout, out, to);
  append(layout, in, from);
  return layout;
}

FileLayout vector_layout(std::int64_t size, FeatureMap map) {
  FileLayout layout{.shape = {size}};
  append(layout, size, map);
  return layout;
}

FileLayout conv_layout(std::int64_t first, std::int64_t kh, std::int64_t kw, std::int64_t last, int rank) {
  FileLayout layout{.factors = {first, kh, kw, last}, .order = {0, 3, 1, 2}};
  layout.shape = rank == 3 ? Shape{first, last, kw} : Shape{first, last, kh, kw};
  return layout;
}

void to_file(const Tensor& memory, const FileLayout& layout, std::span<std::byte> file) {
  check_size(file.size(), layout, memory);
  dispatch_float(memory.dtype(), "file layout", [&]<class T>() {
    T* to = reinterpret_cast<T*>(file.data());
    for_each_pair(layout, [to, from = memory.data<T>()](std::int64_t f, std::int64_t m) { to[f] = from[m]; });
  });
}

void from_file(std::span<const std::byte> file, const FileLayout& layout, const Tensor& memory) {
  check_size(file.size(), layout, memory);
  dispatch_float(memory.dtype(), "file layout", [&]<class T>() {
    const T* from = reinterpret_cast<const T*>(file.data());
    for_each_pair(layout, [from, to = memory.data<T>()](std::int64_t f, std::int64_t m) { to[m] = from[f]; });
  });
}

}  // namespace mld::nn
