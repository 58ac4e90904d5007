#include "mld/train/run_folder.h"

#include <unistd.h>

#include <algorithm>

#include "engine/io/atomic_file.h"
#include "engine/io/file_error.h"
#include "engine/io/files.h"

namespace mld {
namespace {

namespace fs = std::filesystem;

bool is_checkpoint(const fs::path& file) { return file.extension() == ".safetensors"; }

bool is_one_of(const fs::path& file, std::initializer_list<fs::path> list) {
  return std::ranges::any_of(list, [&](const fs::path& one) { return file.filename() == one.filename(); });
}

}  // namespace

RunFolder::RunFolder(const fs::path& folder) : files_{folder} {
  try {
    folders_ = make_folder(folder);
    check();  // before anything is put into a folder that may be somebody else's,
    lock_.emplace(folder);
    check();  // and when nobody else can
    remove_own_temporaries(folder);
    holds_run_ = path_exists(files_.config());
  } catch (...) {
    keep_ = keep_ || folders_.empty();
    if (!keep_) {
      std::error_code ignored;
      fs::remove(folder / ".lock", ignored);
      remove_folders(folders_);
    }
    throw;
  }
}

void RunFolder::check() const {
  if (::access(files_.folder.c_str(), W_OK) != 0) fail_io(files_.folder, "write into the folder", errno);
  const bool run = path_exists(files_.config());
  for (const fs::path& path : list_folder(files_.folder)) {
    const bool start = is_one_of(path, {".lock", files_.reused()}) || is_own_temporary(path);
    MLD_CHECK_AS(ErrorKind::busy, run || start, files_.folder.string(),
                 ": is not empty and holds no run; choose another folder");
    const auto is_written = [&](const fs::path& file) {
      return is_checkpoint(file) ||
             is_one_of(file, {files_.config(), files_.dataset(), files_.metrics(), files_.reused()});
    };
    const fs::path target = temporary_target(path);
    MLD_CHECK_AS(ErrorKind::io, target.empty() || !is_written(target) || is_own_temporary(path),
                 target.string(), ": cannot write: ", path.string(),
                 " is not a file that this program made; move it away");
    std::error_code ignored;
    MLD_CHECK_AS(ErrorKind::io, !is_written(path) || fs::is_regular_file(path, ignored), path.string(),
                 ": is not a regular file, and a training has to write it; move it away");
  }
}

void RunFolder::write(const fs::path& file, std::string_view text) {
  write(file, [&] { write_file_atomically(file, text); });
}

void RunFolder::write(const fs::path& file, const std::function<void()>& make) {
  written_.push_back(file);
  make();
}

// What a failed training must not take away: checkpoints, and lines of metrics.
bool RunFolder::has_work() const {
  std::error_code ignored;
  if (fs::file_size(files_.metrics(), ignored) > 0 && fs::exists(files_.metrics(), ignored)) return true;
  return std::any_of(fs::directory_iterator(files_.folder, ignored), fs::directory_iterator(),
                     [](const auto& entry) { return is_checkpoint(entry.path()); });
}

RunFolder::~RunFolder() {
  if (keep_ || holds_run_ || (!starting_ && has_work())) return;
  std::error_code ignored;
  written_.push_back(files_.metrics());  // opened before the first step
  for (const fs::path& file : written_) fs::remove(file, ignored);
  fs::remove(files_.folder / ".lock", ignored);
  lock_.reset();
  remove_folders(folders_);
}

}  // namespace mld
