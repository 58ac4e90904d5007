// How a parameter is stored in files. In memory everything is channels-last; files hold PyTorch's layouts
// (Linear [out,in], Conv [O,I,kh,kw], transposed Conv [I,O,kh,kw], flattened feature maps in
// channel-height-width order), so that they can be exchanged with the Python world. One rule covers all
// cases: the memory shape is split into factors, and the file is a permutation of the factors.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/core/tensor.h"

namespace mld::nn {

// A feature map [H,W,C] that was flattened, or will be made of a flat vector. `channels` 0: not a map.
struct FeatureMap {
  std::int64_t height = 0, width = 0, channels = 0;
  std::int64_t numel() const { return height * width * channels; }
  explicit operator bool() const { return channels > 0; }
  bool operator==(const FeatureMap&) const = default;
};

struct FileLayout {
  Shape shape = {};                          // in the file
  Shape factors = {};                        // of the memory shape, row-major
  std::array<int, Shape::kMaxRank> order{};  // axis i of the file's factors is axis order[i] of `factors`
};

FileLayout plain_layout(const Shape& shape);
// [out, in]; with maps, rows and columns that stand for flattened feature maps change order.
FileLayout linear_layout(std::int64_t out, std::int64_t in, FeatureMap to, FeatureMap from);
// Per-feature vector [C] (bias, scale, running statistics) of a flattened map.
FileLayout vector_layout(std::int64_t size, FeatureMap map);
// Memory [first,kh,kw,last], file [first,last,kh,kw]: both kinds of convolution. `rank` 3 leaves out kh = 1.
FileLayout conv_layout(std::int64_t first, std::int64_t kh, std::int64_t kw, std::int64_t last, int rank);

// Writes the elements of a dense cpu tensor in file order; `file` has as many bytes as the tensor.
void to_file(const Tensor& memory, const FileLayout& layout, std::span<std::byte> file);
// The inverse: fills `memory`.
void from_file(std::span<const std::byte> file, const FileLayout& layout, const Tensor& memory);

}  // namespace mld::nn
