// The paper's score network (docs/method.md section 17.1): an MLP shaped like a U-Net, of pre-activation residual
// blocks into which time enters additively.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "mld/diffusion/networks/score_network.h"

namespace mld {

struct ResMlp {
  ResMlp(std::int64_t in, std::int64_t out, std::int64_t time_dim, std::int64_t groups);
  Var operator()(const Var& h, const Var& time) const;  // time: this block's projection [B,out] or [1,out]
  void visit(nn::Visitor& v);

  nn::Linear emb;
  nn::GroupNorm norm1;
  nn::Linear lin1;
  nn::GroupNorm norm2;
  nn::Linear lin2;
  std::optional<nn::Linear> skip;
};

class ResMlpNetwork : public ScoreNetwork {
 public:
  explicit ResMlpNetwork(ScoreNetworkOptions options);
  void visit(nn::Visitor& v) override;

 protected:
  std::vector<const nn::Linear*> projections() const override;
  Var forward(const Var& r, const TimePath& time, const nn::Context& context) const override;

 private:
  struct Level {
    ResMlp block;
    nn::Linear linear;
  };

  nn::Linear lin_in_;
  std::vector<Level> down_, up_;
  ResMlp mid1_, mid2_, final_;
  nn::GroupNorm out_norm_;
  nn::Linear out_;
};

}  // namespace mld
