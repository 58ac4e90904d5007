// What lies in a folder of the user's arrays, told apart by name. Whatever starts with a dot is not seen.
// Private to the data room.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/store/description.h"

namespace mld::data {

// NAME of every NAME.npy and NAME.mask.npy of a split, and the names of the other files. Sorted.
struct SplitFiles {
  std::string name;
  std::vector<std::string> arrays, masks, other;
  bool labels = false;

  bool has_mask(const std::string& modality) const;
};

struct InputFolder {
  std::filesystem::path path;
  std::vector<SplitFiles> splits;  // "train" first, then "test" and "valid" where they are there
  std::vector<std::string> other;

  bool has(const std::string& split) const;
};

// ErrorKind::data if there is no training split, or if a folder of arrays has a name that no split has.
InputFolder list_input(const std::filesystem::path& folder);

// Adds one sentence that names what is not read: all but the arrays, masks and labels of `modalities` and the
// files `read`. Masks and labels that belong to nothing are an ErrorKind::data error, as their owner
// expects them to be used.
void check_unread(const InputFolder& input, const std::vector<std::string>& modalities,
                  const std::vector<std::string>& read, std::vector<std::string>& notes);

// Adds the sentence "FOLDER: not read: NAMES", unless there are none.
void note_names(const std::filesystem::path& folder, const std::vector<std::string>& unread,
                std::vector<std::string>& notes);

// Adds it for a folder that an importer takes named files from.
void note_unread(const std::filesystem::path& folder, const std::vector<std::string>& read,
                 std::vector<std::string>& notes);

// Many files of a provenance record as one, called `name` and how many they are: their bytes, one file after the other.
SourceFile describe_sources(const std::string& name, std::span<const std::filesystem::path> files);

// One token per line, UTF-8; a byte order mark, CR before LF and blank lines at the end are left out. Other
// blank lines, control characters, other encodings and another number of tokens than `categories` are
// ErrorKind::data errors; a token that occurs twice is a note.
std::vector<std::string> read_vocabulary(const std::filesystem::path& path, std::int64_t categories,
                                         std::vector<std::string>& notes);

}  // namespace mld::data
