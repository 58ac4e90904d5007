// What the importer of arrays is told about their modalities: modalities.json, or else the names of the files.
// Private to the data room.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/formats/npy.h"
#include "data/sources/input_folder.h"
#include "data/store/description.h"

namespace mld::data {

inline constexpr const char* kTrain = "train";

// What is known of a modality before its arrays are opened.
struct WantedModality {
  Modality modality;
  bool kind_given = false, range_given = false;
  NpyType type{};  // of the training array
};

struct NpySpec {
  std::string name;
  std::int64_t classes = -1;  // -1: from the labels
  std::vector<Attribute> attributes;
  std::vector<WantedModality> modalities;
};

NpySpec read_spec(const std::filesystem::path& path);
// All arrays of the training split, which the other splits must have as well.
NpySpec infer_spec(const InputFolder& input);

}  // namespace mld::data
