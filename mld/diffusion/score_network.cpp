#include "mld/diffusion/score_network.h"

#include <cmath>
#include <string>

#include "engine/loops/drivers.h"
#include "engine/ops/ops.h"

namespace mld {
namespace {

std::int64_t time_inputs(const ScoreNetworkOptions& o) {
  return o.fourier == 0 ? o.times : o.times * (2 + 2 * o.fourier);
}

ScoreNetworkOptions checked(ScoreNetworkOptions o) {
  MLD_CHECK_AS(ErrorKind::usage,
               o.dim >= 1 && o.times >= 1 && o.width >= 1 && o.time_dim >= 1 && !o.mults.empty(),
               "score network: dim, times, width, time_dim and mults must be positive");
  for (std::int64_t m : o.mults)
    MLD_CHECK_AS(ErrorKind::usage, m >= 1 && o.width * m % o.groups == 0, "score network: width ",
                 o.width * m, " cannot be split into ", o.groups,
                 " groups; choose score.groups as a divisor");
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

ResMlp::ResMlp(std::int64_t in, std::int64_t out, std::int64_t time_dim, std::int64_t groups)
    : emb(time_dim, out),
      norm1(groups, in, {.act = nn::kSilu}),
      lin1(in, out),
      norm2(groups, out, {.act = nn::kSilu}),
      lin2(out, out) {
  if (in != out) skip.emplace(in, out);
}

Var ResMlp::operator()(const Var& h, const Var& time) const {
  // In sampling the rows share one time, which is a second bias. The shape of the time alone decides, so that
  // a batch of one is computed as larger ones are.
  const bool shared = time.shape()[0] == 1;
  const Var v =
      shared ? linear(norm1(h), lin1.weight.var(), add(lin1.bias.var(), reshape(time, lin1.bias.shape())))
             : lin1.add_to(time, norm1(h));
  return lin2.add_to(skip ? (*skip)(h) : h, norm2(v));
}

void ResMlp::visit(nn::Visitor& v) {
  v("emb", emb);
  v("norm1", norm1);
  v("lin1", lin1);
  v("norm2", norm2);
  v("lin2", lin2);
  v("skip", skip);
}

ScoreNetwork::ScoreNetwork(ScoreNetworkOptions options)
    : options_(checked(std::move(options))),
      lin_in_(options_.dim, options_.width),
      time1_(time_inputs(options_), options_.time_dim, {.act = nn::kGelu}),
      time2_(options_.time_dim, options_.time_dim),
      mid1_(options_.width * options_.mults.back(), options_.width * options_.mults.back(), options_.time_dim,
            options_.groups),
      mid2_(options_.width * options_.mults.back(), options_.width * options_.mults.back(), options_.time_dim,
            options_.groups),
      final_(2 * options_.width, options_.width, options_.time_dim, options_.groups),
      out_norm_(options_.groups, options_.width, {.act = nn::kSilu}),
      out_(options_.width, options_.dim) {
  const auto& o = options_;
  std::int64_t before = o.width;
  for (std::int64_t m : o.mults) {
    const std::int64_t after = o.width * m;
    down_.push_back({ResMlp(before, before, o.time_dim, o.groups), nn::Linear(before, after)});
    up_.insert(up_.begin(), {ResMlp(after + before, after, o.time_dim, o.groups), nn::Linear(after, before)});
    before = after;
  }
  out_.init_zero();
}

template <class F>
void ScoreNetwork::each_block(F&& f) const {
  for (const Level& level : down_) f(level.block);
  f(mid1_);
  f(mid2_);
  for (const Level& level : up_) f(level.block);
  f(final_);
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
  each_block([&](const ResMlp& block) { path.push_back(block.emb(e)); });
  return path;
}

Tensor ScoreNetwork::time_table(const Tensor& tau) const { return concat(time_path(tau), 1).value; }

ScoreNetwork::TimePath ScoreNetwork::row(const Tensor& table, const Tensor& index) const {
  const Tensor row = gather_rows(table, index).value;
  TimePath out;
  std::int64_t first = 0;
  each_block([&](const ResMlp& block) {
    const std::int64_t width = block.emb.weight.shape()[0];
    out.emplace_back(row.view(first, {1, width}));
    first += width;
  });
  return out;
}

Var ScoreNetwork::operator()(const Var& r, const TimePath& time) const {
  MLD_CHECK(r.shape().rank() == 2 && r.shape()[1] == options_.dim, "score network: r ", r.shape(),
            ", expected [B,", options_.dim, "]");
  auto u = time.begin();
  const auto with = [](const Var& h, const Var& stored) { return concat(std::vector<Var>{h, stored}, 1); };
  const Var first = lin_in_(r);
  Var h = first;
  std::vector<Var> skips;
  for (const Level& level : down_) {
    h = level.block(h, *u++);
    skips.push_back(h);
    h = level.linear(h);
  }
  h = mid1_(h, *u++);
  h = mid2_(h, *u++);
  for (const Level& level : up_) {
    h = level.block(with(h, skips.back()), *u++);
    skips.pop_back();
    h = level.linear(h);
  }
  h = final_(with(h, first), *u++);
  return out_(out_norm_(h));
}

void ScoreNetwork::visit(nn::Visitor& v) {
  const auto levels = [&](const std::string& name, std::vector<Level>& list) {
    for (std::size_t i = 0; i < list.size(); ++i) {
      const std::string numbered = name + std::to_string(i + 1);
      v(numbered, list[i].block);
      v(numbered + "_lin", list[i].linear);
    }
  };
  v("lin_in", lin_in_);
  v("time1", time1_);
  v("time2", time2_);
  levels("down", down_);
  v("mid1", mid1_);
  v("mid2", mid2_);
  levels("up", up_);
  v("final", final_);
  v("out_norm", out_norm_);
  v("out", out_);
}

}  // namespace mld
