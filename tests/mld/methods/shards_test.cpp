// A batch that several processes compute together has the draws of the whole batch, and its gradient.
#include <doctest/doctest.h>

#include <cstring>

#include "data/store/store.h"
#include "mld/diffusion/score_batch.h"
#include "mld/methods/item_training.h"
#include "nn/train_step.h"
#include "tests/expect_error.h"
#include "tests/mld/run_place.h"
#include "tests/nn/helpers.h"

namespace mld {
namespace {

using data::Shard;

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::memcmp(a.raw(), b.raw(), static_cast<std::size_t>(a.bytes())) == 0;
}

LatentStore random_latents() {
  std::vector<std::int32_t> samples;
  for (std::int32_t row = 0; row < 50; ++row)
    for (std::int32_t i = 0; i < 3; ++i) samples.push_back((row + i) % 9 == 0 ? -1 : (row * (i + 3)) % 20);
  return {LatentLayout({2, 3, 1}),
          {test::random({20, 2}, 1, DType::f32), test::random({20, 3}, 2, DType::f32),
           test::random({20, 1}, 3, DType::f32)},
          Tensor::from(samples, {50, 3})};
}

// The rows of a shard of a whole batch's tensor.
Tensor part(const Tensor& whole, const data::BatchRows& rows) { return whole.rows(rows.first, rows.count); }

}  // namespace

TEST_CASE("shards: the rows of a batch are dealt out once each") {
  for (const std::int64_t batch : {1, 7, 20, 128})
    for (std::int64_t count = 1; count <= std::min<std::int64_t>(batch, 5); ++count) {
      std::int64_t next = 0;
      for (std::int64_t k = 0; k < count; ++k) {
        const data::BatchRows rows = Shard{k, count}.of(batch);
        CHECK(rows.first == next);
        CHECK(rows.count >= batch / count);
        CHECK(rows.total == batch);
        next += rows.count;
      }
      CHECK(next == batch);
    }
  mld::test::error_of(ErrorKind::usage, [] { (Shard{0, 3}.of(2)); });
  mld::test::error_of(ErrorKind::internal, [] { (Shard{3, 3}.of(9)); });
}

TEST_CASE("shards: draws of the score network's batch are the whole batch's, bit for bit") {
  const LatentStore store = random_latents();
  for (const ModelKind kind : {ModelKind::mld, ModelKind::inpaint, ModelKind::uni})
    for (const SubsetDraw subsets : {SubsetDraw::per_sample, SubsetDraw::per_batch})
      for (const std::int64_t count : {2, 3}) {
        const ScoreBatchOptions options{
            .batch = 20, .d = 0.4, .subsets = subsets, .variant = variant_of(kind)};
        const ScoreBatcher whole(store, options, 9);
        StepCounter counter(9, {}, 0.9, 0.999, kCpu);
        for (int step = 0; step < 4; ++step) {
          counter.tick();
          const BatchDraw draw = whole.draw(counter.ptr());
          const ScoreBatch batch = whole.perturb(draw);
          for (std::int64_t k = 0; k < count; ++k) {
            const ScoreBatcher shard(store, options, 9, {k, count});
            CHECK(shard.steps_per_epoch() == whole.steps_per_epoch());
            const data::BatchRows& rows = shard.rows();
            const BatchDraw own = shard.draw(counter.ptr());
            const ScoreBatch mine = shard.perturb(own);
            CHECK(same_bits(own.sample, part(draw.sample, rows)));
            CHECK(same_bits(own.encoding, part(draw.encoding, rows)));
            CHECK(same_bits(own.conditioning, part(draw.conditioning, rows)));
            CHECK(same_bits(own.time, part(draw.time, rows)));
            CHECK(same_bits(own.noise, part(draw.noise, rows)));
            CHECK(same_bits(mine.r, part(batch.r, rows)));
            CHECK(same_bits(mine.tau, part(batch.tau, rows)));
            CHECK(same_bits(mine.target, part(batch.target, rows)));
            CHECK(same_bits(mine.weight, part(batch.weight, rows)));
          }
        }
      }
}

TEST_CASE("shards: items and labels are the whole batch's, gathered by the host or on the device") {
  mld::test::Place p;
  const data::Store store = data::Store::open(p.store);
  const data::Modality& info = store.modality(1);
  const auto feed = [&](const Shard& shard) {
    return ItemFeed(store.split("train"), 1, info, StageSampling::items, true, 7, 5, shard);
  };
  const ItemFeed whole = feed({});
  const Tensor all = make_items(info, 7);
  const Tensor labels = Tensor::empty({7}, DType::i32);
  StepCounter counter(5, {}, 0.9, 0.999, kCpu);
  for (std::int64_t step = 0; step < 5; ++step) {
    counter.tick();
    whole.fill(step, all, labels);
    for (std::int64_t k = 0; k < 3; ++k) {
      const ItemFeed shard = feed({k, 3});
      const data::BatchRows& rows = shard.rows();
      const Tensor own = make_items(info, rows.count), resident = make_items(info, rows.count);
      const Tensor of = Tensor::empty({rows.count}, DType::i32),
                   there = Tensor::empty({rows.count}, DType::i32);
      shard.fill(step, own, of);
      ResidentItems(shard, kCpu).gather(counter.ptr(), resident, there);
      CHECK(same_bits(own, part(all, rows)));
      CHECK(same_bits(of, part(labels, rows)));
      CHECK(same_bits(resident, own));
      CHECK(same_bits(there, of));
    }
  }
}

TEST_CASE("shards: gradients add up to the whole batch's, and Adam takes what the reduction leaves") {
  mld::test::Place p;
  const Config config = mld::test::vector_config(p.store, {"stage1.batch=7", "classifier_training.batch=7"});
  const data::Store store = data::Store::open(p.store);
  const auto data_of = [&](const Shard& shard) {
    return TrainingData{
        .config = config, .store = store, .split = store.split("train"), .columns = {0, 1}, .shard = shard};
  };
  for (const auto make : {autoencoder_training, classifier_training}) {
    // The gradient of the first step, and the weights after it, with the gradients replaced by `by` if it is there.
    const auto step = [&](const Shard& shard, const Tensor& by) {
      const TrainingData data = data_of(shard);
      const auto training = make(data, 1, 7, 5);
      training->parameters().initialize(5);
      Tensor gradients;
      nn::TrainStep train(
          training->parameters(), 5, {.lr = 0.01}, {},
          [&](const StepState* state) { return training->loss(state); },
          [&](const Tensor& arena) {
            gradients = arena.clone();
            if (by.defined()) arena.copy_from(by);
          });
      training->before(0);
      train();
      return std::pair(gradients, training->parameters().value().clone());
    };
    const auto [whole, weights] = step({}, {});
    Tensor sum = Tensor::zeros(whole.shape());
    for (std::int64_t k = 0; k < 3; ++k)
      for (std::int64_t i = 0; const float g : step({k, 3}, {}).first.span<float>())
        sum.data<float>()[i++] += g;
    test::check_near(test::host(sum), test::host(whole), 1e-6);
    CHECK(same_bits(step({1, 3}, whole).second, weights));
  }
}

}  // namespace mld
