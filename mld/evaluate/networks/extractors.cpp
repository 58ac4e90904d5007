#include "mld/evaluate/networks/extractors.h"

#include <algorithm>
#include <memory>

#include "engine/ops/ops.h"
#include "mld/evaluate/networks/audio_embedding.h"
#include "mld/evaluate/networks/inception.h"
#include "mld/evaluate/networks/vggish.h"
#include "mld/evaluate/networks/weights.h"
#include "mld/modality/sample_io.h"

namespace mld {
namespace {

// Classifiers whose features the paper measures with (docs/method.md section 18.2).
bool defines_fmd(ClassifierKind kind) {
  return kind == ClassifierKind::mnist || kind == ClassifierKind::mhd_image ||
         kind == ClassifierKind::mhd_trajectory;
}

}  // namespace

bool is_colour_image(const data::Modality& info) {
  return info.kind == data::ModalityKind::image && info.shape[2] == 3;
}

Tensor to_unit(const Tensor& values, data::ValueRange range) {
  const double scale = 1.0 / static_cast<double>(range.max - range.min);
  return affine(values, scale, -scale * static_cast<double>(range.min)).value;
}

std::vector<Extractor> make_extractors(const Model& model, const std::filesystem::path& weights,
                                       std::uint64_t seed, std::vector<std::string>& notes) {
  std::vector<Extractor> all;
  const auto file_of = [&](const char* network, const std::string& metric, int modality) {
    const auto file = find_weights(weights, network);
    if (!file)
      notes.push_back(metric + " of " + model.modality(modality).name + " is left out: no " + network +
                      ".safetensors (docs/metric-weights.md)");
    return file;
  };
  std::shared_ptr<InceptionFeatures> inception;
  for (int i = 0; i < model.modalities(); ++i) {
    const data::Modality& info = model.info(i);
    if (model.has_classifier(i))
      all.push_back({i, defines_fmd(model.modality(i).classifier) ? "FMD" : "CFD", "classifier",
                     model.classifier_hash(i), model.feature_size(i),
                     [&model, i](const Tensor& values, std::int64_t) { return model.features(i, values); }});
    if (is_colour_image(info))
      if (const auto file = file_of("inception", "FID", i)) {
        if (!inception) inception = std::make_shared<InceptionFeatures>(*file, model.device());
        all.push_back({i, "FID", "inception", inception->weights_hash(), kInceptionFeatures,
                       [inception, range = info.range](const Tensor& values, std::int64_t) {
                         constexpr std::int64_t kImages = 16;  // 299 x 299 each
                         return map_rows(to_unit(values, range), kImages,
                                         [&](const Tensor& part) { return (*inception)(part); });
                       }});
      }
    if (audible(info))
      if (const auto file = file_of("vggish", "FAD", i)) {
        const auto vggish = std::make_shared<AudioEmbedding>(*file, model.device());
        all.push_back(
            {i, "FAD", "vggish", vggish->weights_hash(), kVggishFeatures,
             [vggish, seed, range = *info.original_range](const Tensor& values, std::int64_t first) {
               const Shape spectrograms{values.shape()[0], values.shape()[1], values.shape()[2]};
               return vggish->of_spectrograms(values.reshape(spectrograms), range, seed, first);
             }});
      }
  }
  return all;
}

}  // namespace mld
