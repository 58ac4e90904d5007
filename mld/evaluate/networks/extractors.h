// Networks whose features tell how good generated samples of a modality are (docs/method.md section 18.2):
// our classifiers (FMD where the paper defines it, CFD elsewhere), Inception for colour images (FID), VGGish
// for spectrograms of a second (FAD). The last two where their weights are.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "mld/run/model.h"

namespace mld {

struct Extractor {
  int modality = 0;
  std::string metric, name, hash;
  std::int64_t dim = 0;
  // Values [n, sample...] as networks have them -> features [n, dim]. `first`: number of the first of them,
  // for what is drawn at random.
  std::function<Tensor(const Tensor& values, std::int64_t first)> features;
};

bool is_colour_image(const data::Modality& info);
Tensor to_unit(const Tensor& values, data::ValueRange range);  // values of the range as values 0 to 1

// All that apply to the model. `notes` is told what is left out for want of weights.
std::vector<Extractor> make_extractors(const Model& model, const std::filesystem::path& weights,
                                       std::uint64_t seed, std::vector<std::string>& notes);

}  // namespace mld
