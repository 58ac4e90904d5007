#include "engine/threads/threads.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "engine/base/error.h"
#include "engine/threads/cpus.h"

namespace mld {
namespace {

using i64 = std::int64_t;
using Clock = std::chrono::steady_clock;

constexpr int kShares = 64;  // of a loop: each thread begins with one of its own, and then helps out
constexpr int kPieces = 8;   // of a share
constexpr int kRegions = 4;  // loops of several calling threads at once; further ones run alone
constexpr auto kSpin = std::chrono::microseconds(500);
// A spinning thread looks at the clock more often than this, unless another process had its CPU.
constexpr auto kInterrupted = std::chrono::microseconds(500);
constexpr auto kCrowdedFor = std::chrono::milliseconds(50);

thread_local bool inside = false;

void sleep_while(const std::atomic<std::uint32_t>& word, std::uint32_t value) {
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}
void wake(const std::atomic<std::uint32_t>& word, int threads) {
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, threads, nullptr, nullptr, 0);
}

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Until when the CPUs are taken to be crowded: spinning would take them from those that are waited for.
std::atomic<i64> crowded_until{0};

// Waits for done() for a bounded time; whether it came.
template <class Done>
bool spin(const Done& done) {
  for (int i = 0; i < 16; ++i, pause())
    if (done()) return true;
  const auto start = Clock::now();
  if (start.time_since_epoch().count() < crowded_until.load(std::memory_order_relaxed)) return false;
  for (auto last = start; last - start < kSpin;) {
    for (int i = 0; i < 16; ++i) {
      pause();
      if (done()) return true;
    }
    const auto now = Clock::now();
    if (now - last > kInterrupted)
      crowded_until.store((now + kCrowdedFor).time_since_epoch().count(), std::memory_order_relaxed);
    last = now;
  }
  return false;
}

// A loop that is open to helpers. What describes it is written while it has no seats and nobody is in it.
class Region {
 public:
  std::atomic<bool> taken{false};

  void open(i64 n, int threads, threads::Piece piece, const void* f) {
    piece_ = piece;
    f_ = f;
    shares_ = std::min<i64>({threads, n, kShares});
    size_ = std::max<i64>(1, n / (shares_ * kPieces));
    for (i64 s = 0; s < shares_; ++s) {
      share_[at(s)].next.store(n * s / shares_, std::memory_order_relaxed);
      share_[at(s)].end = n * (s + 1) / shares_;
    }
    state_.store(static_cast<std::uint32_t>(threads - 1) * kSeat, std::memory_order_release);
  }

  // A helper comes in, if there is a seat, does what is left and goes.
  bool help(int id) {
    std::uint32_t s = state_.load(std::memory_order_relaxed);
    do
      if (s < kSeat) return false;
    while (!state_.compare_exchange_weak(s, s - kSeat + 1, std::memory_order_acquire,
                                         std::memory_order_relaxed));
    work(id);
    s = state_.fetch_sub(1, std::memory_order_acq_rel);
    if ((s & kBusy) == 1 && (s & kAsleep) != 0) wake(state_, 1);
    return true;
  }

  // All pieces that nobody else takes; returns when none is left to take.
  void work(int id) {
    for (i64 k = 0; k < shares_; ++k) {
      Share& share = share_[at((id + k) % shares_)];
      while (share.next.load(std::memory_order_relaxed) < share.end) {
        const i64 first = share.next.fetch_add(size_, std::memory_order_relaxed);
        if (first >= share.end) break;
        try {
          piece_(f_, first, std::min(share.end, first + size_));
        } catch (...) {
          fail(first);
        }
      }
    }
  }

  // The caller has seen the last piece taken, and waits for those that others took. The first failure.
  std::exception_ptr close() {
    const auto empty = [this] { return (state_.load(std::memory_order_acquire) & kBusy) == 0; };
    if ((state_.fetch_and(kBusy, std::memory_order_acq_rel) & kBusy) != 0 && !spin(empty))
      for (std::uint32_t s; ((s = state_.fetch_or(kAsleep, std::memory_order_acq_rel)) & kBusy) != 0;)
        sleep_while(state_, s | kAsleep);
    return std::exchange(failed_, nullptr);
  }

 private:
  // The state: helpers that may still come in, whether the caller sleeps, and the helpers inside.
  static constexpr std::uint32_t kSeat = 1 << 16, kAsleep = 1 << 15, kBusy = kAsleep - 1;
  static_assert(kMaxThreads < static_cast<int>(kAsleep));
  static std::size_t at(i64 i) { return static_cast<std::size_t>(i); }

  void fail(i64 piece) {
    const std::lock_guard lock(failing_);
    if (failed_ == nullptr || piece < failed_piece_)
      failed_ = std::current_exception(), failed_piece_ = piece;
  }

  struct alignas(64) Share {
    std::atomic<i64> next{0};
    i64 end = 0;
  };
  alignas(64) std::atomic<std::uint32_t> state_{0};
  alignas(64) threads::Piece piece_ = nullptr;
  const void* f_ = nullptr;
  i64 shares_ = 0, size_ = 1;
  std::array<Share, kShares> share_;
  std::mutex failing_;
  std::exception_ptr failed_;
  i64 failed_piece_ = 0;
};

class Pool {
 public:
  void run(i64 n, int threads, threads::Piece piece, const void* f) {
    Region* const region = start(threads - 1) > 0 ? take() : nullptr;
    if (region == nullptr) return piece(f, 0, n);
    region->open(n, threads, piece, f);
    loops_.fetch_add(1, std::memory_order_seq_cst);
    if (sleepers_.load(std::memory_order_seq_cst) > 0) wake(loops_, threads - 1);
    inside = true;
    region->work(0);
    const std::exception_ptr failure = region->close();
    inside = false;
    region->taken.store(false, std::memory_order_release);
    if (failure) std::rethrow_exception(failure);
  }

 private:
  Region* take() {
    for (Region& region : regions_)
      if (!region.taken.exchange(true, std::memory_order_acquire)) return &region;
    return nullptr;
  }

  // As many helpers as asked for, or as the system lets start; their number.
  int start(int helpers) {
    int have = helpers_.load(std::memory_order_acquire);
    if (have >= helpers || refused_.load(std::memory_order_relaxed)) return have;
    const std::lock_guard lock(starting_);
    have = helpers_.load(std::memory_order_relaxed);
    try {
      for (; have < helpers; helpers_.store(++have, std::memory_order_release))
        std::thread([this, id = have + 1] { help(id); }).detach();
    } catch (const std::system_error&) {
      refused_.store(true, std::memory_order_relaxed);
    }
    return have;
  }

  [[noreturn]] void help(int id) {
    inside = true;
    while (true) {
      const std::uint32_t seen = loops_.load(std::memory_order_seq_cst);
      bool helped = false;
      for (Region& region : regions_) helped = region.help(id) || helped;
      if (helped || spin([&] { return loops_.load(std::memory_order_acquire) != seen; })) continue;
      sleepers_.fetch_add(1, std::memory_order_seq_cst);
      sleep_while(loops_, seen);
      sleepers_.fetch_sub(1, std::memory_order_relaxed);
    }
  }

  std::array<Region, kRegions> regions_;
  alignas(64) std::atomic<std::uint32_t> loops_{0};  // opened so far
  alignas(64) std::atomic<int> sleepers_{0};
  std::atomic<int> helpers_{0};
  std::atomic<bool> refused_{false};
  std::mutex starting_;
};

// Never destroyed, as helpers sleep in it until the process ends. A child process has none of its parent's
// threads and begins with another pool.
std::atomic<Pool*> current{nullptr};

Pool& pool() {
  static const bool once = [] {
    current = new Pool;
    pthread_atfork(nullptr, nullptr, [] { current = new Pool; });
    return true;
  }();
  static_cast<void>(once);
  return *current.load(std::memory_order_acquire);
}

std::atomic<int> chosen{0};  // 0: not yet
std::atomic<bool> by_default{true};

}  // namespace

void threads::run(i64 n, int threads, Piece piece, const void* f) {
  if (n <= 0) return;
  threads = static_cast<int>(std::min<i64>({threads, n, kMaxThreads}));
  if (threads <= 1 || inside) return piece(f, 0, n);
  pool().run(n, threads, piece, f);
}

void set_threads(int threads) {
  MLD_CHECK_AS(ErrorKind::usage, threads >= 0 && threads <= kMaxThreads, "threads: expected 0 to ",
               kMaxThreads, ", found ", threads);
  by_default = threads == 0;
  chosen = threads > 0 ? threads : default_threads().threads;
}

int max_threads() {
  int threads = chosen.load(std::memory_order_relaxed);
  if (threads == 0 && chosen.compare_exchange_strong(threads, default_threads().threads))
    threads = chosen.load(std::memory_order_relaxed);
  return threads;
}

std::string describe_threads() {
  return cat(max_threads(), " (", by_default ? default_threads().reason : "as asked", ")");
}

bool in_parallel() { return inside; }

}  // namespace mld
