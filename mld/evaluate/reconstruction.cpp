#include "mld/evaluate/reconstruction.h"

#include <algorithm>
#include <cmath>

#include "engine/base/error.h"

namespace mld {

void ReconstructionErrors::add(const Tensor& real, const Tensor& made, std::span<const std::int64_t> rows) {
  MLD_CHECK(real.shape() == made.shape() && real.dtype() == made.dtype(), "reconstruction: ", made.shape(),
            " of ", real.shape());
  for (const std::int64_t row : rows) {
    const Tensor x = real.rows(row, 1), y = made.rows(row, 1);
    if (discrete_) {
      add_numbers(x.span<std::int32_t>(), y.span<std::int32_t>());
      continue;
    }
    ++whole_.n;
    values_ += x.numel();
    for (std::int64_t k = 0; k < x.numel(); ++k)
      squares_ +=
          std::pow(static_cast<double>(x.data<float>()[k]) - static_cast<double>(y.data<float>()[k]), 2);
  }
}

void ReconstructionErrors::add_numbers(std::span<const std::int32_t> real,
                                       std::span<const std::int32_t> made) {
  const auto count = [&](Proportion& p, std::size_t length) {
    p.n += static_cast<std::int64_t>(length);
    for (std::size_t k = 0; k < length; ++k) p.hits += real[k] == made[k];
  };
  count(right_, real.size());
  if (end_) {
    const auto end = std::ranges::find(real, *end_);
    count(words_, static_cast<std::size_t>(std::min(end - real.begin() + 1, std::ssize(real))));
  }
  ++whole_.n;
  whole_.hits += std::ranges::equal(real, made);
}

std::optional<double> ReconstructionErrors::error() const {
  if (values_ == 0) return {};
  return std::sqrt(squares_ / static_cast<double>(values_));
}

}  // namespace mld
