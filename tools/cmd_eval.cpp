#include "data/store/store.h"
#include "engine/base/names.h"
#include "engine/io/atomic_file.h"
#include "engine/io/files.h"
#include "engine/threads/threads.h"
#include "mld/evaluate/evaluate.h"
#include "mld/run/run_files.h"
#include "tools/commands.h"
#include "tools/sampler_options.h"
#include "tools/terminal.h"

namespace mld::tools {
namespace {

struct Options {
  std::string run, data, split = "test", metrics = default_metrics(), given_sets, weights, out;
  std::int64_t samples = 0;
  int threads = 0;
  bool json = false, ceilings = false;
  SamplerFlags sampler;
  DeviceFlags device;
};

void run(const Options& o) {
  set_threads(o.threads);
  const Model model = open_model(o.run, o.device.choose());
  const data::Store store = data::Store::open(store_of(o.data, model, o.run));
  note(store.unchecked_note());
  EvaluationOptions options{.split = o.split,
                            .samples = o.samples,
                            .sampling = o.sampler.apply(sample_settings(model.config())),
                            .metrics = parse_metrics(o.metrics),
                            .given_sets = o.given_sets,
                            .generate = !o.ceilings && model.generates(),
                            .weights = o.weights};
  // Opened first, so that a place that cannot be written is known before the work.
  std::filesystem::path file = o.out;
  const bool own = o.out.empty() && options.generate && is_folder(o.run);
  if (own) file = RunFiles{o.run}.evaluation();
  std::optional<AtomicFile> out;
  if (!file.empty()) out.emplace(file);
  const std::string before = own && path_exists(file) ? read_text(file) : std::string();
  Progress progress;
  const Evaluation result =
      evaluate(model, store, options, [&](const std::string& what, std::int64_t done, std::int64_t total) {
        progress.show_part(what, done, total);
        return !stop_requested();
      });
  progress.finish();
  std::fputs((o.json ? to_json(result) : to_table(result)).c_str(), stdout);
  if (!out) return;
  out->write(with_parts_of(to_json(result), before));
  out->commit();
}

}  // namespace

void add_eval_command(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* c = app.add_subcommand("eval", "Coherence and quality of joint and conditional generation");
  c->add_option("RUN", o->run, "Run directory or exported file")->type_name("")->required();
  c->add_option("--data", o->data, "Store to compare with; default: the one trained on")->type_name("STORE");
  c->add_option("--split", o->split, "Split to condition on")->type_name("NAME")->capture_default_str();
  c->add_option(
       "--samples", o->samples,
       "Rows of the split, drawn by class, beyond its first pairing with further ones; default: the first "
       "pairing")
      ->type_name("N")
      ->check(between(1, kMaxSamples));
  c->add_option("--metrics", o->metrics,
                cat("What is measured: ", join(parse_metrics("all").names()), ", all; separated by commas"))
      ->type_name("NAMES")
      ->capture_default_str();
  c->add_option(
       "--given-sets", o->given_sets,
       "Sets of modalities to generate from: sizes, loo (all but one), all, or names as image+sound; "
       "separated by commas. Default: all, of more than 5 modalities those of one and of all but one")
      ->type_name("SETS");
  c->add_option("--weights", o->weights,
                "Folder of the metric networks; default: that of MLD_WEIGHTS, if any")
      ->type_name("DIR");
  c->add_option("--out", o->out, "File for the result as JSON; default: evaluation.json in the run's folder")
      ->type_name("FILE");
  c->add_flag("--ceilings", o->ceilings, "Only classifiers and autoencoders, nothing is generated");
  c->add_flag("--json", o->json, "Print JSON");
  add_threads(*c, o->threads);
  o->sampler.add_to(*c);
  o->device.add_to(*c);
  c->callback([o] {
    install_stop_signals();
    run(*o);
  });
}

}  // namespace mld::tools
