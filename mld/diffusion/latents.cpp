#include "mld/diffusion/latents.h"

#include <Eigen/Dense>
#include <numeric>
#include <utility>

#include "engine/loops/drivers.h"
#include "engine/ops/linear.h"

namespace mld {
namespace {

using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using MatrixView = Eigen::Map<const RowMajor>;

// Of an axis, relative to the largest: what varies less is not blown up to unit variance.
constexpr double kLeastVariance = 1e-6;

// z - mean, then over std; a null leaves its part out.
struct Standardise {
  float* z;
  std::int64_t dim;
  const float *mean, *std;
  MLD_HD void operator()(std::int64_t k) const {
    const float centred = mean ? z[k] - mean[k % dim] : z[k];
    z[k] = std ? centred / std[k % dim] : centred;
  }
};
struct Destandardise {
  float* z;
  std::int64_t dim;
  const float *mean, *std;
  MLD_HD void operator()(std::int64_t k) const {
    const float scaled = std ? z[k] * std[k % dim] : z[k];
    z[k] = mean ? scaled + mean[k % dim] : scaled;
  }
};

struct CopyColumns {
  const float* from;
  float* to;
  std::int64_t from_width, to_width, from_first, to_first, count;
  MLD_HD void operator()(std::int64_t i) const {
    to[i / count * to_width + to_first + i % count] = from[i / count * from_width + from_first + i % count];
  }
};

void copy_columns(const Tensor& from, std::int64_t from_first, const Tensor& to, std::int64_t to_first,
                  std::int64_t count) {
  for_each(from.device(), from.shape()[0] * count,
           CopyColumns{from.ptr<float>(), to.ptr<float>(), from.shape()[1], to.shape()[1], from_first,
                       to_first, count});
}

Tensor axes_of(const LatentStats& stats, const LatentLayout& layout, int i) {
  const std::int64_t dim = layout.dims[static_cast<std::size_t>(i)];
  return stats.axes.rows(layout.squares(i), dim * dim).reshape({dim, dim});
}

}  // namespace

LatentLayout::LatentLayout(std::vector<std::int64_t> dims_of_modalities)
    : dims(std::move(dims_of_modalities)) {
  for (std::int64_t d : dims) {
    offsets.push_back(total);
    total += d;
  }
}

std::int64_t LatentLayout::squares(int modalities) const {
  std::int64_t sum = 0;
  for (int i = 0; i < modalities; ++i)
    sum += dims[static_cast<std::size_t>(i)] * dims[static_cast<std::size_t>(i)];
  return sum;
}

Tensor LatentLayout::slice(const Tensor& z, int i) const {
  const auto k = static_cast<std::size_t>(i);
  const Tensor part = Tensor::empty({z.shape()[0], dims[k]}, DType::f32, z.device());
  copy_columns(z, offsets[k], part, 0, dims[k]);
  return part;
}

void LatentLayout::set_slice(const Tensor& z, int i, const Tensor& part) const {
  const auto k = static_cast<std::size_t>(i);
  MLD_CHECK(part.shape() == Shape({z.shape()[0], dims[k]}), "latents: ", part.shape(), " for modality ", i,
            " of ", z.shape());
  copy_columns(part, 0, z, offsets[k], dims[k]);
}

ItemClasses item_classes(std::span<const std::int32_t> of_samples,
                         std::span<const std::vector<std::int32_t>> of_items, std::int64_t classes) {
  ItemClasses out;
  out.of_samples = Tensor::from(of_samples, {std::ssize(of_samples)});
  for (const std::vector<std::int32_t>& labels : of_items) {
    std::vector<std::int32_t> items, first{0};
    for (std::int32_t c = 0; c < classes; ++c) {
      for (std::size_t k = 0; k < labels.size(); ++k)
        if (labels[k] == c) items.push_back(static_cast<std::int32_t>(k));
      first.push_back(static_cast<std::int32_t>(items.size()));
    }
    out.items.push_back(Tensor::from(items, {std::ssize(items)}));
    out.first.push_back(Tensor::from(first, {std::ssize(first)}));
  }
  return out;
}

LatentStore::LatentStore(LatentLayout layout, std::vector<Tensor> latents, Tensor samples,
                         std::vector<std::int64_t> encodings)
    : layout_(std::move(layout)),
      latents_(std::move(latents)),
      samples_(std::move(samples)),
      encodings_(std::move(encodings)) {
  const auto count = static_cast<std::int64_t>(latents_.size());
  encodings_.resize(latents_.size(), 1);
  MLD_CHECK(count == layout_.modalities() && samples_.shape().rank() == 2 && samples_.shape()[1] == count,
            "latents: ", count, " modalities with a sample index of shape ", samples_.shape());
  for (int i = 0; i < layout_.modalities(); ++i) {
    const Tensor& z = this->latents(i);
    const std::int64_t dim = layout_.dims[static_cast<std::size_t>(i)];
    MLD_CHECK(z.shape().rank() == 2 && z.shape()[1] == dim && z.shape()[0] % this->encodings(i) == 0,
              "latents: modality ", i, " has shape ", z.shape(), ", expected [items,", dim, "] with ",
              this->encodings(i), " encodings of each");
    for (std::int64_t row = 0; row < num_samples(); ++row) {
      const std::int32_t item = samples_.data<std::int32_t>()[row * count + i];
      MLD_CHECK_AS(ErrorKind::data, item >= -1 && item < items(i), "latents: sample ", row,
                   " refers to item ", item, " of modality ", i, ", which has ", items(i), " items");
    }
  }
}

std::vector<std::int32_t> LatentStore::all_samples() const {
  std::vector<std::int32_t> all(static_cast<std::size_t>(num_samples()));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

LatentStats LatentStore::statistics(std::span<const std::int32_t> chosen,
                                    LatentCoordinates coordinates) const {
  const int modalities = layout_.modalities();
  const bool principal = coordinates == LatentCoordinates::principal;
  LatentStats stats{Tensor::zeros({layout_.total}), Tensor::full({layout_.total}, 1.0),
                    principal ? Tensor::zeros({layout_.squares(modalities)}) : Tensor()};
  for (int i = 0; i < modalities; ++i) {
    const Tensor z = latents(i).rows(0, items(i));
    const std::int64_t dim = z.shape()[1], offset = layout_.offsets[static_cast<std::size_t>(i)];
    Eigen::VectorXd weight = Eigen::VectorXd::Zero(z.shape()[0]);  // how often an item is in the samples
    for (std::int64_t row : chosen) {
      const std::int32_t item = samples_.data<std::int32_t>()[row * modalities + i];
      if (item >= 0) weight[item] += 1;
    }
    const double n = weight.sum();
    MLD_CHECK_AS(ErrorKind::data, n >= 2, "latents: modality ", i, " is present in ", n,
                 " of the samples that statistics are taken over; at least 2 are needed");
    Eigen::MatrixXd x = MatrixView(z.data<float>(), z.shape()[0], dim).cast<double>();
    const Eigen::RowVectorXd mean = weight.transpose() / n * x;
    x.rowwise() -= mean;
    Eigen::RowVectorXd variance = weight.transpose() / (n - 1) * x.cwiseAbs2();
    if (principal) {
      const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solved(x.transpose() * weight.asDiagonal() * x /
                                                                  (n - 1));
      MLD_CHECK_AS(ErrorKind::diverged, solved.info() == Eigen::Success, "latents: modality ", i,
                   " has no principal axes; are its latents finite?");
      variance = solved.eigenvalues();
      variance = variance.cwiseMax(kLeastVariance * variance.maxCoeff());
      Eigen::Map<RowMajor>(stats.axes.data<float>() + layout_.squares(i), dim, dim) =
          solved.eigenvectors().cast<float>();
    }
    const auto slice = [&](const Tensor& t) {
      return Eigen::Map<Eigen::RowVectorXf>(t.data<float>() + offset, dim);
    };
    slice(stats.mean) = mean.cast<float>();
    slice(stats.std) = variance.cwiseMax(1e-12).cwiseSqrt().cast<float>();
  }
  return stats;
}

void LatentStore::standardise(const LatentStats& stats) {
  for (int i = 0; i < layout_.modalities(); ++i) standardise_rows(latents(i), stats, layout_, i);
}

void LatentStore::move_to(Device device) {
  for (Tensor& z : latents_) z = z.to(device);
  samples_ = samples_.to(device);
  if (!classes_.defined()) return;
  classes_.of_samples = classes_.of_samples.to(device);
  for (Tensor& t : classes_.items) t = t.to(device);
  for (Tensor& t : classes_.first) t = t.to(device);
}

void standardise_rows(const Tensor& rows, const LatentStats& stats, const LatentLayout& layout, int i) {
  const std::int64_t dim = rows.shape()[1], offset = layout.offsets[static_cast<std::size_t>(i)];
  const float *mean = stats.mean.ptr<float>() + offset, *std = stats.std.ptr<float>() + offset;
  const bool turned = stats.axes.defined();
  for_each(rows.device(), rows.numel(), Standardise{rows.ptr<float>(), dim, mean, turned ? nullptr : std});
  if (!turned) return;
  rows.copy_from(matmul(rows, axes_of(stats, layout, i)).value);
  for_each(rows.device(), rows.numel(), Standardise{rows.ptr<float>(), dim, nullptr, std});
}

void destandardise_rows(const Tensor& rows, const LatentStats& stats, const LatentLayout& layout, int i) {
  const std::int64_t dim = rows.shape()[1], offset = layout.offsets[static_cast<std::size_t>(i)];
  const float *mean = stats.mean.ptr<float>() + offset, *std = stats.std.ptr<float>() + offset;
  const bool turned = stats.axes.defined();
  for_each(rows.device(), rows.numel(), Destandardise{rows.ptr<float>(), dim, turned ? nullptr : mean, std});
  if (!turned) return;
  rows.copy_from(matmul(rows, axes_of(stats, layout, i), false, true).value);
  for_each(rows.device(), rows.numel(), Destandardise{rows.ptr<float>(), dim, mean, nullptr});
}

}  // namespace mld
