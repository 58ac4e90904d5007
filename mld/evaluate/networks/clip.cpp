#include "mld/evaluate/networks/clip.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "engine/ops/ops.h"
#include "mld/evaluate/networks/weights.h"

namespace mld {
namespace {

constexpr std::array<float, 3> kMean{0.48145466f, 0.4578275f, 0.40821073f};
constexpr std::array<float, 3> kStdDev{0.26862954f, 0.26130258f, 0.27577711f};

nn::Parameter plain(Shape shape) {
  constexpr double kSpread = 0.02;
  return {shape, nn::normal(kSpread)};
}

// The GELU of CLIP's training: x sigmoid(1.702 x).
Var quick_gelu(const Var& x) { return mul(x, sigmoid(affine(x, 1.702, 0))); }

// Row `row[n]` of sample n: [N,L,W] -> [N,W].
Var pick(const Var& h, std::span<const std::int32_t> row) {
  const Shape& s = h.shape();
  std::vector<std::int32_t> flat(row.begin(), row.end());
  for (std::size_t n = 0; n < flat.size(); ++n)
    flat[n] += static_cast<std::int32_t>(static_cast<std::int64_t>(n) * s[1]);
  return gather_rows(reshape(h, {s[0] * s[1], s[2]}), Tensor::from(flat, {s[0]}, h.value.device()));
}

std::vector<std::int32_t> first_ends(const Tensor& tokens, std::int32_t end) {
  std::vector<std::int32_t> at;
  for (std::int64_t n = 0; n < tokens.shape()[0]; ++n) {
    const auto row = tokens.rows(n, 1).span<std::int32_t>();
    const auto it = std::ranges::find(row, end);
    MLD_CHECK(it != row.end(), "clip: text ", n, " has no end mark ", end);
    at.push_back(static_cast<std::int32_t>(it - row.begin()));
  }
  return at;
}

}  // namespace

ClipBlock::ClipBlock(std::int64_t width, std::int64_t heads)
    : heads(heads),
      ln_1(width),
      ln_2(width),
      attn{.in_proj_weight = plain({3 * width, width}),
           .in_proj_bias = nn::Parameter({3 * width}, nn::zeros()),
           .out_proj = nn::Linear(width, width)},
      mlp{.c_fc = nn::Linear(width, 4 * width), .c_proj = nn::Linear(4 * width, width)} {
  MLD_CHECK(heads > 0 && width % heads == 0, "clip: a width of ", width, " does not divide into ", heads,
            " heads");
}

Var ClipBlock::attend(const Var& x, const Tensor& mask) const {
  const std::int64_t n = x.shape()[0], l = x.shape()[1], w = x.shape()[2], each = w / heads;
  const Var all = linear(x, attn.in_proj_weight.var(), attn.in_proj_bias.var());
  const Var split = permute(reshape(all, {n, l, 3, heads, each}), {2, 0, 3, 1, 4});  // [3,N,heads,L,each]
  const auto part = [&](std::int64_t i) { return reshape(slice(split, 0, i, 1), {n * heads, l, each}); };
  const Var scores =
      affine(batched_matmul(part(0), part(1), false, true), 1 / std::sqrt(static_cast<double>(each)), 0);
  const Var mixed = batched_matmul(softmax(scores, mask), part(2));
  return reshape(permute(reshape(mixed, {n, heads, l, each}), {0, 2, 1, 3}), {n, l, w});
}

Var ClipBlock::operator()(const Var& h, const Tensor& mask) const {
  const Var attended = attn.out_proj.add_to(h, attend(ln_1(h), mask));
  return mlp.c_proj.add_to(attended, quick_gelu(mlp.c_fc(ln_2(attended))));
}

void ClipBlock::Attention::visit(nn::Visitor& v) {
  v("in_proj_weight", in_proj_weight);
  v("in_proj_bias", in_proj_bias);
  v("out_proj", out_proj);
}

void ClipBlock::Mlp::visit(nn::Visitor& v) {
  v("c_fc", c_fc);
  v("c_proj", c_proj);
}

void ClipBlock::visit(nn::Visitor& v) {
  v("ln_1", ln_1);
  v("attn", attn);
  v("ln_2", ln_2);
  v("mlp", mlp);
}

ClipTransformer::ClipTransformer(const ClipTower& tower) {
  for (std::int64_t i = 0; i < tower.layers; ++i) resblocks.emplace_back(tower.width, tower.heads);
}

Var ClipTransformer::operator()(Var h, const Tensor& mask) const {
  for (const ClipBlock& block : resblocks) h = block(h, mask);
  return h;
}

void ClipTransformer::visit(nn::Visitor& v) { v("resblocks", resblocks); }

ClipVision::ClipVision(const ClipConfig& config)
    : conv1(3, config.vision.width, config.patch, config.patch, 0, {.bias = false}),
      class_embedding(plain({config.vision.width})),
      positional_embedding(
          plain({(config.image / config.patch) * (config.image / config.patch) + 1, config.vision.width})),
      proj(plain({config.vision.width, config.embedding})),
      ln_pre(config.vision.width),
      ln_post(config.vision.width),
      transformer(config.vision) {}

Var ClipVision::embed(const Var& pixels) const {
  const Var patches = conv1(pixels);
  const std::int64_t n = patches.shape()[0], w = patches.shape()[3];
  const Tensor first = Tensor::zeros({n, 1}, DType::i32, pixels.value.device());
  const Var tokens[] = {gather_rows(reshape(class_embedding.var(), {1, w}), first),
                        reshape(patches, {n, patches.shape().product(1, 3), w})};
  return ln_pre(add(concat(tokens, 1), positional_embedding.var()));
}

Var ClipVision::project(const Var& h) const {
  const std::vector<std::int32_t> first(static_cast<std::size_t>(h.shape()[0]), 0);
  return matmul(ln_post(pick(h, first)), proj.var());
}

Var ClipVision::operator()(const Var& pixels) const { return project(transformer(embed(pixels), {})); }

void ClipVision::visit(nn::Visitor& v) {
  v("class_embedding", class_embedding);
  v("positional_embedding", positional_embedding);
  v("proj", proj);
  v("conv1", conv1);
  v("ln_pre", ln_pre);
  v("transformer", transformer);
  v("ln_post", ln_post);
}

ClipText::ClipText(const ClipConfig& config)
    : context(config.context),
      heads(config.text.heads),
      token_embedding(config.vocabulary, config.text.width),
      positional_embedding(plain({config.context, config.text.width})),
      text_projection(plain({config.text.width, config.embedding})),
      transformer(config.text),
      ln_final(config.text.width) {}

Var ClipText::embed(const Tensor& tokens) const {
  const Tensor& table = token_embedding.weight.value();
  return add(token_embedding(tokens.to(table.device())), positional_embedding.var());
}

Tensor ClipText::mask(std::int64_t texts) const {
  const Tensor mask = Tensor::zeros({texts * heads, context, context}, DType::u8);
  for (std::int64_t row = 0; row < mask.numel() / context; ++row)
    std::fill_n(mask.data<std::uint8_t>() + row * context, row % context + 1, std::uint8_t{1});
  return mask.to(token_embedding.weight.value().device());
}

Var ClipText::project(const Var& h, const Tensor& tokens) const {
  const auto end = static_cast<std::int32_t>(token_embedding.weight.shape()[0] - 1);
  return matmul(ln_final(pick(h, first_ends(tokens, end))), text_projection.var());
}

Var ClipText::operator()(const Tensor& tokens) const {
  return project(transformer(embed(tokens), mask(tokens.shape()[0])), tokens);
}

void ClipText::visit(nn::Visitor& v) {
  v("positional_embedding", positional_embedding);
  v("text_projection", text_projection);
  v("transformer", transformer);
  v("token_embedding", token_embedding);
  v("ln_final", ln_final);
}

void ClipModel::visit(nn::Visitor& v) {
  v("visual", visual);
  text.visit(v);
}

Var clip_pixels(const Tensor& images, std::int64_t size, bool clamp) {
  MLD_CHECK(images.shape().rank() == 4 && images.shape()[3] == 3, "clip: images of shape ", images.shape(),
            ", expected [N,H,W,3]");
  const Device device = images.device();
  const Var resized = resize_bilinear(clamp ? mld::clamp(images, 0, 1) : Var(images), size, size);
  return div(sub(resized, Tensor::from(std::span<const float>(kMean), {3}, device)),
             Tensor::from(std::span<const float>(kStdDev), {3}, device));
}

Var unit_rows(const Var& x) { return div(x, sqrt(sum(square(x), {-1}, true))); }

Clip::Clip(const std::filesystem::path& weights, const std::filesystem::path& merges, Device device,
           const ClipConfig& config)
    : config_(config),
      device_(device),
      tokenizer_(merges),
      model_(config),
      store_(model_, {.device = device, .training = false}),
      weights_hash_(load_weights(weights, "clip", store_)) {
  MLD_CHECK_AS(ErrorKind::model, tokenizer_.vocabulary() == config.vocabulary, merges.string(), ": makes ",
               tokenizer_.vocabulary(), " tokens, the weights ", weights.string(), " know ",
               config.vocabulary, "; needed is CLIP's bpe_simple_vocab_16e6.txt.gz");
}

Tensor Clip::image_features(const Tensor& images, bool clamp) const {
  const Var pixels = clip_pixels(images.to(device_), config_.image, clamp);
  return unit_rows(model_.visual(pixels)).value.to(kCpu);
}

Tensor Clip::text_features(std::span<const std::string> texts) const {
  const Tensor tokens = Tensor::empty({static_cast<std::int64_t>(texts.size()), config_.context}, DType::i32);
  for (std::size_t i = 0; i < texts.size(); ++i)
    std::ranges::copy(tokenizer_.encode(texts[i], config_.context),
                      tokens.data<std::int32_t>() + static_cast<std::int64_t>(i) * config_.context);
  return unit_rows(model_.text(tokens)).value.to(kCpu);
}

}  // namespace mld
