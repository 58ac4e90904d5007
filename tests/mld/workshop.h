// What tests of whole runs work with: a store of a few drawn digits, and a configuration of a few steps.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/digits/digits.h"
#include "data/importers/import.h"
#include "mld/config/config.h"
#include "tests/nn/helpers.h"

namespace mld::test {

inline mld::Config tiny_config(const std::filesystem::path& store, std::vector<std::string> more = {}) {
  mld::ConfigSources sources;
  sources.preset = "digits";
  sources.settings = {"data.store=" + store.string(),
                      "stage1.steps=5",
                      "stage1.batch=16",
                      "classifier_training.steps=5",
                      "classifier_training.batch=16",
                      "score.steps=7",
                      "score.batch=16",
                      "score.width=32",
                      "score.time_dim=16",
                      "run.log_every=2",
                      "run.checkpoint_every=0",
                      "sampler.steps=12",
                      "sampler.jump=3",
                      "sampler.resample=2"};
  sources.settings.insert(sources.settings.end(), more.begin(), more.end());
  return mld::resolve_config(sources);
}

// A store of 48 + 24 digits and a folder for runs.
struct Workshop {
  mld::test::TempFolder folder;
  std::filesystem::path store;
  Workshop() : store(folder / "store") {
    mld::data::write_digits(mld::data::make_digits({.seed = 3, .train = 48, .test = 24}), store, 3);
  }
};

}  // namespace mld::test
