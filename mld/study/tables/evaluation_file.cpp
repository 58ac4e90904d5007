#include "mld/study/tables/evaluation_file.h"

#include <algorithm>
#include <bit>
#include <set>

#include "data/store/json_fields.h"
#include "engine/base/error.h"
#include "engine/base/names.h"
#include "engine/io/file_error.h"
#include "engine/io/files.h"
#include "mld/diffusion/sampling_record.h"
#include "mld/evaluate/evaluation.h"
#include "mld/run/run_files.h"

namespace mld::tables {
namespace {

using data::Json;
using data::JsonFields;

class Parser {
 public:
  Parser(const Json& json, std::string file) : root_(json, std::move(file)) {}

  EvaluationFile parse() {
    run();
    evaluation();
    if (root_.has("joint")) {
      JsonFields joint = root_.object("joint");
      if (JsonFields f = joint.object("coherence"); has_evidence(f)) out_.joint = f.number("value");
    }
    std::set<int> unfounded;  // sizes of given sets
    if (root_.has("conditional")) out_.conditional = coherence("conditional", &unfounded);
    if (root_.has("autoencoder")) out_.self = coherence("autoencoder");
    if (root_.has("leave_one_out"))
      for (JsonFields& f : root_.objects("leave_one_out"))
        if (const auto size = f.integer("size", 1, kMaxModalities);
            !unfounded.contains(static_cast<int>(size)))
          out_.leave_one_out[size] = f.number("value");
    if (root_.has("quality"))
      for (JsonFields& f : root_.objects("quality")) quality(f);
    if (root_.has("clip_score"))
      for (JsonFields& f : root_.objects("clip_score"))
        out_.clip_score.push_back(
            {given(f), f.number("value"), f.integer("n", 1, INT64_MAX), f.string("hash")});
    return std::move(out_);
  }

 private:
  void run() {
    JsonFields f = root_.object("run");
    out_.kind = f.string("kind");
    out_.preset = f.string("preset");
    out_.dataset = f.string("dataset");
    out_.config_hash = f.string("config_hash");
    out_.seed = f.seed("seed");
    out_.d = f.number("d");
    if (f.has("classifier_recipe")) out_.classifier_recipe = f.string("classifier_recipe");
    if (!f.has("settings")) return;
    JsonFields settings = f.object("settings");
    for (const std::string& key : settings.keys()) out_.settings[key] = settings.string(key);
  }

  void evaluation() {
    out_.split = root_.string("split");
    out_.samples = root_.integer("samples", 1, INT64_MAX);
    out_.drawn = root_.has("rows") && root_.string("rows") == kDrawnRows;
    out_.says_rows = root_.has("unlabelled");
    if (root_.has("fingerprint")) out_.fingerprint = root_.string("fingerprint");
    if (root_.has("trained_on")) out_.trained_on = root_.boolean("trained_on");
    if (root_.has("given_sets")) out_.given_sets = root_.strings("given_sets");
    out_.metrics = root_.has("metrics") ? root_.strings("metrics")
                                        : std::vector<std::string>{"coherence", "quality"};  // older files
    if (root_.has("schedule")) {
      JsonFields f = root_.object("schedule");
      out_.schedule = schedule_name(read_schedule(f));
      if (root_.has("seed")) out_.sampling_seed = root_.seed("seed");
      out_.network_calls = root_.integer("network_calls", 1, INT64_MAX);
      out_.weights = root_.string("weights");
    }
    out_.modalities = root_.strings("modalities");
    MLD_CHECK_AS(ErrorKind::data, !out_.modalities.empty() && out_.modalities.size() <= kMaxModalities,
                 root_.place("modalities"), ": found ", out_.modalities.size(), ", expected 1 to ",
                 kMaxModalities);
    if (!root_.has("classifier_hash")) return;
    JsonFields hashes = root_.object("classifier_hash");
    for (const std::string& name : hashes.keys()) {
      index(name, hashes.place(name));
      out_.classifiers[name] = hashes.string(name);
    }
  }

  int index(std::string_view name, const std::string& place) const {
    const auto found = std::ranges::find(out_.modalities, name);
    MLD_CHECK_AS(ErrorKind::data, found != out_.modalities.end(), place, ": ", quote(name),
                 " is no modality of this file; it has ", join(out_.modalities));
    return static_cast<int>(found - out_.modalities.begin());
  }

  int target(JsonFields& f) const { return index(f.string("target"), f.place("target")); }

  Subset given(JsonFields& f) const {
    const std::string names = f.string("given");
    Subset set = 0;
    for (std::size_t begin = 0; !names.empty() && begin <= names.size();) {
      const std::size_t end = std::min(names.find(',', begin), names.size());
      set |= Subset{1} << index(std::string_view(names).substr(begin, end - begin), f.place("given"));
      begin = end + 1;
    }
    return set;
  }

  static bool has_evidence(JsonFields& f) { return !f.has("n") || f.integer("n", 0, INT64_MAX) > 0; }

  std::vector<EvaluationFile::Coherence> coherence(const std::string& key,
                                                   std::set<int>* unfounded = nullptr) {
    std::vector<EvaluationFile::Coherence> cells;
    for (JsonFields& f : root_.objects(key))
      if (has_evidence(f))
        cells.push_back({given(f), target(f), f.number("value")});
      else if (unfounded != nullptr)
        unfounded->insert(std::popcount(given(f)));
    return cells;
  }

  void quality(JsonFields& f) {
    EvaluationFile::Quality cell{.given = given(f),
                                 .target = target(f),
                                 .metric = f.string("metric"),
                                 .value = f.number("value"),
                                 .kid = {},
                                 .real = f.integer("real", 1, INT64_MAX),
                                 .distinct = f.integer("distinct", 1, INT64_MAX),
                                 .made = f.integer("made", 1, INT64_MAX),
                                 .extractor = f.string("extractor"),
                                 .hash = f.string("hash")};
    if (f.has("kid")) cell.kid = f.number("kid");
    out_.quality.push_back(std::move(cell));
  }

  JsonFields root_;
  EvaluationFile out_;
};

const EvaluationFile::Coherence* find(const std::vector<EvaluationFile::Coherence>& cells, Subset given,
                                      int target) {
  const auto found =
      std::ranges::find_if(cells, [&](const auto& c) { return c.given == given && c.target == target; });
  return found == cells.end() ? nullptr : &*found;
}

const EvaluationFile::Quality* find_quality(const EvaluationFile& file, Subset given, int target,
                                            const std::string& metric) {
  const auto found = std::ranges::find_if(file.quality, [&](const auto& c) {
    return c.given == given && c.target == target && c.metric == metric;
  });
  return found == file.quality.end() ? nullptr : &*found;
}

class Reader {
 public:
  Reader(const EvaluationFile& file, const LayoutColumn& column) : file_(file), column_(column) {}

  std::optional<Reading> read() {
    switch (column_.measure) {
      case Measure::joint:
        if (!file_.joint) return {};
        all_classifiers();
        return coherence(*file_.joint, true);
      case Measure::conditional:
        return cell(file_.conditional, column_.given, true);
      case Measure::self:
        return cell(file_.self, Subset{1} << column_.target, false);
      case Measure::leave_one_out: {
        const auto found = file_.leave_one_out.find(column_.size);
        if (found == file_.leave_one_out.end()) return {};
        all_classifiers();
        return coherence(found->second, true);
      }
      case Measure::quality:
      case Measure::kernel:
        return quality(column_.given, column_.target);
      case Measure::mean_quality:
        return mean_quality();
      case Measure::clip_score:
        for (const EvaluationFile::ClipScore& c : file_.clip_score)
          if (c.given == column_.given) {
            out_.made["CLIP"] = c.hash;
            return counted(c.value, c.n, true);
          }
        return {};
    }
    return {};
  }

 private:
  void classifier(const std::string& modality) {
    const auto found = file_.classifiers.find(modality);
    out_.made["classifier of " + modality] =
        found == file_.classifiers.end() ? "without a hash" : found->second;
  }
  void all_classifiers() {
    for (const auto& [modality, hash] : file_.classifiers) classifier(modality);
  }

  Reading counted(double value, std::int64_t samples, bool generated) {
    out_.value = value;
    out_.made["N"] = std::to_string(samples);
    out_.made["rows"] = file_.drawn ? "drawn by class" : "the first";
    if (!file_.fingerprint.empty()) out_.made[kDataKey] = file_.fingerprint;
    out_.made["split"] = file_.split;
    if (generated) out_.made["schedule"] = file_.schedule;
    return out_;
  }
  Reading coherence(double share, bool generated) { return counted(100 * share, file_.samples, generated); }

  std::optional<Reading> cell(const std::vector<EvaluationFile::Coherence>& cells, Subset given,
                              bool generated) {
    const EvaluationFile::Coherence* found = find(cells, given, column_.target);
    if (found == nullptr) return {};
    classifier(file_.modalities[static_cast<std::size_t>(column_.target)]);
    return coherence(found->value, generated);
  }

  std::optional<Reading> quality(Subset given, int target) {
    const EvaluationFile::Quality* q = find_quality(file_, given, target, column_.metric);
    const bool kernel = column_.measure == Measure::kernel;
    if (q == nullptr || (kernel && !q->kid)) return {};
    const std::string& name = file_.modalities[static_cast<std::size_t>(target)];
    out_.made["features of " + name] = q->extractor + " " + q->hash;
    out_.made["real samples of " + name] = cat(q->real, " (", q->distinct, " distinct)");
    return counted(kernel ? *q->kid : q->value, q->made, given != Subset{1} << target);
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

  const EvaluationFile& file_;
  const LayoutColumn& column_;
  Reading out_;
};

}  // namespace

EvaluationFile read_evaluation(const std::filesystem::path& path) {
  const bool is_run = is_folder(path);
  const std::filesystem::path file = is_run ? RunFiles{path}.evaluation() : path;
  MLD_CHECK_AS(ErrorKind::data, path_exists(file), path.string(),
               is_run ? ": is not evaluated; run `mldctl eval` on it first" : ": no such run or file");
  const Json json = data::parse_json(read_text(file), file.string());
  EvaluationFile out = Parser(json, file.string()).parse();
  out.source = path.string();
  return out;
}

std::optional<Reading> read_cell(const EvaluationFile& file, const LayoutColumn& column) {
  return Reader(file, column).read();
}

}  // namespace mld::tables
