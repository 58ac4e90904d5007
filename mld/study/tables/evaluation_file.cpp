#include "mld/study/tables/evaluation_file.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "engine/base/error.h"
#include "engine/io/files.h"
#include "mld/evaluate/record.h"
#include "mld/run/run_files.h"

namespace mld::tables {
namespace {

const CoherenceCell* find(const std::vector<CoherenceCell>& cells, Subset given, int target) {
  const auto found =
      std::ranges::find_if(cells, [&](const auto& c) { return c.given == given && c.target == target; });
  return found == cells.end() ? nullptr : &*found;
}

const QualityCell* find_quality(const Evaluation& file, Subset given, int target, const std::string& metric) {
  const auto found = std::ranges::find_if(file.quality, [&](const auto& c) {
    return c.given == given && c.target == target && c.metric == metric;
  });
  return found == file.quality.end() ? nullptr : &*found;
}

class Reader {
 public:
  Reader(const Evaluation& file, const LayoutColumn& column)
      : file_(file), column_(column), classifiers_(file.classifiers()) {}

  std::optional<Reading> read() {
    switch (column_.measure) {
      case Measure::joint:
        if (std::isnan(file_.joint.all_equal.value)) return {};
        all_classifiers();
        return coherence(file_.joint.all_equal.value, true);
      case Measure::conditional:
        return cell(file_.conditional, column_.given, true);
      case Measure::self:
        return cell(file_.self, source(column_.given, column_.target), false);
      case Measure::leave_one_out: {
        const auto found = std::ranges::find(file_.leave_one_out, column_.size, &LeaveOneOut::size);
        if (found == file_.leave_one_out.end()) return {};
        all_classifiers();
        return coherence(found->value, true);
      }
      case Measure::quality:
      case Measure::kernel:
        return quality(column_.given, column_.target);
      case Measure::mean_quality:
        return mean_quality();
      case Measure::clip_score:
        for (const ClipCell& c : file_.clip_score)
          if (c.given == column_.given) {
            out_.made["CLIP"] = c.hash;
            return counted(c.value, c.n, true);
          }
        return {};
      case Measure::attributes:
        return attributes();
    }
    return {};
  }

 private:
  void classifier(const std::string& modality) {
    const auto found = classifiers_.find(modality);
    out_.made["classifier of " + modality] = found == classifiers_.end() ? "without a hash" : found->second;
  }
  void all_classifiers() {
    for (const auto& [modality, hash] : classifiers_) classifier(modality);
  }

  Reading counted(double value, std::int64_t samples, bool generated) {
    out_.value = value;
    out_.made["N"] = std::to_string(samples);
    out_.made["rows"] = file_.drawn ? "drawn by class" : "the first";
    if (!file_.fingerprint.empty()) out_.made[kDataKey] = file_.fingerprint;
    out_.made["split"] = file_.split;
    if (generated && file_.walks()) out_.made[kScheduleKey] = file_.schedule();
    return out_;
  }
  Reading coherence(double share, bool generated) { return counted(100 * share, file_.samples, generated); }

  std::optional<Reading> cell(const std::vector<CoherenceCell>& cells, Subset given, bool generated) {
    const CoherenceCell* found = find(cells, given, column_.target);
    if (found == nullptr) return {};
    classifier(file_.modalities[static_cast<std::size_t>(column_.target)]);
    return coherence(found->coherence.value, generated);
  }

  std::optional<Reading> attributes() {
    if (column_.given == 0) {
      if (file_.joint_attributes.empty()) return {};
      all_classifiers();
      return coherence(mean_share(file_.joint_attributes), true);
    }
    for (const AttributeCell& c : file_.attribute_cells)
      if (c.how == "generated" && c.given == column_.given && c.target == column_.target) {
        classifier(file_.modalities[static_cast<std::size_t>(c.target)]);
        return coherence(mean_share(c.right), true);
      }
    return {};
  }

  Subset source(Subset given, int target) const {
    return file_.walks() && column_.own_suffices ? Subset{1} << target : given;
  }

  std::optional<Reading> quality(Subset of, int target) {
    const Subset given = source(of, target);
    const QualityCell* q = find_quality(file_, given, target, column_.metric);
    const bool kernel = column_.measure == Measure::kernel;
    if (q == nullptr || (kernel && std::isnan(q->distance.kernel.value))) return {};
    const std::string& name = file_.modalities[static_cast<std::size_t>(target)];
    out_.made["features of " + name] = q->extractor + " " + q->hash;
    out_.made["real samples of " + name] = cat(q->distance.real, " (", q->distinct, " distinct)");
    return counted(kernel ? q->distance.kernel.value : q->distance.frechet, q->distance.made,
                   given != Subset{1} << target);
  }

  // The mean over targets of the mean over subsets; nothing unless every one of them is there.
  std::optional<Reading> mean_quality() {
    const int modalities = static_cast<int>(file_.modalities.size());
    double sum = 0;
    for (int target = 0; target < modalities; ++target) {
      double of_target = 0;
      int subsets = 0;
      for (Subset given = 0; given <= full_set(modalities); ++given) {
        if (std::popcount(given) != column_.size || contains(given, target)) continue;
        const std::optional<Reading> one = quality(given, target);
        if (!one) return {};
        of_target += one->value;
        ++subsets;
      }
      if (subsets == 0) return {};
      sum += of_target / subsets;
    }
    out_.value = sum / modalities;
    return out_;
  }

  const Evaluation& file_;
  const LayoutColumn& column_;
  std::map<std::string, std::string> classifiers_;
  Reading out_;
};

}  // namespace

Evaluation read_evaluation(const std::filesystem::path& path) {
  const bool is_run = is_folder(path);
  const std::filesystem::path file = is_run ? RunFiles{path}.evaluation() : path;
  MLD_CHECK_AS(ErrorKind::data, path_exists(file), path.string(),
               is_run ? ": is not evaluated; run `mldctl eval` on it first" : ": no such run or file");
  Evaluation out = parse_evaluation(read_text(file), file.string());
  out.source = path.string();
  return out;
}

std::optional<Reading> read_cell(const Evaluation& file, const LayoutColumn& column) {
  return Reader(file, column).read();
}

}  // namespace mld::tables
