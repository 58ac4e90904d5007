#include "mld/train/train_checks.h"

#include <numeric>

#include "data/store/batch_order.h"
#include "mld/diffusion/score_model.h"
#include "mld/modality/autoencoders.h"
#include "mld/modality/item_feed.h"
#include "mld/train/stage.h"

namespace mld {
namespace {

// Errors of networks know shapes and not whose they are.
template <class Make>
void check_of(const ModalityConfig& m, Make&& make) {
  try {
    make();
  } catch (const Error& error) {
    const std::string text = error.what();
    if (text.starts_with("modality ")) throw;
    fail(error.kind(), "modality '", m.name, "': ", text);
  }
}

}  // namespace

void check_networks(const Config& config, const data::Store& store) {
  const data::Split& train = store.split("train");
  for (const ModalityConfig& m : config.modalities) {
    const int index = store.description().modality(m.name);
    check_of(m, [&] { make_autoencoder(m, store.modality(index)); });
    if (m.classifier != ClassifierKind::none && store.description().classes > 0)
      check_of(m, [&] { make_classifier(m, store.modality(index), store.description().classes); });
    MLD_CHECK_AS(ErrorKind::data, !items_to_draw(train, index, m.stage1.sampling, false).empty(),
                 "modality '", m.name,
                 "': no sample of split 'train' has it; leave it out of the configuration");
  }
  const ScoreModel score(config);
}

std::string why_no_classifier(const ModalityConfig& m, const data::Store& store) {
  if (m.classifier == ClassifierKind::none) return {};
  if (store.description().classes < 2) return "the data have no labels";
  const int index = store.description().modality(m.name);
  if (items_to_draw(store.split("train"), index, m.classifier_training.sampling, true).empty())
    return "none of its items in split 'train' has a label";
  return {};
}

std::vector<std::int32_t> statistics_rows(const Config& config, const data::Split& train) {
  if (config.score.latent_statistics == StatsOver::whole) {
    std::vector<std::int32_t> all(static_cast<std::size_t>(train.num_samples()));
    std::iota(all.begin(), all.end(), 0);
    return all;
  }
  const data::BatchOrder order(train.num_samples(), config.score.batch, stage_seed(config.seed, "score"));
  std::vector<std::int32_t> first(static_cast<std::size_t>(order.batch()));  // the score stage's
  order.rows(0, first);
  return first;
}

void check_statistics(const Config& config, const data::Store& store) {
  const data::Split& train = store.split("train");
  const std::vector<std::int32_t> rows = statistics_rows(config, train);
  for (const ModalityConfig& m : config.modalities) {
    const int index = store.description().modality(m.name);
    std::int64_t present = 0;
    for (const std::int32_t row : rows) present += train.item(row, index) >= 0;
    MLD_CHECK_AS(
        ErrorKind::data, present >= 2, "modality '", m.name, "': is in ", present, " of the ", rows.size(),
        " samples of split 'train' that its latents are standardised over; 2 are needed: import more, or "
        "leave it out of the configuration");
  }
}

std::int64_t steps_per_epoch(const data::Split& train, int modality, const StageConfig& stage,
                             bool labelled) {
  const auto items =
      static_cast<std::int64_t>(items_to_draw(train, modality, stage.sampling, labelled).size());
  return data::BatchOrder(items, stage.batch, 0).steps_per_epoch();
}

}  // namespace mld
