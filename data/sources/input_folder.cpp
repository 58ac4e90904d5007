#include "data/sources/input_folder.h"

#include <algorithm>
#include <map>

#include "data/formats/mmap_file.h"
#include "data/text/text_lines.h"
#include "engine/base/error.h"
#include "engine/base/names.h"
#include "engine/io/crc32.h"
#include "engine/io/file_error.h"
#include "engine/io/files.h"
#include "engine/threads/threads.h"

namespace mld::data {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string> kSplits{"train", "test", "valid"};
constexpr const char* kArray = ".npy";
constexpr const char* kMask = ".mask";

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::vector<fs::path> visible(const fs::path& folder) {
  std::vector<fs::path> paths = list_folder(folder);
  std::erase_if(paths, [](const fs::path& path) { return path.filename().string().starts_with('.'); });
  return paths;
}

bool is_array(const fs::path& path) { return path.extension() == kArray; }

bool holds_arrays(const fs::path& folder) {
  const std::vector<fs::path> paths = visible(folder);
  return std::any_of(paths.begin(), paths.end(), is_array);
}

// Whether a name speaks of masks or labels, which must not be ignored.
bool is_telling(const std::string& stem) {
  const std::string name = lower(stem);
  return name.find("mask") != std::string::npos || name.find("label") != std::string::npos;
}

SplitFiles list_split(const fs::path& folder) {
  SplitFiles files{folder.filename().string(), {}, {}, {}, false};
  for (const fs::path& path : visible(folder)) {
    const std::string stem = path.stem().string();
    if (!is_array(path))
      files.other.push_back(path.filename().string());
    else if (stem == "labels")
      files.labels = true;
    else if (stem.ends_with(kMask))
      files.masks.push_back(stem.substr(0, stem.size() - std::string_view(kMask).size()));
    else
      files.arrays.push_back(stem);
  }
  return files;
}

std::string suggestion(const std::string& name, const std::vector<std::string>& candidates,
                       const std::string& ending) {
  const std::string near = nearest(name, candidates);
  return near.empty() ? "" : ", did you mean " + near + ending + "?";
}

// What of one split nobody reads.
void check_split(const InputFolder& input, const SplitFiles& split,
                 const std::vector<std::string>& modalities, std::vector<std::string>& unread) {
  const auto place = [&](const std::string& file) { return (input.path / split.name / file).string(); };
  for (const std::string& mask : split.masks) {
    if (contains(modalities, mask)) continue;
    MLD_CHECK_AS(ErrorKind::data, contains(split.arrays, mask), place(mask + kMask + kArray),
                 ": a mask of no modality", suggestion(mask, modalities, std::string(kMask) + kArray),
                 "; the modalities are ", join(modalities));
    unread.push_back(split.name + "/" + mask + kMask + kArray);
  }
  for (const std::string& array : split.arrays) {
    if (contains(modalities, array)) continue;
    MLD_CHECK_AS(ErrorKind::data, !is_telling(array), place(array + kArray),
                 ": is no modality; masks are called NAME.mask.npy, the classes of the samples labels.npy. "
                 "Rename it or move it elsewhere");
    unread.push_back(split.name + "/" + array + kArray);
  }
  for (const std::string& file : split.other) {
    const std::string stem = lower(fs::path(file).stem().string());
    MLD_CHECK_AS(
        ErrorKind::data, stem != "label" && stem != "labels" && !stem.ends_with(kMask), place(file),
        ": is not read; masks are called NAME.mask.npy, the classes of the samples labels.npy. Save it "
        "so or move it elsewhere");
    unread.push_back(split.name + "/" + file);
  }
}

}  // namespace

bool SplitFiles::has_mask(const std::string& modality) const { return contains(masks, modality); }

bool InputFolder::has(const std::string& split) const {
  return std::any_of(splits.begin(), splits.end(), [&](const SplitFiles& s) { return s.name == split; });
}

InputFolder list_input(const fs::path& folder) {
  MLD_CHECK_AS(ErrorKind::data, !path_exists(folder) || is_folder(folder), folder.string(),
               ": is a file, expected a folder with train/NAME.npy");
  InputFolder input{folder, {}, {}};
  for (const std::string& split : kSplits) {
    MLD_CHECK_AS(ErrorKind::data, split != "train" || is_folder(folder / split), (folder / split).string(),
                 ": no such folder; put the training arrays there");
    if (is_folder(folder / split)) input.splits.push_back(list_split(folder / split));
  }
  for (const fs::path& path : visible(folder)) {
    const std::string name = path.filename().string();
    const bool folder_here = is_folder(path);
    if (folder_here && contains(kSplits, name)) continue;
    MLD_CHECK_AS(ErrorKind::data, !folder_here || !holds_arrays(path), path.string(),
                 ": a folder of arrays that is no split", suggestion(name, kSplits, ""), "; those read are ",
                 join(kSplits), ". Rename it or move it elsewhere");
    MLD_CHECK_AS(ErrorKind::data, !is_array(path) || !is_telling(path.stem().string()), path.string(),
                 ": masks and labels lie beside the arrays, in ", (folder / "train").string(),
                 "; move it there");
    input.other.push_back(name);
  }
  return input;
}

void check_unread(const InputFolder& input, const std::vector<std::string>& modalities,
                  const std::vector<std::string>& read, std::vector<std::string>& notes) {
  std::vector<std::string> unread;
  for (const std::string& name : input.other)
    if (!contains(read, name)) unread.push_back(name);
  for (const SplitFiles& split : input.splits) check_split(input, split, modalities, unread);
  note_names(input.path, unread, notes);
}

void note_names(const fs::path& folder, const std::vector<std::string>& unread,
                std::vector<std::string>& notes) {
  constexpr std::size_t kShown = 8;
  if (unread.empty()) return;
  const auto shown = std::span(unread).first(std::min(unread.size(), kShown));
  std::string text = folder.string() + ": not read: " + join(shown);
  if (unread.size() > kShown) text += cat(" and ", unread.size() - kShown, " more");
  notes.push_back(std::move(text));
}

void note_unread(const fs::path& folder, const std::vector<std::string>& read,
                 std::vector<std::string>& notes) {
  std::vector<std::string> unread;
  for (const fs::path& path : visible(folder))
    if (!contains(read, path.filename().string())) unread.push_back(path.filename().string());
  note_names(folder, unread, notes);
}

SourceFile describe_sources(const std::string& name, std::span<const fs::path> files) {
  struct Sum {
    std::uint32_t crc;
    std::int64_t bytes;
  };
  std::vector<Sum> sums(files.size());
  parallel_for(std::ssize(files), [&](std::int64_t i) {
    const MmapFile file(files[static_cast<std::size_t>(i)]);
    sums[static_cast<std::size_t>(i)] = {crc32(std::as_bytes(file.bytes())), std::ssize(file.bytes())};
  });
  Sum all{0, 0};
  for (const Sum& sum : sums) all = {crc32_joined(all.crc, sum.crc, sum.bytes), all.bytes + sum.bytes};
  return {cat(name, " (", files.size(), " files)"), all.bytes, crc_text(all.crc)};
}

std::vector<std::string> read_vocabulary(const fs::path& path, std::int64_t categories,
                                         std::vector<std::string>& notes) {
  std::vector<std::string> tokens = text_lines(MmapFile(path).text(), path.string());
  std::map<std::string_view, std::size_t> lines;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const auto [first, added] = lines.emplace(tokens[i], i + 1);
    if (!added && notes.size() < 20)
      notes.push_back(
          cat(path.string(), ": lines ", first->second, " and ", i + 1, " are both ", quote(tokens[i])));
  }
  MLD_CHECK_AS(ErrorKind::data, std::ssize(tokens) == categories, path.string(), ": holds ", tokens.size(),
               " tokens, expected ", categories, " as \"categories\" in modalities.json; write one per line");
  return tokens;
}

}  // namespace mld::data
