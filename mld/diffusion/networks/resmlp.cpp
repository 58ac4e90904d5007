#include "mld/diffusion/networks/resmlp.h"

#include <string>

#include "engine/ops/ops.h"

namespace mld {
namespace {

ScoreNetworkOptions checked(ScoreNetworkOptions o) {
  MLD_CHECK_AS(ErrorKind::usage, !o.mults.empty(), "score network: mults has no level");
  for (std::int64_t m : o.mults)
    MLD_CHECK_AS(ErrorKind::usage, m >= 1 && o.width * m % o.groups == 0, "score network: width ",
                 o.width * m, " cannot be split into ", o.groups,
                 " groups; choose score.groups as a divisor");
  return o;
}

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

ResMlpNetwork::ResMlpNetwork(ScoreNetworkOptions given)
    : ScoreNetwork(checked(std::move(given))),
      lin_in_(options().dim, options().width),
      mid1_(options().width * options().mults.back(), options().width * options().mults.back(),
            options().time_dim, options().groups),
      mid2_(options().width * options().mults.back(), options().width * options().mults.back(),
            options().time_dim, options().groups),
      final_(2 * options().width, options().width, options().time_dim, options().groups),
      out_norm_(options().groups, options().width, {.act = nn::kSilu}),
      out_(options().width, options().dim) {
  const ScoreNetworkOptions& o = options();
  std::int64_t before = o.width;
  for (const std::int64_t m : o.mults) {
    const std::int64_t after = o.width * m;
    down_.push_back({ResMlp(before, before, o.time_dim, o.groups), nn::Linear(before, after)});
    up_.insert(up_.begin(), {ResMlp(after + before, after, o.time_dim, o.groups), nn::Linear(after, before)});
    before = after;
  }
  out_.init_zero();
}

std::vector<const nn::Linear*> ResMlpNetwork::projections() const {
  std::vector<const nn::Linear*> all;
  for (const Level& level : down_) all.push_back(&level.block.emb);
  all.push_back(&mid1_.emb);
  all.push_back(&mid2_.emb);
  for (const Level& level : up_) all.push_back(&level.block.emb);
  all.push_back(&final_.emb);
  return all;
}

Var ResMlpNetwork::forward(const Var& r, const TimePath& time, const nn::Context&) const {
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

void ResMlpNetwork::visit(nn::Visitor& v) {
  const auto levels = [&](const std::string& name, std::vector<Level>& list) {
    for (std::size_t i = 0; i < list.size(); ++i) {
      const std::string numbered = name + std::to_string(i + 1);
      v(numbered, list[i].block);
      v(numbered + "_lin", list[i].linear);
    }
  };
  v("lin_in", lin_in_);
  visit_time(v);
  levels("down", down_);
  v("mid1", mid1_);
  v("mid2", mid2_);
  levels("up", up_);
  v("final", final_);
  v("out_norm", out_norm_);
  v("out", out_);
}

}  // namespace mld
