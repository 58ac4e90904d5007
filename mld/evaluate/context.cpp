#include "mld/evaluate/context.h"

#include <algorithm>

#include "mld/config/seed.h"
#include "mld/evaluate/choice/given_sets.h"
#include "mld/run/model_data.h"

namespace mld {
namespace {

// Of each modality of the model its place in the store, which must hold its data.
std::vector<int> columns_of(const Model& model, const data::Store& store) {
  check_model_data(model, store);
  std::vector<int> columns;
  for (int i = 0; i < model.modalities(); ++i)
    columns.push_back(store.description().modality(model.modality(i).name));
  return columns;
}

}  // namespace

EvaluationContext::EvaluationContext(const Model& of, const data::Store& from, const EvaluationOptions& how,
                                     const EvaluationProgress& progress)
    : model(of),
      store(from),
      split(evaluated_split(from, how.split)),
      options(how),
      columns(columns_of(of, from)),
      rows(split, columns, how.samples),
      given_sets(parse_given_sets(how.given_sets, of.names())),
      progress_(progress) {
  result.modalities = model.names();
}

void EvaluationContext::tell(const std::string& what, std::int64_t done, std::int64_t total) const {
  if (progress_ && !progress_(what, done, total)) throw Cancelled{};
}

void EvaluationContext::each_chunk(const std::string& what, const std::function<void(Chunk&)>& f) const {
  for (std::int64_t first = 0; first < rows.count(); first += kMeasuredTogether) {
    tell(what, first, rows.count());
    Chunk chunk{first,
                std::min(kMeasuredTogether, rows.count() - first),
                {},
                std::vector<Tensor>(static_cast<std::size_t>(model.modalities()))};
    for (int i = 0; i < model.modalities(); ++i)
      chunk.values.push_back(
          gather_items(split, columns[static_cast<std::size_t>(i)], model.info(i),
                       std::span(rows.items(i))
                           .subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(chunk.n))));
    f(chunk);
  }
}

Tensor EvaluationContext::draw(const std::string& what, Subset given, const Tensor& conditions,
                               std::span<const std::int32_t> ids, const std::string& stream) const {
  SampleSettings settings = options.sampling;
  settings.seed = stage_seed(settings.seed, stream + result.names(given));
  return model.sample(given, conditions, ids, settings, [&](std::int64_t done, std::int64_t total) {
    return !progress_ || progress_(what, done, total);
  });
}

std::vector<std::int64_t> EvaluationContext::complete(const Chunk& chunk, Subset needed) const {
  std::vector<std::int64_t> keep;
  for (std::int64_t k = 0; k < chunk.n; ++k)
    if (rows.has_all(needed, chunk.first + k)) keep.push_back(k);
  return keep;
}

std::string EvaluationContext::name_of(Subset given) const {
  return given == 0 ? "joint" : "given " + result.names(given);
}

}  // namespace mld
