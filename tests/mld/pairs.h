// Small stores of paired vectors and a model of them, for tests of what is done with labels,
// rows and pairings.
#pragma once

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "data/store/store.h"
#include "data/store/store_writer.h"
#include "mld/config/config.h"

namespace mld::test {

struct Pairs {
  std::int32_t classes = 3, per_class = 20;
  std::int32_t pairings = 1;    // `a` with other items of the class of `b`
  bool labelled = true;         // else classes are 0 and labels -1
  bool sorted = true;           // by class; else the classes take turns
  std::int32_t unlabelled = 0;  // of the rows of a pairing, the last
  std::int32_t dim = 3;
  std::vector<std::string> names{"a", "b"}, splits{"train", "test"};
  mld::data::ValueRange range{-1, 4};

  void write(const std::filesystem::path& folder) const {
    mld::data::Description description;
    description.name = "pairs";
    description.classes = labelled ? classes : 0;
    for (const std::string& name : names) {
      mld::data::Modality m;
      m.name = name;
      m.shape = {dim};
      m.range = range;
      description.modalities.push_back(m);
    }
    mld::data::StoreWriter writer(folder, description);
    const std::int32_t items = classes * per_class, modalities = static_cast<std::int32_t>(names.size());
    const auto class_of = [&](std::int32_t item) { return sorted ? item / per_class : item % classes; };
    for (const std::string& split : splits) {
      std::vector<std::int32_t> label, of_rows, index;
      for (std::int32_t i = 0; i < items; ++i)
        label.push_back(labelled && i < items - unlabelled ? class_of(i) : -1);
      for (std::int32_t m = 0; m < modalities; ++m) {
        std::vector<float> values;
        for (std::int32_t i = 0; i < items * dim; ++i)
          values.push_back(static_cast<float>(class_of(i / dim)) +
                           0.1F * static_cast<float>((i * (7 + 4 * m)) % 13) - 0.5F);
        writer.add_items(split, m, values);
        writer.set_item_labels(split, m, label);
      }
      const std::int32_t step = sorted ? 1 : classes;
      for (std::int32_t pairing = 0; pairing < pairings; ++pairing)
        for (std::int32_t i = 0; i < items; ++i) {
          const std::int32_t first = sorted ? i / per_class * per_class : 0,
                             length = sorted ? per_class : items;
          for (std::int32_t m = 0; m < modalities; ++m)
            index.push_back(m == 0 ? i : first + (i - first + step * pairing) % length);
          of_rows.push_back(label[static_cast<std::size_t>(i)]);
        }
      writer.set_samples(split, index, of_rows, pairings);
    }
    writer.commit();
  }
};

inline mld::Config pairs_config(const std::filesystem::path& store, std::vector<std::string> more = {}) {
  mld::ConfigSources sources;
  sources.settings = {"data.store=" + store.string(),
                      "stage1.steps=20",
                      "classifier_training.steps=20",
                      "score.steps=5",
                      "score.width=32",
                      "score.time_dim=16",
                      "sampler.steps=5"};
  sources.settings.insert(sources.settings.end(), more.begin(), more.end());
  sources.describe = [](const std::string& path) { return mld::data::Store::open(path).description(); };
  return mld::resolve_config(sources);
}

}  // namespace mld::test
