// The random choices of a VAE's training step: their laws, and that shards have the whole batch's.
#include "mld/methods/vae/draws.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "tests/nn/helpers.h"

namespace mld::vae {
namespace {

const data::BatchRows kWhole{0, 22, 22};

struct Steps {
  StepCounter counter{9, {}, 0.9, 0.999, kCpu};
  const StepState* next() {
    counter.tick();
    return counter.ptr();
  }
};

std::int32_t component(const Tensor& rows, std::int64_t b, std::int64_t count) {
  const std::int32_t row = rows.data<std::int32_t>()[b];
  CHECK(row % count == b);
  return row / static_cast<std::int32_t>(count);
}

}  // namespace

TEST_CASE("vae draws: components take turns in blocks of the batch, the last has what remains") {
  Steps steps;
  const Tensor rows = component_rows(MixtureSplit::batch, 4, kWhole, steps.next(), kCpu);
  for (std::int64_t b = 0; b < 22; ++b) CHECK(component(rows, b, 22) == std::min<std::int64_t>(b / 5, 3));
  for (const data::BatchRows& shard : {data::BatchRows{0, 9, 22}, data::BatchRows{9, 13, 22}}) {
    const Tensor own = component_rows(MixtureSplit::batch, 4, shard, steps.next(), kCpu);
    for (std::int64_t b = 0; b < shard.count; ++b)
      CHECK(component(own, b, shard.count) == std::min<std::int64_t>((shard.first + b) / 5, 3));
  }
}

TEST_CASE("vae draws: each row draws its component, each as likely as the others") {
  Steps steps;
  std::map<std::int32_t, int> times;
  constexpr int kSteps = 500;
  for (int step = 0; step < kSteps; ++step) {
    const StepState* state = steps.next();
    const Tensor rows = component_rows(MixtureSplit::random, 3, kWhole, state, kCpu);
    const data::BatchRows half{11, 11, 22};
    const Tensor own = component_rows(MixtureSplit::random, 3, half, state, kCpu);
    for (std::int64_t b = 0; b < 22; ++b) {
      const std::int32_t k = component(rows, b, 22);
      ++times[k];
      if (b >= 11) CHECK(component(own, b - 11, 11) == k);
    }
  }
  const double n = 22.0 * kSteps;
  REQUIRE(times.size() == 3);
  for (const auto& [k, count] : times) CHECK(std::abs(count / n - 1.0 / 3) < 5 * std::sqrt(2.0 / 9 / n));
}

TEST_CASE("vae draws: messages that are left out, all numbers and all sets of a number alike") {
  Steps steps;
  constexpr int kSteps = 1500;
  std::map<int, int> kept;  // sets
  for (int step = 0; step < kSteps; ++step) {
    const auto weights = message_weights(0.4, 3, kWhole, steps.next(), kCpu);
    REQUIRE(weights.size() == 3);
    for (std::int64_t b = 0; b < 22; ++b) {
      int set = 0, members = 0;
      double sum = 0;
      for (int i = 0; i < 3; ++i) {
        const auto w = static_cast<double>(weights[static_cast<std::size_t>(i)].data<float>()[b]);
        sum += w;
        if (w > 0) set |= 1 << i, ++members;
      }
      CHECK(sum == doctest::Approx(1));
      for (int i = 0; i < 3; ++i)
        if ((set >> i & 1) != 0)
          CHECK(weights[static_cast<std::size_t>(i)].data<float>()[b] == 1.0f / static_cast<float>(members));
      ++kept[set];
    }
  }
  const double n = 22.0 * kSteps;
  REQUIRE(kept.size() == 7);  // never none
  for (const auto& [set, count] : kept) {
    // All three: nothing is left out. One or two left out: equally likely, three sets each.
    const double p = set == 7 ? 0.6 : 0.4 / 2 / 3;
    CHECK(std::abs(count / n - p) < 5 * std::sqrt(p * (1 - p) / n));
  }
  // One modality is never left out.
  for (const float w : message_weights(1, 1, kWhole, steps.next(), kCpu)[0].span<float>()) CHECK(w == 1);
}

TEST_CASE("vae draws: divergences warm up epoch by epoch") {
  Steps steps;
  for (int step = 0; step < 12; ++step) {
    const StepState* state = steps.next();
    const double expected = std::min(1.0, (step / 3 + 1) / 2.5);
    CHECK(static_cast<double>(warm_up(state, 3, 2.5, kCpu).data<float>()[0]) == doctest::Approx(expected));
    CHECK(warm_up(state, 3, 0, kCpu).data<float>()[0] == 1);
  }
}

}  // namespace mld::vae
