#include "mld/diffusion/networks/score_network.h"

#include <cmath>

#include "engine/loops/drivers.h"
#include "engine/ops/ops.h"
#include "mld/diffusion/networks/adaln.h"
#include "mld/diffusion/networks/resmlp.h"

namespace mld {
namespace {

std::int64_t time_inputs(const ScoreNetworkOptions& o) {
  return o.fourier == 0 ? o.times : o.times * (2 + 2 * o.fourier);
}

ScoreNetworkOptions checked(ScoreNetworkOptions o) {
  MLD_CHECK_AS(ErrorKind::usage, o.dim >= 1 && o.times >= 1 && o.width >= 1 && o.time_dim >= 1,
               "score network: dim, times, width and time_dim must be positive");
  return o;
}

struct TimeFeatures {  // [tau, 1[tau=0], sin, cos(pi 2^k tau)...] of one time
  const float* tau;
  float* out;
  std::int64_t fourier;
  MLD_HD void operator()(std::int64_t i) const {
    const double t = static_cast<double>(tau[i]);
    float* f = out + i * (2 + 2 * fourier);
    *f++ = tau[i];
    *f++ = tau[i] == 0.0f ? 1.0f : 0.0f;
    double frequency = 3.14159265358979323846;
    for (std::int64_t k = 0; k < fourier; ++k, frequency *= 2) {
      *f++ = static_cast<float>(std::sin(frequency * t));
      *f++ = static_cast<float>(std::cos(frequency * t));
    }
  }
};

}  // namespace

ScoreNetwork::ScoreNetwork(ScoreNetworkOptions options)
    : options_(checked(std::move(options))),
      time1_(time_inputs(options_), options_.time_dim, {.act = nn::kGelu}),
      time2_(options_.time_dim, options_.time_dim) {}

void ScoreNetwork::visit_time(nn::Visitor& v) {
  v("time1", time1_);
  v("time2", time2_);
}

Tensor ScoreNetwork::time_features(const Tensor& tau) const {
  if (options_.fourier == 0) return tau;
  MLD_CHECK(tau.dtype() == DType::f32, "score network: Fourier features are computed in f32");
  const Tensor out = Tensor::empty({tau.shape()[0], time_inputs(options_)}, DType::f32, tau.device());
  for_each(tau.device(), tau.numel(), TimeFeatures{tau.ptr<float>(), out.ptr<float>(), options_.fourier});
  return out;
}

ScoreNetwork::TimePath ScoreNetwork::time_path(const Tensor& tau) const {
  MLD_CHECK(tau.shape().rank() == 2 && tau.shape()[1] == options_.times, "score network: tau ", tau.shape(),
            ", expected [B,", options_.times, "]");
  const Var e = silu(time2_(time1_(time_features(tau))));
  TimePath path;
  for (const nn::Linear* projection : projections()) path.push_back((*projection)(e));
  return path;
}

Tensor ScoreNetwork::time_table(const Tensor& tau) const { return concat(time_path(tau), 1).value; }

ScoreNetwork::TimePath ScoreNetwork::row(const Tensor& table, const Tensor& index) const {
  const Tensor row = gather_rows(table, index).value;
  TimePath out;
  std::int64_t first = 0;
  for (const nn::Linear* projection : projections()) {
    const std::int64_t width = projection->weight.shape()[0];
    out.emplace_back(row.view(first, {1, width}));
    first += width;
  }
  return out;
}

Var ScoreNetwork::operator()(const Var& r, const TimePath& time, const nn::Context& context) const {
  MLD_CHECK(r.shape().rank() == 2 && r.shape()[1] == options_.dim, "score network: r ", r.shape(),
            ", expected [B,", options_.dim, "]");
  return forward(r, time, context);
}

std::unique_ptr<ScoreNetwork> make_score_network(const ScoreNetworkOptions& options) {
  switch (options.kind) {
    case ScoreNetworkKind::resmlp:
      return std::make_unique<ResMlpNetwork>(options);
    case ScoreNetworkKind::adaln:
      return std::make_unique<AdaLnNetwork>(options);
  }
  fail(ErrorKind::internal, "score network: an architecture without a name");
}

}  // namespace mld
