#include "engine/threads/cpus.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <vector>

#include "engine/base/error.h"
#include "engine/threads/threads.h"

namespace mld {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> words(const std::string& line, char separator = ' ') {
  std::vector<std::string> out;
  std::istringstream in(line);
  for (std::string word; std::getline(in, word, separator);) out.push_back(word);
  return out;
}

// A number of a control file; nothing for "max", -1 and what else is no positive number.
std::optional<double> positive(const std::string& text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value <= 0) return {};
  return static_cast<double>(value);
}

std::string first_line(const fs::path& file) {
  std::string line;
  std::ifstream in(file);
  std::getline(in, line);
  return line;
}

std::optional<double> quota_of(const fs::path& group, bool v2) {
  std::vector<std::string> v;
  if (v2)
    v = words(first_line(group / "cpu.max"));
  else
    v = {first_line(group / "cpu.cfs_quota_us"), first_line(group / "cpu.cfs_period_us")};
  if (v.size() != 2) return {};
  const std::optional<double> quota = positive(v[0]), period = positive(v[1]);
  if (!quota || !period) return {};
  return *quota / *period;
}

// A mounted hierarchy: `part` of it, a path within, is seen at `point`.
struct Mount {
  std::string part;
  fs::path point;
  bool v2;
};

// Lines of /proc/self/mountinfo: id parent device part point options [fields] - type source super-options.
std::vector<Mount> cgroup_mounts(const fs::path& root) {
  std::vector<Mount> mounts;
  std::ifstream in(root / "proc/self/mountinfo");
  for (std::string line; std::getline(in, line);) {
    const std::vector<std::string> v = words(line);
    const auto dash = std::find(v.begin(), v.end(), "-");
    if (dash - v.begin() < 6 || v.end() - dash < 4) continue;
    const std::vector<std::string> controllers = words(dash[3], ',');
    const bool v2 = dash[1] == "cgroup2";
    if (v2 || (dash[1] == "cgroup" &&
               std::find(controllers.begin(), controllers.end(), "cpu") != controllers.end()))
      mounts.push_back({v[3], root / fs::path(v[4]).relative_path(), v2});
  }
  return mounts;
}

// The path of this process's group in the hierarchy: from lines id:controllers:path of /proc/self/cgroup.
std::optional<std::string> group_path(const fs::path& root, bool v2) {
  std::ifstream in(root / "proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {
    const std::size_t a = line.find(':'), b = a == line.npos ? a : line.find(':', a + 1);
    if (b == line.npos) continue;
    const std::vector<std::string> controllers = words(line.substr(a + 1, b - a - 1), ',');
    const bool found = v2 ? controllers.empty()
                          : std::find(controllers.begin(), controllers.end(), "cpu") != controllers.end();
    if (found) return line.substr(b + 1);
  }
  return {};
}

// `path` as seen below a mount of `part`; the mount point itself if it lies outside, as in a container that
// does not see the names of the groups above.
fs::path below(const std::string& path, const std::string& part) {
  const fs::path relative = fs::path(path).lexically_relative(part);
  return relative.empty() || *relative.begin() == ".." ? fs::path(".") : relative;
}

int cpus_of_mask() {
  for (int size = 1024; size <= 1 << 20; size *= 2) {  // the kernel refuses a mask shorter than its own
    cpu_set_t* const set = CPU_ALLOC(size);
    if (set == nullptr) break;
    const std::size_t bytes = CPU_ALLOC_SIZE(size);
    const int count = sched_getaffinity(0, bytes, set) == 0 ? CPU_COUNT_S(bytes, set) : 0;
    CPU_FREE(set);
    if (count > 0) return count;
  }
  return 1;
}

}  // namespace

std::optional<double> cpu_quota(const fs::path& root) {
  std::optional<double> least;
  for (const Mount& mount : cgroup_mounts(root)) {
    const std::optional<std::string> path = group_path(root, mount.v2);
    if (!path) continue;
    fs::path group = mount.point;
    const auto take = [&] {
      const std::optional<double> quota = quota_of(group, mount.v2);
      if (quota && (!least || *quota < *least)) least = quota;
    };
    take();
    for (const fs::path& name : below(*path, mount.part)) {
      group /= name;
      take();
    }
  }
  return least;
}

std::optional<int> parse_omp_num_threads(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
  std::optional<int> first;
  while (true) {
    while (!text.empty() && blank(text.front())) text.remove_prefix(1);
    if (text.starts_with('+')) text.remove_prefix(1);
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || value <= 0) return {};
    if (!first) first = value;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    while (!text.empty() && blank(text.front())) text.remove_prefix(1);
    if (text.empty()) return first;
    if (text.front() != ',') return {};
    text.remove_prefix(1);
  }
}

ThreadDefault default_threads() {
  std::string ignored;
  if (const char* text = std::getenv("OMP_NUM_THREADS"); text != nullptr && *text != '\0') {
    if (const std::optional<int> asked = parse_omp_num_threads(text))
      return {std::min(*asked, kMaxThreads), "OMP_NUM_THREADS"};
    ignored = cat("; OMP_NUM_THREADS='", text, "' is no number of threads");
  }
  const int cpus = std::min(cpus_of_mask(), kMaxThreads);
  const std::optional<double> quota = cpu_quota();
  if (quota && std::ceil(*quota) < cpus)
    return {std::max(1, static_cast<int>(std::ceil(*quota))),
            cat("the CPU quota of the control group", ignored)};
  return {cpus, cat(cpus < sysconf(_SC_NPROCESSORS_ONLN) ? "the CPUs of the affinity mask"
                                                         : "the CPUs of this machine",
                    ignored)};
}

}  // namespace mld
