#include "mld/sampler_bench.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "engine/random/philox.h"
#include "mld/sampling_record.h"

namespace mld {
namespace {

constexpr int kReplicates = 1000;
constexpr std::uint64_t kResampleSeed = 0xb007;

// Of each sample the sum over cells of right answers, and their number.
struct PerSample {
  std::vector<double> difference, count;
};

PerSample per_sample(const std::vector<std::vector<std::int8_t>>& outcomes,
                     const std::vector<std::vector<std::int8_t>>& reference) {
  PerSample out;
  const std::size_t samples = outcomes.front().size();
  out.difference.resize(samples);
  out.count.resize(samples);
  for (std::size_t c = 0; c < outcomes.size(); ++c)
    for (std::size_t k = 0; k < samples; ++k) {
      if (outcomes[c][k] < 0) continue;
      out.difference[k] += outcomes[c][k] - reference[c][k];
      out.count[k] += 1;
    }
  return out;
}

double geometric_ratio(const Evaluation& e, const Evaluation& reference) {
  double sum = 0;
  int cells = 0;
  for (std::size_t k = 0; k < e.quality.size(); ++k) {
    const QualityCell& q = e.quality[k];
    const double there = reference.quality[k].distance.frechet;
    if (contains(q.given, q.target) || q.distance.frechet <= 0 || there <= 0) continue;
    sum += std::log(q.distance.frechet / there);
    ++cells;
  }
  return cells > 0 ? std::exp(sum / cells) : 1;
}

double mean_conditional(const Evaluation& e) {
  double sum = 0;
  for (const CoherenceCell& c : e.conditional) sum += c.coherence.value();
  return e.conditional.empty() ? 0 : sum / static_cast<double>(e.conditional.size());
}

using Outcomes = std::vector<std::vector<std::int8_t>>;
Outcomes joint_part(const Evaluation& e) { return {e.outcomes.begin(), e.outcomes.begin() + 1}; }
Outcomes conditional_part(const Evaluation& e) { return {e.outcomes.begin() + 1, e.outcomes.end()}; }

nlohmann::json json_of(const PairedDifference& d) {
  return {{"value", d.value}, {"low95", d.low}, {"high95", d.high}};
}

}  // namespace

std::vector<SamplerOptions> sampler_candidates() {
  const auto make = [](SamplerMethod method, int steps, int jump, int resample) {
    return SamplerOptions{.method = method, .schedule = {steps, jump, resample}};
  };
  using enum SamplerMethod;
  std::vector<SamplerOptions> list{make(em, 250, 10, 10)};
  for (const int steps : {10, 20, 50, 100, 250}) list.push_back(make(em, steps, 1, 1));
  for (const int steps : {10, 20, 50}) list.push_back(make(dpm, steps, 1, 1));
  for (const int steps : {5, 10, 25}) list.push_back(make(heun, steps, 1, 1));
  for (const int steps : {10, 20, 50, 100}) list.push_back(make(dpm_sde, steps, 1, 1));
  list.push_back(make(dpm_sde, 12, 4, 3));
  list.push_back(make(dpm_sde, 16, 4, 3));
  list.push_back(make(dpm_sde, 25, 5, 2));
  list.push_back(make(dpm_sde, 30, 10, 2));
  return list;
}

PairedDifference paired_difference(const Outcomes& outcomes, const Outcomes& reference) {
  MLD_CHECK(!outcomes.empty() && outcomes.size() == reference.size() &&
                outcomes.front().size() == reference.front().size(),
            "paired difference: ", outcomes.size(), " and ", reference.size(), " cells");
  const PerSample of = per_sample(outcomes, reference);
  const std::size_t samples = of.count.size();
  const auto mean = [&](auto pick) {
    double difference = 0, count = 0;
    for (std::size_t k = 0; k < samples; ++k) {
      const std::size_t sample = pick(k);
      difference += of.difference[sample];
      count += of.count[sample];
    }
    return count > 0 ? difference / count : 0;
  };
  std::vector<double> replicates;
  for (std::uint32_t r = 0; r < kReplicates; ++r)
    replicates.push_back(mean([&](std::size_t k) {
      const Words words = draw(kResampleSeed, 0, r, static_cast<std::uint32_t>(k), 0);
      return static_cast<std::size_t>(words.v[0] % samples);
    }));
  std::sort(replicates.begin(), replicates.end());
  return {mean([](std::size_t k) { return k; }), replicates[kReplicates / 40],
          replicates[kReplicates - 1 - kReplicates / 40]};
}

SamplerBench bench_samplers(const Model& model, const data::Store& store, EvaluationOptions options,
                            const std::vector<SamplerOptions>& samplers, const EvaluationProgress& progress,
                            const std::function<void(const SamplerResult&)>& done) {
  options.metrics = {};
  SamplerBench bench;
  for (const SamplerOptions& sampler : samplers) {
    options.sampling.sampler = sampler;
    const std::string name = schedule_name(sampler);
    const Evaluation e =
        evaluate(model, store, options, [&](const std::string& what, std::int64_t at, std::int64_t total) {
          return !progress || progress(name + ": " + what, at, total);
        });
    MLD_CHECK_AS(ErrorKind::usage, e.outcomes.size() > 1,
                 "bench-samplers: the model has no classifiers to measure coherence with");
    if (bench.results.empty()) bench.reference = e;
    bench.results.push_back({sampler, e.network_calls, e.joint.all_equal.value(), mean_conditional(e),
                             paired_difference(joint_part(e), joint_part(bench.reference)),
                             paired_difference(conditional_part(e), conditional_part(bench.reference)),
                             geometric_ratio(e, bench.reference), e.seconds});
    if (done) done(bench.results.back());
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
  const auto points = [](double share) { return 100 * share; };
  std::snprintf(
      text, sizeof text,
      "%-20s %6lld   %7.2f  %+6.2f [%+6.2f, %+6.2f]        %7.2f  %+6.2f [%+6.2f, %+6.2f]   x %6.3f %5.0f\n",
      schedule_name(r.sampler).c_str(), static_cast<long long>(r.network_calls), points(r.joint),
      points(r.joint_difference.value), points(r.joint_difference.low), points(r.joint_difference.high),
      points(r.conditional), points(r.conditional_difference.value), points(r.conditional_difference.low),
      points(r.conditional_difference.high), r.distance_ratio, r.seconds);
  return text;
}

std::string to_json(const SamplerBench& bench) {
  nlohmann::json out{{"how", nlohmann::json::parse(to_json(bench.reference))},
                     {"samplers", nlohmann::json::array()}};
  for (const SamplerResult& r : bench.results)
    out["samplers"].push_back({{"schedule", schedule_record(r.sampler)},
                               {"network_calls", r.network_calls},
                               {"joint", r.joint},
                               {"conditional", r.conditional},
                               {"joint_difference", json_of(r.joint_difference)},
                               {"conditional_difference", json_of(r.conditional_difference)},
                               {"distance_ratio", r.distance_ratio},
                               {"seconds", r.seconds}});
  return out.dump(2) + "\n";
}

}  // namespace mld
