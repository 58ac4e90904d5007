#include "mld/evaluate/networks/inception.h"

#include <array>

#include "engine/ops/ops.h"
#include "mld/evaluate/networks/weights.h"

namespace mld {

using inception::Block;
using inception::ConvUnit;
using inception::Pooling;

namespace {

using i64 = std::int64_t;

constexpr ConvShape kSame{.kernel = {3, 3}, .padding = {1, 1}};
constexpr ConvShape kHalve{.kernel = {3, 3}, .stride = {2, 2}};

Var pooled(Pooling pool, const Var& x) {
  switch (pool) {
    case Pooling::none:
      return x;
    case Pooling::average:
      return avg_pool2d(x, kSame, /*count_padding=*/false);
    case Pooling::max:
      return max_pool2d(x, kSame);
    case Pooling::halve:
      return max_pool2d(x, kHalve);
  }
  return x;
}

constexpr nn::Size2 kRow{1, 7}, kRowPadding{0, 3}, kColumn{7, 1}, kColumnPadding{3, 0};

// torchvision's InceptionA to InceptionE, with its names.
Block block_a(std::string name, i64 in, i64 pool_features) {
  return {std::move(name),
          {{.chain = {{"branch1x1", in, 64, 1}}},
           {.chain = {{"branch5x5_1", in, 48, 1}, {"branch5x5_2", 48, 64, 5, 1, 2}}},
           {.chain = {{"branch3x3dbl_1", in, 64, 1},
                      {"branch3x3dbl_2", 64, 96, 3, 1, 1},
                      {"branch3x3dbl_3", 96, 96, 3, 1, 1}}},
           {.pool = Pooling::average, .chain = {{"branch_pool", in, pool_features, 1}}}}};
}

Block block_b(std::string name, i64 in) {
  return {std::move(name),
          {{.chain = {{"branch3x3", in, 384, 3, 2}}},
           {.chain = {{"branch3x3dbl_1", in, 64, 1},
                      {"branch3x3dbl_2", 64, 96, 3, 1, 1},
                      {"branch3x3dbl_3", 96, 96, 3, 2}}},
           {.pool = Pooling::halve, .chain = {}}}};
}

Block block_c(std::string name, i64 in, i64 c) {
  return {std::move(name),
          {{.chain = {{"branch1x1", in, 192, 1}}},
           {.chain = {{"branch7x7_1", in, c, 1},
                      {"branch7x7_2", c, c, kRow, 1, kRowPadding},
                      {"branch7x7_3", c, 192, kColumn, 1, kColumnPadding}}},
           {.chain = {{"branch7x7dbl_1", in, c, 1},
                      {"branch7x7dbl_2", c, c, kColumn, 1, kColumnPadding},
                      {"branch7x7dbl_3", c, c, kRow, 1, kRowPadding},
                      {"branch7x7dbl_4", c, c, kColumn, 1, kColumnPadding},
                      {"branch7x7dbl_5", c, 192, kRow, 1, kRowPadding}}},
           {.pool = Pooling::average, .chain = {{"branch_pool", in, 192, 1}}}}};
}

Block block_d(std::string name, i64 in) {
  return {std::move(name),
          {{.chain = {{"branch3x3_1", in, 192, 1}, {"branch3x3_2", 192, 320, 3, 2}}},
           {.chain = {{"branch7x7x3_1", in, 192, 1},
                      {"branch7x7x3_2", 192, 192, kRow, 1, kRowPadding},
                      {"branch7x7x3_3", 192, 192, kColumn, 1, kColumnPadding},
                      {"branch7x7x3_4", 192, 192, 3, 2}}},
           {.pool = Pooling::halve, .chain = {}}}};
}

Block block_e(std::string name, i64 in, Pooling pool) {
  const nn::Size2 row{1, 3}, row_padding{0, 1}, column{3, 1}, column_padding{1, 0};
  return {std::move(name),
          {{.chain = {{"branch1x1", in, 320, 1}}},
           {.chain = {{"branch3x3_1", in, 384, 1}},
            .fork = {{"branch3x3_2a", 384, 384, row, 1, row_padding},
                     {"branch3x3_2b", 384, 384, column, 1, column_padding}}},
           {.chain = {{"branch3x3dbl_1", in, 448, 1}, {"branch3x3dbl_2", 448, 384, 3, 1, 1}},
            .fork = {{"branch3x3dbl_3a", 384, 384, row, 1, row_padding},
                     {"branch3x3dbl_3b", 384, 384, column, 1, column_padding}}},
           {.pool = pool, .chain = {{"branch_pool", in, 192, 1}}}}};
}

}  // namespace

Var Block::operator()(const Var& x) const {
  std::vector<Var> parts;
  for (const auto& [pool, chain, fork] : branches) {
    Var y = pooled(pool, x);
    for (const ConvUnit& unit : chain) y = unit(y);
    for (const ConvUnit& unit : fork) parts.push_back(unit(y));
    if (fork.empty()) parts.push_back(y);
  }
  return concat(parts, 3);
}

void Block::visit(nn::Visitor& v) {
  for (auto& [pool, chain, fork] : branches) {
    for (ConvUnit& unit : chain) v(unit.name, unit);
    for (ConvUnit& unit : fork) v(unit.name, unit);
  }
}

Tensor inception_input(const Tensor& images) {
  const Shape& s = images.shape();
  MLD_CHECK(s.rank() == 4 && (s[3] == 1 || s[3] == 3), "Inception: images ", s,
            ", expected [N,H,W,3] or [N,H,W,1]");
  const Var x = resize_bilinear(clamp(images, 0, 1), kInceptionSide, kInceptionSide);
  const Var signed_x = affine(x, 2, -1);
  if (s[3] == 3) return signed_x.value;
  return concat(std::array{signed_x, signed_x, signed_x}, 3).value;
}

Inception::Inception()
    : stem_{{"Conv2d_1a_3x3", 3, 32, 3, 2},
            {"Conv2d_2a_3x3", 32, 32, 3},
            {"Conv2d_2b_3x3", 32, 64, 3, 1, 1},
            {"Conv2d_3b_1x1", 64, 80, 1},
            {"Conv2d_4a_3x3", 80, 192, 3}},
      blocks_{block_a("Mixed_5b", 192, 32),
              block_a("Mixed_5c", 256, 64),
              block_a("Mixed_5d", 288, 64),
              block_b("Mixed_6a", 288),
              block_c("Mixed_6b", 768, 128),
              block_c("Mixed_6c", 768, 160),
              block_c("Mixed_6d", 768, 160),
              block_c("Mixed_6e", 768, 192),
              block_d("Mixed_7a", 768),
              block_e("Mixed_7b", 1280, Pooling::average),
              block_e("Mixed_7c", 2048, Pooling::max)} {}

Tensor Inception::operator()(const Tensor& input, const LayerObserver& observe) const {
  MLD_CHECK(input.shape().rank() == 4 && input.shape()[1] == kInceptionSide &&
                input.shape()[2] == kInceptionSide && input.shape()[3] == 3,
            "Inception: input ", input.shape(), ", expected [N,299,299,3]; inception_input makes it");
  Var x = input;
  const auto seen = [&](const std::string& layer) {
    if (observe) observe(layer, x.value);
  };
  for (std::size_t i = 0; i < stem_.size(); ++i) {
    x = stem_[i](x);
    seen(stem_[i].name);
    if (i == 2 || i == 4) x = pooled(Pooling::halve, x);
  }
  for (const Block& block : blocks_) {
    x = block(x);
    seen(block.name);
  }
  const Shape map = x.shape();
  x = reshape(avg_pool2d(x, {.kernel = {map[1], map[2]}}), {map[0], map[3]});
  seen("pool3");
  return x.value;
}

void Inception::visit(nn::Visitor& v) {
  for (ConvUnit& unit : stem_) v(unit.name, unit);
  for (Block& block : blocks_) v(block.name, block);
}

InceptionFeatures::InceptionFeatures(const std::filesystem::path& weights, Device device)
    : device_(device),
      store_(network_, {.device = device, .training = false}),
      weights_hash_(load_weights(weights, "inception", store_)) {}

Tensor InceptionFeatures::operator()(const Tensor& images) const {
  return network_(inception_input(images.to(device_))).to(kCpu);
}

}  // namespace mld
