#include "mld/evaluate/evaluation.h"

#include <algorithm>

#include "engine/base/error.h"
#include "mld/config/choices.h"
#include "mld/diffusion/sampling_record.h"
#include "mld/evaluate/metrics.h"

namespace mld {
namespace {

// Sets of k among n.
std::int64_t choices(int n, int k) {
  std::int64_t count = 1;
  for (int i = 1; i <= k; ++i) count = count * (n - k + i) / i;
  return count;
}

// How many of the samples are of each class, where not all of a split are used.
std::string class_line(const Evaluation& e) {
  if (!e.drawn || e.of_classes.empty() || e.unlabelled == e.samples) return "";
  constexpr std::size_t kSpeltOut = 20;
  std::string text;
  if (e.of_classes.size() <= kSpeltOut)
    for (const std::int64_t n : e.of_classes) text += cat(text.empty() ? "" : " ", n);
  else {
    const auto [least, most] = std::ranges::minmax(e.of_classes);
    text = cat(least, " to ", most, " of each of ", e.of_classes.size());
  }
  return cat("samples of each class: ", text,
             e.unlabelled > 0 ? cat("; ", e.unlabelled, " without a label") : "", "\n");
}

}  // namespace

void Evaluation::note(const std::string& text) {
  if (std::ranges::find(notes, text) == notes.end()) notes.push_back(text);
}

std::string Evaluation::name(int i) const { return i < 0 ? "" : modalities[static_cast<std::size_t>(i)]; }

std::string Evaluation::names(Subset set) const { return subset_name(set, modalities); }

std::string Evaluation::arrow(Subset given, int target) const {
  return given == 0 ? "joint: " + name(target) : names(given) + " -> " + name(target);
}

bool Evaluation::walks() const {
  const auto found = std::ranges::find(kNames<ModelKind>, kind);
  return found == kNames<ModelKind>.end() ||
         !is_vae(static_cast<ModelKind>(found - kNames<ModelKind>.begin()));
}

std::string Evaluation::schedule() const {
  return !generated ? "" : walks() ? schedule_name(sampler) : "no schedule";
}

std::map<std::string, std::string> Evaluation::classifiers() const {
  std::map<std::string, std::string> hashes;
  for (std::size_t i = 0; i < classifier_hash.size(); ++i)
    if (!classifier_hash[i].empty()) hashes[modalities[i]] = classifier_hash[i];
  return hashes;
}

std::vector<LeaveOneOut> leave_one_out(const Evaluation& e) {
  std::vector<LeaveOneOut> out;
  const int modalities = static_cast<int>(e.modalities.size());
  for (int size = 1; size < modalities; ++size) {
    double sum = 0;
    int targets = 0;
    bool complete = true;
    for (int target = 0; target < modalities; ++target) {
      if (e.classifier_hash[static_cast<std::size_t>(target)].empty()) continue;
      double mean = 0;
      std::int64_t subsets = 0;
      for (const CoherenceCell& c : e.conditional) {
        if (c.target != target || std::popcount(c.given) != size) continue;
        mean += c.coherence.value;
        ++subsets;
      }
      complete = complete && subsets == choices(modalities - 1, size);
      if (!complete) break;
      sum += mean / static_cast<double>(subsets);
      ++targets;
    }
    if (targets > 0 && complete) out.push_back({size, sum / targets});
  }
  return out;
}

std::string to_table(const Evaluation& e) {
  std::string out = cat("N = ", e.samples, " of split '", e.split, "'",
                        !e.drawn                    ? ""
                        : e.unlabelled == e.samples ? ", drawn"
                                                    : ", drawn by class");
  if (e.generated)
    out += cat(", schedule ", e.schedule(), " (", e.network_calls, " network calls a sample), seed ", *e.seed,
               ", ", e.weights == "ema" ? "EMA" : e.weights, " weights");
  out += "\n" + class_line(e) + "\n";
  for (const Metric* metric : printed_metrics()) out += metric->table(e);
  for (const std::string& note : e.notes) out += "note: " + note + "\n";
  return out;
}

}  // namespace mld
