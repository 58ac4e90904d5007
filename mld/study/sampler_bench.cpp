#include "mld/study/sampler_bench.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/random/philox.h"
#include "mld/config/hashes.h"
#include "mld/diffusion/sampling_record.h"
#include "mld/evaluate/choice/row_draw.h"
#include "mld/run/model_data.h"

namespace mld {
namespace {

constexpr int kReplicates = 1000;
constexpr std::uint64_t kResampleSeed = 0xb007;

// Of each cluster the sum over samples and cells of the difference of right answers, and their number.
struct PerCluster {
  std::vector<double> difference, count;
};

PerCluster per_cluster(const std::vector<std::vector<std::int8_t>>& outcomes,
                       const std::vector<std::vector<std::int8_t>>& reference,
                       std::span<const std::int64_t> clusters) {
  PerCluster out;
  std::vector<std::size_t> place(clusters.size());  // of the cluster that begins with a row
  for (std::size_t k = 0; k < clusters.size(); ++k) {
    const auto first = static_cast<std::size_t>(clusters[k]);
    if (first == k) {
      place[k] = out.count.size();
      out.difference.push_back(0);
      out.count.push_back(0);
    }
    const std::size_t cluster = place[first];
    for (std::size_t c = 0; c < outcomes.size(); ++c) {
      if (outcomes[c][k] < 0) continue;
      out.difference[cluster] += outcomes[c][k] - reference[c][k];
      out.count[cluster] += 1;
    }
  }
  return out;
}

std::vector<double> generated_distances(const Evaluation& e) {
  std::vector<double> distances;
  for (const QualityCell& q : e.quality)
    if (!contains(q.given, q.target)) distances.push_back(q.distance.frechet);
  return distances;
}

std::optional<double> geometric_ratio(const std::vector<double>& distances,
                                      const std::vector<double>& reference) {
  double sum = 0;
  int cells = 0;
  for (std::size_t k = 0; k < distances.size(); ++k) {
    if (distances[k] <= 0 || reference[k] <= 0) continue;
    sum += std::log(distances[k] / reference[k]);
    ++cells;
  }
  if (cells == 0) return {};
  return std::exp(sum / cells);
}

std::optional<double> mean_conditional(const Evaluation& e) {
  if (e.conditional.empty()) return {};
  double sum = 0;
  for (const CoherenceCell& c : e.conditional) sum += c.coherence.value;
  return sum / static_cast<double>(e.conditional.size());
}

using Outcomes = std::vector<std::vector<std::int8_t>>;
Outcomes joint_part(const Outcomes& all) { return {all.begin(), all.begin() + 1}; }
Outcomes conditional_part(const Outcomes& all) { return {all.begin() + 1, all.end()}; }
bool any_labelled(const Outcomes& all) {
  return std::ranges::any_of(
      all, [](const auto& cell) { return std::ranges::any_of(cell, [](std::int8_t v) { return v >= 0; }); });
}

// "1", "0" and "-" of each sample.
std::string text_of(const std::vector<std::int8_t>& outcomes) {
  std::string text;
  for (const std::int8_t v : outcomes) text += v < 0 ? '-' : v > 0 ? '1' : '0';
  return text;
}

bool same_sampler(const SamplerOptions& a, const SamplerOptions& b) {
  return schedule_record(a) == schedule_record(b);
}

void check_continues(const Model& model, const data::Store& store, const EvaluationOptions& options,
                     const std::vector<SamplerOptions>& samplers, const SamplerBench& before) {
  const Evaluation there = parse_evaluation(before.reference.how, "the comparison that is there");
  const auto same = [&](const char* what, const auto& is, const auto& wanted) {
    MLD_CHECK_AS(ErrorKind::busy, is == wanted, "bench-samplers: the comparison that is there has ", what,
                 " ", is, ", not ", wanted, "; name another file with --out, or remove it");
  };
  same("configuration", there.config_hash, score_hash(model.config()));
  same("seed of the run", there.model_seed, model.config().seed);
  same("split", there.split, options.split);
  same("seed of the samples", there.seed.value(), options.sampling.seed);
  const data::Split& split = evaluated_split(store, options.split);
  same("N", there.samples, samples_used(split, options));
  const auto rows = [](bool drawn) { return std::string(drawn ? kDrawnRows : "the first"); };
  const bool complete = std::ranges::all_of(samplers, [&](const SamplerOptions& s) {
    return std::ranges::any_of(before.results,
                               [&](const SamplerResult& r) { return same_sampler(r.sampler, s); });
  });
  if (!complete) same("rows", rows(there.drawn), rows(is_drawn(split, options.samples)));
  if (const std::string data = store.description().fingerprint; !there.fingerprint.empty() && !data.empty())
    same("data", there.fingerprint, data);
  if (!there.weights_hash.empty()) same("weights", there.weights_hash, model.weights_hash());
  same("data set", there.dataset, store.description().name);
  const std::map<std::string, std::string> classifiers = there.classifiers();
  for (int i = 0; i < model.modalities(); ++i) {
    if (!model.reads(i)) continue;
    const auto hash = classifiers.find(model.modality(i).name);
    same("classifier", hash != classifiers.end() ? hash->second : std::string("none"),
         model.classifier_hash(i));
  }
  same("reference", schedule_name(before.results.front().sampler), schedule_name(samplers.front()));
}

// What can be told only once something has been measured: the networks that distances rest on.
void check_alike(const Evaluation& e, const BenchReference& reference) {
  const auto extractors = [](const Evaluation& evaluation) {
    std::vector<std::string> list;
    for (const QualityCell& q : evaluation.quality)
      if (std::ranges::find(list, q.hash) == list.end()) list.push_back(q.hash);
    return list;
  };
  bool alike = e.outcomes.size() == reference.outcomes.size() &&
               extractors(e) == extractors(parse_evaluation(reference.how, "the comparison that is there")) &&
               generated_distances(e).size() == reference.distances.size();
  for (std::size_t k = 0; alike && k < e.outcomes.size(); ++k)
    alike = e.outcomes[k].size() == reference.outcomes[k].size();
  MLD_CHECK_AS(
      ErrorKind::busy, alike,
      "bench-samplers: the comparison that is there rests on other cells or feature extractors; name "
      "another file with --out, or remove it");
}

nlohmann::json json_of(const PairedDifference& d) {
  return {{"value", d.value}, {"low95", d.low}, {"high95", d.high}};
}

// As listed; results that the list has not, at the end.
void in_order(std::vector<SamplerResult>& results, const std::vector<SamplerOptions>& samplers) {
  const auto rank = [&](const SamplerResult& r) {
    return std::ranges::find_if(samplers,
                                [&](const SamplerOptions& s) { return same_sampler(r.sampler, s); }) -
           samplers.begin();
  };
  std::ranges::stable_sort(results, {}, rank);
}

[[noreturn]] void fail_as_no_comparison(const std::string& where, const std::exception& why) {
  fail(ErrorKind::data, where, ": not a comparison of samplers (", why.what(),
       "); remove it to make a new one");
}

// That it is an evaluation with generated samples, by which a comparison is continued.
void check_how(const std::string& how, const std::string& where) {
  try {
    const Evaluation e = parse_evaluation(how, "how");
    MLD_CHECK_AS(ErrorKind::data, e.generated && e.seed, "how: no samples were generated");
  } catch (const Error& error) {
    fail_as_no_comparison(where, error);
  }
}

}  // namespace

std::vector<SamplerOptions> sampler_candidates(const SamplerOptions& own) {
  std::vector<SamplerOptions> list{kPaperSampler};
  const auto add = [&](SamplerMethod method, std::initializer_list<std::int64_t> steps, double churn = 1) {
    for (const std::int64_t n : steps)
      list.push_back({.method = method, .steps = n, .jump = 1, .resample = 1, .churn = churn});
  };
  using enum SamplerMethod;
  add(em, {10, 20, 50, 100, 250});
  add(dpm, {10, 20, 50});
  add(heun, {5, 10, 25});
  for (const double churn : {1, 5, 10, 20}) add(dpm_sde, {10, 20, 30, 50, 100}, churn);
  SamplerOptions last = own;
  if (last.resample == 1) last.jump = 1;  // which is then not read
  if (std::ranges::none_of(list, [&](const SamplerOptions& s) { return same_sampler(s, last); }))
    list.push_back(last);
  return list;
}

PairedDifference paired_difference(const Outcomes& outcomes, const Outcomes& reference,
                                   std::span<const std::int64_t> clusters) {
  MLD_CHECK(!outcomes.empty() && outcomes.size() == reference.size() &&
                outcomes.front().size() == reference.front().size() &&
                outcomes.front().size() == clusters.size(),
            "paired difference: ", outcomes.size(), " and ", reference.size(), " cells, ", clusters.size(),
            " clusters");
  const PerCluster of = per_cluster(outcomes, reference, clusters);
  const std::size_t n = of.count.size();
  const auto mean = [&](auto pick) {
    double difference = 0, count = 0;
    for (std::size_t k = 0; k < n; ++k) {
      const std::size_t cluster = pick(k);
      difference += of.difference[cluster];
      count += of.count[cluster];
    }
    return count > 0 ? difference / count : 0;
  };
  std::vector<double> replicates;
  for (std::uint32_t r = 0; r < kReplicates; ++r)
    replicates.push_back(mean([&](std::size_t k) {
      const Words words = draw(kResampleSeed, 0, r, static_cast<std::uint32_t>(k), 0);
      return static_cast<std::size_t>(words.v[0] % n);
    }));
  std::sort(replicates.begin(), replicates.end());
  return {mean([](std::size_t k) { return k; }), replicates[kReplicates / 40],
          replicates[kReplicates - 1 - kReplicates / 40]};
}

SamplerBench bench_samplers(const Model& model, const data::Store& store, EvaluationOptions options,
                            const std::vector<SamplerOptions>& samplers, const EvaluationProgress& progress,
                            const std::function<void(const SamplerBench&, const SamplerResult&)>& done,
                            const SamplerBench& before) {
  options.metrics = {};
  MLD_CHECK_AS(ErrorKind::usage, !is_vae(model.config().model.kind),
               "bench-samplers: a VAE has no sampler to choose");
  int classifiers = 0;
  for (int i = 0; i < model.modalities(); ++i) classifiers += model.reads(i);
  MLD_CHECK_AS(ErrorKind::usage, classifiers >= 2,
               "bench-samplers: the model needs classifiers of two modalities to measure coherence with");
  SamplerBench bench = before;
  if (!before.results.empty()) check_continues(model, store, options, samplers, before);
  for (const SamplerOptions& sampler : samplers) {
    const auto known = std::find_if(before.results.begin(), before.results.end(),
                                    [&](const SamplerResult& r) { return same_sampler(r.sampler, sampler); });
    if (known != before.results.end()) {
      if (done) done(bench, *known);
      continue;
    }
    options.sampling.sampler = sampler;
    const std::string name = schedule_name(sampler);
    const Evaluation e =
        evaluate(model, store, options, [&](const std::string& what, std::int64_t at, std::int64_t total) {
          return !progress || progress(name + ": " + what, at, total);
        });
    if (bench.results.empty()) bench.reference = {to_json(e), e.outcomes, generated_distances(e)};
    check_alike(e, bench.reference);
    const Outcomes& reference = bench.reference.outcomes;
    SamplerResult result{
        .sampler = sampler,
        .network_calls = e.network_calls,
        .joint = e.joint.all_equal.value,
        .joint_difference = paired_difference(joint_part(e.outcomes), joint_part(reference), e.clusters),
        .conditional = mean_conditional(e),
        .conditional_difference = {},
        .distance_ratio = geometric_ratio(generated_distances(e), bench.reference.distances),
        .distances = generated_distances(e),
        .seconds = e.seconds};
    if (result.conditional)
      result.conditional_difference =
          paired_difference(conditional_part(e.outcomes), conditional_part(reference), e.clusters);
    bench.results.push_back(result);
    in_order(bench.results, samplers);
    if (done) done(bench, result);
  }
  return bench;
}

std::string table_heading() {
  return "sampler               calls   joint %  difference             conditional %  difference            "
         " "
         "distance    s\n";
}

std::string table_line(const SamplerResult& r) {
  char text[256];
  const auto coherence = [&](double share, const PairedDifference& d) {
    std::snprintf(text, sizeof text, "%7.2f  %+6.2f [%+6.2f, %+6.2f]", 100 * share, 100 * d.value,
                  100 * d.low, 100 * d.high);
    return std::string(text);
  };
  std::string conditional = "      - (no sample has a label)";
  if (r.conditional) conditional = coherence(*r.conditional, r.conditional_difference);
  conditional.resize(std::max<std::size_t>(conditional.size(), 32), ' ');
  const std::string joint = coherence(r.joint, r.joint_difference);
  std::string distance = "       -";
  if (r.distance_ratio) {
    std::snprintf(text, sizeof text, "x %6.3f", *r.distance_ratio);
    distance = text;
  }
  std::snprintf(text, sizeof text, "%-20s %6lld   %s        %s   %s %5.0f\n",
                schedule_name(r.sampler).c_str(), static_cast<long long>(r.network_calls), joint.c_str(),
                conditional.c_str(), distance.c_str(), r.seconds);
  return text;
}

std::string to_json(const SamplerBench& bench) {
  nlohmann::json outcomes = nlohmann::json::array();
  for (const auto& cell : bench.reference.outcomes) outcomes.push_back(text_of(cell));
  nlohmann::json out{{"how", nlohmann::json::parse(bench.reference.how)},
                     {"reference_outcomes", outcomes},
                     {"reference_distances", bench.reference.distances},
                     {"samplers", nlohmann::json::array()}};
  for (const SamplerResult& r : bench.results) {
    nlohmann::json one{{"schedule", schedule_record(r.sampler)},
                       {"network_calls", r.network_calls},
                       {"joint", r.joint},
                       {"joint_difference", json_of(r.joint_difference)},
                       {"distances", r.distances},
                       {"seconds", r.seconds}};
    if (r.distance_ratio) one["distance_ratio"] = *r.distance_ratio;
    if (r.conditional) {
      one["conditional"] = *r.conditional;
      one["conditional_difference"] = json_of(r.conditional_difference);
    }
    out["samplers"].push_back(std::move(one));
  }
  return out.dump(1) + "\n";
}

SamplerBench parse_sampler_bench(const std::string& text, const std::string& where) {
  try {
    const nlohmann::json file = nlohmann::json::parse(text);
    SamplerBench bench;
    bench.reference.how = file.at("how").dump();
    check_how(bench.reference.how, where);
    for (const std::string cell : file.at("reference_outcomes")) {
      auto& outcomes = bench.reference.outcomes.emplace_back();
      for (const char c : cell)
        outcomes.push_back(static_cast<std::int8_t>(c == '-' ? -1 : c == '1' ? 1 : 0));
    }
    file.at("reference_distances").get_to(bench.reference.distances);
    const Outcomes& outcomes = bench.reference.outcomes;
    const bool labelled = !outcomes.empty() && any_labelled(conditional_part(outcomes));
    const auto difference = [](const nlohmann::json& j) {
      return PairedDifference{j.at("value"), j.at("low95"), j.at("high95")};
    };
    for (const nlohmann::json& j : file.at("samplers")) {
      const data::Json record(j.at("schedule"));
      data::JsonFields schedule(record, where, "schedule");
      bench.results.push_back({.sampler = read_schedule(schedule),
                               .network_calls = j.at("network_calls"),
                               .joint = j.at("joint"),
                               .joint_difference = difference(j.at("joint_difference")),
                               .conditional = {},
                               .conditional_difference = {},
                               .distance_ratio = {},
                               .distances = j.value("distances", std::vector<double>{}),
                               .seconds = j.at("seconds")});
      // Older files have a ratio of 1 where there are no distances, and 0 where no sample has a label.
      const bool measured = !j.contains("distances") || !j.at("distances").empty();
      if (measured && j.contains("distance_ratio"))
        bench.results.back().distance_ratio = j.at("distance_ratio");
      if (!labelled || !j.contains("conditional")) continue;
      bench.results.back().conditional = j.at("conditional");
      bench.results.back().conditional_difference = difference(j.at("conditional_difference"));
    }
    return bench;
  } catch (const nlohmann::json::exception& error) {
    fail_as_no_comparison(where, error);
  } catch (const Error& error) {  // of read_schedule
    fail_as_no_comparison(where, error);
  }
}

}  // namespace mld
