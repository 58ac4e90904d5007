// The encodings of a run's training split, kept in latents.safetensors of the run: stage 2 then goes on
// without encoding every item again, and without reading any. They carry the fingerprint of the data and the
// content of each autoencoder; those of others are encoded anew and replaced. They are as the device and the
// precision of the call that first needed them made them.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "engine/core/tensor.h"

namespace mld {

struct LatentSource {
  std::string modality;
  std::string content;     // of its autoencoder, nn::content_hash
  std::int64_t items = 0;  // of the split
  std::int64_t dim = 0;
  std::function<Tensor()> encode;  // [items, dim] on the cpu, not standardised
};

// Of every source, in their order: from the file if it is of these data and autoencoders, else encoded and
// written. Of data without a fingerprint nothing is kept. Said through `note`: a damaged file, which is
// replaced, and one that cannot be written. ErrorKind::diverged if an encoding is not finite.
std::vector<Tensor> kept_latents(const std::filesystem::path& file, const std::string& fingerprint,
                                 const std::vector<LatentSource>& sources,
                                 const std::function<void(const std::string&)>& note);

}  // namespace mld
