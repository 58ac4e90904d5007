#include "mld/diffusion/sampling_record.h"

#include <doctest/doctest.h>

#include "tests/expect_error.h"

namespace mld {
namespace {

SamplerOptions read(const std::string& text) {
  const data::Json record = data::Json::parse(text);
  data::JsonFields fields(record, "file.json", "schedule");
  return read_schedule(fields);
}

std::string refused(const std::string& text) {
  return mld::test::error_of(ErrorKind::data, [&] { read(text); });
}

}  // namespace

TEST_CASE("sampling record: what is written, what it is called, and back") {
  using enum SamplerMethod;
  struct Row {
    SamplerOptions options;
    const char *name, *line, *record;
  };
  for (const Row& row :
       {Row{kPaperSampler, "em 250x10x10", "em", R"({"method":"em","steps":250,"jump":10,"resample":10})"},
        {{.method = em, .steps = 250, .jump = 10, .resample = 10, .renoise = Renoise::exact, .churn = 1},
         "em 250x10x10 exact",
         "em exact",
         R"({"method":"em","steps":250,"jump":10,"resample":10,"renoise":"exact"})"},
        {{.method = heun, .steps = 20, .jump = 5, .resample = 1, .churn = 1},
         "heun 20",
         "heun",
         R"({"method":"heun","steps":20,"jump":5,"resample":1})"},
        {{},
         "dpm_sde 20 churn 10",
         "dpm_sde churn 10",
         R"({"method":"dpm_sde","steps":20,"jump":10,"resample":1,"churn":10.0})"},
        {{.churn = 1},
         "dpm_sde 20",
         "dpm_sde",
         R"({"method":"dpm_sde","steps":20,"jump":10,"resample":1,"churn":1.0})"}}) {
    CHECK(schedule_name(row.options) == row.name);
    CHECK(method_name(row.options) == row.line);
    CHECK(schedule_record(row.options).dump() == nlohmann::json::parse(row.record).dump());
    CHECK(read(row.record) == row.options);
  }
  // Neither is read without jumps, or by another method.
  CHECK(schedule_name({.method = em, .resample = 1, .renoise = Renoise::exact}) == "em 20");
  CHECK(schedule_record({.method = em, .resample = 1, .renoise = Renoise::exact}).size() == 4);
  CHECK(schedule_record({.method = dpm, .renoise = Renoise::exact, .churn = 3}).size() == 4);
}

TEST_CASE("sampling record: what it does not name is as it was before there was the option") {
  const SamplerOptions older = read(R"({"method":"dpm_sde","steps":9,"jump":1,"resample":1})");
  CHECK(older.churn == 1);
  CHECK(older.renoise == Renoise::euler);
  // An option that came later without saying so would stand in every record and make all of before strangers.
  std::set<std::string> recorded{"method", "steps", "jump", "resample"}, options;
  visit_details(older, [&](const char* name, const auto&, const auto&) { recorded.insert(name); });
  config::visit_fields(
      older, [&](const char* name, const auto&, const auto&, const char*) { options.insert(name); });
  CHECK(recorded == options);
}

TEST_CASE("sampling record: what is none is refused by its place") {
  using mld::test::contains;
  CHECK(contains(refused(R"({"method":"ddim","steps":9,"jump":1,"resample":1})"),
                 "file.json: schedule.method"));
  CHECK(contains(refused(R"({"method":"em","steps":0,"jump":1,"resample":1})"), "file.json: schedule.steps"));
  CHECK(contains(refused(R"({"method":"em","steps":9,"jump":1})"), "resample"));
  CHECK(contains(refused(R"({"method":"em","steps":9,"jump":1,"resample":1,"renoise":"x"})"),
                 "schedule.renoise"));
}

}  // namespace mld
