#include "mld/report/real_samples.h"

#include <algorithm>

#include "mld/evaluate/choice/row_draw.h"
#include "mld/modality/item_feed.h"
#include "mld/run/model_data.h"
#include "mld/run/run_data.h"

namespace mld::report {
namespace {

// n samples of the first pairing that have modality `column`, or every one of them where it is negative: a
// stratified draw.
std::vector<std::int64_t> chosen_rows(const data::Split& split, int column, std::int64_t n) {
  std::vector<std::int64_t> rows;
  std::vector<std::int32_t> labels;
  for (std::int64_t row = 0; row < split.num_distinct(); ++row) {
    const bool there =
        column < 0 ? std::ranges::none_of(split.sample(row), [](std::int32_t item) { return item < 0; })
                   : split.item(row, column) >= 0;
    if (!there) continue;
    rows.push_back(row);
    labels.push_back(split.labels()[static_cast<std::size_t>(row)]);
  }
  std::vector<std::int64_t> chosen = stratified_draw(labels, n, "report");
  for (std::int64_t& k : chosen) k = rows[static_cast<std::size_t>(k)];
  return chosen;
}

}  // namespace

RealSamples::RealSamples(const Model& model, const ReportRequest& request) : model_(model) {
  const bool named = !request.data.empty();
  const auto trained = locate_store(model.config().data.store, request.run);
  if (!named && !trained) return;
  store_ = data::Store::open(named ? request.data : *trained);
  if (request.note && !store_->checked()) request.note(store_->unchecked_note());
  check_model_data(model, *store_);
  const bool test = store_->has_split("test") && store_->split("test").num_samples() > 0;
  split_ = &store_->split(test ? "test" : "train");
  rows_ = chosen_rows(*split_, -1, request.samples);
  if (rows_.empty()) return;
  for (int i = 0; i < model.modalities(); ++i) values_[model.info(i).name] = from_network(load(i, rows_));
}

std::vector<std::string> RealSamples::vocabulary(int i) const {
  if (!store_) return {};
  const auto words = store_->vocabulary(column(i));
  return {words.begin(), words.end()};
}

std::vector<std::int64_t> RealSamples::rows_with(int i, std::int64_t n) const {
  return chosen_rows(*split_, column(i), n);
}

Tensor RealSamples::load(int i, const std::vector<std::int64_t>& rows) const {
  std::vector<std::int32_t> items;
  for (const std::int64_t row : rows) items.push_back(split_->item(row, column(i)));
  return gather_items(*split_, column(i), store_->modality(column(i)), items);
}

std::string RealSamples::other_data() const {
  const std::string trained = model_.dataset().fingerprint, found = store_->description().fingerprint;
  if (trained.empty() || found.empty() || trained == found) return "";
  return cat(" They are of other data than the model was trained on (", store_->description().name, ").");
}

std::string title_of(Subset given, const std::vector<std::string>& names) {
  if (given == 0) return "Jointly, nothing given";
  std::string title = "Given";
  for (std::size_t i = 0; i < names.size(); ++i)
    if (contains(given, static_cast<int>(i))) title += cat(title == "Given" ? " " : " and ", names[i]);
  return title;
}

Gallery gallery_of(const Model& model, const RealSamples& real) {
  std::vector<data::Modality> infos;
  std::vector<std::vector<std::string>> words;
  for (int i = 0; i < model.modalities(); ++i) {
    infos.push_back(model.info(i));
    words.push_back(model.vocabulary(i).empty() ? real.vocabulary(i) : model.vocabulary(i));
  }
  return {std::move(infos), std::move(words)};
}

}  // namespace mld::report
