#include "mld/config/config.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <sstream>

#include "engine/base/notes.h"
#include "tests/expect_error.h"
#include "tests/mld/config/config_sources.h"
#include "tests/temp_folder.h"

namespace {

using mld::Config;
using mld::ConfigSources;
using mld::ErrorKind;
using mld::test::contains;
using mld::test::description;
using mld::test::error_of;
using mld::test::with;

std::string error_with(std::vector<std::string> settings) {
  return error_of(ErrorKind::usage, [&] { with(std::move(settings)); });
}

std::string error_of_json(const std::string& json) {
  return error_of(ErrorKind::usage, [&] { mld::parse_config(json, "run.json"); });
}

Config with_variable(const std::string& name, const std::string& value,
                     std::vector<std::string> settings = {}) {
  ConfigSources sources;
  sources.preset = "mnist-svhn";
  sources.environment = {{name, value}};
  sources.settings = std::move(settings);
  return mld::resolve_config(sources);
}

}  // namespace

TEST_CASE("config: the presets hold the papers' numbers") {
  const Config ms = with({});
  REQUIRE(ms.modalities.size() == 2);
  CHECK(ms.modalities[0].name == "mnist");
  CHECK(ms.modalities[1].name == "svhn");
  CHECK(ms.modalities[0].latent + ms.modalities[1].latent == 80);
  CHECK(ms.modalities[1].likelihood == mld::Likelihood::laplace);
  CHECK(ms.modalities[1].scale == 0.75);
  CHECK(ms.modalities[1].stage1.steps == 96'360);
  CHECK(ms.modalities[0].stage1.lr == 1e-3);
  CHECK(ms.modalities[0].classifier_training.batch == 256);
  CHECK(ms.score.width == 512);
  CHECK(ms.score.steps == 150 * 8760);
  CHECK(ms.score.lr == 1e-4);
  CHECK(ms.score.schedule == mld::LearningRate::constant);
  CHECK(ms.score.ema == 0.999);
  CHECK(ms.score.d == 0.5);
  CHECK(ms.sampler.method == mld::SamplerMethod::em);
  CHECK(ms.sampler.steps == 250);
  CHECK(ms.sampler.resample == 10);
  CHECK(ms.preset == "mnist-svhn");

  const Config digits = with({}, "digits");
  CHECK(digits.modalities[1].name == "sound");
  CHECK(digits.modalities[2].autoencoder == mld::AutoencoderKind::mhd_trajectory);
  CHECK(digits.modalities[2].likelihood == mld::Likelihood::normal);
  CHECK(digits.score.schedule == mld::LearningRate::cosine);
  CHECK(digits.score.latent_coordinates == mld::LatentCoordinates::principal);
  CHECK(digits.modalities[0].stage1 == digits.stage1);
  CHECK(digits.modalities[2].stage1.schedule == digits.stage1.schedule);
  CHECK(digits.modalities[2].stage1.lr > digits.stage1.lr);  // its own, in the same layer

  const Config mhd = with({}, "mhd");
  CHECK(mhd.score.width == 1024);
  CHECK(mhd.score.groups == 32);
  CHECK(mhd.score.steps == 3000 * 390);
  CHECK(mhd.modalities[1].latent == 128);

  const Config poly = with({}, "polymnist");
  REQUIRE(poly.modalities.size() == 5);
  for (std::size_t m = 0; m < 5; ++m) {
    CHECK(poly.modalities[m].name == "m" + std::to_string(m));
    CHECK(poly.modalities[m].autoencoder == mld::AutoencoderKind::polymnist);
    CHECK(poly.modalities[m].classifier == mld::ClassifierKind::polymnist);
    CHECK(poly.modalities[m].latent == 160);
    CHECK(poly.modalities[m].likelihood == mld::Likelihood::laplace);
    CHECK(poly.modalities[m].stage1.steps == 300 * (60'000 / 128));
  }
  CHECK(poly.score.width == 1536);
  CHECK(poly.score.batch == 256);
  CHECK(poly.score.steps == 3000 * (60'000 / 256));

  const Config cub = with({}, "cub");
  REQUIRE(cub.modalities.size() == 2);
  CHECK(cub.modalities[0].autoencoder == mld::AutoencoderKind::cub_image);
  CHECK(cub.modalities[1].autoencoder == mld::AutoencoderKind::cub_caption);
  CHECK(cub.modalities[1].likelihood == mld::Likelihood::categorical);
  CHECK(cub.modalities[0].latent + cub.modalities[1].latent == 96);
  CHECK(cub.modalities[0].stage1.epochs == 500);
  CHECK(cub.modalities[0].stage1.weight_decay == 1e-6);
  CHECK(cub.modalities[1].stage1.lr == 1e-4);
  CHECK(cub.score.steps == 3000 * (88'550 / 64));
  // lambda and gamma of NEXUS: 1/128 and 1 of pictures, 5 and 128 of captions.
  CHECK(cub.modalities[0].nexus_weight * cub.modalities[0].nexus_upper == 1);
  CHECK(cub.modalities[1].nexus_weight * cub.modalities[1].nexus_upper == 128);
}

TEST_CASE("config: what a preset has for one kind of model is of that kind alone, and yields to settings") {
  const auto vae = [](std::vector<std::string> settings) { return with(std::move(settings), "cub").vae; };
  CHECK(vae({"model.kind=mvae"}).beta == 9);
  CHECK(vae({"model.kind=mvae"}).lr == 5e-4);
  CHECK(vae({"model.kind=mmvae"}).beta == 1);
  CHECK(vae({"model.kind=mmvae"}).lr == 1e-3);
  CHECK(vae({"model.kind=mmvae"}).latent == 64);
  CHECK(vae({"vae.beta=3", "model.kind=mmvae"}).beta == 3);
  CHECK(vae({"model.kind=mmvae", "model.kind=mopoe"}).beta == 9);  // the last one counts
  const mld::test::TempFolder folder;
  ConfigSources sources;
  sources.preset = "cub";
  sources.file = folder / "of.json";
  mld::test::write_bytes(folder / "of.json", R"({"model": {"kind": "nexus"}})");
  CHECK(mld::resolve_config(sources).vae.beta == 1);
  sources.environment = {{"MLD_MODEL__KIND", "mvtcae"}};
  CHECK(mld::resolve_config(sources).vae.beta == 9);
  // A saved configuration says all itself.
  const Config saved = with({"model.kind=mmvae", "vae.beta=9"}, "cub");
  CHECK(mld::parse_config(mld::to_json(saved), "saved") == saved);
}

TEST_CASE("config: the saved configuration parses back to the same one") {
  for (const mld::Preset& preset : mld::presets()) {
    const Config config =
        with({"seed=18446744073709551615", "score.lr=0.1",
              "modalities." + with({}, std::string(preset.name)).modalities[1].name + ".stage1.lr=0.3",
              "data.store=ünï \"x\"\\", "score.mults=[1,2,3]"},
             std::string(preset.name));
    const std::string json = mld::to_json(config);
    CHECK(mld::parse_config(json, "saved") == config);
    CHECK(mld::to_json(mld::parse_config(json, "saved")) == json);
  }
}

// Each key is changed alone, to an end of its range or another of its values; the change must reach the
// struct, come back from the saved file, and be the only difference. This holds for keys that are added
// later, too.
TEST_CASE("config: every key of the reference can be set, saved and told apart") {
  const Config base = with({});
  std::set<std::string> keys;
  for (const mld::ConfigKey& entry : mld::config_keys()) {
    CHECK(keys.insert(entry.key).second);
    CHECK(!entry.meaning.empty());
    if (entry.key == "preset" || entry.key == "model.kind" || entry.key.ends_with(".name") ||
        entry.key.ends_with(".*"))
      continue;
    std::string key = entry.key;
    if (const auto at = key.find("NAME"); at != std::string::npos) key.replace(at, 4, "svhn");
    std::istringstream words(entry.allowed);
    std::vector<std::string> values = {"[2,1,2]", "some/folder", "7"};
    for (std::string word; words >> word;) values.push_back(word);
    int changed = 0;
    for (const std::string& value : values) try {
        const Config config = with({key + "=" + value});
        std::vector<mld::SettingDifference> differences = mld::differences(config, base);
        if (key.starts_with("stage1.") || key.starts_with("classifier_training."))
          std::erase_if(differences, [](const auto& d) { return d.key.starts_with("modalities."); });
        if (differences.empty()) continue;
        ++changed;
        CHECK(config != base);
        CHECK(differences.size() == 1);
        CHECK(differences[0].key == key);
        CHECK(mld::parse_config(mld::to_json(config), "saved") == config);
      } catch (const mld::Error& error) {
        CHECK(error.kind() == ErrorKind::usage);
      }
    CHECK_MESSAGE(changed > 0, key);
  }
  CHECK(keys.contains("score.fourier_features"));
  CHECK(keys.contains("modalities.NAME.latent"));
  CHECK(keys.contains("modalities.NAME.layers.depth"));
  CHECK(keys.size() > 60);
}

TEST_CASE("config: defaults < preset < file < environment < settings") {
  const mld::test::TempFolder folder;
  ConfigSources sources;
  CHECK(Config().score.width == 512);
  sources.preset = "digits";
  CHECK(mld::resolve_config(sources).score.width == 256);
  sources.file = (folder / "c.json").string();
  mld::test::write_bytes(folder / "c.json", R"({ // comments are fine
    "preset": "mnist-svhn", /* the command line's preset wins */
    "score": {"width": 352, "d": 0.9}})");
  CHECK(mld::resolve_config(sources).score.width == 352);
  CHECK(mld::resolve_config(sources).preset == "digits");
  sources.environment = {{"MLD_SCORE__WIDTH", "384"}, {"MLD_SEED", "5"}};
  CHECK(mld::resolve_config(sources).score.width == 384);
  sources.settings = {"score.width=416", "score.width=448"};
  const Config config = mld::resolve_config(sources);
  CHECK(config.score.width == 448);
  CHECK(config.score.d == 0.9);
  CHECK(config.seed == 5);
  CHECK(config.score.schedule == mld::LearningRate::cosine);  // of the preset
  CHECK(config.sampler.jump == 10);

  sources.preset.clear();
  CHECK(mld::resolve_config(sources).preset == "mnist-svhn");
  sources.environment["MLD_PRESET"] = "mhd";
  CHECK(mld::resolve_config(sources).modalities.size() == 3);
  sources.settings.emplace_back("preset=digits");
  CHECK(mld::resolve_config(sources).modalities[0].latent < 64);  // MHD's
}

TEST_CASE("config: values of settings and variables") {
  CHECK(with({"score.steps=2e4"}).score.steps == 20'000);
  CHECK(with({"score.lr=1"}).score.lr == 1.0);
  CHECK(with({"score.decoupled_decay=true"}).score.decoupled_decay);
  CHECK(with({"data.store=a=b.c"}).data.store == "a=b.c");
  CHECK(with({"data.store=12"}).data.store == "12");
  CHECK(with({"data.store="}).data.store.empty());
  CHECK(with({"score.mults=[1,2,2]"}).score.mults == std::vector<std::int64_t>{1, 2, 2});
  CHECK(with({"modalities.svhn.likelihood=normal"}).modalities[1].likelihood == mld::Likelihood::normal);
  CHECK(with_variable("MLD_MODALITIES__SVHN__STAGE1__LR", "0.5").modalities[1].stage1.lr == 0.5);
  CHECK(with_variable("MLD_DATA__STORE", "Some/Folder").data.store == "Some/Folder");
  CHECK(with_variable("MLD_SCORE__SUBSETS", "per_batch").score.subsets == mld::SubsetDraw::per_batch);

  ConfigSources sources;
  sources.environment = {{"MLD_MODALITIES__MY_VIEW__LATENT", "3"}};
  sources.settings = {"data.store=x"};
  sources.describe = [](const std::string&) {
    mld::data::Description d = description();
    d.modalities[0].name = "My-View";
    return d;
  };
  CHECK(mld::resolve_config(sources).modalities[0].latent == 3);
}

TEST_CASE("config: a list of modalities starts from the ones below of the same names") {
  const Config config = mld::parse_config(R"({"preset": "mnist-svhn", "stage1": {"clip": 2},
    "modalities": [{"name": "svhn", "latent": 32}, {"name": "new", "autoencoder": "conv", "stage1": {"lr": 0.5}}]})",
                                          "run.json");
  REQUIRE(config.modalities.size() == 2);
  CHECK(config.modalities[0].name == "svhn");
  CHECK(config.modalities[0].latent == 32);
  CHECK(config.modalities[0].autoencoder == mld::AutoencoderKind::svhn_conv);
  CHECK(config.modalities[0].stage1.steps == 96'360);
  CHECK(config.modalities[0].stage1.clip == 2);
  CHECK(config.modalities[1].autoencoder == mld::AutoencoderKind::conv);
  CHECK(config.modalities[1].stage1.clip == 2);
  CHECK(config.modalities[1].stage1.lr == 0.5);
}

TEST_CASE("config: a key for all modalities, and for one") {
  CHECK(with({"stage1.steps=7"}).modalities[1].stage1.steps == 7);
  const Config one = with({"stage1.steps=7", "modalities.svhn.stage1.steps=9"});
  CHECK(one.modalities[0].stage1.steps == 7);
  CHECK(one.modalities[1].stage1.steps == 9);
  CHECK(with({"modalities.svhn.stage1.steps=9", "stage1.steps=7"}).modalities[1].stage1.steps == 7);
  CHECK(with({"classifier_training.batch=3"}).modalities[0].classifier_training.batch == 3);
  CHECK(with({"classifier_training.batch=3"}).modalities[0].stage1.batch == 128);
  // A saved configuration names every key of every modality, and still gives way to a setting.
  const Config saved = mld::parse_config(mld::to_json(one), "saved");
  CHECK(saved == one);
  const mld::test::TempFolder folder;
  mld::test::write_bytes(folder / "config.json", mld::to_json(one));
  ConfigSources sources;
  sources.file = (folder / "config.json").string();
  sources.settings = {"stage1.steps=11"};
  CHECK(mld::resolve_config(sources).modalities[1].stage1.steps == 11);
  // Variables have no order: the one of a modality wins.
  sources.settings.clear();
  sources.environment = {{"MLD_STAGE1__STEPS", "21"}, {"MLD_MODALITIES__SVHN__STAGE1__STEPS", "22"}};
  CHECK(mld::resolve_config(sources).modalities[0].stage1.steps == 21);
  CHECK(mld::resolve_config(sources).modalities[1].stage1.steps == 22);
}

TEST_CASE("config: unknown keys offer the nearest valid one") {
  CHECK(contains(error_with({"score.widht=3"}), "'score.widht': unknown key, did you mean score.width?"));
  CHECK(contains(error_with({"scor.width=3"}), "did you mean score?"));
  CHECK(contains(error_with({"width=3"}), "did you mean score.width?"));
  CHECK(contains(error_with({"sampler.temperature=3"}),
                 "unknown key; sampler has method, steps, jump, resample"));
  CHECK(contains(error_with({"modalities.svnh.latent=3"}), "no such modality, did you mean svhn?"));
  CHECK(contains(error_with({"modalities.text.latent=3"}), "no such modality; there are mnist, svhn"));
  CHECK(contains(error_with({"modalities.svhn.latents=3"}), "did you mean modalities.svhn.latent?"));
  CHECK(contains(error_with({"modalities.svhn.stage1.learning_rate=3"}), "modalities.svhn.stage1 has steps"));
  CHECK(contains(error_of_json(R"({"preset": "digits", "Score": {}})"),
                 "run.json: 'Score': unknown key, did you mean score?"));
  CHECK(contains(error_of(ErrorKind::usage, [] { with({}, "digit"); }),
                 "none named 'digit', did you mean digits?"));
  CHECK(contains(error_of(ErrorKind::usage, [] { with({}, "imagenet"); }),
                 "there are digits, mnist-svhn, mnist-svhn-fast, mhd"));
  const std::string variable = error_of(ErrorKind::usage, [] { with_variable("MLD_SCORE__WITDH", "3"); });
  CHECK(contains(variable,
                 "variable 'MLD_SCORE__WITDH': 'score.witdh': unknown key, did you mean score.width?"));
  CHECK(contains(error_of(ErrorKind::usage, [] { with_variable("MLD_SEDE", "3"); }), "did you mean seed?"));
  error_of(ErrorKind::usage, [] { with_variable("MLD_", "3"); });
  error_of(ErrorKind::usage, [] { with_variable("MLD_SCORE____WIDTH", "3"); });
}

TEST_CASE("config: wrong types, ranges and forms") {
  struct Row {
    const char *setting, *expected;
  };
  for (const Row& row : std::vector<Row>{
           {"score.width", "expected key=value"},
           {"", "expected key=value"},
           {"=3", "unknown key"},
           {"score=3", "score: is a section; set one of network, width, time_dim"},
           {"score.width.x=3", "score.width: has no keys below it"},
           {"modalities=[]", "set a key of one modality"},
           {"modalities.svhn=3", "set a key of one modality"},
           {"modalities.svhn.stage1=3", "is a section"},
           {"score.width=wide", "score.width: expected an integer, found 'wide'"},
           {"score.width=", "expected an integer, found ''"},
           {"score.width=1.5", "expected an integer, found 1.5"},
           {"score.width=[1]", "expected an integer, found '[1]'"},
           {"score.width=0", "expected 1 to 65536, found 0"},
           {"score.width=-8", "expected 1 to 65536, found -8"},
           {"score.width=1e300", "expected 1 to 65536, found 1e+300"},
           {"score.width=1e999", "found '1e999'"},
           {"score.lr=fast", "expected a number, found 'fast'"},
           {"score.lr=0", "expected 1e-12 to 10, found 0"},
           {"score.lr=nan", "expected a number"},
           {"score.d=1.01", "expected 0 to 1, found 1.01"},
           {"score.d=true", "expected a number, found true"},
           {"score.ema=1", "score.ema: expected 0 to"},
           {"score.decoupled_decay=yes", "expected true or false, found 'yes'"},
           {"score.decoupled_decay=1", "expected true or false, found 1"},
           {"score.subsets=per_smaple",
            "expected one of per_sample, per_batch, found 'per_smaple'; did you mean per_sample?"},
           {"score.mults=2", "expected a list of 1 to 8 integers"},
           {"score.mults=[]", "expected a list of 1 to 8 integers"},
           {"score.mults=[1,1,1,1,1,1,1,1,1]", "expected a list of 1 to 8 integers"},
           {"score.mults=[1,0]", "score.mults[1]: expected 1 to 64, found 0"},
           {"seed=-1", "seed: expected an integer from 0 to 2^64-1, found '-1'"},
           {"seed=18446744073709551616", "seed: expected an integer from 0 to 2^64-1"},
           {"model.kind=gan",
            "expected one of mld, inpaint, uni, mvae, mmvae, mopoe, mvtcae, nexus, found 'gan'"},
           {"data.store=\xff", "is not UTF-8"},
           {"threads=2000", "expected 0 to 1024"},
           {"score.guidance=0", "expected 0.1 to 100"}}) {
    const std::string message = error_with({row.setting});
    CHECK_MESSAGE(contains(message, row.expected), message);
    CHECK_MESSAGE(contains(message, "setting '"), message);
    CHECK_MESSAGE(!contains(message, "\n"), message);
  }
}

TEST_CASE("config: files that are no configuration") {
  struct Row {
    const char *json, *expected;
  };
  const std::string deep = "{\"score\":" + std::string(500'000, '[');
  for (const Row& row : std::vector<Row>{
           {"", "run.json: not valid JSON: parse error at line 1, column 1"},
           {"{\"seed\": 1,}", "not valid JSON: parse error at line 1, column 12"},
           {"{\"seed\": 1e999}", "not valid JSON"},
           {"{\"seed\": nan}", "not valid JSON"},
           {"{\"a\xff\": 1}", "not valid JSON"},
           {"{\"seed\": 1} x", "not valid JSON"},
           {"{\"seed\": 1, \"seed\": 2}", "not valid JSON: key 'seed' appears twice"},
           {R"({"score": {"d": 1, "d": 1}})", "key 'd' appears twice"},
           {deep.c_str(), "nested deeper than 16 levels"},
           {"[]", "expected a section { ... }, found a list"},
           {"3", "expected a section { ... }, found 3"},
           {R"({"score": 3})", "score: expected a section"},
           {R"({"score": null})", "score: expected a section { ... }, found null"},
           {R"({"score": {"width": "256"}})", "score.width: expected an integer, found '256'"},
           {R"({"score": {"width": {}}})", "score.width: expected an integer, found a section"},
           {R"({"modalities": {}})", "modalities: expected a list"},
           {R"({"modalities": [3]})", "modalities[0]: expected a section with a \"name\", found 3"},
           {R"({"modalities": [{"name": "a"}, {"latent": 3}]})",
            "modalities[1]: expected a section with a \"name\""},
           {R"({"modalities": [{"name": "a b"}]})", "letters, digits"},
           {R"({"modalities": [{"name": "a"}, {"name": "a"}]})", "modalities.a: is there twice"},
           {R"({"modalities": [{"name": "a", "autoencoder": "svhn"}]})", "did you mean svhn_conv?"},
           {R"({"modalities": [{"name": "a", "stage1": {"lr": -1}}]})", "modalities.a.stage1.lr: expected"},
           {"{}", "modalities: there are none; choose a preset"},
           {R"({"preset": "digits", "data": {"store": 3}})", "data.store: expected a text, found 3"}}) {
    const std::string message = error_of_json(row.json);
    CHECK_MESSAGE(contains(message, row.expected), message);
  }
  std::string many = R"({"modalities": [)";
  for (int i = 0; i < 17; ++i) many += (i ? ",{\"name\":\"m" : "{\"name\":\"m") + std::to_string(i) + "\"}";
  CHECK(contains(error_of_json(many + "]}"), "17, at most 16 are possible"));

  const mld::test::TempFolder folder;
  ConfigSources sources;
  sources.file = (folder / "none.json").string();
  CHECK(
      contains(error_of(ErrorKind::usage, [&] { mld::resolve_config(sources); }), "none.json: no such file"));
  mld::test::write_bytes(folder / "none.json", std::string(2 << 20, ' '));
  CHECK(contains(error_of(ErrorKind::usage, [&] { mld::resolve_config(sources); }),
                 "expected at most 1048576"));
}

TEST_CASE("config: values that contradict each other") {
  CHECK(contains(error_with({"score.groups=7"}), "score.groups: 7 does not divide score.width, 512"));
  CHECK(contains(error_with({"sampler.jump=251"}), "sampler.jump: 251 is more than sampler.steps, 250"));
  CHECK(contains(error_with({"score.steps=0"}), "score: no budget"));
  CHECK(contains(error_with({"stage1.steps=0"}), "modalities.mnist.stage1: no budget"));
  CHECK(with({"score.steps=0", "score.epochs=2"}).score.epochs == 2);
  CHECK(with({"score.steps=0", "score.minutes=0.5"}).score.minutes == 0.5);
  CHECK(contains(error_with({"score.steps=0", "score.minutes=1", "score.schedule=cosine"}),
                 "a cosine needs a budget"));
  CHECK(contains(error_with({"score.schedule=cosine", "score.final_lr=0.1"}),
                 "score.final_lr: 0.1 is above lr"));
  // A classifier that is not there needs no budget.
  with({"classifier_training.epochs=0", "modalities.mnist.classifier=none",
        "modalities.svhn.classifier=none"});
}

TEST_CASE("config: all problems of all layers at once") {
  const mld::test::TempFolder folder;
  mld::test::write_bytes(folder / "c.json",
                         R"({"scroe": {}, "sampler": {"steps": -1, "jump": "x"}, "stage1": {"lr": 99}})");
  ConfigSources sources;
  sources.preset = "mnist-svhn";
  sources.file = (folder / "c.json").string();
  sources.environment = {{"MLD_THREADS", "many"}};
  sources.settings = {"score.groups=3"};
  const std::string message = error_of(ErrorKind::usage, [&] { mld::resolve_config(sources); });
  CHECK(contains(message, "configuration: 6 problems\n"));
  for (const char* part :
       {"'scroe': unknown key, did you mean score?", "sampler.steps: expected", "sampler.jump: expected",
        "stage1.lr: expected", "MLD_THREADS", "score.groups: 3 does not divide"})
    CHECK_MESSAGE(contains(message, part), part);
  CHECK(std::ranges::count(message, '\n') == 6);
}

TEST_CASE("config: the environment of the process") {
  std::string notes;
  mld::set_note_handler([&](const std::string& line) { notes += line + "\n"; });
  const std::vector<std::string> settings{
      "MLD_SCORE__WIDTH",          "MLD_SEED",       "MLD_SEDE",  "MLD_PRESET",    "MLD_SCORE__WIDHT",
      "MLD_SCORE_WIDTH",           "MLD_SCOREWIDTH", "MLD_WIDTH", "MLD_SAMPLER_X", "MLD_X__Y",
      "MLD_MODALITIES_SVHN_LATENT"};
  const std::vector<std::string> others{"MLD_WEIGHTS", "MLD_CONV",   "MLD_NO_GRAPH",
                                        "MLD_HOME",    "MLD_WEIGHT", "MLD_GPU_OUT"};
  for (const auto* names : {&settings, &others})
    for (const std::string& name : *names) ::setenv(name.c_str(), "a=b", 1);
  const auto variables = mld::mld_environment();
  for (const auto* names : {&settings, &others})
    for (const std::string& name : *names) ::unsetenv(name.c_str());
  mld::set_note_handler({});
  for (const std::string& name : settings) {
    CHECK_MESSAGE(variables.contains(name), name);
    CHECK_MESSAGE(!contains(notes, name), name);
  }
  for (const std::string& name : others) CHECK_MESSAGE(!variables.contains(name), name);
  CHECK(variables.at("MLD_SCORE__WIDTH") == "a=b");
  CHECK(!variables.contains("PATH"));
  CHECK(contains(notes, "variable 'MLD_HOME' is no setting and is ignored\n"));
  CHECK(contains(notes, "variable 'MLD_WEIGHT' is no setting and is ignored; did you mean MLD_WEIGHTS?\n"));
  CHECK(!contains(notes, "'MLD_WEIGHTS'"));
  CHECK(contains(error_of(ErrorKind::usage, [] { with_variable("MLD_CLASSIFIER_TRAINING_BATCH", "3"); }),
                 "did you mean classifier_training.batch, whose '.' is written '__'?"));
  // What was meant as a setting and is none ends where the configuration is resolved.
  for (const char* name : {"MLD_SEDE", "MLD_SCORE_WIDTH", "MLD_WIDTH", "MLD_SAMPLER_X"})
    CHECK(contains(error_of(ErrorKind::usage, [&] { with_variable(name, "3"); }), name));
}

TEST_CASE("config: the reference fits a terminal and names every key") {
  const std::string text = mld::config_reference();
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) CHECK_MESSAGE(line.size() <= 110, line);
  for (const mld::ConfigKey& key : mld::config_keys()) CHECK(contains(text, "  " + key.key));
  CHECK(contains(text, "score.width = 512 (1 .. 65536)"));
  CHECK(contains(text, "score.time_sampling = \"uniform\" (uniform | importance | lognormal)"));
}
