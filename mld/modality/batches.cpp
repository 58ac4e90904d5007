#include "mld/modality/batches.h"

#include <span>
#include <utility>
#include <vector>

namespace mld {

Batches::Batches(const ItemFeed& feed, const data::Modality& info, bool labelled, Device device,
                 bool resident)
    : feed_(feed), items_(make_item_batch(info, feed.rows().count)) {
  if (labelled) labels_ = Tensor::empty({feed.rows().count}, DType::i32);
  if (device.kind == DeviceKind::cpu) return;
  std::vector<Tensor> targets;
  for (Tensor* t : {&items_.x, &items_.tokens, &labels_})
    if (t->defined()) targets.push_back(*t = t->to(device));
  if (resident) {
    resident_.emplace(feed, device);
    return;
  }
  prefetch_.emplace(std::move(targets), [this](std::int64_t step, std::span<const Tensor> host) {
    auto next = host.begin();
    const auto like = [&](const Tensor& t) { return t.defined() ? *next++ : Tensor(); };
    const Tensor x = like(items_.x), tokens = like(items_.tokens);
    feed_.fill(step, {x, tokens}, like(labels_));
  });
}

void Batches::before(std::int64_t step) {
  if (prefetch_) return (*prefetch_)(step);
  if (!resident_) feed_.fill(step, items_, labels_);
}

void Batches::within(const StepState* state) const {
  if (resident_) resident_->gather(state, items_, labels_);
}

}  // namespace mld
