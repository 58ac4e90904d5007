// The one seam between a generative method and everything that trains, samples, measures or shows it. A method says
// what stages there are to train, how a batch becomes a loss, how a subset of modalities that is given becomes a
// draw of the rest, and what else it can answer. Checkpoints, resumption, recording, evaluation, reports and export
// know no more of it than this. Classifiers are not a method's: they measure all of them alike.
//
// What is given passes through codes: encode() makes of each modality what conditions come down to, once, whatever
// sets of modalities are given afterwards; a sampler makes draws of codes, and decode() values of draws.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/store/batch_order.h"
#include "data/store/store.h"
#include "engine/core/tape.h"
#include "engine/runtime/step_state.h"
#include "mld/config/stage_id.h"
#include "mld/diffusion/latents.h"
#include "mld/diffusion/sampler.h"
#include "mld/diffusion/subsets.h"
#include "nn/parameter.h"

namespace mld {

// --- training

// What the networks of a run are trained on.
struct TrainingData {
  const Config& config;
  const data::Store& store;
  const data::Split& split;
  std::vector<int> columns;  // of each modality of the configuration its place in the store
  Device device = kCpu;
  data::Shard shard = {};
  // Networks that the run has already: ErrorKind::model for one that it has not, or not finished.
  struct Part {
    std::string content;  // nn::content_hash
    std::function<void(nn::ParameterStore&)> load;
  };
  std::function<Part(const StageId&)> part = {};
  std::filesystem::path latents = {};  // where the run keeps encodings (kept_latents.h)
  std::function<void(const std::string&)> note = {};

  const data::Modality& info(std::size_t i) const { return store.modality(columns[i]); }
};

// A network while it is trained, with what feeds it. Everything that loss() reads lies where it did in the step
// before, as a device may record it once and replay it.
class Training {
 public:
  virtual ~Training() = default;
  virtual nn::ParameterStore& parameters() = 0;
  virtual std::int64_t batch() const = 0;  // all of it; less than asked for where there is not as much
  virtual std::int64_t steps_per_epoch() const = 0;
  virtual void before(std::int64_t step) = 0;  // of the host, before step 0, 1, ...
  virtual Var loss(
      const StepState* state) const = 0;  // [1]: of this process's rows, as shares of the whole batch's
};
// For a batch of that size and the seed of the stage; called again with a smaller one where memory runs out. Method
// and TrainingData must outlive it and what it makes.
using MakeTraining = std::function<std::unique_ptr<Training>(std::int64_t batch, std::uint64_t seed)>;

// --- sampling

struct SampleSettings {
  SamplerOptions sampler = {};
  std::uint64_t seed = 0;
  // Samples generated together; 0: as suits the device. Does not change the samples; on a GPU but for last bits, as
  // its libraries choose their kernels by the size of a batch.
  std::int64_t chunk = 0;
};
// The settings a run was configured with.
SampleSettings sample_settings(const Config& config);

// Draws the modalities that are not given, batch after batch, in the memory of one batch.
struct SubsetSampler {
  std::int64_t batch = 1;          // samples drawn together, at most
  std::int64_t network_calls = 1;  // of a batch
  // Draws [n, ...] for ids [n], n <= batch. Of codes [n, codes().total] those of the given set are read; undefined
  // if it is empty. ids identify the samples: a draw depends on its id, the seed and its own codes alone.
  std::function<Tensor(const Tensor& codes, std::span<const std::int32_t> ids,
                       const SamplerProgress& progress)>
      draw;
};

// --- the method

// What a method can be asked beside samples. Where it cannot, the reason, for users.
struct Answers {
  bool latents = false;      // its codes are standardised latents, and so are its draws
  bool draws_given = false;  // all share what is drawn: of what is given, even of all, it is decoded too
  std::string no_information = {};  // why noise_prediction tells no mutual information; empty: it does
  std::string caution = {};         // what to be careful with in that
  bool inpainting_gap = false;      // noise_prediction knows modalities at different times above 0
  std::string no_likelihood = "of this kind of model no density of the data is known";  // empty: log_weights
};

class Method {
 public:
  virtual ~Method() = default;
  virtual Answers answers() const { return {}; }

  // In the order in which they are trained: those of single modalities, then the one that generates.
  virtual std::vector<StageId> stages() const = 0;
  // ErrorKind::usage if the network of a stage does not fit its data; ErrorKind::data if there is nothing to train
  // it on. `trained`: also that there is enough, as the stage is to be trained.
  virtual void check(const StageId& stage, const TrainingData& data, bool trained) const;
  // Here that of a stage which passes over the samples.
  virtual std::int64_t steps_per_epoch(const StageId& stage, const TrainingData& data) const;
  virtual MakeTraining training(const StageId& stage, const TrainingData& data) const = 0;

  // The network of a stage, for inference: made by build(), whose caller fills it.
  virtual nn::ParameterStore& build(const StageId& stage) = 0;
  virtual nn::ParameterStore* built(const StageId& stage) const = 0;  // null: there is none

  // The rest needs the networks that it uses; tensors are of the cpu.
  virtual LatentLayout codes() const = 0;
  virtual Tensor encode(int i, const Tensor& x) const = 0;       // [N, sample...] -> [N, codes().dims[i]]
  virtual Tensor decode(int i, const Tensor& draws) const = 0;   // -> [N, sample...]
  virtual Tensor reconstruct(int i, const Tensor& x) const = 0;  // what can be had of x at best
  // Network calls of one sample, at most, whatever is given; ErrorKind::usage for settings that cannot be.
  virtual std::int64_t network_calls(const SampleSettings& settings) const = 0;
  // For `count` samples in all. The method must outlive it. Not everything may be given, unless
  // the method draws that too.
  virtual SubsetSampler sampler(Subset given, const SampleSettings& settings, std::int64_t count) const = 0;
  // sigma times the score [N,D] of latents r [N,D] with times tau [N,M], 0: clean; [N,1] where the network knows one
  // time. Only of methods that answer for latents.
  virtual Tensor noise_prediction(const Tensor& r, const Tensor& tau) const;
  // log of p(x_of, z) / q(z | x_given) for one draw z of q for each row: the mean over seeds of exp of it is p(x_of).
  // x[i]: values of modality i [N, sample...], codes [N, codes().total] of them; draws depend on ids and seed alone.
  virtual std::vector<double> log_weights(Subset of, Subset given, std::span<const Tensor> x,
                                          const Tensor& codes, std::span<const std::int32_t> ids,
                                          std::uint64_t seed) const;
};

using MethodFactory = std::function<std::unique_ptr<Method>(const Config&, const data::Description&, Device)>;
// The method that config.model.kind names, and what it can answer, which needs no data.
std::unique_ptr<Method> make_method(const Config& config, const data::Description& dataset, Device device);
Answers method_answers(const Config& config);

}  // namespace mld
