// VGGish, the sound embedding of the Frechet audio distance: a VGG network on log-mel patches, whose
// last layer's 128 values are taken as they are (no ReLU, no PCA, no quantisation). Parameters carry
// the names of the PyTorch port (torchvggish); the file is made by tools/convert_weights.py. S. Hershey
// et al., "CNN architectures for large-scale audio classification", 2017; K. Kilgour et al., "Frechet
// audio distance", 2019.
#pragma once

#include <cstdint>
#include <vector>

#include "mld/evaluate/networks/layer_observer.h"
#include "nn/layers.h"

namespace mld {

inline constexpr std::int64_t kVggishFrames = 96, kVggishBands = 64, kVggishFeatures = 128;

class Vggish {
 public:
  Vggish();
  // Log-mel patches [N,96,64,1] (audio_embedding.h) -> embeddings [N,128]. A row does not depend on the
  // others. `observe` sees every layer's output on the way.
  Tensor operator()(const Tensor& patches, const LayerObserver& observe = {}) const;
  void visit(nn::Visitor& v);

 private:
  std::vector<nn::Conv2d> convolutions_;
  std::vector<nn::Linear> embeddings_;
};

}  // namespace mld
