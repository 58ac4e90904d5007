// Does a drawn path follow the stroke of the image beside it? Of models that have the two.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "mld/evaluate/evaluation.h"
#include "mld/run/model.h"

namespace mld {

class PenPair {
 public:
  // Nothing if the model has no image and drawn path of one digit.
  static std::optional<PenPair> find(const Model& model);

  int image() const { return image_; }
  int path() const { return path_; }
  // Adds the pairs among values [n, sample...] of all modalities whose row is in `keep`.
  void add(const std::vector<Tensor>& values, const std::vector<std::int64_t>& keep);
  // Of what was added since the last call; nothing of fewer than two pairs.
  std::optional<PenAgreement> take(const std::string& how);

 private:
  PenPair() = default;

  int image_ = -1, path_ = -1;
  data::ValueRange original_;  // of the path
  std::vector<double> agreements_;
};

}  // namespace mld
