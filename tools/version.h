// What this program was built from and with: printed by `mldctl version`, recorded in reports.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "engine/base/device.h"

namespace mld::tools {

using Facts = std::vector<std::pair<std::string, std::string>>;  // names and values

Facts version_facts();                   // version, compiler, optional libraries
Facts environment_facts(Device device);  // the same, and what is computed with

}  // namespace mld::tools
