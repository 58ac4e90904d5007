// The real samples of a report: where they come from, and the rows of a split that are shown.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/store/store.h"
#include "mld/report/pictures.h"
#include "mld/report/report.h"
#include "mld/run/generate.h"

namespace mld::report {

class RealSamples {
 public:
  // Of the store that the request names or else the model was trained on, the split `test`, or `train` where
  // there is none. Without a store if none is named and the other is gone. ErrorKind::data for a store that
  // the model cannot read. The model must outlive it.
  RealSamples(const Model& model, const ReportRequest& request);

  bool has_store() const { return store_.has_value(); }
  const data::Split& split() const { return *split_; }
  std::vector<std::string> vocabulary(int i) const;  // empty without a store
  // Rows that are shown, which have every modality; none without a store, or where no sample has them all.
  const std::vector<std::int64_t>& rows() const { return rows_; }
  std::int64_t shown() const { return std::ssize(rows_); }
  // At most n rows that have modality i: a stratified draw.
  std::vector<std::int64_t> rows_with(int i, std::int64_t n) const;

  Tensor load(int i, const std::vector<std::int64_t>& rows) const;  // modality i, as networks take it
  const Samples& values() const { return values_; }  // of the rows shown, by name, as the store has them
  // A sentence where the store is known to be another one than that trained on.
  std::string other_data() const;

 private:
  int column(int i) const { return store_->description().modality(model_.info(i).name); }

  const Model& model_;
  std::optional<data::Store> store_;
  const data::Split* split_ = nullptr;
  std::vector<std::int64_t> rows_;
  Samples values_;
};

// "Jointly, nothing given" or "Given image and sound".
std::string title_of(Subset given, const std::vector<std::string>& names);
// For what the model draws and the real ones beside.
Gallery gallery_of(const Model& model, const RealSamples& real);

}  // namespace mld::report
