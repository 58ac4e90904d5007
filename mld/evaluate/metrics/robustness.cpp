// Robustness of the latents: coherence of what is decoded from them, diffused to times from 0 to 1
// (docs/method.md section 12), of every modality with a classifier.
#include <array>
#include <numeric>

#include "mld/config/seed.h"
#include "mld/diffusion/noise.h"
#include "mld/diffusion/sde.h"
#include "mld/evaluate/context.h"

namespace mld {
namespace {

using namespace shown;

constexpr std::array kTimes{0.0, 0.05, 0.08, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0};

class RobustnessMeasure : public Measure {
 public:
  using Measure::Measure;

  void finish() override {
    PhiloxNoise source(stage_seed(context_.options.sampling.seed, "robustness"));
    for (std::size_t k = 0; k < kTimes.size(); ++k) at(k, source);
    if (!context_.rows.labelled()) context_.note("robustness is left out: no sample has a label");
  }

 private:
  void at(std::size_t time, PhiloxNoise& source) {
    const Model& model = context_.model;
    std::vector<EvaluationRows::Labels> predicted(static_cast<std::size_t>(model.modalities()));
    for (std::int64_t first = 0; first < context_.rows.count(); first += kMeasuredTogether) {
      context_.tell("robustness", static_cast<std::int64_t>(time), std::ssize(kTimes));
      const std::int64_t n = std::min(kMeasuredTogether, context_.rows.count() - first);
      const Tensor noisy = diffused(first, n, time, source);
      for (int i = 0; i < model.modalities(); ++i) {
        if (!model.reads(i)) continue;
        const auto more = model.classify(i, model.decode(i, noisy));
        auto& all = predicted[static_cast<std::size_t>(i)];
        all.insert(all.end(), more.begin(), more.end());
      }
    }
    for (int i = 0; i < model.modalities(); ++i) {
      const auto& read = predicted[static_cast<std::size_t>(i)];
      if (read.empty()) continue;
      if (const Proportion p = agreement(read, context_.rows.labels_with(Subset{1} << i)); p.n > 0)
        context_.result.robustness.push_back({kTimes[time], i, p});
    }
  }

  // Latents [n,D] of the rows from `first` on.
  Tensor diffused(std::int64_t first, std::int64_t n, std::size_t time, PhiloxNoise& source) const {
    const auto a = static_cast<float>(VpSde::mean(kTimes[time])),
               sigma = static_cast<float>(VpSde::std_dev(kTimes[time]));
    const Tensor z = context_.z.rows(first, n), out = Tensor::empty(z.shape());
    std::vector<std::int32_t> ids(static_cast<std::size_t>(n));
    std::iota(ids.begin(), ids.end(), static_cast<std::int32_t>(first));
    source.normal(out, kSiteNoise, Tensor::full({1}, static_cast<double>(time), DType::i32),
                  Tensor::from(ids, {n}));
    for (std::int64_t j = 0; j < out.numel(); ++j)
      out.data<float>()[j] = VpSde::diffused(a, z.data<float>()[j], sigma, out.data<float>()[j]);
    return out;
  }
};

std::unique_ptr<Measure> start(EvaluationContext& context) {
  return std::make_unique<RobustnessMeasure>(context);
}

std::string table(const Evaluation& e) {
  std::string rows;
  for (std::size_t k = 0; k < e.robustness.size();) {
    std::string values;
    const double t = e.robustness[k].t;
    for (; k < e.robustness.size() && e.robustness[k].t == t; ++k)
      values +=
          e.name(e.robustness[k].target) + format(" %6.2f %%   ", 100 * e.robustness[k].coherence.value);
    rows += row(format("t = %.2f", t), values);
  }
  return under("Coherence of latents diffused to t", rows);
}

std::vector<Section> sections(const Evaluation& e) {
  Lines lines{.caption = "Coherence of diffused latents",
              .description = "Coherence of decoded latents against the time to which they were diffused",
              .x_label = "diffusion time t",
              .y_label = "right class",
              .lines = {},
              .shares = true};
  for (const auto& p : e.robustness) lines.add(e.name(p.target), p.t, p.coherence.value);
  for (const Line& line : lines.lines)
    lines.description += cat("; ", line.name, ": ", percent(line.y.front()), " at ", number(line.x.front()),
                             ", ", percent(line.y.back()), " at ", number(line.x.back()));
  return {{"Robustness of the latents", {std::move(lines)}}};
}

}  // namespace

extern constinit const Metric kRobustness{
    .name = "robustness", .latents = true, .start = start, .table = table, .sections = sections};

}  // namespace mld
