#include "mld/run/run_files.h"

#include "engine/io/files.h"

namespace mld {
namespace {

// What is no regular file fails like one whose content is wrong, with kind `wrong`.
std::string read_part(const RunFiles& files, const std::filesystem::path& part, ErrorKind wrong) {
  MLD_CHECK_AS(ErrorKind::model, path_exists(part), files.folder.string(), ": is not a run; ",
               part.filename().string(), " is missing");
  return read_file(part, wrong);
}

}  // namespace

std::string read_text(const std::filesystem::path& path) { return read_file(path, ErrorKind::io); }

Config read_run_config(const RunFiles& files) {
  return parse_config(read_part(files, files.config(), ErrorKind::usage), files.config().string());
}

data::Description read_run_dataset(const RunFiles& files) {
  return data::parse_description(read_part(files, files.dataset(), ErrorKind::data),
                                 files.dataset().string());
}

}  // namespace mld
