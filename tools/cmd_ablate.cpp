#include <cstdio>

#include "data/store/store.h"
#include "engine/io/atomic_file.h"
#include "engine/threads/threads.h"
#include "mld/report/ablation_page.h"
#include "mld/study/ablation.h"
#include "tools/commands.h"
#include "tools/sampler_options.h"
#include "tools/terminal.h"

namespace mld::tools {
namespace {

struct Options {
  std::string variation, preset, config, data, out, results, reuse, metrics = default_metrics(), given_sets,
                                                                    weights;
  std::vector<std::uint64_t> seeds{0};
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

void run(const Options& o) {
  set_threads(o.threads);
  const auto [key, values] = parse_variation(o.variation);
  Progress progress;
  const EvaluationProgress show = [&](const std::string& what, std::int64_t done, std::int64_t total) {
    progress.show_part(what, done, total);
    return !stop_requested();
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
      .device = o.device.choose()};
  const std::vector<AblationCell> cells = ablate(
      request, {.train = train_hooks(progress), .evaluation = show, .note = [&](const std::string& line) {
                  progress.note(line);
                }});
  progress.finish();
  if (cells.empty()) throw Stopped{"what was done is kept, the same command continues"};
  const std::filesystem::path page = std::filesystem::path(o.out) / "ablation.html";
  write_file_atomically(page, report::ablation_page(key, cells));
  std::fputs(tables::write_tables(ablation_tables(key, cells), tables::TableFormat::table).c_str(), stdout);
  std::printf("%s\n", page.string().c_str());
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
  c->add_option("--seeds", o->seeds, "Seeds of the runs, each with every value")
      ->type_name("N,N,...")
      ->transform(seed_text())
      ->delimiter(',')
      ->allow_extra_args(false)
      ->capture_default_str();
  c->add_option("--preset", o->preset, "Recipe to start from, as in `train`")->type_name("NAME");
  c->add_option("--config", o->config, "JSON file with any part of the configuration")->type_name("FILE");
  c->add_option("--set", o->settings, "One setting that all runs share; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  c->add_option("--data", o->data, "Store to train on and to compare with")->type_name("STORE")->required();
  c->add_option("--out", o->out, "Folder of the runs and of ablation.html; an unfinished one is continued")
      ->type_name("FOLDER")
      ->required();
  c->add_option("--results", o->results,
                "Folder of the evaluations; runs whose evaluation is there are skipped. Default: OUT/results")
      ->type_name("FOLDER");
  c->add_option("--reuse", o->reuse,
                "Take over autoencoders and classifiers of this run; default: train them once for all runs")
      ->type_name("RUN");
  c->add_option("--samples", o->samples,
                "Rows of the test split to evaluate, drawn by class; default: the first pairing")
      ->type_name("N")
      ->check(between(1, kMaxSamples));
  c->add_option("--metrics", o->metrics, "What is measured, as in `eval`")
      ->type_name("NAMES")
      ->capture_default_str();
  c->add_option("--given-sets", o->given_sets, "Sets of modalities to generate from, as in `eval`")
      ->type_name("SETS");
  c->add_option("--weights", o->weights,
                "Folder of the metric networks; default: that of MLD_WEIGHTS, if any")
      ->type_name("DIR");
  add_threads(*c, o->threads);
  o->sampler.add_to(*c);
  o->device.add_to(*c);
  c->callback([o] {
    install_stop_signals();
    run(*o);
  });
}

}  // namespace mld::tools
