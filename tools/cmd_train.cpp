#include "data/store/store.h"
#include "engine/io/files.h"
#include "engine/threads/threads.h"
#include "mld/run/run_data.h"
#include "mld/run/run_files.h"
#include "mld/train/train.h"
#include "tools/commands.h"
#include "tools/option_checks.h"
#include "tools/terminal.h"

namespace mld::tools {
namespace {

struct Options {
  std::string preset, config, data, out, stage = "all", modality, reuse;
  std::vector<std::string> settings;
  bool resume = false, stop_here = false, retrain_score = false, other_data = false;
  DeviceFlags device;
  std::string steps, epochs, minutes, threads, seed;
};

// The shorthand options as settings, which --set may still override. `generator`: the section of what generates.
std::vector<std::string> settings_of(const Options& o, const std::string& generator) {
  std::vector<std::string> settings;
  const auto add = [&](const std::string& key, const std::string& value) {
    if (!value.empty()) settings.push_back(key + "=" + value);
  };
  for (const auto& [stage, section] : {std::pair<std::string, std::string>{"ae", "stage1"},
                                       {"classifier", "classifier_training"},
                                       {"score", generator}}) {
    std::string name = section;
    if ((o.stage != "all" && o.stage != stage) || (!o.modality.empty() && stage == "score")) continue;
    if (!o.modality.empty()) name = "modalities." + o.modality + "." + name;
    add(name + ".steps", o.steps);
    add(name + ".epochs", o.epochs);
    add(name + ".minutes", o.minutes);
  }
  add("data.store", o.data);
  add("threads", o.threads);
  add("seed", o.seed);
  settings.insert(settings.end(), o.settings.begin(), o.settings.end());
  return settings;
}

Config configuration(const Options& o) {
  ConfigSources sources;
  sources.preset = o.preset;
  sources.file = o.config;
  const bool continues = o.resume && o.preset.empty() && o.config.empty();
  if (continues) sources.file = RunFiles{o.out}.config().string();
  if (continues)
    MLD_CHECK_AS(ErrorKind::usage, path_exists(sources.file), o.out,
                 ": holds no run to resume; start one with --preset or --config");
  if (const RunFiles earlier{o.resume ? o.out : o.reuse};
      !continues && !earlier.folder.empty() && path_exists(earlier.config()))
    sources.earlier = read_run_config(earlier);
  sources.environment = mld_environment();
  sources.settings = settings_of(o, "score");
  // A run of before may name its store relative to where it was trained.
  const std::string run = continues && o.data.empty() ? o.out : "";
  const auto found = [&](const std::string& store) {
    return run.empty() ? store : find_store(store, run).string();
  };
  sources.describe = [&](const std::string& store) { return data::Store::open(found(store)).description(); };
  Config config = resolve_config(sources);
  if (is_vae(config.model.kind)) {
    sources.settings = settings_of(o, "vae");
    config = resolve_config(sources);
  }
  MLD_CHECK_AS(ErrorKind::usage, !config.data.store.empty(), "train: name the data with --data STORE");
  config.data.store = found(config.data.store);
  return config;
}

StageChoice choice(const std::string& stage) {
  if (stage == "ae") return StageChoice::autoencoders;
  if (stage == "classifier") return StageChoice::classifiers;
  return stage == "score" ? StageChoice::score : StageChoice::all;
}

void run(const Options& o) {
  MLD_CHECK_AS(ErrorKind::usage, o.stage != "score" || o.modality.empty(),
               "train: --modality chooses within stage 1; leave it out with --stage score");
  for (const auto& [given, name] :
       {std::pair(o.stop_here, "--stop-here"), {o.retrain_score, "--retrain-score"}})
    MLD_CHECK_AS(ErrorKind::usage, !given || o.resume, "train: ", name,
                 " is of a run that is continued; add --resume");
  MLD_CHECK_AS(ErrorKind::usage, !o.other_data || o.resume || !o.reuse.empty(),
               "train: --other-data goes with --resume or --reuse");
  const Config config = configuration(o);
  const Device device = o.device.choose();
  set_threads(static_cast<int>(config.threads));
  Progress progress;
  const TrainRequest request{.config = config,
                             .out = o.out,
                             .stages = choice(o.stage),
                             .modality = o.modality,
                             .reuse = o.reuse,
                             .resume = o.resume,
                             .stop_here = o.stop_here,
                             .retrain_score = o.retrain_score,
                             .other_data = o.other_data,
                             .device = device};
  const StageEnd end = train(request, train_hooks(progress));
  progress.finish();
  if (end == StageEnd::stopped) throw Stopped{"a checkpoint is written, continue with --resume"};
  if (o.stage == "score" || (o.stage == "all" && o.modality.empty()))
    report_training(o.out, device, progress);
}

}  // namespace

TrainHooks train_hooks(Progress& progress) {
  return {.progress =
              [&](const StageProgress& p) {
                char rest[96];
                std::snprintf(rest, sizeof rest, "loss %.5g  lr %.3g  %.1f steps/s", p.loss, p.lr,
                              p.steps_per_second);
                progress.show(p.stage, p.step, p.total, rest);
              },
          .note = [&](const std::string& line) { progress.note(line); },
          .stop = stop_requested};
}

void add_train_command(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* c = app.add_subcommand("train", "Train autoencoders, classifiers and the score network");
  std::string names;
  for (const Preset& p : presets()) names += (names.empty() ? "" : ", ") + std::string(p.name);
  c->add_option("--preset", o->preset, "Recipe to start from: " + names + "; default: one made for the data")
      ->type_name("NAME");
  c->add_option("--config", o->config, "JSON file with any part of the configuration")->type_name("FILE");
  c->add_option("--data", o->data, "Store to train on, made by `mldctl data`")->type_name("STORE");
  c->add_option("--out", o->out, "Run directory: new, or with --resume an existing one")
      ->type_name("FOLDER")
      ->required();
  c->add_option("--set", o->settings, "One setting of those that --help-config lists; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  c->add_option("--stage", o->stage,
                "all, ae (autoencoders), classifier, or score (the score network, or the VAE)")
      ->type_name("NAME")
      ->capture_default_str()
      ->check(CLI::IsMember({"all", "ae", "classifier", "score"}).description(""));
  c->add_option("--modality", o->modality, "Only the autoencoder and classifier of this one")
      ->type_name("NAME");
  c->add_option("--reuse", o->reuse, "Take over autoencoders and classifiers of this run")->type_name("RUN");
  c->add_flag("--resume", o->resume,
              "Continue the run in --out, with its own configuration unless --preset or --config is given; a "
              "larger budget trains on what has finished");
  c->add_flag(
      "--stop-here", o->stop_here,
      "With --resume: the stage that is unfinished ends at the steps made, which the configuration then "
      "says; those after it are trained to their budgets");
  c->add_flag("--retrain-score", o->retrain_score,
              "With --resume: train the score network anew, as is due where an autoencoder is trained on");
  c->add_flag(
      "--other-data", o->other_data,
      "With --resume or --reuse: allow data that differ from those trained on; the record then says so");
  c->add_option("--steps", o->steps, "Budget of each chosen stage in steps")->type_name("N");
  c->add_option("--epochs", o->epochs, "... in passes over the data")->type_name("X");
  c->add_option("--minutes", o->minutes, "... in minutes; results then depend on the machine")
      ->type_name("X");
  o->device.add_to(*c);
  c->add_option(
       "--threads", o->threads,
       "CPU threads; 0: OMP_NUM_THREADS, or all CPUs that this process may use. Results do not depend on it")
      ->type_name("N");
  add_seed(*c, o->seed, "Seed of everything random; default: 0");
  c->add_flag_callback(
      "--help-config",
      [] {
        std::fputs(config_reference().c_str(), stdout);
        throw CLI::Success();
      },
      "List every configuration key with default, range and meaning");
  c->callback([o] {
    install_stop_signals();
    run(*o);
  });
}

}  // namespace mld::tools
