#include "mld/evaluate/networks/weights.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "engine/io/safetensors.h"
#include "mld/evaluate/networks/inception.h"
#include "tests/expect_error.h"
#include "tests/mld/recipe.h"
#include "tests/temp_folder.h"

namespace mld {
namespace {

using inception::ConvUnit;
using test::contains;
using test::error_of;

}  // namespace

TEST_CASE("weights: a file fills a network and gives a hash of what is in it") {
  const test::TempFolder folder;
  ConvUnit expected("unit", 3, 5, 2), unit("unit", 3, 5, 2);
  nn::ParameterStore expected_store(expected, {.training = false}), store(unit, {.training = false});
  test::fill_by_recipe(expected_store);
  test::save_by_recipe(folder / "a.safetensors", store, {{"network", "unit"}});
  test::save_by_recipe(folder / "b.safetensors", store, {});  // notes do not count
  const std::string hash = load_weights(folder / "a.safetensors", "unit", store);
  CHECK(hash.size() == 8);
  CHECK(load_weights(folder / "b.safetensors", "unit", store) == hash);
  for (std::int64_t i = 0; i < store.value().numel(); ++i)
    REQUIRE(store.value().data<float>()[i] == expected_store.value().data<float>()[i]);
  for (std::int64_t i = 0; i < store.buffer().numel(); ++i)
    REQUIRE(store.buffer().data<float>()[i] == expected_store.buffer().data<float>()[i]);

  const SafetensorsFile file(folder / "a.safetensors");
  std::vector<TensorSource> sources;
  for (const TensorInfo& tensor : file.tensors())
    sources.push_back({tensor.name, tensor.dtype, tensor.shape, [&](std::span<std::byte> bytes) {
                         file.read(tensor.name, bytes);
                         if (tensor.name == "bn.bias") bytes[4] ^= std::byte{1};
                       }});
  save_safetensors(folder / "c.safetensors", sources);
  CHECK(load_weights(folder / "c.safetensors", "unit", store) != hash);
}

TEST_CASE("weights: a file that does not serve is refused with the remedy") {
  const test::TempFolder folder;
  ConvUnit small("unit", 3, 5, 2), unit("unit", 3, 6, 2);
  nn::ParameterStore small_store(small, {.training = false}), store(unit, {.training = false});
  test::save_by_recipe(folder / "small.safetensors", small_store, {{"network", "unit"}});
  test::write_bytes(folder / "text.safetensors", "no tensors at all");
  const auto refused = [&](const char* name, const char* network, const char* why) {
    const std::string message =
        error_of(ErrorKind::model, [&] { load_weights(folder / name, network, store); });
    CAPTURE(message);
    CHECK(contains(message, name));
    CHECK(contains(message, why));
    CHECK(contains(message, std::string("tools/convert_weights.py ") + network));
  };
  refused("absent.safetensors", "unit", "no such file");
  refused("text.safetensors", "unit", "text.safetensors");
  refused("small.safetensors", "other", "holds the weights of 'unit'");
  refused("small.safetensors", "unit", "'conv.weight' is f32[5,3,2,2], not f32[6,3,2,2]");
  CHECK(!store.filled());
}

TEST_CASE("weights: looked for in the folder given, else in the one of MLD_WEIGHTS") {
  const test::TempFolder given, named;
  test::write_bytes(given / "one.safetensors", "1");
  test::write_bytes(named / "two.safetensors", "2");
  ::unsetenv("MLD_WEIGHTS");
  CHECK(!find_weights({}, "one"));
  CHECK(find_weights(given.path(), "one") == given / "one.safetensors");
  ::setenv("MLD_WEIGHTS", named.path().c_str(), 1);
  CHECK(find_weights({}, "two") == named / "two.safetensors");
  CHECK(!find_weights({}, "one"));
  CHECK(!find_weights(given.path(), "two"));
  ::unsetenv("MLD_WEIGHTS");
}

}  // namespace mld
