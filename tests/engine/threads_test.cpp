#include "engine/threads/threads.h"

#include <doctest/doctest.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "engine/threads/cpus.h"
#include "tests/expect_error.h"
#include "tests/in_child.h"
#include "tests/temp_folder.h"
#include "tests/threads_scope.h"

namespace mld {
namespace {

using i64 = std::int64_t;
namespace fs = std::filesystem;
using test::Threads;

// An environment variable for a scope; null: not set.
class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    set(value);
  }
  ~Environment() { set(before_ ? before_->c_str() : nullptr); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  void set(const char* value) const {
    if (value != nullptr)
      setenv(name_, value, 1);
    else
      unsetenv(name_);
  }
  const char* name_;
  std::optional<std::string> before_;
};

// Whether a loop of n meets each index once. In plain memory, so that a sanitizer sees what is not ordered.
bool each_once(i64 n, int threads) {
  std::vector<int> met(static_cast<std::size_t>(n));
  parallel_for(
      n, [&](i64 i) { ++met[static_cast<std::size_t>(i)]; }, threads);
  return std::ranges::all_of(met, [](int count) { return count == 1; });
}

i64 sum_of(i64 n) {
  std::atomic<i64> sum{0};
  parallel_for(n, [&](i64 i) { sum += i; });
  return sum;
}

// Whether f returned true in a child process, which is ended after a minute.
template <class F>
bool holds_in_child(const F& f) {
  return test::in_child([&] {
           alarm(60);
           return f() ? 0 : 1;
         }) == 0;
}

double cpu_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

TEST_CASE("threads: a loop meets every index once") {
  for (const int threads : {1, 2, 3, 8, 65, 200})
    for (const i64 n : {0, 1, 2, 3, 7, 63, 64, 65, 129, 1000, 50'000}) {
      CAPTURE(threads);
      CAPTURE(n);
      CHECK(each_once(n, threads));
    }
  CHECK(each_once(5, -1));
  for (int again = 0; again < 2000; ++again) REQUIRE(each_once(again % 40, 4));
}

TEST_CASE("threads: ranges tile the loop") {
  for (const i64 n : {1, 2, 9, 64, 1000})
    for (const int threads : {1, 2, 3, 70}) {
      std::vector<std::atomic<i64>> end(static_cast<std::size_t>(n));
      parallel_ranges(
          n, [&](i64 first, i64 last) { end[static_cast<std::size_t>(first)] = last; }, threads);
      i64 at = 0;
      while (at < n && end[static_cast<std::size_t>(at)] > at) at = end[static_cast<std::size_t>(at)];
      CHECK(at == n);
    }
}

TEST_CASE("threads: a loop within a loop runs on the thread that meets it") {
  const Threads three(3);
  std::atomic<int> wrong{0};
  std::atomic<i64> met{0};
  CHECK_FALSE(in_parallel());
  parallel_for(20, [&](i64) {
    const auto self = std::this_thread::get_id();
    if (!in_parallel()) ++wrong;
    parallel_for(30, [&](i64) {
      if (std::this_thread::get_id() != self) ++wrong;
      parallel_for(5, [&](i64) { ++met; });
    });
  });
  CHECK_FALSE(in_parallel());
  CHECK(wrong == 0);
  CHECK(met == 20 * 30 * 5);
}

TEST_CASE("threads: several threads of a program may have loops at once") {
  const Threads three(3);
  for (const int callers : {2, 5, 9}) {
    std::atomic<int> wrong{0};
    std::vector<std::jthread> running;
    for (int c = 0; c < callers; ++c)
      running.emplace_back([&wrong, c] {
        for (i64 n = c; n < 400; ++n)
          if (sum_of(n) != n * (n - 1) / 2) ++wrong;
      });
    running.clear();
    CHECK(wrong == 0);
  }
}

TEST_CASE("threads: the calling thread gets what the first failing index threw") {
  const Threads three(3);
  const auto message = [](const std::vector<i64>& failing, i64 n) -> std::string {
    try {
      parallel_for(n, [&](i64 i) {
        if (std::ranges::count(failing, i) != 0) throw std::runtime_error(std::to_string(i));
      });
    } catch (const std::runtime_error& e) {
      return e.what();
    }
    return "";
  };
  for (int again = 0; again < 100; ++again) {
    REQUIRE(message({0}, 1) == "0");
    REQUIRE(message({999}, 1000) == "999");
    REQUIRE(message({700, 3, 4, 998}, 1000) == "3");
    REQUIRE(message({}, 1000).empty());
    REQUIRE(sum_of(100) == 4950);
    REQUIRE_FALSE(in_parallel());
  }
}

TEST_CASE("threads: their number may change between loops, up to a limit") {
  const Threads restore(1);
  for (const int threads : {1, 4, 2, kMaxThreads, 1, 3}) {
    set_threads(threads);
    CHECK(max_threads() == threads);
    CHECK(describe_threads() == std::to_string(threads) + " (as asked)");
    CHECK(sum_of(1000) == 499'500);
  }
  for (const int threads : {-1, kMaxThreads + 1, 1 << 30})
    CHECK(test::error_of(ErrorKind::usage, [&] { set_threads(threads); }) ==
          "threads: expected 0 to 1024, found " + std::to_string(threads));
  CHECK(max_threads() == 3);
}

TEST_CASE("threads: those without work sleep") {
  CHECK(holds_in_child([] {
    set_threads(8);
    for (int i = 0; i < 50; ++i) sum_of(1000);
    // On a busy machine it takes a while until each has had its turn to go to sleep.
    for (int again = 0; again < 60; ++again) {
      const double before = cpu_seconds();
      std::this_thread::sleep_for(std::chrono::milliseconds(500));
      if (cpu_seconds() - before < 0.05) return true;
    }
    return false;
  }));
}

TEST_CASE("threads: a loop waits for no thread that holds no piece of it") {
  CHECK(holds_in_child([] {
    set_threads(2);
    std::atomic<int> inside{0};
    std::atomic<bool> done{false};
    std::thread other([&] {
      parallel_for(2, [&](i64) {
        ++inside;
        while (!done) std::this_thread::yield();
      });
    });
    while (inside < 2) std::this_thread::yield();  // the only helper is held
    const bool right = sum_of(1000) == 499'500;
    done = true;
    other.join();
    return right;
  }));
}

TEST_CASE("threads: a child process has its own") {
  const Threads three(3);
  CHECK(sum_of(1000) == 499'500);
  for (int again = 0; again < 3; ++again)
    CHECK(holds_in_child([] { return max_threads() == 3 && sum_of(1000) == 499'500 && each_once(100, 5); }));
  CHECK(sum_of(1000) == 499'500);
}

TEST_CASE("threads: OMP_NUM_THREADS is the default") {
  const Threads restore(1);
  int of_machine = 0;
  {
    const Environment unset("OMP_NUM_THREADS", nullptr);
    of_machine = default_threads().threads;
    CHECK(of_machine >= 1);
    CHECK(of_machine <= static_cast<int>(sysconf(_SC_NPROCESSORS_CONF)));
  }
  for (const auto& [text, threads] : std::vector<std::pair<const char*, int>>{
           {"3", 3}, {"1", 1}, {"4,2", 4}, {" 5 , 2 ", 5}, {"+6", 6}, {"2000000", kMaxThreads}}) {
    const Environment set("OMP_NUM_THREADS", text);
    CAPTURE(text);
    set_threads(0);
    CHECK(max_threads() == threads);
    CHECK(describe_threads() == std::to_string(threads) + " (OMP_NUM_THREADS)");
    set_threads(2);
    CHECK(describe_threads() == "2 (as asked)");
  }
  for (const char* text : {"0", "abc", "-3", "4,", ",4", "4,x", "4 2", "2.5", "0x4", "99999999999", " "}) {
    const Environment set("OMP_NUM_THREADS", text);
    CAPTURE(text);
    CHECK_FALSE(parse_omp_num_threads(text));
    CHECK(default_threads().threads == of_machine);
    CHECK(default_threads().reason.ends_with("; OMP_NUM_THREADS='" + std::string(text) +
                                             "' is no number of threads"));
  }
}

TEST_CASE("threads: by default no more than the affinity mask has") {
  const Environment unset("OMP_NUM_THREADS", nullptr);
  ThreadDefault found;
  std::thread([&] {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<std::size_t>(sched_getcpu()), &one);
    REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
    found = default_threads();
  }).join();
  CHECK(found.threads == 1);
  if (sysconf(_SC_NPROCESSORS_ONLN) > 1) CHECK(found.reason == "the CPUs of the affinity mask");
}

// A root with /proc/self/cgroup, /proc/self/mountinfo and control files.
struct FakeRoot {
  test::TempFolder folder;
  FakeRoot(const std::string& cgroup, const std::string& mounts) {
    write("proc/self/cgroup", cgroup);
    write("proc/self/mountinfo", mounts);
  }
  FakeRoot& write(const std::string& file, const std::string& text) {
    fs::create_directories((folder.path() / file).parent_path());
    test::write_bytes(folder.path() / file, text);
    return *this;
  }
  std::optional<double> quota() const { return cpu_quota(folder.path()); }
};

const std::string kV2 = "30 20 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n";
const std::string kV1 = "31 20 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n";

TEST_CASE("threads: quota of cgroup v2") {
  for (const auto& [text, want] :
       std::vector<std::pair<std::string, std::optional<double>>>{{"max 100000\n", {}},
                                                                  {"150000 100000\n", 1.5},
                                                                  {"50000 100000", 0.5},
                                                                  {"400000 200000\n", 2.0},
                                                                  {"", {}},
                                                                  {"150000\n", {}},
                                                                  {"0 100000\n", {}},
                                                                  {"150000 0\n", {}},
                                                                  {"x y\n", {}}}) {
    CAPTURE(text);
    CHECK(FakeRoot("0::/\n", kV2).write("sys/fs/cgroup/cpu.max", text).quota() == want);
  }
  // A group within others: the least on the way counts.
  FakeRoot nested("0::/a.slice/b\n", kV2);
  CHECK_FALSE(nested.quota());
  nested.write("sys/fs/cgroup/a.slice/cpu.max", "300000 100000\n");
  CHECK(nested.quota() == 3.0);
  nested.write("sys/fs/cgroup/a.slice/b/cpu.max", "max 100000\n");
  CHECK(nested.quota() == 3.0);
  nested.write("sys/fs/cgroup/a.slice/b/cpu.max", "250000 100000\n");
  CHECK(nested.quota() == 2.5);
  nested.write("sys/fs/cgroup/a.slice/other/cpu.max", "100000 100000\n");
  CHECK(nested.quota() == 2.5);
}

TEST_CASE("threads: quota of cgroup v1") {
  const std::string group = "sys/fs/cgroup/cpu,cpuacct/docker/x/";
  for (const auto& [quota, period, want] :
       std::vector<std::tuple<std::string, std::string, std::optional<double>>>{{"-1\n", "100000\n", {}},
                                                                                {"150000\n", "100000\n", 1.5},
                                                                                {"50000\n", "50000\n", 1.0},
                                                                                {"", "100000\n", {}},
                                                                                {"150000\n", "", {}}}) {
    CAPTURE(quota);
    FakeRoot root("3:memory:/docker/x\n2:cpu,cpuacct:/docker/x\n0::/\n", kV1);
    root.write(group + "cpu.cfs_quota_us", quota).write(group + "cpu.cfs_period_us", period);
    CHECK(root.quota() == want);
  }
}

TEST_CASE("threads: quota within a container, beside both versions, and without any") {
  // The mount shows the container's group as the root.
  FakeRoot container("2:cpu,cpuacct:/docker/x\n",
                     "31 20 0:27 /docker/x /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n");
  container.write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "100000\n");
  container.write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  CHECK(container.quota() == 1.0);
  // The groups above have names that it does not see.
  FakeRoot hidden("0::/../../job\n", kV2);
  hidden.write("sys/fs/cgroup/cpu.max", "200000 100000\n");
  CHECK(hidden.quota() == 2.0);
  // v1 for the cpu, v2 beside it, as systemd's hybrid mode has it.
  FakeRoot hybrid("2:cpu,cpuacct:/\n0::/user\n", kV1 + kV2);
  hybrid.write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "320000\n");
  hybrid.write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  CHECK(hybrid.quota() == 3.2);
  CHECK_FALSE(FakeRoot("", "").quota());
  CHECK_FALSE(FakeRoot("nonsense\n::\n", "1 2 3\n - - -\n").quota());
  CHECK_FALSE(cpu_quota("/nonexistent"));
}

}  // namespace
}  // namespace mld
