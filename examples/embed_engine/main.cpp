// The engine on its own: defines a small network, trains it on two interleaved spirals, prints its accuracy.
#include <cmath>
#include <cstdio>
#include <vector>

#include "engine/ops/ops.h"
#include "nn/sequential.h"
#include "nn/train_step.h"

int main() {
  // Two spirals of 200 points.
  std::vector<float> points;
  std::vector<std::int32_t> labels;
  for (int i = 0; i < 400; ++i) {
    const float r = 0.1f + 0.9f * static_cast<float>(i / 2) / 200, angle = 9 * r + (i % 2 ? 3.14159265f : 0);
    points.insert(points.end(), {r * std::cos(angle), r * std::sin(angle)});
    labels.push_back(i % 2);
  }
  const mld::Tensor x = mld::Tensor::from(points, {400, 2}), y = mld::Tensor::from(labels, {400});

  mld::nn::Sequential net(mld::Shape{2}, mld::nn::Linear(2, 64, {.act = mld::nn::kTanh}),
                          mld::nn::Linear(64, 64, {.act = mld::nn::kTanh}), mld::nn::Linear(64, 2));
  mld::nn::ParameterStore store(net);
  store.initialize(1);
  mld::nn::TrainStep step(store, 1, {.lr = 3e-3}, {},
                          [&](const mld::StepState*) { return mld::cross_entropy(net(x), y); });
  for (int i = 0; i < 1500; ++i) step();

  const mld::Tensor scores = net(x).value;
  int right = 0;
  for (int i = 0; i < 400; ++i) {
    const float* s = scores.data<float>() + 2 * i;
    right += (s[1] > s[0]) == (labels[static_cast<std::size_t>(i)] == 1);
  }
  std::printf("%lld parameters, accuracy %.1f %%\n", static_cast<long long>(store.count()), right / 4.0);
  return right > 380 ? 0 : 1;
}
