// Strict reading of one JSON object: every key must be known, there and of the right type, and every error
// names the file and the place in it ("store/dataset.json: modalities[1].shape: ..."). For source files only:
// the JSON library stays out of the public headers.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/value_range.h"
#include "engine/base/shape.h"

namespace mld::data {

using Json = nlohmann::ordered_json;

// Parses a text of at most 64 MiB, // and /* */ comments allowed; a key that occurs twice in an object is an
// error. `file` starts every message.
Json parse_json(std::string_view text, const std::string& file);

// The text of an object with a last key "crc32": the CRC-32 of this very text with zeros as its eight digits.
// JsonFields::check_seal compares it.
std::string sealed_text(Json object);

class JsonFields {
 public:
  // `place` is the path of the object inside the file, "" for the root. Fails unless `value` is an object.
  JsonFields(const Json& value, std::string file, std::string place = "");

  // Whether an optional key is there.
  bool has(const std::string& key) {
    known_.insert(key);
    return value_.contains(key);
  }
  std::vector<std::string> keys() const;
  std::string place(const std::string& key) const;  // "FILE: PLACE.KEY", the start of a message about it

  std::string string(const std::string& key);
  std::int64_t integer(const std::string& key, std::int64_t lowest, std::int64_t highest);
  std::uint64_t seed(const std::string& key);
  bool boolean(const std::string& key);
  double number(const std::string& key);  // finite, as every number in JSON
  std::vector<double> numbers(const std::string& key);
  std::vector<std::string> strings(const std::string& key);
  ValueRange range(const std::string& key);  // two finite numbers, the first below the second
  Shape shape(const std::string& key);
  // Index into `names` of the string found.
  std::size_t choice(const std::string& key, std::span<const char* const> names);
  std::uint32_t crc32(const std::string& key);  // eight hexadecimal digits
  std::vector<std::uint32_t> crc32s(const std::string& key);
  JsonFields object(const std::string& key);
  std::vector<JsonFields> objects(const std::string& key);

  // Fails unless `text`, from which the object was read, is a sealed one as it was written.
  void check_seal(std::string_view text);

  // Fails if the object holds a key that none of the calls above asked for, naming the ones it may hold.
  void finish() const;

 private:
  const Json& required(const std::string& key);
  template <class... Parts>
  [[noreturn]] void wrong(const std::string& key, const Json& found, Parts&&... expected) const;

  const Json& value_;
  std::string file_, place_;
  std::set<std::string> known_;
};

}  // namespace mld::data
