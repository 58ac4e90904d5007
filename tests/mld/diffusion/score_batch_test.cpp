#include "mld/diffusion/score_batch.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <numeric>
#include <set>

#include "engine/ops/ops.h"
#include "mld/diffusion/networks/resmlp.h"
#include "mld/diffusion/sde.h"
#include "mld/diffusion/subsets.h"
#include "nn/parameter.h"
#include "nn/train_step.h"
#include "tests/nn/helpers.h"
#if MLD_CUDA_EMULATED
#include "cuda_emulation.h"
#endif

namespace mld {
namespace {

// Three modalities of sizes 2, 3, 1 with 10, 8, 12 items; samples with and without holes.
LatentStore latents(bool holes) {
  const LatentLayout layout({2, 3, 1});
  std::vector<std::int32_t> samples;
  for (int row = 0; row < 40; ++row) {
    samples.push_back(row % 10);
    samples.push_back(holes && row % 4 == 1 ? -1 : row % 8);
    samples.push_back(holes && row % 4 >= 1 && row % 4 <= 2 ? -1 : row % 12);
  }
  return LatentStore(layout,
                     {test::random({10, 2}, 1, DType::f32), test::random({8, 3}, 2, DType::f32),
                      test::random({12, 1}, 3, DType::f32)},
                     Tensor::from(samples, {40, 3}));
}

StepCounter at_step(std::int64_t step, Device device = kCpu) {
  StepCounter counter(5, {}, 0.9, 0.999, device);
  StepState state = counter.read();
  state.step = step;
  counter.write(state);
  return counter;
}

// The row of a batch written down from docs/method.md section 7 and section 11 (the variants).
void check_row(const LatentStore& store, const BatchDraw& draw, const ScoreBatch& batch, std::int64_t b,
               Prediction prediction, ModelKind kind) {
  const std::int32_t* item = draw.encoding.data<std::int32_t>() + 3 * b;
  const auto given = static_cast<Subset>(draw.conditioning.data<std::int32_t>()[b]);
  if (kind != ModelKind::mld) CHECK(given == 0);
  double present = 0, diffused = 0;
  for (int i = 0; i < 3; ++i) {
    const double dim = static_cast<double>(store.layout().dims[static_cast<std::size_t>(i)]);
    if (item[i] >= 0) present += dim;
    if (item[i] >= 0 && !contains(given, i)) diffused += dim;
    CHECK((!contains(given, i) || item[i] >= 0));
  }
  REQUIRE(diffused > 0);
  for (int i = 0; i < 3; ++i) {
    const auto dim = store.layout().dims[static_cast<std::size_t>(i)];
    const auto t = static_cast<double>(draw.time.data<float>()[kind == ModelKind::uni ? 3 * b + i : b]);
    const double a = VpSde::mean(t), s = VpSde::std_dev(t);
    for (std::int64_t j = 0; j < dim; ++j) {
      const std::int64_t at = b * 6 + store.layout().offsets[static_cast<std::size_t>(i)] + j;
      const double eps = static_cast<double>(draw.noise.data<float>()[at]);
      const bool absent = item[i] < 0, on = !absent && !contains(given, i);
      const double z = absent ? 0 : static_cast<double>(store.latents(i).data<float>()[item[i] * dim + j]);
      const double r = on ? a * z + s * eps : absent ? eps : z;
      const double target = !on ? 0 : prediction == Prediction::noise ? -eps : a * eps - s * z;
      CHECK(static_cast<double>(batch.r.data<float>()[at]) == doctest::Approx(r).epsilon(1e-5));
      CHECK(static_cast<double>(batch.target.data<float>()[at]) == doctest::Approx(target).epsilon(1e-5));
      CHECK(static_cast<double>(batch.weight.data<float>()[at]) ==
            doctest::Approx(on ? present / diffused : 0).epsilon(1e-6));
    }
    const bool scalar = kind == ModelKind::inpaint;
    const auto tau = static_cast<double>(batch.tau.data<float>()[scalar ? b : b * 3 + i]);
    if (scalar)
      CHECK(tau == doctest::Approx(t));
    else
      CHECK(tau == doctest::Approx(item[i] < 0 ? 1 : contains(given, i) ? 0 : t));
  }
}

}  // namespace

TEST_CASE("score batch: every row is as docs/method.md section 7 says, for all variants, with holes or not") {
  for (auto kind : {ModelKind::mld, ModelKind::inpaint, ModelKind::uni})
    for (bool holes : {false, true})
      for (auto prediction : {Prediction::noise, Prediction::velocity}) {
        CAPTURE(static_cast<int>(kind));
        const LatentStore store = latents(holes);
        const ScoreBatcher batcher(
            store, {.batch = 16, .d = 0.3, .prediction = prediction, .variant = variant_of(kind)}, 5);
        for (std::int64_t step : {0, 1, 7}) {
          const StepCounter state = at_step(step);
          const BatchDraw draw = batcher.draw(state.ptr());
          const ScoreBatch batch = batcher.perturb(draw);
          CHECK(draw.time.shape() == Shape({16, kind == ModelKind::uni ? 3 : 1}));
          CHECK(batch.tau.shape() == Shape({16, kind == ModelKind::inpaint ? 1 : 3}));
          for (std::int64_t b = 0; b < 16; ++b) check_row(store, draw, batch, b, prediction, kind);
        }
      }
}

TEST_CASE("score batch: the times that uni draws for the modalities of a sample are independent") {
  const LatentStore store = latents(false);
  const ScoreBatcher batcher(store, {.batch = 20, .variant = variant_of(ModelKind::uni)}, 9);
  const int steps = 1000;
  double sums[3] = {}, products[3] = {};
  for (int step = 0; step < steps; ++step) {
    const BatchDraw draw = batcher.draw(at_step(step).ptr());
    for (int b = 0; b < 20; ++b) {
      const float* t = draw.time.data<float>() + std::ptrdiff_t{3} * b;
      for (int i = 0; i < 3; ++i) {
        sums[i] += static_cast<double>(t[i]) - 0.5;
        products[i] += (static_cast<double>(t[i]) - 0.5) * (static_cast<double>(t[(i + 1) % 3]) - 0.5);
      }
    }
  }
  const double n = 20.0 * steps;
  for (int i = 0; i < 3; ++i) {  // five standard deviations
    CHECK(std::abs(sums[i] / n) < 5 * std::sqrt(1.0 / 12 / n));
    CHECK(std::abs(products[i] / n) < 5.0 / 12 / std::sqrt(n));
  }
}

TEST_CASE("score batch: on every device the choices are the cpu's, and the numbers but for rounding") {
  struct Made {
    BatchDraw draw;
    ScoreBatch batch;
  };
  const auto make = [](Device device, bool holes, const ScoreBatchOptions& options, std::int64_t step) {
    LatentStore store = latents(holes);
    std::vector<std::int32_t> of_samples(40), of_items(12);
    for (std::size_t k = 0; k < 40; ++k) of_samples[k] = static_cast<std::int32_t>(k % 2);
    for (std::size_t k = 0; k < 12; ++k) of_items[k] = static_cast<std::int32_t>(k % 2);
    const auto first = [&](std::ptrdiff_t n) { return std::vector(of_items.begin(), of_items.begin() + n); };
    store.set_classes(item_classes(of_samples, std::vector{first(10), first(8), first(12)}, 2));
    store.move_to(device);
    const ScoreBatcher batcher(store, options, 5);
    const StepCounter state = at_step(step, device);
    const BatchDraw draw = batcher.draw(state.ptr());
    return Made{draw, batcher.perturb(draw)};
  };
  const auto integers = [](const Tensor& t) {
    const Tensor copy = t.to(kCpu);
    return std::vector<std::int32_t>(copy.span<std::int32_t>().begin(), copy.span<std::int32_t>().end());
  };
  // Times go through the library's log, exp and cos in double, noise through math::log and sincos, where a
  // GPU contracts products and sums; r and target add two such products.
  constexpr double ulps = 8 * 0x1p-23;
  for (const TimeSampling kind : {TimeSampling::uniform, TimeSampling::importance, TimeSampling::lognormal})
    for (const bool holes : {false, true})
      for (const auto model : {ModelKind::mld, ModelKind::inpaint, ModelKind::uni})
        for (const auto prediction : {Prediction::noise, Prediction::velocity}) {
          const auto subsets = holes ? SubsetDraw::per_sample : SubsetDraw::per_batch;
          const ScoreBatchOptions options{.batch = 17,
                                          .d = 0.3,
                                          .marginals = holes ? 0.5 : 0,
                                          .pairing = holes ? Pairing::fresh : Pairing::fixed,
                                          .subsets = subsets,
                                          .time = {.kind = kind},
                                          .prediction = prediction,
                                          .variant = variant_of(model),
                                          .modality_weights = {1, 0.5, 3}};
          const Made want = make(kCpu, holes, options, 9);
          for (const Device device : test::queued_devices()) {
            CAPTURE(device);
            const double tolerance = device == kSim ? 0 : ulps;
            const Made got = make(device, holes, options, 9);
            CHECK(integers(got.draw.sample) == integers(want.draw.sample));
            CHECK(integers(got.draw.encoding) == integers(want.draw.encoding));
            CHECK(integers(got.draw.conditioning) == integers(want.draw.conditioning));
            test::check_near(test::host(got.draw.time), test::host(want.draw.time), tolerance);
            test::check_near(test::host(got.draw.noise), test::host(want.draw.noise), tolerance);
            test::check_near(test::host(got.batch.r), test::host(want.batch.r), tolerance);
            test::check_near(test::host(got.batch.tau), test::host(want.batch.tau), tolerance);
            test::check_near(test::host(got.batch.target), test::host(want.batch.target), tolerance);
            CHECK(test::host(got.batch.weight) == test::host(want.batch.weight));
          }
        }
}

TEST_CASE("score batch: an epoch visits every sample once, subsets and times have their distributions") {
  const LatentStore store = latents(false);
  const ScoreBatcher batcher(store, {.batch = 20, .d = 0.4}, 9);
  CHECK(batcher.steps_per_epoch() == 2);
  std::map<int, int> subsets;
  std::set<int> seen;
  double sum = 0, squares = 0;
  const int steps = 2000;
  for (int step = 0; step < steps; ++step) {
    const BatchDraw draw = batcher.draw(at_step(step).ptr());
    if (step % 2 == 0) seen.clear();
    for (int b = 0; b < 20; ++b) {
      seen.insert(draw.sample.data<std::int32_t>()[b]);
      ++subsets[draw.conditioning.data<std::int32_t>()[b]];
      const double t = static_cast<double>(draw.time.data<float>()[b]);
      sum += t;
      squares += t * t;
    }
    if (step % 2 == 1) CHECK(seen.size() == 40);
  }
  const double n = 20.0 * steps;
  CHECK(subsets.size() == 7);
  for (auto [set, count] : subsets) {  // five standard deviations
    const double p = set == 0 ? 0.4 : 0.6 / 6;
    CHECK(std::abs(count / n - p) < 5 * std::sqrt(p * (1 - p) / n));
  }
  CHECK(std::abs(sum / n - 0.5) < 5 * std::sqrt(1.0 / 12 / n));
  CHECK(std::abs(squares / n - 1.0 / 3) < 5 * std::sqrt(4.0 / 45 / n));
}

TEST_CASE(
    "score batch: modalities are left out as often as asked for, and their row is one that lacks them") {
  const LatentStore store = latents(false);
  const ScoreBatcher batcher(store, {.batch = 20, .d = 0.4, .marginals = 0.3}, 9);
  std::map<Subset, int> left_out;
  int all_diffused = 0, whole = 0;
  const int steps = 2000;
  for (int step = 0; step < steps; ++step) {
    const BatchDraw draw = batcher.draw(at_step(step).ptr());
    for (int b = 0; b < 20; ++b) {
      Subset absent = 0;
      const std::int32_t* row = draw.encoding.data<std::int32_t>() + std::ptrdiff_t{3} * b;
      for (int i = 0; i < 3; ++i)
        if (row[i] < 0) absent |= Subset{1} << i;
      ++left_out[absent];
      if (absent != 0) continue;
      ++whole;
      all_diffused += draw.conditioning.data<std::int32_t>()[b] == 0;
    }
    if (step > 3) continue;
    const ScoreBatch batch = batcher.perturb(draw);
    for (std::int64_t b = 0; b < 20; ++b) check_row(store, draw, batch, b, Prediction::noise, ModelKind::mld);
  }
  const double n = 20.0 * steps;
  CHECK(left_out.size() == 7);
  for (auto [set, count] : left_out) {  // five standard deviations
    const double p = set == 0 ? 0.7 : 0.3 / 6;
    CHECK(std::abs(count / n - p) < 5 * std::sqrt(p * (1 - p) / n));
  }
  // Whether something is left out says nothing of what is given.
  CHECK(std::abs(all_diffused / static_cast<double>(whole) - 0.4) < 5 * std::sqrt(0.24 / whole));
}

TEST_CASE("score batch: fresh pairs are of the sample's class, each of its items as often as the others") {
  // Classes 0, 1 and 2 of ten, eight and twelve items; samples 5, 10, ... have no label; the second modality has no
  // item of class 2, so that the sample's own stays.
  std::vector<std::int32_t> of_samples;
  for (int row = 0; row < 40; ++row) of_samples.push_back(row % 5 == 0 ? -1 : row % 3);
  const std::vector<std::vector<std::int32_t>> of_items{
      {0, 1, 2, 0, 1, 2, 0, 1, 2, -1}, {0, 0, 0, 1, 1, 1, 1, -1}, {2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0}};
  LatentStore store = latents(false);
  store.set_classes(item_classes(of_samples, of_items, 3));
  const ScoreBatcher batcher(store, {.batch = 20, .pairing = Pairing::fresh}, 9);
  const ScoreBatcher fixed(store, {.batch = 20}, 9);
  const ScoreBatcher bound(store, {.batch = 20, .pairing = Pairing::fresh, .fresh = 0b101}, 9);
  std::map<std::pair<int, int>, int> drawn;  // (modality, item) of class 1
  int of_class = 0;
  for (int step = 0; step < 3000; ++step) {
    const BatchDraw draw = batcher.draw(at_step(step).ptr());
    const Tensor own = fixed.draw(at_step(step).ptr()).encoding;
    const Tensor middle_stays = bound.draw(at_step(step).ptr()).encoding;
    for (int b = 0; b < 20; ++b) {
      const std::int32_t label = of_samples[static_cast<std::size_t>(draw.sample.data<std::int32_t>()[b])];
      of_class += label == 1;
      for (int i = 0; i < 3; ++i) {
        const std::int32_t item = draw.encoding.data<std::int32_t>()[3 * b + i];
        REQUIRE(item >= 0);
        CHECK(middle_stays.data<std::int32_t>()[3 * b + i] ==
              (i == 1 ? own.data<std::int32_t>()[3 * b + i] : item));
        if (label < 0 || (i == 1 && label == 2))
          CHECK(item == own.data<std::int32_t>()[3 * b + i]);
        else
          CHECK(of_items[static_cast<std::size_t>(i)][static_cast<std::size_t>(item)] == label);
        if (label == 1) ++drawn[{i, item}];
      }
    }
  }
  CHECK(drawn.size() == 3 + 4 + 4);
  for (auto [which, count] : drawn) {
    const double p = which.first == 0 ? 1.0 / 3 : 0.25, n = of_class;
    CHECK(std::abs(count / n - p) < 5 * std::sqrt(p * (1 - p) / n));
  }
}

TEST_CASE("score batch: what is given may be as augmented, what is to be generated is as it is") {
  const LatentLayout layout({2, 3});
  std::vector<std::int32_t> samples;
  for (int row = 0; row < 40; ++row) samples.insert(samples.end(), {row % 10, row % 8});
  const LatentStore store(layout,
                          {test::random({10, 2}, 1, DType::f32), test::random({32, 3}, 2, DType::f32)},
                          Tensor::from(samples, {40, 2}), {1, 4});
  CHECK(store.items(1) == 8);
  const ScoreBatcher batcher(store, {.batch = 20, .d = 0.2}, 9);
  std::map<int, int> encodings;
  int given_rows = 0;
  for (int step = 0; step < 2000; ++step) {
    const BatchDraw draw = batcher.draw(at_step(step).ptr());
    const ScoreBatch batch = batcher.perturb(draw);
    for (int b = 0; b < 20; ++b) {
      const std::int32_t* row = draw.encoding.data<std::int32_t>() + std::ptrdiff_t{2} * b;
      const std::int32_t* own = samples.data() + std::ptrdiff_t{2} * draw.sample.data<std::int32_t>()[b];
      const bool given = draw.conditioning.data<std::int32_t>()[b] == 0b10;
      CHECK(row[0] == own[0]);
      CHECK(row[1] % 8 == own[1]);
      if (!given) CHECK(row[1] == own[1]);
      if (!given) continue;
      ++given_rows;
      ++encodings[row[1] / 8];
      for (int j = 0; j < 3; ++j)
        CHECK(batch.r.data<float>()[5 * b + 2 + j] == store.latents(1).data<float>()[3 * row[1] + j]);
    }
  }
  CHECK(encodings.size() == 4);
  for (auto [which, count] : encodings)
    CHECK(std::abs(count / static_cast<double>(given_rows) - 0.25) < 5 * std::sqrt(0.1875 / given_rows));
  // Statistics are of the items as they are.
  const LatentStore plain(layout, {store.latents(0), store.latents(1).rows(0, 8).clone()},
                          Tensor::from(samples, {40, 2}));
  CHECK(test::host(store.statistics(store.all_samples()).std) ==
        test::host(plain.statistics(plain.all_samples()).std));
}

TEST_CASE("score batch: what guidance compares a row with lacks what is given, or all but one modality") {
  const LatentStore store = latents(true);
  const ScoreBatchOptions options{
      .batch = 20, .d = 0.4, .marginals = 0.2, .guidance = 2, .guidance_low = 0.3, .guidance_high = 5};
  const ScoreBatcher batcher(store, options, 9);
  std::map<int, int> alone;  // modality weighed in rows of all three
  int guided = 0, outside = 0;
  for (int step = 0; step < 500; ++step) {
    const StepCounter state = at_step(step);
    const BatchDraw draw = batcher.draw(state.ptr());
    const ScoreBatch batch = batcher.perturb(draw);
    const ReferenceBatch reference = batcher.reference(state.ptr(), draw, batch);
    for (std::int64_t b = 0; b < 20; ++b) {
      const std::int32_t* row = draw.encoding.data<std::int32_t>() + 3 * b;
      const auto given = static_cast<Subset>(draw.conditioning.data<std::int32_t>()[b]);
      const auto t = static_cast<double>(draw.time.data<float>()[b]);
      const double ratio = VpSde::std_dev(t) / VpSde::mean(t);
      const bool within = ratio >= 0.3 && ratio <= 5;
      Subset present = 0, weighed = 0, without = 0;
      std::set<float> weights;
      for (int i = 0; i < 3; ++i) {
        if (row[i] >= 0) present |= Subset{1} << i;
        const auto tau = [&](const Tensor& x) { return x.data<float>()[3 * b + i]; };
        if (tau(reference.tau) == 1 && tau(batch.tau) != 1) without |= Subset{1} << i;
        if (tau(reference.tau) != 1 || tau(batch.tau) == 1) CHECK(tau(reference.tau) == tau(batch.tau));
        const auto dim = store.layout().dims[static_cast<std::size_t>(i)];
        const std::int64_t at = b * 6 + store.layout().offsets[static_cast<std::size_t>(i)];
        float weight = 0;
        for (std::int64_t j = 0; j < dim; ++j) {
          weight = reference.weight.data<float>()[at + j];
          const bool fresh = reference.r.data<float>()[at + j] != batch.r.data<float>()[at + j];
          CHECK(fresh == contains(without, i));
        }
        if (weight != 0) weighed |= Subset{1} << i;
        if (weight != 0) weights.insert(weight);
      }
      const int others = given != 0 ? 1 : std::popcount(present);
      for (const float w : weights) CHECK(w == doctest::Approx(0.5 * others));
      if (std::popcount(present) > 1) CHECK(without == (given != 0 ? given : without));
      if (std::popcount(present) == 1) CHECK((without == 0 && weighed == 0));
      if (std::popcount(present) == 1) continue;
      CHECK(without != 0);
      ++(within ? guided : outside);
      CHECK(weighed == (within ? present & ~without : 0));
      if (given != 0) continue;
      CHECK(std::popcount(present & ~without) == 1);
      if (present == 0b111) ++alone[std::countr_zero(present & ~without)];
    }
  }
  CHECK(guided > 1000);
  CHECK(outside > 1000);
  int all = 0;
  for (auto [modality, count] : alone) all += count;
  CHECK(alone.size() == 3);
  for (auto [modality, count] : alone)
    CHECK(std::abs(count / static_cast<double>(all) - 1.0 / 3) < 5 * std::sqrt(2.0 / 9 / all));
}

TEST_CASE("score batch: one subset for the whole batch if asked for") {
  const LatentStore store = latents(false);
  const ScoreBatcher batcher(store, {.batch = 20, .d = 0.4, .subsets = SubsetDraw::per_batch}, 9);
  std::set<int> over_steps;
  for (int step = 0; step < 60; ++step) {
    const BatchDraw draw = batcher.draw(at_step(step).ptr());
    std::set<int> in_batch(draw.conditioning.data<std::int32_t>(),
                           draw.conditioning.data<std::int32_t>() + 20);
    CHECK(in_batch.size() == 1);
    over_steps.insert(*in_batch.begin());
  }
  CHECK(over_steps.size() == 7);
}

TEST_CASE("score batch: the first loss is D for any mask, given slices have no gradient") {
  LatentStore store = latents(false);
  store.standardise(store.statistics(store.all_samples()));
  ResMlpNetwork net({.dim = 6, .times = 3, .width = 16, .time_dim = 8, .groups = 4});
  nn::ParameterStore parameters(net, {});
  parameters.initialize(1);
  const ScoreBatcher batcher(store, {.batch = 40, .d = 0.3}, 2);
  double mean = 0;
  const int steps = 400;
  for (int step = 0; step < steps; ++step) {
    Tape tape;
    const BatchDraw draw = batcher.draw(at_step(step).ptr());
    const ScoreBatch batch = batcher.perturb(draw);
    const Var n = net(batch.r, batch.tau);
    const Var watched = tape.watch(n.value);
    const Var loss = squared_error(watched, batch.target, 1.0 / 40, batch.weight);
    mean += loss.value.item() / steps;
    if (step > 0) continue;
    tape.backward(loss);
    for (std::int64_t i = 0; i < 40 * 6; ++i)
      CHECK((batch.weight.data<float>()[i] == 0) == (tape.grad(watched).data<float>()[i] == 0));
  }
  CHECK(mean ==
        doctest::Approx(6).epsilon(0.02));  // sum of 16 000 x 6 squared normals, weighted by at most 6
}

TEST_CASE("latents: statistics count every sample once, leave holes out, and are unbiased") {
  const LatentStore store = latents(true);
  const LatentStats stats = store.statistics(store.all_samples());
  double sum = 0, n = 0;
  std::vector<double> values;
  for (int row = 0; row < 40; ++row) {
    const std::int32_t item = store.samples().data<std::int32_t>()[row * 3 + 1];
    if (item < 0) continue;
    values.push_back(static_cast<double>(store.latents(1).data<float>()[item * 3 + 2]));
    sum += values.back();
    ++n;
  }
  double squares = 0;
  for (double v : values) squares += (v - sum / n) * (v - sum / n);
  CHECK(static_cast<double>(stats.mean.data<float>()[4]) == doctest::Approx(sum / n));
  CHECK(static_cast<double>(stats.std.data<float>()[4]) == doctest::Approx(std::sqrt(squares / (n - 1))));

  const Tensor rows = test::random({4, 3}, 8, DType::f32), copy = rows.clone();
  standardise_rows(rows, stats, store.layout(), 1);
  destandardise_rows(rows, stats, store.layout(), 1);
  test::check_near(test::host(rows), test::host(copy), 1e-6);
}

TEST_CASE("latents: in principal axes they are uncorrelated with unit variance, and turn back") {
  // Three coordinates of very different scale, strongly correlated.
  const std::int64_t items = 500;
  const Tensor z = test::random({items, 3}, 3, DType::f32);
  for (std::int64_t i = 0; i < items; ++i) {
    float* row = z.data<float>() + 3 * i;
    row[1] = 5 * row[0] + 0.05f * row[1] + 7;
    row[2] = 0.1f * row[2] - row[1];
  }
  Tensor samples = Tensor::empty({items, 1}, DType::i32);
  for (std::int64_t i = 0; i < items; ++i) samples.data<std::int32_t>()[i] = static_cast<std::int32_t>(i);
  LatentStore store(LatentLayout({3}), {z.clone()}, samples);
  const LatentStats stats = store.statistics(store.all_samples(), LatentCoordinates::principal);
  store.standardise(stats);
  const Tensor& y = store.latents(0);
  for (int a = 0; a < 3; ++a)
    for (int b = 0; b <= a; ++b) {
      double sum = 0;
      for (std::int64_t i = 0; i < items; ++i)
        sum +=
            static_cast<double>(y.data<float>()[3 * i + a]) * static_cast<double>(y.data<float>()[3 * i + b]);
      CHECK(std::abs(sum / (items - 1) - (a == b)) < 2e-3);
    }
  destandardise_rows(y, stats, store.layout(), 0);
  test::check_near(test::host(y), test::host(z), 1e-4);
}

TEST_CASE("latents: every device standardises as the cpu does, both ways, in own and in principal axes") {
  for (const auto coordinates : {LatentCoordinates::own, LatentCoordinates::principal}) {
    const LatentStore raw = latents(true);
    const LatentStats stats = raw.statistics(raw.all_samples(), coordinates);
    LatentStore want = latents(true);
    want.standardise(stats);
    for (const Device device : test::test_devices()) {
      CAPTURE(device);
      LatentStore store = latents(true);
      store.move_to(device);
      const LatentStats there = stats.to(device);
      store.standardise(there);
      for (int i = 0; i < 3; ++i) {
        // On cuda the turn into principal axes sums in another order.
        test::check_near(test::host(store.latents(i)), test::host(want.latents(i)),
                         device.kind == DeviceKind::cuda ? 4e-6 : 0);
        destandardise_rows(store.latents(i), there, store.layout(), i);
        test::check_near(test::host(store.latents(i)), test::host(raw.latents(i)), 4e-6);
      }
    }
  }
}

namespace {

struct Captured {
  ScoreNetworkKind network;
  bool guided;
  // Ten losses and the averaged weights.
  std::vector<double> operator()(Device device, bool* captured) const {
    LatentStore store = latents(true);
    store.standardise(store.statistics(store.all_samples()));
    store.move_to(device);
    const auto net = make_score_network(
        {.kind = network, .dim = 6, .times = 3, .width = 16, .time_dim = 8, .groups = 4, .fourier = 2});
    nn::ParameterStore parameters(*net, {.device = device, .ema = true});
    parameters.initialize(1);
    const ScoreBatcher batcher(
        store, {.batch = 10, .d = 0.3, .guidance = guided ? 2.0 : 1.0, .guidance_high = 100}, 2);
    nn::TrainStep step(parameters, 2, {.lr = 1e-3}, {}, [&](const StepState* state) {
      const BatchDraw draw = batcher.draw(state);
      const ScoreBatch batch = batcher.perturb(draw);
      const Var output = (*net)(batch.r, batch.tau);
      if (guided) {
        const Tape::Pause constant;
        const ReferenceBatch reference = batcher.reference(state, draw, batch);
        const Var change = mul(reference.weight, sub(output, (*net)(reference.r, reference.tau)));
        batch.target.copy_from(add(batch.target, change).value);
      }
      return squared_error(output, batch.target, 0.1, batch.weight);
    });
    for (int i = 0; i < 10; ++i) step();
    if (captured) *captured = step.captured();
    const StepState state = step.state();
    std::vector<double> out(state.loss, state.loss + 10);
    const auto ema = test::host(parameters.ema());
    out.insert(out.end(), ema.begin(), ema.end());
    return out;
  }
};

#if MLD_CUDA_EMULATED
// What a step costs where the network is small: a recorded step of it takes some microseconds a node.
void check_nodes(ScoreNetworkKind network) {
  const std::vector<std::string> nodes = cuda::emulation::graph_nodes();
  const auto count = [&](const std::string& part) {
    return std::ranges::count_if(nodes, [&](const std::string& n) { return test::contains(n, part); });
  };
  CHECK(count("copy") + count("fill") == 0);  // neither copies nor fills of the driver's
  if (network == ScoreNetworkKind::adaln) {
    CHECK(count("CopyWord") == 0);  // no skips
    CHECK(nodes.size() < 150);
    MESSAGE("a recorded step of adaln has ", nodes.size(), " nodes");
    return;
  }
  CHECK(count("product") == 94);
  CHECK(count("ColumnSum") == 32);  // gradients of the biases
  CHECK(count("UnitNorm") == 30);   // forward and backward
  CHECK(count("UnitParameterSums") == 15);
  CHECK(count("CopyWord") == 6);  // three skips and their gradients
  CHECK(nodes.size() == 192);
}
#endif

}  // namespace

TEST_CASE("score training: a captured replay on a queued device equals the eager run bit for bit") {
  for (const Captured losses :
       {Captured{ScoreNetworkKind::resmlp, false}, Captured{ScoreNetworkKind::adaln, false},
        Captured{ScoreNetworkKind::adaln, true}}) {
    CAPTURE(name_of(losses.network));
    CAPTURE(losses.guided);
    const auto cpu = losses(kCpu, nullptr);
    for (const Device device : test::queued_devices()) {
      CAPTURE(device);
      bool captured = false;
      const auto replayed = losses(device, &captured);
      CHECK(captured);
#if MLD_CUDA_EMULATED
      if (device == kCuda && !losses.guided) check_nodes(losses.network);
#endif
      ::setenv("MLD_NO_GRAPH", "1", 1);
      const auto eager = losses(device, &captured);
      ::unsetenv("MLD_NO_GRAPH");
      CHECK_FALSE(captured);
      CHECK(replayed == eager);
      // Rounding that differs between devices; where a gradient is all but zero Adam blows it up to a learning
      // rate.
      test::check_near(replayed, cpu, device == kSim ? 0 : 1e-3);
    }
  }
}

}  // namespace mld
