// TrivialAugmentWide (Mueller and Hutter, "TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation", ICCV
// 2021): each picture by one operation, of one strength, both drawn uniformly. The operations are those of torchvision's
// transform of that name on bytes, with its defaults: nearest neighbours, black where nothing comes in.
#pragma once

#include <cstdint>

#include "data/value_range.h"
#include "engine/core/tensor.h"
#include "engine/ops/random.h"

namespace mld {

enum class TrivialOperation : std::int32_t {
  identity,
  shear_x,
  shear_y,
  translate_x,
  translate_y,
  rotate,
  brightness,
  color,
  contrast,
  sharpness,
  posterize,
  solarize,
  auto_contrast,
  equalize,
};
inline constexpr std::int32_t kTrivialOperations = 14;
inline constexpr std::int32_t kTrivialBins = 31;  // of magnitudes, the first the weakest

// What is done to one picture. Operations from posterize on, and identity, have no sign; identity, auto_contrast and
// equalize no bins.
struct TrivialChange {
  TrivialOperation operation = TrivialOperation::identity;
  std::int32_t bin = 0;
  std::int32_t negative = 0;
};

// [B, 3] i32: the TrivialChange of each picture, drawn by key.
Tensor draw_trivial_changes(std::int64_t pictures, const DrawKey& key, Device device);

// out <- x [B,H,W,3], picture by picture as `changes` says; x is rounded to bytes of the range first.
void trivial_augment(const Tensor& x, const Tensor& out, const data::ValueRange& range,
                     const Tensor& changes);

}  // namespace mld
