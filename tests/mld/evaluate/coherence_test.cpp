#include "mld/evaluate/coherence.h"

#include <doctest/doctest.h>

#include <cmath>

#include "engine/base/error.h"

TEST_CASE("coherence: Wilson interval against published values") {
  // Newcombe (1998), table I: 81/263, 15/148, 0/20, 1/29.
  struct Row {
    std::int64_t hits, n;
    double low, high;
  };
  for (const Row& r : {Row{81, 263, 0.2553, 0.3662}, Row{15, 148, 0.0624, 0.1605}, Row{0, 20, 0.0, 0.1611},
                       Row{1, 29, 0.0061, 0.1718}}) {
    const mld::Proportion p{r.hits, r.n};
    CHECK(std::abs(p.low() - r.low) < 5e-5);
    CHECK(std::abs(p.high() - r.high) < 5e-5);
  }
}

TEST_CASE("coherence: agreement leaves unknown labels out") {
  const mld::Proportion p =
      mld::agreement(std::vector<std::int32_t>{1, 2, 3, 4}, std::vector<std::int32_t>{1, 0, -1, 4});
  CHECK(p.hits == 2);
  CHECK(p.n == 3);
  CHECK_THROWS_AS(mld::agreement(std::vector<std::int32_t>{1}, std::vector<std::int32_t>{}), mld::Error);
}

TEST_CASE("coherence: joint agreement needs all modalities; collapse shows in the entropy") {
  const auto joint = mld::joint_coherence({{0, 1, 2, 3}, {0, 1, 2, 0}, {0, 1, 1, 3}}, 4);
  CHECK(joint.all_equal.hits == 2);
  CHECK(joint.all_equal.n == 4);
  CHECK(joint.class_share[0] == doctest::Approx(4.0 / 12));
  CHECK(joint.class_share[1] == doctest::Approx(4.0 / 12));
  CHECK(joint.entropy ==
        doctest::Approx(-(2 * (1.0 / 3) * std::log(1.0 / 3) + 2 * (1.0 / 6) * std::log(1.0 / 6))));
  const auto collapsed = mld::joint_coherence({{7, 7}, {7, 7}}, 10);
  CHECK(collapsed.all_equal.value() == 1);
  CHECK(collapsed.entropy == doctest::Approx(0));
}

TEST_CASE("coherence: a sample that is read as no class agrees with nothing") {
  const auto joint = mld::joint_coherence({{-1, 1, -1}, {-1, 1, 2}}, 3);
  CHECK(joint.all_equal.hits == 1);
  CHECK(joint.all_equal.n == 3);
  CHECK(joint.class_share[1] == doctest::Approx(2.0 / 3));
  CHECK(joint.class_share[2] == doctest::Approx(1.0 / 3));
}

TEST_CASE("coherence: attribute by attribute") {
  // Three samples of two attributes, the last without a label.
  const std::vector<std::int32_t> read{0, 1, 2, -1, 1, 1}, truth{0, 0, 2, 1, -1, -1};
  const auto right = mld::attribute_agreement(read, truth, 2);
  REQUIRE(right.size() == 2);
  CHECK(right[0].hits == 2);
  CHECK(right[0].n == 2);
  CHECK(right[1].hits == 0);
  CHECK(right[1].n == 2);
  const auto alike = mld::attributes_alike({read, {0, 1, 2, -1, 0, 1}}, 2);
  CHECK(alike[0].hits == 2);
  CHECK(alike[0].n == 3);
  CHECK(alike[1].hits == 2);  // none is not like none
  CHECK_THROWS_AS(mld::attribute_agreement(read, std::vector<std::int32_t>{1}, 2), mld::Error);
}
