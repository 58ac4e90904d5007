#include "mld/evaluate/choice/row_draw.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "tests/mld/pairs.h"
#include "tests/temp_folder.h"

namespace mld {
namespace {

using Labels = std::vector<std::int32_t>;
using Rows = std::vector<std::int64_t>;

// One label after the other, `sizes` of each, from `first` on.
Labels sorted_labels(const Rows& sizes, std::int32_t first = 0) {
  Labels labels;
  for (std::size_t c = 0; c < sizes.size(); ++c)
    labels.insert(labels.end(), static_cast<std::size_t>(sizes[c]), static_cast<std::int32_t>(c) + first);
  return labels;
}

std::map<std::int32_t, std::int64_t> counts(const Labels& labels, const Rows& rows) {
  std::map<std::int32_t, std::int64_t> out;
  for (const std::int64_t row : rows) ++out[labels[static_cast<std::size_t>(row)]];
  return out;
}

Rows whole(std::int64_t n) {
  Rows rows(static_cast<std::size_t>(n));
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

// The largest distance of a class from its exact share.
double worst(const Labels& labels, const Rows& rows) {
  const auto drawn = counts(labels, rows);
  double most = 0;
  for (const auto& [label, size] : counts(labels, whole(std::ssize(labels)))) {
    const double share =
        static_cast<double>(rows.size()) * static_cast<double>(size) / static_cast<double>(labels.size());
    const auto found = drawn.find(label);
    most = std::max(most, std::abs(static_cast<double>(found == drawn.end() ? 0 : found->second) - share));
  }
  return most;
}

}  // namespace

TEST_CASE("stratified draw: every class has its share but for less than one, and none is left out") {
  Labels turns, mixed = sorted_labels({980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009});  // as MNIST's
  for (std::int32_t k = 0; k < 600; ++k) turns.push_back(k % 9 == 0 ? -1 : k % 7);
  for (std::size_t k = 0; k < mixed.size(); ++k) std::swap(mixed[k], mixed[k * 7919 % mixed.size()]);
  const std::map<std::string, Labels> variants{
      {"equal and sorted", sorted_labels(Rows(10, 100))},
      {"unequal and sorted", sorted_labels({980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009})},
      {"unequal and mixed", mixed},
      {"unknown ones, a stratum of their own", sorted_labels({40, 50, 30}, -1)},
      {"in turns, some of them unknown", turns},
      {"hundreds of classes", sorted_labels(Rows(300, 5))},
      {"two to one", sorted_labels({200, 100})}};
  for (const auto& [name, labels] : variants) {
    CAPTURE(name);
    const std::int64_t all = std::ssize(labels);
    const auto strata = static_cast<std::int64_t>(counts(labels, whole(all)).size());
    for (const std::int64_t n :
         {std::int64_t{1}, strata - 1, strata, strata + 1, all / 10, all / 3, all / 2 + 1, all - 1}) {
      CAPTURE(n);
      const Rows rows = stratified_draw(labels, n, "test");
      CHECK(std::ssize(rows) == n);
      CHECK(std::ranges::is_sorted(rows));
      CHECK(std::set<std::int64_t>(rows.begin(), rows.end()).size() == rows.size());
      CHECK(rows.back() < all);
      CHECK(worst(labels, rows) < 1);
      if (n >= strata) CHECK(std::ssize(counts(labels, rows)) == strata);
    }
  }
}

TEST_CASE("stratified draw: rare classes are there, and the common one gives way") {
  for (const Rows& sizes :
       {Rows{990, 5, 5}, Rows{9000, 500, 300, 150, 50}, Rows{9991, 1, 1, 1, 1, 1, 1, 1, 1, 1}}) {
    const Labels labels = sorted_labels(sizes);
    for (const std::int64_t n :
         {std::ssize(sizes), std::ssize(sizes) + 3, std::int64_t{100}, std::int64_t{900}}) {
      CAPTURE(n);
      const auto drawn = counts(labels, stratified_draw(labels, n, ""));
      CHECK(std::ssize(drawn) == std::ssize(sizes));
      for (std::size_t c = 1; c < sizes.size(); ++c) {
        const double share = static_cast<double>(n * sizes[c]) / static_cast<double>(labels.size());
        CHECK(std::abs(static_cast<double>(drawn.at(static_cast<std::int32_t>(c))) - share) < 1);
      }
    }
  }
}

TEST_CASE("stratified draw: a function of labels, number and name; smaller ones are part of larger ones") {
  for (const Labels& labels :
       {sorted_labels(Rows(10, 100)), sorted_labels({700, 200, 90, 10}), Labels(1000, -1)}) {
    Rows before;
    for (const std::int64_t n : {1, 3, 10, 57, 100, 500, 999, 1000, 2000}) {
      const Rows rows = stratified_draw(labels, n, "test/0");
      CHECK(rows == stratified_draw(labels, n, "test/0"));
      CHECK(std::ranges::includes(rows, before));
      before = rows;
    }
    CHECK(before == whole(1000));
    CHECK(stratified_draw(labels, 0, "test/0").empty());
    const Rows rows = stratified_draw(labels, 100, "test/0");
    CHECK(rows != stratified_draw(labels, 100, "test/1"));
    CHECK(rows != stratified_draw(labels, 100, "train/0"));
    // No stretch of the split: spread over every class's rows.
    std::int64_t later = 0;
    for (const std::int64_t row : rows) later += row % 100 >= 50;
    CHECK(later > 30);
    CHECK(later < 70);
  }
}

TEST_CASE("draw_rows: the first pairing, whole pairings, and a draw of the next") {
  const test::TempFolder folder;
  test::Pairs{.pairings = 3}.write(folder / "store");  // 3 classes of 20
  const data::Store store = data::Store::open(folder / "store");
  const data::Split &test = store.split("test"), &train = store.split("train");
  const Labels labels(test.labels().begin(), test.labels().end());
  CHECK(draw_rows(test, 0) == whole(60));
  CHECK(draw_rows(test, 60) == whole(60));
  CHECK(draw_rows(test, 120) == whole(120));
  CHECK(draw_rows(test, 180) == whole(180));
  CHECK(draw_rows(test, 100000) == whole(180));
  for (const std::int64_t n : {0, 60, 120, 180, 1000}) CHECK_FALSE(is_drawn(test, n));
  for (const std::int64_t n : {1, 7, 30, 59, 61, 90, 150, 179}) {
    CAPTURE(n);
    CHECK(is_drawn(test, n));
    const Rows rows = draw_rows(test, n);
    REQUIRE(std::ssize(rows) == n);
    CHECK(std::ranges::is_sorted(rows));
    const std::int64_t first = n / 60 * 60;
    CHECK(Rows(rows.begin(), rows.begin() + first) == whole(first));
    const Rows rest(rows.begin() + first, rows.end());
    CHECK(rest.back() < first + 60);
    for (const auto& [label, count] : counts(labels, rest))
      CHECK(std::abs(static_cast<double>(count) - static_cast<double>(rest.size()) / 3) < 1);
  }
  CHECK(draw_rows(test, 30) != draw_rows(train, 30));
  Rows second = draw_rows(test, 90);
  second.erase(second.begin(), second.begin() + 60);
  for (std::int64_t& row : second) row -= 60;
  CHECK(second != draw_rows(test, 30));  // another pairing, another draw

  test::Pairs{.labelled = false}.write(folder / "unlabelled");
  const data::Store plain = data::Store::open(folder / "unlabelled");
  CHECK(draw_rows(plain.split("test"), 30).back() >= 40);
  CHECK(draw_rows(plain.split("test"), 0) == whole(60));
}

}  // namespace mld
