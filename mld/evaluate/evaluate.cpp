#include "mld/evaluate/evaluate.h"

#include <algorithm>
#include <chrono>

#include "engine/base/names.h"
#include "engine/io/file_error.h"
#include "mld/config/hashes.h"
#include "mld/evaluate/choice/given_sets.h"
#include "mld/evaluate/choice/row_draw.h"
#include "mld/evaluate/context.h"
#include "mld/evaluate/networks/weights.h"

namespace mld {
namespace {

using Measures = std::vector<std::unique_ptr<Measure>>;

void describe_model(EvaluationContext& c) {
  const Model& model = c.model;
  const Config& config = model.config();
  Evaluation& e = c.result;
  e.kind = name_of(config.model.kind);
  e.preset = config.preset;
  e.dataset = c.store.description().name;
  e.config_hash = score_hash(config);
  e.settings = settings_beyond_preset(config, model.dataset());
  e.model_seed = config.seed;
  const bool vae = is_vae(config.model.kind);
  if (!vae) e.d = config.score.d;
  e.parameters = model.parameters();
  e.weights = (vae ? config.vae.ema : config.score.ema) > 0 ? "ema" : "raw";
  for (int i = 0; i < model.modalities(); ++i)
    e.classifier_hash.push_back(model.reads(i) ? model.classifier_hash(i) : "");
  e.classifier_recipe = classifiers_hash(config);
  e.weights_hash = model.weights_hash();
}

void describe_data(EvaluationContext& c) {
  Evaluation& e = c.result;
  const EvaluationOptions& options = c.options;
  e.split = options.split;
  e.samples = c.rows.count();
  e.metrics = options.metrics.names();
  e.distinct = c.rows.distinct();
  e.drawn = is_drawn(c.split, options.samples);
  e.of_classes = c.rows.of_classes(c.model.dataset().classes);
  e.unlabelled = std::ranges::count_if(c.rows.labels(), [](std::int32_t label) { return label < 0; });
  e.clusters = c.rows.clusters(full_set(c.model.modalities()));
  e.fingerprint = c.store.description().fingerprint;
  if (const std::string trained = c.model.dataset().fingerprint; !trained.empty() && !e.fingerprint.empty())
    e.trained_on = trained == e.fingerprint;
  if (e.trained_on == false) c.note("the store is not the one that the model was trained on");
  if (options.samples > e.samples)
    c.note(cat("N = ", e.samples, ", all there are: ", options.samples, " samples were asked for"));
  if (e.samples > c.split.num_distinct())
    c.note(cat("N = ", e.samples, " goes beyond the first pairing (", c.split.num_distinct(),
               "): intervals of coherence take samples of one item for independent"));
}

void describe_samples(EvaluationContext& c) {
  if (!c.options.generate) return;
  const int modalities = c.model.modalities();
  Evaluation& e = c.result;
  e.generated = true;
  e.sampler = c.options.sampling.sampler;
  e.seed = c.options.sampling.seed;
  e.network_calls = c.model.method().network_calls(c.options.sampling);
  e.given_sets = given_set_names(c.given_sets, e.modalities);
  if (c.options.given_sets.empty() && !e.given_sets.empty())
    c.note(cat(modalities, " modalities: generated from each one and from all but one, ", c.given_sets.size(),
               " of ", (1 << modalities) - 2, " sets; --given-sets all, or sizes or names, chooses others"));
}

void measure_real(EvaluationContext& c, const Measures& measures) {
  const Model& model = c.model;
  const bool coded = c.options.generate ||
                     (model.generates() && std::ranges::any_of(c.options.metrics.metrics, &Metric::latents));
  if (coded) c.z = Tensor::zeros({c.rows.count(), model.layout().total});
  c.each_chunk("real items", [&](Chunk& chunk) {
    for (int i = 0; i < model.modalities(); ++i) {
      const Tensor& x = chunk.values[static_cast<std::size_t>(i)];
      if (model.reconstructs(i) && !model.method().answers().draws_given)
        chunk.again[static_cast<std::size_t>(i)] = model.reconstruct(i, x);
      if (coded) model.layout().set_slice(c.z.rows(chunk.first, chunk.n), i, model.encode(i, x));
    }
    for (const auto& measure : measures) measure->real(chunk);
  });
  for (const auto& measure : measures) measure->real_done();
}

void generate(EvaluationContext& c, const Measures& measures, Subset given) {
  const Model& model = c.model;
  const std::string what = c.name_of(given);
  const Tensor z = c.draw(what, given, c.z, c.rows.ids(), "evaluate/");
  for (const auto& measure : measures) measure->drawn(given, z);
  c.each_chunk(what + ", measured", [&](Chunk& chunk) {
    for (int i = 0; i < model.modalities(); ++i)
      if (const bool known = contains(given, i); !known || model.method().answers().draws_given)
        (known ? chunk.again : chunk.values)[static_cast<std::size_t>(i)] =
            model.decode(i, z.rows(chunk.first, chunk.n));
    for (const auto& measure : measures) measure->generated(given, chunk);
  });
  for (const auto& measure : measures) measure->generated_done(given);
}

void measure_generated(EvaluationContext& c, const Measures& measures) {
  const auto some_needs = [&](Metric::Samples samples) {
    return std::ranges::any_of(c.options.metrics.metrics,
                               [&](const Metric* m) { return m->samples >= samples; });
  };
  if (some_needs(Metric::Samples::joint)) generate(c, measures, 0);
  for (const Subset given : c.given_sets) {
    if (some_needs(Metric::Samples::every)) generate(c, measures, given);
    for (const auto& measure : measures) measure->given(given);
  }
  if (c.model.method().answers().draws_given && some_needs(Metric::Samples::every))
    generate(c, measures, full_set(c.model.modalities()));
  for (const auto& measure : measures) measure->finish();
}

}  // namespace

const data::Split& evaluated_split(const data::Store& store, const std::string& name) {
  const bool there = store.has_split(name) && store.split(name).num_samples() > 0;
  if (!there) {
    std::vector<std::string> names;
    for (const data::Split& split : store.splits())
      if (split.num_samples() > 0) names.push_back(split.name());
    fail(ErrorKind::usage, store.path().string(), ": has no ", store.has_split(name) ? "samples in " : "",
         "split ", quote(name), "; it has ", join(names), ": choose one with --split, as --split ",
         names.front());
  }
  return store.split(name);
}

std::int64_t samples_used(const data::Split& split, const EvaluationOptions& options) {
  return options.samples > 0 ? std::min(options.samples, split.num_samples()) : split.num_distinct();
}

Evaluation evaluate(const Model& model, const data::Store& store, const EvaluationOptions& options,
                    const EvaluationProgress& progress) {
  EvaluationContext c(model, store, options, progress);
  const Answers answers = model.method().answers();
  check_metrics(options.metrics, answers);
  weights_folder(options.weights);  // checked even where no network is wanted
  Measures measures;
  for (const Metric* metric : options.metrics.metrics)
    if (!metric->latents || answers.latents)
      measures.push_back(metric->start(c));
    else
      c.note(cat(metric->name, " is left out: ", refusal(*metric, answers)));
  const auto start = std::chrono::steady_clock::now();
  describe_model(c);
  describe_data(c);
  for (const auto& measure : measures) measure->announce();
  if (!model.generates()) c.note("the run has no score network yet: only classifiers and autoencoders");
  for (const std::string& line : model.remarks()) c.note(line);
  describe_samples(c);
  measure_real(c, measures);
  if (options.generate) measure_generated(c, measures);
  c.result.leave_one_out = leave_one_out(c.result);
  c.result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return std::move(c.result);
}

}  // namespace mld
