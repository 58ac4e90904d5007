// The whole room against PyTorch: file layouts, forward, backward, batch statistics, clipping, Adam with
// weight decay and warm-up, EMA. golden/make_golden.py made the file, in double precision.
#include <doctest/doctest.h>

#include <array>

#include "engine/ops/reduction.h"
#include "nn/checkpoint.h"
#include "nn/sequential.h"
#include "nn/train_step.h"
#include "tests/nn/helpers.h"

namespace mld::nn {
namespace {

const char* const kFile = MLD_GOLDEN_DIR "/golden.safetensors";
constexpr double kTolerance = 1e-12;  // relative to max(1, value); sums of at most 50 terms, then three steps

Tensor read(const SafetensorsFile& file, const std::string& name) {
  const Tensor t = Tensor::empty(file.find(name)->shape, DType::f64);
  file.read(name, std::as_writable_bytes(t.span<double>()));
  return t;
}

Sequential image_net() {
  return Sequential({6, 5, 2}, Conv2d(2, 4, {3, 2}, {2, 1}, {1, 0}, {.act = {}, .bias = false}),
                    BatchNorm(4, {.act = kSilu}), Flatten{}, Linear(48, 4, {.act = leaky_relu(0.25)}),
                    Linear(4, 24), BatchNorm(24, {.act = kRelu}), Reshape{{3, 2, 4}}, GroupNorm(2, 4),
                    ConvTranspose2d(4, 2, 3, 2, 1, {.act = kSigmoid, .output_padding = {1, 0}}));
}

TEST_CASE("PyTorch's weights give PyTorch's outputs") {
  const SafetensorsFile file(kFile);
  Sequential image = image_net();
  Sequential sequence({1, 8, 3}, conv1d(3, 4, 4, 2, 1), conv_transpose1d(4, 2, 4, 2, 1), Flatten{},
                      Linear(16, 5));
  ParameterStore image_store(image, {.dtype = DType::f64, .training = false});
  ParameterStore sequence_store(sequence, {.dtype = DType::f64, .training = false});
  load_weights(kFile, std::array<StoredModel, 2>{{{"image.", &image_store}, {"sequence.", &sequence_store}}});
  test::check_near(test::host(image(read(file, "image/input")).value), test::host(read(file, "image/output")),
                   kTolerance);
  const Tensor x = read(file, "sequence/input");
  test::check_near(test::host(sequence(x.reshape({x.shape()[0], 1, 8, 3})).value),
                   test::host(read(file, "sequence/output")), kTolerance);
}

TEST_CASE("three training steps arrive where PyTorch's do") {
  const SafetensorsFile file(kFile);
  Sequential net = image_net(), expected = image_net();
  ParameterStore store(net, {.dtype = DType::f64, .ema = true}),
      expected_store(expected, {.dtype = DType::f64});
  load_weights(kFile, std::array<StoredModel, 2>{{{"image.", &store}, {"trained.", &expected_store}}});
  const Tensor x = read(file, "image/input"), target = read(file, "image/target");
  TrainStep step(
      store, 1, {.lr = 0.01, .warmup = 2}, {.weight_decay = 0.01, .clip_norm = 0.5, .ema_decay = 0.9},
      [&](const StepState*) { return squared_error(net(x, {.training = true}), target, 1.0 / 3); });
  for (int i = 0; i < 3; ++i) step();
  const StepState state = step.state();
  test::check_near({state.loss[0], state.loss[1], state.loss[2]}, test::host(read(file, "image/losses")),
                   kTolerance);
  test::check_near(test::host(store.value()), test::host(expected_store.value()), kTolerance);
  test::check_near(test::host(store.buffer()), test::host(expected_store.buffer()), kTolerance);

  std::vector<double> ema(48);
  const auto& entry = store.parameters().front();
  to_file(store.ema().view(entry.first, entry.data->shape), entry.data->layout,
          std::as_writable_bytes(std::span(ema)));
  test::check_near(ema, test::host(read(file, "image/ema")), kTolerance);
}

}  // namespace
}  // namespace mld::nn
