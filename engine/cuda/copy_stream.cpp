#include "engine/cuda/copy_stream.h"

#include <vector>

#include "engine/cuda/stream.h"

namespace mld::cuda {

struct CopyStream::State {
  Device device;
  cudaStream_t stream = nullptr;
  std::vector<cudaEvent_t> uploaded = {}, taken = {};  // one that was never recorded holds nobody up
  std::vector<void*> pinned = {};
};

CopyStream::CopyStream(Device device, int slots) : state_(new State{.device = device}) {
  (void)stream(device);
  MLD_CUDA_CALL(cudaStreamCreateWithFlags(&state_->stream, cudaStreamNonBlocking));
  for (int slot = 0; slot < slots; ++slot)
    for (auto* events : {&state_->uploaded, &state_->taken}) {
      events->push_back(nullptr);
      MLD_CUDA_CALL(cudaEventCreateWithFlags(&events->back(), cudaEventDisableTiming));
    }
}

CopyStream::~CopyStream() {
  (void)cudaStreamSynchronize(state_->stream);
  for (void* host : state_->pinned) (void)cudaHostUnregister(host);
  for (auto* events : {&state_->uploaded, &state_->taken})
    for (cudaEvent_t event : *events) (void)cudaEventDestroy(event);
  (void)cudaStreamDestroy(state_->stream);
}

void CopyStream::pin(void* host, std::size_t bytes) {
  MLD_CUDA_CALL(cudaHostRegister(host, bytes, cudaHostRegisterDefault));
  state_->pinned.push_back(host);
}

void CopyStream::upload(int slot, void* to, const void* host, std::size_t bytes) {
  MLD_CUDA_CALL(cudaStreamWaitEvent(state_->stream, state_->taken[static_cast<std::size_t>(slot)], 0));
  MLD_CUDA_CALL(cudaMemcpyAsync(to, host, bytes, cudaMemcpyHostToDevice, state_->stream));
}

void CopyStream::uploaded(int slot) {
  const cudaEvent_t event = state_->uploaded[static_cast<std::size_t>(slot)];
  MLD_CUDA_CALL(cudaEventRecord(event, state_->stream));
  MLD_CUDA_CALL(cudaStreamWaitEvent(stream(state_->device), event, 0));
}

void CopyStream::taken(int slot) {
  MLD_CUDA_CALL(cudaEventRecord(state_->taken[static_cast<std::size_t>(slot)], stream(state_->device)));
}

void CopyStream::wait(int slot) const {
  MLD_CUDA_CALL(cudaEventSynchronize(state_->uploaded[static_cast<std::size_t>(slot)]));
}

}  // namespace mld::cuda
