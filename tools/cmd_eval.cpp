#include <memory>
#include <vector>

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
  std::string run, judges, data, metrics = default_metrics(), given_sets, weights, out;
  std::vector<std::string> splits{"test"};
  std::int64_t samples = 0;
  int threads = 0;
  bool json = false, ceilings = false;
  SamplerFlags sampler;
  DeviceFlags device;
};

// Where the result of a split goes. Opened before the work, so that a place that cannot be written is known.
class Result {
 public:
  // `own`: what the run's file holds of the same samples stays in it.
  Result(const std::filesystem::path& file, bool own)
      : out_(file), before_(own && path_exists(file) ? read_text(file) : std::string()) {}
  void write(const std::string& json) {
    out_.write(with_parts_of(json, before_));
    out_.commit();
  }

 private:
  AtomicFile out_;
  std::string before_;
};

// One for each split: the last one's is `file`, the others' stand beside it.
std::vector<std::unique_ptr<Result>> open_results(const std::filesystem::path& file, bool own,
                                                  const std::vector<std::string>& splits) {
  std::vector<std::unique_ptr<Result>> results;
  for (const std::string& split : splits)
    results.push_back(std::make_unique<Result>(&split == &splits.back() ? file : of_split(file, split), own));
  return results;
}

// Result k of several: tables one below the other, or a list of objects.
void print(const std::string& text, std::size_t k, std::size_t several, bool json) {
  const bool list = json && several > 1;
  const char *before = k > 0 ? (list ? ",\n" : "\n") : (list ? "[\n" : ""),
             *after = list && k + 1 == several ? "]\n" : "";
  std::fputs((before + text + after).c_str(), stdout);
}

void run(const Options& o) {
  set_threads(o.threads);
  const Device device = o.device.choose();
  Model model = open_model(o.run, device);
  if (!o.judges.empty()) model.judge_by(open_model(o.judges, device), o.judges);
  const data::Store store = data::Store::open(store_of(o.data, model, o.run));
  note(store.unchecked_note());
  check_distinct("--split", o.splits);
  for (const std::string& split : o.splits) (void)evaluated_split(store, split);  // before any work
  EvaluationOptions options{
      .samples = o.samples,
      .sampling = o.sampler.apply(sample_settings(model.config()), model.config().model.kind),
      .metrics = parse_metrics(o.metrics),
      .given_sets = o.given_sets,
      .generate = !o.ceilings && model.generates(),
      .weights = o.weights};
  const bool own = o.out.empty() && o.judges.empty() && options.generate && is_folder(o.run);
  const std::filesystem::path file = own ? RunFiles{o.run}.evaluation() : std::filesystem::path(o.out);
  std::vector<std::unique_ptr<Result>> results;
  if (!file.empty()) results = open_results(file, own, o.splits);
  Progress progress;
  for (std::size_t k = 0; k < o.splits.size(); ++k) {
    options.split = o.splits[k];
    const std::string part = o.splits.size() > 1 ? options.split + ": " : "";
    const Evaluation found =
        evaluate(model, store, options, [&](const std::string& what, std::int64_t done, std::int64_t total) {
          progress.show_part(part + what, done, total);
          return !stop_requested();
        });
    progress.finish();
    const std::string json = to_json(found);
    print(o.json ? json : to_table(found), k, o.splits.size(), o.json);
    if (!results.empty()) results[k]->write(json);
  }
}

}  // namespace

void add_eval_command(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* c = app.add_subcommand("eval", "Coherence and quality of joint and conditional generation");
  c->add_option("RUN", o->run, "Run directory or exported file")->type_name("")->required();
  c->add_option("--data", o->data, "Store to compare with; default: the one trained on")->type_name("STORE");
  c->add_option("--split", o->splits,
                "Split to condition on; of several, separated by commas, the last one's result is the run's "
                "evaluation.json, those of the others evaluation-NAME.json beside it")
      ->type_name("NAMES")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->default_str("test");
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
  c->add_option(
       "--judges", o->judges,
       "Run or file whose classifiers read the samples, in place of this run's; the result is in no file "
       "but that of --out")
      ->type_name("RUN");
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
