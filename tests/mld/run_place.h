// A small data set and a run on it that tests train, continue, look into and take apart.
#pragma once

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "engine/io/atomic_file.h"
#include "mld/run/model.h"
#include "mld/run/run_files.h"
#include "mld/train/train.h"
#include "tests/expect_error.h"
#include "tests/mld/vector_data.h"
#include "tests/temp_folder.h"

namespace mld::test {

namespace fs = std::filesystem;

struct More {
  mld::StageChoice stages = mld::StageChoice::all;
  fs::path reuse = {};
  bool resume = false, stop_here = false, retrain_score = false, other_data = false;
};

struct Place {
  TempFolder folder;
  fs::path store, out;
  std::vector<std::string> notes;
  mld::TrainHooks hooks;

  Place() : store(folder / "store"), out(folder / "run") {
    make_vectors(store);
    hooks.note = [this](const std::string& line) { notes.push_back(line); };
  }

  mld::StageEnd run(const fs::path& to, const std::vector<std::string>& settings, const More& more = {}) {
    return mld::train({.config = vector_config(store, settings),
                       .out = to,
                       .stages = more.stages,
                       .reuse = more.reuse,
                       .resume = more.resume,
                       .stop_here = more.stop_here,
                       .retrain_score = more.retrain_score,
                       .other_data = more.other_data},
                      hooks);
  }
  mld::StageEnd resume(const std::vector<std::string>& settings, More more = {}) {
    more.resume = true;
    return run(out, settings, more);
  }
  // Stops once `steps` steps are made in all stages together.
  void stop_after(int steps, const std::vector<std::string>& settings, const More& more = {}) {
    int left = steps;
    hooks.stop = [&] { return left-- <= 0; };
    CHECK(resume(settings, more) == mld::StageEnd::stopped);
    hooks.stop = {};
  }
  // Another store, for what follows; its fingerprint.
  std::string use_data(const std::string& name, const VectorData& data) {
    store = folder / name;
    make_vectors(store, data);
    return mld::data::Store::open(store).description().fingerprint;
  }
  bool noted(const std::string& text) const { return notes_with(text) > 0; }
  std::int64_t notes_with(const std::string& text) const {
    return std::ranges::count_if(notes, [&](const std::string& line) { return contains(line, text); });
  }
};

inline mld::StageRecord record(const fs::path& run, const std::string& part) {
  return mld::read_stage_record(run / (part + ".safetensors")).value();
}

// As programs of before wrote a checkpoint.
inline void strip(const fs::path& file, const std::vector<std::string>& keys) {
  mld::nn::rewrite_notes(file, [&](mld::Metadata& entries) {
    for (const std::string& key : keys) entries.erase(key);
  });
}

inline std::string everything(const fs::path& run) {
  std::string all;
  std::set<fs::path> files;
  for (const auto& entry : fs::directory_iterator(run)) files.insert(entry.path());
  for (const fs::path& file : files) all += file.filename().string() + "\n" + mld::read_text(file);
  return all;
}

}  // namespace mld::test
