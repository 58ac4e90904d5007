#include "engine/memory/pool.h"

#include <cstdlib>
#include <utility>
#include <vector>

#include "engine/base/error.h"
#include "engine/cuda/runtime.h"
#include "engine/memory/sim.h"
#if MLD_CUDA_EMULATED
#include "cuda_emulation.h"
#include "engine/cuda/stream.h"
#endif

namespace mld {
namespace {

constexpr std::size_t kSmall = std::size_t{1} << 20;
constexpr std::size_t kSmallStep = 512;
constexpr std::size_t kLargeStep = std::size_t{2} << 20;

std::size_t round_up(std::size_t bytes) {
  const std::size_t step = bytes <= kSmall ? kSmallStep : kLargeStep;
  return bytes == 0 ? step : (bytes + step - 1) / step * step;
}

// Memory of the system: null if there is none left.
void* take(Device device, std::size_t bytes) {
  if constexpr (kCudaBuilt)
    if (device.kind == DeviceKind::cuda) return cuda::allocate(device, bytes);
  return std::aligned_alloc(64, bytes);
}

void give_back(Device device, void* block) noexcept {
  if constexpr (kCudaBuilt)
    if (device.kind == DeviceKind::cuda) return cuda::release(device, block);
  std::free(block);
}

std::size_t free_bytes(Device device) {
  if constexpr (kCudaBuilt)
    if (device.kind == DeviceKind::cuda) return cuda::device_info(device.index).free_bytes;
  return 0;
}

// For the emulation, which checks kernels in a sanitized build: `asked` bytes of a block have an owner from
// here on.
void mark_owned([[maybe_unused]] Device device, [[maybe_unused]] void* block,
                [[maybe_unused]] std::size_t asked, [[maybe_unused]] std::size_t size) {
#if MLD_CUDA_EMULATED
  if (device.kind == DeviceKind::cuda) cuda::emulation::mark_owned(cuda::stream(device), block, asked, size);
#endif
}

std::vector<std::shared_ptr<Pool>>& scopes() {
  static thread_local std::vector<std::shared_ptr<Pool>> stack;
  return stack;
}

}  // namespace

Pool::~Pool() { drop_cache(); }

void* Pool::allocate(std::size_t bytes) {
  const std::size_t size = round_up(bytes);
  std::lock_guard lock(mutex_);
  const auto handed_out = [&](void* block) {
    stats_.bytes_in_use += static_cast<std::int64_t>(size);
    stats_.peak_in_use = std::max(stats_.peak_in_use, stats_.bytes_in_use);
    mark_owned(device_, block, bytes, size);
    return block;
  };
  if (const auto it = free_.find(size); it != free_.end()) {
    ++stats_.hits;
    void* block = it->second;
    free_.erase(it);
    return handed_out(block);
  }
  ++stats_.misses;
  void* block = take(device_, size);
  if (!block) {
    give_back_cached();
    block = take(device_, size);
  }
  if (!block) {  // the cache of a step's own pool is not the only one
    if (const std::shared_ptr<Pool> other = default_pool(device_); other.get() != this) {
      other->drop_cache();
      block = take(device_, size);
    }
  }
  if (!block)
    throw OutOfMemory(
        cat("memory: ", device_, " cannot provide ", size, " bytes; in use ", stats_.bytes_in_use, ", peak ",
            stats_.peak_in_use,
            device_.kind == DeviceKind::cuda ? cat(", free on the GPU ", free_bytes(device_)) : "",
            "; use a smaller batch"));
  stats_.bytes_held += static_cast<std::int64_t>(size);
  return handed_out(block);
}

void Pool::release(void* block, std::size_t bytes) noexcept {
  const std::size_t size = round_up(bytes);
  if (device_.kind == DeviceKind::sim) sim::poison(block, size);
  mark_owned(device_, block, 0, size);
  std::lock_guard lock(mutex_);
  stats_.bytes_in_use -= static_cast<std::int64_t>(size);
  free_.emplace(size, block);
}

PoolStats Pool::stats() const {
  std::lock_guard lock(mutex_);
  return stats_;
}

void Pool::drop_cache() noexcept {
  if (device_.kind == DeviceKind::sim && !sim::capturing())
    sim::run_queue();  // queued work may touch the blocks
  std::lock_guard lock(mutex_);
  give_back_cached();
}

void Pool::give_back_cached() noexcept {
  for (auto& [size, block] : free_) {
    give_back(device_, block);
    stats_.bytes_held -= static_cast<std::int64_t>(size);
  }
  free_.clear();
}

std::shared_ptr<Pool> default_pool(Device device) {
  // Never destroyed: tensors with static storage duration may outlive any order of destruction.
  static auto* pools = new std::map<std::pair<DeviceKind, int>, std::shared_ptr<Pool>>;
  static auto* mutex = new std::mutex;
  MLD_CHECK_AS(ErrorKind::device, kCudaBuilt || device.kind != DeviceKind::cuda, "device ", device,
               ": this program was built without CUDA; configure with -DMLD_CUDA=ON");
  const std::lock_guard lock(*mutex);
  std::shared_ptr<Pool>& pool = (*pools)[{device.kind, device.index}];
  if (!pool) pool = std::make_shared<Pool>(device);
  return pool;
}

std::shared_ptr<Pool> active_pool(Device device) {
  for (auto it = scopes().rbegin(); it != scopes().rend(); ++it)
    if ((*it)->device() == device) return *it;
  return default_pool(device);
}

PoolScope::PoolScope(std::shared_ptr<Pool> pool) { scopes().push_back(std::move(pool)); }
PoolScope::~PoolScope() { scopes().pop_back(); }

}  // namespace mld
