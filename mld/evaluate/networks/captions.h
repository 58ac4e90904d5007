// CLIP-S of a model that has colour images and captions (docs/method.md section 18.3).
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/store/store.h"
#include "mld/evaluate/networks/clip.h"
#include "mld/evaluate/networks/clip_score.h"
#include "mld/run/model.h"

namespace mld {

class Captions {
 public:
  // Nothing if the model has no such pair of modalities; nothing and a note if CLIP's files are not there.
  static std::optional<Captions> find(const Model& model, const data::Store& store,
                                      const std::filesystem::path& weights, std::vector<std::string>& notes);

  int image() const { return image_; }
  int caption() const { return caption_; }
  // Adds the pairs of images [n,H,W,3] and captions i32 [n, positions] whose row is in `keep`.
  void add(const Tensor& images, const Tensor& captions, const std::vector<std::int64_t>& keep,
           ClipScore& score) const;
  std::string hash() const;  // of weights and tokenizer

 private:
  Captions() = default;

  int image_ = 0, caption_ = 0;
  data::ValueRange range_;
  std::vector<std::string> words_;
  std::shared_ptr<const Clip> clip_;
};

}  // namespace mld
