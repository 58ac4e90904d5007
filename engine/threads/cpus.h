// How many CPUs this process may use.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace mld {

// What the control groups of this process allow, in CPUs: the least quota / period on the way from its group
// to the root, of cgroup v2 (cpu.max) or v1 (cpu.cfs_quota_us); nothing if no group has a quota. Files that
// are absent or unintelligible count as no quota. `root` stands before /proc and the mount points: for tests.
std::optional<double> cpu_quota(const std::filesystem::path& root = "/");

// The first number of OMP_NUM_THREADS ("4" or "4,2", which is for nested regions); nothing for a text that
// OpenMP does not allow.
std::optional<int> parse_omp_num_threads(std::string_view text);

struct ThreadDefault {
  int threads = 1;
  std::string reason;  // "OMP_NUM_THREADS", "the CPUs of this machine" ...
};
// OMP_NUM_THREADS, or else the CPUs of this process's affinity mask, no more than its quota rounded up.
ThreadDefault default_threads();

}  // namespace mld
