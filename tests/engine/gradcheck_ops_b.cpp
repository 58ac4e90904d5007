// Gradient checks of the layers: products, convolutions, pooling, resampling, normalisations, dropout.

#include "engine/ops/conv.h"
#include "engine/ops/linear.h"
#include "engine/ops/norm.h"
#include "engine/ops/random.h"
#include "tests/engine/gradcheck.h"

namespace mld {
namespace {

using test::Args;
using test::CaseList;
using test::distinct;
using test::random;

struct NamedActivation {
  const char* name;
  Activation act;
};

constexpr NamedActivation kActivations[] = {{"no activation", {}},
#define X(name, Functor) {#name, {Act::name, 0.2f}},
                                            MLD_ACTIVATIONS(X, X)
#undef X
};

std::string label(const char* what, const char* activation) { return cat(what, ", ", activation); }

const test::GradCases products([](CaseList& list) {
  for (int flags = 0; flags < 4; ++flags) {
    const bool ta = (flags & 1) != 0, tb = (flags & 2) != 0;
    const auto flat = [](bool t, std::int64_t r, std::int64_t c) { return t ? Shape{c, r} : Shape{r, c}; };
    const auto stack = [](bool t, std::int64_t r, std::int64_t c) {
      return t ? Shape{2, c, r} : Shape{2, r, c};
    };
    const std::string name = cat(ta ? "a transposed" : "a", ", ", tb ? "b transposed" : "b");
    list.push_back({.op = Op::matmul,
                    .name = name,
                    .inputs = {random(flat(ta, 3, 4), 1), random(flat(tb, 4, 5), 2)},
                    .program = [=](const Args& in) { return matmul(in[0], in[1], ta, tb); }});
    list.push_back({.op = Op::batched_matmul,
                    .name = name,
                    .inputs = {random(stack(ta, 3, 4), 3), random(stack(tb, 4, 2), 4)},
                    .program = [=](const Args& in) { return batched_matmul(in[0], in[1], ta, tb); }});
  }
  for (const NamedActivation& a : kActivations)
    list.push_back({.op = Op::linear,
                    .name = label("bias", a.name),
                    .inputs = {random({3, 5}, 5), random({4, 5}, 6), random({4}, 7)},
                    .program = [act = a.act](const Args& in) { return linear(in[0], in[1], in[2], act); }});
  list.push_back({.op = Op::linear,
                  .name = "no bias, silu",
                  .inputs = {random({3, 5}, 8), random({4, 5}, 9)},
                  .program = [](const Args& in) { return linear(in[0], in[1], {}, {Act::silu}); }});
  list.push_back({.op = Op::linear_add,
                  .name = "bias",
                  .inputs = {random({3, 5}, 20), random({4, 5}, 21), random({4}, 22), random({3, 4}, 23)},
                  .program = [](const Args& in) { return linear_add(in[0], in[1], in[2], in[3]); }});
  list.push_back({.op = Op::linear_add,
                  .name = "no bias, onto the input",
                  .inputs = {random({2, 3, 4}, 24), random({4, 4}, 25)},
                  .program = [](const Args& in) { return linear_add(in[0], in[1], {}, in[0]); }});
  list.push_back({.op = Op::linear,
                  .name = "three axes",
                  .inputs = {random({2, 3, 5}, 10), random({4, 5}, 11), random({4}, 12)},
                  .program = [](const Args& in) { return linear(in[0], in[1], in[2]); }});
  list.push_back({.op = Op::linear,
                  .name = "one vector",
                  .inputs = {random({5}, 13), random({2, 5}, 14), random({2}, 15)},
                  .program = [](const Args& in) { return linear(in[0], in[1], in[2], {Act::relu}); }});
});

struct Geometry {
  const char* name;
  Shape x;           // [N,H,W,I]
  std::int64_t out;  // channels
  ConvShape shape;
};

const Geometry kConvolutions[] = {
    {"3x3", {2, 4, 5, 2}, 3, {.kernel = {3, 3}, .padding = {1, 1}}},
    {"3x3 stride 2", {1, 6, 5, 2}, 2, {.kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1}}},
    {"4x4 stride 2", {1, 6, 6, 1}, 2, {.kernel = {4, 4}, .stride = {2, 2}, .padding = {1, 1}}},
    {"1x1", {2, 3, 2, 3}, 2, {}},
    {"full size", {2, 3, 4, 2}, 3, {.kernel = {3, 4}}},
    {"1x5 row", {2, 3, 5, 1}, 2, {.kernel = {1, 5}}},
    {"4x1 stride 2x1", {1, 6, 2, 2}, 2, {.kernel = {4, 1}, .stride = {2, 1}, .padding = {1, 0}}},
    {"2x3 stride 3x2, unread border",
     {1, 6, 6, 2},
     1,
     {.kernel = {2, 3}, .stride = {3, 2}, .padding = {0, 1}}},
};

const Geometry kTransposed[] = {
    {"4x4 stride 2", {1, 3, 2, 2}, 2, {.kernel = {4, 4}, .stride = {2, 2}, .padding = {1, 1}}},
    {"3x3 stride 2", {2, 2, 3, 2}, 1, {.kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1}}},
    {"3x3 stride 2, output padding",
     {1, 3, 2, 2},
     2,
     {.kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1}, .output_padding = {1, 1}}},
    {"from one pixel", {2, 1, 1, 3}, 2, {.kernel = {3, 3}}},
    {"1x4 row", {2, 3, 1, 2}, 1, {.kernel = {1, 4}}},
    {"4x1 stride 2x1", {1, 3, 2, 2}, 2, {.kernel = {4, 1}, .stride = {2, 1}, .padding = {1, 0}}},
    {"2x2 stride 3, gaps, output padding 1x2",
     {1, 2, 2, 2},
     2,
     {.kernel = {2, 2}, .stride = {3, 3}, .output_padding = {1, 2}}},
};

const test::GradCases convolutions([](CaseList& list) {
  const auto weight = [](const Geometry& g, bool transposed) {
    const std::int64_t in = g.x[3], kh = g.shape.kernel[0], kw = g.shape.kernel[1];
    return transposed ? Shape{in, kh, kw, g.out} : Shape{g.out, kh, kw, in};
  };
  const auto push = [&](Op op, const Geometry& g, const char* activation, Activation act, bool bias) {
    const bool transposed = op == Op::conv_transpose2d;
    std::vector<Tensor> inputs{random(g.x, 21), random(weight(g, transposed), 22)};
    if (bias) inputs.push_back(random({g.out}, 23));
    list.push_back({.op = op,
                    .name = cat(g.name, bias ? ", " : ", no bias, ", activation),
                    .inputs = std::move(inputs),
                    .program = [=, shape = g.shape](const Args& in) {
                      const Var b = bias ? in[2] : Var{};
                      return transposed ? conv_transpose2d(in[0], in[1], b, shape, act)
                                        : conv2d(in[0], in[1], b, shape, act);
                    }});
  };
  for (const Geometry& g : kConvolutions) push(Op::conv2d, g, "silu", {Act::silu}, true);
  for (const Geometry& g : kTransposed) push(Op::conv_transpose2d, g, "silu", {Act::silu}, true);
  for (const auto& [name, act] : kActivations) {
    push(Op::conv2d, kConvolutions[1], name, act, true);
    push(Op::conv_transpose2d, kTransposed[2], name, act, true);
  }
  push(Op::conv2d, kConvolutions[2], "relu", {Act::relu}, false);
  push(Op::conv_transpose2d, kTransposed[0], "sigmoid", {Act::sigmoid}, false);
});

const test::GradCases pools([](CaseList& list) {
  const Geometry windows[] = {
      {"2x2", {2, 4, 5, 2}, 0, {.kernel = {2, 2}, .stride = {2, 2}}},
      {"3x3 stride 2, padding", {1, 5, 6, 2}, 0, {.kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1}}},
      {"3x2 stride 1x3", {2, 4, 7, 1}, 0, {.kernel = {3, 2}, .stride = {1, 3}, .padding = {1, 0}}},
  };
  for (const Geometry& g : windows) {
    list.push_back({.op = Op::max_pool2d,
                    .name = g.name,
                    .inputs = {distinct(g.x, 31)},
                    .program = [shape = g.shape](const Args& in) { return max_pool2d(in[0], shape); }});
    for (const bool count : {false, true})
      list.push_back(
          {.op = Op::avg_pool2d,
           .name = cat(g.name, count ? ", padding counts" : ", padding does not count"),
           .inputs = {random(g.x, 32)},
           .program = [=, shape = g.shape](const Args& in) { return avg_pool2d(in[0], shape, count); }});
  }
  const std::int64_t sizes[][2] = {{4, 6}, {5, 7}, {1, 1}, {3, 2}, {2, 3}, {9, 1}};
  for (const auto& [height, width] : sizes) {
    const std::string name = cat("2x3 to ", height, "x", width), large = cat("5x4 to ", height, "x", width);
    const auto nearest = [h = height, w = width](const Args& in) { return resize_nearest(in[0], h, w); };
    const auto bilinear = [h = height, w = width](const Args& in) { return resize_bilinear(in[0], h, w); };
    list.push_back(
        {.op = Op::resize_nearest, .name = name, .inputs = {random({2, 2, 3, 2}, 33)}, .program = nearest});
    list.push_back(
        {.op = Op::resize_nearest, .name = large, .inputs = {random({1, 5, 4, 2}, 34)}, .program = nearest});
    list.push_back(
        {.op = Op::resize_bilinear, .name = name, .inputs = {random({2, 2, 3, 2}, 35)}, .program = bilinear});
    list.push_back({.op = Op::resize_bilinear,
                    .name = large,
                    .inputs = {random({1, 5, 4, 2}, 36)},
                    .program = bilinear});
  }
});

// Normalisation divides by a standard deviation of about 0.5 and subtracts means: a few more roundings.
constexpr double kNormTolerance = 5e-6;

const test::GradCases norms([](CaseList& list) {
  const auto push = [&](Op op, std::string name, const Shape& x, std::function<Var(const Args&)> program) {
    const std::int64_t c = x[-1];
    list.push_back({.op = op,
                    .name = std::move(name),
                    .inputs = {random(x, 41), random({c}, 42, 0.5, 1.5), random({c}, 43)},
                    .constants = {random({c}, 44), random({c}, 45, 0.5, 1.5)},
                    .program = std::move(program),
                    .f32_tolerance = kNormTolerance});
  };
  for (const auto& [name, activation] : kActivations) {
    const Activation act = activation;
    for (const bool training : {true, false})
      push(Op::batch_norm, label(training ? "training" : "inference", name), {4, 3, 3}, [=](const Args& in) {
        return batch_norm(in[0], in[1], in[2], in.constant(0), in.constant(1), training, 0.1, 1e-5, act);
      });
    push(Op::group_norm, label("vectors", name), {3, 6},
         [=](const Args& in) { return group_norm(in[0], in[1], in[2], 2, 1e-5, act); });
    push(Op::group_norm, label("maps", name), {2, 3, 2, 4},
         [=](const Args& in) { return group_norm(in[0], in[1], in[2], 2, 1e-5, act); });
    push(Op::layer_norm, label("vectors", name), {2, 2, 5},
         [=](const Args& in) { return layer_norm(in[0], in[1], in[2], 1e-5, act); });
  }
  push(Op::batch_norm, "training, no running statistics", {5, 2},
       [](const Args& in) { return batch_norm(in[0], in[1], in[2], {}, {}, true); });
  push(Op::group_norm, "one group, more samples than a block", {19, 4},
       [](const Args& in) { return group_norm(in[0], in[1], in[2], 1, 1e-5, {Act::silu}); });
  push(Op::group_norm, "maps, as many groups as channels", {2, 5, 3},
       [](const Args& in) { return group_norm(in[0], in[1], in[2], 3, 1e-5, {Act::silu}); });
  push(Op::group_norm, "wide groups", {2, 70},
       [](const Args& in) { return group_norm(in[0], in[1], in[2], 2, 1e-3, {Act::silu}); });
});

const test::GradCases modulations([](CaseList& list) {
  const auto push = [&](Op op, std::string name, std::vector<Shape> shapes, auto program) {
    std::vector<Tensor> inputs;
    for (std::size_t i = 0; i < shapes.size(); ++i) inputs.push_back(random(shapes[i], 61 + i));
    list.push_back({.op = op,
                    .name = std::move(name),
                    .inputs = std::move(inputs),
                    .program = std::move(program),
                    .f32_tolerance = kNormTolerance});
  };
  const auto norm = [](const Args& in) { return modulated_layer_norm(in[0], in[1], in[2], in[3], in[4]); };
  const auto gate = [](const Args& in) { return gated_add(in[0], in[1], in[2], in[3]); };
  const Shape x{4, 6}, learned{6}, shared{1, 6};
  push(Op::modulated_layer_norm, "rows of their own", {x, learned, learned, x, x}, norm);
  push(Op::modulated_layer_norm, "one row for all", {x, learned, learned, shared, shared}, norm);
  push(Op::modulated_layer_norm, "one of each", {x, learned, learned, x, shared}, norm);
  push(Op::modulated_layer_norm, "wide", {{3, 70}, {70}, {70}, {3, 70}, {1, 70}}, norm);
  push(Op::modulated_layer_norm, "one sample", {{1, 5}, {5}, {5}, {1, 5}, {1, 5}}, norm);
  // The modulation of one block is that of the next, so that gradients come together.
  push(Op::modulated_layer_norm, "twice", {x, learned, learned, x, x},
       [=](const Args& in) { return modulated_layer_norm(norm(in), in[2], in[1], in[3], in[4]); });
  push(Op::gated_add, "rows of their own", {x, x, learned, x}, gate);
  push(Op::gated_add, "one row for all", {x, x, learned, shared}, gate);
  push(Op::gated_add, "of itself", {x, learned, shared},
       [](const Args& in) { return gated_add(in[0], in[0], in[1], in[2]); });
  push(Op::gated_add, "twice", {x, x, learned, x},
       [=](const Args& in) { return gated_add(gate(in), in[0], in[2], in[3]); });
});

const test::GradCases dropouts([](CaseList& list) {
  const DrawKey key{.seed = 7, .step = 3, .site = 5};
  list.push_back({.op = Op::dropout,
                  .name = "elements",
                  .inputs = {random({3, 2, 5}, 51)},
                  .program = [=](const Args& in) { return dropout(in[0], 0.4, key); }});
  list.push_back({.op = Op::dropout,
                  .name = "channels",
                  .inputs = {random({3, 2, 2, 5}, 52)},
                  .program = [=](const Args& in) { return dropout(in[0], 0.5, key, true); }});
});

}  // namespace
}  // namespace mld
