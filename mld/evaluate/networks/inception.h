// Inception-v3 as the Frechet inception distance uses it: the port of the 2015 TensorFlow graph, which
// differs from the published network in its pooling branches (average pools leave padding out of the mean,
// Mixed_7c pools by the maximum). Parameters carry torchvision's names; the file is made by
// tools/convert_weights.py. C. Szegedy et al., "Rethinking the Inception architecture for computer vision",
// 2016; M. Heusel et al., "GANs trained by a two time-scale update rule converge to a local Nash
// equilibrium", 2017.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "mld/evaluate/networks/layer_observer.h"
#include "nn/layers.h"

namespace mld {

namespace inception {

inline constexpr nn::NormOptions kNorm{.act = nn::kRelu, .eps = 1e-3};

// Convolution without bias, batch normalisation, ReLU.
struct ConvUnit {
  ConvUnit(std::string name, std::int64_t in, std::int64_t out, nn::Size2 kernel, nn::Size2 stride = 1,
           nn::Size2 padding = 0)
      : name(std::move(name)), conv(in, out, kernel, stride, padding, {.bias = false}), bn(out, kNorm) {}
  Var operator()(const Var& x) const { return bn(conv(x), {}); }
  void visit(nn::Visitor& v) {
    v("conv", conv);
    v("bn", bn);
  }

  std::string name;
  nn::Conv2d conv;
  nn::BatchNorm bn;
};

// All 3x3; halve: the maximum, stride 2, no padding.
enum class Pooling : std::uint8_t { none, average, max, halve };

// The pool, then the units one behind another, then those of `fork` side by side.
struct Branch {
  Pooling pool = Pooling::none;
  std::vector<ConvUnit> chain, fork = {};
};

// Branches side by side, channels concatenated.
struct Block {
  Var operator()(const Var& x) const;
  void visit(nn::Visitor& v);

  std::string name;
  std::vector<Branch> branches;
};

}  // namespace inception

inline constexpr std::int64_t kInceptionSide = 299;
inline constexpr std::int64_t kInceptionFeatures = 2048;

// What the network sees of images [N,H,W,3], or [N,H,W,1] repeated to three channels: clamped to [0,1],
// resized bilinearly without antialiasing to [N,299,299,3], 2x - 1.
Tensor inception_input(const Tensor& images);

class Inception {
 public:
  Inception();
  // Features before the classifier ("pool3"), [N,2048], of inputs [N,299,299,3] as inception_input makes
  // them. A row does not depend on the others. `observe` sees every layer's output on the way.
  Tensor operator()(const Tensor& input, const LayerObserver& observe = {}) const;
  void visit(nn::Visitor& v);

 private:
  std::vector<inception::ConvUnit> stem_;
  std::vector<inception::Block> blocks_;
};

// The network with its published weights, from pictures to features.
class InceptionFeatures {
 public:
  // The file as weights.h has it.
  explicit InceptionFeatures(const std::filesystem::path& weights, Device device = kCpu);
  // Images on the cpu, see inception_input -> [N,2048] on the cpu. All at once: callers cut long
  // lists into chunks.
  Tensor operator()(const Tensor& images) const;
  const std::string& weights_hash() const { return weights_hash_; }  // see load_weights

 private:
  Device device_;
  Inception network_;
  nn::ParameterStore store_;
  std::string weights_hash_;
};

}  // namespace mld
