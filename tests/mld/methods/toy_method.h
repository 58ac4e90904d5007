// A method without latents or a walk, which shows that Method is all that is asked for: it remembers the training
// samples (vectors) and draws one of those that fit the condition best. Its one weight is there to be trained.
#pragma once

#include "engine/ops/ops.h"
#include "engine/random/philox.h"
#include "mld/methods/method.h"

namespace mld::toy {

struct Memory {
  nn::Buffer rows;  // [samples, sizes of all modalities]
  nn::Parameter weight = nn::Parameter({1}, nn::zeros());
  void visit(nn::Visitor& v) { v("rows", rows), v("weight", weight); }
};

struct ToyTraining : Training {
  ToyTraining(auto& d, LatentLayout l, Memory m) : data(d), layout(l), memory(m) {}
  nn::ParameterStore& parameters() override { return store; }
  std::int64_t batch() const override { return data.config.score.batch; }
  std::int64_t steps_per_epoch() const override { return 1; }
  void before(std::int64_t step) override {
    std::vector<std::int32_t> all(static_cast<std::size_t>(data.split.num_samples()));
    for (std::size_t k = 0; k < all.size(); ++k) all[k] = static_cast<std::int32_t>(k);
    for (int i = 0; step == 0 && i < layout.modalities(); ++i) {
      const Tensor items = Tensor::empty({std::ssize(all), layout.dims[static_cast<std::size_t>(i)]});
      data.split.gather(data.columns[static_cast<std::size_t>(i)], all, items.span<float>());
      layout.set_slice(memory.rows.value(), i, items);
    }
  }
  Var loss(const StepState*) const override { return mean(abs(memory.weight.var())); }
  const TrainingData& data;
  LatentLayout layout;
  Memory memory;
  nn::ParameterStore store{memory};
};

struct ToyMethod : Method {
  ToyMethod(const data::Description& d) : samples(d.splits[0].samples) {
    for (const data::Modality& m : d.modalities) sizes.push_back(m.shape.numel());
  }
  Answers answers() const override { return {.no_information = "a toy has no scores"}; }
  std::vector<StageId> stages() const override { return {{StageKind::score, {}}}; }
  MakeTraining training(const StageId&, const TrainingData& data) const override {
    return [this, &data](auto...) { return std::make_unique<ToyTraining>(data, codes(), blank()); };
  }
  nn::ParameterStore& build(const StageId&) override {
    memory = blank();
    return *(store = std::make_unique<nn::ParameterStore>(memory, nn::StoreOptions{.training = false}));
  }
  nn::ParameterStore* built(const StageId&) const override { return store.get(); }
  LatentLayout codes() const override { return LatentLayout(sizes); }
  Tensor encode(int, const Tensor& x) const override { return x; }
  Tensor decode(int i, const Tensor& draws) const override { return codes().slice(draws, i); }
  Tensor reconstruct(int, const Tensor& x) const override { return x; }
  std::int64_t network_calls(const SampleSettings&) const override { return 1; }
  SubsetSampler sampler(Subset given, const SampleSettings& settings, std::int64_t) const override {
    std::vector<std::int64_t> known;  // coordinates
    for (int i = 0; i < codes().modalities(); ++i)
      for (std::int64_t j = 0; contains(given, i) && j < sizes[static_cast<std::size_t>(i)]; ++j)
        known.push_back(codes().offsets[static_cast<std::size_t>(i)] + j);
    return {.batch = 5, .draw = [=, this](const Tensor& z, std::span<const std::int32_t> ids, const auto&) {
              const std::int64_t width = codes().total;
              const Tensor draws = Tensor::empty({std::ssize(ids), width}), rows = memory.rows.value();
              for (std::int64_t k = 0; k < std::ssize(ids); ++k) {
                const auto id = static_cast<std::uint32_t>(ids[static_cast<std::size_t>(k)]);
                const std::int64_t start = mld::draw(settings.seed, 1, 0, id, 0).v[0];
                std::pair<float, std::int64_t> best{1e30f, 0};  // of rows from a random one on, the first
                for (std::int64_t row = start; row < start + samples; ++row) {
                  float far = 0;
                  const float* kept = rows.data<float>() + row % samples * width;
                  for (const auto c : known) far += std::abs(z.data<float>()[k * width + c] - kept[c]);
                  if (far < best.first) best = {far, row % samples};
                }
                draws.rows(k, 1).copy_from(rows.rows(best.second, 1));
              }
              return draws;
            }};
  }
  Memory blank() const { return {.rows = nn::Buffer({samples, codes().total}, 0.0)}; }
  std::int64_t samples;
  std::vector<std::int64_t> sizes;
  Memory memory;
  std::unique_ptr<nn::ParameterStore> store;
};

}  // namespace mld::toy
