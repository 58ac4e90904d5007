#include "data/store/json_fields.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "engine/base/error.h"
#include "engine/io/crc32.h"
#include "engine/io/strict_json.h"

namespace mld::data {
namespace {

constexpr std::size_t kMaxText = std::size_t{64} << 20;
constexpr int kMaxDepth = 64;

std::string shown(const Json& value) {
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

// What a sealed text ends with: these around eight digits.
constexpr std::string_view kSealStart = "\"crc32\": \"", kSealEnd = "\"\n}\n";

// The number of eight lower-case hexadecimal digits, or nothing.
std::optional<std::uint32_t> parse_crc(std::string_view digits) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  const bool good = error == std::errc() && digits == crc_text(value);
  return good ? std::optional(value) : std::nullopt;
}

std::uint32_t seal_of(std::string_view before) {
  const std::string rest = std::string(kCrcDigits, '0') + std::string(kSealEnd);
  return mld::crc32(std::as_bytes(std::span(rest)), mld::crc32(std::as_bytes(std::span(before))));
}

}  // namespace

std::string sealed_text(Json object) {
  object["crc32"] = std::string(kCrcDigits, '0');
  std::string text = object.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  const std::size_t at = text.size() - kSealEnd.size() - kCrcDigits;
  return text.replace(at, kCrcDigits, crc_text(seal_of(std::string_view(text).substr(0, at))));
}

Json parse_json(std::string_view text, const std::string& file) {
  MLD_CHECK_AS(ErrorKind::data, text.size() <= kMaxText, file, ": ", text.size(), " bytes of JSON, at most ",
               kMaxText, " are read");
  try {
    return parse_strict_json<Json>(text, kMaxDepth);
  } catch (const RepeatedKey& error) {
    fail(ErrorKind::data, file, ": key \"", error.key, "\" occurs twice");
  } catch (const NestedTooDeep& error) {
    fail(ErrorKind::data, file, ": ", error.what());
  } catch (const Json::exception& error) {
    fail(ErrorKind::data, file, ": not valid JSON: ", error.what());
  }
}

JsonFields::JsonFields(const Json& value, std::string file, std::string place)
    : value_(value), file_(std::move(file)), place_(std::move(place)) {
  MLD_CHECK_AS(ErrorKind::data, value_.is_object(), file_, ": ", place_, place_.empty() ? "" : ": ", "found ",
               shown(value_), ", expected an object");
}

std::vector<std::string> JsonFields::keys() const {
  std::vector<std::string> result;
  for (const auto& [key, value] : value_.items()) result.push_back(key);
  return result;
}

std::string JsonFields::place(const std::string& key) const {
  return cat(file_, ": ", place_, place_.empty() ? "" : ".", key);
}

const Json& JsonFields::required(const std::string& key) {
  known_.insert(key);
  const auto found = value_.find(key);
  MLD_CHECK_AS(ErrorKind::data, found != value_.end(), place(key), ": missing");
  return *found;
}

template <class... Parts>
void JsonFields::wrong(const std::string& key, const Json& found, Parts&&... expected) const {
  fail(ErrorKind::data, place(key), ": found ", shown(found), ", expected ", expected...);
}

std::string JsonFields::string(const std::string& key) {
  const Json& value = required(key);
  if (!value.is_string()) wrong(key, value, "a string");
  return value.get<std::string>();
}

std::int64_t JsonFields::integer(const std::string& key, std::int64_t lowest, std::int64_t highest) {
  const Json& value = required(key);
  const bool fits = value.is_number_integer() &&
                    (!value.is_number_unsigned() || value.get<std::uint64_t>() <= std::uint64_t{INT64_MAX});
  if (!fits || value.get<std::int64_t>() < lowest || value.get<std::int64_t>() > highest)
    wrong(key, value, "an integer from ", lowest, " to ", highest);
  return value.get<std::int64_t>();
}

std::uint64_t JsonFields::seed(const std::string& key) {
  const Json& value = required(key);
  if (!value.is_number_unsigned()) wrong(key, value, "a non-negative integer");
  return value.get<std::uint64_t>();
}

bool JsonFields::boolean(const std::string& key) {
  const Json& value = required(key);
  if (!value.is_boolean()) wrong(key, value, "true or false");
  return value.get<bool>();
}

double JsonFields::number(const std::string& key) {
  const Json& value = required(key);
  if (!value.is_number()) wrong(key, value, "a number");
  return value.get<double>();
}

std::vector<double> JsonFields::numbers(const std::string& key) {
  const Json& value = required(key);
  const auto is_number = [](const Json& v) { return v.is_number(); };
  if (!value.is_array() || !std::ranges::all_of(value, is_number)) wrong(key, value, "a list of numbers");
  return value.get<std::vector<double>>();
}

std::vector<std::string> JsonFields::strings(const std::string& key) {
  const Json& value = required(key);
  const auto is_string = [](const Json& v) { return v.is_string(); };
  if (!value.is_array() || !std::ranges::all_of(value, is_string)) wrong(key, value, "a list of strings");
  return value.get<std::vector<std::string>>();
}

ValueRange JsonFields::range(const std::string& key) {
  const Json& value = required(key);
  const auto is_float = [](const Json& v) {  // a NaN or an infinity fails the comparison
    return v.is_number() && std::abs(v.get<double>()) <= double{std::numeric_limits<float>::max()};
  };
  const bool floats = value.is_array() && value.size() == 2 && is_float(value[0]) && is_float(value[1]);
  const ValueRange result = floats ? ValueRange{value[0].get<float>(), value[1].get<float>()} : ValueRange{};
  if (!floats || !(result.min < result.max))
    wrong(key, value, "two finite numbers, the first below the second");
  return result;
}

Shape JsonFields::shape(const std::string& key) {
  const Json& value = required(key);
  if (!value.is_array() || value.empty() || value.size() >= Shape::kMaxRank)
    wrong(key, value, "1 to ", Shape::kMaxRank - 1, " extents");
  Shape result;
  for (const Json& extent : value) {
    if (!extent.is_number_unsigned() || extent.get<std::uint64_t>() < 1 ||
        extent.get<std::uint64_t>() > (1U << 24))
      wrong(key, value, "extents from 1 to ", 1U << 24);
    result.push_back(extent.get<std::int64_t>());
  }
  return result;
}

std::size_t JsonFields::choice(const std::string& key, std::span<const char* const> names) {
  const std::string found = string(key);
  std::string list;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (found == names[i]) return i;
    list += (i ? ", " : "") + std::string(names[i]);
  }
  wrong(key, value_.at(key), "one of ", list);
}

std::uint32_t JsonFields::crc32(const std::string& key) {
  const Json& value = required(key);
  const auto crc = value.is_string() ? parse_crc(value.get_ref<const std::string&>()) : std::nullopt;
  if (!crc) wrong(key, value, "a checksum of eight hexadecimal digits");
  return *crc;
}

std::vector<std::uint32_t> JsonFields::crc32s(const std::string& key) {
  std::vector<std::uint32_t> result;
  for (const std::string& text : strings(key)) {
    const auto crc = parse_crc(text);
    if (!crc) wrong(key, text, "checksums of eight hexadecimal digits");
    result.push_back(*crc);
  }
  return result;
}

JsonFields JsonFields::object(const std::string& key) {
  const Json& value = required(key);
  if (!value.is_object()) wrong(key, value, "an object");
  return JsonFields(value, file_, place_ + (place_.empty() ? "" : ".") + key);
}

std::vector<JsonFields> JsonFields::objects(const std::string& key) {
  const Json& value = required(key);
  if (!value.is_array()) wrong(key, value, "a list of objects");
  std::vector<JsonFields> result;
  for (std::size_t i = 0; i < value.size(); ++i)
    result.emplace_back(value[i], file_, cat(place_, place_.empty() ? "" : ".", key, "[", i, "]"));
  return result;
}

void JsonFields::check_seal(std::string_view text) {
  const std::uint32_t written = crc32("crc32");
  const std::size_t tail = kCrcDigits + kSealEnd.size();
  const std::string_view before = text.substr(0, text.size() - std::min(tail, text.size()));
  const std::string end = std::string(kSealStart) + crc_text(written) + std::string(kSealEnd);
  MLD_CHECK_AS(ErrorKind::data, text.ends_with(end) && seal_of(before) == written, file_,
               ": is not as it was written: its checksum differs; it was damaged or edited, make it again");
}

void JsonFields::finish() const {
  for (const auto& [key, value] : value_.items()) {
    if (known_.contains(key)) continue;
    std::string list;
    for (const std::string& name : known_) list += (list.empty() ? "" : ", ") + name;
    fail(ErrorKind::data, place(key), ": unknown key; known here: ", list);
  }
}

}  // namespace mld::data
