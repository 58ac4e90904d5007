#include "mld/evaluate/pen.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "data/pictures/render.h"

namespace mld {

std::optional<PenPair> PenPair::find(const Model& model) {
  PenPair pair;
  for (int i = 0; i < model.modalities(); ++i) {
    const data::Modality& info = model.info(i);
    if (info.pen_path && info.shape == Shape({data::kTrajectory}) && info.original_range) pair.path_ = i;
    if (info.kind == data::ModalityKind::image &&
        info.shape == Shape({data::kDigitSide, data::kDigitSide, 1}))
      pair.image_ = i;
  }
  if (pair.image_ < 0 || pair.path_ < 0) return std::nullopt;
  pair.original_ = *model.info(pair.path_).original_range;
  return pair;
}

void PenPair::add(const std::vector<Tensor>& values, const std::vector<std::int64_t>& keep) {
  for (const std::int64_t k : keep)
    agreements_.push_back(data::pen_image_agreement(
        values[static_cast<std::size_t>(image_)].rows(k, 1).span<float>(),
        values[static_cast<std::size_t>(path_)].rows(k, 1).span<float>(), original_));
}

std::optional<PenAgreement> PenPair::take(const std::string& how) {
  const std::vector<double> all = std::exchange(agreements_, {});
  const auto n = static_cast<double>(all.size());
  if (n < 2) return std::nullopt;
  double sum = 0, squares = 0;
  for (const double v : all) {
    sum += v;
    squares += v * v;
  }
  const double mean = sum / n;
  return PenAgreement{how, mean, std::sqrt(std::max(0.0, squares / n - mean * mean) / (n - 1)),
                      std::ssize(all)};
}

}  // namespace mld
