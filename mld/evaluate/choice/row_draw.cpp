#include "mld/evaluate/choice/row_draw.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <queue>
#include <string>
#include <tuple>

#include "engine/random/philox.h"
#include "mld/config/seed.h"

namespace mld {
namespace {

constexpr std::uint64_t kDrawSeed = 0x726f7773;

// An order of all positions such that among its first n, for every n, each stratum has its share of n to less
// than one. A stratum's share grows with the place in the order: its j-th member may come once the share
// exceeds j - 1, and must have come when it reaches j. The member that must come soonest is always the next
// (Steiner and Yeomans, "Level schedules for mixed-model, just-in-time processes", 1993).
class Turns {
 public:
  explicit Turns(std::vector<std::int64_t> sizes)
      : sizes_(std::move(sizes)),
        taken_(sizes_.size(), 0),
        total_(std::accumulate(sizes_.begin(), sizes_.end(), std::int64_t{0})) {}

  // How many each stratum has among the first n places.
  std::vector<std::int64_t> of(std::int64_t n) {
    // The first of each, soonest first, before the second of any.
    std::vector<std::size_t> firsts(sizes_.size());
    std::iota(firsts.begin(), firsts.end(), std::size_t{0});
    std::ranges::stable_sort(firsts, {}, [&](std::size_t s) { return due(s); });
    for (const std::size_t s : firsts) {
      if (place_ >= n) return taken_;
      take(s);
    }
    while (place_ < n) {
      while (!waiting_.empty() && std::get<0>(waiting_.top()) <= place_ + 1) {
        ready_.emplace(due(std::get<1>(waiting_.top())), std::get<1>(waiting_.top()));
        waiting_.pop();
      }
      // The first of every stratum came early, so that there may be places at which no other may come yet.
      auto& next = ready_.empty() ? waiting_ : ready_;
      const std::size_t s = std::get<1>(next.top());
      next.pop();
      take(s);
    }
    return taken_;
  }

 private:
  using Queue = std::priority_queue<std::tuple<std::int64_t, std::size_t>,
                                    std::vector<std::tuple<std::int64_t, std::size_t>>, std::greater<>>;

  // Of the stratum's next member the place at which it must have come, and the first at which it may.
  std::int64_t due(std::size_t s) const { return ((taken_[s] + 1) * total_ + sizes_[s] - 1) / sizes_[s]; }
  std::int64_t free(std::size_t s) const { return taken_[s] * total_ / sizes_[s] + 1; }

  void take(std::size_t s) {
    ++place_;
    if (++taken_[s] < sizes_[s]) waiting_.emplace(free(s), s);
  }

  std::vector<std::int64_t> sizes_, taken_;
  std::int64_t total_, place_ = 0;
  Queue waiting_, ready_;  // by the place from which, and until which; then the stratum
};

std::string stream_of(const data::Split& split, std::int64_t pairing) {
  return cat(split.name(), "/", pairing);
}

}  // namespace

std::vector<std::int64_t> stratified_draw(std::span<const std::int32_t> labels, std::int64_t n,
                                          std::string_view stream) {
  const std::int64_t all = std::ssize(labels);
  std::vector<std::int64_t> drawn;
  if (n >= all) {
    drawn.resize(labels.size());
    std::iota(drawn.begin(), drawn.end(), std::int64_t{0});
    return drawn;
  }
  const std::uint64_t seed = stage_seed(kDrawSeed, std::string(stream));
  std::map<std::int32_t, std::vector<std::int64_t>> by_label;
  for (std::int64_t k = 0; k < all; ++k) by_label[labels[static_cast<std::size_t>(k)]].push_back(k);
  // In an order of chance, so that fewer places than strata do not always go to the first labels.
  std::vector<const std::vector<std::int64_t>*> members;
  std::vector<std::int64_t> sizes;
  for (const auto& [label, list] : by_label) members.push_back(&list);
  const Permutation order(members.size(), seed, ~std::uint64_t{0});
  std::vector<const std::vector<std::int64_t>*> strata;
  for (std::size_t s = 0; s < members.size(); ++s) {
    strata.push_back(members[order(s)]);
    sizes.push_back(std::ssize(*strata.back()));
  }
  const std::vector<std::int64_t> counts = Turns(sizes).of(n);
  for (std::size_t s = 0; s < strata.size(); ++s) {
    const Permutation within(strata[s]->size(), seed, order(s));
    for (std::int64_t k = 0; k < counts[s]; ++k)
      drawn.push_back((*strata[s])[within(static_cast<std::uint64_t>(k))]);
  }
  std::ranges::sort(drawn);
  return drawn;
}

std::vector<std::int64_t> draw_rows(const data::Split& split, std::int64_t n) {
  const std::int64_t pairing = split.num_distinct();
  if (n <= 0) n = pairing;
  n = std::min(n, split.num_samples());
  const std::int64_t whole = pairing > 0 ? n / pairing : 0, first = whole * pairing;
  std::vector<std::int64_t> rows(static_cast<std::size_t>(first));
  std::iota(rows.begin(), rows.end(), std::int64_t{0});
  if (n == first) return rows;
  const auto labels =
      split.labels().subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(pairing));
  for (const std::int64_t k : stratified_draw(labels, n - first, stream_of(split, whole)))
    rows.push_back(first + k);
  return rows;
}

bool is_drawn(const data::Split& split, std::int64_t n) {
  return n > 0 && n < split.num_samples() && n % split.num_distinct() != 0;
}

}  // namespace mld
