#include "mld/item_feed.h"

#include <algorithm>

#include "engine/core/drivers.h"
#include "mld/networks.h"

namespace mld {
namespace {

struct OneHot {
  float* y;
  const std::int32_t* token;
  std::int64_t categories;
  MLD_HD void operator()(std::int64_t i) const {
    y[i] = token[i / categories] == i % categories ? 1.0f : 0.0f;
  }
};

Shape with_batch(std::int64_t batch, const Shape& sample) {
  Shape shape{batch};
  for (std::int64_t extent : sample.extents()) shape.push_back(extent);
  return shape;
}

}  // namespace

Shape sample_shape(const data::Modality& modality) {
  if (data::is_discrete(modality.kind)) return {modality.shape.numel(), modality.categories};
  return network_shape(modality.shape);
}

ItemBatch make_item_batch(const data::Modality& modality, std::int64_t batch) {
  ItemBatch out{Tensor::empty(with_batch(batch, sample_shape(modality))), {}};
  if (data::is_discrete(modality.kind))
    out.tokens = Tensor::empty({batch, modality.shape.numel()}, DType::i32);
  return out;
}

void one_hot(const Tensor& tokens, const Tensor& out) {
  const std::int64_t categories = out.shape()[-1];
  for_each(out.device(), out.numel(), OneHot{out.ptr<float>(), tokens.ptr<std::int32_t>(), categories});
}

void fill_items(const data::Split& split, int modality, const data::Modality& info,
                std::span<const std::int32_t> items, const ItemBatch& out) {
  if (data::is_discrete(info.kind)) {
    split.gather_tokens(modality, items, out.tokens.span<std::int32_t>());
    one_hot(out.tokens, out.x);
  } else {
    split.gather(modality, items, out.x.span<float>());
  }
}

ItemFeed::ItemFeed(const data::Split& split, int modality, const data::Modality& info, StageSampling sampling,
                   bool labelled, std::int64_t batch, std::uint64_t seed)
    : split_(split), modality_(modality), info_(info) {
  const auto labels = split.item_labels(modality);
  const auto take = [&](std::int32_t item) {
    if (item >= 0 && (!labelled || labels[static_cast<std::size_t>(item)] >= 0)) pool_.push_back(item);
  };
  if (sampling == StageSampling::items) {
    for (std::int64_t i = 0; i < split.num_items(modality); ++i) take(static_cast<std::int32_t>(i));
  } else {
    const auto samples = split.samples();
    const std::size_t width =
        samples.size() / static_cast<std::size_t>(std::max<std::int64_t>(1, split.num_samples()));
    for (std::size_t row = 0; row < samples.size(); row += width)
      take(samples[row + static_cast<std::size_t>(modality)]);
  }
  MLD_CHECK_AS(ErrorKind::data, !pool_.empty(), "split '", split.name(), "', modality '", info.name, "': no ",
               labelled ? "labelled " : "", "items to train on");
  order_.emplace(static_cast<std::int64_t>(pool_.size()), batch, seed);
}

void ItemFeed::fill(std::int64_t step, const ItemBatch& out, const Tensor& labels) const {
  std::vector<std::int32_t> items(static_cast<std::size_t>(batch()));
  order_->rows(step, items);
  for (std::int32_t& item : items) item = pool_[static_cast<std::size_t>(item)];
  fill_items(split_, modality_, info_, items, out);
  if (!labels.defined()) return;
  const auto all = split_.item_labels(modality_);
  for (std::int64_t b = 0; b < batch(); ++b)
    labels.data<std::int32_t>()[b] = all[static_cast<std::size_t>(items[static_cast<std::size_t>(b)])];
}

}  // namespace mld
