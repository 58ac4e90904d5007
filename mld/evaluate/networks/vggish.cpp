#include "mld/evaluate/networks/vggish.h"

#include <array>
#include <string>

#include "engine/ops/ops.h"

namespace mld {
namespace {

struct Stage {
  std::int64_t in, out;
  int place;    // in the port's list of layers, where ReLU and pooling count too
  bool pooled;  // 2x2 maximum behind it
};
constexpr std::array<Stage, 6> kStages{{{1, 64, 0, true},
                                        {64, 128, 3, true},
                                        {128, 256, 6, false},
                                        {256, 256, 8, true},
                                        {256, 512, 11, false},
                                        {512, 512, 13, true}}};
constexpr std::array<int, 3> kLinearPlaces{0, 2, 4};
constexpr std::int64_t kFlat = kVggishFrames / 16 * (kVggishBands / 16) * 512, kHidden = 4096;

std::string convolution_name(std::size_t i) { return "features." + std::to_string(kStages[i].place); }
std::string linear_name(std::size_t i) { return "embeddings." + std::to_string(kLinearPlaces[i]); }

}  // namespace

Vggish::Vggish() {
  for (const Stage& stage : kStages)
    convolutions_.emplace_back(stage.in, stage.out, 3, 1, 1, nn::ConvOptions{.act = nn::kRelu});
  // The published weights flatten the map channels last, as our memory has it: no FeatureMap.
  embeddings_.emplace_back(kFlat, kHidden, nn::LinearOptions{.act = nn::kRelu});
  embeddings_.emplace_back(kHidden, kHidden, nn::LinearOptions{.act = nn::kRelu});
  embeddings_.emplace_back(kHidden, kVggishFeatures);
}

Tensor Vggish::operator()(const Tensor& patches, const LayerObserver& observe) const {
  const std::int64_t n = patches.shape()[0];
  MLD_CHECK(patches.shape() == Shape({n, kVggishFrames, kVggishBands, 1}), "VGGish: patches ",
            patches.shape(), ", expected [N,96,64,1]");
  Var x = patches;
  for (std::size_t i = 0; i < kStages.size(); ++i) {
    x = convolutions_[i](x);
    if (observe) observe(convolution_name(i), x.value);
    if (kStages[i].pooled) x = max_pool2d(x, {.kernel = {2, 2}, .stride = {2, 2}});
  }
  x = reshape(x, {n, kFlat});
  for (std::size_t i = 0; i < kLinearPlaces.size(); ++i) {
    x = embeddings_[i](x);
    if (observe) observe(linear_name(i), x.value);
  }
  return x.value;
}

void Vggish::visit(nn::Visitor& v) {
  for (std::size_t i = 0; i < kStages.size(); ++i) v(convolution_name(i), convolutions_[i]);
  for (std::size_t i = 0; i < kLinearPlaces.size(); ++i) v(linear_name(i), embeddings_[i]);
}

}  // namespace mld
