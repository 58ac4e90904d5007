// The tables and curves of a run's evaluation.json. What the file lacks is left out.
#pragma once

#include <string>

namespace mld::report {

// `where` names the file in errors: ErrorKind::data if `contents` is no JSON object.
std::string evaluation_tables(const std::string& contents, const std::string& where);

}  // namespace mld::report
