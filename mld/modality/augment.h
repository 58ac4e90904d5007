// Small random changes of pictures and spectrograms that leave their class alone: training with them is training with
// more of them. Of a spectrogram a shift is one in time and in pitch, the contrast that of its decibels.
#pragma once

#include "data/value_range.h"
#include "engine/core/tensor.h"
#include "engine/ops/random.h"
#include "mld/config/config.h"

namespace mld {

struct Augmentation {
  std::int64_t shift = 0;  // pixels, at most, each way
  // Contrast is multiplied by 1 +- gain, the value range is moved by +- offset of its width.
  double gain = 0, offset = 0;
  bool trivial = false;  // an operation of TrivialAugmentWide first (trivial_augment.h)

  bool moves() const { return shift > 0 || gain > 0 || offset > 0; }
  bool changes() const { return trivial || moves(); }
};

// What a stage asks for; ErrorKind::usage if the modality is not of a kind that can be changed so.
Augmentation augmentation(const ModalityConfig& modality, const StageConfig& stage,
                          const data::Modality& info);

// out <- x [B,H,W,C], of a spectrogram [B,frames,mels,1], with one change for each item, drawn by key: what comes in at
// an edge repeats it, values stay within the range. x and out must not overlap.
void augment(const Tensor& x, const Tensor& out, const Augmentation& by, const data::ValueRange& range,
             const DrawKey& key);

}  // namespace mld
