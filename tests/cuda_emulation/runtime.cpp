#include <cxxabi.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "cuda_emulation.h"
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

using mld::cuda::emulation::Node;
using Queue = std::vector<std::function<void()>>;

struct CUstream_st {
  std::deque<std::function<void()>> queue;
  Queue recorded;
  std::vector<Node> nodes;  // of what is recorded
  bool capturing = false, invalidated = false;
};
struct CUgraph_st {
  Queue work;
  std::vector<Node> nodes;
};
struct CUgraphExec_st {
  Queue work;
};
struct CUevent_st {
  cudaStream_t stream = nullptr;          // of the last recording
  std::size_t recorded = 0, reached = 0;  // recordings made, and come by
};

namespace {

std::size_t total_bytes() {
  const char* text = std::getenv("MLDTEST_EMULATION_MEMORY");
  return text ? std::strtoull(text, nullptr, 10) : std::size_t{16} << 30;
}

struct Memory {
  std::mutex mutex;
  std::map<void*, std::size_t> blocks;
  std::map<const void*, std::size_t> registered;  // host memory
  std::size_t used = 0, limit = total_bytes();
};
Memory& memory() {
  static auto* m = new Memory;
  return *m;
}

struct Machine {
  int devices = 1, driver = CUDART_VERSION;
} machine;

// The mutex guards all streams: queued work runs on whichever thread waits for it.
struct Streams {
  std::recursive_mutex mutex;
  std::vector<cudaStream_t> all;
};
Streams& streams() {
  static auto* s = new Streams;
  return *s;
}

// Work may make a stream wait for another one, whose queue then runs from within.
template <class Until>
void run_queue_until(cudaStream_t stream, Until until) {
  const std::lock_guard lock(streams().mutex);
  while (!until() && !stream->queue.empty()) {
    const std::function<void()> work = std::move(stream->queue.front());
    stream->queue.pop_front();
    work();
  }
}

void run_queue(cudaStream_t stream) {
  run_queue_until(stream, [] { return false; });
}

std::atomic<int> capturing{0};
std::vector<Node> last_nodes;  // under the mutex of the streams
std::atomic<bool> sick{false};
thread_local cudaError_t last = cudaSuccess;

cudaError_t report(cudaError_t error) {
  if (error != cudaSuccess) last = error;
  return error;
}

// What a capture does not allow spoils it.
cudaError_t refuse(cudaStream_t stream) {
  stream->invalidated = true;
  return report(cudaErrorStreamCaptureUnsupported);
}

}  // namespace

namespace mld::cuda::emulation {

void enqueue(cudaStream_t stream, Node node, std::function<void()> work) {
  const std::lock_guard lock(streams().mutex);
  if (!stream->capturing) return stream->queue.push_back(std::move(work));
  stream->recorded.push_back(std::move(work));
  if (node.word || node.kernel) stream->nodes.push_back(node);
}

std::vector<std::string> graph_nodes() {
  const std::lock_guard lock(streams().mutex);
  std::vector<std::string> names;
  for (const Node& node : last_nodes) {
    if (node.word) {
      names.emplace_back(node.word);
      continue;
    }
    char* name = abi::__cxa_demangle(node.kernel->name(), nullptr, nullptr, nullptr);
    names.emplace_back(name ? name : node.kernel->name());
    std::free(name);
  }
  return names;
}

void set_memory_limit(std::size_t bytes) { memory().limit = bytes > 0 ? bytes : total_bytes(); }

void set_machine(int devices, int driver) { machine = {devices, driver}; }

void set_sick(bool is_sick) { sick = is_sick; }

#if defined(__SANITIZE_ADDRESS__)
void mark_owned(cudaStream_t stream, void* block, std::size_t asked, std::size_t size) {
  enqueue(stream, {}, [=] {
    ASAN_UNPOISON_MEMORY_REGION(block, size);
    if (asked == 0) std::memset(block, 0xff, size);
    ASAN_POISON_MEMORY_REGION(static_cast<char*>(block) + asked, size - asked);
  });
}
#else
void mark_owned(cudaStream_t, void*, std::size_t, std::size_t) {}
#endif

}  // namespace mld::cuda::emulation

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 0;
  if (machine.driver < CUDART_VERSION) return report(cudaErrorInsufficientDriver);
  if (machine.devices == 0) return report(cudaErrorNoDevice);
  *count = machine.devices;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  std::memset(properties, 0, sizeof *properties);
  std::strcpy(properties->name, "host emulation of CUDA");
  properties->major = 9;
  properties->multiProcessorCount = 1;
  return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = machine.driver;
  return cudaSuccess;
}

// Devices are ordinals only: any of those of the machine can be current.
thread_local int current_device = 0;
cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= machine.devices) return report(cudaErrorInvalidValue);
  current_device = device;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* device) {
  *device = current_device;
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  *total = memory().limit;
  *free = memory().limit - memory().used;
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** block, std::size_t bytes) {
  if (capturing > 0) return report(cudaErrorStreamCaptureUnsupported);
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  if (m.used + bytes > m.limit) return report(cudaErrorMemoryAllocation);
  *block = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  if (!*block) return report(cudaErrorMemoryAllocation);
  std::memset(*block, 0xff, bytes);
  m.blocks[*block] = bytes;
  m.used += bytes;
  return cudaSuccess;
}

// Waits for the device, as the real one does.
cudaError_t cudaFree(void* block) {
  if (capturing > 0) return report(cudaErrorStreamCaptureUnsupported);
  {
    const std::lock_guard lock(streams().mutex);
    for (cudaStream_t stream : streams().all) run_queue(stream);
  }
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  const auto it = m.blocks.find(block);
  if (it == m.blocks.end()) return report(cudaErrorInvalidValue);
  m.used -= it->second;
#if defined(__SANITIZE_ADDRESS__)
  ASAN_UNPOISON_MEMORY_REGION(block, it->second);
#endif
  m.blocks.erase(it);
  std::free(block);
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  using mld::cuda::emulation::enqueue;
  if (stream->capturing && kind != cudaMemcpyDeviceToDevice) return refuse(stream);
  const auto pinned = [&] {
    const std::lock_guard lock(memory().mutex);
    const auto& registered = memory().registered;
    const auto it = registered.upper_bound(from);
    return it != registered.begin() &&
           static_cast<const char*>(from) + bytes <=
               static_cast<const char*>(std::prev(it)->first) + std::prev(it)->second;
  };
  if (kind == cudaMemcpyHostToDevice && !pinned()) {
    const auto* bytes_from = static_cast<const char*>(from);
    enqueue(stream, {.word = "copy"}, [to, staged = std::vector<char>(bytes_from, bytes_from + bytes)] {
      std::memcpy(to, staged.data(), staged.size());
    });
  } else {
    enqueue(stream, {.word = "copy"}, [=] { std::memcpy(to, from, bytes); });
  }
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  mld::cuda::emulation::enqueue(stream, {.word = "fill"}, [=] { std::memset(to, value, bytes); });
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new CUstream_st;
  const std::lock_guard lock(streams().mutex);
  streams().all.push_back(*stream);
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  run_queue(stream);
  const std::lock_guard lock(streams().mutex);
  std::erase(streams().all, stream);
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st;
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  // Work that waits for it may still be queued, so it is only put aside, as the real one is.
  static auto* destroyed = new std::vector<cudaEvent_t>;
  const std::lock_guard lock(streams().mutex);
  destroyed->push_back(event);
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const std::lock_guard lock(streams().mutex);
  if (stream->capturing) return refuse(stream);
  event->stream = stream;
  stream->queue.push_back([event, mine = ++event->recorded] { event->reached = mine; });
  return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  const std::lock_guard lock(streams().mutex);
  if (stream->capturing) return refuse(stream);
  if (!event->stream) return cudaSuccess;
  stream->queue.push_back([event, other = event->stream, wanted = event->recorded] {
    run_queue_until(other, [&] { return event->reached >= wanted; });
  });
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const std::lock_guard lock(streams().mutex);
  if (event->stream) run_queue_until(event->stream, [&] { return event->reached >= event->recorded; });
  return cudaSuccess;
}

cudaError_t cudaHostRegister(void* host, std::size_t bytes, unsigned) {
  const std::lock_guard lock(memory().mutex);
  memory().registered[host] = bytes;
  return cudaSuccess;
}

cudaError_t cudaHostUnregister(void* host) {
  const std::lock_guard lock(memory().mutex);
  return report(memory().registered.erase(host) == 1 ? cudaSuccess : cudaErrorInvalidValue);
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
  if (stream->capturing) return refuse(stream);
  if (sick) return report(cudaErrorIllegalAddress);
  const std::lock_guard lock(streams().mutex);
  return stream->queue.empty() ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (stream->capturing) return refuse(stream);
  if (sick) return report(cudaErrorIllegalAddress);
  run_queue(stream);
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (stream->capturing) return report(cudaErrorInvalidValue);
  stream->capturing = true;
  stream->invalidated = false;
  stream->nodes.clear();
  ++capturing;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  if (!stream->capturing) return report(cudaErrorInvalidValue);
  stream->capturing = false;
  --capturing;
  Queue work = std::exchange(stream->recorded, {});
  *graph = nullptr;
  if (stream->invalidated) return report(cudaErrorStreamCaptureInvalidated);
  *graph = new CUgraph_st{std::move(work), std::exchange(stream->nodes, {})};
  return cudaSuccess;
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t*, std::size_t* count) {
  *count = graph->nodes.size();
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  const std::lock_guard lock(streams().mutex);
  last_nodes = graph->nodes;
  *executable = new CUgraphExec_st{graph->work};
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  const std::lock_guard lock(streams().mutex);
  if (stream->capturing) return refuse(stream);
  for (const auto& work : executable->work) stream->queue.push_back(work);
  return cudaSuccess;
}

cudaError_t cudaGetLastError() { return std::exchange(last, cudaSuccess); }

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorInsufficientDriver:
      return "CUDA driver version is insufficient for CUDA runtime version";
    case cudaErrorNoDevice:
      return "no CUDA-capable device is detected";
    case cudaErrorNotReady:
      return "device not ready";
    case cudaErrorIllegalAddress:
      return "an illegal memory access was encountered";
    case cudaErrorStreamCaptureUnsupported:
      return "operation not permitted when stream is capturing";
    case cudaErrorStreamCaptureInvalidated:
      return "operation failed due to a previous error during capture";
  }
  return "unknown error";
}
const char* cudaGetErrorName(cudaError_t) { return "emulated"; }
