#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "engine/io/safetensors.h"
#include "engine/ops/ops.h"
#include "mld/diffusion/networks/adaln.h"
#include "mld/diffusion/networks/resmlp.h"
#include "nn/checkpoint.h"
#include "nn/train_step.h"
#include "tests/mld/golden_tensor.h"
#include "tests/nn/helpers.h"

namespace mld {
namespace {

using mld::test::read_tensor;

std::string golden(const char* name) { return std::string(MLD_MLD_GOLDEN_DIR "/") + name + ".safetensors"; }

// Linear layers and vectors only: file and memory layouts agree.
void load(nn::ParameterStore& store, const SafetensorsFile& file) {
  store.initialize(1);
  for (auto& entry : store.parameters())
    entry.data->value.copy_from(read_tensor(file, "model/" + entry.name));
}

ScoreNetworkOptions small() { return {.dim = 6, .times = 2, .width = 16, .time_dim = 8, .groups = 4}; }

constexpr ScoreNetworkKind kKinds[] = {ScoreNetworkKind::resmlp, ScoreNetworkKind::adaln};

// What starts at zero is drawn, too, so that every part of the network matters.
void initialize_all(nn::ParameterStore& store) {
  store.initialize(3);
  std::uint64_t seed = 10;
  for (auto& entry : store.parameters()) {
    ++seed;
    const auto values = test::host(entry.data->value);
    if (std::ranges::all_of(values, [](double v) { return v == 0; }))
      entry.data->value.copy_from(
          affine(test::random(entry.data->shape, seed, DType::f32, store.options().device), 0.3, 0).value);
  }
}

// The largest difference over the largest value.
double distance(const std::vector<double>& got, const std::vector<double>& want) {
  double scale = 0, worst = 0;
  for (std::size_t k = 0; k < want.size(); ++k) {
    scale = std::max(scale, std::abs(want[k]));
    worst = std::max(worst, std::abs(got[k] - want[k]));
  }
  return scale == 0 ? worst : worst / scale;
}

}  // namespace

TEST_CASE("score network: parameter counts of docs/method.md section 17.3") {
  struct Row {
    std::int64_t dim, width, time, times, groups;
    std::vector<std::int64_t> mults;
    std::int64_t count;
  };
  for (const Row& r :
       {Row{80, 512, 256, 2, 8, {1, 1}, 8177232}, Row{80, 256, 256, 2, 8, {1, 1}, 2352464},
        Row{80, 512, 256, 1, 8, {1, 1}, 8176976}, Row{208, 1024, 512, 3, 32, {1, 1}, 32739024},
        Row{208, 1024, 512, 1, 32, {1, 1}, 32738000}, Row{800, 1536, 512, 5, 32, {1, 1}, 72029984},
        Row{96, 1024, 512, 2, 32, {1, 1}, 32509024}, Row{96, 1536, 512, 2, 32, {1, 1}, 69865056},
        Row{192, 1536, 512, 2, 32, {1, 1}, 70160064}, Row{416, 1536, 512, 3, 32, {1, 1}, 70848928},
        Row{288, 1536, 512, 2, 32, {2, 2}, 197135136}}) {
    ResMlpNetwork net({.dim = r.dim,
                       .times = r.times,
                       .width = r.width,
                       .time_dim = r.time,
                       .groups = r.groups,
                       .mults = r.mults});
    CHECK(nn::count_parameters(net) == r.count);
  }
}

TEST_CASE("score network: tensor names in the order of docs/method.md section 17.2") {
  ResMlpNetwork net(small());
  std::vector<std::string> tops;
  const nn::Visitor walked = nn::walk(net);
  for (const auto& p : walked.parameters()) {
    const std::string top = p.name.substr(0, p.name.find('.'));
    if (tops.empty() || tops.back() != top) tops.push_back(top);
  }
  CHECK(tops == std::vector<std::string>{"lin_in", "time1", "time2", "down1", "down1_lin", "down2",
                                         "down2_lin", "mid1", "mid2", "up1", "up1_lin", "up2", "up2_lin",
                                         "final", "out_norm", "out"});
}

TEST_CASE("score network: output, gradient and ten training losses are PyTorch's") {
  const SafetensorsFile file(golden("score_golden"));
  ResMlpNetwork net(small());
  nn::ParameterStore store(net, {.ema = true});
  load(store, file);
  store.ema().copy_from(store.value());
  const Tensor r = read_tensor(file, "r"), tau = read_tensor(file, "tau"),
               target = read_tensor(file, "target");
  const Tensor weight = read_tensor(file, "weight");
  {
    Tape tape;
    const Var input = tape.watch(r);
    const Var n = net(input, tau);
    test::check_near(test::host(n.value), test::host(read_tensor(file, "output")), 2e-6);
    tape.backward(squared_error(n, target, 1.0 / 5, weight));
    // Of the result in double ours is 1.7e-6 away and theirs 0.5e-6, at gradients of size one.
    test::check_near(test::host(tape.grad(input)), test::host(read_tensor(file, "gradient")), 4e-6);
  }
  nn::TrainStep step(store, 1, {.lr = 1e-3}, {.weight_decay = 1e-2, .ema_decay = 0.9},
                     [&](const StepState*) { return squared_error(net(r, tau), target, 1.0 / 5, weight); });
  const auto losses = test::host(read_tensor(file, "losses"));
  for (int i = 0; i < 10; ++i) step();
  for (int i = 0; i < 10; ++i)  // float32 on both sides, Adam divides small gradients by their own size
    CHECK(step.state().loss[i] == doctest::Approx(losses[static_cast<std::size_t>(i)]).epsilon(2e-5));
  for (auto& entry : store.parameters()) {
    if (entry.name != "up1.lin1.weight") continue;
    const auto ema = test::host(store.ema().view(entry.first, entry.data->shape));
    test::check_near(ema, test::host(read_tensor(file, "ema_lin1")), 1e-4);
  }
}

TEST_CASE("adaln: parameter count, and tensor names in the order of docs/method.md section 17.4") {
  AdaLnNetwork net({.dim = 80, .times = 2, .width = 512, .time_dim = 128, .blocks = 6, .fourier = 8});
  // lin_in, time1, time2, six projections, blocks of two linear layers, a norm and a gate, out_norm, out
  CHECK(nn::count_parameters(net) == (80 * 512 + 512) + (36 * 128 + 128) + (128 * 128 + 128) + 6 * 128 * 512 +
                                         6 * (2 * (512 * 512 + 512) + 3 * 512) + 2 * 512 + (512 * 80 + 80));
  std::vector<std::string> tops;
  const nn::Visitor walked = nn::walk(net);
  for (const auto& p : walked.parameters()) {
    const std::string top = p.name.substr(0, p.name.find('.'));
    if (tops.empty() || tops.back() != top) tops.push_back(top);
  }
  CHECK(tops == std::vector<std::string>{"lin_in", "time1", "time2", "in", "scale", "shift", "gate",
                                         "out_scale", "out_shift", "blocks", "out_norm", "out"});
}

TEST_CASE("adaln: output, gradients and ten training losses are PyTorch's") {
  const SafetensorsFile file(golden("adaln_golden"));
  AdaLnNetwork net({.dim = 6, .times = 2, .width = 16, .time_dim = 8, .blocks = 2, .fourier = 3});
  nn::ParameterStore store(net, {});
  load(store, file);
  const Tensor r = read_tensor(file, "r"), tau = read_tensor(file, "tau"),
               target = read_tensor(file, "target");
  const Tensor weight = read_tensor(file, "weight");
  {
    Tape tape;
    const Var input = tape.watch(r);
    store.begin_step();
    const Var n = net(input, tau);
    test::check_near(test::host(n.value), test::host(read_tensor(file, "output")), 3e-6);
    tape.backward(squared_error(n, target, 1.0 / 5, weight));
    store.finish_backward();
    test::check_near(test::host(tape.grad(input)), test::host(read_tensor(file, "gradient")), 4e-6);
    for (auto& entry : store.parameters()) {
      CAPTURE(entry.name);
      test::check_near(test::host(store.grad().view(entry.first, entry.data->shape)),
                       test::host(read_tensor(file, "gradient/" + entry.name)), 4e-6);
    }
  }
  nn::TrainStep step(store, 1, {.lr = 1e-3}, {},
                     [&](const StepState*) { return squared_error(net(r, tau), target, 1.0 / 5, weight); });
  const auto losses = test::host(read_tensor(file, "losses"));
  for (int i = 0; i < 10; ++i) step();
  for (int i = 0; i < 10; ++i)
    CHECK(step.state().loss[i] == doctest::Approx(losses[static_cast<std::size_t>(i)]).epsilon(2e-5));
}

TEST_CASE("adaln: starts linear in r, whatever the time") {
  AdaLnNetwork net({.dim = 6, .times = 2, .width = 16, .time_dim = 8, .blocks = 2, .fourier = 3});
  nn::ParameterStore store(net, {});
  store.initialize(1);
  for (auto& entry : store.parameters())  // the output starts at zero
    if (entry.name == "out.weight") entry.data->value.copy_from(test::random({6, 16}, 5, DType::f32));
  const auto lin_in = [&](const Tensor& x) {
    return layer_norm(x, Tensor::full({16}, 1), Tensor::zeros({16}));
  };
  Tensor in_weight, in_bias, out_weight;
  for (auto& entry : store.parameters()) {
    if (entry.name == "lin_in.weight") in_weight = entry.data->value;
    if (entry.name == "lin_in.bias") in_bias = entry.data->value;
    if (entry.name == "out.weight") out_weight = entry.data->value;
  }
  const Tensor r = test::random({4, 6}, 1, DType::f32);
  const Tensor tau = Tensor::from(std::vector<float>{0, 1, 0.3f, 0.3f, 0.7f, 0, 1, 1}, {4, 2});
  const Var want = linear(lin_in(linear(r, in_weight, in_bias).value), out_weight, Tensor::zeros({6}));
  test::check_near(test::host(net(r, tau).value), test::host(want.value), 1e-6);
}

TEST_CASE("adaln: dropout changes training alone, by rows of their own, and the mean output but little") {
  AdaLnNetwork net(
      {.dim = 6, .times = 2, .width = 64, .time_dim = 8, .blocks = 2, .dropout = 0.25, .fourier = 3});
  nn::ParameterStore store(net, {});
  initialize_all(store);
  const Tensor r = test::random({4, 6}, 1, DType::f32), tau = Tensor::full({4, 2}, 0.4);
  const auto plain = test::host(net(r, tau).value);
  CHECK(test::host(net(r, tau, {.training = false, .key = {.seed = 1}}).value) == plain);
  std::vector<double> mean(plain.size());
  const int draws = 2000;
  for (std::uint32_t step = 0; step < draws; ++step) {
    const auto out = test::host(net(r, tau, {.training = true, .key = {.seed = 1, .step = step}}).value);
    for (std::size_t k = 0; k < out.size(); ++k) mean[k] += out[k] / draws;
    if (step > 0) continue;
    CHECK(distance(out, plain) > 1e-3);
    const DrawKey later{.seed = 1, .step = step, .first_row = 2};
    const auto rest = test::host(net(r.rows(2, 2), tau.rows(0, 2), {.training = true, .key = later}).value);
    CHECK(rest == std::vector<double>(out.begin() + 12, out.end()));
  }
  CHECK(distance(mean, plain) < 0.1);
}

TEST_CASE("score network: output and gradients of every device are the cpu's, along either time path") {
  // The output, the gradient of the input and those of the parameters; the output for a shared time.
  const auto compute = [&](ScoreNetworkKind kind, Device device) {
    const auto made = make_score_network({.kind = kind,
                                          .dim = 20,
                                          .times = 3,
                                          .width = 64,
                                          .time_dim = 32,
                                          .groups = 8,
                                          .mults = {1, 2},
                                          .blocks = 3,
                                          .fourier = 2});
    ScoreNetwork& net = *made;
    nn::ParameterStore store(net, {.device = device});
    initialize_all(store);
    const Tensor r = test::random({33, 20}, 1, DType::f32, device);
    const Tensor tau = Tensor::from(test::values(99, 2, 0, 1), {33, 3}).to(DType::f32).to(device);
    const Tensor target = test::random({33, 20}, 4, DType::f32, device);
    std::vector<std::vector<double>> all;
    {
      Tape tape;
      const Var input = tape.watch(r);
      store.begin_step();
      const Var n = net(input, tau);
      tape.backward(squared_error(n, target, 1.0 / 33));
      store.finish_backward();
      all.push_back(test::host(n.value));
      all.push_back(test::host(tape.grad(input)));
      for (auto& entry : store.parameters())
        all.push_back(test::host(store.grad().view(entry.first, entry.data->shape)));
    }
    const Tensor table = net.time_table(tau.rows(0, 5));
    const Tensor index = Tensor::from(std::vector<std::int32_t>{3}, {1}, device);
    all.push_back(test::host(net(r, net.row(table, index)).value));
    return all;
  };
  for (const ScoreNetworkKind kind : kKinds) {
    CAPTURE(name_of(kind));
    const auto want = compute(kind, kCpu);
    for (const Device device : test::queued_devices()) {
      CAPTURE(device);
      const auto got = compute(kind, device);
      REQUIRE(got.size() == want.size());
      for (std::size_t i = 0; i < want.size(); ++i) {
        CAPTURE(i);
        if (device == kSim) CHECK(got[i] == want[i]);
        // Sums in another order: the roundings of about thirty layers, forth and back.
        CHECK(distance(got[i], want[i]) <= 1e-5);
      }
    }
  }
}

TEST_CASE("score network: the shared time path gives what the full batch gives") {
  const Tensor r = test::random({7, 6}, 1, DType::f32);
  const Tensor levels = Tensor::from(std::vector<float>{0.2f, 0.0f, 0.9f, 0.9f}, {2, 2});
  for (const ScoreNetworkKind kind : kKinds) {
    CAPTURE(name_of(kind));
    const auto made = make_score_network({.kind = kind,
                                          .dim = 6,
                                          .times = 2,
                                          .width = 16,
                                          .time_dim = 8,
                                          .groups = 4,
                                          .blocks = 3,
                                          .fourier = 3});
    ScoreNetwork& net = *made;
    nn::ParameterStore store(net, {.training = false});
    initialize_all(store);
    const Tensor table = net.time_table(levels);
    std::vector<std::vector<double>> outputs;
    for (int level = 0; level < 2; ++level) {
      std::vector<float> repeated;
      for (int b = 0; b < 7; ++b)
        repeated.insert(repeated.end(), levels.data<float>() + 2 * level,
                        levels.data<float>() + 2 * level + 2);
      outputs.push_back(test::host(net(r, Tensor::from(repeated, {7, 2})).value));
      const Tensor index = Tensor::from(std::vector<std::int32_t>{level}, {1});
      test::check_near(test::host(net(r, net.row(table, index)).value), outputs.back(), 1e-6);
    }
    CHECK(distance(outputs[0], outputs[1]) > 0.01);  // the time matters
  }
}

TEST_CASE("score network: wrong shapes and options are refused with a remedy") {
  CHECK_THROWS_WITH_AS(ResMlpNetwork({.dim = 6, .width = 20, .groups = 8}), doctest::Contains("score.groups"),
                       Error);
  CHECK_THROWS_WITH_AS(AdaLnNetwork({.dim = 6, .blocks = 0}), doctest::Contains("blocks"), Error);
  ResMlpNetwork net(small());
  nn::ParameterStore store(net, {.training = false});
  store.initialize(3);
  CHECK_THROWS_AS(net(Tensor::zeros({2, 5}), Tensor::zeros({2, 2})), Error);
  CHECK_THROWS_AS(net(Tensor::zeros({2, 6}), Tensor::zeros({2, 3})), Error);
}

}  // namespace mld
