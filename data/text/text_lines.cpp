#include "data/text/text_lines.h"

#include <algorithm>

#include "data/formats/mmap_file.h"
#include "data/store/json_fields.h"
#include "engine/base/error.h"
#include "engine/io/file_error.h"

namespace mld::data {
namespace {

void check_line(std::string_view line, const std::string& place) {
  MLD_CHECK_AS(ErrorKind::data, !line.empty(), place, ": is empty; every line needs a text");
  const auto control = std::ranges::find_if(line, [](unsigned char c) { return c < 0x20 && c != '\t'; });
  MLD_CHECK_AS(ErrorKind::data, control == line.end(), place, ": ", quote(line),
               " holds a control character; expected plain text");
  try {
    const std::string checked = Json(line).dump();  // which refuses what is not UTF-8
  } catch (const Json::exception&) {
    fail(ErrorKind::data, place,
         ": is not UTF-8; convert the file, for example with iconv -f latin1 -t utf8");
  }
}

}  // namespace

std::vector<std::string> text_lines(std::string_view content, const std::string& file) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (content.starts_with(kByteOrderMark)) content.remove_prefix(kByteOrderMark.size());
  std::vector<std::string> lines = split_lines(content);
  for (std::string& line : lines)
    if (line.ends_with('\r')) line.pop_back();
  while (!lines.empty() && lines.back().empty()) lines.pop_back();
  for (std::size_t i = 0; i < lines.size(); ++i) check_line(lines[i], cat(file, ": line ", i + 1));
  return lines;
}

}  // namespace mld::data
