#include "engine/runtime/prefetch.h"

#include <utility>

#include "engine/base/error.h"
#include "engine/cuda/runtime.h"

namespace mld {

Prefetch::Prefetch(std::vector<Tensor> targets, Fill fill)
    : targets_(std::move(targets)), fill_(std::move(fill)) {
  MLD_CHECK(!targets_.empty(), "prefetch: nothing to fill");
  const Device device = targets_[0].device();
  if constexpr (kCudaBuilt)
    if (device.kind == DeviceKind::cuda)
      copies_ = std::make_shared<cuda::CopyStream>(device, static_cast<int>(slots_.size()));
  for (Slot& slot : slots_)
    for (const Tensor& target : targets_) {
      MLD_CHECK(target.device() == device, "prefetch: targets on ", device, " and ", target.device());
      const Tensor& host = slot.host.emplace_back(Tensor::empty(target.shape(), target.dtype()));
      if constexpr (kCudaBuilt)
        if (copies_) {
          slot.staged.push_back(Tensor::empty(target.shape(), target.dtype(), device));
          copies_->pin(host.raw(), static_cast<std::size_t>(host.bytes()));
        }
    }
  // The staged blocks may come from work that the compute stream has not done yet.
  if constexpr (kCudaBuilt)
    for (std::size_t slot = 0; copies_ && slot < slots_.size(); ++slot)
      copies_->taken(static_cast<int>(slot));
}

Prefetch::~Prefetch() {
  for (Slot& slot : slots_)
    if (slot.filled.valid()) slot.filled.wait();
  copies_.reset();  // before the memory it copies
}

void Prefetch::start(int number, std::int64_t step) {
  Slot& slot = slots_[static_cast<std::size_t>(number)];
  slot.step = step;
  slot.filled = std::async(std::launch::async, [this, &slot, number, step] {
    if constexpr (kCudaBuilt)
      if (copies_) copies_->wait(number);
    fill_(step, slot.host);
  });
}

void Prefetch::operator()(std::int64_t step) {
  Slot& slot = slots_[static_cast<std::size_t>(next_)];
  if (!slot.filled.valid() || slot.step != step) {
    if (slot.filled.valid()) slot.filled.wait();
    start(next_, step);
  }
  slot.filled.get();
  hand_over(next_);
  next_ = 1 - next_;
  start(next_, step + 1);
}

void Prefetch::hand_over(int number) {
  const Slot& slot = slots_[static_cast<std::size_t>(number)];
  if constexpr (kCudaBuilt)
    if (copies_) {
      for (std::size_t i = 0; i < targets_.size(); ++i)
        copies_->upload(number, slot.staged[i].raw(), slot.host[i].raw(),
                        static_cast<std::size_t>(slot.host[i].bytes()));
      copies_->uploaded(number);
      for (std::size_t i = 0; i < targets_.size(); ++i) targets_[i].copy_from(slot.staged[i]);
      copies_->taken(number);
      return;
    }
  for (std::size_t i = 0; i < targets_.size(); ++i) targets_[i].upload(slot.host[i].raw());
}

}  // namespace mld
