// The numbers of an evaluation, cell by cell, with the names they have in evaluation.json (docs/evaluation.md): each entry is
// listed once, in Fields.
#pragma once

#include <cstdint>
#include <limits>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "mld/diffusion/information.h"
#include "mld/diffusion/subsets.h"
#include "mld/evaluate/coherence.h"
#include "mld/evaluate/feature_set.h"

namespace mld {

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

// Of data with attributes the share of samples of which each is right: of real items, of reconstructed ones, and of those
// generated.
struct AttributeCell {
  std::string how;  // "real", "reconstructed", "generated"
  Subset given = 0;
  int target = 0;
  std::vector<double> right;  // in the order of the attributes
  std::int64_t n = 0;
};
// Their mean, of shares of the same samples.
inline double mean_share(const std::vector<double>& shares) {
  return shares.empty()
             ? record::kNoNumber
             : std::accumulate(shares.begin(), shares.end(), 0.0) / static_cast<double>(shares.size());
}

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

// How near decode(encode(x)) comes to real items of `target`: the root mean square error in the data's units, or how many
// numbers of discrete data are right, of texts also of those up to the end of the true one, and how many items are right
// altogether.
struct ReconstructionCell {
  int target = 0;
  std::optional<double> error, right, words, whole;
  std::int64_t n = 0;  // items
};

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
struct Fields<AttributeCell> {
  static void visit(auto& c, auto&& v) {
    v("how", c.how, kNeeded);
    v.given("given", c.given);
    v.target("target", c.target);
    v("right", c.right, kNeeded);
    v("n", c.n, kCounted);
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
struct Fields<ReconstructionCell> {
  static void visit(auto& c, auto&& v) {
    v.target("target", c.target);
    v.sparse("error", c.error, kShown);
    v.sparse("right", c.right, kShown);
    v.sparse("words", c.words, kShown);
    v.sparse("whole", c.whole, kShown);
    v("n", c.n, kShown);
  }
};

}  // namespace record

}  // namespace mld
