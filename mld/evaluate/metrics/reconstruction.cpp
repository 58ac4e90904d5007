// Reconstruction: how near decode(encode(x)) comes to the real items, of every modality.
#include "mld/evaluate/reconstruction.h"

#include "mld/evaluate/context.h"

namespace mld {
namespace {

using namespace shown;

class ReconstructionMeasure : public Measure {
 public:
  explicit ReconstructionMeasure(EvaluationContext& context) : Measure(context) {
    for (int i = 0; i < context.model.modalities(); ++i)
      errors_.emplace_back(context.model.info(i), context.model.vocabulary(i));
  }

  void real(const Chunk& chunk) override {
    for (int i = 0; i < context_.model.modalities(); ++i) {
      if (!context_.model.reconstructs(i)) continue;
      const auto k = static_cast<std::size_t>(i);
      const Tensor& x = chunk.values[k];
      const Tensor again = chunk.again[k].defined() ? chunk.again[k] : context_.model.reconstruct(i, x);
      errors_[k].add(x, again, context_.complete(chunk, Subset{1} << i));
    }
  }

  void real_done() override {
    for (int i = 0; i < context_.model.modalities(); ++i)
      if (const ReconstructionErrors& e = errors_[static_cast<std::size_t>(i)]; e.items() > 0)
        context_.result.reconstruction.push_back({i, e.error(), e.right(), e.words(), e.whole(), e.items()});
  }

 private:
  std::vector<ReconstructionErrors> errors_;
};

std::unique_ptr<Measure> start(EvaluationContext& context) {
  return std::make_unique<ReconstructionMeasure>(context);
}

std::string table(const Evaluation& e) {
  std::string rows;
  for (const auto& c : e.reconstruction) {
    std::string values = c.error ? format("%8.4f  root mean square error", *c.error) : "";
    if (c.right) values += format("%6.2f %%  of the numbers right", 100 * *c.right);
    if (c.words) values += format(", %.2f %% of the words", 100 * *c.words);
    if (c.whole) values += format(", %.2f %% of the items", 100 * *c.whole);
    rows += row(e.name(c.target), values);
  }
  return under("Reconstruction, decode(encode(x))", rows);
}

std::vector<Section> sections(const Evaluation& e) {
  const auto share = [](const std::optional<double>& s) { return s ? percent(*s) : std::string("–"); };
  Table errors{"Reconstruction: decode(encode(x)) beside x",
               {{"Modality"},
                {"Root mean square error", true},
                {"Numbers right", true},
                {"Words right, up to the end", true},
                {"Items right", true},
                {"N", true}},
               {}};
  for (const auto& c : e.reconstruction)
    errors.rows.push_back({e.name(c.target), c.error ? number(*c.error) : "–", share(c.right), share(c.words),
                           share(c.whole), count(c.n)});
  return {{"Reconstruction", {std::move(errors)}}};
}

}  // namespace

extern constinit const Metric kReconstruction{
    .name = "reconstruction", .start = start, .table = table, .sections = sections};

}  // namespace mld
