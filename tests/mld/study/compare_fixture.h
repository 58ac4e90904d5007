// Evaluations as files, with what the tests of `compare` vary, and what they look for in its tables.
#pragma once

#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "mld/study/compare.h"
#include "tests/expect_error.h"
#include "tests/temp_folder.h"

namespace mld::test {

using namespace mld::tables;

// An evaluation of the data set `duo` (or one whose tables the paper has), with what the tests vary.
struct Fixture {
  std::string kind = "mld", preset = "duo", dataset = "duo", hash = "00000000000000aa";
  int seed = 0;
  double d = 0.5;
  int samples = 100, resample = 1;
  std::string left = "left", right = "right", split = "test";
  std::string left_classifier = "11111111", right_classifier = "22222222";
  double joint = 0.5, left_right = 0.25, right_left = 0.75;
  std::string quality = {};   // entries of the list
  std::string settings = {};  // entries of the object
  std::string renoise = {}, clip_score = {};
  std::string again = {};  // entries of the list of what is given and generated again, but for the first

  std::string json() const {
    const auto cell = [](const std::string& given, const std::string& target, double value) {
      return mld::cat(R"({"given":")", given, R"(","target":")", target, R"(","value":)", value, "}");
    };
    return mld::cat(R"({"run":{"kind":")", kind, R"(","preset":")", preset, R"(","dataset":")", dataset,
                    R"(","seed":)", seed, R"(,"d":)", d, R"(,"config_hash":")", hash, R"(","settings":{)",
                    settings, R"(}},"split":")", split, R"(","samples":)", samples,
                    R"(,"schedule":{"method":"em","steps":250,"jump":10,"resample":)", resample, renoise,
                    R"(},"network_calls":250,"weights":"ema","modalities":[")", left, R"(",")", right,
                    R"("],"classifier_hash":{")", left, R"(":")", left_classifier, R"(",")", right, R"(":")",
                    right_classifier, R"("},"joint":{"coherence":{"value":)", joint, R"(}},"conditional":[)",
                    cell(left, right, left_right), ",", cell(right, left, right_left), R"(],"autoencoder":[)",
                    cell(left, left, 0.9), again, R"(],"quality":[)", quality, R"(],"clip_score":[)",
                    clip_score, R"(],"a_section_of_a_later_version":1})");
  }
};

inline std::string quality(const std::string& given, const std::string& target, const std::string& metric,
                           double value, const std::string& hash = "33333333", const std::string& more = "") {
  return mld::cat(
      R"({"given":")", given, R"(","target":")", target, R"(","metric":")", metric, R"(","value":)", value,
      R"(,"real":100,"distinct":99,"made":100,"extractor":"inception","hash":")", hash, "\"", more, "}");
}

class Runs {
 public:
  // A run directory with the evaluation.
  void add(const std::string& name, const std::string& json) {
    std::filesystem::create_directory(folder_ / name);
    mld::test::write_bytes(folder_ / name / "evaluation.json", json);
    paths_.push_back(folder_ / name);
  }
  void add(const std::string& name, const Fixture& fixture) { add(name, fixture.json()); }

  std::vector<Table> tables(const mld::CompareOptions& options = {}) const {
    return compare(paths_, options);
  }
  std::string error(ErrorKind kind, const mld::CompareOptions& options = {}) const {
    return error_of(kind, [&] { (void)tables(options); });
  }
  const std::filesystem::path& last() const { return paths_.back(); }
  std::vector<std::filesystem::path>& paths() { return paths_; }

 private:
  mld::test::TempFolder folder_;
  std::vector<std::filesystem::path> paths_;
};

inline std::vector<std::string> heads(const Table& table) {
  std::vector<std::string> out;
  for (const TableColumn& column : table.columns) out.push_back(column.head);
  return out;
}

inline std::string all_notes(const Table& table) {
  std::string out;
  for (const TableNote& note : table.notes) out += (note.on_marked ? "! " : "") + note.text + "\n";
  return out;
}

inline const TableRow& row(const Table& table, const std::string& name) {
  for (const TableRow& r : table.rows)
    if (r.name == name) return r;
  FAIL("no row " << name);
  return table.rows.front();
}

}  // namespace mld::test
