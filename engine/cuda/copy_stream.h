// A second stream of a device that copies from pinned host memory while the compute stream works. Copies are
// counted in slots, so that one slot can be filled while the compute stream still reads the other. Only in
// builds with CUDA; errors as in runtime.h.
#pragma once

#include <cstddef>
#include <memory>

#include "engine/base/device.h"

namespace mld::cuda {

class CopyStream {
 public:
  CopyStream(Device device, int slots);
  ~CopyStream();
  CopyStream(const CopyStream&) = delete;
  CopyStream& operator=(const CopyStream&) = delete;

  // Locks host memory in place until the CopyStream ends, as copies beside the compute stream need it.
  void pin(void* host, std::size_t bytes);
  // Waits in stream order for what `taken` says of this slot. The host memory may change after wait(slot).
  void upload(int slot, void* to, const void* host, std::size_t bytes);
  void uploaded(int slot);    // the compute stream goes on after the slot's uploads so far
  void taken(int slot);       // the compute stream has been given everything that reads the slot
  void wait(int slot) const;  // the host waits for the slot's uploads; from any thread

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mld::cuda
