#include "mld/report/evaluation_tables.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "engine/base/error.h"
#include "mld/report/chart.h"
#include "mld/report/html.h"
#include "mld/report/json_parts.h"

namespace mld::report {
namespace {

// "image, sound"
std::string names(const std::string& joined) {
  std::string out;
  for (const char c : joined) out += c == ',' ? ", " : std::string(1, c);
  return out;
}

// What a cell was made from.
std::string source(const json& cell) {
  const std::string given = text(cell, "given"), target = text(cell, "target");
  if (given.empty()) return "nothing (joint)";
  return given == target ? "itself (decode of encode)" : names(given);
}

std::string interval(const json& cell, const std::string& low, const std::string& high) {
  return std::isnan(real(cell, "low95")) ? "" : cat(low, " … ", high);
}
std::string share_interval(const json& cell) {
  const auto points = [&](const char* key) { return fixed(100 * real(cell, key), 1); };
  return interval(cell, points("low95"), points("high95"));
}

std::string with_error(double value, double error) {
  return std::isnan(error) ? number(value) : cat(number(value), " ± ", number(error, 2));
}

std::string count(const json& cell, const char* key) { return number(real(cell, key), 12); }

std::string how_it_was_made(const json& e) {
  Facts list;
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) list.emplace_back(name, value);
  };
  const json run = part(e, "run"), schedule = part(e, "schedule");
  const bool drawn = !text(e, "rows").empty();
  add("Samples N", cat(text(e, "samples"), " of split ", text(e, "split"), drawn ? ", drawn by class" : ""));
  if (drawn) add("Samples of each class", text(e, "of_classes"));
  if (const double unlabelled = real(e, "unlabelled"); unlabelled > 0)
    add("Samples without a label", number(unlabelled, 12));
  add("Data", cat(text(e, "fingerprint"), text(e, "trained_on") == "false" ? " (not those trained on)" : ""));
  add("Seed of the samples", text(e, "seed"));
  if (schedule.is_object()) {
    const bool jumps = real(schedule, "resample") > 1;
    std::string walk = cat(text(schedule, "method"), ", ", text(schedule, "steps"), " levels",
                           jumps ? cat(", jumps of ", text(schedule, "jump"), ", each stretch ",
                                       text(schedule, "resample"), " times")
                                 : ", no jumps");
    const std::set<std::string> said{"method", "steps", "jump", "resample"};
    for (const auto& [key, value] : schedule.items())
      if (!said.contains(key)) walk += cat(", ", key, " ", text(schedule, key.c_str()));
    add("Schedule", walk);
  }
  add("Network calls a sample", text(e, "network_calls"));
  const std::string weights = text(e, "weights");
  add("Weights", weights == "ema" ? "averaged (EMA)" : weights);
  add("Parameters", text(run, "parameters"));
  add("Configuration hash", text(run, "config_hash"));
  const json hashes = part(e, "classifier_hash");
  if (hashes.is_object())
    for (const auto& [name, hash] : hashes.items())
      add(cat("Classifier of ", name).c_str(), text(hashes, name.c_str()));
  if (const double seconds = real(e, "seconds"); !std::isnan(seconds)) add("Seconds taken", number(seconds));
  return facts(list);
}

void add_coherence(Table& table, const std::string& from, const std::string& target, const json& cell) {
  if (std::isnan(real(cell, "value")) || real(cell, "n") == 0) return;
  table.row(
      {from, target, percent(real(cell, "value")), share_interval(cell), count(cell, "n"),
       Table::Cell::html(interval_bar(real(cell, "value"), real(cell, "low95"), real(cell, "high95")))});
}

std::string coherence(const json& e) {
  const std::vector<Table::Column> columns{{"Generated from"},   {"Target"},  {"Right class", true},
                                           {"95 % interval, %"}, {"N", true}, {"0 to 100 %"}};
  Table ceilings("Ceilings: what any coherence is bounded by", columns);
  for (const json& cell : list(e, "classifier"))
    add_coherence(ceilings, "real items", text(cell, "target"), cell);
  for (const json& cell : list(e, "autoencoder"))
    add_coherence(ceilings, "itself (decode of encode)", text(cell, "target"), cell);
  Table generated("Coherence of what is generated", columns);
  const json joint = part(e, "joint");
  add_coherence(generated, "nothing (joint)", "all agree", part(joint, "coherence"));
  for (const json& cell : list(e, "conditional"))
    add_coherence(generated, source(cell), text(cell, "target"), cell);
  std::string out = generated.str() + ceilings.str();
  std::vector<double> shares;
  for (const json& share : list(joint, "class_share"))
    shares.push_back(share.is_number() ? share.get<double>() : 0);
  if (!shares.empty())
    out += figure(
        cat("Classes of joint samples, %; entropy ", number(real(joint, "entropy"), 4), " of ",
            number(std::log(static_cast<double>(shares.size())), 4), " nats"),
        column_chart("Share of each class among joint samples, in percent; dashed: equal shares", shares));
  Table sizes("Leave-one-out coherence: mean over targets and over sets of given modalities",
              {{"Given modalities"}, {"Right class", true}});
  // Older files have 0 for cells of no samples, in these means too.
  std::set<double> unfounded;
  for (const json& cell : list(e, "conditional"))
    if (const std::string given = text(cell, "given"); real(cell, "n") == 0)
      unfounded.insert(1 + static_cast<double>(std::ranges::count(given, ',')));
  for (const json& cell : list(e, "leave_one_out"))
    if (!unfounded.contains(real(cell, "size")))
      sizes.row({text(cell, "size"), percent(real(cell, "value"))});
  out += sizes.str();
  return out.empty() ? out : heading("Coherence") + out;
}

std::string quality(const json& e) {
  Table table("Distance from real samples; lower is better", {{"Generated from"},
                                                              {"Target"},
                                                              {"Metric"},
                                                              {"Distance", true},
                                                              {"95 % interval"},
                                                              {"Real halves", true},
                                                              {"KID"},
                                                              {"N real (distinct)", true},
                                                              {"N made", true},
                                                              {"Extractor, features, hash"}});
  for (const json& q : list(e, "quality"))
    table.row({source(q), text(q, "target"), text(q, "metric"), number(real(q, "value"), 4),
               interval(q, number(real(q, "low95"), 4), number(real(q, "high95"), 4)),
               number(real(q, "real_halves")), with_error(real(q, "kid"), real(q, "kid_error")),
               cat(count(q, "real"), " (", count(q, "distinct"), ")"), count(q, "made"),
               cat(text(q, "extractor"), ", ", count(q, "dim"), ", ", text(q, "hash"))});
  Table clip("CLIP-S: similarity of an image and the caption beside it",
             {{"Pairs"}, {"CLIP-S", true}, {"N", true}, {"Hash of CLIP"}});
  const auto add_clip = [&](const std::string& pairs, const json& c) {
    clip.row({pairs, with_error(real(c, "value"), real(c, "error")), count(c, "n"), text(c, "hash")});
  };
  for (const json& c : list(e, "clip_reference")) add_clip("real", c);
  for (const json& c : list(e, "clip_score")) add_clip(source(c), c);
  Table pen("Pen-image agreement: intersection over union of the drawn path with the image beside it",
            {{"Pairs"}, {"Mean", true}, {"N", true}});
  for (const json& p : list(e, "pen_image_agreement"))
    pen.row({text(p, "how"), with_error(real(p, "mean"), real(p, "error")), count(p, "n")});
  if (table.empty() && clip.empty() && pen.empty()) return "";
  return heading("Quality") + table.str() +
         (table.empty()
              ? ""
              : remark("Distances compare only where extractor, hash and numbers of samples are the "
                       "same. CFD is the distance on the features of this run's own classifier; it is "
                       "no FID. Real halves: the distance between two disjoint halves of the real "
                       "samples.")) +
         clip.str() + pen.str();
}

std::string diversity(const json& e) {
  Table draws(
      "Diversity of conditionals: 0, all draws for one condition are alike; 1, the condition does not "
      "matter",
      {{"Generated from"}, {"Target"}, {"Ratio", true}, {"Draws", true}, {"Conditions", true}});
  for (const json& c : list(e, "diversity"))
    draws.row(
        {source(c), text(c, "target"), number(real(c, "ratio")), count(c, "draws"), count(c, "conditions")});
  Table memory("Memorisation: distance of joint samples to the nearest training item, in latents",
               {{"Target"},
                {"Generated", true},
                {"Real, unseen", true},
                {"Closer than 1 % of real", true},
                {"N", true}});
  for (const json& c : list(e, "memorisation")) {
    const json closer = part(c, "closer");
    memory.row({text(c, "target"), number(real(c, "generated")), number(real(c, "real")),
                percent(closer.is_object() ? real(closer, "value") : real(c, "closer")), count(c, "n")});
  }
  if (draws.empty() && memory.empty()) return "";
  return heading("Diversity and memorisation") + draws.str() + memory.str();
}

std::string information(const json& e) {
  Table table("Mutual information between groups of modalities, nats",
              {{"Group"}, {"With"}, {"Information", true}, {"N", true}});
  for (const json& c : list(e, "information"))
    table.row({names(text(c, "group")), names(text(c, "rest")), with_error(real(c, "nats"), real(c, "error")),
               count(c, "n")});
  return table.empty() ? "" : heading("Information") + table.str();
}

// Curves over the time, one for each value of `name`; points without a time are left out.
std::vector<Series> curves(const json& points, const char* name, const char* value) {
  std::vector<Series> series;
  for (const json& point : points) {
    if (std::isnan(real(point, "t"))) continue;
    const std::string of = names(text(point, name));
    auto it = std::find_if(series.begin(), series.end(), [&](const Series& s) { return s.name == of; });
    if (it == series.end()) it = series.insert(it, Series{of, {}, {}});
    it->x.push_back(real(point, "t"));
    it->y.push_back(real(point, value));
  }
  return series;
}

std::string inpainting_gap(const json& e) {
  const json points = list(e, "inpainting_gap");
  LineChart chart{
      .description = "In-painting gap against the time to which the given modalities were diffused",
      .x_label = "diffusion time t",
      .y_label = "nats",
      .series = curves(points, "given", "nats")};
  if (chart.series.empty()) return "";
  std::vector<Table::Column> columns{{"Diffusion time t"}};
  for (const Series& s : chart.series) {
    columns.push_back({"Given " + s.name, true});
    const auto peak = std::max_element(s.y.begin(), s.y.end()) - s.y.begin();
    chart.description += cat("; given ", s.name, ": at most ", number(s.y[static_cast<std::size_t>(peak)]),
                             " at ", number(s.x[static_cast<std::size_t>(peak)]));
  }
  std::map<double, std::map<std::string, std::string>> cells;  // of each time and condition
  for (const json& p : points)
    if (!std::isnan(real(p, "t")))
      cells[real(p, "t")][names(text(p, "given"))] = with_error(real(p, "nats"), real(p, "error"));
  Table table("The same in nats, with standard errors", columns);
  for (auto& [t, of] : cells) {
    std::vector<Table::Cell> row{number(t)};
    for (const Series& s : chart.series) row.emplace_back(of[s.name]);
    table.row(row);
  }
  return heading("In-painting gap") +
         figure("What is lost if the given modalities are diffused to t", line_chart(chart)) + table.str();
}

std::string robustness(const json& e) {
  json points = json::array();
  for (const json& point : list(e, "robustness"))
    if (real(point, "n") != 0) points.push_back(point);
  LineChart chart{.description = "Coherence of decoded latents against the time to which they were diffused",
                  .x_label = "diffusion time t",
                  .y_label = "right class",
                  .series = curves(points, "target", "value"),
                  .shares = true};
  if (chart.series.empty()) return "";
  for (const Series& s : chart.series)
    chart.description += cat("; ", s.name, ": ", percent(s.y.front()), " at ", number(s.x.front()), ", ",
                             percent(s.y.back()), " at ", number(s.x.back()));
  return heading("Robustness of the latents") + figure("Coherence of diffused latents", line_chart(chart));
}

std::string notes(const json& e) {
  std::string out;
  for (const json& note : list(e, "notes"))
    if (note.is_string()) out += cat("<li>", escape(note.get<std::string>()), "</li>");
  return out.empty() ? "" : heading("Notes of the evaluation") + "<ul class=\"remark\">" + out + "</ul>\n";
}

}  // namespace

std::string evaluation_tables(const std::string& contents, const std::string& where) {
  const json e = json::parse(contents, nullptr, false);
  MLD_CHECK_AS(ErrorKind::data, e.is_object(), where,
               ": not an evaluation; remove it or make it again with `mldctl eval`");
  return how_it_was_made(e) + coherence(e) + quality(e) + diversity(e) + information(e) + inpainting_gap(e) +
         robustness(e) + notes(e);
}

}  // namespace mld::report
