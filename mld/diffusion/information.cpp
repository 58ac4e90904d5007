#include "mld/diffusion/information.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/base/error.h"
#include "engine/base/statistics.h"
#include "engine/random/philox.h"
#include "mld/diffusion/noise.h"
#include "mld/diffusion/sde.h"
#include "mld/diffusion/time_sampling.h"

namespace mld {
namespace {

// The modalities in `moving` are at the time v that is integrated over, all others at `rest`.
struct Times {
  Subset moving = 0;
  double rest = 0;
};

struct State {
  Tensor r, tau;
};

State diffuse(const LatentLayout& layout, const Tensor& z, const Tensor& noise, const std::vector<double>& v,
              const Times& times) {
  const std::int64_t rows = z.shape()[0], modalities = layout.modalities();
  const State out{z.clone(), Tensor::zeros({rows, modalities})};
  for (std::int64_t b = 0; b < rows; ++b)
    for (int i = 0; i < layout.modalities(); ++i) {
      const double t = contains(times.moving, i) ? v[static_cast<std::size_t>(b)] : times.rest;
      if (t == 0) continue;
      const auto a = static_cast<float>(VpSde::mean(t)), s = static_cast<float>(VpSde::std_dev(t));
      out.tau.data<float>()[b * modalities + i] = static_cast<float>(t);
      const std::int64_t first = b * layout.total + layout.offsets[static_cast<std::size_t>(i)];
      for (std::int64_t j = first; j < first + layout.dims[static_cast<std::size_t>(i)]; ++j)
        out.r.data<float>()[j] = VpSde::diffused(a, z.data<float>()[j], s, noise.data<float>()[j]);
    }
  return out;
}

// Of row b, in the modalities that `others` has an output of.
double squared_difference(const LatentLayout& layout, const Tensor& output, const std::vector<Tensor>& others,
                          std::int64_t b) {
  double sum = 0;
  for (std::size_t i = 0; i < others.size(); ++i) {
    if (!others[i].defined()) continue;
    const std::int64_t first = b * layout.total + layout.offsets[i];
    for (std::int64_t j = first; j < first + layout.dims[i]; ++j) {
      const double difference =
          static_cast<double>(output.data<float>()[j]) - static_cast<double>(others[i].data<float>()[j]);
      sum += difference * difference;
    }
  }
  return sum;
}

// 1/2 int_from^1 g(v)^2 sum_A E |difference of two scores of r_v^A|^2 dv over the sets A of `parts`, which
// all move in `times`: the one where the modalities are at `times`, the other where all but A are clean. Of
// each row of z, which are independent.
Moments score_integral(const MultiTimeScore& score, const LatentLayout& layout, const Tensor& z,
                       const Times& times, const std::vector<Subset>& parts, double from,
                       const InformationOptions& options, const InformationProgress& progress) {
  const std::int64_t count = z.shape()[0];
  TimeDistribution distribution{.kind = TimeSampling::importance};
  distribution.t_min = std::max(distribution.t_min, from);
  const double below = ImportanceTime::distribution(from), above = 1 - below;
  const double weight = 0.5 * (ImportanceTime::normaliser() * above);
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
      std::vector<double> v;
      for (const std::int32_t id : ids) {
        const Words w = draw(options.seed, kSiteTime, static_cast<std::uint32_t>(repeat),
                             static_cast<std::uint32_t>(id), 0);
        v.push_back(distribution.draw(below + above * u01_double(w.v[0], w.v[1]), 0));
      }
      const auto output = [&](const Times& at) {
        const State state = diffuse(layout, clean, noise, v, at);
        return score(state.r, state.tau);
      };
      const Tensor reference = output(times);
      std::vector<Tensor> conditional(static_cast<std::size_t>(layout.modalities()));
      for (const Subset part : parts) {
        const Tensor of_part = output({part, 0});
        for (int i = 0; i < layout.modalities(); ++i)
          if (contains(part, i)) conditional[static_cast<std::size_t>(i)] = of_part;
      }
      for (std::int64_t b = 0; b < n; ++b)
        row_mean[static_cast<std::size_t>(first + b)] +=
            weight * squared_difference(layout, reference, conditional, b) / options.repeats;
    }
    if (progress) progress(first + n);
  }
  Moments rows;
  for (const double v : row_mean) rows.add(v);
  return rows;
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

std::vector<Subset> inpainting_conditions(int modalities) {
  std::vector<Subset> sets;
  for (const Subset given : all_subsets(modalities)) {
    const int size = std::popcount(given);
    if (size < modalities && (size == 1 || size == modalities - 1)) sets.push_back(given);
  }
  return sets;
}

MutualInformation mutual_information(const MultiTimeScore& score, const LatentLayout& layout, const Tensor& z,
                                     Subset group, const InformationOptions& options,
                                     const InformationProgress& progress) {
  const Subset all = full_set(layout.modalities()), rest = all & ~group;
  MLD_CHECK(group != 0 && rest != 0 && z.shape()[0] > 1, "mutual information: group ", group, " of ",
            layout.modalities(), " modalities, ", z.shape()[0], " rows");
  const Moments found = score_integral(score, layout, z, {all, 0}, {group, rest}, 0, options, progress);
  return {group, found.mean(), found.standard_error(), z.shape()[0]};
}

InpaintingGap inpainting_gap(const MultiTimeScore& score, const LatentLayout& layout, const Tensor& z,
                             Subset given, double t, const InformationOptions& options,
                             const InformationProgress& progress) {
  const Subset rest = full_set(layout.modalities()) & ~given;
  MLD_CHECK(given != 0 && rest != 0 && z.shape()[0] > 1 && t > 0 && t < 1, "in-painting gap: given ", given,
            " of ", layout.modalities(), " modalities at t = ", t, ", ", z.shape()[0], " rows");
  const Moments found = score_integral(score, layout, z, {rest, t}, {rest}, t, options, progress);
  return {given, t, found.mean(), found.standard_error(), z.shape()[0]};
}

}  // namespace mld
