#include "mld/evaluate/coherence.h"

#include <algorithm>
#include <cmath>

#include "engine/base/error.h"

namespace mld {
namespace {

constexpr double kZ = 1.959963984540054;  // 97.5 % quantile of the standard normal

double wilson(const Proportion& p, double sign) {
  if (p.n == 0) return sign < 0 ? 0 : 1;
  const double n = static_cast<double>(p.n), share = p.value(), z2 = kZ * kZ;
  const double spread = kZ * std::sqrt(share * (1 - share) / n + z2 / (4 * n * n));
  return std::clamp((share + z2 / (2 * n) + sign * spread) / (1 + z2 / n), 0.0, 1.0);
}

}  // namespace

double Proportion::low() const { return wilson(*this, -1); }
double Proportion::high() const { return wilson(*this, +1); }

Proportion agreement(std::span<const std::int32_t> predicted, std::span<const std::int32_t> label) {
  MLD_CHECK(predicted.size() == label.size(), "coherence: ", predicted.size(), " predictions for ",
            label.size(), " labels");
  Proportion p;
  for (const std::int8_t right : agreements(predicted, label)) {
    p.n += right >= 0;
    p.hits += right == 1;
  }
  return p;
}

std::vector<std::int8_t> agreements(std::span<const std::int32_t> predicted,
                                    std::span<const std::int32_t> label) {
  std::vector<std::int8_t> out;
  for (std::size_t i = 0; i < label.size(); ++i)
    out.push_back(label[i] < 0 ? std::int8_t{-1} : static_cast<std::int8_t>(predicted[i] == label[i]));
  return out;
}

std::vector<Proportion> attribute_agreement(std::span<const std::int32_t> values,
                                            std::span<const std::int32_t> truth, std::size_t attributes) {
  MLD_CHECK(values.size() == truth.size(), "coherence: ", values.size(), " values of attributes for ",
            truth.size());
  std::vector<Proportion> of(attributes);
  for (std::size_t k = 0; k < values.size(); ++k)
    if (truth[k] >= 0) {
      ++of[k % attributes].n;
      of[k % attributes].hits += values[k] == truth[k];
    }
  return of;
}

std::vector<Proportion> attributes_alike(const std::vector<std::vector<std::int32_t>>& values,
                                         std::size_t attributes) {
  std::vector<Proportion> of(attributes);
  for (std::size_t k = 0; k < values.front().size(); ++k) {
    const std::int32_t first = values.front()[k];
    ++of[k % attributes].n;
    of[k % attributes].hits +=
        first >= 0 && std::ranges::all_of(values, [&](const auto& other) { return other[k] == first; });
  }
  return of;
}

JointCoherence joint_coherence(const std::vector<std::vector<std::int32_t>>& predicted, int classes) {
  MLD_CHECK(!predicted.empty(), "coherence: no modality was classified");
  JointCoherence joint;
  std::vector<std::int64_t> count(static_cast<std::size_t>(classes), 0);
  std::int64_t total = 0;
  for (const auto& labels : predicted) {
    MLD_CHECK(labels.size() == predicted.front().size(), "coherence: modalities differ in number of samples");
    for (std::int32_t label : labels) {
      if (label < 0) continue;
      ++count.at(static_cast<std::size_t>(label));
      ++total;
    }
  }
  for (std::size_t i = 0; i < predicted.front().size(); ++i) {
    const bool equal = std::ranges::all_of(
        predicted, [&](const auto& labels) { return labels[i] >= 0 && labels[i] == predicted.front()[i]; });
    ++joint.all_equal.n;
    joint.all_equal.hits += equal;
    joint.equal.push_back(equal);
  }
  for (std::int64_t c : count) {
    const double share = total > 0 ? static_cast<double>(c) / static_cast<double>(total) : 0;
    joint.class_share.push_back(share);
    if (share > 0) joint.entropy -= share * std::log(share);
  }
  return joint;
}

}  // namespace mld
