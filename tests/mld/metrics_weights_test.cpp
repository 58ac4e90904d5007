#include "mld/metrics/weights.h"

#include <doctest/doctest.h>

#include <array>
#include <cstdlib>

#include "engine/io/safetensors.h"
#include "mld/metrics/inception.h"
#include "nn/checkpoint.h"
#include "recipe.h"
#include "tests/expect_error.h"
#include "tests/temp_folder.h"

namespace mld::metrics {
namespace {

using inception::ConvUnit;
using mld_test::contains;
using mld_test::error_of;

void save(const std::filesystem::path& file, nn::ParameterStore& store, const Metadata& notes) {
  nn::save_weights(file, std::array<nn::StoredModel, 1>{{{"", &store}}},
                   {.config = {}, .training = {}, .extra = notes});
}

}  // namespace

TEST_CASE("weights: a file fills a network and gives a hash of what is in it") {
  const mld_test::TempFolder folder;
  ConvUnit made("unit", 3, 5, 2);
  nn::ParameterStore made_store(made, {.training = false});
  test::fill_by_recipe(made_store);
  save(folder / "a.safetensors", made_store, {{"network", "unit"}});
  save(folder / "b.safetensors", made_store, {{"network", "unit"}, {"source", "elsewhere"}});

  ConvUnit unit("unit", 3, 5, 2);
  nn::ParameterStore store(unit, {.training = false});
  const std::string hash = load_weights(folder / "a.safetensors", "unit", store);
  CHECK(hash.size() == 8);
  CHECK(store.filled());
  for (std::int64_t i = 0; i < store.value().numel(); ++i)
    REQUIRE(store.value().data<float>()[i] == made_store.value().data<float>()[i]);
  for (std::int64_t i = 0; i < store.buffer().numel(); ++i)
    REQUIRE(store.buffer().data<float>()[i] == made_store.buffer().data<float>()[i]);
  CHECK(load_weights(folder / "b.safetensors", "unit", store) == hash);  // notes do not count
  made_store.value().data<float>()[7] += 1e-3F;
  save(folder / "c.safetensors", made_store, {{"network", "unit"}});
  CHECK(load_weights(folder / "c.safetensors", "unit", store) != hash);
}

TEST_CASE("weights: a file that does not serve is refused with the remedy") {
  const mld_test::TempFolder folder;
  ConvUnit small("unit", 3, 5, 2), unit("unit", 3, 6, 2);
  nn::ParameterStore small_store(small, {.training = false}), store(unit, {.training = false});
  test::fill_by_recipe(small_store);
  save(folder / "small.safetensors", small_store, {{"network", "unit"}});
  save(folder / "unnamed.safetensors", small_store, {});
  mld_test::write_bytes(folder / "text.safetensors", "no tensors at all");
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
  refused("unnamed.safetensors", "unit", "does not say which network");
  refused("small.safetensors", "other", "holds the weights of 'unit'");
  refused("small.safetensors", "unit", "conv.weight");
}

TEST_CASE("weights: looked for in the folder given, else in the one of MLD_WEIGHTS") {
  const mld_test::TempFolder given, named;
  mld_test::write_bytes(given / "one.safetensors", "1");
  mld_test::write_bytes(named / "two.safetensors", "2");
  ::unsetenv("MLD_WEIGHTS");
  CHECK(!find_weights({}, "one"));
  CHECK(find_weights(given.path(), "one") == given / "one.safetensors");
  ::setenv("MLD_WEIGHTS", named.path().c_str(), 1);
  CHECK(find_weights({}, "two") == named / "two.safetensors");
  CHECK(!find_weights({}, "one"));
  CHECK(!find_weights(given.path(), "two"));
  ::unsetenv("MLD_WEIGHTS");
}

}  // namespace mld::metrics
