// The evaluations that tables are made of, as `mldctl eval` leaves them in RUN/evaluation.json, and the cells of
// a table read out of them, each with everything that must be alike for two such numbers to be comparable.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "mld/evaluate/evaluation.h"
#include "mld/study/tables/layout.h"

namespace mld::tables {

// Reads the file, or evaluation.json of the run directory `path`. Whatever is wrong with it is an
// ErrorKind::data error that names the file and the key.
Evaluation read_evaluation(const std::filesystem::path& path);

// In Reading::made: the data's fingerprint and the sampler. Files that have none can be compared with any.
inline constexpr const char *kDataKey = "data", *kScheduleKey = "schedule";

// A number of a table: coherence in %, the others as they are.
struct Reading {
  double value = 0;
  // "classifier of sound" -> "1a2b3c4d", "N" -> "1000", ...: alike for all numbers that one column may hold.
  std::map<std::string, std::string> made;
};
std::optional<Reading> read_cell(const Evaluation& file, const LayoutColumn& column);

}  // namespace mld::tables
