#include "data/store/pairing.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>

#include "tests/data/files.h"

using namespace mld;
using namespace mld::data;
using namespace mld::test;

namespace {

PairingOptions options(std::int64_t repetitions, std::int64_t cap = 10000, std::uint64_t seed = 1,
                       std::uint32_t stream = 0) {
  return {repetitions, cap, seed, stream};
}

// Labels that cycle through the classes unevenly: class c occurs c+1 times in every round.
Ints uneven(int rounds, int classes) {
  Ints labels;
  for (int r = 0; r < rounds; ++r)
    for (int c = 0; c < classes; ++c) labels.insert(labels.end(), static_cast<std::size_t>(c + 1), c);
  return labels;
}

}  // namespace

TEST_CASE("pairing: both items have the label of the pair") {
  const Ints a = uneven(7, 4), b = uneven(5, 4);
  const Pairing p = pair_by_class(a, b, 4, options(20));
  REQUIRE(p.index.size() == 2 * p.labels.size());
  std::size_t wrong = 0;
  for (std::size_t s = 0; s < p.labels.size(); ++s)
    wrong += a[static_cast<std::size_t>(p.index[2 * s])] != p.labels[s] ||
             b[static_cast<std::size_t>(p.index[2 * s + 1])] != p.labels[s];
  CHECK(wrong == 0);
  CHECK(p.labels.size() == 20 * 5 * (1 + 2 + 3 + 4));
}

TEST_CASE("pairing: each kept item stands in one pair of every repetition, and only the first n are kept") {
  const Ints a = uneven(7, 3), b = uneven(5, 3);
  const Pairing p = pair_by_class(a, b, 3, options(20, 8));
  const std::size_t per_repetition = p.labels.size() / 20;
  CHECK(per_repetition ==
        5 + 8 + 8);  // class 0 has 7 and 5, class 1 14 and 10, class 2 21 and 15; capped at 8
  for (std::size_t side = 0; side < 2; ++side) {
    const Ints& labels = side == 0 ? a : b;
    std::set<std::int32_t> expected;
    std::map<std::int32_t, int> kept;
    const int keep[] = {5, 8, 8};
    for (std::size_t i = 0; i < labels.size(); ++i)
      if (kept[labels[i]]++ < keep[labels[i]]) expected.insert(static_cast<std::int32_t>(i));
    for (std::size_t r = 0; r < 20; ++r) {
      std::set<std::int32_t> seen;
      for (std::size_t s = 0; s < per_repetition; ++s)
        seen.insert(p.index[2 * (r * per_repetition + s) + side]);
      CHECK(seen == expected);
    }
  }
}

TEST_CASE("pairing: a function of seed and stream; fewer repetitions are a prefix of more") {
  const Ints a = uneven(30, 3), b = uneven(30, 3);
  const Pairing first = pair_by_class(a, b, 3, options(4));
  CHECK(first.index == pair_by_class(a, b, 3, options(4)).index);
  CHECK(first.index != pair_by_class(a, b, 3, options(4, 10000, 2)).index);
  CHECK(first.index != pair_by_class(a, b, 3, options(4, 10000, 1, 1)).index);
  const Ints longer = pair_by_class(a, b, 3, options(5)).index;
  CHECK(Ints(longer.begin(), longer.begin() + static_cast<std::ptrdiff_t>(first.index.size())) ==
        first.index);
}

TEST_CASE("pairing: both lists are permuted, and the repetitions differ") {
  const Ints labels(500, 0);
  const Pairing p = pair_by_class(labels, labels, 1, options(20));
  Ints a, b;
  for (std::size_t s = 0; s < 500; ++s) {
    a.push_back(p.index[2 * s]);
    b.push_back(p.index[2 * s + 1]);
  }
  CHECK_FALSE(std::is_sorted(a.begin(), a.end()));
  CHECK_FALSE(std::is_sorted(b.begin(), b.end()));
  CHECK(a != b);
  std::set<std::pair<std::int32_t, std::int32_t>> pairs;
  for (std::size_t s = 0; s < p.labels.size(); ++s) pairs.insert({p.index[2 * s], p.index[2 * s + 1]});
  // 10 000 independent draws out of 250 000 pairs collide 190 times on average (20*19/2, less triples).
  CHECK(pairs.size() > 9700);
  CHECK(pairs.size() < 9920);
}

TEST_CASE("pairing: unknown labels and classes of one set only are left out") {
  const Pairing p = pair_by_class(Ints{-1, 0, 1, 0}, Ints{0, 2, -1}, 3, options(2));
  CHECK(p.labels == Ints{0, 0});
  CHECK(p.index == Ints{1, 0, 1, 0});
}

TEST_CASE("pairing: nothing in common, or senseless options") {
  check_error(ErrorKind::data, {"no class in common"},
              [] { pair_by_class(Ints{0}, Ints{1}, 2, options(1)); });
  check_error(ErrorKind::usage, {"0 repetitions"}, [] { pair_by_class(Ints{0}, Ints{0}, 1, options(0)); });
  check_error(ErrorKind::usage, {"at most 0"}, [] { pair_by_class(Ints{0}, Ints{0}, 1, options(1, 0)); });
  check_error(ErrorKind::data, {"2000000000"}, [] {
    pair_by_class(Ints{0, 0}, Ints{0, 0}, 1, options(2000000000));
  });
}
