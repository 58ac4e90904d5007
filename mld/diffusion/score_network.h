// The score network (docs/method.md section 17): an MLP shaped like a U-Net with a multi-time vector. It maps
// the concatenated latent r [B,D] and tau [B,M] (one time per modality, 0 = given) to n [B,D].
//
// The time path is separate, because in sampling all rows share tau: its projections are computed once for
// all levels of a schedule, and a row of them serves the whole batch.
#pragma once

#include <cstdint>
#include <vector>

#include "nn/layers.h"

namespace mld {

struct ScoreNetworkOptions {
  std::int64_t dim = 0;         // D
  std::int64_t times = 1;       // M_t
  std::int64_t width = 512;     // W
  std::int64_t time_dim = 256;  // T
  std::int64_t groups = 8;      // G
  std::vector<std::int64_t> mults{1, 1};
  // 0: the raw times go into the time MLP (the paper). K > 0: each time also as 1[tau = 0] and sin, cos(pi
  // 2^k tau), k < K, which a given modality and small times are told apart by from the first step.
  std::int64_t fourier = 0;
};

// Pre-activation residual block; time enters additively after the first linear layer.
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

class ScoreNetwork {
 public:
  explicit ScoreNetwork(ScoreNetworkOptions options);

  // Projections of the time embedding, one tensor [L, block width] per residual block, from tau [L,M_t].
  using TimePath = std::vector<Var>;
  TimePath time_path(const Tensor& tau) const;
  // For sampling, where a batch shares its time: the paths of all times of a schedule side by side
  // [L, sum of block widths], and the path of one of them, index i32 [1].
  Tensor time_table(const Tensor& tau) const;
  TimePath row(const Tensor& table, const Tensor& index) const;

  Var operator()(const Var& r, const TimePath& time) const;
  Var operator()(const Var& r, const Tensor& tau) const { return (*this)(r, time_path(tau)); }

  const ScoreNetworkOptions& options() const { return options_; }
  void visit(nn::Visitor& v);

 private:
  struct Level {
    ResMlp block;
    nn::Linear linear;
  };
  template <class F>
  void each_block(F&& f) const;  // in the order of the parameter names
  Tensor time_features(const Tensor& tau) const;

  ScoreNetworkOptions options_;
  nn::Linear lin_in_, time1_, time2_;
  std::vector<Level> down_, up_;
  ResMlp mid1_, mid2_, final_;
  nn::GroupNorm out_norm_;
  nn::Linear out_;
};

}  // namespace mld
