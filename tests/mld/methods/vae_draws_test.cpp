// The random choices of a VAE's training step: their laws, and that shards have the whole batch's.
#include "mld/methods/vae/draws.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <iterator>
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

// As many components as sets, whose members do not matter where all rows have all modalities.
Tensor sets_of(const std::vector<Subset>& sets) { return set_list(sets, kCpu); }

std::int32_t component(const Tensor& rows, std::int64_t b, std::int64_t count) {
  const std::int32_t row = rows.data<std::int32_t>()[b];
  CHECK(row % count == b);
  return row / static_cast<std::int32_t>(count);
}

}  // namespace

TEST_CASE("vae draws: components take turns in blocks of the batch, the last has what remains") {
  Steps steps;
  const Tensor rows = component_rows(MixtureSplit::batch, sets_of({1, 2, 4, 8}), {}, kWhole, steps.next());
  for (std::int64_t b = 0; b < 22; ++b) CHECK(component(rows, b, 22) == std::min<std::int64_t>(b / 5, 3));
  for (const data::BatchRows& shard : {data::BatchRows{0, 9, 22}, data::BatchRows{9, 13, 22}}) {
    const Tensor own = component_rows(MixtureSplit::batch, sets_of({1, 2, 4, 8}), {}, shard, steps.next());
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
    const Tensor rows = component_rows(MixtureSplit::random, sets_of({1, 2, 4}), {}, kWhole, state);
    const data::BatchRows half{11, 11, 22};
    const Tensor own = component_rows(MixtureSplit::random, sets_of({1, 2, 4}), {}, half, state);
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
    const auto weights = message_weights(0.4, 3, {}, kWhole, steps.next(), kCpu);
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
  for (const float w : message_weights(1, 1, {}, kWhole, steps.next(), kCpu)[0].span<float>()) CHECK(w == 1);
}

TEST_CASE(
    "vae draws: a row that lacks modalities is served by the components that it has, and tells what it has") {
  Steps steps;
  const std::vector<Subset> all{1, 2, 4, 3, 5, 6, 7};
  std::vector<Subset> present;
  for (std::int64_t b = 0; b < 22; ++b) present.push_back(all[static_cast<std::size_t>(b) % 7]);
  const Tensor there = sets_of(present);
  const auto possible = [&](Subset set, std::int64_t b) {
    return (set & ~present[static_cast<std::size_t>(b)]) == 0;
  };
  std::map<Subset, std::map<Subset, int>> times,
      told;  // of rows that have a set: a set, how often
  constexpr int kSteps = 2000;
  for (int step = 0; step < kSteps; ++step) {
    const StepState* state = steps.next();
    const Tensor turns = component_rows(MixtureSplit::batch, sets_of(all), there, kWhole, state);
    const Tensor rows = component_rows(MixtureSplit::random, sets_of(all), there, kWhole, state);
    const auto weights = message_weights(0.4, 3, there, kWhole, state, kCpu);
    for (std::int64_t b = 0; b < 22; ++b) {
      const Subset has = present[static_cast<std::size_t>(b)];
      const Subset set = all[static_cast<std::size_t>(component(rows, b, 22))];
      CHECK(possible(set, b));
      ++times[has][set];
      const Subset in_turn = all[static_cast<std::size_t>(component(turns, b, 22))];
      CHECK(possible(in_turn, b));
      // Of a row that has all turns of three rows, the last of four; of others equal shares of the batch.
      std::vector<Subset> own;
      std::ranges::copy_if(all, std::back_inserter(own), [&](Subset other) { return possible(other, b); });
      const std::int64_t turn = has == 7 ? std::min<std::int64_t>(b / 3, 6) : b * std::ssize(own) / 22;
      CHECK(in_turn == own.at(static_cast<std::size_t>(turn)));
      Subset said = 0;
      double sum = 0;
      for (int i = 0; i < 3; ++i) {
        const auto w = static_cast<double>(weights[static_cast<std::size_t>(i)].data<float>()[b]);
        sum += w;
        if (w > 0) said |= Subset{1} << i;
      }
      CHECK(sum == doctest::Approx(1));
      CHECK(possible(said, b));
      ++told[has][said];
    }
  }
  for (const Subset has : all) {
    const auto members = std::popcount(has);
    const int choices = (1 << members) - 1;
    CHECK(times[has].size() == static_cast<std::size_t>(choices));
    CHECK(told[has].size() == static_cast<std::size_t>(choices));
    double n = 0;
    for (const auto& [set, count] : times[has]) n += count;
    for (const auto& [set, count] : times[has]) {
      const double p = 1.0 / choices;
      CHECK(std::abs(count / n - p) <= 5 * std::sqrt(p * (1 - p) / n));
    }
    for (const auto& [set, count] : told[has]) {
      // Of n modalities each number from 1 to n - 1 is as likely, and each set of a number.
      const double sets = members == 3 ? 3 : members;
      const double p = members == 1 ? 1 : set == has ? 0.6 : 0.4 / (members - 1) / sets;
      CHECK(std::abs(count / n - p) <= 5 * std::sqrt(p * (1 - p) / n));
    }
  }
}

TEST_CASE("vae draws: rows know their modalities in the order of the feeds") {
  Steps steps;
  std::vector<Subset> table;
  for (Subset k = 0; k < 30; ++k) table.push_back(k % 7 + 1);
  const data::BatchOrder order(30, 8, 5);
  for (std::int64_t step = 0; step < 7; ++step) {  // epochs of three steps
    const StepState* state = steps.next();
    const data::BatchRows part{3, 5, 8};
    const Tensor sets = present_sets(sets_of(table), order, part, state);
    const std::vector<std::int32_t> rows = order.rows(step);
    for (std::int64_t b = 0; b < 5; ++b)
      CHECK(static_cast<Subset>(sets.data<std::int32_t>()[b]) ==
            table[static_cast<std::size_t>(rows[static_cast<std::size_t>(b + 3)])]);
  }
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
