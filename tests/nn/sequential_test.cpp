#include "nn/sequential.h"

#include <doctest/doctest.h>

#include "tests/nn/helpers.h"

namespace mld::nn {
namespace {

constexpr ConvOptions kPlain{.act = {}, .bias = false};
constexpr ConvOptions kPlainSilu{.act = kSilu, .bias = false};

std::int64_t count(Sequential net, const Shape& output) {
  CHECK(net.output() == output);
  return count_parameters(net);
}

// The published counts of encoders, decoders and classifiers.
TEST_CASE("parameter counts: fully connected networks") {
  CHECK(count(Sequential({28, 28, 1}, Flatten{}, Linear(784, 400, {.act = kRelu}), Linear(400, 16)), {16}) ==
        320416);
  CHECK(count(Sequential({16}, Linear(16, 400, {.act = kRelu}), Linear(400, 784, {.act = kSigmoid}),
                         Reshape{{28, 28, 1}}),
              {28, 28, 1}) == 321184);
  const NormOptions leaky{.act = leaky_relu(0.01)};
  const auto trunk = [&](std::int64_t in, std::int64_t last) {
    return Sequential({in}, Linear(in, 512), BatchNorm(512, leaky), Linear(512, 512), BatchNorm(512, leaky),
                      Linear(512, last), BatchNorm(last, leaky));
  };
  Sequential encoder = trunk(200, 512), decoder = trunk(16, 512), classifier = trunk(200, 128);
  encoder.append(Linear(512, 16));
  decoder.append(Linear(512, 200, {.act = kSigmoid}));
  classifier.append(Linear(128, 10));
  CHECK(count_parameters(encoder) == 639504);
  CHECK(count_parameters(decoder) == 639688);
  CHECK(count_parameters(classifier) == 434826);
}

TEST_CASE("parameter counts: convolutional networks") {
  const ConvOptions relu{.act = kRelu};
  CHECK(count(Sequential({32, 32, 3}, Conv2d(3, 32, 4, 2, 1, relu), Conv2d(32, 64, 4, 2, 1, relu),
                         Conv2d(64, 128, 4, 2, 1, relu), Conv2d(128, 64, 4)),
              {1, 1, 64}) == 296736);
  CHECK(count(Sequential({1, 1, 64}, ConvTranspose2d(64, 128, 4, 1, 0, relu),
                         ConvTranspose2d(128, 64, 4, 2, 1, relu), ConvTranspose2d(64, 32, 4, 2, 1, relu),
                         ConvTranspose2d(32, 3, 4, 2, 1, {.act = kSigmoid})),
              {32, 32, 3}) == 296675);
  const LinearOptions silu{.act = kSilu};
  CHECK(count(Sequential({28, 28, 1}, Conv2d(1, 32, 4, 2, 1, kPlainSilu), Conv2d(32, 64, 4, 2, 1, kPlainSilu),
                         Flatten{}, Linear(3136, 128, silu), Linear(128, 128, silu), Linear(128, 64)),
              {64}) == 459584);
  CHECK(count(Sequential({64}, Linear(64, 128, silu), Linear(128, 128, silu), Linear(128, 3136, silu),
                         Reshape{{7, 7, 64}}, ConvTranspose2d(64, 32, 4, 2, 1, kPlainSilu),
                         ConvTranspose2d(32, 1, 4, 2, 1, {.act = kSigmoid, .bias = false})),
              {28, 28, 1}) == 462656);
}

Sequential sound_convolutions() {
  const NormOptions relu{.act = kRelu};
  return Sequential({32, 128, 1}, Conv2d(1, 128, {1, 128}, 1, 0, kPlain), BatchNorm(128, relu),
                    Conv2d(128, 128, {4, 1}, {2, 1}, {1, 0}, kPlain), BatchNorm(128, relu),
                    Conv2d(128, 256, {4, 1}, {2, 1}, {1, 0}, kPlain), BatchNorm(256, relu), Flatten{});
}

Sequential sound_decoder() {
  const NormOptions relu{.act = kRelu};
  return Sequential({128}, Linear(128, 2048), BatchNorm(2048, relu), Reshape{{8, 1, 256}},
                    ConvTranspose2d(256, 128, {4, 1}, {2, 1}, {1, 0}, kPlain), BatchNorm(128, relu),
                    ConvTranspose2d(128, 128, {4, 1}, {2, 1}, {1, 0}, kPlain), BatchNorm(128, relu),
                    ConvTranspose2d(128, 1, {1, 128}, 1, 0, {.act = kSigmoid, .bias = false}));
}

TEST_CASE("parameter counts: sound networks") {
  Sequential encoder = sound_convolutions(), decoder = sound_decoder(), classifier = sound_convolutions();
  encoder.append(Linear(2048, 128));
  classifier.append(Linear(2048, 128));
  classifier.append(BatchNorm(128, {.act = leaky_relu(0.01)}));
  classifier.append(Linear(128, 64));
  classifier.append(BatchNorm(64, {.act = leaky_relu(0.01)}));
  classifier.append(Linear(64, 10));
  CHECK(decoder.output() == Shape{32, 128, 1});
  CHECK(count_parameters(encoder) == 476288);
  CHECK(count_parameters(decoder) == 481792);
  CHECK(count_parameters(classifier) == 485578);
}

TEST_CASE("parameter counts: classifiers of images") {
  const auto digits = [](const Shape& input, std::int64_t flat) {
    return Sequential(input, Conv2d(input[2], 10, 5), MaxPool2d(2), Activate{kRelu}, Conv2d(10, 20, 5),
                      Dropout(0.5, true), MaxPool2d(2), Activate{kRelu}, Flatten{},
                      Linear(flat, 50, {.act = kRelu}), Dropout(0.5), Linear(50, 10));
  };
  CHECK(count(digits({28, 28, 1}, 320), {10}) == 21840);
  CHECK(count(digits({32, 32, 3}, 500), {10}) == 31340);
  const ConvOptions relu{.act = kRelu};
  CHECK(count(Sequential({28, 28, 1}, Conv2d(1, 16, 5, 1, 0, relu), Dropout(0.2, true), MaxPool2d(2),
                         Conv2d(16, 32, 5, 1, 0, relu), Dropout(0.2, true), MaxPool2d(2), Flatten{},
                         Linear(512, 128), Dropout(0.2), Linear(128, 64), Dropout(0.2), Linear(64, 10)),
              {10}) == 87818);
}

template <class L>
const L& layer(const Sequential& net, std::size_t i) {
  return std::get<L>(net.layers()[i]);
}

TEST_CASE("linear layers at flattened maps get their file layout") {
  const Sequential encoder = [] {
    Sequential net = sound_convolutions();
    net.append(Activate{kRelu});
    net.append(BatchNorm(2048));
    net.append(Linear(2048, 128));
    net.append(Linear(128, 4));
    return net;
  }();
  const FeatureMap map{8, 1, 256};
  CHECK(layer<Linear>(encoder, 9).from == map);
  CHECK(!layer<Linear>(encoder, 9).to);
  CHECK(layer<BatchNorm>(encoder, 8).weight.data()->layout.factors == Shape{8, 1, 256});
  CHECK(!layer<Linear>(encoder, 10).from);

  const Sequential decoder = sound_decoder();
  CHECK(layer<Linear>(decoder, 0).to == map);
  const auto& norm = layer<BatchNorm>(decoder, 1);
  for (const FileLayout& layout :
       {norm.weight.data()->layout, norm.bias.data()->layout, norm.running_mean.data()->layout,
        norm.running_var.data()->layout, layer<Linear>(decoder, 0).bias.data()->layout})
    CHECK(layout.factors == Shape{8, 1, 256});

  // A map with one channel or one pixel has the same order in both worlds.
  const Sequential plain({28, 28, 1}, Flatten{}, Linear(784, 5), Linear(5, 6), Reshape{{1, 1, 6}});
  CHECK(!layer<Linear>(plain, 1).from);
  CHECK(!layer<Linear>(plain, 2).to);

  // Both ends.
  const Sequential both({2, 2, 3}, Flatten{}, Linear(12, 24), Dropout(0.1), Reshape{{3, 2, 4}});
  CHECK(layer<Linear>(both, 1).weight.data()->layout.factors == Shape{3, 2, 4, 2, 2, 3});
}

TEST_CASE("where the order in files would be undefined, the network is refused") {
  using test::contains, test::error_of;
  CHECK(contains(error_of(ErrorKind::internal,
                          [] {
                            Sequential({2, 2, 4}, Flatten{}, GroupNorm(2, 16));
                          }),
                 "order"));
  CHECK(contains(error_of(ErrorKind::internal,
                          [] {
                            Sequential({5}, Linear(5, 16), LayerNorm(16), Reshape{{2, 2, 4}});
                          }),
                 "order"));
  CHECK(contains(error_of(ErrorKind::internal,
                          [] {
                            Sequential({2, 2, 4}, Flatten{}, Reshape{{1, 4, 4}});
                          }),
                 "order"));
  CHECK_NOTHROW(Sequential({2, 2, 4}, Flatten{}, Reshape{{2, 2, 4}}, GroupNorm(2, 4)));
}

TEST_CASE("layers that do not fit are refused when they are added") {
  CHECK_THROWS_AS(Sequential({28, 28, 1}, Flatten{}, Linear(783, 10)), Error);
  CHECK_THROWS_AS(Sequential({4, 4, 2}, Conv2d(3, 4, 3)), Error);
  CHECK_THROWS_AS(Residual(Sequential({4}, Linear(4, 5)), Sequential({4})), Error);
}

TEST_CASE("names of a sequence and of blocks in it") {
  Sequential net({4}, Linear(4, 4),
                 Residual(Sequential({4}, BatchNorm(4), Dropout(0.5)), Sequential({4}, Linear(4, 4))),
                 Dropout(0.5));
  ParameterStore store(net);
  std::vector<std::string> names;
  for (const auto& entry : store.parameters()) names.push_back(entry.name);
  for (const auto& entry : store.buffers()) names.push_back(entry.name);
  const std::vector<std::string> expected = {"0.weight",
                                             "0.bias",
                                             "1.main.0.weight",
                                             "1.main.0.bias",
                                             "1.shortcut.0.weight",
                                             "1.shortcut.0.bias",
                                             "1.main.0.running_mean",
                                             "1.main.0.running_var"};
  CHECK(names == expected);
  CHECK(store.draw_sites() == 2);
  CHECK(layer<Dropout>(net, 2).site.number == 1);
}

}  // namespace
}  // namespace mld::nn
