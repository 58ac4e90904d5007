#include "mld/report/evaluation_tables.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "engine/base/error.h"
#include "mld/diffusion/sampling_record.h"
#include "mld/evaluate/metrics.h"
#include "mld/report/chart.h"
#include "mld/report/html.h"

namespace mld::report {
namespace {

// A count that the file has, or nothing.
std::string there(std::int64_t value) { return value == record::kNoCount ? "" : cat(value); }

std::string schedule(const SamplerOptions& sampler) {
  std::string walk = cat(name_of(sampler.method), ", ", sampler.steps, " levels",
                         sampler.resample > 1
                             ? cat(", jumps of ", sampler.jump, ", each stretch ", sampler.resample, " times")
                             : ", no jumps");
  const std::set<std::string> said{"method", "steps", "jump", "resample"};
  const nlohmann::json written = schedule_record(sampler);
  for (const auto& [key, value] : written.items())
    if (!said.contains(key))
      walk += cat(", ", key, " ", value.is_string() ? value.get<std::string>() : value.dump());
  return walk;
}

std::string how_it_was_made(const Evaluation& e) {
  Facts list;
  const auto add = [&](const std::string& name, const std::string& value) {
    if (!value.empty()) list.emplace_back(name, value);
  };
  add("Samples N", cat(there(e.samples), " of split ", e.split, e.drawn ? ", drawn by class" : ""));
  if (e.drawn && !e.of_classes.empty()) add("Samples of each class", nlohmann::json(e.of_classes).dump());
  if (e.unlabelled > 0) add("Samples without a label", there(e.unlabelled));
  add("Data", cat(e.fingerprint, e.trained_on == false ? " (not those trained on)" : ""));
  if (e.seed) add("Seed of the samples", cat(*e.seed));
  if (e.generated && e.walks()) add("Schedule", schedule(e.sampler));
  add("Network calls a sample", there(e.network_calls));
  add("Weights", e.weights == "ema" ? "averaged (EMA)" : e.weights);
  add("Parameters", there(e.parameters));
  add("Configuration hash", e.config_hash);
  for (const auto& [name, hash] : e.classifiers()) add(cat("Classifier of ", name), hash);
  if (!std::isnan(e.seconds)) add("Seconds taken", number(e.seconds));
  return facts(list);
}

// The parts of a section; empty where there is nothing to show.
std::string html(const shown::Table& t) {
  std::vector<Table::Column> columns;
  for (const shown::Column& c : t.columns) columns.push_back({c.head, c.numeric});
  Table table(t.caption, std::move(columns));
  for (const std::vector<shown::Cell>& cells : t.rows) {
    std::vector<Table::Cell> row;
    for (const shown::Cell& cell : cells)
      row.push_back(cell.bar ? Table::Cell::html(interval_bar(cell.bar->value, cell.bar->low, cell.bar->high))
                             : Table::Cell(cell.text));
    table.row(row);
  }
  return table.str();
}

std::string html(const shown::Lines& l) {
  if (l.lines.empty()) return "";
  return figure(l.caption, line_chart({.description = l.description,
                                       .x_label = l.x_label,
                                       .y_label = l.y_label,
                                       .series = l.lines,
                                       .shares = l.shares}));
}

std::string html(const shown::Bars& b) { return figure(b.caption, column_chart(b.description, b.shares)); }

std::string html(const shown::Remark& r) { return remark(r.text); }

std::string notes(const Evaluation& e) {
  std::string out;
  for (const std::string& note : e.notes) out += cat("<li>", escape(note), "</li>");
  return out.empty() ? "" : heading("Notes of the evaluation") + "<ul class=\"remark\">" + out + "</ul>\n";
}

}  // namespace

std::string evaluation_tables(const Evaluation& e) {
  std::vector<std::pair<std::string, std::string>> sections;  // heading, content
  for (const Metric* metric : printed_metrics())
    for (const shown::Section& section : metric->sections(e)) {
      auto it = std::ranges::find(sections, section.heading, &std::pair<std::string, std::string>::first);
      if (it == sections.end()) it = sections.insert(it, {section.heading, ""});
      for (const shown::Part& part : section.parts)
        it->second += std::visit([](const auto& p) { return html(p); }, part);
    }
  std::string out = how_it_was_made(e);
  for (const auto& [title, content] : sections)
    if (!content.empty()) out += heading(title) + content;
  return out + notes(e);
}

}  // namespace mld::report
