// Configurations that tests of them start from.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "mld/config/config.h"

namespace mld::test {

inline mld::Config with(std::vector<std::string> settings, const std::string& preset = "mnist-svhn") {
  mld::ConfigSources sources;
  sources.preset = preset;
  sources.settings = std::move(settings);
  return mld::resolve_config(sources);
}

// Data that no preset is made for.
inline mld::data::Description description() {
  using mld::data::ModalityKind;
  mld::data::Description d;
  d.classes = 10;
  const auto add = [&](const char* name, ModalityKind kind, mld::Shape shape) {
    mld::data::Modality& modality = d.modalities.emplace_back();
    modality.name = name;
    modality.kind = kind;
    modality.shape = shape;
  };
  add("photo", ModalityKind::image, {64, 64, 3});
  add("odd", ModalityKind::image, {15, 64, 1});
  add("sensor", ModalityKind::vector, {40});
  add("words", ModalityKind::tokens, {32});
  return d;
}

}  // namespace mld::test
