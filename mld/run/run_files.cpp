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

std::filesystem::path renamed(const std::filesystem::path& file, const std::string& addition) {
  return file.parent_path() / (file.stem().string() + addition + file.extension().string());
}

}  // namespace

std::filesystem::path of_split(const std::filesystem::path& file, const std::string& split) {
  return renamed(file, "-" + split);
}

std::filesystem::path of_networks_before(const std::filesystem::path& file) { return renamed(file, ".old"); }

std::vector<std::filesystem::path> result_files(const RunFiles& files) {
  std::vector<std::filesystem::path> found;
  const std::string of_splits = files.evaluation().stem().string() + "-";
  for (const std::filesystem::path& file : list_folder(files.folder)) {
    // A split's name has no dot, so that what stepped aside before is none of these.
    const bool of_a_split = file.extension() == ".json" && file.stem().string().starts_with(of_splits) &&
                            !file.stem().has_extension();
    if (of_a_split || file == files.evaluation() || file == files.samplers()) found.push_back(file);
  }
  return found;
}

std::string read_text(const std::filesystem::path& path) { return read_file(path, ErrorKind::io); }

Config read_run_config(const RunFiles& files) {
  return parse_config(read_part(files, files.config(), ErrorKind::usage), files.config().string());
}

data::Description read_run_dataset(const RunFiles& files) {
  return data::parse_description(read_part(files, files.dataset(), ErrorKind::data),
                                 files.dataset().string());
}

}  // namespace mld
