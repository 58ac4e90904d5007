// What importers of files share: how far they are, and what becomes of what cannot be read.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace mld::data {

// Called with what is being read, made or written and how much of it is done.
using ImportProgress = std::function<void(const std::string& what, std::int64_t done, std::int64_t total)>;

// What becomes of a sample one of whose files cannot be read.
enum class OnBad : std::uint8_t {
  fail,    // the import fails
  skip,    // the sample is left out
  missing  // the sample lacks that modality
};

struct FolderImport {
  OnBad on_bad = OnBad::fail;
  ImportProgress progress = {};
};

}  // namespace mld::data
