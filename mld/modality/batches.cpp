#include "mld/modality/batches.h"

#include <span>
#include <utility>
#include <vector>

#include "mld/diffusion/noise.h"

namespace mld {

Batches::Batches(const ItemFeed& feed, const data::Modality& info, bool labelled, Device device,
                 bool resident, const Augmentation& by)
    : feed_(feed), by_(by), range_(info.range), fed_(make_items(info, feed.rows().count)), items_(fed_) {
  if (labelled) labels_ = Tensor::empty({feed.rows().count}, DType::i32);
  std::vector<Tensor> targets;
  if (device.kind != DeviceKind::cpu)
    for (Tensor* t : {&fed_, &labels_})
      if (t->defined()) targets.push_back(*t = t->to(device));
  items_ = fed_;
  if (by_.changes()) items_ = Tensor::empty(fed_.shape(), fed_.dtype(), fed_.device());
  if (device.kind == DeviceKind::cpu) return;
  if (resident) {
    resident_.emplace(feed, device);
    return;
  }
  prefetch_.emplace(std::move(targets), [this](std::int64_t step, std::span<const Tensor> host) {
    auto next = host.begin();
    const auto like = [&](const Tensor& t) { return t.defined() ? *next++ : Tensor(); };
    const Tensor x = like(fed_);
    feed_.fill(step, x, like(labels_));
  });
}

void Batches::before(std::int64_t step) {
  if (prefetch_) return (*prefetch_)(step);
  if (!resident_) feed_.fill(step, fed_, labels_);
}

void Batches::within(const StepState* state) const {
  if (resident_) resident_->gather(state, fed_, labels_);
  if (by_.changes())
    augment(fed_, items_, by_, range_,
            {.state = state, .site = kSiteAugment, .first_row = feed_.rows().first});
}

}  // namespace mld
