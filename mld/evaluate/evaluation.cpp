#include "mld/evaluate/evaluation.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "mld/diffusion/sampling_record.h"

namespace mld {
namespace {

using nlohmann::json;

std::string format(const char* pattern, double a, double b = 0, double c = 0) {
  char text[128];
  std::snprintf(text, sizeof text, pattern, a, b, c);
  return text;
}

std::string percent(const Proportion& p) {
  return format("%6.2f %%   [%6.2f, %6.2f]", 100 * p.value(), 100 * p.low(), 100 * p.high());
}

std::string row(std::string name, const std::string& value) {
  name.resize(std::max<std::size_t>(name.size() + 1, 40), ' ');
  return "  " + name + value + "\n";
}

// Sets of k among n.
std::int64_t choices(int n, int k) {
  std::int64_t count = 1;
  for (int i = 1; i <= k; ++i) count = count * (n - k + i) / i;
  return count;
}

// Names of cells.
class Names {
 public:
  explicit Names(const Evaluation& e) : modalities_(e.modalities) {}
  std::string target(int i) const { return modalities_[static_cast<std::size_t>(i)]; }
  std::string given(Subset set) const { return subset_name(set, modalities_); }
  std::string arrow(Subset set, int i) const {
    if (set == 0) return "joint: " + target(i);
    return given(set) + " -> " + target(i);
  }

 private:
  const std::vector<std::string>& modalities_;
};

std::string distance_text(const QualityCell& q) {
  const FeatureDistance& d = q.distance;
  std::string text = q.metric + format(" %9.4f", d.frechet);
  if (d.low) text += format(" [%.4f, %.4f]", *d.low, *d.high);
  text += format("   KID %.3g +- %.1g", d.kernel.value, d.kernel.error);
  return d.real_halves ? text + format("   real halves %.4f", *d.real_halves) : text;
}

json json_of(const Proportion& p) {
  return {{"value", p.value()}, {"low95", p.low()}, {"high95", p.high()}, {"hits", p.hits}, {"n", p.n}};
}

json json_of(const Names& names, const QualityCell& q) {
  const FeatureDistance& d = q.distance;
  json out{{"given", names.given(q.given)},
           {"target", names.target(q.target)},
           {"metric", q.metric},
           {"value", d.frechet},
           {"kid", d.kernel.value},
           {"kid_error", d.kernel.error},
           {"kid_subset", d.kernel.subset},
           {"dim", d.dim},
           {"real", d.real},
           {"distinct", q.distinct},
           {"made", d.made},
           {"extractor", q.extractor},
           {"hash", q.hash}};
  if (d.real_halves) out["real_halves"] = *d.real_halves;
  if (d.low) {
    out["low95"] = *d.low;
    out["high95"] = *d.high;
  }
  return out;
}

json cells(const Names& names, const std::vector<CoherenceCell>& list) {
  json out = json::array();
  for (const auto& c : list) {
    json entry = json_of(c.coherence);
    entry["given"] = names.given(c.given);
    entry["target"] = names.target(c.target);
    out.push_back(entry);
  }
  return out;
}

void add_generated(const Evaluation& e, const Names& names, json& out) {
  if (!e.generated) return;
  out["seed"] = e.sampling.seed;
  out["schedule"] = schedule_record(e.sampling.sampler);
  out["network_calls"] = e.network_calls;
  if (!e.joint.class_share.empty())
    out["joint"] = {{"coherence", json_of(e.joint.all_equal)},
                    {"class_share", e.joint.class_share},
                    {"entropy", e.joint.entropy}};
  if (!e.conditional.empty()) out["conditional"] = cells(names, e.conditional);
  for (const LeaveOneOut& l : leave_one_out(e))
    out["leave_one_out"].push_back({{"size", l.size}, {"value", l.value}});
}

void add_extras(const Evaluation& e, const Names& names, json& out) {
  for (const auto& c : e.clip)
    out[c.real ? "clip_reference" : "clip_score"].push_back({{"given", names.given(c.given)},
                                                             {"value", c.value},
                                                             {"error", c.error},
                                                             {"n", c.n},
                                                             {"hash", c.hash}});
  for (const auto& c : e.diversity)
    out["diversity"].push_back({{"given", names.given(c.given)},
                                {"target", names.target(c.target)},
                                {"ratio", c.ratio},
                                {"draws", c.draws},
                                {"conditions", c.conditions}});
  for (const auto& c : e.memorisation)
    out["memorisation"].push_back({{"target", names.target(c.target)},
                                   {"generated", c.generated},
                                   {"real", c.real},
                                   {"closer", c.closer.value()},
                                   {"n", c.closer.n}});
  for (const auto& c : e.information)
    out["information"].push_back(
        {{"group", names.given(c.group)},
         {"rest", names.given(full_set(static_cast<int>(e.modalities.size())) & ~c.group)},
         {"nats", c.nats},
         {"error", c.error},
         {"n", c.n}});
  for (const auto& c : e.inpainting_gap)
    out["inpainting_gap"].push_back(
        {{"given", names.given(c.given)}, {"t", c.t}, {"nats", c.nats}, {"error", c.error}, {"n", c.n}});
  for (const auto& c : e.robustness)
    out["robustness"].push_back({{"t", c.t},
                                 {"target", names.target(c.target)},
                                 {"value", c.coherence.value()},
                                 {"n", c.coherence.n}});
  for (const auto& p : e.pen)
    out["pen_image_agreement"].push_back({{"how", p.how}, {"mean", p.mean}, {"error", p.error}, {"n", p.n}});
}

// Bytes that are no UTF-8, which JSON cannot hold, are replaced.
std::string dumped(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

// How many of the samples are of each class, where not all of a split are used.
std::string class_line(const Evaluation& e) {
  if (!e.drawn || e.of_classes.empty() || e.unlabelled == e.samples) return "";
  constexpr std::size_t kSpeltOut = 20;
  std::string text;
  if (e.of_classes.size() <= kSpeltOut)
    for (const std::int64_t n : e.of_classes) text += cat(text.empty() ? "" : " ", n);
  else {
    const auto [least, most] = std::ranges::minmax(e.of_classes);
    text = cat(least, " to ", most, " of each of ", e.of_classes.size());
  }
  return cat("samples of each class: ", text,
             e.unlabelled > 0 ? cat("; ", e.unlabelled, " without a label") : "", "\n");
}

// A line for each entry, and for each entry of a list of objects: half the size of indented text, and
// differences between files still show.
std::string by_lines(const json& object) {
  std::string text;
  for (const auto& [key, value] : object.items()) {
    text += (text.empty() ? "{\n" : ",\n") + json(key).dump() + ": ";
    if (!value.is_array() || value.empty() || !value[0].is_object()) {
      text += dumped(value);
      continue;
    }
    for (std::size_t i = 0; i < value.size(); ++i) text += (i == 0 ? "[\n  " : ",\n  ") + dumped(value[i]);
    text += "]";
  }
  return text + "\n}\n";
}

std::string coherence_table(const Evaluation& e, const Names& names) {
  std::string out;
  if (!e.classifier.empty()) out += row("", "value      95 % interval") + "Ceilings\n";
  for (const auto& c : e.classifier)
    out += row("classifier on real " + names.target(c.target), percent(c.coherence));
  for (const auto& c : e.self) out += row("autoencoder of " + names.target(c.target), percent(c.coherence));
  if (!e.joint.class_share.empty()) {
    out += "Joint generation\n" + row("all modalities agree", percent(e.joint.all_equal));
    std::string shares;
    for (double share : e.joint.class_share) shares += format("%5.1f", 100 * share);
    out += row("class shares, %", shares) + row("class entropy, nats", format("%6.3f", e.joint.entropy));
  }
  if (!e.conditional.empty()) out += "Conditional generation\n";
  for (const auto& c : e.conditional) out += row(names.arrow(c.given, c.target), percent(c.coherence));
  if (const auto all = leave_one_out(e); all.size() > 1) {
    out += "Leave-one-out coherence\n";
    for (const LeaveOneOut& l : all) out += row(cat("given ", l.size), format("%6.2f %%", 100 * l.value));
  }
  if (!e.pen.empty()) out += "Pen-image agreement (intersection over union)\n";
  for (const auto& p : e.pen) out += row(p.how, format("%6.3f +- %.3f", p.mean, p.error));
  return out;
}

// A row for each condition, a column for each time.
std::string gap_table(const Evaluation& e, const Names& names) {
  std::string times, rows;
  for (auto it = e.inpainting_gap.begin(); it != e.inpainting_gap.end();) {
    const Subset given = it->given;
    std::string values;
    double error = 0;
    times.clear();
    for (; it != e.inpainting_gap.end() && it->given == given; ++it) {
      times += format("%8.2f", it->t);
      values += format("%8.4f", it->nats);
      error = std::max(error, it->error);
    }
    rows += row("given " + names.given(given), values + format("   +- %.4f at most", error));
  }
  if (rows.empty()) return "";
  return cat("In-painting gap, nats: what conditions noised to t lack of clean ones (N = ",
             e.inpainting_gap.front().n, ")\n", row("t =", times), rows);
}

std::string extras_table(const Evaluation& e, const Names& names) {
  std::string out;
  const auto heading = [&](bool there, const char* text) {
    if (there) out += text;
  };
  heading(!e.quality.empty(), "Quality (distance from real samples; lower is better)\n");
  for (const auto& q : e.quality) out += row(names.arrow(q.given, q.target), distance_text(q));
  heading(!e.clip.empty(), "CLIP-S\n");
  for (const auto& c : e.clip)
    out += row(c.real         ? "real pairs"
               : c.given == 0 ? "joint"
                              : "given " + names.given(c.given),
               format("%6.4f +- %.4f", c.value, c.error));
  heading(!e.diversity.empty(),
          "Diversity (0: draws for one condition are alike, 1: the condition does not matter)\n");
  for (const auto& c : e.diversity) out += row(names.arrow(c.given, c.target), format("%6.3f", c.ratio));
  heading(!e.memorisation.empty(),
          "Distance to the nearest training item (generated, real; share closer than 1 % of real)\n");
  for (const auto& c : e.memorisation)
    out += row(names.target(c.target), format("%6.3f %6.3f   %.3f", c.generated, c.real, c.closer.value()));
  if (!e.information.empty())
    out += cat("Mutual information with all others, nats (N = ", e.information.front().n, ")\n");
  for (const auto& c : e.information)
    out += row(names.given(c.group), format("%6.3f +- %.3f", c.nats, c.error));
  out += gap_table(e, names);
  heading(!e.robustness.empty(), "Coherence of latents diffused to t\n");
  for (std::size_t k = 0; k < e.robustness.size();) {
    std::string values;
    const double t = e.robustness[k].t;
    for (; k < e.robustness.size() && e.robustness[k].t == t; ++k)
      values += names.target(e.robustness[k].target) +
                format(" %6.2f %%   ", 100 * e.robustness[k].coherence.value());
    out += row(format("t = %.2f", t), values);
  }
  return out;
}

}  // namespace

void Evaluation::note(const std::string& text) {
  if (std::ranges::find(notes, text) == notes.end()) notes.push_back(text);
}

std::vector<LeaveOneOut> leave_one_out(const Evaluation& e) {
  std::vector<LeaveOneOut> out;
  const int modalities = static_cast<int>(e.modalities.size());
  for (int size = 1; size < modalities; ++size) {
    double sum = 0;
    int targets = 0;
    bool complete = true;
    for (int target = 0; target < modalities; ++target) {
      if (e.classifier_hash[static_cast<std::size_t>(target)].empty()) continue;
      double mean = 0;
      std::int64_t subsets = 0;
      for (const CoherenceCell& c : e.conditional) {
        if (c.target != target || std::popcount(c.given) != size) continue;
        mean += c.coherence.value();
        ++subsets;
      }
      complete = complete && subsets == choices(modalities - 1, size);
      if (!complete) break;
      sum += mean / static_cast<double>(subsets);
      ++targets;
    }
    if (targets > 0 && complete) out.push_back({size, sum / targets});
  }
  return out;
}

std::string to_table(const Evaluation& e) {
  const Names names(e);
  std::string out = cat("N = ", e.samples, " of split '", e.split, "'",
                        !e.drawn                    ? ""
                        : e.unlabelled == e.samples ? ", drawn"
                                                    : ", drawn by class");
  if (e.generated)
    out += cat(", schedule ", schedule_name(e.sampling.sampler), " (", e.network_calls,
               " network calls a sample), seed ", e.sampling.seed, ", ", e.ema ? "EMA" : "raw", " weights");
  out += "\n" + class_line(e) + "\n" + coherence_table(e, names) + extras_table(e, names);
  for (const std::string& note : e.notes) out += "note: " + note + "\n";
  return out;
}

std::string to_json(const Evaluation& e) {
  const Names names(e);
  json out{{"run",
            {{"kind", e.kind},
             {"preset", e.preset},
             {"dataset", e.dataset},
             {"seed", e.model_seed},
             {"d", e.d},
             {"config_hash", e.config_hash},
             {"settings", e.settings},
             {"classifier_recipe", e.classifier_recipe},
             {"weights_hash", e.weights_hash},
             {"parameters", e.parameters}}},
           {"samples", e.samples},
           {"unlabelled", e.unlabelled},
           {"metrics", e.metrics},
           {"split", e.split},
           {"seconds", e.seconds},
           {"weights", e.ema ? "ema" : "raw"},
           {"modalities", e.modalities},
           {"classifier", cells(names, e.classifier)},
           {"autoencoder", cells(names, e.self)}};
  if (e.drawn) out["rows"] = kDrawnRows;
  if (!e.of_classes.empty()) out["of_classes"] = e.of_classes;
  if (!e.fingerprint.empty()) out["fingerprint"] = e.fingerprint;
  if (e.trained_on) out["trained_on"] = *e.trained_on;
  if (!e.given_sets.empty()) out["given_sets"] = e.given_sets;
  for (std::size_t i = 0; i < e.distinct.size(); ++i) out["distinct"][e.modalities[i]] = e.distinct[i];
  for (std::size_t i = 0; i < e.modalities.size(); ++i)
    if (!e.classifier_hash[i].empty()) out["classifier_hash"][e.modalities[i]] = e.classifier_hash[i];
  add_generated(e, names, out);
  for (const QualityCell& q : e.quality) out["quality"].push_back(json_of(names, q));
  add_extras(e, names, out);
  if (!e.notes.empty()) out["notes"] = e.notes;
  return by_lines(out);
}

std::string with_parts_of(const std::string& now, const std::string& before) {
  json out = json::parse(now);
  const json old = json::parse(before, nullptr, false);
  if (!old.is_object()) return now;
  const auto stamp = [](const json& file, const char* key) { return file.value(key, json()); };
  for (const char* key : {"samples", "split", "rows", "given_sets", "distinct", "weights", "modalities",
                          "classifier_hash", "seed", "schedule", "network_calls"})
    if (stamp(out, key) != stamp(old, key)) return now;
  // Older files have neither hash nor fingerprint.
  bool unchecked = false;
  const auto differs = [&](const json& a, const json& b) {
    unchecked = unchecked || b.is_null();
    return !b.is_null() && a != b;
  };
  json run = stamp(out, "run"), old_run = stamp(old, "run");
  if (!old_run.is_object() || differs(run["weights_hash"], old_run["weights_hash"])) return now;
  if (out.contains("fingerprint") && differs(out["fingerprint"], stamp(old, "fingerprint"))) return now;
  run.erase("weights_hash");
  old_run.erase("weights_hash");
  if (run != old_run) return now;
  const auto lacks = [&](const std::string& key) {
    return !out.contains(key) || (out[key].is_array() && out[key].empty());
  };
  for (const auto& [key, value] : old.items())
    if (lacks(key)) out[key] = value;
  for (const char* list : {"metrics", "notes"})
    if (old.contains(list))
      for (const json& entry : old[list])
        if (std::ranges::find(out[list], entry) == out[list].end()) out[list].push_back(entry);
  if (unchecked)
    out["notes"].push_back(
        "older parts of this file do not say of which weights and data they are; that was not checked");
  return by_lines(out);
}

}  // namespace mld
