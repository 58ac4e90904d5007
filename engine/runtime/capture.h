// CapturedStep: a step that is the same program every time (fixed shapes, no host reads, no allocation
// after warm-up) is recorded once and replayed. On the cpu the step is simply called. On a device with a
// stream the first calls run eagerly in a private memory pool; as soon as one of them needed no new
// memory, the next call is recorded (on cuda as a graph), and from then on replayed. A replay equals the
// eager run bit for bit. MLD_NO_GRAPH=1 in the environment keeps every call eager, to tell a fault of a
// step from one of its recording.
#pragma once

#include <functional>
#include <memory>

#include "engine/base/device.h"
#include "engine/cuda/runtime.h"
#include "engine/memory/pool.h"
#include "engine/memory/sim.h"

namespace mld {

class CapturedStep {
 public:
  CapturedStep(Device device, std::function<void()> step);
  ~CapturedStep();
  void operator()();
  bool captured() const { return captured_; }
  std::size_t nodes() const { return recording_.nodes; }  // of the recording on cuda, else 0

 private:
  void run_eagerly();
  void record();
  void begin_capture();
  void end_capture();
  void abandon_capture() noexcept;
  void replay();

  Device device_;
  std::function<void()> step_;
  std::shared_ptr<Pool> pool_;
  bool eager_;  // never recorded
  bool warm_ = false;
  bool captured_ = false;
  sim::Queue queue_;           // on sim
  cuda::Recording recording_;  // on cuda
};

}  // namespace mld
