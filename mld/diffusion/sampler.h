// Reverse diffusion (docs/method.md section 10): generates the modalities of A1 given the latents of A2,
// or everything when A2 is empty, along a plan (sampler_plan.h). Knows nothing of networks: the score
// function is a callable, so that the sampler is tested on exact Gaussian scores.
#pragma once

#include <array>
#include <functional>
#include <memory>

#include "engine/core/tensor.h"
#include "engine/runtime/capture.h"
#include "mld/diffusion/noise.h"
#include "mld/diffusion/sampler_plan.h"

namespace mld {

// n [B,D] <- raw network output (sigma times score) for the state r [B,D] at a level of the plan; level i32
// [1] is on the device of r and read when the work runs.
using ScoreFunction = std::function<Tensor(const Tensor& r, const Tensor& level)>;
// The output where the plan is guided, made of more than one network call.
struct GuidedScore {
  ScoreFunction score = {};
  std::int64_t references = 0;  // calls beyond the first
};
// Called after each network call with (done, total); returning false cancels the run.
using SamplerProgress = std::function<bool(std::int64_t done, std::int64_t total)>;

// Draws batches of one size. What differs between transitions (level, coefficients, place of the noise) lies
// in device memory, so that on a device with a stream one transition of each sort is recorded and replayed
// for the whole walk and for every batch.
class Sampler {
 public:
  // States are [B,D] of `dtype` on `device`. The noise source must outlive the sampler.
  Sampler(ScoreFunction score, NoiseSource& noise, const SamplerPlan& plan, const Shape& shape, DType dtype,
          Device device, GuidedScore guided = {});
  Sampler(const Sampler&) = delete;
  Sampler& operator=(const Sampler&) = delete;

  // z [B,D]: standardised latents; only the coordinates with given[d] = 1 are read. given u8 [D].
  // rows i32 [B]: identities of the samples for the noise source.
  // Returns [B,D]: given coordinates bit for bit as in z. Throws Cancelled if progress returned false.
  Tensor operator()(const Tensor& z, const Tensor& given, const Tensor& rows,
                    const SamplerProgress& progress = {});

  // Of the recording of a transition with one network call and fresh noise on cuda, else 0.
  std::size_t nodes() const {
    const auto& recorded = recordings_[Sort{.evaluates = true, .noisy = true}.index()];
    return recorded ? recorded->nodes() : 0;
  }

 private:
  // What tells recordings of transitions apart.
  struct Sort {
    bool evaluates = false, noisy = false, guided = false;
    std::size_t index() const { return (evaluates ? 1u : 0u) + (noisy ? 2u : 0u) + (guided ? 4u : 0u); }
  };
  void transition(const Sort& sort, std::uint32_t site = kSiteTransition);
  void run(const Transition& step);

  ScoreFunction score_;
  GuidedScore guided_;
  NoiseSource& noise_;
  SamplerPlan plan_;
  Tensor levels_, coefficients_;    // of each transition: i32 [T], f64 [T,8]
  Tensor place_, level_, current_;  // of the one in progress: i32 [1], i32 [1], f64 [8]
  Tensor r_, zeta_, memory_, z_, given_, rows_;
  std::array<std::unique_ptr<CapturedStep>, 8> recordings_;  // of each sort that has been walked
  bool recordable_;
};

// One batch.
Tensor sample(const ScoreFunction& score, const Tensor& z, const Tensor& given, const Tensor& rows,
              NoiseSource& noise, const SamplerPlan& plan, const SamplerProgress& progress = {});

}  // namespace mld
