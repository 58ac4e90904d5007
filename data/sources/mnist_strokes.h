// How the digits of MNIST may have been written: the pen strokes that E. D. de Jong (Incremental Sequence Learning,
// 2016) traced in them, in the packing mnist_strokes.npz. For each part, "train" and "test", in MNIST's order:
//   PART_steps    int8 [T,4]  all digits end to end: dx, dy, end of stroke, end of digit. A digit's first row is
//                             where it starts, x to the right and y down from 1; the others are steps
//   PART_offsets  int32 [N+1] digit i is rows offsets[i] to offsets[i+1] - 1
//   PART_labels   uint8 [N]
// Private to the data room.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/formats/npz.h"
#include "data/pictures/render.h"

namespace mld::data {

struct StrokePoint {
  float x, y;         // pixels of the picture: the middle of the one at row r, column c is (c + 0.5, r + 0.5)
  bool last = false;  // of a stroke
};

// [200]: 100 x, then 100 y, at equal distances along the strokes. What the pen does in the air takes no time: the
// path goes on at the beginning of the next stroke. Needs a point.
std::array<float, kTrajectory> equal_steps(std::span<const StrokePoint> strokes);

struct LabelledPaths {
  std::vector<float> paths;          // [N,200], pixels
  std::vector<std::int32_t> labels;  // [N]
};

// The digits of one part, of its three arrays. ErrorKind::data, naming array and digit, for arrays that do not fit
// together and pens that leave the picture.
LabelledPaths read_mnist_strokes(const NpyArray& steps, const NpyArray& offsets, const NpyArray& labels);
LabelledPaths read_mnist_strokes(const NpzFile& file, const std::string& part);

}  // namespace mld::data
