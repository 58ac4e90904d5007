#include "mld/latents.h"

#include <cmath>
#include <numeric>
#include <utility>

#include "engine/core/drivers.h"

namespace mld {

LatentLayout::LatentLayout(std::vector<std::int64_t> dims_of_modalities)
    : dims(std::move(dims_of_modalities)) {
  for (std::int64_t d : dims) {
    offsets.push_back(total);
    total += d;
  }
}

LatentStore::LatentStore(LatentLayout layout, std::vector<Tensor> latents, Tensor samples)
    : layout_(std::move(layout)), latents_(std::move(latents)), samples_(std::move(samples)) {
  const auto count = static_cast<std::int64_t>(latents_.size());
  MLD_CHECK(count == layout_.modalities() && samples_.shape().rank() == 2 && samples_.shape()[1] == count,
            "latents: ", count, " modalities with a sample index of shape ", samples_.shape());
  for (int i = 0; i < layout_.modalities(); ++i) {
    const Tensor& z = this->latents(i);
    const std::int64_t dim = layout_.dims[static_cast<std::size_t>(i)];
    MLD_CHECK(z.shape().rank() == 2 && z.shape()[1] == dim, "latents: modality ", i, " has shape ", z.shape(),
              ", expected [items,", dim, "]");
    for (std::int64_t row = 0; row < num_samples(); ++row) {
      const std::int32_t item = samples_.data<std::int32_t>()[row * count + i];
      MLD_CHECK_AS(ErrorKind::data, item >= -1 && item < z.shape()[0], "latents: sample ", row,
                   " refers to item ", item, " of modality ", i, ", which has ", z.shape()[0], " items");
    }
  }
}

LatentStats LatentStore::statistics() const {
  std::vector<std::int32_t> all(static_cast<std::size_t>(num_samples()));
  std::iota(all.begin(), all.end(), 0);
  return statistics(all);
}

LatentStats LatentStore::statistics(std::span<const std::int32_t> chosen) const {
  LatentStats stats{Tensor::zeros({layout_.total}), Tensor::full({layout_.total}, 1.0)};
  const int modalities = layout_.modalities();
  for (int i = 0; i < modalities; ++i) {
    const Tensor& z = latents(i);
    const std::int64_t dim = z.shape()[1], offset = layout_.offsets[static_cast<std::size_t>(i)];
    std::vector<double> count_of_item(static_cast<std::size_t>(z.shape()[0]), 0.0);
    double n = 0;
    for (std::int64_t row : chosen) {
      const std::int32_t item = samples_.data<std::int32_t>()[row * modalities + i];
      if (item < 0) continue;
      count_of_item[static_cast<std::size_t>(item)] += 1;
      n += 1;
    }
    MLD_CHECK_AS(ErrorKind::data, n >= 2, "latents: modality ", i, " is present in ", n,
                 " of the samples that statistics are taken over; at least 2 are needed");
    for (std::int64_t d = 0; d < dim; ++d) {
      double mean = 0, squares = 0;
      const float* value = z.data<float>() + d;
      for (std::size_t item = 0; item < count_of_item.size(); ++item)
        mean += count_of_item[item] * value[static_cast<std::int64_t>(item) * dim] / n;
      for (std::size_t item = 0; item < count_of_item.size(); ++item)
        squares += count_of_item[item] * std::pow(value[static_cast<std::int64_t>(item) * dim] - mean, 2);
      stats.mean.data<float>()[offset + d] = static_cast<float>(mean);
      stats.std.data<float>()[offset + d] = static_cast<float>(std::max(std::sqrt(squares / (n - 1)), 1e-6));
    }
  }
  return stats;
}

void LatentStore::standardise(const LatentStats& stats) {
  for (int i = 0; i < layout_.modalities(); ++i)
    standardise_rows(latents(i), stats, layout_.offsets[static_cast<std::size_t>(i)]);
}

void LatentStore::move_to(Device device) {
  for (Tensor& z : latents_) z = z.to(device);
  samples_ = samples_.to(device);
}

void standardise_rows(const Tensor& rows, const LatentStats& stats, std::int64_t offset) {
  const std::int64_t dim = rows.shape()[1];
  for_each(rows.device(), rows.numel(),
           [z = rows.ptr<float>(), m = stats.mean.ptr<float>() + offset, s = stats.std.ptr<float>() + offset,
            dim](std::int64_t i) { z[i] = (z[i] - m[i % dim]) / s[i % dim]; });
}

void destandardise_rows(const Tensor& rows, const LatentStats& stats, std::int64_t offset) {
  const std::int64_t dim = rows.shape()[1];
  for_each(rows.device(), rows.numel(),
           [z = rows.ptr<float>(), m = stats.mean.ptr<float>() + offset, s = stats.std.ptr<float>() + offset,
            dim](std::int64_t i) { z[i] = z[i] * s[i % dim] + m[i % dim]; });
}

}  // namespace mld
