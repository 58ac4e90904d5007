// The folder of a run while a training works on it: made where it is missing, locked, cleared of what killed
// processes left. A training that fails before it has made anything leaves neither a folder nor files.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/io/lock_file.h"
#include "mld/run/run_files.h"

namespace mld {

class RunFolder {
 public:
  // ErrorKind::busy if the folder is in use, or holds something else than a run or what a killed
  // start of one left; ErrorKind::io if it cannot be made or written, or something that is no file
  // stands in a file's place.
  explicit RunFolder(const std::filesystem::path& folder);
  ~RunFolder();  // undoes the start of a run that came to nothing
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  bool holds_run() const { return holds_run_; }  // as it was found
  // A file of the start of a run; removed if that fails.
  void write(const std::filesystem::path& file, std::string_view text);
  void write(const std::filesystem::path& file, const std::function<void()>& make);
  // The start is complete. What is there stays unless nothing was trained.
  void started() { starting_ = false; }
  // Whatever is there stays.
  void keep() { keep_ = true; }

 private:
  void check() const;
  bool has_work() const;

  RunFiles files_;
  std::optional<LockFile> lock_;
  std::vector<std::filesystem::path> folders_, written_;  // made by us; the outermost folder first
  bool holds_run_ = false, starting_ = true, keep_ = false;
};

}  // namespace mld
