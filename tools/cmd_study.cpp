#include <chrono>
#include <cstdio>

#include "data/store/store.h"
#include "engine/io/atomic_file.h"
#include "engine/threads/threads.h"
#include "mld/report/ablation_page.h"
#include "mld/study/ablation.h"
#include "mld/study/experiments.h"
#include "tools/commands.h"
#include "tools/sampler_options.h"
#include "tools/terminal.h"

namespace mld::tools {
namespace {

struct Options {
  std::string variation, experiment;  // one of them
  std::string preset, config, data, out, results, reuse, metrics = default_metrics(), given_sets, weights;
  std::vector<std::uint64_t> seeds{0};
  double hours = 0;  // 0: as long as it takes
  std::vector<std::string> settings;
  std::int64_t samples = 0;
  int threads = 0;
  SamplerFlags sampler;
  DeviceFlags device;
};

Config configuration(const Options& o, const std::vector<std::string>& cell) {
  ConfigSources sources;
  sources.preset = o.preset;
  sources.file = o.config;
  sources.environment = mld_environment();
  sources.settings = {"data.store=" + o.data};
  sources.settings.insert(sources.settings.end(), o.settings.begin(), o.settings.end());
  sources.settings.insert(sources.settings.end(), cell.begin(), cell.end());
  sources.describe = [](const std::string& store) { return data::Store::open(store).description(); };
  return resolve_config(sources);
}

// The table, and a page of it with the curves.
void present(const Options& o, const std::string& key, std::span<const AblationCell> cells, Device device,
             Progress& progress) {
  const bool paper = !o.experiment.empty();
  const std::filesystem::path page =
      std::filesystem::path(o.out) / (paper ? o.experiment + ".html" : "ablation.html");
  const auto show = [&](const std::string& what, std::int64_t done, std::int64_t total) {
    progress.show_part(what, done, total);
    return !stop_requested();
  };
  write_file_atomically(
      page,
      report::ablation_page(
          {.key = key, .title = paper ? "Experiment " + o.experiment : "", .paper = paper, .device = device},
          cells, show));
  progress.finish();
  std::fputs(tables::write_tables(ablation_tables(key, cells, paper), tables::TableFormat::table).c_str(),
             stdout);
  std::printf("%s\n", page.string().c_str());
}

// After the table of what there is.
void tell_failures(const std::vector<AblationFailure>& failures) {
  if (failures.empty()) return;
  std::vector<std::string> names;
  for (const AblationFailure& f : failures)
    names.push_back(cat(f.value, " of seed ", f.seed, " (", f.message, ")"));
  fail(failures.front().kind, "experiment: ", failures.size(), failures.size() == 1 ? " cell" : " cells",
       " failed: ", join(names), "; the same command tries again");
}

void run(const Options& o) {
  set_threads(o.threads);
  const auto [key, values] = parse_variation(o.variation);
  Progress progress;
  const auto end =
      std::chrono::steady_clock::now() + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                                             std::chrono::duration<double, std::ratio<3600>>(o.hours));
  const auto over = [&] { return o.hours > 0 && std::chrono::steady_clock::now() >= end; };
  const auto stop = [&] { return stop_requested() || over(); };
  TrainHooks train = train_hooks(progress);
  train.stop = stop;
  const EvaluationProgress show = [&](const std::string& what, std::int64_t done, std::int64_t total) {
    progress.show_part(what, done, total);
    return !stop();
  };
  const AblationRequest request{
      .key = key,
      .values = values,
      .seeds = o.seeds,
      .configure = [&](const std::vector<std::string>& cell) { return configuration(o, cell); },
      .out = o.out,
      .results = o.results,
      .reuse = o.reuse,
      .evaluation = {.samples = o.samples,
                     .metrics = parse_metrics(o.metrics),
                     .given_sets = o.given_sets,
                     .weights = o.weights},
      .sampling = [&](const SampleSettings& own) { return o.sampler.apply(own); },
      .device = o.device.choose(),
      .keep_going = !o.experiment.empty()};
  const AblationResult result = ablate(
      request,
      {.train = train, .evaluation = show, .note = [&](const std::string& line) { progress.note(line); }});
  if (result.stopped && !over()) throw Stopped{"what was done is kept, the same command continues"};
  if (!result.cells.empty()) present(o, key, result.cells, request.device, progress);
  tell_failures(result.failures);
  if (result.stopped)
    throw Stopped{cat("the ", o.hours, " hours of --hours are over: ", result.cells.size(), " of ",
                      values.size() * o.seeds.size(), " cells are made; the same command continues")};
}

// What both commands read, but for what is varied.
void add_study_options(CLI::App& c, Options& o) {
  c.add_option("--seeds", o.seeds, "Seeds of the runs, each with every value")
      ->type_name("N,N,...")
      ->transform(seed_text())
      ->delimiter(',')
      ->allow_extra_args(false)
      ->capture_default_str();
  c.add_option("--config", o.config, "JSON file with any part of the configuration")->type_name("FILE");
  c.add_option("--set", o.settings, "One setting that all runs share; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  c.add_option("--data", o.data, "Store to train on and to compare with")->type_name("STORE")->required();
  c.add_option("--results", o.results,
               "Folder of the evaluations; runs whose evaluation is there are skipped. Default: OUT/results")
      ->type_name("FOLDER");
  c.add_option("--reuse", o.reuse,
               "Take over autoencoders and classifiers of this run; default: train them once for all runs")
      ->type_name("RUN");
  c.add_option("--samples", o.samples,
               "Rows of the test split to evaluate, drawn by class; default: the first pairing")
      ->type_name("N")
      ->check(between(1, kMaxSamples));
  c.add_option("--metrics", o.metrics, "What is measured, as in `eval`")
      ->type_name("NAMES")
      ->capture_default_str();
  c.add_option("--given-sets", o.given_sets, "Sets of modalities to generate from, as in `eval`")
      ->type_name("SETS");
  c.add_option("--weights", o.weights, "Folder of the metric networks; default: that of MLD_WEIGHTS, if any")
      ->type_name("DIR");
  add_threads(c, o.threads);
  o.sampler.add_to(c);
  o.device.add_to(c);
}

}  // namespace

void add_ablate_command(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* c = app.add_subcommand(
      "ablate", "Train and evaluate a run for each value of one setting, and compare them");
  c->add_option("VARIATION", o->variation,
                "KEY=VALUE,VALUE,...: score.d=0.1,0.3,0.5 or model.kind=mld,uni,inpaint")
      ->type_name("")
      ->required();
  c->add_option("--preset", o->preset, "Recipe to start from, as in `train`")->type_name("NAME");
  c->add_option("--out", o->out, "Folder of the runs and of ablation.html; an unfinished one is continued")
      ->type_name("FOLDER")
      ->required();
  add_study_options(*c, *o);
  c->callback([o] {
    install_stop_signals();
    run(*o);
  });
}

void add_experiment_command(CLI::App& app) {
  auto o = std::make_shared<Options>();
  o->seeds = {0, 1, 2};
  CLI::App* c = app.add_subcommand(
      "experiment", "A table or figure of the paper: its runs with every seed, beside the paper's rows");
  std::string known;
  for (const Experiment& e : experiments())
    known += cat("\n  ", e.names, ": ", e.variation, ", ",
                 e.preset.empty() ? "data of one's own" : cat("preset ", e.preset),
                 e.settings.empty() ? "" : cat(" with ", e.settings));
  c->add_option("NAME", o->experiment, "One of:" + known)->type_name("")->required();
  c->add_option("--preset", o->preset, "Another recipe than the one named above")->type_name("NAME");
  c->add_option("--out", o->out, "Folder of the runs and of NAME.html; an unfinished one is continued")
      ->type_name("FOLDER")
      ->required();
  c->add_option("--hours", o->hours,
                "Budget: stop then, with the table of what there is; the same command continues. All runs of "
                "the first seed come first")
      ->type_name("X")
      ->check([](const std::string& text) {
        double hours = 0;
        const bool good = CLI::detail::lexical_cast(text, hours) && hours > 0 && hours <= 100'000;
        return good ? std::string() : "expected more than 0 and at most 100000 hours, found " + text;
      });
  add_study_options(*c, *o);
  c->callback([o] {
    const Experiment& experiment = find_experiment(o->experiment);
    o->variation = experiment.variation;
    if (o->preset.empty()) o->preset = experiment.preset;
    const std::vector<std::string> settings = settings_of(experiment);
    o->settings.insert(o->settings.begin(), settings.begin(), settings.end());
    install_stop_signals();
    run(*o);
  });
}

}  // namespace mld::tools
