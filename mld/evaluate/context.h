// What all metrics of one evaluation share: the model, the rows and their latents, samples that are drawn and
// decoded chunk by chunk, and the result. A metric is measured by a Measure, which the evaluation leads over
// the real items and then over what is generated.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "data/store/store.h"
#include "mld/evaluate/choice/evaluation_rows.h"
#include "mld/evaluate/evaluate.h"
#include "mld/run/model.h"

namespace mld {

constexpr std::int64_t kMeasuredTogether = 1024;  // samples; does not change any number

// Values of the modalities for rows [first, first + n) of those evaluated, as networks have them.
struct Chunk {
  std::int64_t first = 0, n = 0;
  std::vector<Tensor> values;  // a hole is zeros
  // Of real items decode(encode(x)), of what is given to a method that draws it too (Answers) that; else undefined.
  std::vector<Tensor> again;

  // What was generated of modality i given a set; undefined where it is given, and no more.
  const Tensor& made(Subset given, int i) const {
    return (contains(given, i) ? again : values)[static_cast<std::size_t>(i)];
  }
};

class EvaluationContext {
 public:
  // ErrorKind::usage as evaluate has it. All must outlive it.
  EvaluationContext(const Model& model, const data::Store& store, const EvaluationOptions& options,
                    const EvaluationProgress& progress);

  const Model& model;
  const data::Store& store;
  const data::Split& split;
  const EvaluationOptions& options;
  const std::vector<int> columns;  // of each modality of the model its place in the store
  const EvaluationRows rows;
  const std::vector<Subset> given_sets;
  Tensor z;  // codes [N,D] of the rows, where samples or latents are wanted; of a hole those of zeros
  Evaluation result;

  void note(const std::string& text) { result.note(text); }
  // Throws Cancelled where the progress says so.
  void tell(const std::string& what, std::int64_t done, std::int64_t total) const;

  // The real items of all rows.
  void each_chunk(const std::string& what, const std::function<void(Chunk&)>& f) const;
  // Draws [n, ...], each row given the slices of its row of the codes [n,D]; `stream` names them.
  Tensor draw(const std::string& what, Subset given, const Tensor& conditions,
              std::span<const std::int32_t> ids, const std::string& stream) const;
  // Rows of a chunk that have everything in `needed`, by their place in it.
  std::vector<std::int64_t> complete(const Chunk& chunk, Subset needed) const;
  std::string name_of(Subset given) const;  // "joint", "given image,sound"

 private:
  const EvaluationProgress& progress_;
};

// What a metric does while the evaluation goes on; each call is made where there is something of its kind.
class Measure {
 public:
  explicit Measure(EvaluationContext& context) : context_(context) {}
  Measure(const Measure&) = delete;
  Measure& operator=(const Measure&) = delete;
  virtual ~Measure() = default;

  virtual void announce() {}                       // notes, before anything is measured
  virtual void real(const Chunk&) {}               // items of the split
  virtual void real_done() {}                      // all of them
  virtual void drawn(Subset, const Tensor&) {}     // draws [N, ...] of samples given a set, or jointly
  virtual void generated(Subset, const Chunk&) {}  // those samples; what is given stays real
  virtual void generated_done(Subset) {}           // all of them
  virtual void given(Subset) {}                    // a set of modalities, after its samples
  virtual void finish() {}                         // after all samples

 protected:
  EvaluationContext& context_;
};

}  // namespace mld
