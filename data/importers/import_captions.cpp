#include <array>

#include "data/importers/import.h"
#include "data/sources/captions.h"
#include "data/sources/test_rows.h"
#include "engine/base/error.h"

namespace mld::data {

std::vector<std::string> import_captions(const std::filesystem::path& file, const std::filesystem::path& out,
                                         const CaptionsImport& options) {
  const std::int64_t together = options.together;
  MLD_CHECK_AS(ErrorKind::usage, together >= 1, "import captions: ", together,
               " lines together, expected 1 or more");
  StoreWriter writer(out);
  Provenance provenance{"captions", options.seed, {}};
  const std::vector<Words> captions = read_captions(file, provenance);
  MLD_CHECK_AS(ErrorKind::data, std::ssize(captions) % together == 0, file.string(), ": ", captions.size(),
               " captions, which is no multiple of ", together);
  const std::array<std::vector<std::int32_t>, 2> groups =
      split_rows(std::ssize(captions) / together, options.test_fraction, options.seed);
  std::array<std::vector<Words>, 2> parts;
  for (std::size_t p = 0; p < parts.size(); ++p)
    for (const std::int32_t group : groups[p])
      parts[p].insert(parts[p].end(), captions.begin() + group * together,
                      captions.begin() + (group + 1) * together);

  const Vocabulary vocabulary = Vocabulary::of(parts[0]);
  Description d;
  d.name = "captions";
  d.modalities = {describe_captions(vocabulary, options.length)};
  d.provenance = std::move(provenance);
  writer.describe(std::move(d));
  writer.set_vocabulary(0, vocabulary.strings());
  std::vector<std::string> notes;
  for (std::size_t p = 0; p < parts.size(); ++p) {
    if (parts[p].empty()) continue;
    const char* split = p == 0 ? "train" : "test";
    add_captions(writer, split, 0, vocabulary, parts[p], {}, options.length, notes);
    writer.set_aligned_samples(split, std::ssize(parts[p]), {});
  }
  writer.commit();
  return notes;
}

}  // namespace mld::data
