#include "mld/diffusion/networks/adaln.h"

#include "engine/ops/ops.h"

namespace mld {
namespace {

nn::Linear projection(const ScoreNetworkOptions& o) {
  nn::Linear linear(o.time_dim, o.width, {.bias = false});
  linear.init_zero();
  return linear;
}

Var modulated(const nn::LayerNorm& norm, const Var& h, const Var& scale, const Var& shift) {
  return modulated_layer_norm(h, norm.weight.var(), norm.bias.var(), scale, shift, norm.eps);
}

}  // namespace

AdaLnBlock::AdaLnBlock(std::int64_t width, double p)
    : norm(width),
      lin1(width, width, {.act = nn::kSilu}),
      lin2(width, width),
      dropout(p),
      gate({width}, nn::zeros()) {}

Var AdaLnBlock::operator()(const Var& h, const Var& scale, const Var& shift, const Var& g,
                           const nn::Context& context) const {
  const Var hidden = dropout(lin1(modulated(norm, h, scale, shift)), context);
  return gated_add(h, lin2(hidden), gate.var(), g);
}

void AdaLnBlock::visit(nn::Visitor& v) {
  v("norm", norm);
  v("lin1", lin1);
  v("lin2", lin2);
  v("dropout", dropout);
  v("gate", gate);
}

AdaLnNetwork::AdaLnNetwork(ScoreNetworkOptions given)
    : ScoreNetwork(std::move(given)),
      lin_in_(options().dim, options().width),
      in_(projection(options())),
      scale_(projection(options())),
      shift_(projection(options())),
      gate_(projection(options())),
      out_scale_(projection(options())),
      out_shift_(projection(options())),
      out_norm_(options().width),
      out_(options().width, options().dim) {
  MLD_CHECK_AS(ErrorKind::usage, options().blocks >= 1, "score network: blocks must be positive");
  for (std::int64_t i = 0; i < options().blocks; ++i)
    blocks_.emplace_back(options().width, options().dropout);
  out_.init_zero();
}

std::vector<const nn::Linear*> AdaLnNetwork::projections() const {
  return {&in_, &scale_, &shift_, &gate_, &out_scale_, &out_shift_};
}

Var AdaLnNetwork::forward(const Var& r, const TimePath& time, const nn::Context& context) const {
  const Var &in = time[0], &scale = time[1], &shift = time[2], &gate = time[3];
  // One time for all rows is a second bias, as in ResMlp.
  Var h = in.shape()[0] == 1
              ? linear(r, lin_in_.weight.var(), add(lin_in_.bias.var(), reshape(in, lin_in_.bias.shape())))
              : lin_in_.add_to(in, r);
  for (const AdaLnBlock& block : blocks_) h = block(h, scale, shift, gate, context);
  return out_(modulated(out_norm_, h, time[4], time[5]));
}

void AdaLnNetwork::visit(nn::Visitor& v) {
  v("lin_in", lin_in_);
  visit_time(v);
  v("in", in_);
  v("scale", scale_);
  v("shift", shift_);
  v("gate", gate_);
  v("out_scale", out_scale_);
  v("out_shift", out_shift_);
  v("blocks", blocks_);
  v("out_norm", out_norm_);
  v("out", out_);
}

}  // namespace mld
