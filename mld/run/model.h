// A trained model, for inference: opened from a run directory or from an exported file, it encodes, decodes,
// classifies and samples. Works on tensors of the cpu, whatever device the networks are on; mld/mld.h is the
// same for programs that embed it.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/store/description.h"
#include "mld/diffusion/sampler.h"
#include "mld/diffusion/score_model.h"
#include "mld/diffusion/subsets.h"
#include "mld/modality/autoencoders.h"
#include "mld/run/stage_record.h"

namespace mld {

// On a GPU five thousand samples, as evaluations draw them, are one batch: a network call of so few rows is
// bound by the number of its kernels.
inline constexpr std::int64_t kCpuChunk = 1024, kGpuChunk = 5120;

struct SampleSettings {
  SamplerOptions sampler;
  std::uint64_t seed = 0;
  // Samples generated together; 0: kCpuChunk or kGpuChunk. Does not change the samples; on a GPU but for last
  // bits, as its libraries choose their kernels by the size of a batch.
  std::int64_t chunk = 0;
};

// The settings a run was configured with.
SampleSettings sample_settings(const Config& config);

class Model {
 public:
  // A run directory (stages that are not there are left out) or a file made by save(). ErrorKind::model if it
  // is neither, is damaged, or has parts that were not trained together.
  static Model open(const std::filesystem::path& path, Device device = kCpu);
  // One file for inference, with the final weights of everything there is.
  void save(const std::filesystem::path& file) const;

  // What must be said of the model beside its configuration: data that changed during the training, cosines
  // of several lengths. Belongs into every record of results.
  const std::vector<std::string>& remarks() const { return remarks_; }
  // What could not be checked when it was opened, as it is older than the records that say it, or had to be
  // put right; for users, once.
  const std::vector<std::string>& unchecked() const { return unchecked_; }

  const Config& config() const { return config_; }
  const data::Description& dataset() const { return dataset_; }
  int modalities() const { return static_cast<int>(config_.modalities.size()); }
  const ModalityConfig& modality(int i) const { return config_.modalities[static_cast<std::size_t>(i)]; }
  const data::Modality& info(int i) const { return infos_[static_cast<std::size_t>(i)]; }
  int modality(const std::string& name) const;  // ErrorKind::usage lists the known ones
  std::vector<std::string> names() const;
  const LatentLayout& layout() const { return layout_; }
  Device device() const { return device_; }

  bool has_autoencoder(int i) const { return nets_[static_cast<std::size_t>(i)].autoencoder != nullptr; }
  bool has_classifier(int i) const { return nets_[static_cast<std::size_t>(i)].classifier != nullptr; }
  bool has_score() const { return score_ != nullptr; }
  std::int64_t parameters() const;

  // x [N, sample...] as networks take it (one-hot for discrete data); z [N,D_i] standardised as the score
  // network sees it. reconstruct needs no score network.
  Tensor encode(int i, const Tensor& x) const;
  Tensor decode(int i, const Tensor& z) const;
  Tensor reconstruct(int i, const Tensor& x) const;
  std::vector<std::int32_t> classify(int i, const Tensor& x) const;  // class with the highest score
  // The classifier's inner layer that distances are measured on, [N, feature_size(i)].
  Tensor features(int i, const Tensor& x) const;
  std::int64_t feature_size(int i) const;
  std::string classifier_hash(int i) const;  // of its weights, 8 hex digits
  std::string weights_hash() const;          // of all weights there are

  // Raw output n [N,D] of the score network at r [N,D] with times tau [N,M] (0: clean; [N,1] for inpaint),
  // whatever it predicts.
  Tensor noise_prediction(const Tensor& r, const Tensor& tau) const;

  // Draws the latents [N,D] of all modalities given those of `given` (LatentSampler below).
  Tensor sample_latents(Subset given, const Tensor& z, std::span<const std::int32_t> ids,
                        const SampleSettings& settings, const SamplerProgress& progress = {}) const;
  Tensor latent_slice(const Tensor& z, int i) const;                        // [N,D] -> [N,D_i]
  void set_latent_slice(const Tensor& z, int i, const Tensor& part) const;  // the inverse

 private:
  template <class M>
  struct Loaded {
    M model;
    nn::ParameterStore store;
    Loaded(M m, Device device) : model(std::move(m)), store(model, {.device = device, .training = false}) {}
  };
  struct Nets {
    std::unique_ptr<Loaded<Autoencoder>> autoencoder;
    std::unique_ptr<Loaded<Classifier>> classifier;
  };

  friend class LatentSampler;

  Model(Config config, data::Description dataset, Device device);
  static Model open_run(const std::filesystem::path& folder, Device device);
  static Model open_file(const std::filesystem::path& file, Device device);
  void note_unchecked(const std::filesystem::path& path);
  // f on chunks of x, moved to the networks' device and back.
  Tensor on_device(const Tensor& x, const std::function<Tensor(const Tensor&)>& f) const;
  const Autoencoder& autoencoder(int i) const;
  const Loaded<Classifier>& classifier(int i) const;
  const ScoreModel& score() const;

  Config config_;
  data::Description dataset_;
  Device device_;
  std::vector<data::Modality> infos_;
  LatentLayout layout_;
  std::vector<Nets> nets_;
  std::unique_ptr<Loaded<ScoreModel>> score_;
  StageRecord score_record_;
  std::vector<std::string> remarks_, unchecked_;
};

// Draws latents of all modalities given those of one set, in batches, so that the work of any number of
// samples needs the memory of one batch.
class LatentSampler {
 public:
  // For `count` samples in all. The model must outlive it.
  LatentSampler(const Model& model, Subset given, const SampleSettings& settings, std::int64_t count);
  LatentSampler(const LatentSampler&) = delete;
  LatentSampler& operator=(const LatentSampler&) = delete;

  std::int64_t batch() const { return batch_; }  // samples drawn together, at most a chunk
  std::int64_t network_calls() const { return plan_.network_calls; }  // of a batch

  // [n,D] for ids [n], n <= batch(). Of z [n,D] the slices of the given set are read; it may be undefined if
  // the set is empty. ids identify the samples: a sample depends on its id, the seed and its own z alone.
  Tensor operator()(const Tensor& z, std::span<const std::int32_t> ids, const SamplerProgress& progress = {});

 private:
  const Model& model_;
  Subset given_;
  SamplerPlan plan_;
  std::int64_t batch_;
  Tensor table_, scalars_, mask_;
  ScoreFunction score_;
  PhiloxNoise noise_;
  std::unique_ptr<Sampler> sampler_;
};

}  // namespace mld
