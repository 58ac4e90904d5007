#include <cstdio>
#include <optional>

#include "engine/io/atomic_file.h"
#include "mld/study/compare.h"
#include "tools/commands.h"

namespace mld::tools {
namespace {

struct Options {
  std::vector<std::string> runs;
  std::string format = "table", out;
  CompareOptions compare;
};

void run(const Options& o) {
  const tables::TableFormat format = tables::parse_table_format(o.format);
  const std::vector<std::filesystem::path> inputs(o.runs.begin(), o.runs.end());
  // Opened first, so that a place that cannot be written is known before the work.
  std::optional<AtomicFile> out;
  if (!o.out.empty()) out.emplace(o.out);
  const std::string text = tables::write_tables(compare(inputs, o.compare), format);
  if (!out) {
    std::fputs(text.c_str(), stdout);
  } else {
    out->write(text);
    out->commit();
    std::fprintf(stderr, "wrote %s\n", o.out.c_str());
  }
}

}  // namespace

void add_compare_command(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* c = app.add_subcommand(
      "compare", "Evaluated runs side by side: mean and deviation over seeds, a row a configuration");
  c->add_option("RUN", o->runs, "Run directories that `eval` has measured, or evaluation files")
      ->type_name("...")
      ->required();
  c->add_option("--format", o->format, "table, markdown, latex or csv")
      ->type_name("NAME")
      ->capture_default_str();
  c->add_flag("--paper", o->compare.paper, "Beside the paper's rows, where it has the data set");
  c->add_flag("--force", o->compare.force,
              "Mark numbers that were not measured alike (classifiers, N, rows, split, data, schedule) "
              "instead of refusing");
  c->add_option("--out", o->out, "File to write instead of stdout")->type_name("FILE");
  c->callback([o] { run(*o); });
}

}  // namespace mld::tools
