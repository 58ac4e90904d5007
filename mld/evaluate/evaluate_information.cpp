#include "mld/evaluate/evaluate_information.h"

#include <array>
#include <bit>

#include "mld/config/seed.h"
#include "mld/diffusion/information.h"
#include "mld/evaluate/choice/given_sets.h"

namespace mld {
namespace {

constexpr std::int64_t kInformation = 2000;  // samples that mutual information is averaged over
constexpr std::int64_t kGapSamples = 1000;   // and the in-painting gap,
constexpr int kGapRepeats = 2;               // with draws of time and noise for each
constexpr std::array kGapTimes{0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9};

// What mutual information is between: all halves, or above kAllSetsUpTo modalities each one and the others.
std::vector<Subset> groups(int modalities, Evaluation& result) {
  std::vector<Subset> all = bipartitions(modalities);
  if (modalities > kAllSetsUpTo) {
    std::erase_if(all, [](Subset s) { return std::popcount(s) != 1; });
    result.note("mutual information: of each modality with the others, of no larger groups");
  }
  return all;
}

void measure_gap(const Model& model, const MultiTimeScore& score, const Tensor& z,
                 std::uint64_t sampling_seed, const Tell& tell, Evaluation& result) {
  const auto conditions = inpainting_conditions(model.modalities());
  const auto total = static_cast<std::int64_t>(conditions.size() * kGapTimes.size());
  for (const Subset given : conditions) {
    // The same noise at all times, so that the curve over them is smooth.
    const std::uint64_t seed =
        stage_seed(sampling_seed, "in-painting gap/" + subset_name(given, result.modalities));
    for (const double t : kGapTimes) {
      tell("in-painting gap", std::ssize(result.inpainting_gap), total);
      result.inpainting_gap.push_back(
          inpainting_gap(score, model.layout(), z, given, t, {.repeats = kGapRepeats, .seed = seed}));
    }
  }
}

}  // namespace

void evaluate_information(const Model& model, const EvaluationRows& rows, const Tensor& z, std::uint64_t seed,
                          const Tell& tell, Evaluation& result) {
  const Answers can = model.method().answers();
  if (!can.no_information.empty())
    return result.note("mutual information is left out: " + can.no_information);
  if (!can.caution.empty()) result.note("mutual information and gap: " + can.caution);
  const Subset all = full_set(model.modalities());
  const auto latents = [&](std::int64_t most) { return rows_of(z, rows.draw(all, most, "information")); };
  const Tensor complete = latents(kInformation);
  if (complete.shape()[0] < 2) return result.note("mutual information is left out: no complete samples");
  const MultiTimeScore score = [&](const Tensor& r, const Tensor& tau) {
    return model.method().noise_prediction(r, tau);
  };
  for (const Subset group : groups(model.modalities(), result))
    result.information.push_back(mutual_information(
        score, model.layout(), complete, group,
        {.seed = stage_seed(seed, "information/" + subset_name(group, result.modalities))},
        [&](std::int64_t done) { tell("mutual information", done, complete.shape()[0]); }));
  if (can.inpainting_gap) measure_gap(model, score, latents(kGapSamples), seed, tell, result);
}

}  // namespace mld
