// evaluation.json (docs/evaluation.md): an Evaluation as text and back, by the list of its entries in
// evaluation.h.
#pragma once

#include <string>

#include "mld/evaluate/evaluation.h"

namespace mld {

// A line for each entry, and for each entry of a list of objects.
std::string to_json(const Evaluation& evaluation);

// For those who compare: ErrorKind::data, naming `file` and the key, for what is missing or of another type
// of all that comparisons rest on. Numbers of no samples, which older files have as 0, are left out.
Evaluation parse_evaluation(const std::string& text, const std::string& file);
// For those who show: what is missing or of another type is left out; names that are no modality of the file
// are added to them. ErrorKind::data, naming `file`, if it is no JSON object.
Evaluation shown_evaluation(const std::string& text, const std::string& file);

// `now` with those parts of `before` that it lacks, if both, texts of to_json, are of the same networks
// measured in the same way; else, or if `before` is no such text, `now`. Of an older `before`, which does not
// say of what weights and data it is, a note says so.
std::string with_parts_of(const std::string& now, const std::string& before);

}  // namespace mld
