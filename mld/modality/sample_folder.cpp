#include "mld/modality/sample_folder.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/io/atomic_file.h"
#include "engine/io/file_error.h"
#include "engine/io/files.h"

namespace mld {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRecord = "sample.json";
constexpr std::int64_t kMostRecord = std::int64_t{1} << 30;  // bytes

enum class Kind { nothing, folder, other };

Kind kind_of(const fs::path& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0) return S_ISDIR(status.st_mode) ? Kind::folder : Kind::other;
  if (errno != ENOENT && errno != ENOTDIR) fail_io(path, "look at it", errno);
  return Kind::nothing;
}

// What earlier samples consist of, by sample.json.
struct Owned {
  std::set<fs::path> files, folders;
};

Owned owned_files(const fs::path& folder) {
  Owned owned;
  const fs::path record = folder / kRecord;
  struct stat status {};
  if (::lstat(record.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return owned;
  const auto json = nlohmann::json::parse(read_file(record, ErrorKind::data, kMostRecord), nullptr, false);
  const bool ours = json.is_object() && json.contains("model") && json.contains("samples") &&
                    json.contains("files") && json["files"].is_array();
  if (!ours) return owned;
  owned.files.insert(kRecord);
  for (const auto& entry : json["files"]) {
    if (!entry.is_string()) return {};
    const fs::path file = fs::path(entry.get<std::string>()).lexically_normal();
    owned.files.insert(file);
    for (fs::path parent = file.parent_path(); !parent.empty() && parent != parent.root_path();
         parent = parent.parent_path())
      owned.folders.insert(parent);
    if (file.extension() == ".npy") owned.folders.insert(fs::path(file).replace_extension());
  }
  return owned;
}

// What a killed process left of a file of ours.
bool is_temporary_of(const Owned& owned, const fs::path& at, const fs::path& file) {
  return is_own_temporary(at) && owned.files.contains(temporary_target(file));
}

void find_foreign(const fs::path& root, const fs::path& below, const Owned& owned,
                  std::vector<fs::path>& found) {
  for (const fs::path& path : list_folder(root / below)) {
    const fs::path name = below / path.filename();
    if (kind_of(path) == Kind::folder) {
      if (owned.folders.contains(name))
        find_foreign(root, name, owned, found);
      else
        found.push_back(name);
    } else if (!owned.files.contains(name) && !is_temporary_of(owned, path, name)) {
      found.push_back(name);
    }
  }
}

// A folder that holds what `from` holds: files are linked, where that is impossible copied.
// What is there stays.
void carry(const fs::path& from, const fs::path& to) {
  if (kind_of(from) != Kind::folder) {
    if (kind_of(to) != Kind::nothing || ::linkat(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), 0) == 0)
      return;
    std::error_code error;
    fs::copy(from, to, fs::copy_options::copy_symlinks, error);
    if (error) fail_io(from, "keep it", error.value());
    return;
  }
  if (kind_of(to) == Kind::nothing) {
    struct stat status {};
    if (::stat(from.c_str(), &status) != 0 || ::mkdir(to.c_str(), status.st_mode & 0777) != 0)
      fail_io(to, "make the folder", errno);
  }
  for (const fs::path& path : list_folder(from)) carry(path, to / path.filename());
}

// Whether something is mounted there, which can be filled but not replaced.
bool is_mounted(const fs::path& folder, const fs::path& beside) {
  struct stat here {
  }, there{};
  if (::stat(folder.c_str(), &here) == 0 && ::stat(beside.c_str(), &there) == 0 &&
      here.st_dev != there.st_dev)
    return true;
#ifdef STATX_ATTR_MOUNT_ROOT
  struct statx more {};
  if (::statx(AT_FDCWD, folder.c_str(), 0, STATX_BASIC_STATS, &more) == 0)
    return (more.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
#endif
  return false;
}

// Throws unless an existing folder may be written to and replaced by another.
void check_place(const fs::path& folder) {
  if (!is_folder(folder)) return;
  if (::access(folder.c_str(), W_OK | X_OK) != 0) fail_io(folder, "write", errno);
  std::error_code error;
  const fs::path parent = parent_folder(fs::canonical(folder, error));
  MLD_CHECK_AS(ErrorKind::io, !error && ::access(parent.c_str(), W_OK | X_OK) == 0, folder.string(),
               ": samples grow beside it, and ", parent.string(), " cannot be written; name a folder in it");
  MLD_CHECK_AS(ErrorKind::io, !is_mounted(folder, parent), folder.string(),
               ": something is mounted there, so that it cannot be replaced; name a folder in it");
}

std::string size_text(std::int64_t bytes) {
  constexpr std::int64_t kMega = 1'000'000;
  char text[32];
  const double value = static_cast<double>(bytes);
  if (bytes >= 1000 * kMega)
    std::snprintf(text, sizeof text, "%.1f GB", value / 1e9);
  else if (bytes >= kMega)
    std::snprintf(text, sizeof text, "%.1f MB", value / 1e6);
  else
    std::snprintf(text, sizeof text, "%lld bytes", static_cast<long long>(bytes));
  return text;
}

}  // namespace

std::vector<fs::path> foreign_files(const fs::path& folder) {
  std::vector<fs::path> found;
  find_foreign(folder, {}, owned_files(folder), found);
  return found;
}

SampleFolder::SampleFolder(const fs::path& destination, bool force, const Names& names)
    : folder_((check_place(destination), destination), IfExists::replace) {
  if (path_exists(folder_.destination())) check_foreign(force, names);
}

void SampleFolder::check_foreign(bool force, const Names& names) const {
  const std::string place = folder_.destination().string();
  const std::vector<fs::path> foreign = foreign_files(folder_.destination());
  if (foreign.empty()) return;
  const std::string others = foreign.size() > 1 ? cat(" and ", foreign.size() - 1, " more") : "";
  MLD_CHECK_AS(ErrorKind::busy, force, place, ": holds ", quote(foreign.front().string()), others,
               ", which no earlier sampling wrote; choose another folder, or --force to write beside it");
  for (const fs::path& name : foreign) {
    const bool is_folder = kind_of(folder_.destination() / name) == Kind::folder;
    MLD_CHECK_AS(ErrorKind::busy,
                 std::ranges::find(is_folder ? names.files : names.folders, name.string()) ==
                     (is_folder ? names.files : names.folders).end(),
                 place, ": ", quote(name.string()), is_folder ? " is a folder" : " is no folder",
                 ", and samples need the name; move it away or choose another folder");
  }
}

void SampleFolder::check_room(std::int64_t bytes, std::int64_t largest) const {
  const std::string place = folder_.destination().string();
  struct statvfs disk {};
  if (::statvfs(path().c_str(), &disk) == 0 && disk.f_blocks > 0) {
    const auto blocks = static_cast<std::int64_t>(::geteuid() == 0 ? disk.f_bfree : disk.f_bavail);
    std::int64_t free = 0;
    const bool huge = __builtin_mul_overflow(blocks, static_cast<std::int64_t>(disk.f_frsize), &free);
    MLD_CHECK_AS(ErrorKind::io, huge || bytes <= free, place, ": the samples need ", size_text(bytes),
                 ", and the disk has ", size_text(free),
                 " free; free space there, choose another folder or fewer samples");
  }
  struct rlimit limit {};
  if (::getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
    MLD_CHECK_AS(ErrorKind::io, static_cast<std::uint64_t>(largest) <= limit.rlim_cur, place,
                 ": an array of the samples needs ", size_text(largest), ", and files are limited to ",
                 size_text(static_cast<std::int64_t>(limit.rlim_cur)), " (ulimit -f); choose fewer samples");
}

void SampleFolder::commit() {
  // What came while samples were drawn stays too.
  const fs::path& destination = folder_.destination();
  if (path_exists(destination))
    for (const fs::path& name : foreign_files(destination)) {
      const fs::path parent = path() / name.parent_path();
      if (!name.parent_path().empty()) make_folder(parent);
      carry(destination / name, path() / name);
    }
  folder_.commit();
}

}  // namespace mld
