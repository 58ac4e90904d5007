// One training batch of the score network (docs/method.md section 7): gather latents, draw the conditioning
// set, the time and the noise, and perturb. All of it runs on the device as functors that read seed and step
// from the StepState, so that a whole train step can be captured.
#pragma once

#include <cstdint>
#include <vector>

#include "data/store/batch_order.h"
#include "engine/core/tensor.h"
#include "engine/runtime/step_state.h"
#include "mld/config/choices.h"
#include "mld/diffusion/latents.h"
#include "mld/diffusion/subsets.h"
#include "mld/diffusion/time_sampling.h"
#include "mld/diffusion/variant.h"

namespace mld {

struct ScoreBatchOptions {
  std::int64_t batch = 128;  // global rows
  double d = 0.5;            // probability that everything is diffused
  double marginals = 0;      // probability that some modalities are left out, as if the sample lacked them
  Pairing pairing = Pairing::fixed;
  Subset fresh =
      ~Subset{0};  // modalities whose items Pairing::fresh draws; of the others a sample keeps its own
  // Of guidance that is trained in (docs/method.md section 11.4): w, and the noise levels sigma/a where it weighs.
  double guidance = 1, guidance_low = 0, guidance_high = 0;
  SubsetDraw subsets = SubsetDraw::per_sample;
  TimeDistribution time = {};
  Prediction prediction = Prediction::noise;
  Variant variant = {};
  std::vector<double> modality_weights = {};  // w_i, 1 if empty
};

// The random choices of a batch; a test may fill them by hand.
struct BatchDraw {
  Tensor sample;        // i32 [B] row of the sample index
  Tensor encoding;      // i32 [B,M] row of each modality's latents, -1: absent
  Tensor conditioning;  // i32 [B] bit mask of A2, within what is present
  Tensor time;          // f32 [B,1], or [B,M] for uni
  Tensor noise;         // f32 [B,D] standard normal
};

// What the network sees and what it should answer:
// loss = (1/B) sum weight (output - target)^2.
struct ScoreBatch {
  Tensor r;       // [B,D] diffused on A1, clean on A2, pure noise where a modality is absent
  Tensor tau;     // [B,M] t on A1, 0 on A2, 1 where absent; for inpaint [B,1] t
  Tensor target;  // [B,D]
  Tensor weight;  // [B,D] Omega_b w_i on A1, 0 elsewhere
};

// What guidance compares the batch with: the same rows without some of their modalities. The target becomes
// target + weight (output - output of the reference), neither with a gradient.
struct ReferenceBatch {
  Tensor r, tau;  // [B,D], [B,M]
  Tensor weight;  // [B,D] on coordinates that are diffused and guided
};

class ScoreBatcher {
 public:
  // Shares the memory of the latents. Of each batch it draws the rows of a shard.
  ScoreBatcher(LatentStore latents, ScoreBatchOptions options, std::uint64_t seed,
               const data::Shard& shard = {});

  const data::BatchRows& rows() const { return rows_; }
  std::int64_t steps_per_epoch() const { return order_.steps_per_epoch(); }
  // Draws the step that the state stands at, in device memory.
  BatchDraw draw(const StepState* state) const;
  ScoreBatch perturb(const BatchDraw& draw) const;
  // Of a row with given modalities: without these. Of any other: without all but one of its modalities, drawn anew,
  // for which the weight counts as often as there are others to draw.
  ReferenceBatch reference(const StepState* state, const BatchDraw& draw, const ScoreBatch& batch) const;

 private:
  LatentStore latents_;
  ScoreBatchOptions options_;
  data::BatchOrder order_;
  data::BatchRows rows_;
  std::uint64_t seed_;
  bool partners_;       // items or encodings are drawn, beyond those of the samples
  std::int64_t times_;  // drawn for each sample
  Device device_;
};

}  // namespace mld
