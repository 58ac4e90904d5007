// What an evaluation of a trained model found, with how every number was made, and its two written forms: a
// table for a terminal, and the evaluation.json of a run that `compare` and `report` read
// (docs/evaluation.md).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "mld/diffusion/information.h"
#include "mld/evaluate/coherence.h"
#include "mld/evaluate/feature_set.h"
#include "mld/run/model.h"

namespace mld {

// `target` generated from `given` (empty: joint generation; the target itself: decode(encode(x))).
struct CoherenceCell {
  Subset given = 0;
  int target = 0;
  Proportion coherence;
};

// Mean over the modalities of the mean over the subsets of `size` others that it is generated from, where all
// of these were measured.
struct LeaveOneOut {
  int size = 0;
  double value = 0;
};

// Distance of generated features from real ones. `metric` is FMD, FID or FAD where the paper's definition
// applies and its network is there, and CFD for the features of our own classifier elsewhere.
struct QualityCell {
  Subset given = 0;
  int target = 0;
  std::string metric, extractor, hash;
  std::int64_t distinct = 0;  // different real items among those compared with
  FeatureDistance distance;
};

// Similarity of an image and the caption beside it (docs/method.md section 18.3).
struct ClipCell {
  bool real = false;  // of real pairs, the reference
  Subset given = 0;   // else of what was generated from these
  double value = 0, error = 0;
  std::int64_t n = 0;
  std::string hash;  // of CLIP's weights and tokenizer
};

// How much of the spread of generated latents remains among draws for one and the same condition: 0, all
// draws are alike; 1, the condition does not matter.
struct DiversityCell {
  Subset given = 0;
  int target = 0;
  double ratio = 0;
  std::int64_t draws = 0, conditions = 0;
};

// Distance of jointly generated latents to the nearest training latent, beside that of real items of the
// evaluated split. `closer`: the share of generated ones that are nearer to a training item than all but one
// in a hundred real ones; 0.01 is what real items have.
struct MemorisationCell {
  int target = 0;
  double generated = 0, real = 0;  // means
  Proportion closer;
};

// Coherence of decoded latents that were diffused to t (docs/method.md section 12).
struct RobustnessPoint {
  double t = 0;
  int target = 0;
  Proportion coherence;
};

// Mean intersection over union of a drawn trajectory with the image beside it, and its standard error.
struct PenAgreement {
  std::string how;
  double mean = 0, error = 0;
  std::int64_t n = 0;
};

// What evaluation.json says of its "rows" where they are a draw; otherwise nothing.
inline constexpr const char* kDrawnRows = "drawn";

struct Evaluation {
  // Of the model.
  std::string kind, preset, dataset, config_hash;  // the hash is score_hash: without seed and data path
  std::map<std::string, std::string> settings;     // those beyond the preset
  std::uint64_t model_seed = 0;
  double d = 0;
  std::int64_t parameters = 0;
  bool ema = false;
  std::vector<std::string> modalities, classifier_hash;  // empty: no classifier
  std::string classifier_recipe;                         // classifiers_hash of the configuration
  std::string weights_hash;                              // of all networks, Model::weights_hash
  // Of the evaluation.
  std::string split;
  std::int64_t samples = 0;  // N, read from the data used
  bool drawn = false;  // they are a draw of rows (mld/evaluate/choice/row_draw.h), not all of some pairings
  std::vector<std::int64_t> of_classes;  // how many of them are of each class
  std::int64_t unlabelled = 0;           // and of none
  std::string fingerprint;               // of the store; empty if it has none
  std::optional<bool> trained_on;        // whether it is the model's, where both have a fingerprint
  std::vector<std::string> given_sets;   // that samples were generated from; empty: all
  std::vector<std::int64_t> distinct;    // different items of each modality among them
  std::vector<std::string> metrics;      // asked for
  bool generated = false;
  SampleSettings sampling;
  std::int64_t network_calls = 0;  // for one sample
  double seconds = 0;
  // The numbers, none without evidence: no proportion of 0 samples.
  std::vector<CoherenceCell> classifier;  // on the real items: what any coherence is bounded by
  std::vector<CoherenceCell> self;        // on decode(encode(x)): the autoencoder ceilings
  JointCoherence joint;
  std::vector<CoherenceCell> conditional;
  // Of the joint and each conditional cell whether a sample was read right (1, 0; -1 without a label), for
  // paired comparisons, and of each sample the first that shares an item with it; not written to files.
  std::vector<std::vector<std::int8_t>> outcomes;
  std::vector<std::int64_t> clusters;
  std::vector<QualityCell> quality;
  std::vector<ClipCell> clip;
  std::vector<DiversityCell> diversity;
  std::vector<MemorisationCell> memorisation;
  std::vector<MutualInformation> information;
  std::vector<InpaintingGap> inpainting_gap;  // of each condition over all times
  std::vector<RobustnessPoint> robustness;
  std::vector<PenAgreement> pen;
  std::vector<std::string> notes;      // what was left out, and why; what to be careful with
  void note(const std::string& text);  // adds it, once
};

std::vector<LeaveOneOut> leave_one_out(const Evaluation& evaluation);

std::string to_table(const Evaluation& evaluation);
std::string to_json(const Evaluation& evaluation);
// `now` with those parts of `before` that it lacks, if both, texts of to_json, are of the same networks
// measured in the same way; else, or if `before` is no such text, `now`. Of an older `before`, which does not
// say of what weights and data it is, a note says so.
std::string with_parts_of(const std::string& now, const std::string& before);

}  // namespace mld
