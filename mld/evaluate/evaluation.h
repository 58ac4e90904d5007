// What an evaluation of a trained model found, with how every number was made. Every part that is written to
// evaluation.json (docs/evaluation.md) is listed once, in Fields: record.h writes and reads by that list.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "mld/diffusion/sampler_plan.h"
#include "mld/evaluate/cells.h"

namespace mld {

// What evaluation.json says of its "rows" where they are a draw; otherwise nothing.
inline constexpr const char* kDrawnRows = "drawn";

struct Evaluation {
  // Of the model.
  std::string kind, preset, dataset, config_hash;  // the hash is score_hash: without seed and data path
  std::map<std::string, std::string> settings;     // those beyond the preset, by key, as JSON
  std::uint64_t model_seed = 0;
  double d = 0;
  std::int64_t parameters = 0;
  std::string weights;                                   // "ema" or "raw"
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
  SamplerOptions sampler;
  std::optional<std::uint64_t> seed;              // of the samples, where some were generated
  std::int64_t network_calls = record::kNoCount;  // for one sample
  double seconds = 0;
  // The numbers, none without evidence: no proportion of 0 samples.
  std::vector<CoherenceCell> classifier;  // on the real items: what any coherence is bounded by
  std::vector<CoherenceCell> self;        // of sets with the target in them: the autoencoders' ceilings
  JointCell joint;
  std::vector<CoherenceCell> conditional;
  std::vector<LeaveOneOut> leave_one_out;
  std::vector<std::string> attributes;  // of the data, by name
  std::vector<AttributeCell> attribute_cells;
  std::vector<double> joint_attributes;  // the share of joint samples in which all modalities agree on each
  // Of the joint and each conditional cell whether a sample was read right (1, 0; -1 without a label), for
  // paired comparisons, and of each sample the first that shares an item with it; not written to files.
  std::vector<std::vector<std::int8_t>> outcomes;
  std::vector<std::int64_t> clusters;
  std::vector<ReconstructionCell> reconstruction;
  std::vector<ProbeCell> probe;  // of each modality on the evaluated items and on training items
  std::vector<QualityCell> quality;
  std::vector<ClipCell> clip_reference, clip_score;  // of real pairs (of the one `given`, all), and of others
  std::vector<DiversityCell> diversity;
  std::vector<MemorisationCell> memorisation;
  std::vector<MutualInformation> information;
  std::vector<InpaintingGap> inpainting_gap;  // of each condition over all times
  std::vector<LikelihoodCell> likelihood;
  std::vector<RobustnessPoint> robustness;
  std::vector<PenAgreement> pen;
  std::vector<std::string> notes;  // what was left out, and why; what to be careful with
  std::string source;              // the file it was read from, as the user named it

  void note(const std::string& text);  // adds it, once
  // Names of modalities: one ("" for none of them), a set, and "image,sound -> trajectory" or "joint: image".
  std::string name(int modality) const;
  std::string names(Subset set) const;
  std::string arrow(Subset given, int target) const;
  bool walks() const;            // whether samples are a walk along a schedule: not of the VAEs
  std::string schedule() const;  // schedule_name; empty if nothing was generated
  std::map<std::string, std::string> classifiers() const;  // hashes by modality
};

std::vector<LeaveOneOut> leave_one_out(const Evaluation& evaluation);

// For a terminal.
std::string to_table(const Evaluation& evaluation);

namespace record {

template <>
struct Fields<Evaluation> {
  static void visit(auto& e, auto&& v) {
    how(e, v);
    v.list("classifier", e.classifier, kShown);
    v.list("autoencoder", e.self, kKnown);
    v.object("joint", kKnown, !e.joint.class_share.empty(), [&](auto& joint) {
      joint.object("coherence", kNeeded, true,
                   [&](auto& share) { Fields<Share>::visit(e.joint.all_equal, share); });
      joint("class_share", e.joint.class_share, kShown);
      joint("entropy", e.joint.entropy, kShown);
    });
    v.sparse_list("conditional", e.conditional, kKnown);
    v.sparse_list("leave_one_out", e.leave_one_out, kKnown);
    v.sparse("attributes", e.attributes, kKnown);
    v.sparse_list("attribute_agreement", e.attribute_cells, kKnown);
    v.sparse("joint_attributes", e.joint_attributes, kKnown);
    v.sparse_list("reconstruction", e.reconstruction, kShown);
    v.sparse_list("probe", e.probe, kShown);
    v.sparse_list("quality", e.quality, kKnown);
    v.sparse_list("clip_reference", e.clip_reference, kShown);
    v.sparse_list("clip_score", e.clip_score, kKnown);
    v.sparse_list("diversity", e.diversity, kShown);
    v.sparse_list("memorisation", e.memorisation, kShown);
    v.sparse_list("information", e.information, kShown);
    v.sparse_list("inpainting_gap", e.inpainting_gap, kShown);
    v.sparse_list("likelihood", e.likelihood, kShown);
    v.sparse_list("robustness", e.robustness, kShown);
    v.sparse_list("pen_image_agreement", e.pen, kShown);
    v.sparse("notes", e.notes, kShown);
  }

 private:
  static void how(auto& e, auto&& v) {
    v.object("run", kNeeded, true, [&](auto& run) {
      run("kind", e.kind, kNeeded);
      run("preset", e.preset, kNeeded);
      run("dataset", e.dataset, kNeeded);
      run("config_hash", e.config_hash, kNeeded);
      run("seed", e.model_seed, kNeeded);
      run("d", e.d, kNeeded);
      run("classifier_recipe", e.classifier_recipe, kKnown);
      run("settings", e.settings, kKnown);
      run("weights_hash", e.weights_hash, kShown);
      run("parameters", e.parameters, kShown);
    });
    v("split", e.split, kNeeded);
    v("samples", e.samples, kCounted);
    v.flag("rows", e.drawn, kDrawnRows);
    v.sparse("of_classes", e.of_classes, kShown);
    v("unlabelled", e.unlabelled, kShown);
    v.sparse("fingerprint", e.fingerprint, kKnown);
    v.sparse("trained_on", e.trained_on, kKnown);
    v.sparse("given_sets", e.given_sets, kKnown);
    v("metrics", e.metrics, kKnown);
    v.schedule("schedule", e.generated, e.sampler);
    v.sparse("seed", e.seed, kKnown);
    v.sparse("network_calls", e.network_calls, e.generated ? kCounted : kShown);
    v("weights", e.weights, e.generated ? kNeeded : kShown);
    v.modalities("modalities", e.modalities);
    v.by_modality("classifier_hash", e.classifier_hash, kKnown);
    v.by_modality("distinct", e.distinct, kShown);
    v("seconds", e.seconds, kShown);
  }
};

}  // namespace record

}  // namespace mld
