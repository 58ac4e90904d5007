// The configuration of a run: plain structs, and how they come from defaults, a preset, a file, the
// environment and the command line, in this order, the later winning. Names, ranges, meanings and JSON come
// from one table (config_fields.h); config_keys() lists them for --help and the documentation.
//
// Layers. A preset and a file are JSON objects (comments allowed) that hold any part of the configuration; a
// setting is "score.width=256"; a variable is MLD_SCORE__WIDTH=256 (upper case, '__' for '.'). In settings
// and variables a modality is addressed by its name: modalities.svhn.latent=32. The rules that are not plain
// replacement:
//  - `modalities` in a file gives the list and its order anew; an entry starts from the entry of that name in
//    the layers below, where there is one.
//  - a section that names every key but those that a later version brought (Limits::added in fields.h) was saved
//    before that version: these keys then say what was done before, whatever the layers below say.
//  - a key of `stage1` or `classifier_training` sets that key for every modality; the same key inside of a
//    modality of the same layer then sets it for this one. So the later layer always wins.
//
// Errors. Everything wrong in all layers is reported at once, as one ErrorKind::usage error: unknown keys
// with the nearest valid one, wrong types, values out of range, values that contradict each other.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/store/description.h"
#include "mld/config/choices.h"
#include "mld/config/sampler_options.h"

namespace mld {

constexpr int kMaxModalities = 16;

// Of one network's training. A stage ends with whichever budget is used up first; 0 is no such budget.
struct TrainConfig {
  std::int64_t steps = 10'000;
  double epochs = 0;   // passes over what is sampled
  double minutes = 0;  // wall clock: the only budget that makes results depend on the machine
  std::int64_t batch = 128;
  double lr = 1e-3;
  LearningRate schedule = LearningRate::constant;
  double final_lr = 0;              // cosine: where the learning rate ends
  std::int64_t schedule_steps = 0;  // cosine: its length; 0: the budget
  std::int64_t warmup = 0;          // steps
  double weight_decay = 0;
  bool decoupled_decay = false;
  double clip = 0;  // gradient norm; 0: no clipping
  double ema = 0;   // decay; 0: no averaged weights
  bool operator==(const TrainConfig&) const = default;
};

// Autoencoders and classifiers: a modality each, trained alone.
struct StageConfig : TrainConfig {
  StageSampling sampling = StageSampling::items;
  WeightInit init = WeightInit::fan_in;
  std::int64_t shift = 0;        // of pictures and spectrograms, as augmentation (mld/modality/augment.h)
  double gain = 0, offset = 0;   // likewise
  bool trivial_augment = false;  // of colour pictures (mld/modality/trivial_augment.h)
  bool operator==(const StageConfig&) const = default;
};

struct ModelConfig {
  ModelKind kind = ModelKind::mld;
  bool operator==(const ModelConfig&) const = default;
};

struct DataConfig {
  std::string store;  // folder; empty: none named
  bool operator==(const DataConfig&) const = default;
};

struct RunConfig {
  std::int64_t log_every = 50;           // steps
  std::int64_t checkpoint_every = 1000;  // steps; 0: at the end of each stage only
  bool operator==(const RunConfig&) const = default;
};

// Sizes of the autoencoders that fit any data: mlp, conv and series.
struct LayersConfig {
  std::int64_t width =
      0;  // channels of the first level, doubled at each up to 8 times; mlp: units. 0: 32, mlp: 512
  std::int64_t depth = 2;   // levels, each of half the sides; mlp: hidden layers
  std::int64_t blocks = 0;  // residual blocks of a level; not of mlp
  bool operator==(const LayersConfig&) const = default;
};

struct ModalityConfig {
  std::string name;
  Units units = Units::declared;
  AutoencoderKind autoencoder = AutoencoderKind::mlp;
  LayersConfig layers;
  std::int64_t latent = 16;
  Likelihood likelihood = Likelihood::normal;
  double scale = 0.75;                      // laplace
  double weight = 1;                        // w_i of the score loss
  double vae_weight = 1, nexus_weight = 1;  // of its reconstruction in the VAEs
  double nexus_upper = 1;                   // of its latent's reconstruction, times nexus_weight
  LatentScale nexus_scale = LatentScale::fixed;
  bool fresh = true;  // score.pairing=fresh draws its items anew
  ClassifierKind classifier = ClassifierKind::none;
  StageConfig stage1, classifier_training;
  bool operator==(const ModalityConfig&) const = default;
};

inline constexpr double kEarliestTime = 1e-6;  // of training, below which scores grow without bound

struct ScoreConfig : TrainConfig {
  ScoreConfig() {
    lr = 1e-4;
    ema = 0.999;
  }
  ScoreNetworkKind network = ScoreNetworkKind::resmlp;
  std::int64_t width = 512;
  std::int64_t time_dim = 256;
  std::int64_t groups = 8;
  std::vector<std::int64_t> mults = {1, 1};
  std::int64_t blocks = 6;
  double dropout = 0;
  std::int64_t fourier_features = 0;  // frequencies per modality; 0: the raw times
  Prediction prediction = Prediction::noise;
  double d = 0.5;  // Pr(everything is diffused): the paper's meaning
  SubsetDraw subsets = SubsetDraw::per_sample;
  double marginals = 0;
  Pairing pairing = Pairing::fixed;
  double guidance = 1;  // trained in; w
  double guidance_low = 0.3, guidance_high = 5;
  std::int64_t encodings = 1;
  TimeSampling time_sampling = TimeSampling::uniform;
  double time_log_mean = 0, time_log_std = 1;
  double t_min = kEarliestTime;
  StatsOver latent_statistics = StatsOver::whole;
  LatentCoordinates latent_coordinates = LatentCoordinates::own;
  bool operator==(const ScoreConfig&) const = default;
};

// The VAEs (mld/methods/vae), whose encoders and decoders are those of the modalities.
struct VaeConfig : TrainConfig {
  VaeConfig() { batch = 256; }
  std::int64_t latent = 20;
  double beta = 1;
  double alpha = 5.0 / 6;     // mvtcae
  bool prior_expert = false;  // mvtcae
  MixtureSplit mixture = MixtureSplit::batch;
  // nexus
  std::int64_t nexus_latent = 20, message = 256;
  std::vector<std::int64_t> hidden = {256, 256};
  double dropped = 0.5;
  double warmup_epochs = 20;
  bool operator==(const VaeConfig&) const = default;
};

constexpr std::int64_t kMaxChunk = 1'000'000;

struct SamplerConfig : SamplerOptions {
  std::int64_t chunk = 0;  // samples generated together; 0: by the device
  bool operator==(const SamplerConfig&) const = default;
};

struct Config {
  std::string preset;  // name, or empty
  std::uint64_t seed = 0;
  std::int64_t threads = 0;  // 0: default_threads()
  ModelConfig model;
  DataConfig data;
  RunConfig run;
  StageConfig stage1, classifier_training;  // what a modality that no layer knows yet starts from
  std::vector<ModalityConfig> modalities;   // in the order of the latent vector
  ScoreConfig score;
  VaeConfig vae;
  SamplerConfig sampler;
  bool operator==(const Config&) const = default;
};

struct ConfigSources {
  std::string preset;                              // wins over a preset named in any layer; empty: none
  std::string file;                                // path of a JSON file; empty: none
  std::map<std::string, std::string> environment;  // see mld_environment()
  std::vector<std::string> settings;               // "key=value", applied in order
  // What the store `data.store` holds; asked where no preset is chosen and a store is named, so that data of
  // the user's own need no preset: default_config() is the lowest layer then. May be empty.
  std::function<data::Description(const std::string& store)> describe;
  // A run that is continued, or whose networks are taken over: its modalities keep their units, networks and batches
  // where default_config() chose others in earlier versions. May be empty.
  std::optional<Config> earlier;
};

// The resolved configuration; see the head of this file.
Config resolve_config(const ConfigSources& sources);
// A configuration from JSON alone, such as the one saved with a run; `where` names it in errors.
Config parse_config(std::string_view json, const std::string& where);
// Every value, as JSON that parse_config turns into an equal Config.
std::string to_json(const Config& config);

// Variables of our prefix that are no settings.
inline constexpr std::array<std::string_view, 3> kOtherVariables{
    "MLD_WEIGHTS",   // folder of the metric networks (mld/evaluate/networks/weights.h)
    "MLD_CONV",      // how a GPU convolves (engine/kernels/cuda/conv.cpp)
    "MLD_NO_GRAPH",  // no recordings of steps on a GPU (engine/runtime/capture.cpp)
};

// The MLD_* variables of this process that stand for settings: those with "__", those that begin with the name of
// a section or of a key outside of sections, and those spelt nearly as a key is, '_' aside, so that a misspelt one
// is refused when the configuration is resolved. What is neither that nor one of kOtherVariables is none of ours:
// it is left out, and a note says so (engine/base/notes.h).
std::map<std::string, std::string> mld_environment();

// For data no preset is made for: generic networks by kind and shape, a score network sized for the latents,
// and a recipe for minutes instead of days.
Config default_config(const data::Description& description);

struct Preset {
  // What it has otherwise for one kind of model.
  struct OfKind {
    ModelKind kind;
    std::string_view json;
  };
  std::string_view name, summary, json;
  std::vector<OfKind> of_kinds = {};
};
std::span<const Preset> presets();

struct ConfigKey {
  std::string key;            // "score.width", "modalities.<name>.latent"
  std::string default_value;  // as JSON
  std::string allowed;        // "1 .. 65536", "uniform | importance", "text"
  std::string meaning;
};
std::vector<ConfigKey> config_keys();
// config_keys() and the rules of the layers as text for a terminal, at most 110 columns.
std::string config_reference();

// A key whose values differ, as JSON; a modality's key is "modalities.svhn.latent".
struct SettingDifference {
  std::string key, found, expected;
  std::string str() const;  // "score.width: 256, not 512"
  bool operator==(const SettingDifference&) const = default;
};
std::vector<SettingDifference> differences(const Config& found, const Config& expected);

// What a trained score network depends on and its preset says otherwise (without a preset: default_config of
// its data), by key: the settings that score_hash covers.
std::map<std::string, std::string> settings_beyond_preset(const Config& config,
                                                          const data::Description& description);

}  // namespace mld
