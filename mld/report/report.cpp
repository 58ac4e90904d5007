#include "mld/report/report.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "data/store/store.h"
#include "engine/io/atomic_file.h"
#include "engine/io/files.h"
#include "mld/config/config_fields.h"
#include "mld/config/seed.h"
#include "mld/diffusion/sampling_record.h"
#include "mld/evaluate/choice/given_sets.h"
#include "mld/evaluate/choice/row_draw.h"
#include "mld/evaluate/coherence.h"
#include "mld/modality/item_feed.h"
#include "mld/report/evaluation_tables.h"
#include "mld/report/html.h"
#include "mld/report/json_parts.h"
#include "mld/report/pictures.h"
#include "mld/report/sampler_tables.h"
#include "mld/report/training_curves.h"
#include "mld/run/generate.h"
#include "mld/run/model_data.h"
#include "mld/run/run_data.h"
#include "mld/run/run_files.h"

namespace mld::report {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kSounds = 4;          // players in each place
constexpr std::int64_t kCeilingItems = 500;  // at most, to measure the ceilings on

// n samples of the first pairing that have modality `column`, or every one of them where it is negative: a
// stratified draw.
std::vector<std::int64_t> chosen_rows(const data::Split& split, int column, std::int64_t n) {
  std::vector<std::int64_t> rows;
  std::vector<std::int32_t> labels;
  for (std::int64_t row = 0; row < split.num_distinct(); ++row) {
    const bool there =
        column < 0 ? std::ranges::none_of(split.sample(row), [](std::int32_t item) { return item < 0; })
                   : split.item(row, column) >= 0;
    if (!there) continue;
    rows.push_back(row);
    labels.push_back(split.labels()[static_cast<std::size_t>(row)]);
  }
  std::vector<std::int64_t> chosen = stratified_draw(labels, n, "report");
  for (std::int64_t& k : chosen) k = rows[static_cast<std::size_t>(k)];
  return chosen;
}

// What JSON says at a path of keys; nothing where it is not there.
std::string said(const std::string& contents, std::initializer_list<const char*> keys) {
  nlohmann::json at = nlohmann::json::parse(contents, nullptr, false);
  for (const char* key : keys) at = part(at, key);
  return at.is_string() ? at.get<std::string>() : "";
}

class Reporter {
 public:
  Reporter(const ReportRequest& request, const ReportProgress& progress)
      : request_(request),
        progress_(progress),
        files_{request.run},
        model_(Model::open(files_.folder, request.device)),
        gallery_({}, {}) {
    if (request.note)
      for (const std::string& line : model_.unchecked()) request.note(line);
    open_store();
    std::vector<data::Modality> infos;
    std::vector<std::vector<std::string>> words;
    for (int i = 0; i < model_.modalities(); ++i) {
      infos.push_back(model_.info(i));
      words.push_back(store_ ? store_->vocabulary(column(i)) : std::vector<std::string>{});
    }
    gallery_ = Gallery(std::move(infos), std::move(words));
    if (split_) load_real();
  }

  std::string run() {
    const std::string numbers = evaluation();  // first: these refuse files, and take no time
    const std::string compared = samplers();
    const Config& c = model_.config();
    const std::string preset = c.preset.empty() ? "no preset" : "preset " + c.preset;
    const std::string title = cat(model_.dataset().name, ": ", name_of(c.model.kind), ", ", preset);
    return page(title, cat("Multi-modal latent diffusion, run ", run_name()),
                {{"run", "Run", overview()},
                 {"training", "Training", training_curves(files_.metrics())},
                 {"reconstructions", "Reconstructions", reconstructions()},
                 {"samples", "Samples", samples()},
                 {"evaluation", "Evaluation", numbers},
                 {"samplers", "Samplers", compared},
                 {"configuration", "Configuration", configuration()}});
  }

 private:
  int column(int i) const { return store_->description().modality(model_.info(i).name); }

  std::string run_name() const {
    const fs::path folder = fs::absolute(files_.folder).lexically_normal();
    return (folder.has_filename() ? folder : folder.parent_path()).filename().string();
  }

  void open_store() {
    const bool named = !request_.data.empty();
    const std::optional<fs::path> trained = locate_store(model_.config().data.store, request_.run);
    if (!named && !trained) return;
    const fs::path path = named ? request_.data : *trained;
    store_ = data::Store::open(path);
    if (request_.note && !store_->checked()) request_.note(store_->unchecked_note());
    check_model_data(model_, *store_);
    const bool test = store_->has_split("test") && store_->split("test").num_samples() > 0;
    split_ = &store_->split(test ? "test" : "train");
  }

  // Modality i of rows of the split, as networks take it.
  Tensor load(int i, const std::vector<std::int64_t>& rows) const {
    std::vector<std::int32_t> items;
    for (const std::int64_t row : rows) items.push_back(split_->item(row, column(i)));
    const ItemBatch batch = make_item_batch(model_.info(i), static_cast<std::int64_t>(rows.size()));
    fill_items(*split_, column(i), store_->modality(column(i)), items, batch);
    return batch.x;
  }

  void load_real() {
    rows_ = chosen_rows(*split_, -1, request_.samples);
    if (rows_.empty()) return;
    for (int i = 0; i < model_.modalities(); ++i)
      real_[model_.info(i).name] = from_network(model_.info(i), load(i, rows_));
  }

  void tell(const std::string& what, std::int64_t done, std::int64_t total) const {
    if (progress_ && !progress_(what, done, total)) throw Cancelled{};
  }

  std::string overview() const {
    const Config& c = model_.config();
    Facts list{{"Data set", model_.dataset().name},
               {"Model kind", name_of(c.model.kind)},
               {"Preset", c.preset.empty() ? "none" : c.preset},
               {"Seed", cat(c.seed)},
               {"Parameters", cat(model_.parameters())},
               {"Score network", model_.has_score()
                                     ? cat("width ", c.score.width, ", latents of ", model_.layout().total)
                                     : std::string("not trained yet")},
               {"d, share of joint diffusion", number(c.score.d)},
               {"Configuration hash", score_hash(c)}};
    for (const std::string& line : model_.remarks()) list.emplace_back("Mark", line);
    Table modalities("Modalities", {{"Modality"},
                                    {"Kind"},
                                    {"Shape"},
                                    {"Autoencoder"},
                                    {"Likelihood"},
                                    {"Latent", true},
                                    {"Classifier"}});
    for (int i = 0; i < model_.modalities(); ++i) {
      const ModalityConfig& m = model_.modality(i);
      modalities.row({m.name, data::kind_name(model_.info(i).kind), model_.info(i).shape.str(),
                      name_of(m.autoencoder), name_of(m.likelihood), cat(m.latent), name_of(m.classifier)});
    }
    Table splits("Data", {{"Split"}, {"Samples", true}, {"Pairings", true}, {"Items of each modality"}});
    for (const data::SplitSize& s : model_.dataset().splits) {
      std::string items;
      for (const std::int64_t n : s.items) items += cat(items.empty() ? "" : ", ", n);
      splits.row({s.name, cat(s.samples), cat(s.repetitions), items});
    }
    return facts(list) + modalities.str() + splits.str() + origin();
  }

  std::string origin() const {
    const data::Provenance& p = model_.dataset().provenance;
    std::string sources;
    for (const data::SourceFile& s : p.sources)
      sources += cat(sources.empty() ? "" : ", ", s.file, " (CRC-32 ", s.crc32, ")");
    return remark(cat("Made by importer ", p.importer, ", seed ", p.seed, sources.empty() ? "" : ", from ",
                      sources, "."));
  }

  std::string reconstructions() const {
    if (rows_.empty()) return "";
    std::string out;
    for (int i = 0; i < model_.modalities(); ++i) {
      if (!model_.has_autoencoder(i)) continue;
      tell("reconstructions", i, model_.modalities());
      const data::Modality& info = model_.info(i);
      const Values made = from_network(info, model_.reconstruct(i, load(i, rows_)));
      const Strip strips[] = {{&info, real_.at(info.name), "real", "real"},
                              {&info, made, "decode(encode)", "reconstructed by the autoencoder"}};
      out += figure(info.name, gallery_.strips(strips, shown()) +
                                   gallery_.players(strips[0], shown(), kSounds / 2, seed()) +
                                   gallery_.players(strips[1], shown(), kSounds / 2, seed()));
      out += ceiling(i);
    }
    if (out.empty()) return out;
    return remark(cat("Items of split ", split_->name(),
                      " above, what their autoencoder makes of them below.", other_data())) +
           out;
  }

  // A sentence where the store is known to be another one than that trained on.
  std::string other_data() const {
    const std::string trained = model_.dataset().fingerprint, found = store_->description().fingerprint;
    if (trained.empty() || found.empty() || trained == found) return "";
    return cat(" They are of other data than the model was trained on (", store_->description().name, ").");
  }

  // What no sample can exceed: how well classes survive the autoencoder.
  std::string ceiling(int i) const {
    const std::vector<std::int64_t> rows = chosen_rows(*split_, column(i), kCeilingItems);
    if (rows.empty()) return "";
    std::vector<std::int32_t> labels;
    for (const std::int64_t row : rows) labels.push_back(split_->labels()[static_cast<std::size_t>(row)]);
    const Tensor real = load(i, rows), made = model_.reconstruct(i, real);
    std::string text;
    if (!data::is_discrete(model_.info(i).kind)) {
      double squares = 0;
      for (std::int64_t k = 0; k < real.numel(); ++k) {
        const double difference =
            static_cast<double>(made.data<float>()[k]) - static_cast<double>(real.data<float>()[k]);
        squares += difference * difference;
      }
      text = cat("Root mean square error ", number(std::sqrt(squares / static_cast<double>(real.numel()))),
                 " on values from ", number(model_.info(i).range.min), " to ",
                 number(model_.info(i).range.max), ". ");
    }
    if (model_.has_classifier(i)) {
      const auto share = [](const Proportion& p) {
        return cat(percent(p.value()), " (", percent(p.low()), " … ", percent(p.high()), ")");
      };
      const Proportion bound = agreement(model_.classify(i, real), labels),
                       self = agreement(model_.classify(i, made), labels);
      if (bound.n > 0)
        text += cat("The classifier reads the right class in ", share(self),
                    " of the reconstructions and in ", share(bound), " of the real items. ");
    }
    return paragraph(cat(text, "N = ", rows.size(), ", split ", split_->name(), "."));
  }

  std::string samples() {
    if (!model_.has_score()) return "";
    std::vector<Subset> sets = shown_subsets(model_.modalities());
    const std::size_t all = sets.size();
    if (rows_.empty()) sets.resize(1);
    settings_ = shortened(sample_settings(model_.config()), sets.size());
    std::string out = paragraph(how_sampled());
    if (rows_.empty())
      out += remark(store_ ? "No sample of the data has every modality, so only joint samples are shown."
                           : "The store trained on is not where it was, so only joint samples are shown; "
                             "`mldctl report --data STORE` names it.");
    else if (all < std::size_t{full_set(model_.modalities())})
      out += remark("Of the sets of given modalities those of one and of all but one are shown.");
    for (std::size_t k = 0; k < sets.size(); ++k) out += drawn(sets[k], k, sets.size());
    return out;
  }

  std::string how_sampled() const {
    const SamplerOptions own = sample_settings(model_.config()).sampler, used = settings_.sampler;
    const bool shorter = make_plan(used).network_calls < make_plan(own).network_calls;
    return cat("Drawn with ", schedule_name(used), ", ", make_plan(used).network_calls,
               " network calls a sample",
               shorter ? cat(" (the run itself is set to ", schedule_name(own), ")") : "", ", seed ", seed(),
               ", ", model_.config().score.ema > 0 ? "averaged (EMA)" : "raw", " weights.",
               rows_.empty() ? "" : cat(" Given ones are samples of split ", split_->name(), "."));
  }

  std::string drawn(Subset given, std::size_t number, std::size_t of) const {
    const std::vector<std::string> names = model_.names();
    std::string title = "Jointly, nothing given";
    if (given != 0) {
      title = "Given";
      for (int i = 0; i < model_.modalities(); ++i)
        if (contains(given, i))
          title += cat(title == "Given" ? " " : " and ", names[static_cast<std::size_t>(i)]);
    }
    const std::int64_t n = given == 0 ? request_.samples : shown();
    Samples known;
    for (int i = 0; i < model_.modalities(); ++i)
      if (contains(given, i)) known[model_.info(i).name] = real_.at(model_.info(i).name);
    SampleSettings settings = settings_;
    settings.seed = stage_seed(settings.seed, "report/" + subset_name(given, names));
    const Samples made = generate(model_, n, known, settings, [&](std::int64_t done, std::int64_t total) {
      tell("samples", static_cast<std::int64_t>(number) * total + done,
           static_cast<std::int64_t>(of) * total);
      return true;
    });
    const std::string what = given == 0 ? "generated jointly" : "generated, " + title;
    std::vector<Strip> strips;
    std::string sounds;
    for (const bool first : {true, false})
      for (int i = 0; i < model_.modalities(); ++i) {
        if (contains(given, i) != first) continue;
        const data::Modality& info = model_.info(i);
        strips.push_back(
            {&info, first ? known.at(info.name) : made.at(info.name), {}, first ? title : what, first});
        if (!first) sounds += gallery_.players(strips.back(), n, kSounds, seed());
      }
    return figure(title, gallery_.strips(strips, n) + sounds);
  }

  std::string evaluation() const {
    const fs::path file = files_.evaluation();
    if (!path_exists(file))
      return remark(
          "Not evaluated yet: `mldctl eval` measures coherence and quality, and the next report shows "
          "them.");
    const std::string contents = read_text(file);
    const std::string out = evaluation_tables(contents, file.string());
    const std::string of = said(contents, {"run", "weights_hash"});
    if (!of.empty() && of != model_.weights_hash()) return other_weights(file, "mldctl eval");
    std::error_code unknown;
    if (of.empty() && path_exists(files_.score()) &&
        fs::last_write_time(file, unknown) < fs::last_write_time(files_.score(), unknown))
      return remark(
                 "evaluation.json is older than the score network in this run: if training went on since, "
                 "evaluate again.") +
             out;
    return out;
  }

  std::string samplers() const {
    const fs::path file = files_.samplers();
    if (!path_exists(file)) return "";
    const std::string contents = read_text(file), of = said(contents, {"how", "run", "weights_hash"});
    const std::string out = sampler_tables(contents, file.string());
    return of.empty() || of == model_.weights_hash() ? out : other_weights(file, "mldctl bench-samplers");
  }

  static std::string other_weights(const fs::path& file, const char* command) {
    return remark(cat(file.filename().string(), " was measured on other weights than this run has now; `",
                      command, "` makes it again."));
  }

  std::string configuration() const {
    std::string out = folded("Every setting (config.json)", preformatted(read_text(files_.config())));
    if (path_exists(files_.reused()))
      out += folded("What was taken over from another run (reused.json)",
                    preformatted(read_text(files_.reused())));
    if (request_.environment.empty()) return out;
    return out + heading("Program and machine that made this report") + facts(request_.environment);
  }

  std::int64_t shown() const { return static_cast<std::int64_t>(rows_.size()); }
  std::uint64_t seed() const { return model_.config().seed; }

  const ReportRequest& request_;
  const ReportProgress& progress_;
  RunFiles files_;
  Model model_;
  Gallery gallery_;
  SampleSettings settings_;
  std::optional<data::Store> store_;
  const data::Split* split_ = nullptr;
  std::vector<std::int64_t> rows_;
  Samples real_;
};

}  // namespace

std::vector<Subset> shown_subsets(int modalities) {
  std::vector<Subset> sets = default_given_sets(modalities);
  sets.insert(sets.begin(), 0);
  return sets;
}

SampleSettings shortened(SampleSettings settings, std::size_t walks) {
  constexpr int kFewestLevels = 20;
  const auto too_many = [&] {
    return make_plan(settings.sampler).network_calls * static_cast<std::int64_t>(walks) > kMaxCalls;
  };
  Schedule& s = settings.sampler.schedule;
  if (too_many()) s.resample = 1;
  while (too_many() && s.levels > kFewestLevels) {
    s.levels = std::max(kFewestLevels, s.levels / 2);
    s.jump = std::min(s.jump, s.levels);
  }
  return settings;
}

fs::path write_report(const ReportRequest& request, const ReportProgress& progress) {
  MLD_CHECK_AS(ErrorKind::usage, request.samples >= 1 && request.samples <= kMaxShown,
               "report: ", request.samples, " samples asked for, expected 1 to ", kMaxShown);
  MLD_CHECK_AS(ErrorKind::model, is_folder(request.run), request.run.string(),
               ": is no run directory, which a report is made of");
  const fs::path out = request.out.empty() ? request.run / "report.html" : request.out;
  AtomicFile file(out);  // before the work: a place that cannot be written is known at once
  file.write(Reporter(request, progress).run());
  file.commit();
  return out;
}

}  // namespace mld::report
