// The score network: it maps the concatenated latent r [B,D] and tau [B,M] (one time per modality, 0 = given) to its
// output [B,D]. What is inside is one of several architectures, a file each (docs/method.md section 17).
//
// The time path is separate, because in sampling all rows share tau: its projections are computed once for
// all levels of a schedule, and a row of them serves the whole batch.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "mld/config/choices.h"
#include "nn/layers.h"

namespace mld {

struct ScoreNetworkOptions {
  ScoreNetworkKind kind = ScoreNetworkKind::resmlp;
  std::int64_t dim = 0;                   // D
  std::int64_t times = 1;                 // M_t
  std::int64_t width = 512;               // W
  std::int64_t time_dim = 256;            // T
  std::int64_t groups = 8;                // G, of resmlp
  std::vector<std::int64_t> mults{1, 1};  // of resmlp
  std::int64_t blocks = 6;                // of adaln
  double dropout = 0;                     // of adaln, within each block
  // 0: the raw times go into the time MLP (the paper). K > 0: each time also as 1[tau = 0] and sin, cos(pi
  // 2^k tau), k < K, which a given modality and small times are told apart by from the first step.
  std::int64_t fourier = 0;
};

class ScoreNetwork {
 public:
  ScoreNetwork(const ScoreNetwork&) = delete;
  ScoreNetwork& operator=(const ScoreNetwork&) = delete;
  virtual ~ScoreNetwork() = default;

  // Projections of the time embedding, each [L, width of its own], from tau [L,M_t].
  using TimePath = std::vector<Var>;
  TimePath time_path(const Tensor& tau) const;
  // For sampling, where a batch shares its time: the paths of all times of a schedule side by side
  // [L, sum of their widths], and the path of one of them, index i32 [1].
  Tensor time_table(const Tensor& tau) const;
  TimePath row(const Tensor& table, const Tensor& index) const;

  Var operator()(const Var& r, const TimePath& time, const nn::Context& context = {}) const;
  Var operator()(const Var& r, const Tensor& tau, const nn::Context& context = {}) const {
    return (*this)(r, time_path(tau), context);
  }

  const ScoreNetworkOptions& options() const { return options_; }
  virtual void visit(nn::Visitor& v) = 0;

 protected:
  explicit ScoreNetwork(ScoreNetworkOptions options);

  // The projections, in the order in which forward() reads their outputs.
  virtual std::vector<const nn::Linear*> projections() const = 0;
  virtual Var forward(const Var& r, const TimePath& time, const nn::Context& context) const = 0;
  void visit_time(nn::Visitor& v);

 private:
  Tensor time_features(const Tensor& tau) const;

  ScoreNetworkOptions options_;
  nn::Linear time1_, time2_;
};

// ErrorKind::usage for sizes that do not fit together.
std::unique_ptr<ScoreNetwork> make_score_network(const ScoreNetworkOptions& options);

}  // namespace mld
