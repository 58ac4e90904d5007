// Text files from elsewhere, line by line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mld::data {

// The lines of a file's content, UTF-8; a byte order mark, CR before LF and blank lines at the end are left out. Lines
// that are empty, hold control characters but tabs, or are of another encoding are ErrorKind::data errors that begin with
// `file` and the number of the line.
std::vector<std::string> text_lines(std::string_view content, const std::string& file);

}  // namespace mld::data
