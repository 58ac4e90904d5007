// CLIP (Radford et al. 2021, ViT-B/32): one tower maps images, one captions, to vectors of one space, whose
// cosine says how well they fit (clip_score.h). Parameters are named and shaped as in OpenAI's state dict,
// without logit_scale, which the cosine does not need.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "mld/evaluate/networks/bpe.h"
#include "nn/layers.h"

namespace mld {

struct ClipTower {
  std::int64_t width, layers, heads;
};

// The defaults are ViT-B/32.
struct ClipConfig {
  std::int64_t image = 224, patch = 32;  // pixels a side
  std::int64_t context = BpeTokenizer::kContext, vocabulary = 49408;
  std::int64_t embedding = 512;
  ClipTower vision{768, 12, 12}, text{512, 12, 8};
};

// One block of a transformer: h + attention(ln_1 h), then h + mlp(ln_2 h). Sequences [N,L,W]. The mask, u8
// [N heads, L, L], has zeros where row i may not look at column j; undefined: it may everywhere.
struct ClipBlock {
  ClipBlock(std::int64_t width, std::int64_t heads);
  Var operator()(const Var& h, const Tensor& mask) const;
  Var attend(const Var& x, const Tensor& mask) const;  // every head's mixture, in front of attn.out_proj
  void visit(nn::Visitor& v);

  struct Attention {
    nn::Parameter in_proj_weight, in_proj_bias;  // [3W,W], [3W]: queries, keys, values
    nn::Linear out_proj;
    void visit(nn::Visitor& v);
  };
  struct Mlp {
    nn::Linear c_fc, c_proj;
    void visit(nn::Visitor& v);
  };
  std::int64_t heads;
  nn::LayerNorm ln_1, ln_2;
  Attention attn;
  Mlp mlp;
};

struct ClipTransformer {
  explicit ClipTransformer(const ClipTower& tower);
  Var operator()(Var h, const Tensor& mask) const;
  void visit(nn::Visitor& v);

  std::vector<ClipBlock> resblocks;
};

struct ClipVision {
  explicit ClipVision(const ClipConfig& config);
  Var embed(const Var& pixels) const;  // normalised [N,S,S,3] -> [N,T,W], behind ln_pre
  Var project(const Var& h) const;     // [N,T,W] -> [N,E], of the class token
  Var operator()(const Var& pixels) const;
  void visit(nn::Visitor& v);

  nn::Conv2d conv1;
  nn::Parameter class_embedding, positional_embedding, proj;  // [W], [T,W], [W,E]
  nn::LayerNorm ln_pre, ln_post;
  ClipTransformer transformer;
};

struct ClipText {
  explicit ClipText(const ClipConfig& config);
  // Tokens i32 [N,L] on the cpu, every row with an end mark: the vocabulary's last number.
  Var embed(const Tensor& tokens) const;                  // -> [N,L,W]
  Tensor mask(std::int64_t texts) const;                  // causal
  Var project(const Var& h, const Tensor& tokens) const;  // [N,L,W] -> [N,E], of the first end mark
  Var operator()(const Tensor& tokens) const;
  void visit(nn::Visitor& v);

  std::int64_t context, heads;
  nn::Embedding token_embedding;
  nn::Parameter positional_embedding, text_projection;  // [L,W], [W,E]
  ClipTransformer transformer;
  nn::LayerNorm ln_final;
};

struct ClipModel {
  explicit ClipModel(const ClipConfig& config = {}) : visual(config), text(config) {}
  void visit(nn::Visitor& v);

  ClipVision visual;
  ClipText text;
};

// Images [N,H,W,3], RGB in [0,1], to the network's input [N,size,size,3]: held inside [0,1] if `clamp`,
// resized bilinearly without antialiasing (docs/method.md section 18.3; PyTorch's interpolate), normalised by
// CLIP's mean and standard deviation.
Var clip_pixels(const Tensor& images, std::int64_t size, bool clamp);
// Rows of length one.
Var unit_rows(const Var& x);

// Both towers with their weights and the tokenizer. A row of a result does not depend on what else is in the
// batch; callers cut long lists into chunks.
class Clip {
 public:
  // `weights`: safetensors made by tools/convert_weights.py; `merges`: see BpeTokenizer. ErrorKind::model if
  // either does not fit.
  Clip(const std::filesystem::path& weights, const std::filesystem::path& merges, Device device = kCpu,
       const ClipConfig& config = {});

  // f32 [N,E] on the cpu, rows of length one. Images f32 [N,H,W,3] on the cpu, see clip_pixels.
  Tensor image_features(const Tensor& images, bool clamp = true) const;
  Tensor text_features(std::span<const std::string> texts) const;

  const std::string& weights_hash() const { return weights_hash_; }  // see load_weights
  const BpeTokenizer& tokenizer() const { return tokenizer_; }

 private:
  ClipConfig config_;
  Device device_;
  BpeTokenizer tokenizer_;
  ClipModel model_;
  nn::ParameterStore store_;
  std::string weights_hash_;
};

}  // namespace mld
