#include "mld/information.h"

#include <cmath>
#include <numeric>
#include <vector>

#include "engine/core/error.h"
#include "engine/random/philox.h"
#include "mld/noise.h"
#include "mld/sde.h"
#include "mld/time_sampling.h"

namespace mld {
namespace {

// r and tau where the modalities of `diffused` are at time[b] and the others clean.
struct State {
  Tensor r, tau;
};

State diffuse(const LatentLayout& layout, const Tensor& z, const Tensor& noise,
              const std::vector<double>& time, Subset diffused) {
  const std::int64_t rows = z.shape()[0], modalities = layout.modalities();
  const State out{z.clone(), Tensor::zeros({rows, modalities})};
  for (std::int64_t b = 0; b < rows; ++b) {
    const double t = time[static_cast<std::size_t>(b)];
    const auto a = static_cast<float>(VpSde::mean(t)), s = static_cast<float>(VpSde::std_dev(t));
    for (int i = 0; i < layout.modalities(); ++i) {
      if (!contains(diffused, i)) continue;
      out.tau.data<float>()[b * modalities + i] = static_cast<float>(t);
      const std::int64_t first = b * layout.total + layout.offsets[static_cast<std::size_t>(i)];
      for (std::int64_t j = first; j < first + layout.dims[static_cast<std::size_t>(i)]; ++j)
        out.r.data<float>()[j] = a * z.data<float>()[j] + s * noise.data<float>()[j];
    }
  }
  return out;
}

}  // namespace

std::vector<Subset> bipartitions(int modalities) {
  std::vector<Subset> groups;
  for (const Subset group : all_subsets(modalities)) {
    const int size = std::popcount(group);
    if (2 * size < modalities || (2 * size == modalities && contains(group, 0))) groups.push_back(group);
  }
  return groups;
}

MutualInformation mutual_information(const MultiTimeScore& score, const LatentLayout& layout, const Tensor& z,
                                     Subset group, const InformationOptions& options,
                                     const std::function<void(std::int64_t)>& progress) {
  const std::int64_t count = z.shape()[0];
  const Subset all = full_set(layout.modalities()), rest = all & ~group;
  MLD_CHECK(group != 0 && rest != 0 && count > 1, "mutual information: group ", group, " of ",
            layout.modalities(), " modalities, ", count, " rows");
  PhiloxNoise source(options.seed);
  std::vector<double> row_mean(static_cast<std::size_t>(count));
  for (std::int64_t first = 0; first < count; first += options.chunk) {
    const std::int64_t n = std::min(options.chunk, count - first);
    const Tensor clean = z.rows(first, n), noise = Tensor::empty(clean.shape());
    std::vector<std::int32_t> ids(static_cast<std::size_t>(n));
    std::iota(ids.begin(), ids.end(), static_cast<std::int32_t>(first));
    const Tensor rows = Tensor::from(ids, {n});
    for (int repeat = 0; repeat < options.repeats; ++repeat) {
      source.normal(noise, kSiteNoise, Tensor::full({1}, repeat, DType::i32), rows);
      std::vector<double> time;
      for (const std::int32_t id : ids) {
        const Words w = draw(options.seed, kSiteTime, static_cast<std::uint32_t>(repeat),
                             static_cast<std::uint32_t>(id), 0);
        time.push_back(
            TimeDistribution{.kind = TimeSampling::importance}.draw(u01_double(w.v[0], w.v[1]), 0));
      }
      const auto output = [&](Subset diffused) {
        const State state = diffuse(layout, clean, noise, time, diffused);
        return score(state.r, state.tau);
      };
      const Tensor joint = output(all), of_group = output(group), of_rest = output(rest);
      for (std::int64_t b = 0; b < n; ++b) {
        double sum = 0;
        for (int i = 0; i < layout.modalities(); ++i) {
          const Tensor& conditional = contains(group, i) ? of_group : of_rest;
          const std::int64_t at = b * layout.total + layout.offsets[static_cast<std::size_t>(i)];
          for (std::int64_t j = at; j < at + layout.dims[static_cast<std::size_t>(i)]; ++j) {
            const double difference = static_cast<double>(joint.data<float>()[j]) -
                                      static_cast<double>(conditional.data<float>()[j]);
            sum += difference * difference;
          }
        }
        row_mean[static_cast<std::size_t>(first + b)] +=
            0.5 * ImportanceTime::normaliser() * sum / options.repeats;
      }
    }
    if (progress) progress(first + n);
  }
  double sum = 0, squares = 0;
  for (const double v : row_mean) {
    sum += v;
    squares += v * v;
  }
  const auto n = static_cast<double>(count);
  const double mean = sum / n;
  return {group, mean, std::sqrt(std::max(0.0, squares / n - mean * mean) / (n - 1))};
}

}  // namespace mld
