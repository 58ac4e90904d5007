// A score network of residual blocks with adaptive layer norm, as in DiT (Peebles & Xie 2023;
// docs/method.md section 17.4): the time path scales and shifts what a block normalises, and gates what it adds. One projection serves all
// blocks, beside scales, shifts and gates that each learns for itself; gates and output start at zero, so that the
// network is linear in r at first and a block joins in as far as it helps.
#pragma once

#include <cstdint>
#include <vector>

#include "mld/diffusion/networks/score_network.h"

namespace mld {

// h + (gate + g) (W2 dropout(silu(W1 LN(h; scale, shift)))).
struct AdaLnBlock {
  AdaLnBlock(std::int64_t width, double dropout);
  Var operator()(const Var& h, const Var& scale, const Var& shift, const Var& g,
                 const nn::Context& context) const;
  void visit(nn::Visitor& v);

  nn::LayerNorm norm;
  nn::Linear lin1, lin2;
  nn::Dropout dropout;
  nn::Parameter gate;  // [W]
};

class AdaLnNetwork : public ScoreNetwork {
 public:
  explicit AdaLnNetwork(ScoreNetworkOptions options);
  void visit(nn::Visitor& v) override;

 protected:
  std::vector<const nn::Linear*> projections() const override;
  Var forward(const Var& r, const TimePath& time, const nn::Context& context) const override;

 private:
  nn::Linear lin_in_;
  nn::Linear in_, scale_, shift_, gate_, out_scale_, out_shift_;  // of the time embedding
  std::vector<AdaLnBlock> blocks_;
  nn::LayerNorm out_norm_;
  nn::Linear out_;
};

}  // namespace mld
