#include <cstdio>

#include "mld/report/report.h"
#include "tools/commands.h"
#include "tools/option_checks.h"
#include "tools/version.h"

namespace mld::tools {
namespace {

struct Options {
  std::string run, data, out;
  std::int64_t samples = 8;
  int threads = 0;
  DeviceFlags device;
};

std::string make(report::ReportRequest request) {
  Progress progress;
  request.environment = environment_facts(request.device);
  const std::filesystem::path file =
      report::write_report(request, [&](const std::string& what, std::int64_t done, std::int64_t total) {
        progress.show_part("report: " + what, done, total);
        return !stop_requested();
      });
  progress.finish();
  return file.string();
}

void run(const Options& o) {
  set_threads(o.threads);
  const std::string file =
      make({.run = o.run,
            .data = o.data,
            .out = o.out,
            .samples = o.samples,
            .device = o.device.choose(),
            .note = [](const std::string& line) { std::fprintf(stderr, "note: %s\n", line.c_str()); }});
  std::printf("%s\n", file.c_str());
}

}  // namespace

void report_training(const std::string& run, Device device, Progress& progress) {
  std::string why = "stopped on request";
  try {
    progress.note("report: " + make({.run = run, .device = device}));
    return;
  } catch (const std::exception& error) {
    why = error.what();
  } catch (const Cancelled&) {
  }
  progress.note("report: not made, the training itself is complete; " + why);
}

void add_report_command(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* c = app.add_subcommand(
      "report", "One HTML file about a run: curves, reconstructions, samples, sounds, evaluation");
  c->add_option("RUN", o->run, "Run directory")->type_name("")->required();
  c->add_option("--data", o->data, "Store that real samples come from; default: the one trained on")
      ->type_name("STORE");
  c->add_option("--out", o->out, "File to write; default: RUN/report.html")->type_name("FILE");
  c->add_option("--samples", o->samples, "Samples of each kind")
      ->type_name("N")
      ->capture_default_str()
      ->check(between(1, report::kMaxShown));
  add_threads(*c, o->threads);
  o->device.add_to(*c);
  c->callback([o] {
    install_stop_signals();
    run(*o);
  });
}

}  // namespace mld::tools
