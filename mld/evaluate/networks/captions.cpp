#include "mld/evaluate/networks/captions.h"

#include <algorithm>

#include "data/text/vocabulary.h"
#include "mld/evaluate/networks/extractors.h"
#include "mld/evaluate/networks/weights.h"

namespace mld {

std::optional<Captions> Captions::find(const Model& model, const data::Store& store,
                                       const std::filesystem::path& weights,
                                       std::vector<std::string>& notes) {
  Captions found;
  found.image_ = found.caption_ = -1;
  for (int i = 0; i < model.modalities(); ++i) {
    const data::Modality& info = model.info(i);
    if (is_colour_image(info)) found.image_ = i;
    if (info.kind == data::ModalityKind::tokens && !info.vocabulary.empty()) found.caption_ = i;
  }
  if (found.image_ < 0 || found.caption_ < 0) return std::nullopt;
  const auto network = find_weights(weights, "clip");
  const auto merges = find_weight_file(weights, "bpe_simple_vocab_16e6.txt.gz");
  if (!network || !merges) {
    notes.push_back(
        "CLIP-S is left out: no clip.safetensors or bpe_simple_vocab_16e6.txt.gz (docs/metric-weights.md)");
    return std::nullopt;
  }
  found.range_ = model.info(found.image_).range;
  const int column = store.description().modality(model.modality(found.caption_).name);
  const auto words = store.vocabulary(column);
  found.words_.assign(words.begin(), words.end());
  found.clip_ = std::make_shared<const Clip>(*network, *merges, model.device());
  return found;
}

void Captions::add(const Tensor& images, const Tensor& captions, const std::vector<std::int64_t>& keep,
                   ClipScore& score) const {
  constexpr std::int64_t kPairs = 32;  // at a time through the towers
  const auto ids = captions.span<std::int32_t>();
  const auto length = static_cast<std::size_t>(captions.shape()[1]);
  Shape shape = images.shape();
  for (std::size_t first = 0; first < keep.size(); first += kPairs) {
    const std::size_t end = std::min(keep.size(), first + kPairs);
    shape[0] = static_cast<std::int64_t>(end - first);
    const Tensor batch = Tensor::empty(shape);
    std::vector<std::string> texts;
    for (std::size_t k = first; k < end; ++k) {
      batch.rows(static_cast<std::int64_t>(k - first), 1).copy_from(images.rows(keep[k], 1));
      texts.push_back(data::text_of(ids.subspan(static_cast<std::size_t>(keep[k]) * length, length), words_));
    }
    score.add(clip_->image_features(to_unit(batch, range_)), clip_->text_features(texts));
  }
}

std::string Captions::hash() const { return clip_->weights_hash() + "-" + clip_->tokenizer().hash(); }

}  // namespace mld
