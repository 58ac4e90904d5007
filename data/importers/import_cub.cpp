#include <algorithm>
#include <array>
#include <map>

#include "data/formats/image_io.h"
#include "data/importers/import.h"
#include "data/sources/captions.h"
#include "data/sources/input_folder.h"
#include "data/sources/picture_items.h"
#include "engine/base/error.h"
#include "engine/io/files.h"

namespace mld::data {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kCaptionsPerPicture = 10;
constexpr int kImage = 0, kCaption = 1;

struct SplitSource {
  const char *name, *captions;
};
constexpr std::array kSources{SplitSource{"train", "text_trainvalclasses.txt"},
                              SplitSource{"test", "text_testclasses.txt"}};

struct Part {
  fs::path captions_path;
  std::vector<fs::path> pictures;    // in the order of classes and names
  std::vector<std::string> classes;  // of each
  std::vector<Words> captions;
};

fs::path find_captions(const fs::path& folder, const std::string& name) {
  for (const char* packed : {"", ".gz"})
    if (const fs::path path = folder / (name + packed); path_exists(path)) return path;
  fail(ErrorKind::data, (folder / name).string(),
       ": no such file; expected ten captions a picture, one a line");
}

void list_pictures(const fs::path& split, Part& part, std::vector<std::string>& notes) {
  MLD_CHECK_AS(ErrorKind::data, is_folder(split), split.string(),
               ": no such folder; expected a folder of pictures for each class of birds in it");
  std::vector<std::string> other;
  for (const fs::path& of_class : list_folder(split)) {
    const std::string name = of_class.filename().string();
    if (name.starts_with('.')) continue;
    if (!is_folder(of_class)) {
      other.push_back(name);
      continue;
    }
    std::vector<std::string> unread;
    for (const fs::path& file : list_folder(of_class)) {
      if (file.filename().string().starts_with('.')) continue;
      if (!is_picture_name(file)) {
        unread.push_back(file.filename().string());
        continue;
      }
      part.pictures.push_back(file);
      part.classes.push_back(name);
    }
    note_names(of_class, unread, notes);
  }
  note_names(split, other, notes);
  MLD_CHECK_AS(ErrorKind::data, !part.pictures.empty(), split.string(),
               ": no pictures; expected CLASS/NAME.jpg");
}

Part read_part(const fs::path& folder, const SplitSource& source, Provenance& provenance,
               std::vector<std::string>& notes) {
  Part part{find_captions(folder, source.captions), {}, {}, {}};
  list_pictures(folder / source.name, part, notes);
  part.captions = read_captions(part.captions_path, provenance);
  const auto pictures = std::ssize(part.pictures);
  MLD_CHECK_AS(ErrorKind::data, std::ssize(part.captions) == kCaptionsPerPicture * pictures,
               part.captions_path.string(), ": ", part.captions.size(), " captions for the ", pictures,
               " pictures in ", (folder / source.name).string(), ", expected ", kCaptionsPerPicture,
               " for each, in the order of their folders and names");
  provenance.sources.push_back(describe_sources(cat(source.name, "/*/*"), part.pictures));
  return part;
}

// Class folders by number, over all splits in the order of their names.
std::map<std::string, std::int32_t> number_classes(std::span<const Part> parts) {
  std::map<std::string, std::int32_t> numbers;
  for (const Part& part : parts)
    for (const std::string& name : part.classes) numbers[name] = 0;
  std::int32_t next = 0;
  for (auto& [name, number] : numbers) number = next++;
  return numbers;
}

Description describe(std::int64_t side, std::int64_t classes, Modality captions, Provenance provenance) {
  Description d;
  d.name = "cub";
  d.classes = classes;
  Modality image;
  image.name = "image";
  image.kind = ModalityKind::image;
  image.shape = {side, side, 3};
  image.dtype = DType::u8;
  d.modalities = {std::move(image), std::move(captions)};
  d.provenance = std::move(provenance);
  return d;
}

Picture read_item(const fs::path& path, std::int64_t side) {
  const PictureSize size{side, side, 3};
  Picture picture = as_rgb(read_picture(path));
  std::vector<float> values(picture.bytes.size());
  std::ranges::transform(picture.bytes, values.begin(),
                         [](std::uint8_t v) { return static_cast<float>(v) / 255; });
  Picture item = to_picture(resize_bilinear(values, picture.size, side, side), size);
  item.done = std::move(picture.done);
  return item;
}

}  // namespace

std::vector<std::string> import_cub(const fs::path& folder, const fs::path& out, const CubImport& options) {
  MLD_CHECK_AS(ErrorKind::usage, options.side >= 1 && options.side <= 1024, "import cub: pictures of ",
               options.side, " pixels, expected 1 to 1024");
  StoreWriter writer(out);
  std::vector<std::string> notes, read;
  Provenance provenance{"cub", 0, {}};
  std::vector<Part> parts;
  std::int64_t pictures = 0;
  for (const SplitSource& source : kSources) {
    parts.push_back(read_part(folder, source, provenance, notes));
    read.insert(read.end(), {source.name, parts.back().captions_path.filename().string()});
    pictures += std::ssize(parts.back().pictures);
  }
  note_unread(folder, read, notes);
  const auto numbers = number_classes(parts);
  const Vocabulary vocabulary = Vocabulary::of(parts[0].captions);
  writer.describe(describe(options.side, std::ssize(numbers), describe_captions(vocabulary, kCaptionLength),
                           std::move(provenance)));
  writer.set_vocabulary(kCaption, vocabulary.strings());
  PictureItems reader(
      writer, options.folder, [side = options.side](const fs::path& path) { return read_item(path, side); },
      pictures);
  for (std::size_t s = 0; s < kSources.size(); ++s) {
    const Part& part = parts[s];
    std::vector<std::int32_t> of_picture, of_caption, index, labels;
    for (const std::string& name : part.classes) {
      of_picture.push_back(numbers.at(name));
      of_caption.insert(of_caption.end(), kCaptionsPerPicture, of_picture.back());
    }
    const std::vector<std::int32_t> items = reader.add(kSources[s].name, kImage, part.pictures, of_picture);
    add_captions(writer, kSources[s].name, kCaption, vocabulary, part.captions, of_caption, kCaptionLength,
                 notes);
    for (std::int32_t c = 0; c < std::ssize(of_caption); ++c) {
      const std::int32_t item = items[static_cast<std::size_t>(c / kCaptionsPerPicture)];
      if (item < 0 && options.folder.on_bad == OnBad::skip) continue;
      index.insert(index.end(), {item, c});
      labels.push_back(of_caption[static_cast<std::size_t>(c)]);
    }
    MLD_CHECK_AS(ErrorKind::data, !labels.empty(), (folder / kSources[s].name).string(), ": none of its ",
                 part.pictures.size(), " pictures can be used; without --on-bad skip the first is named");
    writer.set_samples(kSources[s].name, index, labels);
  }
  reader.note_remarks(notes);
  writer.commit();
  return notes;
}

}  // namespace mld::data
