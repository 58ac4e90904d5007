// Append-only files of one JSON object a line (training metrics). A line is written with one call and a
// failed write is taken back, so only a crash can tear the last line, and opening the file removes a torn
// one. Cutting the file back to a checkpoint makes a resumed run's file equal the uninterrupted run's.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "engine/io/files.h"

namespace mld {

// 17 significant digits, which read back as the same double; JSON has no infinities: null. The JSON library would
// write the fewest digits that do, and a run that is continued writes its files as it began them.
std::string json_number(double value);

// One line, key after key.
class JsonLine {
 public:
  JsonLine& text(std::string_view key, const std::string& value);
  JsonLine& integer(std::string_view key, std::int64_t value);
  JsonLine& number(std::string_view key, double value);
  std::string str() const { return line_ + "}"; }

 private:
  JsonLine& raw(std::string_view key, const std::string& value);

  std::string line_ = "{";
};

// Every member fails with ErrorKind::io on errors of the system; what was appended before stays.
class JsonlWriter {
 public:
  explicit JsonlWriter(std::filesystem::path path);  // creates the file or continues it

  void append(std::string_view object);  // without a line break
  void flush();                          // to disk: before a checkpoint that counts on the lines so far

 private:
  void open();

  std::filesystem::path path_;
  Descriptor fd_;
  std::int64_t size_ = 0;
};

// Drops everything from the first line on that `keep` refuses, and a torn last line. The file is replaced
// atomically. A missing file is left missing. Must not run while a writer of the file is open.
void truncate_jsonl(const std::filesystem::path& path,
                    const std::function<bool(std::string_view line)>& keep);

// Drops the lines written after step `step` of stage `stage`: everything from the first line on whose member
// "step" is larger and whose member "stage" is `stage`. An empty `stage` stands for every line. Lines without
// an integer "step" are kept.
void truncate_jsonl_to_step(const std::filesystem::path& path, std::int64_t step,
                            std::string_view stage = {});

}  // namespace mld
