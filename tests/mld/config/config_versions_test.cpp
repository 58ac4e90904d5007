// What tells configurations apart, and what those of earlier versions and of the user's own data mean.
#include <doctest/doctest.h>

#include <map>
#include <set>

#include "mld/config/config_json.h"
#include "mld/config/hashes.h"
#include "tests/expect_error.h"
#include "tests/mld/config/config_sources.h"
#include "tests/temp_folder.h"

// Sections as a version and the next have them: with keys that came later, whose defaults are not what was done
// before, and with a section of such keys alone.
namespace mld::test {
struct Extras {
  double strength = 0.5;
  bool operator==(const Extras&) const = default;
};
struct Inner {
  std::int64_t width = 3;
};
struct LaterInner : Inner {
  mld::Units units = mld::Units::standard;
};
struct Before {
  std::int64_t steps = 7;
  Inner inner;
};
struct Later {
  std::int64_t steps = 7;
  double tau = 0.25;
  bool early = true;
  LaterInner inner;
  Extras extras;
};
struct LaterScore : mld::ScoreConfig {
  double tau = 0.25;
};
}  // namespace mld::test

namespace mld::config {
using namespace mld::test;
template <>
struct Fields<Extras> {
  static void visit(auto& c, auto&& v) { v("strength", c.strength, Limits{0, 1}.added(0.1), ""); }
};
template <>
struct Fields<Inner> {
  static void visit(auto& c, auto&& v) { v("width", c.width, Limits{1, 9}, ""); }
};
template <>
struct Fields<LaterInner> {
  static void visit(auto& c, auto&& v) {
    Fields<Inner>::visit(c, v);
    v("units", c.units, kAny.added(Units::unit), "");
  }
};
template <>
struct Fields<Before> {
  static void visit(auto& c, auto&& v) {
    v("steps", c.steps, Limits{1, 9}, "");
    v("inner", c.inner, kAny, "");
  }
};
template <>
struct Fields<Later> {
  static void visit(auto& c, auto&& v) {
    v("tau", c.tau, Limits{0, 1}.added(0.125), "");
    v("steps", c.steps, Limits{1, 9}, "");
    v("early", c.early, kAny.added(false), "");
    v("inner", c.inner, kAny, "");
    v("extras", c.extras, kAny, "");
  }
};
template <>
struct Fields<LaterScore> {
  static void visit(auto& c, auto&& v) {
    Fields<ScoreConfig>::visit(c, v);
    v("tau", c.tau, Limits{0, 1}.added(0.125), "");
  }
};
}  // namespace mld::config

namespace {

using mld::Config;
using mld::ConfigSources;
using mld::ErrorKind;
using mld::test::contains;
using mld::test::description;
using mld::test::error_of;
using mld::test::with;

}  // namespace

TEST_CASE("config: data of the user's own") {
  ConfigSources sources;
  std::string asked;
  sources.describe = [&](const std::string& store) {
    asked = store;
    return description();
  };
  sources.settings = {"data.store=my/data", "modalities.sensor.latent=5"};
  const Config config = mld::resolve_config(sources);
  CHECK(asked == "my/data");
  REQUIRE(config.modalities.size() == 4);
  CHECK(config.modalities[0].autoencoder == mld::AutoencoderKind::conv);
  CHECK(config.modalities[0].classifier == mld::ClassifierKind::residual);
  CHECK(config.modalities[1].autoencoder == mld::AutoencoderKind::conv);
  CHECK(config.modalities[2].autoencoder == mld::AutoencoderKind::mlp);
  CHECK(config.modalities[2].latent == 5);
  CHECK(config.modalities[3].likelihood == mld::Likelihood::categorical);
  std::int64_t latents = 0;
  for (const auto& modality : config.modalities) latents += modality.latent;
  CHECK(config.score.width >= latents);
  CHECK(mld::parse_config(mld::to_json(config), "saved") == config);

  asked.clear();
  sources.preset = "digits";
  sources.settings = {"data.store=my/data"};
  CHECK(mld::resolve_config(sources).modalities.size() == 3);
  CHECK(asked.empty());

  mld::data::Description unlabelled = description();
  unlabelled.classes = 0;
  CHECK(mld::default_config(unlabelled).modalities[0].classifier == mld::ClassifierKind::none);
}

TEST_CASE("config: without a preset networks and batches follow kind and shape") {
  const auto chosen = [](mld::data::ModalityKind kind, mld::Shape shape) {
    mld::data::Description d;
    d.classes = 2;
    mld::data::Modality& m = d.modalities.emplace_back();
    m.name = "m";
    m.kind = kind;
    m.shape = std::move(shape);
    if (mld::data::is_discrete(kind)) m.categories = 9;
    return mld::default_config(d).modalities[0];
  };
  using mld::AutoencoderKind;
  using mld::ClassifierKind;
  using mld::data::ModalityKind;
  struct Row {
    ModalityKind kind;
    mld::Shape shape;
    AutoencoderKind autoencoder;
    ClassifierKind classifier;
    std::int64_t depth, batch;
  };
  for (const Row& r :
       {Row{ModalityKind::image, {28, 28, 1}, AutoencoderKind::conv, ClassifierKind::conv, 2, 128},
        Row{ModalityKind::image, {32, 32, 3}, AutoencoderKind::conv, ClassifierKind::conv, 2, 128},
        Row{ModalityKind::image, {33, 45, 3}, AutoencoderKind::conv, ClassifierKind::residual, 3, 128},
        Row{ModalityKind::image, {3, 64, 1}, AutoencoderKind::mlp, ClassifierKind::mlp, 2, 128},
        Row{ModalityKind::image, {4, 4096, 1}, AutoencoderKind::conv, ClassifierKind::conv, 2, 128},
        Row{ModalityKind::image, {512, 512, 3}, AutoencoderKind::conv, ClassifierKind::residual, 6, 16},
        Row{ModalityKind::spectrogram, {32, 128}, AutoencoderKind::conv, ClassifierKind::residual, 3, 128},
        Row{ModalityKind::vector, {2000}, AutoencoderKind::mlp, ClassifierKind::mlp, 2, 128},
        Row{ModalityKind::series, {100, 2}, AutoencoderKind::series, ClassifierKind::series, 2, 128},
        Row{ModalityKind::series, {3, 2}, AutoencoderKind::mlp, ClassifierKind::mlp, 2, 128},
        Row{ModalityKind::series, {16000, 1}, AutoencoderKind::series, ClassifierKind::series, 8, 128},
        Row{ModalityKind::tokens, {16}, AutoencoderKind::tokens, ClassifierKind::mlp, 2, 128},
        Row{ModalityKind::categorical, {1}, AutoencoderKind::mlp, ClassifierKind::mlp, 2, 128}}) {
    CAPTURE(r.shape);
    const mld::ModalityConfig m = chosen(r.kind, r.shape);
    CHECK(m.autoencoder == r.autoencoder);
    CHECK(m.classifier == r.classifier);
    CHECK(m.layers == mld::LayersConfig{.depth = r.depth});
    CHECK(m.stage1.batch == r.batch);
    CHECK(m.classifier_training.batch == r.batch);
  }
}

TEST_CASE("config: differences name the keys") {
  CHECK(mld::differences(with({}), with({})).empty());
  const auto list = mld::differences(with({"score.width=256"}), with({"modalities.svhn.latent=32"}));
  REQUIRE(list.size() == 2);
  CHECK(list[0].str() == "modalities.svhn.latent: 64, not 32");
  CHECK(list[1] == mld::SettingDifference{"score.width", "256", "512"});
  Config fewer = with({});
  fewer.modalities.pop_back();
  const auto missing = mld::differences(fewer, with({}));
  REQUIRE(missing.size() == 1);
  CHECK(missing[0].str() == "modalities: mnist, not mnist, svhn");
}

TEST_CASE("config: what a run was trained with beyond its preset") {
  const auto beyond = [](const std::vector<std::string>& settings) {
    return mld::settings_beyond_preset(with(settings), {});
  };
  CHECK(beyond({}).empty());
  // Not what samples, logs or measures, and not the seed.
  CHECK(beyond({"seed=3", "sampler.steps=50", "run.log_every=1", "threads=1",
                "modalities.svhn.classifier_training.steps=7"})
            .empty());
  CHECK(beyond({"score.d=0.25", "model.kind=uni", "modalities.svhn.latent=32"}) ==
        std::map<std::string, std::string>{
            {"score.d", "0.25"}, {"model.kind", "\"uni\""}, {"modalities.svhn.latent", "32"}});
  // Of any preset and kind of model the kind is all.
  for (const mld::Preset& preset : mld::presets())
    for (const std::string_view kind : mld::kNames<mld::ModelKind>) {
      CAPTURE(preset.name);
      CAPTURE(kind);
      const auto settings = mld::settings_beyond_preset(
          with({"model.kind=" + std::string(kind)}, std::string(preset.name)), {});
      CHECK(settings.size() == (kind == "mld" ? 0 : 1));
    }
  // What the preset has for a kind of model is no setting, to do without it is one.
  const auto of_kind = [](const std::vector<std::string>& settings) {
    return mld::settings_beyond_preset(with(settings, "polymnist-fast"), {});
  };
  CHECK(of_kind({"model.kind=mvtcae"}) == std::map<std::string, std::string>{{"model.kind", "\"mvtcae\""}});
  CHECK(of_kind({"model.kind=mvtcae", "vae.clip=0"}) ==
        std::map<std::string, std::string>{{"model.kind", "\"mvtcae\""}, {"vae.clip", "0.0"}});

  mld::data::Description own;
  mld::data::Modality& v = own.modalities.emplace_back();
  v.name = "v";
  v.kind = mld::data::ModalityKind::vector;
  v.shape = {8};
  Config config = mld::default_config(own);
  CHECK(mld::settings_beyond_preset(config, own).empty());
  config.score.batch = 7;
  CHECK(mld::settings_beyond_preset(config, own) == std::map<std::string, std::string>{{"score.batch", "7"}});
}

TEST_CASE("config: hashes follow what a stage depends on, and nothing else") {
  const Config base = with({});
  const auto changes = [&](const std::string& setting) {
    const Config other = with({setting});
    std::string stages;
    if (mld::stage1_hash(base.modalities[1]) != mld::stage1_hash(other.modalities[1]))
      stages += "autoencoder ";
    if (mld::classifier_hash(base.modalities[1]) != mld::classifier_hash(other.modalities[1]))
      stages += "classifier ";
    if (mld::score_hash(base) != mld::score_hash(other)) stages += "score ";
    return stages;
  };
  CHECK(changes("seed=1").empty());
  CHECK(changes("threads=1").empty());
  CHECK(changes("data.store=x").empty());
  CHECK(changes("sampler.steps=100").empty());
  CHECK(changes("run.log_every=1").empty());
  CHECK(changes("score.width=256") == "score ");
  CHECK(changes("score.lr=1") == "score ");
  CHECK(changes("modalities.svhn.weight=2") == "score ");
  CHECK(changes("modalities.svhn.fresh=false") == "score ");
  CHECK(changes("vae.beta=1").empty());
  CHECK(changes("modalities.svhn.vae_weight=2").empty());
  CHECK(changes("modalities.svhn.nexus_scale=optimal").empty());
  CHECK(changes("modalities.svhn.nexus_upper=2").empty());
  CHECK(changes("model.kind=mvae") == "score ");
  CHECK(changes("modalities.svhn.layers.width=16") == "autoencoder score ");
  CHECK(changes("modalities.svhn.latent=2") == "autoencoder score ");
  CHECK(changes("stage1.steps=2") == "autoencoder score ");
  CHECK(changes("modalities.mnist.stage1.steps=2") == "score ");
  CHECK(changes("modalities.svhn.classifier=mlp") == "classifier ");
  CHECK(changes("classifier_training.batch=2") == "classifier ");
  // A setting younger than published hashes changes them only where it is used.
  const Config neutral = with({"score.schedule_steps=0", "stage1.schedule_steps=0"});
  CHECK(mld::score_hash(neutral) == mld::score_hash(base));
  CHECK(mld::score_hash(with({"score.schedule_steps=9"})) != mld::score_hash(neutral));
  CHECK(mld::stage1_hash(with({"stage1.schedule_steps=9"}).modalities[0]) !=
        mld::stage1_hash(neutral.modalities[0]));
  CHECK(mld::score_hash(base).size() == 16);
  CHECK(mld::stage1_hash(base.modalities[0]) != mld::stage1_hash(base.modalities[1]));
}

// Hashes that the program wrote before there were units, in docs/results and in runs; the preset was another then.
TEST_CASE("config: a key that came later is no part of a hash while it stands at its default") {
  const auto digits = [](const std::vector<std::string>& more) {
    std::vector<std::string> settings{"modalities.image.latent=8",
                                      "modalities.trajectory.latent=7",
                                      "modalities.trajectory.stage1.init=he",
                                      "modalities.trajectory.stage1.lr=1e-3",
                                      "score.network=resmlp",
                                      "score.blocks=6",
                                      "score.mults=[1]",
                                      "score.fourier_features=0",
                                      "score.d=0.2",
                                      "score.steps=20000",
                                      "score.time_log_mean=0.3",
                                      "score.time_log_std=1"};
    for (const std::string name : {"image", "sound", "trajectory"}) {
      settings.push_back("modalities." + name + ".stage1.batch=128");
      settings.push_back("modalities." + name + ".stage1.steps=" + (name == "sound" ? "2000" : "1500"));
    }
    settings.insert(settings.end(), more.begin(), more.end());
    return with(settings, "digits");
  };
  CHECK(mld::score_hash(digits({})) == "ae07d3225f2b0933");
  CHECK(mld::classifiers_hash(digits({})) == "590f954c9e8ab526");
  CHECK(mld::score_hash(digits({"model.kind=uni"})) == "24322fdee1c6d73c");
  CHECK(mld::score_hash(digits({"model.kind=inpaint"})) == "3763d38336c9c10d");
  CHECK(mld::score_hash(with(
            {"score.d=0.1", "modalities.mnist.stage1.final_lr=1e-05", "modalities.svhn.stage1.final_lr=1e-05",
             "modalities.mnist.stage1.schedule=cosine", "modalities.svhn.stage1.schedule=cosine",
             "modalities.mnist.stage1.steps=6000", "modalities.svhn.stage1.steps=10000",
             "score.final_lr=1e-05", "score.lr=0.0015", "score.mults=[1]", "score.prediction=velocity",
             "score.schedule=cosine", "score.steps=16000", "score.time_dim=128", "score.time_log_std=1.2",
             "score.time_sampling=lognormal", "score.warmup=200", "score.width=256"})) == "e8d10f309d4d060a");
  const mld::ModalityConfig image = digits({}).modalities[0];
  CHECK(mld::stage1_hash(image) == "27dfe936dcb3a88d");
  CHECK(mld::classifier_hash(image) == "6887038b1be6d9b1");
  for (const char* units : {"standard", "unit"}) {
    const Config other = digits({std::string("modalities.image.units=") + units});
    CHECK(mld::stage1_hash(other.modalities[0]) != "27dfe936dcb3a88d");
    CHECK(mld::classifier_hash(other.modalities[0]) != "6887038b1be6d9b1");
    CHECK(mld::score_hash(other) != "ae07d3225f2b0933");
  }
  // A saved configuration says it all the same, and one from before has what was done then.
  const Config standard = with({"modalities.image.units=standard"}, "digits");
  CHECK(mld::parse_config(mld::to_json(standard), "x") == standard);
  CHECK(contains(mld::to_json(with({}, "digits")), "\"units\": \"declared\""));
  std::string before = mld::to_json(standard);
  before.replace(before.find("\"units\": \"standard\","), 20, "");
  CHECK(mld::parse_config(before, "x").modalities[0].units == mld::Units::declared);
}

TEST_CASE("config: fingerprints of a key that comes later") {
  namespace c = mld::config;
  const auto fingerprint = [](const auto& section) {
    return c::fingerprint(c::value_json(section, c::Keys::fingerprint));
  };
  const std::string before = fingerprint(mld::test::Before{});
  mld::test::Later neutral;
  neutral.tau = 0.125;
  neutral.early = false;
  neutral.inner.units = mld::Units::unit;
  neutral.extras.strength = 0.1;
  CHECK(fingerprint(neutral) == before);
  std::set<std::string> seen{before};
  const auto changed = [&](auto change) {
    mld::test::Later later = neutral;
    change(later);
    return seen.insert(fingerprint(later)).second;
  };
  CHECK(changed([](auto& l) { l.tau = 0.25; }));
  CHECK(changed([](auto& l) { l.early = true; }));
  CHECK(changed([](auto& l) { l.inner.units = mld::Units::standard; }));
  CHECK(changed([](auto& l) { l.extras.strength = 0.5; }));
  CHECK(changed([](auto& l) { l.steps = 8; }));
  CHECK(changed([](auto& l) { l.inner.width = 4; }));
  CHECK(changed([](auto& l) { l = {}; }));  // the defaults, of which most came later

  // Beside the keys there are: the part of score_hash that a new key of the score network is in.
  mld::test::LaterScore score;
  static_cast<mld::ScoreConfig&>(score) = with({}, "digits").score;
  CHECK(fingerprint(score) != fingerprint(with({}, "digits").score));
  score.tau = 0.125;
  CHECK(fingerprint(score) == fingerprint(with({}, "digits").score));
}

// What a key stands for that runs of before do not have never changes: a line for each, written when the key came.
TEST_CASE("config: what was done before there was a key") {
  std::map<std::string, double> neutral;
  const auto note = [&](const std::string& section, const auto& fields) {
    mld::config::visit_fields(fields, [&](const char* name, const auto&, const auto& limits, const char*) {
      if (limits.is_added) neutral[section + name] = limits.neutral;
    });
  };
  const Config config;
  note("", config);
  note("model.", config.model);
  note("data.", config.data);
  note("run.", config.run);
  note("score.", config.score);
  note("sampler.", config.sampler);
  note("stage1.", config.stage1);
  note("modalities.", mld::ModalityConfig());
  note("modalities.layers.", mld::LayersConfig());
  CHECK(neutral == std::map<std::string, double>{
                       {"score.schedule_steps", 0},
                       {"score.network", static_cast<double>(mld::ScoreNetworkKind::resmlp)},
                       {"score.blocks", 6},
                       {"score.dropout", 0},
                       {"score.marginals", 0},
                       {"score.pairing", static_cast<double>(mld::Pairing::fixed)},
                       {"score.encodings", 1},
                       {"score.guidance", 1},
                       {"score.guidance_low", 0.3},
                       {"score.guidance_high", 5},
                       {"sampler.guidance", 1},
                       {"sampler.guidance_low", 0.3},
                       {"sampler.guidance_high", 5},
                       {"stage1.shift", 0},
                       {"stage1.gain", 0},
                       {"stage1.offset", 0},
                       {"stage1.trivial_augment", 0},
                       {"stage1.schedule_steps", 0},
                       {"modalities.fresh", 1},
                       {"modalities.vae_weight", 1},
                       {"modalities.nexus_weight", 1},
                       {"modalities.nexus_upper", 1},
                       {"modalities.nexus_scale", static_cast<double>(mld::LatentScale::fixed)},
                       {"modalities.layers.width", 0},
                       {"modalities.layers.depth", 2},
                       {"modalities.layers.blocks", 0},
                       {"modalities.units", static_cast<double>(mld::Units::declared)}});
}

TEST_CASE("config: a file that an earlier version saved means what it meant then") {
  ConfigSources sources;
  sources.settings = {"data.store=somewhere"};
  sources.describe = [](const std::string&) { return description(); };
  const Config now = mld::resolve_config(sources);
  REQUIRE(now.modalities[2].units == mld::Units::standard);
  const mld::test::TempFolder folder;
  sources.file = folder / "config.json";
  const auto units_with = [&](const std::string& file, std::vector<std::string> settings = {}) {
    mld::test::write_bytes(folder / "config.json", file);
    sources.settings = {"data.store=somewhere"};
    sources.settings.insert(sources.settings.end(), settings.begin(), settings.end());
    return mld::resolve_config(sources).modalities.back().units;
  };
  Config sensor = now;
  sensor.modalities = {now.modalities[2]};
  std::string before = mld::to_json(sensor);
  CHECK(units_with(before) == mld::Units::standard);
  before.replace(before.find("\"units\": \"standard\","), 20, "");
  CHECK(units_with(before) == mld::Units::declared);
  CHECK(units_with(before, {"modalities.sensor.units=unit"}) == mld::Units::unit);
  CHECK(units_with(R"({"modalities": [{"name": "sensor", "latent": 4}]})") == mld::Units::standard);
  CHECK(units_with(R"({"modalities": [{"name": "sensor", "units": "declared"}]})") == mld::Units::declared);
  CHECK(units_with(R"({"score": {"width": 64}, "modalities": [{"name": "sensor", "autoencoder": "mlp"}]})") ==
        mld::Units::standard);
}

TEST_CASE("config: without a preset vectors are standardised, and ranges other than [0,1] mapped to it") {
  mld::data::Description d = description();
  d.modalities[0].range = {0, 1};
  d.modalities[1].range = {-1, 1};
  const auto unit_of = [&](std::size_t i) { return mld::default_config(d).modalities[i].units; };
  CHECK(unit_of(0) == mld::Units::declared);
  CHECK(unit_of(1) == mld::Units::unit);
  CHECK(unit_of(2) == mld::Units::standard);
  CHECK(unit_of(3) == mld::Units::declared);
  d.modalities[0].range = {0, 255};
  CHECK(unit_of(0) == mld::Units::unit);
  d.modalities[2].pen_path = true;
  d.modalities[2].range = {-3, 5};
  CHECK(unit_of(2) == mld::Units::declared);
  for (const mld::Preset& preset : mld::presets())
    for (const mld::ModalityConfig& m : with({}, std::string(preset.name)).modalities)
      CHECK(m.units == mld::Units::declared);
}

TEST_CASE("config: a run of before keeps the units, networks and batches that were the default then") {
  ConfigSources sources;
  sources.settings = {"data.store=somewhere"};
  sources.describe = [](const std::string&) { return description(); };
  Config earlier = mld::resolve_config(sources);
  const Config now = earlier;
  CHECK(now.modalities[2].units == mld::Units::standard);
  CHECK(now.modalities[0].units == mld::Units::declared);
  earlier.modalities[2].units = mld::Units::declared;
  mld::ModalityConfig& photo = earlier.modalities[0];
  REQUIRE(photo.layers.depth == 3);
  photo.autoencoder = mld::AutoencoderKind::mlp;
  photo.layers.depth = 2;
  photo.classifier = mld::ClassifierKind::conv;
  photo.stage1.batch = 7;
  photo.classifier_training.batch = 9;
  const mld::ModalityConfig kept = photo;
  photo.latent = 3;                                         // never a default: what is asked for now counts
  std::swap(earlier.modalities[0], earlier.modalities[2]);  // modalities are known by name
  sources.earlier = earlier;
  Config expected = now;
  expected.modalities[2].units = mld::Units::declared;
  expected.modalities[0] = kept;
  CHECK(mld::resolve_config(sources) == expected);
  sources.settings.push_back("modalities.sensor.units=standard");
  expected.modalities[2].units = mld::Units::standard;
  CHECK(mld::resolve_config(sources) == expected);
  sources.settings.pop_back();
  sources.earlier->modalities.clear();  // not known then
  CHECK(mld::resolve_config(sources) == now);
}
