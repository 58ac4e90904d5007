// Any text as a configuration: lines that begin with '+' are settings, with '$' variables (NAME=value), the
// rest is the file. An error, or a configuration whose own text gives the same configuration back.
#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>

#include "engine/base/error.h"
#include "mld/config/config.h"

namespace {

void check_round_trip(const mld::Config& config) {
  const mld::Config again = mld::parse_config(mld::to_json(config), "saved");
  if (!(again == config) || !mld::differences(again, config).empty()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  mld::ConfigSources sources;
  sources.settings = {"preset=digits"};
  std::string file;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const std::size_t equals = line.find('=');
    if (line.starts_with('+')) {
      sources.settings.emplace_back(line.substr(1));
    } else if (line.starts_with('$') && equals != std::string_view::npos) {
      sources.environment.emplace(line.substr(1, equals - 1), line.substr(equals + 1));
    } else {
      file.append(line).append("\n");
    }
  }
  for (const bool from_file : {true, false}) try {
      check_round_trip(from_file ? mld::parse_config(file, "fuzz") : mld::resolve_config(sources));
    } catch (const mld::Error& error) {
      if (error.kind() != mld::ErrorKind::usage) std::abort();
    }
  return 0;
}
