// Whole steps of training and sampling through the code that trains and samples, on the cpu or a GPU: what
// compare_torch.py measures beside PyTorch. The data are random and in memory, so reading files is not part
// of a step.
//
//   bench_steps [THREADS] [--device NAME] [--precision NAME]
//
// Reads lines "CASE [STEPS]" and answers each with one line of JSON: mean seconds of a step, FLOPs of a step
// (products and sums of its matrix products and convolutions), the fewest bytes that a step has to move
// through device memory for its parameters (see kTrainWords; 0: not counted), threads, trained parameters,
// nodes of the recording that a step replays (0: it does not), network calls of a whole schedule, and the
// last loss. "info" is answered with the device. Cases, NET being the width of an MNIST-SVHN score network (after
// adaln: of one with adaptive layer norm),
// mhd or polymnist:
//
//   train-score-NET       train step of a score network
//   products-NET          its matrix products alone
//   train-mnist, -svhn    train steps of the autoencoders of MNIST-SVHN,
//   train-polymnist       of one of PolyMNIST,
//   train-cub-image, -cub-caption  of those of CUB,
//   train-sound           and of MHD's spectrograms
//   train-mopoe, -mvae    train steps of these VAEs on MNIST-SVHN
//   sample-[NET-]BATCH    one level of the sampler, linear schedule; NET is 512 if left out
//   generate-NET-BATCH    one network call within the schedule of 250 levels with 10 jumps of 10, with what
//                         lies between the calls
//   gemm-N, copy-MIB      product of two NxN matrices, copy within device memory: the ceilings
//   peak                  multiply-adds of the cpu (fma_peak.h)
//
// Not Google Benchmark: it cannot take turns with other processes, which a comparison on a
// noisy machine needs.
#include <algorithm>
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

#include "engine/base/error.h"
#include "engine/base/precision.h"
#include "engine/cuda/runtime.h"
#include "engine/ops/ops.h"
#include "engine/runtime/capture.h"
#include "engine/runtime/devices.h"
#include "engine/threads/threads.h"
#include "mld/config/config.h"
#include "mld/diffusion/sampler.h"
#include "mld/diffusion/score_batch.h"
#include "mld/diffusion/score_model.h"
#include "tools/bench/fma_peak.h"
#include "tools/bench/item_cases.h"
#include "tools/bench/score_configs.h"
#include "tools/bench/step_case.h"

namespace {

using namespace mld;
using namespace mld::bench;

constexpr i64 kSamples = 50'000;  // in the latent store

LatentStore random_latents(const LatentLayout& layout, Device device) {
  std::vector<Tensor> latents;
  for (const i64 dim : layout.dims)
    latents.push_back(random_values({kSamples, dim}, static_cast<std::uint32_t>(dim), true));
  const i64 modalities = layout.modalities();
  const Tensor samples = Tensor::empty({kSamples, modalities}, DType::i32);
  for (i64 i = 0; i < samples.numel(); ++i)
    samples.data<std::int32_t>()[i] = static_cast<std::int32_t>(i / modalities);
  LatentStore store(layout, std::move(latents), samples);
  store.move_to(device);
  return store;
}

// Whether a weight reads the batch itself, whose gradient nobody asks for.
bool reads_batch(const std::string& name) { return name == "lin_in.weight" || name == "time1.weight"; }

// Of a train step of a score network: forward, gradient of the weights, gradient of the input.
double train_flops(const nn::Visitor& net, i64 batch) {
  return matrix_flops(net, [&](const std::string& name, std::size_t) {
    return static_cast<double>((reads_batch(name) ? 2 : 3) * batch);
  });
}

Case train_score(const Config& config, Device device) {
  const ScoreConfig& c = config.score;
  const auto latents = std::make_shared<LatentStore>(random_latents(latent_layout(config), device));
  const auto batcher = std::make_shared<ScoreBatcher>(*latents,
                                                      ScoreBatchOptions{.batch = c.batch,
                                                                        .d = c.d,
                                                                        .subsets = c.subsets,
                                                                        .time = {c.time_sampling, c.t_min},
                                                                        .prediction = c.prediction},
                                                      kSeed);
  const auto loss = [latents, batcher](const ScoreModel& model, const StepState* state) {
    const ScoreBatch batch = batcher->perturb(batcher->draw(state));
    return squared_error(model.network()(batch.r, batch.tau), batch.target,
                         1.0 / static_cast<double>(batcher->rows().total), batch.weight);
  };
  const auto training = std::make_shared<Training<ScoreModel>>(ScoreModel(config), c, device, loss);
  return training_case(training, train_flops(nn::walk(training->model), c.batch));
}

// The products of such a step one after the other, on random operands: what the step would take if nothing
// lay between them.
Case products(const Config& config, Device device) {
  struct Products {
    Products(const Config& c, Device device) : model(c), store(model, {.device = device, .training = false}) {
      store.initialize(kSeed);
    }
    ScoreModel model;
    nn::ParameterStore store;
    Tensor x, dy;
    std::optional<CapturedStep> step;
  };
  const auto all = std::make_shared<Products>(config, device);
  const nn::Visitor net = nn::walk(all->model);
  const i64 batch = config.score.batch;
  i64 widest = 1;
  for (const auto& p : net.parameters())
    if (p.data->shape.rank() == 2) widest = std::max({widest, p.data->shape[0], p.data->shape[1]});
  all->x = random_values({batch, widest}, 1, true, device);
  all->dy = random_values({batch, widest}, 2, true, device);
  all->step.emplace(device, [net, batch, all = all.get()] {
    for (const auto& p : net.parameters()) {
      if (p.data->shape.rank() != 2) continue;
      const Var w(p.data->value), x(all->x.view(0, {batch, w.shape()[1]})),
          dy(all->dy.view(0, {batch, w.shape()[0]}));
      matmul(x, w, false, true);
      matmul(dy, x, true, false);
      if (!reads_batch(p.name)) matmul(dy, w);
    }
  });
  return {.flops = train_flops(net, batch),
          .parameters = all->store.count(),
          .run = [all](i64 steps) -> std::optional<double> {
            for (i64 i = 0; i < steps; ++i) (*all->step)();
            return {};
          },
          .nodes = [all] { return all->step->nodes(); }};
}

// The sampler at work, schedule after schedule. The time path is computed for all levels beforehand, as the
// product does.
struct Sampling {
  Sampling(const Config& config, i64 batch, const SamplerOptions& options, Device device)
      : model(config), store(model, {.device = device, .training = false}) {
    store.initialize(kSeed);
    const i64 dim = latent_layout(config).total, times = model.network().options().times;
    std::vector<std::int32_t> ids(static_cast<std::size_t>(batch));
    std::iota(ids.begin(), ids.end(), 0);
    rows = Tensor::from(ids, {batch}, device);
    z = Tensor::zeros({batch, dim}, DType::f32, device);
    given = Tensor::zeros({dim}, DType::u8, device);
    const SamplerPlan plan = make_plan(options);
    const Tensor tau = Tensor::empty({options.steps + 1, times});
    for (i64 i = 0; i < tau.numel(); ++i)
      tau.data<float>()[i] = static_cast<float>(plan.times[static_cast<std::size_t>(i / times)]);
    table = model.network().time_table(tau.to(device));
    sampler.emplace(score, noise, plan, z.shape(), DType::f32, device);
  }

  void run(i64 calls) {
    while (calls > 0) {
      i64 made = 0;
      try {
        (*sampler)(z, given, rows, [&](i64 done, i64) {
          made = done;
          return done < calls;
        });
      } catch (const Cancelled&) {  // the run ends within a schedule
      }
      calls -= made;
    }
  }

  ScoreModel model;
  nn::ParameterStore store;
  Tensor rows, z, given, table;
  PhiloxNoise noise{kSeed};
  ScoreFunction score = [this](const Tensor& r, const Tensor& level) {
    return model.network()(r, model.network().row(table, level)).value;
  };
  std::optional<Sampler> sampler;
};

Case sampling_case(const Config& config, i64 batch, const SamplerOptions& options, Device device) {
  const auto sampling = std::make_shared<Sampling>(config, batch, options, device);
  const double flops = matrix_flops(nn::walk(sampling->model), [&](const std::string& name, std::size_t) {
    const bool time = name.starts_with("time") || name.find(".emb.") != std::string::npos;
    return time ? 0.0 : static_cast<double>(batch);
  });
  return {.flops = flops,
          .bytes = kWordBytes * static_cast<double>(sampling->store.count()),
          .parameters = sampling->store.count(),
          .schedule_calls = make_plan(options).network_calls(),
          .run = [sampling](i64 calls) -> std::optional<double> {
            sampling->run(calls);
            return {};
          },
          .nodes = [sampling] { return sampling->sampler->nodes(); }};
}

Case gemm(i64 n, Device device) {
  const Var a(random_values({n, n}, 1, true, device)), b(random_values({n, n}, 2, true, device));
  return {.flops = 2.0 * static_cast<double>(n * n) * static_cast<double>(n),
          .run = [a, b](i64 steps) -> std::optional<double> {
            for (i64 i = 0; i < steps; ++i) matmul(a, b);
            return {};
          }};
}

Case copy(i64 mebibytes, Device device) {
  const Tensor from = random_values({mebibytes << 18}, 1, false, device), to = from.clone();
  return {.bytes = 2.0 * static_cast<double>(from.bytes()),  // read and written
          .run = [from, to](i64 steps) -> std::optional<double> {
            for (i64 i = 0; i < steps; ++i) to.copy_from(from);
            return {};
          }};
}

Case peak() {
  const bench::FmaPeak fma(max_threads());
  return {.flops = fma.flops(), .run = [fma](i64 steps) -> std::optional<double> {
            for (i64 i = 0; i < steps; ++i) fma();
            return {};
          }};
}

Case make_case(const std::string& name, Device device) {
  const auto split = name.find('-');
  const std::string kind = name.substr(0, split), rest = split < name.size() ? name.substr(split + 1) : "";
  if (name == "peak") return peak();
  if (kind == "train")
    if (const std::optional<Case> of_items = train_on_items(rest, device)) return *of_items;
  if (name.starts_with("train-score-")) return train_score(score_config(rest.substr(6)), device);
  if (kind == "products") return products(score_config(rest), device);
  if (kind == "gemm" && number(rest) > 0) return gemm(number(rest), device);
  if (kind == "copy" && number(rest) > 0) return copy(number(rest), device);
  if (kind == "sample" || kind == "generate") {
    const auto last = rest.rfind('-');
    const std::string net = last == std::string::npos ? "512" : rest.substr(0, last);
    const i64 batch = number(last == std::string::npos ? rest : rest.substr(last + 1));
    SamplerOptions options = kPaperSampler;
    if (kind == "sample") options.resample = 1;
    if (batch > 0) return sampling_case(score_config(net), batch, options, device);
  }
  fail(ErrorKind::usage, "unknown case '", name, "'");
}

void print_info(Device device) {
  std::string name = "cpu";
  if constexpr (kCudaBuilt)
    if (device.kind == DeviceKind::cuda) name = cuda::device_info(device.index).name;
  std::printf("{\"device\":\"%s\",\"precision\":\"%s\",\"threads\":%d}\n", name.c_str(),
              precision_name(precision()), max_threads());
  std::fflush(stdout);
}

void answer(const std::string& name, i64 steps, Device device, std::map<std::string, Case>& cases) {
  using Clock = std::chrono::steady_clock;
  MLD_CHECK_AS(ErrorKind::usage, steps >= 1, name, " in ", steps, " steps");
  const auto [it, fresh] = cases.try_emplace(name);
  if (fresh) it->second = make_case(name, device);
  const Case& c = it->second;
  // Memory, caches and threads are as in the middle of a run when the clock starts; on a GPU the step has
  // been recorded, and the clocks of the card are up.
  if (device.kind == DeviceKind::cpu)
    c.run(fresh ? 3 : 1);
  else
    c.run(fresh ? 10 : std::max<i64>(1, steps / 10));
  synchronize(device);
  const Clock::time_point start = Clock::now();
  const std::optional<double> loss = c.run(steps);
  synchronize(device);
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  MLD_CHECK_AS(ErrorKind::diverged, !loss || std::isfinite(*loss), name, ": loss ", *loss);
  std::printf(
      "{\"case\":\"%s\",\"seconds\":%.9g,\"steps\":%lld,\"flops\":%.17g,\"bytes\":%.17g,\"threads\":%d,"
      "\"parameters\":%lld,\"nodes\":%zu",
      name.c_str(), seconds / static_cast<double>(steps), static_cast<long long>(steps), c.flops, c.bytes,
      max_threads(), static_cast<long long>(c.parameters), c.nodes());
  if (c.schedule_calls > 0) std::printf(",\"schedule_calls\":%lld", static_cast<long long>(c.schedule_calls));
  if (loss) std::printf(",\"loss\":%.9g", *loss);
  std::printf("}\n");
  std::fflush(stdout);
}

// Takes the options; returns the device.
Device parse(int argc, char** argv) {
  std::string device = "cpu";
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const bool known = word == "--device" || word == "--precision";
    MLD_CHECK_AS(ErrorKind::usage, (known && i + 1 < argc) || (i == 1 && number(word) > 0),
                 "usage: bench_steps [THREADS] [--device NAME] [--precision fp32|tf32|bf16]");
    if (word == "--device")
      device = argv[++i];
    else if (word == "--precision")
      set_precision(parse_precision(argv[++i]));
    else
      set_threads(static_cast<int>(number(word)));
  }
  return choose_device(device);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Device device = parse(argc, argv);
    std::map<std::string, Case> cases;
    for (std::string line; std::getline(std::cin, line);) {
      std::istringstream words(line);
      std::string name;
      i64 steps = 1;
      words >> name >> steps;
      if (name == "info")
        print_info(device);
      else if (!name.empty())
        answer(name, words ? steps : 1, device, cases);
    }
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_steps: %s\n", error.what());
    return 1;
  }
}
