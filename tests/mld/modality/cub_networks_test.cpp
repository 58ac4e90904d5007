// The autoencoders of CUB against PyTorch: golden/make_cub.py made the numbers, from weights and inputs that both make by
// a formula.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/io/crc32.h"
#include "engine/io/safetensors.h"
#include "engine/ops/ops.h"
#include "mld/modality/item_feed.h"
#include "mld/modality/networks/networks.h"
#include "nn/checkpoint.h"
#include "tests/nn/helpers.h"

namespace mld {
namespace {

using nlohmann::json;
using test::host;

constexpr std::int64_t kBatch = 2;
constexpr double kTolerance = 1e-4;

// make_cub.py has the same.
double pattern(std::uint32_t seed, std::int64_t place) {
  const auto bits = static_cast<std::uint32_t>(static_cast<std::uint64_t>(place + 1) * 2654435761U + seed);
  return bits * 0x1p-32 - 0.5;
}
std::uint32_t seed_of(const std::string& name) { return crc32(std::as_bytes(std::span(name))); }

std::vector<float> made(const std::string& name, const Shape& shape) {
  std::vector<float> values;
  const double fan = static_cast<double>(shape.numel()) / static_cast<double>(shape[0]);
  const bool of_scale = name.ends_with("weight") || name.ends_with("running_var");
  for (std::int64_t i = 0; i < shape.numel(); ++i) {
    const double p = pattern(seed_of(name), i);
    values.push_back(static_cast<float>(shape.rank() > 1 ? 2 * p / std::sqrt(fan)
                                        : of_scale       ? 1 + 0.4 * p
                                                         : 0.2 * p));
  }
  return values;
}

// "encoder.0.weight" of "model/encoder.0.weight"
std::string without_prefix(const std::string& name) { return name.substr(name.find('/') + 1); }

// The tensors of a store as they lie in a file, in PyTorch's layouts.
void use_pattern(const nn::StoredModel& model, const std::filesystem::path& folder) {
  save_weights(folder / "initial", std::array{model}, {});
  const SafetensorsFile initial(folder / "initial");
  std::vector<TensorSource> tensors;
  for (const TensorInfo& info : initial.tensors()) {
    const auto fill = [&info](std::span<std::byte> bytes) {
      const std::vector<float> values = made(without_prefix(info.name), info.shape);
      std::ranges::copy(std::as_bytes(std::span(values)), bytes.begin());
    };
    tensors.push_back({info.name, DType::f32, info.shape, fill});
  }
  save_safetensors(folder / "made", tensors, initial.metadata());
  load_weights(folder / "made", std::array{model});
}

void check_gradients(nn::ParameterStore& store, const nn::StoredModel& model, const json& expected,
                     const std::filesystem::path& folder) {
  for (auto& entry : store.parameters())
    entry.data->value.copy_from(store.grad().view(entry.first, entry.data->shape));
  save_weights(folder / "gradients", std::array{model}, {});
  const SafetensorsFile file(folder / "gradients");
  std::size_t compared = 0;
  for (const TensorInfo& info : file.tensors()) {
    const std::string name = without_prefix(info.name);
    if (!expected.contains(name)) continue;  // batch statistics
    ++compared;
    CAPTURE(name);
    std::vector<float> gradient(static_cast<std::size_t>(info.shape.numel()));
    file.read(info.name, std::as_writable_bytes(std::span(gradient)));
    double along = 0, squares = 0;
    for (std::size_t i = 0; i < gradient.size(); ++i) {
      along += gradient[i] * pattern(seed_of(name), static_cast<std::int64_t>(i));
      squares += static_cast<double>(gradient[i]) * gradient[i];
    }
    const double norm = expected[name][1].get<double>();
    CHECK(std::abs(along - expected[name][0].get<double>()) < kTolerance * norm);
    CHECK(std::sqrt(squares) == doctest::Approx(norm).epsilon(kTolerance));
  }
  CHECK(compared == expected.size());
}

void check_close(const std::vector<double>& found, const std::vector<double>& expected) {
  REQUIRE(found.size() == expected.size());
  double largest = 0;
  for (const double v : expected) largest = std::max(largest, std::abs(v));
  for (std::size_t i = 0; i < found.size(); ++i)
    CHECK(std::abs(found[i] - expected[i]) < kTolerance * largest);
}

// loss(output) is what is differentiated; in_file_order gives the output as PyTorch has it.
template <class Loss, class Order>
void check_network(Autoencoder net, const Tensor& x, const char* name, Loss loss, Order in_file_order) {
  const json expected = json::parse(std::ifstream(MLD_MLD_GOLDEN_DIR "/cub_golden.json")).at(name);
  const test::TempFolder folder;
  nn::ParameterStore store(net, {});
  const nn::StoredModel model{"", &store};
  store.initialize(0);
  use_pattern(model, folder.path());
  {
    Tape tape;
    store.begin_step();
    const Var z = net.encode(x), out = net.decoder(z);
    check_close(host(z.value), expected.at("z").get<std::vector<double>>());
    const std::vector<double> whole = in_file_order(host(out.value));
    std::vector<double> some;
    for (std::size_t i = 0; i < whole.size(); i += whole.size() / 50) some.push_back(whole[i]);
    check_close(some, expected.at("output").get<std::vector<double>>());
    const Var found = loss(out);
    CHECK(host(found.value)[0] == doctest::Approx(expected.at("loss").get<double>()).epsilon(kTolerance));
    tape.backward(found);
    store.finish_backward();
  }
  check_gradients(store, model, expected.at("gradients"), folder.path());
}

TEST_CASE("CUB's picture autoencoder is the specification's: outputs and gradients of PyTorch") {
  constexpr std::int64_t kSide = 64, kChannels = 3;
  const Tensor x = Tensor::empty({kBatch, kSide, kSide, kChannels});
  // Place of a value of ours among PyTorch's, whose channels come first.
  const auto place = [](std::int64_t i) {
    const std::int64_t channel = i % kChannels, pixel = i / kChannels;
    const std::int64_t image = pixel / (kSide * kSide), within = pixel % (kSide * kSide);
    return (image * kChannels + channel) * kSide * kSide + within;
  };
  for (std::int64_t i = 0; i < x.numel(); ++i)
    x.data<float>()[i] = static_cast<float>(pattern(seed_of("picture"), place(i)) + 0.5);
  check_network(
      make_autoencoder(AutoencoderKind::cub_image, {kSide, kSide, kChannels}, 64), x, "image",
      [&](const Var& out) { return squared_error(out, x, 1.0 / kBatch); },
      [&](const std::vector<double>& ours) {
        std::vector<double> theirs(ours.size());
        for (std::size_t i = 0; i < ours.size(); ++i)
          theirs[static_cast<std::size_t>(place(static_cast<std::int64_t>(i)))] = ours[i];
        return theirs;
      });
}

TEST_CASE("CUB's caption autoencoder is the specification's: outputs and gradients of PyTorch") {
  constexpr std::int64_t kLength = 32, kVocabulary = 1590;
  std::vector<std::int32_t> ids;
  for (std::int64_t i = 0; i < kBatch * kLength; ++i)
    ids.push_back(static_cast<std::int32_t>((pattern(seed_of("tokens"), i) + 0.5) * kVocabulary));
  const Tensor tokens = Tensor::from(ids, {kBatch, kLength});
  check_network(
      make_categorical_autoencoder(AutoencoderKind::cub_caption, kLength, kVocabulary, 32), tokens, "caption",
      [&](const Var& out) { return categorical_nll(out, tokens, 1.0 / kBatch); },
      [](const std::vector<double>& ours) { return ours; });
}

}  // namespace
}  // namespace mld
