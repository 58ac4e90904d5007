// Coherence (docs/method.md section 18.1): do classifiers read the same digit in what was generated? Pure
// counting over predicted labels; who predicts them is evaluation's business.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace mld {

// A share of n trials with its 95 % Wilson interval.
struct Proportion {
  std::int64_t hits = 0, n = 0;
  double value() const { return n > 0 ? static_cast<double>(hits) / static_cast<double>(n) : 0; }
  double low() const;
  double high() const;
};

// Items whose predicted label is the given one. Items with a negative label (unknown) are left out.
Proportion agreement(std::span<const std::int32_t> predicted, std::span<const std::int32_t> label);

// Of each item 1 or 0, or -1 without a label.
std::vector<std::int8_t> agreements(std::span<const std::int32_t> predicted,
                                    std::span<const std::int32_t> label);

// Of data whose classes are combinations of attributes: for each attribute the samples whose value, of rows
// [N, attributes], is the true one; and those for which all modalities' are the same. A value of -1 is read as none and
// equals nothing; rows without a truth are left out.
std::vector<Proportion> attribute_agreement(std::span<const std::int32_t> values,
                                            std::span<const std::int32_t> truth, std::size_t attributes);
std::vector<Proportion> attributes_alike(const std::vector<std::vector<std::int32_t>>& values,
                                         std::size_t attributes);

// Unconditional samples: all modalities must be read as the same class. Agreement alone would reward collapse
// to one class, hence the class shares (over all modalities' predictions) and their entropy in nats. A negative label is no
// class and equals nothing.
struct JointCoherence {
  Proportion all_equal;
  std::vector<double> class_share;
  double entropy = 0;
  std::vector<std::int8_t> equal;  // of each sample 1 or 0
};
JointCoherence joint_coherence(const std::vector<std::vector<std::int32_t>>& predicted, int classes);

}  // namespace mld
