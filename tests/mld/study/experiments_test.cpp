#include "mld/study/experiments.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <sstream>

#include "mld/config/config.h"
#include "mld/config/hashes.h"
#include "mld/study/ablation.h"
#include "mld/study/tables/layout.h"
#include "tests/expect_error.h"

namespace mld {
namespace {

Config cell(const Experiment& e, const std::string& key, const std::string& value) {
  ConfigSources sources;
  sources.preset = e.preset;
  sources.settings = settings_of(e);
  sources.settings.push_back(key + "=" + value);
  return resolve_config(sources);
}

}  // namespace

TEST_CASE(
    "experiments: each has a recipe for all its rows, and the paper has the table that it is named after") {
  for (const Experiment& e : experiments()) {
    CAPTURE(e.names);
    const auto [key, values] = parse_variation(std::string(e.variation));
    if (e.preset.empty()) continue;
    std::vector<std::string> modalities;
    for (const std::string& value : values) {
      const Config config = cell(e, key, value);
      modalities.clear();
      for (const ModalityConfig& m : config.modalities) modalities.push_back(m.name);
      const bool unguided = config.score.guidance == 1 && config.score.marginals == 0;
      CHECK((unguided || config.model.kind == ModelKind::mld || is_vae(config.model.kind)));
      // No two rows are one model.
      CHECK(std::ranges::count_if(values, [&](const std::string& other) {
              return score_hash(cell(e, key, other)) == score_hash(config);
            }) == 1);
    }
    std::istringstream names{std::string(e.names)};
    for (std::string name; names >> name;) {
      CAPTURE(name);
      CHECK(&find_experiment(name) == &e);
      if (!name.starts_with("table")) continue;
      const std::int64_t number = std::stoll(name.substr(5));
      bool found = false;
      for (const tables::PublishedDataSet& set : tables::published_results().data_sets)
        for (const tables::TableLayout& layout : set.tables)
          for (const tables::PublishedTable& table : layout.published)
            found = found || (table.number == number && set.modalities == modalities &&
                              table.rows.size() == values.size());
      CHECK(found);
    }
  }
}

TEST_CASE("experiments: an unknown name is told what there is") {
  const std::string message = test::error_of(ErrorKind::usage, [] { find_experiment("tabel5"); });
  CHECK(test::contains(message, "'tabel5' is none of table1, table10, table11, table2"));
  CHECK(test::contains(message, "did you mean table5?"));
  test::error_of(ErrorKind::usage, [] { find_experiment("table4"); });
}

}  // namespace mld
