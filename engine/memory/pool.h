// Stream-ordered caching allocator. One compute stream per device means that a block handed back may be
// handed out again at once: the order of work on the stream protects it. Size classes: multiples of 512 B up
// to 1 MiB, then multiples of 2 MiB; a cached block is reused for its own size only; no splitting. After
// warm-up a train step causes no misses, which tests assert through stats().
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "engine/base/device.h"

namespace mld {

struct PoolStats {
  std::int64_t hits = 0;
  std::int64_t misses = 0;        // requests that had to go to the system
  std::int64_t bytes_in_use = 0;  // handed out now
  std::int64_t bytes_held = 0;    // taken from the system
  std::int64_t peak_in_use = 0;
};

class Pool : public std::enable_shared_from_this<Pool> {
 public:
  explicit Pool(Device device) : device_(device) {}
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // Blocks are aligned to 64 bytes (256 on cuda). Throws OutOfMemory, after dropping the cache and
  // that of the default pool.
  void* allocate(std::size_t bytes);
  void release(void* block, std::size_t bytes) noexcept;  // bytes as asked for in allocate
  Device device() const { return device_; }
  PoolStats stats() const;
  void drop_cache() noexcept;

 private:
  void give_back_cached() noexcept;  // under the mutex

  Device device_;
  mutable std::mutex mutex_;
  std::multimap<std::size_t, void*> free_;  // by rounded size
  PoolStats stats_;
};

std::shared_ptr<Pool> default_pool(Device device);
// The pool that new tensors of the device come from: the default one, or that of the innermost PoolScope of
// the device.
std::shared_ptr<Pool> active_pool(Device device);

// Redirects this thread's allocations on the pool's device to it, as a captured step needs: the addresses
// baked into the recording must outlive it and must not be handed to anybody else.
class PoolScope {
 public:
  explicit PoolScope(std::shared_ptr<Pool> pool);
  ~PoolScope();
  PoolScope(const PoolScope&) = delete;
  PoolScope& operator=(const PoolScope&) = delete;
};

}  // namespace mld
