// The rows of a split that an evaluation uses, numbered 0 .. count() - 1 in the order of the split: which
// items they are, which of them share an item, what they count for.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "data/store/store.h"
#include "engine/core/tensor.h"
#include "mld/diffusion/subsets.h"

namespace mld {

class EvaluationRows {
 public:
  using Labels = std::vector<std::int32_t>;

  // columns: of each modality of the model its place in the store; samples as in draw_rows.
  EvaluationRows(const data::Split& split, std::span<const int> columns, std::int64_t samples);

  std::int64_t count() const { return static_cast<std::int64_t>(labels_.size()); }
  const Labels& ids() const { return ids_; }  // row of the split
  const Labels& labels() const { return labels_; }
  const Labels& items(int i) const { return items_[static_cast<std::size_t>(i)]; }  // -1 is a hole
  // Of each row the first that has the same item of modality i; a hole is like no other.
  std::span<const std::int64_t> first_rows(int i) const { return first_rows_[static_cast<std::size_t>(i)]; }
  std::int64_t distinct(int i) const { return distinct_[static_cast<std::size_t>(i)]; }  // items
  const std::vector<std::int64_t>& distinct() const { return distinct_; }
  // Rows whose samples are not independent when they are generated from these modalities: for each row the
  // first one with the same item, of the given modality with the fewest items.
  std::vector<std::int64_t> clusters(Subset given) const;

  bool has_all(Subset needed, std::int64_t row) const;
  // Labels of the rows that have everything in `needed`; -1 (not counted) for the others.
  Labels labels_with(Subset needed) const;
  Labels labels_of_items(int i) const;                               // of the different items of a modality
  std::vector<std::int64_t> of_classes(std::int64_t classes) const;  // number of rows of each class
  bool labelled() const;                                             // any of them

  // At most n of the rows that have everything in `needed`, a stratified draw of them.
  std::vector<std::int64_t> draw(Subset needed, std::int64_t n, std::string_view stream) const;

 private:
  Labels ids_, labels_;
  std::vector<Labels> items_;
  std::vector<std::vector<std::int64_t>> first_rows_;
  std::vector<std::int64_t> distinct_;
};

// Rows of z [N,D], in that order.
Tensor rows_of(const Tensor& z, std::span<const std::int64_t> rows);

}  // namespace mld
