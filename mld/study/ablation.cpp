#include "mld/study/ablation.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "engine/io/atomic_file.h"
#include "engine/io/file_error.h"
#include "engine/io/files.h"
#include "mld/config/hashes.h"
#include "mld/diffusion/sampling_record.h"
#include "mld/evaluate/choice/given_sets.h"
#include "mld/evaluate/choice/row_draw.h"
#include "mld/run/model_data.h"
#include "mld/study/compare.h"
#include "mld/study/tables/evaluation_file.h"
#include "mld/study/tables/layout.h"

namespace mld {
namespace {

namespace fs = std::filesystem;

// A file name out of a value: what file systems and shells take amiss becomes '_'.
std::string file_name(std::string value) {
  for (char& c : value) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!plain && c != '.' && c != '-') c = '_';
  }
  return value;
}

struct Job {
  AblationCell cell;
  Config config;
  // What its evaluation will be of.
  std::string fingerprint = {};
  bool drawn = false;
  std::vector<std::string> given_sets = {};
};

std::string cat_sets(const std::vector<std::string>& sets) {
  std::string text;
  for (const std::string& set : sets) text += (text.empty() ? "" : " ") + set;
  return text.empty() ? "all" : text;
}

std::string stage1_of(const Config& config) {
  std::string text;
  for (const ModalityConfig& m : config.modalities) text += stage1_hash(m);
  return text + classifiers_hash(config);
}

class Ablation {
 public:
  Ablation(const AblationRequest& request, const AblationHooks& hooks)
      : request_(request),
        hooks_(hooks),
        results_(request.results.empty() ? request.out / "results" : request.results) {
    for (const std::uint64_t seed : request.seeds)
      for (const std::string& value : request.values) {
        const std::string name = cat(file_name(value), "-seed", seed);
        Config config = request.configure({cat(request.key, "=", value), cat("seed=", seed)});
        const fs::path run = run_of(config, request.out / name);
        jobs_.push_back({{value, seed, results_ / (name + ".json"), run}, std::move(config)});
      }
    check_jobs();
  }

  AblationResult run() {
    const bool made = !make_folder(request_.out).empty();
    try {
      make_folder(results_);
    } catch (...) {
      std::error_code ignored;
      if (made) fs::remove(request_.out, ignored);  // nothing is in it
      throw;
    }
    std::vector<const Job*> open;
    for (const Job& job : jobs_)
      if (!finished(job)) open.push_back(&job);
    check_rows(open);
    for (const Job* job : open) AtomicFile place(job->cell.evaluation);  // that it can be written
    AblationResult result;
    try {
      result.stopped = !open.empty() && !make(open, result.failures);
    } catch (const Cancelled&) {  // within an evaluation
      result.stopped = true;
    }
    for (const Job& job : jobs_)
      if (path_exists(job.cell.evaluation)) result.cells.push_back(job.cell);
    return result;
  }

 private:
  // The run of an earlier cell whose networks are the same, as where a setting of the sampler varies; else `own`.
  fs::path run_of(const Config& config, const fs::path& own) const {
    const auto same = std::ranges::find_if(jobs_, [&](const Job& job) {
      return job.config.seed == config.seed && stage1_of(job.config) == stage1_of(config) &&
             score_hash(job.config) == score_hash(config);
    });
    return same == jobs_.end() ? own : same->cell.run;
  }

  // Whatever would make the last step fail is found before the first.
  void check_jobs() {
    MLD_CHECK_AS(ErrorKind::usage, !jobs_.empty(), "ablation: no value or no seed");
    std::set<fs::path> evaluations;
    std::map<std::tuple<std::string, std::uint64_t, std::string>, std::string> rows;
    for (Job& job : jobs_) {
      MLD_CHECK_AS(ErrorKind::usage, evaluations.insert(job.cell.evaluation).second,
                   "ablation: two cells would be ", job.cell.evaluation.stem().string(),
                   "; give each value and each seed once");
      const auto [row, is_new] = rows.try_emplace(
          {score_hash(job.config), job.config.seed, schedule_name(sampling(job.config).sampler)},
          job.cell.value);
      MLD_CHECK_AS(ErrorKind::usage, is_new, "ablation: ", request_.key, "=", row->second, " and ",
                   request_.key, "=", job.cell.value, " with seed ", job.config.seed,
                   " are the same score network and sampler, of which a table has one row; vary what one of "
                   "them depends on");
      check_metrics(request_.evaluation.metrics, method_answers(job.config));
      const data::Store store = data::Store::open(job.config.data.store);
      const data::Split& split = evaluated_split(store, request_.evaluation.split);
      const std::int64_t used = samples_used(split, request_.evaluation);
      std::vector<std::string> modalities;
      for (const ModalityConfig& m : job.config.modalities) modalities.push_back(m.name);
      job.given_sets =
          given_set_names(parse_given_sets(request_.evaluation.given_sets, modalities), modalities);
      job.fingerprint = store.description().fingerprint;
      job.drawn = is_drawn(split, request_.evaluation.samples);
      MLD_CHECK_AS(ErrorKind::usage, request_.evaluation.samples <= used,
                   "ablation: ", request_.evaluation.samples, " samples asked for, split '",
                   request_.evaluation.split, "' has ", used);
    }
  }

  // Before the first is measured: rows that are drawn today were the first of the split in older evaluations,
  // which are good for a table of their own.
  void check_rows(const std::vector<const Job*>& open) const {
    const Job *older = nullptr, *newer = open.empty() ? nullptr : open.front();
    for (const Job& job : jobs_) {
      if (!job.drawn || std::ranges::find(open, &job) != open.end()) continue;
      (tables::read_evaluation(job.cell.evaluation).drawn ? newer : older) = &job;
    }
    if (older == nullptr) return;
    const std::string what =
        cat(older->cell.evaluation.string(), ": was measured on the first ", request_.evaluation.samples,
            " rows of split ", quote(request_.evaluation.split));
    MLD_CHECK_AS(ErrorKind::busy, newer == nullptr, what, ", ",
                 newer == nullptr ? "" : newer->cell.evaluation.string(),
                 " is of rows drawn by class; name another folder for the results, or remove it");
    note(cat(what, ", which are drawn by class today"));
  }

  void note(const std::string& line) const {
    if (hooks_.note) hooks_.note(line);
  }

  SampleSettings sampling(const Config& config) const {
    const SampleSettings own = sample_settings(config);
    return request_.sampling ? request_.sampling(own) : own;
  }

  bool finished(const Job& job) const {
    if (!path_exists(job.cell.evaluation)) return false;
    const Evaluation found = tables::read_evaluation(job.cell.evaluation);
    const auto same = [&](const char* what, const auto& is, const auto& wanted) {
      MLD_CHECK_AS(ErrorKind::busy, is == wanted, job.cell.evaluation.string(), ": was made with ", what, " ",
                   is, ", not ", wanted, "; name another folder for the results, or remove it");
    };
    same("configuration", found.config_hash, score_hash(job.config));
    same("seed", found.model_seed, job.config.seed);
    same("split", found.split, request_.evaluation.split);
    if (found.walks()) same("schedule", found.schedule(), schedule_name(sampling(job.config).sampler));
    if (request_.evaluation.samples > 0) same("N", found.samples, request_.evaluation.samples);
    same("sets of given modalities", cat_sets(found.given_sets), cat_sets(job.given_sets));
    if (!found.fingerprint.empty() && !job.fingerprint.empty())
      same("data of fingerprint", found.fingerprint, job.fingerprint);
    if (!found.classifier_recipe.empty())
      same("classifiers of recipe", found.classifier_recipe, classifiers_hash(job.config));
    if (found.seed) same("samples of seed", *found.seed, sampling(job.config).seed);
    for (const std::string& metric : request_.evaluation.metrics.names())
      MLD_CHECK_AS(ErrorKind::busy, std::ranges::find(found.metrics, metric) != found.metrics.end(),
                   job.cell.evaluation.string(), ": was made without the metric ", metric,
                   "; name another folder for the results, or remove it");
    note(cat(job.cell.evaluation.string(), ": is there"));
    return true;
  }

  // False: stopped.
  bool make(const std::vector<const Job*>& open, std::vector<AblationFailure>& failures) {
    if (!share_stage1()) return false;
    std::size_t done = jobs_.size() - open.size();
    for (const Job* job : open) {
      const std::string name = cat(request_.key, " ", job->cell.value, ", seed ", job->cell.seed);
      note(cat(name, ": cell ", ++done, " of ", jobs_.size()));
      try {
        if (train(request_of(*job), hooks_.train) == StageEnd::stopped) return false;
        measure(*job);
      } catch (const Error& error) {
        if (!request_.keep_going) throw;
        failures.push_back({job->cell.value, job->cell.seed, error.kind(), error.what()});
        note(cat(name, ": failed, ", error.what()));
      }
    }
    return true;
  }

  // Sets where cells take their stage 1 from, if all of them, finished or not, have one in common. False:
  // stopped.
  bool share_stage1() {
    reuse_ = request_.reuse;
    const std::string first = stage1_of(jobs_.front().config);
    const bool common =
        std::ranges::all_of(jobs_, [&](const Job& job) { return stage1_of(job.config) == first; });
    if (!reuse_.empty() || !common || jobs_.size() < 2) return true;
    reuse_ = request_.out / "stage1";
    // Of a VAE there are classifiers alone.
    const auto plain =
        std::ranges::find_if(jobs_, [](const Job& job) { return !is_vae(job.config.model.kind); });
    const Config& config = plain == jobs_.end() ? jobs_.front().config : plain->config;
    for (const StageChoice stages : {StageChoice::autoencoders, StageChoice::classifiers}) {
      if (stages == StageChoice::autoencoders && plain == jobs_.end()) continue;
      const TrainRequest shared{
          .config = config, .out = reuse_, .stages = stages, .resume = true, .device = request_.device};
      if (train(shared, hooks_.train) == StageEnd::stopped) return false;
    }
    return true;
  }

  TrainRequest request_of(const Job& job) const {
    return {.config = job.config,
            .out = job.cell.run,
            .reuse = reuse_,
            .resume = true,
            .device = request_.device};
  }

  void measure(const Job& job) const {
    const Model model = Model::open(job.cell.run.string(), request_.device);
    const data::Store store = data::Store::open(job.config.data.store);
    EvaluationOptions options = request_.evaluation;
    options.sampling = sampling(job.config);
    write_file_atomically(job.cell.evaluation, to_json(evaluate(model, store, options, hooks_.evaluation)));
  }

  const AblationRequest& request_;
  const AblationHooks& hooks_;
  fs::path results_, reuse_;
  std::vector<Job> jobs_;
};

}  // namespace

std::pair<std::string, std::vector<std::string>> parse_variation(const std::string& text) {
  const std::size_t equals = text.find('=');
  MLD_CHECK_AS(ErrorKind::usage, equals != std::string::npos && equals > 0 && equals + 1 < text.size(),
               "ablation: ", quote(text), " is not of the form KEY=VALUE,VALUE,...");
  std::vector<std::string> values{""};
  int depth = 0;
  for (const char c : text.substr(equals + 1)) {
    depth += c == '[' ? 1 : c == ']' ? -1 : 0;
    if (c == ',' && depth == 0)
      values.emplace_back();
    else
      values.back() += c;
  }
  for (const std::string& value : values)
    MLD_CHECK_AS(ErrorKind::usage, !value.empty() && std::ranges::count(values, value) == 1,
                 "ablation: ", quote(text), value.empty() ? " has an empty value" : " has a value twice");
  return {text.substr(0, equals), values};
}

AblationResult ablate(const AblationRequest& request, const AblationHooks& hooks) {
  return Ablation(request, hooks).run();
}

std::vector<tables::Table> ablation_tables(const std::string& key, std::span<const AblationCell> cells,
                                           bool paper) {
  std::vector<fs::path> files;
  for (const AblationCell& cell : cells) files.push_back(cell.evaluation);
  const bool published =
      paper && !files.empty() && tables::published_of(tables::read_evaluation(files.front())) != nullptr;
  return compare(files, {.paper = published, .samplers = key.starts_with("sampler.")});
}

}  // namespace mld
