#include <algorithm>
#include <charconv>
#include <map>

#include "data/formats/image_io.h"
#include "data/importers/import.h"
#include "data/sources/input_folder.h"
#include "data/sources/picture_items.h"
#include "data/sources/polymnist.h"
#include "data/store/store_writer.h"
#include "engine/base/error.h"
#include "engine/base/names.h"
#include "engine/io/file_error.h"
#include "engine/io/files.h"

namespace mld::data {
namespace {

namespace fs = std::filesystem;

constexpr PictureSize kSize{kDigitSide, kDigitSide, 3};

// I.DIGIT of a file's name.
struct Key {
  std::int64_t index;
  std::int32_t digit;
  auto operator<=>(const Key&) const = default;
};

Key parse_name(const fs::path& path) {
  const std::string stem = path.stem().string();
  Key key{};
  const char *const begin = stem.data(), *const end = begin + stem.size();
  const auto [dot, error] = std::from_chars(begin, end, key.index);
  const bool digit = end - dot == 2 && *dot == '.' && dot[1] >= '0' && dot[1] <= '9';
  // As numbers are written, so that no two names mean the same.
  const bool plain =
      error == std::errc() && key.index >= 0 && std::to_string(key.index).size() + 2 == stem.size();
  MLD_CHECK_AS(
      ErrorKind::data, digit && plain, path.string(),
      ": its name does not say which digit it shows; expected INDEX.DIGIT.png, such as 17.3.png. Rename it "
      "or move it elsewhere");
  key.digit = dot[1] - '0';
  return key;
}

struct Folder {
  std::map<Key, fs::path> pictures;
  std::vector<std::string> other;
};

Folder list_pictures(const fs::path& path) {
  Folder folder;
  for (const fs::path& file : list_folder(path)) {
    const std::string name = file.filename().string();
    if (name.starts_with('.')) continue;
    if (file.extension() == ".png")
      folder.pictures.emplace(parse_name(file), file);
    else
      folder.other.push_back(name);
  }
  return folder;
}

// The first of `a` that `b` lacks.
const fs::path* missing_in(const Folder& a, const Folder& b) {
  for (const auto& [key, path] : a.pictures)
    if (!b.pictures.contains(key)) return &path;
  return nullptr;
}

// SPLIT/m0, SPLIT/m1, ... with the same names in each.
std::vector<Folder> list_split(const fs::path& split, std::vector<std::string>& notes) {
  std::vector<Folder> modalities;
  std::vector<std::string> read;
  for (int m = 0; is_folder(split / cat("m", m)); ++m) {
    read.push_back(cat("m", m));
    const fs::path path = split / read.back();
    modalities.push_back(list_pictures(path));
    note_names(path, modalities.back().other, notes);
    const auto differs = [&](const fs::path& there, const fs::path& folder) {
      fail(ErrorKind::data, folder.string(), ": has no ", quote(there.filename().string()), ", which ",
           there.parent_path().string(), " has; files of one name in all modalities are a sample");
    };
    if (const fs::path* there = missing_in(modalities[0], modalities.back())) differs(*there, path);
    if (const fs::path* there = missing_in(modalities.back(), modalities[0])) differs(*there, split / "m0");
  }
  MLD_CHECK_AS(ErrorKind::data, !modalities.empty() && !modalities[0].pictures.empty(), split.string(),
               ": no pictures; expected m0/INDEX.DIGIT.png, m1/INDEX.DIGIT.png and so on");
  note_unread(split, read, notes);
  return modalities;
}

Picture read_item(const fs::path& path) {
  Picture picture = as_rgb(read_picture(path));
  MLD_CHECK_AS(ErrorKind::data, picture.size == kSize, path.string(), ": ", picture.size.height, " x ",
               picture.size.width, " pixels, expected ", kDigitSide, " x ", kDigitSide);
  return picture;
}

std::vector<fs::path> paths_of(const Folder& folder) {
  std::vector<fs::path> paths;
  for (const auto& [key, path] : folder.pictures) paths.push_back(path);
  return paths;
}

}  // namespace

std::vector<std::string> import_polymnist(const fs::path& folder, const fs::path& out,
                                          const FolderImport& options) {
  StoreWriter writer(out);
  std::vector<std::string> notes;
  std::map<std::string, std::vector<Folder>> splits;
  std::int64_t pictures = 0;
  Provenance provenance{"polymnist", 0, {}};
  for (const char* split : {"train", "test"}) {
    MLD_CHECK_AS(ErrorKind::data, is_folder(folder / split), (folder / split).string(),
                 ": no such folder; expected the folders train and test of PolyMNIST");
    splits[split] = list_split(folder / split, notes);
    for (std::size_t m = 0; m < splits[split].size(); ++m) {
      const std::vector<fs::path> paths = paths_of(splits[split][m]);
      provenance.sources.push_back(describe_sources(cat(split, "/m", m, "/*.png"), paths));
      pictures += std::ssize(paths);
    }
  }
  note_unread(folder, {"train", "test"}, notes);
  const std::size_t modalities = splits["train"].size();
  MLD_CHECK_AS(ErrorKind::data, splits["test"].size() == modalities, folder.string(), ": train has ",
               modalities, " modalities and test has ", splits["test"].size());
  writer.describe(describe_polymnist(static_cast<int>(modalities), std::move(provenance)));
  PictureItems reader(writer, options, read_item, pictures);
  for (const char* split : {"train", "test"}) {
    std::vector<std::int32_t> digits, index, labels;
    for (const auto& [key, path] : splits[split][0].pictures) digits.push_back(key.digit);
    std::vector<std::vector<std::int32_t>> items;
    for (std::size_t m = 0; m < modalities; ++m)
      items.push_back(reader.add(split, static_cast<int>(m), paths_of(splits[split][m]), digits));
    for (std::size_t row = 0; row < digits.size(); ++row) {
      std::vector<std::int32_t> sample;
      for (const auto& of_modality : items) sample.push_back(of_modality[row]);
      const auto holes = std::ranges::count(sample, -1);
      if (holes == std::ssize(sample) || (holes > 0 && options.on_bad == OnBad::skip)) continue;
      index.insert(index.end(), sample.begin(), sample.end());
      labels.push_back(digits[row]);
    }
    writer.set_samples(split, index, labels);
  }
  reader.note_remarks(notes);
  writer.commit();
  return notes;
}

}  // namespace mld::data
