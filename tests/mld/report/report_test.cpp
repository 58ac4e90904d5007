// The report of a run, from its pictures and tables to the whole document.
#include "mld/report/report.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <set>

#include "data/digits/digits.h"
#include "data/importers/import.h"
#include "mld/evaluate/record.h"
#include "mld/report/evaluation_tables.h"
#include "mld/report/html.h"
#include "mld/report/pictures.h"
#include "mld/report/sampler_tables.h"
#include "mld/run/run_files.h"
#include "mld/train/train.h"
#include "tests/expect_error.h"
#include "tests/mld/report/report_reader.h"
#include "tests/mld/workshop.h"
#include "tests/temp_folder.h"

namespace mld::report {

namespace fs = std::filesystem;
using mld::test::contains, mld::test::Document, mld::test::Element, mld::test::decoded, mld::test::png_size,
    mld::test::polylines;

namespace {

data::Modality modality(const std::string& name, data::ModalityKind kind, const Shape& shape) {
  data::Modality info;
  info.name = name;
  info.kind = kind;
  info.shape = shape;
  return info;
}

}  // namespace

TEST_CASE("pictures: sides, words, strips of colour, several rows") {
  const data::Modality image = modality("image", data::ModalityKind::image, {28, 28, 1});
  const auto side = [&](std::vector<Shape> shapes) {
    std::vector<data::Modality> infos;
    for (const Shape& shape : shapes) {
      infos.push_back(image);
      infos.back().shape = shape;
    }
    return Gallery(infos, std::vector<std::vector<std::string>>(infos.size())).side();
  };
  CHECK(side({{28, 28, 1}}) == 112);
  CHECK(side({{28, 28, 1}, {32, 32, 3}}) == 224);
  CHECK(side({{64, 64, 3}}) == 128);
  CHECK(side({{97, 97, 3}}) == 194);
  CHECK(side({{500, 400, 3}}) == 168);

  const data::Modality caption = modality("caption", data::ModalityKind::tokens, {2});
  data::Modality plain = modality("plain", data::ModalityKind::vector, {4});
  plain.range = {-1, 1};
  const Gallery gallery({caption, plain}, {{"a", "<b>"}, {}});
  const std::vector<float> tokens{0, 1, 2, 0}, numbers(10 * 4, 0.5F);
  const Strip text{.info = &caption, .values = tokens, .given = true};
  const std::string html = "<!DOCTYPE html>\n" + gallery.strips(std::span(&text, 1), 2);
  const Document words(html);
  CHECK(words.has("li", "a <b>"));
  CHECK(words.has("li", "2 0"));  // 2 has no word
  CHECK(words.has("span", "given"));
  const Strip colours{.info = &plain, .values = numbers, .what = "made \"up\""};
  const std::string strips = "<!DOCTYPE html>\n" + gallery.strips(std::span(&colours, 1), 10);
  const auto images = Document(strips).all("img");
  REQUIRE(images.size() == 2);
  CHECK(images[0].attributes.at("alt") == "8 samples of plain, made \"up\"");
  CHECK(images[1].attributes.at("alt") == "2 samples of plain, made \"up\"");
  CHECK(images[0].attributes.at("width") == images[1].attributes.at("width"));
  CHECK(gallery.players(colours, 10, 4, 0).empty());
}

TEST_CASE("pages are UTF-8 whatever bytes the words of a vocabulary hold") {
  for (const auto& [bytes, shown] :
       {std::pair{"caf\xe9", "caf\xef\xbf\xbd"}, std::pair{"\xff\xfe", "\xef\xbf\xbd\xef\xbf\xbd"},
        std::pair{"\xc3\xa9", "\xc3\xa9"},
        std::pair{"a\xed\xa0\x80z", "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz"},
        std::pair{"\x01 <", "\xef\xbf\xbd &lt;"}})
    CHECK(escape(bytes) == shown);
  const data::Modality caption = modality("caption", data::ModalityKind::tokens, {1});
  const Gallery gallery({caption}, {{"caf\xe9"}});
  const std::vector<float> tokens{0};
  const Strip text{.info = &caption, .values = tokens};
  CHECK(contains(gallery.strips(std::span(&text, 1), 1), "<li>caf\xef\xbf\xbd</li>"));
}

TEST_CASE("evaluation: numbers of no samples, which older files have as 0, are not shown") {
  const char* file = R"({"samples": 10, "split": "test",
 "classifier": [{"given": "a", "target": "a", "value": 0, "low95": 0, "high95": 1, "n": 0}],
 "joint": {"coherence": {"value": 0, "low95": 0, "high95": 1, "n": 0}},
 "conditional": [{"given": "a", "target": "b", "value": 0, "low95": 0, "high95": 1, "n": 0},
                 {"given": "a,b", "target": "c", "value": 0.5, "low95": 0.4, "high95": 0.6, "n": 10}],
 "leave_one_out": [{"size": 1, "value": 0}, {"size": 2, "value": 0.5}],
 "robustness": [{"t": 0, "target": "a", "value": 0, "n": 0}]})";
  const std::string html = evaluation_tables(shown_evaluation(file, "evaluation.json"));
  CHECK_FALSE(contains(html, ">0.0 %<"));
  CHECK(contains(html, ">50.0 %<"));
  CHECK_FALSE(contains(html, "Robustness"));
  const char* samplers = R"({"how": {"samples": 10}, "reference_outcomes": ["11", "--"], "samplers": [
 {"schedule": {"method": "em", "steps": 5}, "network_calls": 5, "joint": 0.5, "conditional": 0,
  "joint_difference": {"value": 0, "low95": 0, "high95": 0}, "distances": [], "distance_ratio": 1,
  "conditional_difference": {"value": 0, "low95": 0, "high95": 0}}]})";
  const std::string table = sampler_tables(samplers, "samplers.json");
  CHECK(contains(table, ">50.0<"));
  CHECK_FALSE(contains(table, ">0.0<"));
  CHECK_FALSE(contains(table, "<td class=\"n\">1</td>"));
}

TEST_CASE("which sets are shown, and how a schedule is shortened") {
  CHECK(shown_subsets(2) == std::vector<Subset>{0, 1, 2});
  CHECK(shown_subsets(3).size() == 7);
  CHECK(shown_subsets(5).size() == 31);
  const std::vector<Subset> many = shown_subsets(6);
  CHECK(many.size() == 13);
  CHECK(many.front() == 0);
  CHECK(many[1] == 1);
  CHECK(many.back() == 0b111110);

  const auto short_one = [](int levels, int jump, int resample, std::size_t walks) {
    const SamplerOptions em{.method = SamplerMethod::em, .steps = levels, .jump = jump, .resample = resample};
    return shortened({.sampler = em}, walks).sampler;
  };
  CHECK(short_one(250, 10, 10, 2).resample == 10);  // 2 x 2410 calls
  CHECK(short_one(250, 10, 10, 7).resample == 1);
  CHECK(short_one(250, 10, 10, 7).steps == 250);
  CHECK(short_one(1000, 10, 10, 31).steps == 125);
  CHECK(short_one(1000, 900, 10, 100000).steps == 20);
}

namespace {

constexpr const char* kEvaluation = R"({
 "run": {"kind": "mld", "config_hash": "0123456789abcdef", "parameters": 123},
 "split": "test", "samples": 1000, "seed": 5, "weights": "ema", "network_calls": 250,
 "schedule": {"method": "em", "steps": 250, "jump": 10, "resample": 1},
 "modalities": ["image", "sound"], "classifier_hash": {"image": "89abcdef"},
 "classifier": [{"given": "image", "target": "image", "value": 0.98, "low95": 0.97, "high95": 0.99, "n": 1000}],
 "autoencoder": [{"given": "image", "target": "image", "value": 0.96, "low95": 0.95, "high95": 0.97, "n": 1000}],
 "joint": {"coherence": {"value": 0.905, "low95": 0.885, "high95": 0.922, "n": 1000},
           "class_share": [0.5, 0.3, 0.2], "entropy": 1.0297},
 "conditional": [{"given": "image,trajectory", "target": "sound", "value": 0.75, "low95": 0.7, "high95": 0.8,
                  "n": 900}],
 "leave_one_out": [{"size": 1, "value": 0.625}],
 "quality": [{"given": "", "target": "image", "metric": "CFD", "value": 1.25, "low95": 1.125, "high95": 1.5,
              "kid": 0.0125, "kid_error": 0.0025, "real_halves": 0.375, "dim": 320, "real": 1000,
              "distinct": 999, "made": 998, "extractor": "classifier", "hash": "fedcba98"}],
 "clip_score": [{"how": "real", "value": 0.7, "error": 0.003, "n": 1000}],
 "diversity": [{"given": "image", "target": "sound", "ratio": 0.4375, "draws": 10, "conditions": 100}],
 "memorisation": [{"target": "image", "generated": 1.5, "real": 1.625, "closer": 0.0125, "n": 1000}],
 "information": [{"group": "image", "rest": "sound,trajectory", "nats": 2.0625, "error": 0.05}],
 "inpainting_gap": [{"given": "image", "t": 0.25, "nats": 0.8125, "error": 0.0625},
                    {"given": "image", "t": 0.75, "nats": 0.125, "error": 0.0075},
                    {"given": "image,sound", "t": 0.25, "nats": 0.9375, "error": 0.085}],
 "robustness": [{"t": 0.05, "target": "image", "value": 0.97}, {"t": 0.5, "target": "image", "value": 0.6},
                {"t": 0.05, "target": "sound", "value": 0.9}, {"t": 0.5, "target": "sound", "value": 0.5}],
 "pen_image_agreement": [{"how": "joint", "mean": 0.65, "error": 0.01, "n": 1000}],
 "notes": ["KID leads: <2048 items"], "seconds": 33.0
})";

}  // namespace

TEST_CASE("evaluation: every number is shown with how it was made") {
  const std::string html =
      "<!DOCTYPE html>\n" + evaluation_tables(shown_evaluation(kEvaluation, "evaluation.json"));
  const Document document(html);
  for (const std::string cell : {"75.0 %",        "70.0 … 80.0",   "90.5 %",
                                 "88.5 … 92.2",   "62.5 %",        "CFD",
                                 "1.125 … 1.5",   "0.375",         "0.0125 ± 0.0025",
                                 "1000 (999)",    "998",           "classifier, 320, fedcba98",
                                 "0.438",         "1.62",          "1.2 %",
                                 "2.06 ± 0.05",   "0.812 ± 0.062", "0.125 ± 0.0075",
                                 "0.938 ± 0.085", "0.65 ± 0.01",   "0.7 ± 0.003"})
    CHECK_MESSAGE(document.has("td", cell), cell);
  for (const std::string cell : {"image, trajectory", "nothing (joint)", "itself (decode of encode)",
                                 "real items", "0.25", "0.75", "Given image", "Given image, sound"})
    CHECK_MESSAGE(document.has("th", cell), cell);
  for (const std::string value : {"1000 of split test", "5", "em, 250 levels, no jumps", "averaged (EMA)",
                                  "0123456789abcdef", "89abcdef", "33"})
    CHECK_MESSAGE(document.has("dd", value), value);
  CHECK(document.has("li", "KID leads: <2048 items"));
  CHECK(document.has("figcaption", "entropy 1.03 of 1.099 nats"));
  CHECK(document.all("rect").size() == 2 * 4 + 3);          // four coherences, three classes
  CHECK(document.all("polyline").size() == 2 + 2 + 1 + 2);  // robustness, gap: curves of two points, legends
}

TEST_CASE("evaluation: what is absent or of another type is left out, what is no evaluation refused") {
  CHECK(!contains(evaluation_tables(shown_evaluation("{}", "")), "<table"));
  const std::string odd =
      "<!DOCTYPE html>\n" + evaluation_tables(shown_evaluation(
                                R"({"joint": 3, "conditional": {"a": 1}, "quality": [7, null, {"value": "x"}],
                            "robustness": [{"t": null, "target": "image"}],
                            "inpainting_gap": [{"t": null, "given": 1}, {"t": 0.5, "nats": "x"}, 3], "classifier": [{}],
                            "schedule": [], "notes": [1]})",
                                ""));
  CHECK(Document(odd).all("tr").size() == 1 + 3 + 1 + 1);  // quality, gap
  CHECK(contains(mld::test::error_of(ErrorKind::data, [] { shown_evaluation("[1]", "a.json"); }), "a.json"));
  mld::test::error_of(ErrorKind::data, [] { shown_evaluation("{", "a.json"); });
}

namespace {

constexpr const char* kSamplers = R"({"how": {"samples": 2000, "split": "test", "seed": 4},
 "samplers": [
  {"schedule": {"method": "em", "steps": 250, "jump": 10, "resample": 10}, "network_calls": 2410, "joint": 0.9125,
   "conditional": 0.95, "joint_difference": {"value": 0, "low95": 0, "high95": 0},
   "conditional_difference": {"value": 0, "low95": 0, "high95": 0}, "distance_ratio": 1},
  {"schedule": {"method": "dpm", "steps": 20, "jump": 1, "resample": 1}, "network_calls": 20, "joint": 0.875,
   "conditional": 0.94, "joint_difference": {"value": -0.0375, "low95": -0.05, "high95": 0.0125},
   "conditional_difference": {"value": -0.01, "low95": -0.02, "high95": 0}, "distance_ratio": 1.25},
  {"schedule": {"method": "dpm_sde", "steps": 10, "jump": 1, "resample": 1, "churn": 3}, "network_calls": 10, "joint": 0.8,
   "conditional": 0.9, "joint_difference": {"value": -0.1125, "low95": -0.2, "high95": -0.1},
   "conditional_difference": {"value": -0.05, "low95": -0.06, "high95": -0.04}, "distance_ratio": 2},
  {"schedule": {"method": "dpm", "steps": 10, "jump": 1, "resample": 1}, "network_calls": 10, "joint": 0.75,
   "conditional": 0.9, "joint_difference": {"value": -0.1625, "low95": -0.2, "high95": -0.1},
   "conditional_difference": {"value": -0.05, "low95": -0.06, "high95": -0.04}, "distance_ratio": 2}]})";

}  // namespace

TEST_CASE("samplers: a row each, and a line for each method in order of its calls") {
  const std::string html = sampler_tables(kSamplers, "samplers.json"), whole = "<!DOCTYPE html>\n" + html;
  const Document document(whole);
  for (const std::string cell : {"2410", "91.2", "87.5", "-3.8 (-5.0 … +1.2)", "-1.0 (-2.0 … +0.0)", "1.25"})
    CHECK_MESSAGE(document.has("td", cell), cell);
  for (const std::string name : {"em 250x10x10", "dpm 20", "dpm 10", "dpm_sde 10 churn 3"})
    CHECK_MESSAGE(document.has("th", name), name);
  CHECK(contains(html, "N = 2000 of split test, seed 4"));
  CHECK(document.has("li", "em with jumps"));
  CHECK(document.has("li", "dpm_sde churn 3"));
  CHECK(document.all("circle").size() == 3 * 4);
  const auto lines = polylines(html);
  REQUIRE(lines[0].size() == 2);  // dpm, though the file has 20 calls before 10
  CHECK(lines[0][0].first < lines[0][1].first);
  CHECK(lines[0][0].second > lines[0][1].second);
  CHECK(contains(mld::test::error_of(ErrorKind::data, [] { sampler_tables("{}", "s.json"); }), "s.json"));
  CHECK(contains(
      mld::test::error_of(ErrorKind::data, [] { sampler_tables(R"({"how":{},"samplers":[{}]})", "s.json"); }),
      "network_calls"));
}

namespace {

// A run on drawn digits: image, sound and pen path.
struct TinyRun {
  mld::test::TempFolder folder;
  fs::path store = folder / "store", run = folder / "run <1>";

  explicit TinyRun(StageChoice stages = StageChoice::all) {
    data::write_digits(data::make_digits({.seed = 3, .train = 40, .test = 24}), store, 3);
    const Config config = mld::test::tiny_config(
        store, {"stage1.steps=4", "modalities.sound.stage1.steps=4", "classifier_training.steps=4",
                "score.steps=6", "sampler.steps=6", "sampler.jump=2", "sampler.resample=1"});
    REQUIRE(train({.config = config, .out = run, .stages = stages}, {}) == StageEnd::finished);
  }
};

}  // namespace

TEST_CASE("report: the whole document of a run") {
  const TinyRun tiny;
  mld::test::write_bytes(tiny.run / "evaluation.json", kEvaluation);
  const ReportRequest request{.run = tiny.run, .environment = {{"compiler", "a & b"}}};
  const fs::path file = write_report(request);
  CHECK(file == tiny.run / "report.html");
  const std::string html = mld::test::read_bytes(file);
  const Document document(html);

  std::set<std::string> sections;
  for (const Element& e : document.all("section")) sections.insert(e.attributes.at("id"));
  CHECK(sections == std::set<std::string>{"configuration", "evaluation", "reconstructions", "run", "samples",
                                          "training"});
  CHECK(document.has("title", "digits: mld, preset digits"));
  CHECK(document.has("header", ""));
  CHECK(document.has("p", "run <1>"));
  CHECK(document.has("pre", "\"latent_coordinates\": \"principal\""));
  CHECK(document.has("dd", "a & b"));
  CHECK(document.all("html")[0].attributes.at("lang") == "en");

  // Nothing outside: no script, no address but fragments of the page itself and data.
  CHECK(!contains(html, "http"));
  CHECK(!contains(html, "<script"));
  CHECK(!contains(html, "url("));
  CHECK(!contains(html, "@import"));
  std::set<std::string> ids;
  for (const Element& e : document.elements())
    if (e.attributes.contains("id")) CHECK(ids.insert(e.attributes.at("id")).second);
  for (const Element& e : document.elements()) {
    if (e.attributes.contains("src")) CHECK(e.attributes.at("src").starts_with("data:"));
    if (!e.attributes.contains("href")) continue;
    CHECK(e.attributes.at("href").starts_with("#"));
    CHECK(ids.contains(e.attributes.at("href").substr(1)));
  }

  // Pictures: two strips for each reconstruction, three for each of the seven sets.
  const std::vector<Element> images = document.all("img");
  CHECK(images.size() == 3 * 2 + 7 * 3);
  for (const Element& e : images) {
    const auto [width, height] = png_size(decoded(e.attributes.at("src"), "image/png"));
    CHECK(std::to_string(width) == e.attributes.at("width"));
    CHECK(std::to_string(height) == e.attributes.at("height"));
    CHECK(contains(e.attributes.at("alt"), "8 samples of "));
  }
  const auto badges = document.all("span");
  CHECK(badges.size() == 3 + 3 * 2);  // one given, two given

  // Sounds: two real, two reconstructed, four for each of the four sets that sound is generated from.
  const std::vector<Element> sounds = document.all("audio");
  CHECK(sounds.size() == 4 + 4 * 4);
  for (const Element& e : sounds) {
    const std::string wave = decoded(e.attributes.at("src"), "audio/wav");
    CHECK(wave.starts_with("RIFF"));
    CHECK(wave.size() == 44 + 2 * 16000);
    CHECK(!e.attributes.at("aria-label").empty());
  }

  // Curves: seven stages.
  std::size_t charts = 0;
  for (const Element& e : document.all("svg"))
    if (e.attributes.contains("aria-label"))
      charts += contains(e.attributes.at("aria-label"), "Training loss of ") ? 1 : 0;
  CHECK(charts == 7);
  for (const std::string title : {"Jointly, nothing given", "Given image", "Given sound and trajectory",
                                  "score", "autoencoder/image", "classifier/trajectory"})
    CHECK_MESSAGE(document.has("figcaption", title), title);
  CHECK(document.has("p", "dpm_sde 6 churn 10, 6 network calls"));

  const fs::path again =
      write_report({.run = tiny.run, .out = tiny.folder / "b.html", .environment = request.environment});
  CHECK(mld::test::read_bytes(again) == html);
}

TEST_CASE("report: what a run has not got is left out") {
  const TinyRun tiny(StageChoice::autoencoders);
  const auto made = [&](ReportRequest request = {}) {
    request.run = tiny.run;
    return mld::test::read_bytes(write_report(request));
  };
  const std::string early = made({.samples = 3});
  const Document document(early);
  CHECK(document.all("img").size() == 3 * 2);
  CHECK(contains(document.all("img")[0].attributes.at("alt"), "3 samples"));
  CHECK(document.has("dd", "not trained yet"));
  CHECK(document.has("p", "Not evaluated yet"));

  fs::rename(tiny.store, tiny.folder / "moved");
  const std::string alone = made();
  CHECK(Document(alone).all("img").empty());
  const std::string found = made({.data = tiny.folder / "moved"});
  CHECK(Document(found).all("img").size() == 3 * 2);
  mld::test::error_of(ErrorKind::data, [&] { made({.data = tiny.store}); });

  mld::test::write_bytes(tiny.run / "metrics.jsonl",
                         "{\"stage\":\"score\",\"step\":1,\"loss\":2,\"lr\":1}\n"
                         "{\"stage\":\"score\",\"step\":2,\"loss\":null,\"lr\":1}\n"
                         "{\"stage\":\"score\",\"step\":3,\"loss\":1,\"lr\":1}\n"
                         "7\n{\"stage\":\"score\",\"st");
  const std::string cut = made();
  CHECK(Document(cut).all("circle").size() == 2);  // either side of the step without a loss

  mld::test::error_of(ErrorKind::model, [&] { write_report({.run = tiny.folder / "nowhere"}); });
  mld::test::error_of(ErrorKind::model, [&] { write_report({.run = tiny.folder / "moved"}); });
  mld::test::error_of(ErrorKind::usage, [&] { write_report({.run = tiny.run, .samples = 0}); });
  mld::test::error_of(ErrorKind::io,
                      [&] { write_report({.run = tiny.run, .out = tiny.folder / "no" / "a.html"}); });
  const auto stop = [](const std::string&, std::int64_t, std::int64_t) { return false; };
  CHECK_THROWS_AS(write_report({.run = tiny.run, .data = tiny.folder / "moved"}, stop), Cancelled);
  CHECK(mld::test::read_bytes(tiny.run / "report.html") == cut);  // as it was
}

}  // namespace mld::report
