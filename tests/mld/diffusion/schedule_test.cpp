#include "mld/diffusion/schedule.h"

#include <doctest/doctest.h>

#include <cmath>
#include <map>

#include "engine/base/error.h"
#include "mld/diffusion/sampler_plan.h"

using mld::Schedule;

TEST_CASE("schedule: counts of docs/method.md section 10.4") {
  struct Row {
    int n, j, r;
    std::int64_t reverse, forward;
  };
  for (const Row& row : {Row{250, 10, 10, 2410, 2160}, Row{100, 10, 5, 460, 360}, Row{250, 10, 1, 250, 0},
                         Row{20, 10, 3, 40, 20}, Row{1, 10, 10, 1, 0}}) {
    const auto walk = Schedule{row.n, row.j, row.r}.walk();
    const auto counts = mld::count(walk);
    CHECK(counts.reverse == row.reverse);
    CHECK(counts.forward == row.forward);
    CHECK(static_cast<std::int64_t>(walk.size()) == row.reverse + row.forward + 1);
    CHECK(walk.front() == row.n);
    CHECK(walk.back() == 0);
    for (std::size_t i = 1; i < walk.size(); ++i) CHECK(std::abs(walk[i] - walk[i - 1]) == 1);
  }
}

TEST_CASE("schedule: the walk of 250, 10, 10") {
  const auto walk = Schedule{250, 10, 10}.walk();
  CHECK(walk[18] == 232);
  CHECK(walk[19] == 231);
  CHECK(walk[20] == 232);
  CHECK(walk[29] == 241);
  CHECK(walk[30] == 240);
  std::map<int, int> reverse_from, forward_from;
  for (std::size_t i = 0; i + 1 < walk.size(); ++i)
    ++(walk[i + 1] < walk[i] ? reverse_from : forward_from)[walk[i]];
  for (int level = 1; level <= 250; ++level)
    CHECK(reverse_from[level] == (level >= 2 && level <= 241 ? 10 : 1));
  for (int level = 1; level <= 240; ++level) CHECK(forward_from[level] == 9);
  CHECK(forward_from.count(241) == 0);
}

TEST_CASE("schedule: nonsense is refused") {
  for (const Schedule s :
       {Schedule{0, 10, 1}, Schedule{10, 0, 1}, Schedule{10, 1, 0}, Schedule{2'000'000'000, 10, 1},
        Schedule{10, 2'000'000'000, 1}, Schedule{10, 1, 1001}})
    CHECK_THROWS_AS(s.walk(), mld::Error);
}

TEST_CASE("schedule: jumps that were asked for fit the levels, configured ones give way") {
  const mld::SamplerOptions paper = mld::kPaperSampler, linear{.steps = 50, .jump = 10, .resample = 1};
  for (const mld::SamplerChange& change : {mld::SamplerChange{.jump = 251},
                                           {.steps = 5, .jump = 6},
                                           {.steps = 5, .resample = 2},
                                           {.jump = 300, .resample = 1}})
    CHECK_THROWS_WITH_AS(changed(paper, change), doctest::Contains("do not fit"), mld::Error);
  CHECK_THROWS_WITH_AS(changed(linear, {.steps = 20, .jump = 30}),
                       doctest::Contains("jumps of 30 levels do not fit 20 steps"), mld::Error);

  CHECK(changed(paper, {}) == paper);
  CHECK(changed(paper, {.jump = 250}).jump == 250);
  CHECK(changed(paper, {.steps = 10}).resample == 10);
  CHECK(changed(linear, {.steps = 5}).steps == 5);
  CHECK(changed(paper, {.steps = 5, .resample = 1}).steps == 5);
  const mld::SamplerOptions given_way = changed(paper, {.steps = 5});  // as the walk itself does
  CHECK(given_way.resample == 1);
  CHECK(mld::make_plan(given_way).network_calls() == mld::count(Schedule{5, 10, 10}.walk()).reverse);
}
