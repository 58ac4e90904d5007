// Where training and sampling take their Gaussian noise from: Philox in use, recorded arrays in tests that
// compare with another implementation.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/core/tensor.h"

namespace mld {

class NoiseSource {
 public:
  virtual ~NoiseSource() = default;
  // Fills out [B,D] with independent standard normals for draw `step` of `site`; step i32 [1] is read when
  // the work runs. rows i32 [B] identify the samples: a sample's values do not depend on the batch it is
  // drawn in.
  virtual void normal(const Tensor& out, std::uint32_t site, const Tensor& step, const Tensor& rows) = 0;
  // Whether a call may be recorded and replayed: its effect then depends on device memory alone.
  virtual bool recordable() const { return false; }
};

class PhiloxNoise : public NoiseSource {
 public:
  explicit PhiloxNoise(std::uint64_t seed) : seed_(seed) {}
  void normal(const Tensor& out, std::uint32_t site, const Tensor& step, const Tensor& rows) override;
  bool recordable() const override { return true; }

 private:
  std::uint64_t seed_;
};

// Hands out given arrays in the order of the calls; throws when they run out or do not fit.
class RecordedNoise : public NoiseSource {
 public:
  explicit RecordedNoise(std::vector<Tensor> draws) : draws_(std::move(draws)) {}
  void normal(const Tensor& out, std::uint32_t site, const Tensor& step, const Tensor& rows) override;

 private:
  std::vector<Tensor> draws_;
  std::size_t next_ = 0;
};

// Sites of the method's own draws; layers with randomness (dropout) count from kFirstLayerSite.
enum Site : std::uint32_t {
  kSiteSubset = 2,      // conditioning set
  kSiteTime = 3,        // training time
  kSiteNoise = 4,       // training noise
  kSiteInitial = 5,     // start of the sampler
  kSiteTransition = 6,  // its transitions
  kSiteGiven = 7,       // what brings given latents to a noise level
  kSitePartner = 8,     // items and encodings of a training row
  kSiteAbsent = 9,      // latents of modalities that guidance leaves out
  kSiteAugment = 10,    // changes of pictures, of a training step or of an encoding
  kSiteReference = 11,  // the modality by itself that a joint training row is compared with
  kSiteComponent = 12,  // of a mixture, that serves a row
  kSiteMessages = 13,   // modalities whose messages a row leaves out
  kSitePosterior = 32,  // and up to kMaxModalities above it: draws from posteriors of VAEs
  kFirstLayerSite = 64
};

}  // namespace mld
