// Small data sets of two vectors, a and b, whose values follow a class, and a configuration of a few steps
// for them: whole runs in a moment.
#pragma once

#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "data/formats/npy.h"
#include "data/importers/import.h"
#include "data/store/store.h"
#include "mld/config/config.h"

namespace mld::test {

struct VectorData {
  std::int64_t n = 24;
  std::int64_t width_b = 4;
  float shift = 0;       // of every value
  bool swapped = false;  // values of the two classes
  int classes = 2;       // 0: no labels
  std::function<bool(std::int64_t row)> without_b = {}, without_a = {};
};

inline void write_array(const std::filesystem::path& file, mld::DType type, const mld::Shape& shape,
                        const void* values, std::size_t bytes) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream out(file, std::ios::binary);
  out << mld::data::npy_header(mld::data::npy_type(type), shape);
  out.write(static_cast<const char*>(values), static_cast<std::streamsize>(bytes));
}

// Imports to `store`, by way of a folder beside it.
inline void make_vectors(const std::filesystem::path& store, const VectorData& data = {}) {
  const std::filesystem::path raw = store.string() + "-raw";
  for (const char* split : {"train", "test"}) {
    const auto vector = [&](const std::string& name, std::int64_t width, const auto& without) {
      std::vector<float> values;
      for (std::int64_t i = 0; i < data.n; ++i)
        for (std::int64_t j = 0; j < width; ++j)
          values.push_back(without && without(i)
                               ? std::nanf("")
                               : data.shift + static_cast<float>((i + (data.swapped ? 1 : 0)) % 2) +
                                     0.03f * static_cast<float>(j + i % 7));
      write_array(raw / split / (name + ".npy"), mld::DType::f32, {data.n, width}, values.data(),
                  values.size() * 4);
    };
    vector("a", 3, data.without_a);
    vector("b", data.width_b, data.without_b);
    if (data.classes == 0) continue;
    std::vector<std::int32_t> labels;
    for (std::int64_t i = 0; i < data.n; ++i) labels.push_back(static_cast<std::int32_t>(i % data.classes));
    write_array(raw / split / "labels.npy", mld::DType::i32, {data.n}, labels.data(), labels.size() * 4);
  }
  mld::data::import_npy(raw, store, {});
  std::filesystem::remove_all(raw);
}

inline mld::Config vector_config(const std::filesystem::path& store, std::vector<std::string> more = {}) {
  mld::ConfigSources sources;
  sources.settings = {"data.store=" + store.string(),
                      "stage1.steps=4",
                      "stage1.batch=8",
                      "stage1.schedule=constant",
                      "classifier_training.steps=4",
                      "classifier_training.batch=8",
                      "classifier_training.schedule=constant",
                      "score.steps=6",
                      "score.batch=8",
                      "score.schedule=constant",
                      "score.width=16",
                      "score.groups=4",
                      "score.time_dim=8",
                      "run.log_every=2",
                      "run.checkpoint_every=0",
                      "sampler.steps=4",
                      "sampler.jump=1",
                      "sampler.resample=1"};
  sources.settings.insert(sources.settings.end(), more.begin(), more.end());
  sources.describe = [](const std::string& name) { return mld::data::Store::open(name).description(); };
  return mld::resolve_config(sources);
}

}  // namespace mld::test
