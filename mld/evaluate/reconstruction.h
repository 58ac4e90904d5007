// How near a reconstruction comes to what it reconstructs, before any classifier reads it: what an autoencoder alone is judged
// by.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "data/store/description.h"
#include "data/text/vocabulary.h"
#include "engine/core/tensor.h"
#include "mld/evaluate/coherence.h"

namespace mld {

class ReconstructionErrors {
 public:
  // `vocabulary`: the words of tokens. Where they have a mark of the end, what stands behind it says nothing.
  ReconstructionErrors(const data::Modality& info, std::span<const std::string> vocabulary)
      : end_(data::end_of_text(vocabulary)), discrete_(data::is_discrete(info.kind)) {}

  // Adds these rows of real and reconstructed values [n, sample...], as networks take them.
  void add(const Tensor& real, const Tensor& made, std::span<const std::int64_t> rows);

  std::int64_t items() const { return whole_.n; }
  // Root mean square, in the units of the data; of real values.
  std::optional<double> error() const;
  // Of discrete data: numbers that are right, of texts also those up to the end of the real one, itself included; and
  // items without a wrong number.
  std::optional<double> right() const { return share(right_); }
  std::optional<double> words() const { return share(words_); }
  std::optional<double> whole() const { return discrete_ ? share(whole_) : std::nullopt; }

 private:
  static std::optional<double> share(const Proportion& p) {
    return p.n > 0 ? std::optional(p.value()) : std::nullopt;
  }
  void add_numbers(std::span<const std::int32_t> real, std::span<const std::int32_t> made);

  std::optional<std::int32_t> end_;
  bool discrete_;
  Proportion right_, words_, whole_;
  double squares_ = 0;
  std::int64_t values_ = 0;
};

}  // namespace mld
