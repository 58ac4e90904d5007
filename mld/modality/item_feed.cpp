#include "mld/modality/item_feed.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "engine/cuda/runtime.h"
#include "engine/loops/drivers.h"

namespace mld {
namespace {

// Row b: an item, and its label if there are any.
struct DrawItem {
  const StepState* state;
  data::BatchOrder order;
  std::int64_t first;  // global row of row 0
  const std::int32_t *pool, *labels;
  std::int32_t *item, *label;  // label may be null
  MLD_HD void operator()(std::int64_t b) const {
    item[b] = pool[order.row(state->step, first + b)];
    if (label) label[b] = labels[item[b]];
  }
};

template <class T>
struct CopyItem {
  const T* values;
  const std::int32_t* item;
  T* out;
  std::int64_t size;
  template <class Team>
  MLD_HD void operator()(std::int64_t b, const Team& team) const {
    const T* from = values + item[b] * size;
    T* to = out + b * size;
    team.each(size, [=](std::int64_t j) { to[j] = from[j]; });
  }
};

}  // namespace

Shape sample_shape(const data::Modality& modality) {
  if (data::is_discrete(modality.kind)) return {modality.shape.numel()};
  const Shape& s = modality.shape;
  if (modality.kind == data::ModalityKind::spectrogram) return {s[0], s[1], 1};
  if (modality.kind == data::ModalityKind::series) return {1, s[0], s[1]};
  return s;
}

Tensor make_items(const data::Modality& modality, std::int64_t batch) {
  return Tensor::empty(batch_shape(batch, sample_shape(modality)),
                       data::is_discrete(modality.kind) ? DType::i32 : DType::f32);
}

void fill_items(const data::Split& split, int modality, const data::Modality& info,
                std::span<const std::int32_t> items, const Tensor& out) {
  if (data::is_discrete(info.kind))
    split.gather_tokens(modality, items, out.span<std::int32_t>());
  else
    split.gather(modality, items, out.span<float>());
}

Tensor gather_items(const data::Split& split, int modality, const data::Modality& info,
                    std::span<const std::int32_t> items) {
  const Tensor x = make_items(info, std::ssize(items));
  fill_items(split, modality, info, items, x);
  return x;
}

Tensor map_items(const data::Split& split, int modality, const data::Modality& info, std::int64_t chunk,
                 std::int64_t dim, const std::function<Tensor(std::int64_t first, const Tensor& x)>& f) {
  const std::int64_t total = split.num_items(modality);
  const Tensor all = Tensor::empty({total, dim});
  for (std::int64_t first = 0; first < total; first += chunk) {
    std::vector<std::int32_t> items(static_cast<std::size_t>(std::min(chunk, total - first)));
    std::iota(items.begin(), items.end(), static_cast<std::int32_t>(first));
    split.read_ahead(modality, items);
    all.rows(first, std::ssize(items)).copy_from(f(first, gather_items(split, modality, info, items)));
  }
  return all;
}

std::vector<std::int32_t> items_to_draw(const data::Split& split, int modality, StageSampling sampling,
                                        bool labelled) {
  std::vector<std::int32_t> pool;
  const auto labels = split.item_labels(modality);
  const auto take = [&](std::int32_t item) {
    if (item >= 0 && (!labelled || labels[static_cast<std::size_t>(item)] >= 0)) pool.push_back(item);
  };
  if (sampling == StageSampling::items) {
    for (std::int64_t i = 0; i < split.num_items(modality); ++i) take(static_cast<std::int32_t>(i));
  } else {
    for (std::int64_t row = 0; row < split.num_samples(); ++row) take(split.item(row, modality));
  }
  return pool;
}

ItemFeed::ItemFeed(const data::Split& split, int modality, const data::Modality& info, StageSampling sampling,
                   bool labelled, std::int64_t batch, std::uint64_t seed, const data::Shard& shard)
    : ItemFeed(split, modality, info, items_to_draw(split, modality, sampling, labelled), batch, seed,
               shard) {}

ItemFeed::ItemFeed(const data::Split& split, int modality, const data::Modality& info,
                   std::vector<std::int32_t> pool, std::int64_t batch, std::uint64_t seed,
                   const data::Shard& shard)
    : split_(split), modality_(modality), info_(info), pool_(std::move(pool)) {
  MLD_CHECK_AS(ErrorKind::data, !pool_.empty(), "split '", split.name(), "', modality '", info.name,
               "': no items to train on");
  order_.emplace(static_cast<std::int64_t>(pool_.size()), batch, seed);
  rows_ = shard.of(order_->batch());
  split.expect_any_order(modality);
}

std::vector<std::int32_t> ItemFeed::items(std::int64_t step) const {
  std::vector<std::int32_t> items(static_cast<std::size_t>(rows_.count));
  order_->rows(step, rows_.first, items);
  for (std::int32_t& item : items) item = pool_[static_cast<std::size_t>(item)];
  return items;
}

void ItemFeed::fill(std::int64_t step, const Tensor& out, const Tensor& labels) const {
  const std::vector<std::int32_t> items = this->items(step);
  fill_items(split_, modality_, info_, items, out);
  split_.read_ahead(modality_, this->items(step + 1));
  if (!labels.defined()) return;
  const auto all = split_.item_labels(modality_);
  for (std::int64_t b = 0; b < rows_.count; ++b)
    labels.data<std::int32_t>()[b] = all[static_cast<std::size_t>(items[static_cast<std::size_t>(b)])];
}

bool ResidentItems::fits(const ItemFeed& feed, Device device) {
  std::size_t room = std::numeric_limits<std::size_t>::max();
  if constexpr (kCudaBuilt)
    if (device.kind == DeviceKind::cuda) room = cuda::device_info(device.index).free_bytes / 2;
  const std::int64_t items = feed.split_.num_items(feed.modality_);
  return static_cast<std::size_t>(items * feed.info_.shape.numel()) * sizeof(float) <= room;
}

ResidentItems::ResidentItems(const ItemFeed& feed, Device device)
    : order_(*feed.order_),
      rows_(feed.rows_),
      pool_(Tensor::from(feed.pool_, {static_cast<std::int64_t>(feed.pool_.size())}, device)) {
  constexpr std::int64_t kChunk = 1024;
  const std::int64_t items = feed.split_.num_items(feed.modality_), size = feed.info_.shape.numel();
  values_ =
      Tensor::empty({items, size}, data::is_discrete(feed.info_.kind) ? DType::i32 : DType::f32, device);
  for (std::int64_t first = 0; first < items; first += kChunk) {
    std::vector<std::int32_t> chunk(static_cast<std::size_t>(std::min(kChunk, items - first)));
    std::iota(chunk.begin(), chunk.end(), static_cast<std::int32_t>(first));
    const auto count = static_cast<std::int64_t>(chunk.size());
    const Tensor host = Tensor::empty({count, size}, values_.dtype());
    fill_items(feed.split_, feed.modality_, feed.info_, chunk, host);
    values_.rows(first, count).upload(host.raw());
  }
  const auto labels = feed.split_.item_labels(feed.modality_);
  labels_ = Tensor::from(std::vector<std::int32_t>(labels.begin(), labels.end()), {items}, device);
}

void ResidentItems::gather(const StepState* state, const Tensor& out, const Tensor& labels) const {
  const std::int64_t batch = rows_.count, size = values_.shape()[1];
  const Device device = values_.device();
  const Tensor item = Tensor::empty({batch}, DType::i32, device);
  const auto* const drawn = item.ptr<std::int32_t>();
  for_each(device, batch,
           DrawItem{state, order_, rows_.first, pool_.ptr<std::int32_t>(), labels_.ptr<std::int32_t>(),
                    item.ptr<std::int32_t>(), labels.defined() ? labels.ptr<std::int32_t>() : nullptr});
  const auto copy = [&]<class T>() {
    for_each_row(device, batch, size, CopyItem<T>{values_.ptr<T>(), drawn, out.ptr<T>(), size});
  };
  if (out.dtype() == DType::i32)
    copy.template operator()<std::int32_t>();
  else
    copy.template operator()<float>();
}

}  // namespace mld
