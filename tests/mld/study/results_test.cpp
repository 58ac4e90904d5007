// The committed results (docs/results) are accepted as they are by everything that compares or continues them.
#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "data/digits/digits.h"
#include "data/importers/import.h"
#include "mld/config/hashes.h"
#include "mld/diffusion/sampling_record.h"
#include "mld/run/run_files.h"
#include "mld/study/ablation.h"
#include "mld/study/compare.h"
#include "mld/study/sampler_bench.h"
#include "mld/study/tables/evaluation_file.h"
#include "tests/temp_folder.h"

namespace mld {
namespace {

namespace fs = std::filesystem;

const fs::path kResults = MLD_RESULTS_DIR;

// The recipe of the classifiers that docs/results/README.md gives; evaluations record its fingerprint alone.
const std::vector<std::string> kClassifiers{"classifier_training.schedule=cosine",
                                            "classifier_training.final_lr=1e-5",
                                            "classifier_training.epochs=0",
                                            "classifier_training.batch=128",
                                            "modalities.mnist.classifier_training.steps=9000",
                                            "modalities.svhn.classifier_training.steps=6000"};

// Of the second judge of `mnist-svhn-fast-judged`.
const std::vector<std::string> kJudge{"modalities.svhn.classifier=residual",
                                      "modalities.svhn.classifier_training.steps=5000",
                                      "modalities.svhn.classifier_training.shift=3",
                                      "modalities.svhn.classifier_training.gain=0.3",
                                      "modalities.svhn.classifier_training.offset=0.1",
                                      "modalities.svhn.classifier_training.warmup=100",
                                      "modalities.svhn.classifier_training.lr=2e-3",
                                      "modalities.svhn.classifier_training.weight_decay=0.05",
                                      "modalities.svhn.classifier_training.decoupled_decay=true",
                                      "modalities.svhn.classifier_training.ema=0.999"};

std::vector<fs::path> evaluations(const std::string& folder) {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(kResults / folder))
    files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

// What was recorded beyond the preset, as settings.
std::vector<std::string> settings_of(const std::map<std::string, std::string>& recorded) {
  std::vector<std::string> settings;
  for (const auto& [key, value] : recorded) {
    const auto json = nlohmann::json::parse(value);
    settings.push_back(key + "=" + (json.is_string() ? json.get<std::string>() : value));
  }
  return settings;
}

Config configured(const std::string& preset, std::vector<std::string> settings) {
  ConfigSources sources;
  sources.preset = preset;
  sources.settings = std::move(settings);
  return resolve_config(sources);
}

}  // namespace

TEST_CASE("results: fingerprints of what was recorded are today what they were then") {
  std::size_t files = 0, recipes = 0;
  for (const fs::directory_entry& folder : fs::directory_iterator(kResults)) {
    const std::string name = folder.path().filename();
    if (!folder.is_directory() || name == "images" || name == "samplers") continue;
    for (const fs::path& path : evaluations(name)) {
      CAPTURE(path.string());
      const Evaluation file = tables::read_evaluation(path);
      const Config config = configured(file.preset, settings_of(file.settings));
      CHECK(score_hash(config) == file.config_hash);
      if (!file.classifier_recipe.empty()) {
        std::vector<std::string> settings;
        if (file.preset == "mnist-svhn") settings = kClassifiers;
        if (name == "mnist-svhn-fast-judged") settings = kJudge;
        CHECK(classifiers_hash(configured(file.preset, settings)) == file.classifier_recipe);
        ++recipes;
      }
      if (file.walks()) CHECK(config.score.d == file.d);
      ++files;
    }
  }
  CHECK(files == 124);
  CHECK(recipes == 83);
}

TEST_CASE("results: compare has a row for each configuration of those that say which data they are of") {
  using Study = std::pair<const char*, std::size_t>;
  for (const auto& [folder, rows] :
       {Study{"mnist-svhn-fast", 1}, Study{"mnist-svhn-fast-variants", 3}, Study{"mnist-svhn-fast-d", 3},
        Study{"mnist-svhn-fast-models", 6}, Study{"mnist-svhn-fast-models-train", 6},
        Study{"mnist-svhn-fast-bodies", 1}, Study{"mnist-svhn-fast-bodies-train", 1}}) {
    CAPTURE(folder);
    const std::vector<fs::path> files = evaluations(folder);
    const std::vector<tables::Table> tables = compare(files, {.paper = true});
    CHECK(std::ranges::count_if(tables.front().rows, [](const auto& row) { return !row.published; }) ==
          static_cast<std::ptrdiff_t>(rows));
    for (const fs::path& file : files) CHECK(tables::read_evaluation(file).fingerprint == "be48b9cca4dc5e47");
  }
}

TEST_CASE("results: compare and ablate take the committed studies as they are") {
  struct Study {
    std::string folder, variation;
    std::vector<std::uint64_t> seeds;
    SamplerChange sampler;
  };
  const SamplerChange em{.method = SamplerMethod::em, .steps = 250, .resample = 1};
  const SamplerChange dpm{.method = SamplerMethod::dpm_sde, .steps = 50, .resample = 1, .churn = 20};
  const mld::test::TempFolder folder;
  data::write_digits(data::make_digits({.seed = 3, .train = 48, .test = 24}), folder / "store", 3);
  for (const Study& study : {Study{"digits-variants", "model.kind=mld,uni,inpaint", {0, 1, 2}, em},
                             {"digits-variants-50", "model.kind=mld,uni,inpaint", {0, 1, 2}, dpm},
                             {"mnist-svhn-variants", "model.kind=mld,uni,inpaint", {0, 1, 2}, em},
                             {"mnist-svhn-variants-50", "model.kind=mld,uni,inpaint", {0, 1, 2}, dpm},
                             {"mnist-svhn-d", "score.d=0.1,0.3,0.5,0.7,0.9", {0}, em}}) {
    CAPTURE(study.folder);
    const std::vector<fs::path> files = evaluations(study.folder);
    CHECK(compare(files).front().rows.size() == files.size() / study.seeds.size());

    const auto [key, values] = parse_variation(study.variation);
    Evaluation first = tables::read_evaluation(files.front());
    first.settings.erase(key);
    int trained = 0;
    AblationHooks hooks;
    hooks.train.progress = [&](const StageProgress&) { ++trained; };
    hooks.train.stop = [] { return true; };
    const AblationResult found =
        ablate({.key = key,
                .values = values,
                .seeds = study.seeds,
                .configure =
                    [&](const std::vector<std::string>& cell) {
                      std::vector<std::string> settings = settings_of(first.settings);
                      settings.push_back("data.store=" + (folder / "store").string());
                      settings.insert(settings.end(), cell.begin(), cell.end());
                      return configured(first.preset, settings);
                    },
                .out = folder / study.folder,
                .results = kResults / study.folder,
                .evaluation = {},
                .sampling =
                    [&](SampleSettings own) {
                      own.sampler = changed(own.sampler, study.sampler);
                      return own;
                    }},
               hooks);
    CHECK(found.cells.size() == files.size());
    CHECK(!found.stopped);  // as it would if it had wanted to train
    CHECK(trained == 0);
  }
}

TEST_CASE(
    "results: bench-samplers knows every sampler of the committed comparisons, and asks for no other like "
    "it") {
  for (const char* name : {"digits.json", "mnist-svhn.json"}) {
    CAPTURE(name);
    const std::string text = read_text(kResults / "samplers" / name);
    const SamplerBench bench = parse_sampler_bench(text, name);
    const auto how = nlohmann::json::parse(bench.reference.how).at("run");
    const Config config = configured(how.at("preset"), settings_of(how.at("settings")));
    CHECK(score_hash(config) == how.at("config_hash").get<std::string>());
    std::vector<nlohmann::json> asked, there;
    for (const SamplerOptions& sampler : sampler_candidates(config.sampler))
      asked.push_back(schedule_record(sampler));
    for (const SamplerResult& result : bench.results) there.push_back(schedule_record(result.sampler));
    for (const nlohmann::json& sampler : there) CHECK(std::ranges::count(asked, sampler) == 1);
    CHECK(there.size() >= 27);
    CHECK(there.front() == asked.front());
    // What is written of a sampler is what was read.
    const auto before = nlohmann::json::parse(text), after = nlohmann::json::parse(to_json(bench));
    for (std::size_t k = 0; k < before["samplers"].size(); ++k)
      CHECK(after["samplers"][k]["schedule"].dump() == before["samplers"][k]["schedule"].dump());
  }
}

}  // namespace mld
