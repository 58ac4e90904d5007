// What modalities tell about each other, asked of the score network: mutual information, and where the network
// knows modalities at different times above 0, the in-painting gap.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <map>

#include "mld/config/seed.h"
#include "mld/diffusion/information.h"
#include "mld/evaluate/choice/given_sets.h"
#include "mld/evaluate/context.h"

namespace mld {
namespace {

using namespace shown;

constexpr std::int64_t kInformation = 2000;  // samples that mutual information is averaged over
constexpr std::int64_t kGapSamples = 1000;   // and the in-painting gap,
constexpr int kGapRepeats = 2;               // with draws of time and noise for each
constexpr std::array kGapTimes{0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9};

std::string refusal(const Answers& answers) {
  if (answers.no_information.empty()) return {};
  return "mutual information: " + answers.no_information + "; use kind mld or uni";
}

class InformationMeasure : public Measure {
 public:
  using Measure::Measure;

  void finish() override {
    const Answers can = context_.model.method().answers();
    if (!can.no_information.empty())
      return context_.note("mutual information is left out: " + can.no_information);
    if (!can.caution.empty()) context_.note("mutual information and gap: " + can.caution);
    const Tensor z = latents(kInformation);
    if (z.shape()[0] < 2) return context_.note("mutual information is left out: no complete samples");
    for (const Subset group : groups())
      context_.result.information.push_back(mutual_information(
          score_, context_.model.layout(), z, group, {.seed = seed("information/", group)},
          [&](std::int64_t done) { context_.tell("mutual information", done, z.shape()[0]); }));
    if (can.inpainting_gap) measure_gap(latents(kGapSamples));
  }

 private:
  Tensor latents(std::int64_t most) const {
    return rows_of(context_.z,
                   context_.rows.draw(full_set(context_.model.modalities()), most, "information"));
  }

  std::uint64_t seed(const std::string& stream, Subset set) const {
    return stage_seed(context_.options.sampling.seed, stream + context_.result.names(set));
  }

  // What mutual information is between: all halves, or above kAllSetsUpTo modalities each one and the others.
  std::vector<Subset> groups() {
    std::vector<Subset> all = bipartitions(context_.model.modalities());
    if (context_.model.modalities() > kAllSetsUpTo) {
      std::erase_if(all, [](Subset s) { return std::popcount(s) != 1; });
      context_.note("mutual information: of each modality with the others, of no larger groups");
    }
    return all;
  }

  void measure_gap(const Tensor& z) {
    auto& found = context_.result.inpainting_gap;
    const auto conditions = inpainting_conditions(context_.model.modalities());
    const auto total = static_cast<std::int64_t>(conditions.size() * kGapTimes.size());
    for (const Subset given : conditions)
      for (const double t : kGapTimes) {
        context_.tell("in-painting gap", std::ssize(found), total);
        // The same noise at all times, so that the curve over them is smooth.
        found.push_back(inpainting_gap(score_, context_.model.layout(), z, given, t,
                                       {.repeats = kGapRepeats, .seed = seed("in-painting gap/", given)}));
      }
  }

  const MultiTimeScore score_ = [this](const Tensor& r, const Tensor& tau) {
    return context_.model.method().noise_prediction(r, tau);
  };
};

std::unique_ptr<Measure> start(EvaluationContext& context) {
  return std::make_unique<InformationMeasure>(context);
}

// A row for each condition, a column for each time.
std::string gap_table(const Evaluation& e) {
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
    rows += row("given " + e.names(given), values + format("   +- %.4f at most", error));
  }
  if (rows.empty()) return "";
  return cat("In-painting gap, nats: what conditions noised to t lack of clean ones (N = ",
             e.inpainting_gap.front().n, ")\n", row("t =", times), rows);
}

std::string table(const Evaluation& e) {
  std::string rows;
  for (const auto& c : e.information) rows += row(e.names(c.group), format("%6.3f +- %.3f", c.nats, c.error));
  if (!rows.empty())
    rows = cat("Mutual information with all others, nats (N = ", e.information.front().n, ")\n", rows);
  return rows + gap_table(e);
}

Lines gap_lines(const Evaluation& e) {
  Lines out{.caption = "What is lost if the given modalities are diffused to t",
            .description = "In-painting gap against the time to which the given modalities were diffused",
            .x_label = "diffusion time t",
            .y_label = "nats",
            .lines = {}};
  for (const auto& p : e.inpainting_gap) out.add(names(e, p.given), p.t, p.nats);
  for (const Line& line : out.lines) {
    const auto peak = static_cast<std::size_t>(std::ranges::max_element(line.y) - line.y.begin());
    out.description +=
        cat("; given ", line.name, ": at most ", number(line.y[peak]), " at ", number(line.x[peak]));
  }
  return out;
}

Table gap_numbers(const Evaluation& e, const Lines& lines) {
  Table out{"The same in nats, with standard errors", {{"Diffusion time t"}}, {}};
  for (const Line& line : lines.lines) out.columns.push_back({"Given " + line.name, true});
  std::map<double, std::map<std::string, std::string>> cells;  // of each time and condition
  for (const auto& p : e.inpainting_gap)
    if (!std::isnan(p.t)) cells[p.t][names(e, p.given)] = with_error(p.nats, p.error);
  for (auto& [t, of] : cells) {
    std::vector<Cell>& row = out.rows.emplace_back();
    row.emplace_back(number(t));
    for (const Line& line : lines.lines) row.emplace_back(of[line.name]);
  }
  return out;
}

std::vector<Section> sections(const Evaluation& e) {
  Table mutual{"Mutual information between groups of modalities, nats",
               {{"Group"}, {"With"}, {"Information", true}, {"N", true}},
               {}};
  const Subset all = full_set(static_cast<int>(e.modalities.size()));
  for (const auto& c : e.information)
    mutual.rows.push_back(
        {names(e, c.group), names(e, all & ~c.group), with_error(c.nats, c.error), count(c.n)});
  Lines lines = gap_lines(e);
  Table numbers = gap_numbers(e, lines);
  return {{"Information", {std::move(mutual)}}, {"In-painting gap", {std::move(lines), std::move(numbers)}}};
}

}  // namespace

extern constinit const Metric kInformation{
    .name = "mi", .refusal = refusal, .start = start, .table = table, .sections = sections};

}  // namespace mld
