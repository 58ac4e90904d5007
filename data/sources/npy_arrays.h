// The arrays of one split: opened, compared with the training split's, and looked through for holes.
// Private to the data room.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/formats/npy.h"
#include "data/sources/input_folder.h"
#include "data/sources/npy_spec.h"

namespace mld::data {

// One modality of one folder of arrays.
struct NpyColumn {
  NpyArray values;
  std::vector<bool> hole;  // per sample
  bool any = false;        // of a kind of floats, and some are there: from min to max
  float min = 0, max = 0;
};

struct NpyPart {
  std::string name;
  std::int64_t samples = 0;
  std::vector<NpyColumn> columns;
  std::vector<std::int32_t> labels;  // empty: unknown
};

// Opens the arrays of one split; the first one is the training split, whose arrays define the modalities.
NpyPart read_part(const std::filesystem::path& folder, const SplitFiles& files, NpySpec& spec);

}  // namespace mld::data
