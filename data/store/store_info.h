// What is in a store, counted: for `mldctl data info`, reports, and the importers' own
// check of class balance.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/store/store.h"

namespace mld::data {

// Number of elements of each class; `unknown` counts the label -1.
struct ClassCounts {
  std::vector<std::int64_t> of_class;
  std::int64_t unknown = 0;
};

struct ModalityInfo {
  std::int64_t items = 0;
  std::int64_t used_items = 0;  // items that stand in at least one sample
  std::int64_t holes = 0;       // samples without this modality
  ClassCounts item_classes;
};

struct SplitInfo {
  std::string name;
  std::int64_t samples = 0;   // rows of the index: pairs, if the data are paired
  std::int64_t distinct = 0;  // rows of the first pairing
  std::int64_t complete = 0;  // samples without a hole
  ClassCounts sample_classes;
  std::vector<ModalityInfo> modalities;
};

struct StoreInfo {
  Description description;
  std::vector<SplitInfo> splits;
};

StoreInfo inspect(const Store& store);
// For people: a few lines per split, with a table of classes if the data have labels.
std::string to_text(const StoreInfo& info);
// For machines: dataset.json's content under "description", the counts under "splits".
std::string to_json(const StoreInfo& info);

}  // namespace mld::data
