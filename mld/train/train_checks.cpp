#include "mld/train/train_checks.h"

#include "mld/modality/autoencoders.h"
#include "mld/modality/item_feed.h"
#include "mld/modality/phrase_classifier.h"

namespace mld {
namespace {

// Errors of networks know shapes and not whose they are.
template <class Check>
void check_of(const std::string& modality, Check&& check) {
  try {
    check();
  } catch (const Error& error) {
    const std::string text = error.what();
    if (text.starts_with("modality ")) throw;
    fail(error.kind(), "modality '", modality, "': ", text);
  }
}

}  // namespace

void check_networks(const Method& method, const TrainingData& data,
                    const std::function<bool(const StageId&)>& chosen) {
  const std::vector<StageId> stages = method.stages();
  const data::Description& description = data.store.description();
  for (std::size_t i = 0; i < data.columns.size(); ++i) {
    const ModalityConfig& m = data.config.modalities[i];
    for (const StageId& stage : stages)
      if (stage.modality == m.name) check_of(m.name, [&] { method.check(stage, data, chosen(stage)); });
    if (m.classifier == ClassifierKind::phrases)
      check_of(m.name, [&] { PhraseClassifier::check(m, data.info(i), description); });
    if (is_trained(m.classifier) && description.classes > 0)
      check_of(m.name, [&] {
        make_classifier(m, data.info(i), description);
        augmentation(m, m.classifier_training, data.info(i));
      });
  }
  for (const StageId& stage : stages)
    if (stage.generates()) method.check(stage, data, chosen(stage));
}

std::string why_no_classifier(const ModalityConfig& m, const data::Store& store) {
  if (!is_trained(m.classifier)) return {};
  if (store.description().classes < 2) return "the data have no labels";
  const int index = store.description().modality(m.name);
  if (items_to_draw(store.split("train"), index, m.classifier_training.sampling, true).empty())
    return "none of its items in split 'train' has a label";
  return {};
}

}  // namespace mld
