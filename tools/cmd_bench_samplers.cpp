#include "data/store/store.h"
#include "engine/io/atomic_file.h"
#include "engine/io/files.h"
#include "engine/threads/threads.h"
#include "mld/run/run_files.h"
#include "mld/study/sampler_bench.h"
#include "tools/commands.h"
#include "tools/option_checks.h"
#include "tools/terminal.h"

namespace mld::tools {
namespace {

struct Options {
  std::string run, data, split = "test", out;
  std::int64_t samples = 0, most_calls = 0;
  int threads = 0;
  DeviceFlags device;
};

void run(const Options& o) {
  set_threads(o.threads);
  const Model model = open_model(o.run, o.device.choose());
  const data::Store store = data::Store::open(store_of(o.data, model, o.run));
  note(store.unchecked_note());
  std::vector<SamplerOptions> samplers = sampler_candidates(model.config().sampler);
  if (o.most_calls > 0)
    std::erase_if(samplers,
                  [&](const SamplerOptions& s) { return make_plan(s).network_calls() > o.most_calls; });
  MLD_CHECK_AS(ErrorKind::usage, !samplers.empty(), "bench-samplers: no sampler has at most ", o.most_calls,
               " network calls");
  const std::filesystem::path folder = o.run;
  std::filesystem::path file = o.out;
  if (o.out.empty() && is_folder(folder)) file = RunFiles{folder}.samplers();
  SamplerBench before;
  if (!file.empty() && path_exists(file)) before = parse_sampler_bench(read_text(file), file.string());
  if (!file.empty()) AtomicFile place(file);  // a place that cannot be written is known before the work
  Progress progress;
  std::fputs(table_heading().c_str(), stdout);
  bench_samplers(
      model, store, {.split = o.split, .samples = o.samples, .sampling = sample_settings(model.config())},
      samplers,
      [&](const std::string& what, std::int64_t done, std::int64_t total) {
        progress.show_part(what, done, total);
        return !stop_requested();
      },
      [&](const SamplerBench& bench, const SamplerResult& result) {
        progress.finish();
        if (!file.empty()) write_file_atomically(file, to_json(bench));
        std::fputs(table_line(result).c_str(), stdout);
        std::fflush(stdout);
      },
      before);
}

}  // namespace

void add_bench_samplers_command(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* c = app.add_subcommand("bench-samplers", "Quality against network calls, of all samplers");
  c->add_option("RUN", o->run, "Run directory or exported file")->type_name("")->required();
  c->add_option("--data", o->data, "Store to compare with; default: the one trained on")->type_name("STORE");
  c->add_option("--split", o->split, "Split to condition on")->type_name("NAME")->capture_default_str();
  c->add_option("--samples", o->samples, "Rows of the split, drawn by class; default: the first pairing")
      ->type_name("N")
      ->check(between(1, kMaxSamples));
  c->add_option("--most-calls", o->most_calls,
                "Leave out samplers with more network calls; the first that remains is the reference")
      ->type_name("N")
      ->check(between(1, kMaxSamples));
  c->add_option(
       "--out", o->out,
       "File for the result as JSON, continued if it is there; default: samplers.json in the run's folder")
      ->type_name("FILE");
  add_threads(*c, o->threads);
  o->device.add_to(*c);
  c->callback([o] {
    install_stop_signals();
    run(*o);
  });
}

}  // namespace mld::tools
