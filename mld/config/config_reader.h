// Applies one layer after the other (JSON objects, single settings) to a configuration and notes everything
// that is wrong with them. The rules of the layers stand in config.h. Internal to mld/.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/names.h"
#include "mld/config/config.h"
#include "mld/config/config_fields.h"

namespace mld::config {

using Json = nlohmann::json;

class Reader {
 public:
  explicit Reader(Config& config) : config_(config) {}

  // `origin` names the layer in messages.
  void apply_json(std::string_view text, const std::string& origin);
  void apply_setting(std::string_view setting);  // "key=value"
  void apply_variable(std::string_view name, std::string_view value);

  const std::vector<std::string>& problems() const { return problems_; }

 private:
  template <class S>
  void read_section(S& section, const Json& object, const std::string& key);
  template <class S>
  void reset_added(S& section, const Json& object);
  template <class S>
  void set_in_section(S& section, std::span<const std::string> path, const std::string& text,
                      const std::string& key);
  void read_modalities(std::vector<ModalityConfig>& list, const Json& value, const std::string& key);
  void set_in_modalities(std::vector<ModalityConfig>& list, std::span<const std::string> path,
                         const std::string& text, const std::string& key);
  template <class Change>
  void change_in_modalities(std::string_view name, Change&& change);

  void read_value(bool& member, Limits, const Json& value, const std::string& key);
  void read_value(std::int64_t& member, Limits limits, const Json& value, const std::string& key);
  void read_value(std::uint64_t& member, Limits, const Json& value, const std::string& key);
  void read_value(double& member, Limits limits, const Json& value, const std::string& key);
  void read_value(std::string& member, Limits, const Json& value, const std::string& key);
  void read_value(std::vector<std::int64_t>& member, Limits limits, const Json& value,
                  const std::string& key);
  template <class E>
  requires std::is_enum_v<E>
  void read_value(E& member, Limits, const Json& value, const std::string& key);

  void set_path(std::vector<std::string> path, std::string_view value);
  bool integer(const Json& value, Limits limits, std::int64_t& member, const std::string& key);
  template <class... Parts>
  void report(const std::string& key, Parts&&... parts);
  void report_unknown(const std::vector<std::string>& known, const std::string& name,
                      const std::string& prefix);

  Config& config_;
  std::string origin_;
  bool folded_ = false;  // names come from a variable's name, where case and '-' are lost
  bool muted_ = false;
  std::vector<std::string> problems_;
};

// Names of a section's members.
template <class S>
std::vector<std::string> member_names(const S& section) {
  std::vector<std::string> names;
  visit_fields(section,
               [&](const char* name, const auto&, const auto&, const char*) { names.emplace_back(name); });
  return names;
}

}  // namespace mld::config
