#include <ucontext.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "cuda_emulation.h"

namespace mld::cuda::emulation {
namespace {

constexpr std::size_t kStackBytes = 256 * 1024;
constexpr unsigned kWarp = 32;

// One block at a time. A fiber runs threads one after the other until one of them waits at a barrier; that
// thread keeps the fiber, and the next one goes on in another. A kernel without barriers thus needs a single
// fiber and no switch between threads.
class Block {
 public:
  void run(unsigned threads, const std::function<void()>& kernel) {
    threads_ = threads;
    kernel_ = &kernel;
    next_ = 0;
    used_ = 0;
    waits_.assign(threads, Waits::no);
    while (true) {
      if (next_ < threads_)
        start();
      else if (!release())
        break;
    }
    for (const Waits w : waits_)
      if (w != Waits::done) stop("a barrier that some threads of the block do not reach");
  }

  void wait(Barrier barrier) {
    Fiber& fiber = *current_;
    waits_[fiber.thread] = barrier == Barrier::warp ? Waits::warp : Waits::block;
    swapcontext(&fiber.context, &scheduler_);
    threadIdx = {fiber.thread, 0, 0};
  }

 private:
  enum class Waits : std::uint8_t { no, warp, block, done };
  struct Fiber {
    ucontext_t context;
    std::unique_ptr<char[]> stack = std::make_unique_for_overwrite<char[]>(kStackBytes);
    unsigned thread = 0;
  };

  [[noreturn]] static void stop(const char* why) {
    std::fprintf(stderr, "CUDA emulation: %s\n", why);
    std::abort();
  }

  static Block*& active() {
    static Block* block = nullptr;
    return block;
  }

  void resume(Fiber& fiber) {
    current_ = &fiber;
    active() = this;
    threadIdx = {fiber.thread, 0, 0};
    swapcontext(&scheduler_, &fiber.context);
  }

  void start() {
    if (used_ == fibers_.size()) fibers_.push_back(std::make_unique<Fiber>());
    Fiber& fiber = *fibers_[used_++];
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = kStackBytes;
    fiber.context.uc_link = &scheduler_;
    makecontext(
        &fiber.context, [] { active()->run_threads(); }, 0);
    resume(fiber);
  }

  void run_threads() {
    static const char* order = std::getenv("MLDTEST_EMULATION_ORDER");
    static const bool reverse = order && std::strcmp(order, "reverse") == 0;
    Fiber& fiber = *current_;
    while (next_ < threads_) {
      const unsigned place = next_++;
      fiber.thread = reverse ? threads_ - 1 - place : place;
      threadIdx = {fiber.thread, 0, 0};
      (*kernel_)();
      waits_[fiber.thread] = Waits::done;
    }
  }

  bool all(unsigned first, unsigned count, Waits what) const {
    bool any = false;
    for (unsigned t = first; t < first + count; ++t) {
      if (waits_[t] == Waits::done) continue;
      if (waits_[t] != what) return false;
      any = true;
    }
    return any;
  }

  // Lets go on whoever may: false if nobody is left, or nobody can.
  bool release() {
    std::vector<bool> free(threads_, false);
    bool any = false;
    for (unsigned first = 0; first < threads_; first += kWarp)
      if (all(first, kWarp, Waits::warp)) {
        std::fill(free.begin() + first, free.begin() + first + kWarp, true);
        any = true;
      }
    if (!any && all(0, threads_, Waits::block)) {
      free.assign(threads_, true);
      any = true;
    }
    if (!any) return false;
    for (unsigned i = 0; i < used_; ++i) {
      Fiber& fiber = *fibers_[i];
      if (!free[fiber.thread] || waits_[fiber.thread] == Waits::done) continue;
      waits_[fiber.thread] = Waits::no;
      resume(fiber);
    }
    return true;
  }

  unsigned threads_ = 0, next_ = 0;
  const std::function<void()>* kernel_ = nullptr;
  std::vector<Waits> waits_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::size_t used_ = 0;
  Fiber* current_ = nullptr;
  ucontext_t scheduler_{};
};

}  // namespace

void wait_at(Barrier barrier);

namespace {
Block& block() {
  static auto* b = new Block;
  return *b;
}
}  // namespace

void wait_at(Barrier barrier) { block().wait(barrier); }

void launch(cudaStream_t stream, const std::type_info& type, unsigned grid, unsigned threads,
            std::function<void()> kernel) {
  enqueue(stream, {.kernel = &type}, [=, kernel = std::move(kernel)] {
    gridDim = {grid, 1, 1};
    for (unsigned b = 0; b < grid; ++b) {
      blockIdx = {b, 0, 0};
      block().run(threads, kernel);
    }
  });
}

}  // namespace mld::cuda::emulation
