#include "mld/evaluate/choice/evaluation_rows.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <unordered_map>

#include "mld/evaluate/choice/row_draw.h"

namespace mld {
namespace {

using Labels = EvaluationRows::Labels;

std::int64_t count_different(const Labels& items) {
  const std::set<std::int32_t> different(items.begin(), items.end());
  return std::ssize(different) - static_cast<std::int64_t>(different.contains(-1));  // a hole is no item
}

std::vector<std::int64_t> first_of_each(const Labels& items) {
  std::vector<std::int64_t> first;
  std::unordered_map<std::int32_t, std::int64_t> seen;
  for (std::int64_t row = 0; row < std::ssize(items); ++row) {
    const std::int32_t item = items[static_cast<std::size_t>(row)];
    first.push_back(item < 0 ? row : seen.try_emplace(item, row).first->second);
  }
  return first;
}

}  // namespace

EvaluationRows::EvaluationRows(const data::Split& split, std::span<const int> columns, std::int64_t samples) {
  const std::vector<std::int64_t> rows = draw_rows(split, samples);
  for (const std::int64_t row : rows) {
    ids_.push_back(static_cast<std::int32_t>(row));
    labels_.push_back(split.labels()[static_cast<std::size_t>(row)]);
  }
  for (const int column : columns) {
    Labels items;
    for (const std::int64_t row : rows) items.push_back(split.item(row, column));
    first_rows_.push_back(first_of_each(items));
    distinct_.push_back(count_different(items));
    items_.push_back(std::move(items));
  }
}

std::vector<std::int64_t> EvaluationRows::clusters(Subset given) const {
  int coarsest = -1;
  for (int i = 0; i < static_cast<int>(items_.size()); ++i)
    if (contains(given, i) && (coarsest < 0 || distinct(i) < distinct(coarsest))) coarsest = i;
  if (coarsest >= 0) return first_rows_[static_cast<std::size_t>(coarsest)];
  std::vector<std::int64_t> rows(static_cast<std::size_t>(count()));
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

bool EvaluationRows::has_all(Subset needed, std::int64_t row) const {
  for (std::size_t i = 0; i < items_.size(); ++i)
    if (contains(needed, static_cast<int>(i)) && items_[i][static_cast<std::size_t>(row)] < 0) return false;
  return true;
}

Labels EvaluationRows::labels_with(Subset needed) const {
  Labels labels = labels_;
  for (std::int64_t row = 0; row < count(); ++row)
    if (!has_all(needed, row)) labels[static_cast<std::size_t>(row)] = -1;
  return labels;
}

Labels EvaluationRows::labels_of_items(int i) const {
  Labels labels = labels_with(Subset{1} << i);
  for (std::size_t row = 0; row < labels.size(); ++row)
    if (first_rows(i)[row] != static_cast<std::int64_t>(row)) labels[row] = -1;
  return labels;
}

std::vector<std::int64_t> EvaluationRows::of_classes(std::int64_t classes) const {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(classes), 0);
  for (const std::int32_t label : labels_)
    if (label >= 0 && label < classes) ++counts[static_cast<std::size_t>(label)];
  return counts;
}

bool EvaluationRows::labelled() const {
  return std::ranges::any_of(labels_, [](std::int32_t label) { return label >= 0; });
}

std::vector<std::int64_t> EvaluationRows::draw(Subset needed, std::int64_t n, std::string_view stream) const {
  std::vector<std::int64_t> rows;
  Labels labels;
  for (std::int64_t row = 0; row < count(); ++row)
    if (has_all(needed, row)) {
      rows.push_back(row);
      labels.push_back(labels_[static_cast<std::size_t>(row)]);
    }
  std::vector<std::int64_t> drawn = stratified_draw(labels, n, stream);
  for (std::int64_t& k : drawn) k = rows[static_cast<std::size_t>(k)];
  return drawn;
}

Tensor rows_of(const Tensor& z, std::span<const std::int64_t> rows) {
  const Tensor out = Tensor::empty({std::ssize(rows), z.shape()[1]});
  for (std::int64_t k = 0; k < std::ssize(rows); ++k)
    out.rows(k, 1).copy_from(z.rows(rows[static_cast<std::size_t>(k)], 1));
  return out;
}

}  // namespace mld
