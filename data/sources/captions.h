// Captions of a file in a store. Private to the data room.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/store/description.h"
#include "data/store/store_writer.h"
#include "data/text/vocabulary.h"

namespace mld::data {

using Words = std::vector<std::string>;

// The words of each line (data/text/treebank.h) of a text file, plain or .gz, whose name joins `provenance`.
// ErrorKind::data for what is no text and for lines without words.
std::vector<Words> read_captions(const std::filesystem::path& path, Provenance& provenance);

// Tokens [length] of the vocabulary, under the name "caption".
Modality describe_captions(const Vocabulary& vocabulary, std::int64_t length);

// Adds them to a split, with labels where there are any, and says how many words are not in the vocabulary and how many
// captions were cut.
void add_captions(StoreWriter& writer, const std::string& split, int modality, const Vocabulary& vocabulary,
                  std::span<const Words> captions, std::span<const std::int32_t> labels, std::int64_t length,
                  std::vector<std::string>& notes);

}  // namespace mld::data
