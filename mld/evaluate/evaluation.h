// What an evaluation of a trained model found, with how every number was made. Every part that is written to
// evaluation.json (docs/evaluation.md) is listed once, in Fields: record.h writes and reads by that list.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "mld/diffusion/information.h"
#include "mld/diffusion/sampler_plan.h"
#include "mld/evaluate/coherence.h"
#include "mld/evaluate/feature_set.h"

namespace mld {

// What evaluation.json says of its "rows" where they are a draw; otherwise nothing.
inline constexpr const char* kDrawnRows = "drawn";

namespace record {

// What a reader who compares evaluations demands of an entry. Whoever shows them takes what is there.
enum class Demand : std::uint8_t {
  shown,  // nothing: it is only shown
  known,  // of the right type if it is there; older files lack it
  needed  // there and of the right type
};
struct Entry {
  Demand demand = Demand::shown;
  std::int64_t lowest = 0;  // of an integer
};
inline constexpr Entry kShown{}, kKnown{Demand::known}, kNeeded{Demand::needed}, kCounted{Demand::needed, 1};

// Fields<T>::visit(t, v) tells v of each entry of T (const or not): v(key, member, entry). v.sparse: an entry
// that is left out where it is empty; v.given, v.target: a set of modalities, one of them, by name; v.others:
// the names that are not in a set, which nobody reads; v.ratio: the value of a Share alone; v.list: a list of
// objects; v.object(key, entry, there, f): an object whose entries f(its v) tells; v.by_modality: an entry for
// each modality that has one; v.schedule: of the sampler (sampling_record.h).
template <class T>
struct Fields;

// What stands in a member that a file does not have: no number, and no count.
inline constexpr double kNoNumber = std::numeric_limits<double>::quiet_NaN();
inline constexpr std::int64_t kNoCount = -1;

}  // namespace record

// A proportion as it is written down; older files lack some of it.
struct Share {
  double value = record::kNoNumber, low = record::kNoNumber, high = record::kNoNumber;
  std::int64_t hits = record::kNoCount, n = record::kNoCount;
  Share() = default;
  Share(const Proportion& p) : value(p.value()), low(p.low()), high(p.high()), hits(p.hits), n(p.n) {}
};

// `target` generated from `given` (empty: joint generation; the target itself: decode(encode(x)), of a method that draws
// what is given too, that, as from any set that the target is in).
struct CoherenceCell {
  Subset given = 0;
  int target = 0;
  Share coherence;
};

struct JointCell {
  Share all_equal;
  std::vector<double> class_share;
  double entropy = 0;
};

// Mean over the modalities of the mean over the subsets of `size` others that it is generated from, where all
// of these were measured.
struct LeaveOneOut {
  std::int64_t size = 0;
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
  Subset given = 0;  // what they were generated from
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
  Share closer;
};

// Mean log p(x_of) of real samples by importance sampling, drawn given a set: a lower bound in expectation.
struct LikelihoodCell {
  Subset of = 0, given = 0;
  double nats = 0, error = 0;  // over the samples
  double effective = 0;        // mean number of draws that count
  std::int64_t draws = 0, n = 0;
};

// Coherence of decoded latents that were diffused to t (docs/method.md section 12).
struct RobustnessPoint {
  double t = 0;
  int target = 0;
  Share coherence;
};

// How often a probe reads the right class off the latents of `target` alone (probe.cpp), of items of a split.
struct ProbeCell {
  int target = 0;
  std::string split;
  Share right;
};

// Mean intersection over union of a drawn trajectory with the image beside it, and its standard error.
struct PenAgreement {
  std::string how;
  double mean = 0, error = 0;
  std::int64_t n = 0;
};

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
  // Of the joint and each conditional cell whether a sample was read right (1, 0; -1 without a label), for
  // paired comparisons, and of each sample the first that shares an item with it; not written to files.
  std::vector<std::vector<std::int8_t>> outcomes;
  std::vector<std::int64_t> clusters;
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
struct Fields<Share> {
  static void visit(auto& s, auto&& v) {
    v("value", s.value, kNeeded);
    v("low95", s.low, kShown);
    v("high95", s.high, kShown);
    v("hits", s.hits, kShown);
    v("n", s.n, kKnown);
  }
};

template <>
struct Fields<CoherenceCell> {
  static void visit(auto& c, auto&& v) {
    v.given("given", c.given);
    v.target("target", c.target);
    Fields<Share>::visit(c.coherence, v);
  }
};

template <>
struct Fields<ProbeCell> {
  static void visit(auto& c, auto&& v) {
    v.target("target", c.target);
    v("split", c.split, kShown);
    Fields<Share>::visit(c.right, v);
  }
};

template <>
struct Fields<LeaveOneOut> {
  static void visit(auto& c, auto&& v) {
    v("size", c.size, kCounted);
    v("value", c.value, kNeeded);
  }
};

template <>
struct Fields<QualityCell> {
  static void visit(auto& q, auto&& v) {
    v.given("given", q.given);
    v.target("target", q.target);
    v("metric", q.metric, kNeeded);
    v("value", q.distance.frechet, kNeeded);
    v.sparse("low95", q.distance.low, kShown);
    v.sparse("high95", q.distance.high, kShown);
    v("kid", q.distance.kernel.value, kKnown);
    v("kid_error", q.distance.kernel.error, kShown);
    v("kid_subset", q.distance.kernel.subset, kShown);
    v.sparse("real_halves", q.distance.real_halves, kShown);
    v("dim", q.distance.dim, kShown);
    v("real", q.distance.real, kCounted);
    v("distinct", q.distinct, kCounted);
    v("made", q.distance.made, kCounted);
    v("extractor", q.extractor, kNeeded);
    v("hash", q.hash, kNeeded);
  }
};

template <>
struct Fields<ClipCell> {
  static void visit(auto& c, auto&& v) {
    v.given("given", c.given);
    v("value", c.value, kNeeded);
    v("error", c.error, kShown);
    v("n", c.n, kCounted);
    v("hash", c.hash, kNeeded);
  }
};

template <>
struct Fields<DiversityCell> {
  static void visit(auto& c, auto&& v) {
    v.given("given", c.given);
    v.target("target", c.target);
    v("ratio", c.ratio, kShown);
    v("draws", c.draws, kShown);
    v("conditions", c.conditions, kShown);
  }
};

template <>
struct Fields<MemorisationCell> {
  static void visit(auto& c, auto&& v) {
    v.target("target", c.target);
    v("generated", c.generated, kShown);
    v("real", c.real, kShown);
    v.ratio("closer", c.closer);
    v("n", c.closer.n, kShown);
  }
};

template <>
struct Fields<MutualInformation> {
  static void visit(auto& c, auto&& v) {
    v.given("group", c.group);
    v.others("rest", c.group);
    v("nats", c.nats, kShown);
    v("error", c.error, kShown);
    v("n", c.n, kShown);
  }
};

template <>
struct Fields<InpaintingGap> {
  static void visit(auto& c, auto&& v) {
    v.given("given", c.given);
    v("t", c.t, kShown);
    v("nats", c.nats, kShown);
    v("error", c.error, kShown);
    v("n", c.n, kShown);
  }
};

template <>
struct Fields<LikelihoodCell> {
  static void visit(auto& c, auto&& v) {
    v.given("of", c.of);
    v.given("given", c.given);
    v("nats", c.nats, kShown);
    v("error", c.error, kShown);
    v("effective", c.effective, kShown);
    v("draws", c.draws, kShown);
    v("n", c.n, kShown);
  }
};

template <>
struct Fields<RobustnessPoint> {
  static void visit(auto& c, auto&& v) {
    v("t", c.t, kShown);
    v.target("target", c.target);
    v.ratio("value", c.coherence);
    v("n", c.coherence.n, kShown);
  }
};

template <>
struct Fields<PenAgreement> {
  static void visit(auto& c, auto&& v) {
    v("how", c.how, kShown);
    v("mean", c.mean, kShown);
    v("error", c.error, kShown);
    v("n", c.n, kShown);
  }
};

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
