#include "mld/diffusion/sampling_record.h"

#include "engine/base/error.h"

namespace mld {
namespace {

bool is_read(const SamplerOptions& options, const auto& detail) {
  return options.method == detail.method.value_or(options.method) && detail.read;
}

// " exact", " churn 3"
std::string details(const SamplerOptions& options) {
  std::string text;
  visit_details(options, [&](const char* name, const auto& value, const auto& detail) {
    if (!is_read(options, detail) || value == detail.neutral) return;
    if constexpr (std::is_enum_v<std::remove_cvref_t<decltype(value)>>)
      text += " " + name_of(value);
    else
      text += cat(" ", name, " ", value);
  });
  return text;
}

template <class T>
void read_value(data::JsonFields& record, const char* name, T& value, const config::Limits& limits) {
  if constexpr (std::is_enum_v<T>) {
    std::vector<const char*> names;
    for (const std::string_view choice : kNames<T>) names.push_back(choice.data());
    value = static_cast<T>(record.choice(name, names));
  } else if constexpr (std::is_integral_v<T>) {
    value = record.integer(name, static_cast<T>(limits.lowest), static_cast<T>(limits.highest));
  } else {
    value = record.number(name);
  }
}

}  // namespace

std::string method_name(const SamplerOptions& options) { return name_of(options.method) + details(options); }

std::string schedule_name(const SamplerOptions& options) {
  const std::string jumps = options.resample > 1 ? cat("x", options.jump, "x", options.resample) : "";
  return cat(name_of(options.method), " ", options.steps, jumps, details(options));
}

nlohmann::json schedule_record(const SamplerOptions& options) {
  nlohmann::json record;
  const auto add = [&](const char* name, const auto& value) {
    if constexpr (std::is_enum_v<std::remove_cvref_t<decltype(value)>>)
      record[name] = name_of(value);
    else
      record[name] = value;
  };
  config::visit_fields(
      options, [&](const char* name, const auto& value, const auto&, const char*) { add(name, value); });
  visit_details(options, [&](const char* name, const auto& value, const auto& detail) {
    if (!is_read(options, detail) || (value == detail.neutral && !detail.always)) record.erase(name);
  });
  return record;
}

SamplerOptions read_schedule(data::JsonFields& record) {
  SamplerOptions options;
  std::set<std::string> optional;
  visit_details(options, [&](const char* name, auto& value, const auto& detail) {
    value = detail.neutral;
    optional.insert(name);
  });
  config::visit_fields(options, [&](const char* name, auto& value, const auto& limits, const char*) {
    if (record.has(name) || !optional.contains(name)) read_value(record, name, value, limits);
  });
  return options;
}

}  // namespace mld
