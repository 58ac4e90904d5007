// Embedding: the whole of inference behind one class, for programs that know nothing of tensors. Opens a run
// directory or an exported file; generates any subset of modalities given any other.
//
//   mld::Generator model = mld::Generator::open("model.safetensors");
//   auto digits = model.sample(16);                                    // everything, jointly
//   auto sounds = model.sample(16, {{"image", pictures}});             // the rest, given pictures
//
// Values are floats, one sample after the other, channels last: images [height,width,channels], spectrograms
// [frames,mels], series [length,channels], vectors [n]; tokens and categories are whole numbers. Values of another scale than the
// training data's are refused. Errors are mld::Error. Not thread-safe: one Generator per thread, or a lock.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/error.h"

namespace mld {

class Generator {
 public:
  struct Modality {
    std::string name, kind;           // kind: image, vector, series, spectrogram, tokens, categorical
    std::vector<std::int64_t> shape;  // of one sample
    std::int64_t size = 0;            // number of values of one sample
    std::int64_t latent = 0;          // size of its latent
  };
  using Values = std::vector<float>;              // [n, size]
  using Samples = std::map<std::string, Values>;  // by modality

  struct Options {
    std::uint64_t seed = 0;
    // As the run was configured where empty or 0 (mld/diffusion/sampler_plan.h). method: "em", "dpm",
    // "dpm_sde" or "heun". A jump longer than the steps is an error; a configured one is left out.
    std::string method = {};
    int steps = 0, jump = 0, resample = 0;
    std::optional<double> churn = {};     // of dpm_sde
    std::optional<double> guidance = {};  // of networks that have learnt to do without modalities
    // (done, total) network calls; returning false ends the call with mld::Cancelled.
    std::function<bool(std::int64_t done, std::int64_t total)> progress = {};
  };

  static Generator open(const std::string& path);
  ~Generator();
  Generator(Generator&&) noexcept;
  Generator& operator=(Generator&&) noexcept;

  const std::vector<Modality>& modalities() const;

  // n samples of every modality that is not given; `given` holds n samples of each modality it names. Sample
  // k depends on the seed, k and its own conditions alone.
  Samples sample(std::int64_t n, const Samples& given, const Options& options) const;
  Samples sample(std::int64_t n, const Samples& given = {}) const { return sample(n, given, Options()); }

  // The same in the memory of a batch, whatever n: `each` receives samples first .. first + n - 1 and their
  // conditions, batch after batch in order; `given` yields the conditions [n, size] of these.
  using Reader = std::function<Values(std::int64_t first, std::int64_t n)>;
  using Sink = std::function<void(std::int64_t first, std::int64_t n, const Samples& samples)>;
  void sample_each(std::int64_t n, const std::map<std::string, Reader>& given, const Options& options,
                   const Sink& each) const;

  // Latents [n, latent], standardised: what the diffusion works on.
  Values encode(const std::string& modality, const Values& values) const;
  Values decode(const std::string& modality, const Values& latents) const;

 private:
  struct Impl;
  explicit Generator(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mld
