// Evaluation of a trained model on a store: coherence of joint and conditional generation, autoencoder
// ceilings, pen-image agreement. Every number carries how it was made. Results do not depend on chunks or
// threads.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "data/store.h"
#include "mld/coherence.h"
#include "mld/model.h"

namespace mld {

struct EvaluationOptions {
  std::string split = "test";
  std::int64_t samples = 0;  // of the first pairing of the split; 0: all of them
  SampleSettings sampling;
  bool generate = true;  // false: ceilings only
};

// One cell of the table: `target` generated from `given` (empty: joint generation).
struct CoherenceCell {
  Subset given = 0;
  int target = 0;
  Proportion coherence;
};

// Mean intersection over union of a drawn trajectory with the image beside it, and its standard error.
struct PenAgreement {
  std::string how;  // "real", "joint", "given image", ...
  double mean = 0, error = 0;
  std::int64_t n = 0;
};

struct Evaluation {
  std::vector<std::string> modalities;
  std::int64_t samples = 0;               // N read from the data used
  std::vector<CoherenceCell> classifier;  // on the real items: what any coherence is bounded by
  std::vector<CoherenceCell> self;        // on decode(encode(x)): the autoencoder ceilings
  JointCoherence joint;
  std::vector<CoherenceCell> conditional;
  std::vector<PenAgreement> pen;
  // How it was made.
  std::string split;
  SampleSettings sampling;
  std::int64_t network_calls = 0;  // for one sample
  bool generated = false;
  double seconds = 0;
};

// (what is being done, done, total); returning false cancels with Cancelled.
using EvaluationProgress =
    std::function<bool(const std::string& what, std::int64_t done, std::int64_t total)>;

Evaluation evaluate(const Model& model, const data::Store& store, const EvaluationOptions& options,
                    const EvaluationProgress& progress = {});

std::string to_table(const Evaluation& evaluation);  // for a terminal
std::string to_json(const Evaluation& evaluation);

}  // namespace mld
