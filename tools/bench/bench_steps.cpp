// Whole steps of the MNIST-SVHN preset through the code that trains and samples: what compare_torch.py
// measures beside PyTorch. The data are random and in memory, so reading files is not part of a step.
//
//   bench_steps [THREADS]
//
// Reads lines "CASE [STEPS]" and answers each with one line of JSON: mean seconds of a step, FLOPs of a step
// (products and sums of its matrix products and convolutions), threads, trained parameters, and the last
// loss. Cases: train-score-WIDTH, train-mnist, train-svhn, sample-BATCH (one level of the sampler), peak (see
// fma_peak.h).
// Not Google Benchmark: it cannot take turns with other processes, which a comparison on a noisy machine
// needs.
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "engine/core/error.h"
#include "engine/ops/ops.h"
#include "engine/runtime/threads.h"
#include "mld/config.h"
#include "mld/sampler.h"
#include "mld/score_batch.h"
#include "mld/score_model.h"
#include "mld/stage1.h"
#include "nn/train_step.h"
#include "tools/bench/fma_peak.h"

namespace {

using namespace mld;
using i64 = std::int64_t;

constexpr std::uint64_t kSeed = 0;
constexpr i64 kSamples = 50'000;  // in the latent store

struct Case {
  double flops = 0;  // of one step
  i64 parameters = 0;
  std::function<std::optional<double>(i64)> run;  // makes that many steps, returns the last loss
};

// Sum over the weight matrices and kernels of 2 * size * times(name, number of the matrix).
template <class F>
double matrix_flops(const nn::Visitor& net, F&& times) {
  double sum = 0;
  std::size_t number = 0;
  for (const auto& p : net.parameters())
    if (p.data->shape.rank() >= 2)
      sum += 2.0 * static_cast<double>(p.data->shape.numel()) * times(p.name, number++);
  return sum;
}

Tensor random_values(const Shape& shape, std::uint32_t site, bool normal) {
  const Tensor out = Tensor::empty(shape);
  const DrawKey key{.seed = kSeed, .site = site};
  if (normal)
    fill_normal(out, key);
  else
    fill_uniform(out, key);
  return out;
}

LatentStore random_latents(const LatentLayout& layout) {
  std::vector<Tensor> latents;
  for (const i64 dim : layout.dims)
    latents.push_back(random_values({kSamples, dim}, static_cast<std::uint32_t>(dim), true));
  const i64 modalities = layout.modalities();
  const Tensor samples = Tensor::empty({kSamples, modalities}, DType::i32);
  for (i64 i = 0; i < samples.numel(); ++i)
    samples.data<std::int32_t>()[i] = static_cast<std::int32_t>(i / modalities);
  return LatentStore(layout, std::move(latents), samples);
}

// A network in training. The callers' lambdas keep it alive; it is built in place, as TrainStep refers to it.
template <class Model>
struct Training {
  template <class Loss>
  Training(Model built, const TrainConfig& config, Loss&& loss)
      : model(std::move(built)),
        store(model, {.ema = config.ema > 0}),
        step(store, kSeed, {.lr = config.lr}, {.ema_decay = config.ema},
             [this, loss](const StepState* state) { return loss(model, state); }) {
    store.initialize(kSeed);
  }

  double run(i64 steps) {
    for (i64 i = 0; i < steps; ++i) step();
    const StepState state = step.state();
    return state.loss[state.step % kLossRing];
  }

  Model model;
  nn::ParameterStore store;
  nn::TrainStep step;
};

template <class Model>
Case training_case(std::shared_ptr<Training<Model>> training, double flops) {
  return {flops, training->store.count(), [training](i64 steps) { return training->run(steps); }};
}

Case train_score(Config config, i64 width) {
  config.score.width = width;
  const ScoreConfig& c = config.score;
  const auto latents = std::make_shared<LatentStore>(random_latents(latent_layout(config)));
  const auto batcher = std::make_shared<ScoreBatcher>(*latents,
                                                      ScoreBatchOptions{.batch = c.batch,
                                                                        .d = c.d,
                                                                        .subsets = c.subsets,
                                                                        .time = {c.time_sampling, c.t_min},
                                                                        .prediction = c.prediction},
                                                      kSeed);
  const auto loss = [latents, batcher](const ScoreModel& model, const StepState* state) {
    const ScoreBatch batch = batcher->perturb(batcher->draw(state));
    return squared_error(model.network(batch.r, batch.tau), batch.target,
                         1.0 / static_cast<double>(batcher->batch()), batch.weight);
  };
  const auto training = std::make_shared<Training<ScoreModel>>(ScoreModel(c, latents->layout()), c, loss);
  // Forward, gradient of the weights, gradient of the input; the last is not needed of what reads the batch.
  const double flops = matrix_flops(nn::walk(training->model), [&](const std::string& name, std::size_t) {
    const bool first = name == "lin_in.weight" || name == "time1.weight";
    return static_cast<double>((first ? 2 : 3) * c.batch);
  });
  return training_case(training, flops);
}

// uses: how often each kernel is applied to a sample, that is at how many places of its smaller map.
Case train_autoencoder(const Config& config, std::size_t modality, const Shape& shape,
                       const std::vector<i64>& uses) {
  const ModalityConfig m = config.modalities[modality];
  const i64 batch = m.stage1.batch;
  std::vector<i64> batch_shape{batch};
  for (int i = 0; i < shape.rank(); ++i) batch_shape.push_back(shape[i]);
  const ItemBatch items{random_values(Shape(batch_shape), 1, false), {}};
  const auto loss = [m, items](const Autoencoder& net, const StepState* state) {
    const nn::Context context{.training = true, .key = {.state = state, .site = kFirstLayerSite}};
    return reconstruction_loss(m, net.decode(net.encode(items.x, context), context), items);
  };
  const auto training = std::make_shared<Training<Autoencoder>>(
      make_autoencoder(m.autoencoder, shape, m.latent), m.stage1, loss);
  const double flops = matrix_flops(nn::walk(training->model), [&](const std::string&, std::size_t number) {
    return static_cast<double>((number == 0 ? 2 : 3) * batch * uses.at(number));
  });
  return training_case(training, flops);
}

// The steps of one run are the levels of one schedule: the time path is computed for all of them at once, and
// the draw of the start stands for the noise that the last level goes without.
Case sample_levels(const Config& config, i64 batch) {
  struct Sampling {
    explicit Sampling(const Config& c) : model(c.score, latent_layout(c)), store(model, {.training = false}) {
      store.initialize(kSeed);
    }
    ScoreModel model;
    nn::ParameterStore store;
  };
  const auto sampling = std::make_shared<Sampling>(config);
  const i64 dim = latent_layout(config).total, times = latent_layout(config).modalities();
  std::vector<std::int32_t> ids(static_cast<std::size_t>(batch));
  std::iota(ids.begin(), ids.end(), 0);
  const Tensor rows = Tensor::from(ids, {batch}), z = Tensor::zeros({batch, dim}),
               given = Tensor::zeros({dim}, DType::u8);
  const auto run = [=](i64 steps) -> std::optional<double> {
    const ScoreNetwork& network = sampling->model.network;
    const Schedule schedule{.levels = static_cast<int>(steps), .resample = 1};
    const Tensor tau = Tensor::empty({steps + 1, times});
    for (i64 i = 0; i < tau.numel(); ++i)
      tau.data<float>()[i] = static_cast<float>(schedule.time(static_cast<int>(i / times)));
    const Tensor table = network.time_table(tau);
    PhiloxNoise noise(kSeed);
    sample([&](const Tensor& r, const Tensor& level) { return network(r, network.row(table, level)).value; },
           z, given, rows, noise, {.schedule = schedule});
    return {};
  };
  const double flops = matrix_flops(nn::walk(sampling->model), [&](const std::string& name, std::size_t) {
    const bool time = name.starts_with("time") || name.find(".emb.") != std::string::npos;
    return static_cast<double>(time ? 1 : batch);
  });
  return {flops, sampling->store.count(), run};
}

Case peak() {
  const bench::FmaPeak fma(max_threads());
  return {fma.flops(), 0, [fma](i64 steps) -> std::optional<double> {
            for (i64 i = 0; i < steps; ++i) fma();
            return {};
          }};
}

Case make_case(const std::string& name) {
  ConfigSources sources;
  sources.preset = "mnist-svhn";
  const Config config = resolve_config(sources);
  const auto number_after = [&](const std::string& prefix) -> i64 {
    return name.starts_with(prefix) ? std::atoll(name.c_str() + prefix.size()) : 0;
  };
  if (name == "peak") return peak();
  if (name == "train-mnist") return train_autoencoder(config, 0, {28, 28, 1}, {1, 1, 1, 1});
  if (name == "train-svhn")
    return train_autoencoder(config, 1, {32, 32, 3}, {256, 64, 16, 1, 1, 16, 64, 256});
  if (const i64 width = number_after("train-score-"); width > 0) return train_score(config, width);
  if (const i64 batch = number_after("sample-"); batch > 0) return sample_levels(config, batch);
  fail(ErrorKind::usage, "unknown case '", name, "'");
}

void answer(const std::string& name, i64 steps, std::map<std::string, Case>& cases) {
  using Clock = std::chrono::steady_clock;
  MLD_CHECK_AS(ErrorKind::usage, steps >= 1, name, " in ", steps, " steps");
  const auto [it, fresh] = cases.try_emplace(name);
  if (fresh) it->second = make_case(name);
  const Case& c = it->second;
  c.run(fresh ? 3 : 1);  // memory, caches and threads are as in the middle of a run when the clock starts
  const Clock::time_point start = Clock::now();
  const std::optional<double> loss = c.run(steps);
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  MLD_CHECK_AS(ErrorKind::diverged, !loss || std::isfinite(*loss), name, ": loss ", *loss);
  std::printf(
      "{\"case\":\"%s\",\"seconds\":%.9g,\"steps\":%lld,\"flops\":%.17g,\"threads\":%d,\"parameters\":%lld",
      name.c_str(), seconds / static_cast<double>(steps), static_cast<long long>(steps), c.flops,
      max_threads(), static_cast<long long>(c.parameters));
  if (loss) std::printf(",\"loss\":%.9g", *loss);
  std::printf("}\n");
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc > 1) set_threads(std::atoi(argv[1]));
    std::map<std::string, Case> cases;
    for (std::string line; std::getline(std::cin, line);) {
      std::istringstream words(line);
      std::string name;
      i64 steps = 1;
      words >> name >> steps;
      if (!name.empty()) answer(name, words ? steps : 1, cases);
    }
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_steps: %s\n", error.what());
    return 1;
  }
}
