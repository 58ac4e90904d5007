#include "engine/cuda/runtime.h"

#include <array>
#include <atomic>
#include <mutex>
#include <thread>

#include "engine/cuda/stream.h"

namespace mld::cuda {
namespace {

constexpr int kMaxDevices = 16;

// The one stream of a device; every thread's work goes there.
struct DeviceStream {
  std::atomic<cudaStream_t> stream{nullptr};
  unsigned* arrivals = nullptr;             // made with the stream
  std::atomic<std::thread::id> recorder{};  // the thread that records a step
};

// Never destroyed: tensors with static storage duration may outlive any order of destruction.
struct Streams {
  std::mutex mutex;  // while one is made
  std::array<DeviceStream, kMaxDevices> of{};
};
Streams& streams() {
  static auto* all = new Streams;
  return *all;
}

int count_or_error(cudaError_t& error) noexcept {
  int count = 0;
  error = cudaGetDeviceCount(&count);
  if (error == cudaSuccess) return count;
  (void)cudaGetLastError();
  return 0;
}

DeviceStream& stream_of(Device device) {
  MLD_CHECK(device.kind == DeviceKind::cuda && device.index >= 0 && device.index < kMaxDevices,
            "cuda: ", device, " is no cuda device");
  return streams().of[static_cast<std::size_t>(device.index)];
}

// Whether the current device is out of use: after a kernel's fault its stream reports that for ever, whatever
// the last error was. A stream that records must not be asked.
bool lost() {
  int device = 0;
  if (cudaGetDevice(&device) != cudaSuccess || device < 0 || device >= kMaxDevices) return true;
  const DeviceStream& mine = streams().of[static_cast<std::size_t>(device)];
  const cudaStream_t stream = mine.stream;
  if (!stream || mine.recorder.load() != std::thread::id()) return false;
  const cudaError_t error = cudaStreamQuery(stream);
  (void)cudaGetLastError();
  return error != cudaSuccess && error != cudaErrorNotReady;
}

}  // namespace

void fail_call(const char* call, cudaError_t error) {
  (void)cudaGetLastError();
  const bool sticky = error != cudaErrorMemoryAllocation && lost();
  fail(ErrorKind::device, "cuda: ", call, ": ", cudaGetErrorString(error), " (", cudaGetErrorName(error), ")",
       sticky ? "; the GPU cannot be used by this process any more. Start again from the last checkpoint; "
                "`compute-sanitizer` names the kernel"
              : "");
}

int device_count() noexcept {
  cudaError_t error{};
  return count_or_error(error);
}

std::string why_no_device() {
  cudaError_t error{};
  if (count_or_error(error) > 0) return {};
  if (error == cudaSuccess || error == cudaErrorNoDevice) return "no NVIDIA GPU was found";
  if (driver_version() == 0) return "no NVIDIA driver is installed";
  if (error == cudaErrorInsufficientDriver)
    return cat("the NVIDIA driver supports CUDA ", driver_version() / 1000, ".", driver_version() % 1000 / 10,
               ", this program was built with ", runtime_version() / 1000, ".", runtime_version() % 1000 / 10,
               "; update the driver or build with an older toolkit");
  return cat("the NVIDIA driver reports: ", cudaGetErrorString(error));
}

DeviceInfo device_info(int index) {
  cudaDeviceProp properties{};
  MLD_CUDA_CALL(cudaGetDeviceProperties(&properties, index));
  DeviceInfo info{properties.name,
                  properties.major,
                  properties.minor,
                  properties.multiProcessorCount,
                  0,
                  0,
                  static_cast<std::size_t>(properties.l2CacheSize)};
  (void)stream({DeviceKind::cuda, index});
  MLD_CUDA_CALL(cudaMemGetInfo(&info.free_bytes, &info.total_bytes));
  return info;
}

int driver_version() noexcept {
  int version = 0;
  return cudaDriverGetVersion(&version) == cudaSuccess ? version : 0;
}

int runtime_version() noexcept { return CUDART_VERSION; }

cudaStream_t stream(Device device) {
  DeviceStream& mine = stream_of(device);
  if (const std::thread::id recorder = mine.recorder;
      recorder != std::thread::id() && recorder != std::this_thread::get_id())
    fail(ErrorKind::internal, "cuda: work for ", device,
         " while another thread records a step there, of which it would become a part; let one thread work "
         "with a device while steps are recorded, or set MLD_NO_GRAPH=1");
  if (!mine.stream) {
    const std::lock_guard lock(streams().mutex);
    if (!mine.stream) {
      const int count = device_count();
      MLD_CHECK_AS(
          ErrorKind::device, device.index < count, "device ", device, ": ",
          count == 0 ? why_no_device() : cat("this machine has ", count, " GPU(s), numbered from 0"));
      MLD_CUDA_CALL(cudaSetDevice(device.index));
      cudaStream_t made = nullptr;
      MLD_CUDA_CALL(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking));
      void* counter = nullptr;
      MLD_CUDA_CALL(cudaMalloc(&counter, sizeof(unsigned)));
      MLD_CUDA_CALL(cudaMemsetAsync(counter, 0, sizeof(unsigned), made));
      mine.arrivals = static_cast<unsigned*>(counter);
      mine.stream = made;
    }
  }
  // Asked every time, as the program around may have made another device current.
  int current = -1;
  MLD_CUDA_CALL(cudaGetDevice(&current));
  if (current != device.index) MLD_CUDA_CALL(cudaSetDevice(device.index));
  return mine.stream;
}

unsigned* arrivals(Device device) {
  (void)stream(device);
  return stream_of(device).arrivals;
}

bool capturing(Device device) { return stream_of(device).recorder.load() != std::thread::id(); }

void* allocate(Device device, std::size_t bytes) {
  (void)stream(device);
  void* block = nullptr;
  const cudaError_t error = cudaMalloc(&block, bytes);
  if (error == cudaErrorMemoryAllocation) {
    (void)cudaGetLastError();
    return nullptr;
  }
  MLD_CUDA_CALL(error);
  return block;
}

void release(Device device, void* block) noexcept {
  try {
    (void)stream(device);
  } catch (const Error&) {
    return;
  }
  (void)cudaFree(block);
}

void copy(Device device, void* to, const void* from, std::size_t bytes) {
  MLD_CUDA_CALL(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream(device)));
}

void zero(Device device, void* to, std::size_t bytes) {
  MLD_CUDA_CALL(cudaMemsetAsync(to, 0, bytes, stream(device)));
}

void upload(Device device, void* to, const void* host, std::size_t bytes) {
  // From pageable memory the call usually returns once the bytes are staged; where the GPU reads host memory
  // itself it does not, so the end is waited for.
  MLD_CUDA_CALL(cudaMemcpyAsync(to, host, bytes, cudaMemcpyHostToDevice, stream(device)));
  MLD_CUDA_CALL(cudaStreamSynchronize(stream(device)));
}

void download(Device device, void* host, const void* from, std::size_t bytes) {
  MLD_CUDA_CALL(cudaMemcpyAsync(host, from, bytes, cudaMemcpyDeviceToHost, stream(device)));
  MLD_CUDA_CALL(cudaStreamSynchronize(stream(device)));
}

void synchronize(Device device) { MLD_CUDA_CALL(cudaStreamSynchronize(stream(device))); }

void begin_capture(Device device) {
  const cudaStream_t recording = stream(device);
  std::atomic<std::thread::id>& recorder = stream_of(device).recorder;
  recorder = std::this_thread::get_id();  // from now on nobody else's work goes there
  const cudaError_t begun = cudaStreamBeginCapture(recording, cudaStreamCaptureModeThreadLocal);
  if (begun != cudaSuccess) recorder = std::thread::id();
  check(begun, "cudaStreamBeginCapture");
}

Recording end_capture(Device device) {
  cudaGraph_t graph = nullptr;
  DeviceStream& mine = stream_of(device);
  const cudaError_t ended = cudaStreamEndCapture(mine.stream, &graph);
  mine.recorder = std::thread::id();
  check(ended, "cudaStreamEndCapture");
  std::size_t nodes = 0;
  cudaGraphExec_t executable = nullptr;
  cudaError_t error = cudaGraphGetNodes(graph, nullptr, &nodes);
  if (error == cudaSuccess) error = cudaGraphInstantiate(&executable, graph, 0);
  (void)cudaGraphDestroy(graph);
  check(error, "cudaGraphInstantiate");
  const auto destroy = [](void* e) { (void)cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(e)); };
  return {{executable, destroy}, nodes};
}

void abandon_capture(Device device) noexcept {
  cudaGraph_t graph = nullptr;
  DeviceStream& mine = stream_of(device);
  if (cudaStreamEndCapture(mine.stream, &graph) == cudaSuccess && graph) (void)cudaGraphDestroy(graph);
  mine.recorder = std::thread::id();
  (void)cudaGetLastError();
}

void replay(Device device, const Recording& recording) {
  MLD_CUDA_CALL(cudaGraphLaunch(static_cast<cudaGraphExec_t>(recording.graph.get()), stream(device)));
}

}  // namespace mld::cuda
