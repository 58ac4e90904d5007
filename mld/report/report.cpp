#include "mld/report/report.h"

#include <algorithm>
#include <numeric>

#include "engine/io/atomic_file.h"
#include "engine/io/files.h"
#include "mld/config/config_fields.h"
#include "mld/config/hashes.h"
#include "mld/config/seed.h"
#include "mld/diffusion/sampling_record.h"
#include "mld/evaluate/choice/given_sets.h"
#include "mld/evaluate/coherence.h"
#include "mld/evaluate/reconstruction.h"
#include "mld/evaluate/record.h"
#include "mld/report/evaluation_tables.h"
#include "mld/report/html.h"
#include "mld/report/pictures.h"
#include "mld/report/real_samples.h"
#include "mld/report/sampler_tables.h"
#include "mld/report/training_curves.h"
#include "mld/run/generate.h"
#include "mld/run/run_files.h"

namespace mld::report {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kSounds = 4;          // players in each place
constexpr std::int64_t kCeilingItems = 500;  // at most, to measure the ceilings on

std::string run_name(const RunFiles& files) {
  const fs::path folder = fs::absolute(files.folder).lexically_normal();
  return (folder.has_filename() ? folder : folder.parent_path()).filename().string();
}

std::string origin(const data::Description& dataset) {
  const data::Provenance& p = dataset.provenance;
  std::string sources;
  for (const data::SourceFile& s : p.sources)
    sources += cat(sources.empty() ? "" : ", ", s.file, " (CRC-32 ", s.crc32, ")");
  return remark(cat("Made by importer ", p.importer, ", seed ", p.seed, sources.empty() ? "" : ", from ",
                    sources, "."));
}

// What generates, and how large it is.
Facts::value_type generator(const Model& model) {
  const Config& c = model.config();
  const bool vae = is_vae(c.model.kind);
  std::string size =
      vae ? cat("latent of ", c.model.kind == ModelKind::nexus ? c.vae.nexus_latent : c.vae.latent, ", beta ",
                number(c.vae.beta))
          : cat("width ", c.score.width, ", latents of ", model.layout().total);
  return {vae ? "VAE" : "Score network", model.generates() ? std::move(size) : "not trained yet"};
}

std::string overview(const Model& model) {
  const Config& c = model.config();
  Facts list{{"Data set", model.dataset().name},
             {"Model kind", name_of(c.model.kind)},
             {"Preset", c.preset.empty() ? "none" : c.preset},
             {"Seed", cat(c.seed)},
             {"Parameters", cat(model.parameters())},
             generator(model)};
  if (!is_vae(c.model.kind)) list.emplace_back("d, share of joint diffusion", number(c.score.d));
  list.emplace_back("Configuration hash", score_hash(c));
  for (const std::string& line : model.remarks()) list.emplace_back("Mark", line);
  Table modalities(
      "Modalities",
      {{"Modality"}, {"Kind"}, {"Shape"}, {"Autoencoder"}, {"Likelihood"}, {"Latent", true}, {"Classifier"}});
  for (int i = 0; i < model.modalities(); ++i) {
    const ModalityConfig& m = model.modality(i);
    modalities.row({m.name, data::kind_name(model.info(i).kind), model.info(i).shape.str(),
                    name_of(m.autoencoder), name_of(m.likelihood), cat(m.latent), name_of(m.classifier)});
  }
  Table splits("Data", {{"Split"}, {"Samples", true}, {"Pairings", true}, {"Items of each modality"}});
  for (const data::SplitSize& s : model.dataset().splits) {
    std::string items;
    for (const std::int64_t n : s.items) items += cat(items.empty() ? "" : ", ", n);
    splits.row({s.name, cat(s.samples), cat(s.repetitions), items});
  }
  return facts(list) + modalities.str() + splits.str() + origin(model.dataset());
}

// What no sample can exceed: how well classes survive the autoencoder.
std::string ceiling(const Model& model, const RealSamples& of, int i) {
  const std::vector<std::int64_t> rows = of.rows_with(i, kCeilingItems);
  if (rows.empty()) return "";
  std::vector<std::int32_t> labels;
  for (const std::int64_t row : rows) labels.push_back(of.split().labels()[static_cast<std::size_t>(row)]);
  const Tensor real = of.load(i, rows), made = model.reconstruct(i, real);
  ReconstructionErrors errors(model.info(i), model.vocabulary(i));
  std::vector<std::int64_t> every(rows.size());
  std::iota(every.begin(), every.end(), 0);
  errors.add(real, made, every);
  std::string text;
  if (errors.error())
    text = cat("Root mean square error ", number(*errors.error()), " on values from ",
               number(model.info(i).range.min), " to ", number(model.info(i).range.max), ". ");
  if (errors.right())
    text = cat(percent(*errors.right()), " of the numbers are right",
               errors.words() ? cat(", ", percent(*errors.words()), " of the words up to the end") : "", ", ",
               percent(*errors.whole()), " of the items altogether. ");
  if (model.reads(i)) {
    const auto share = [](const Proportion& p) {
      return cat(percent(p.value()), " (", percent(p.low()), " … ", percent(p.high()), ")");
    };
    const Proportion bound = agreement(model.classify(i, real), labels),
                     self = agreement(model.classify(i, made), labels);
    if (bound.n > 0)
      text += cat("The classifier reads the right class in ", share(self), " of the reconstructions and in ",
                  share(bound), " of the real items. ");
  }
  return paragraph(cat(text, "N = ", rows.size(), ", split ", of.split().name(), "."));
}

std::string other_weights(const fs::path& file, const char* command) {
  return remark(cat(file.filename().string(), " was measured on other weights than this run has now; `",
                    command, "` makes it again."));
}

std::string evaluation(const RunFiles& files, const Model& model) {
  const fs::path file = files.evaluation();
  if (!path_exists(file))
    return remark(
        "Not evaluated yet: `mldctl eval` measures coherence and quality, and the next report shows "
        "them.");
  const Evaluation measured = shown_evaluation(read_text(file), file.string());
  const std::string out = evaluation_tables(measured), of = measured.weights_hash;
  if (!of.empty() && of != model.weights_hash()) return other_weights(file, "mldctl eval");
  std::error_code unknown;
  if (of.empty() && model.generates() &&
      fs::last_write_time(file, unknown) <
          fs::last_write_time(files.checkpoint(model.method().stages().back()), unknown))
    return remark(
               "evaluation.json is older than the score network in this run: if training went on since, "
               "evaluate again.") +
           out;
  return out;
}

std::string samplers(const RunFiles& files, const Model& model) {
  const fs::path file = files.samplers();
  if (!path_exists(file)) return "";
  const std::string contents = read_text(file), out = sampler_tables(contents, file.string());
  const std::string of = how_measured(contents, file.string()).weights_hash;
  return of.empty() || of == model.weights_hash() ? out : other_weights(file, "mldctl bench-samplers");
}

std::string configuration(const RunFiles& files, const Facts& environment) {
  std::string out = folded("Every setting (config.json)", preformatted(read_text(files.config())));
  if (path_exists(files.reused()))
    out +=
        folded("What was taken over from another run (reused.json)", preformatted(read_text(files.reused())));
  if (environment.empty()) return out;
  return out + heading("Program and machine that made this report") + facts(environment);
}

Model opened(const ReportRequest& request) {
  Model model = Model::open(request.run, request.device, request.method);
  if (request.note)
    for (const std::string& line : model.unchecked()) request.note(line);
  return model;
}

class Reporter {
 public:
  Reporter(const ReportRequest& request, const ReportProgress& progress)
      : request_(request),
        progress_(progress),
        files_{request.run},
        model_(opened(request)),
        real_(model_, request),
        gallery_(gallery_of(model_, real_)) {}

  std::string run() {
    const std::string numbers = evaluation(files_, model_);  // first: these refuse files, and take no time
    const std::string compared = samplers(files_, model_);
    const Config& c = model_.config();
    const std::string preset = c.preset.empty() ? "no preset" : "preset " + c.preset;
    const std::string title = cat(model_.dataset().name, ": ", name_of(c.model.kind), ", ", preset);
    return page(title, cat("Multi-modal latent diffusion, run ", run_name(files_)),
                {{"run", "Run", overview(model_)},
                 {"training", "Training", training_curves(files_.metrics())},
                 {"reconstructions", "Reconstructions", reconstructions()},
                 {"samples", "Samples", samples()},
                 {"evaluation", "Evaluation", numbers},
                 {"samplers", "Samplers", compared},
                 {"configuration", "Configuration", configuration(files_, request_.environment)}});
  }

 private:
  void tell(const std::string& what, std::int64_t done, std::int64_t total) const {
    if (progress_ && !progress_(what, done, total)) throw Cancelled{};
  }

  std::string reconstructions() const {
    if (real_.rows().empty()) return "";
    std::string out;
    for (int i = 0; i < model_.modalities(); ++i) {
      if (!model_.reconstructs(i)) continue;
      tell("reconstructions", i, model_.modalities());
      const data::Modality& info = model_.info(i);
      const Values made = from_network(model_.reconstruct(i, real_.load(i, real_.rows())));
      const Strip strips[] = {{&info, real_.values().at(info.name), "real", "real"},
                              {&info, made, "decode(encode)", "reconstructed by the autoencoder"}};
      out += figure(info.name, gallery_.strips(strips, real_.shown()) +
                                   gallery_.players(strips[0], real_.shown(), kSounds / 2, seed()) +
                                   gallery_.players(strips[1], real_.shown(), kSounds / 2, seed()));
      out += ceiling(model_, real_, i);
    }
    if (out.empty()) return out;
    return remark(cat("Items of split ", real_.split().name(),
                      " above, what their autoencoder makes of them below.", real_.other_data())) +
           out;
  }

  std::string samples() {
    if (!model_.generates()) return "";
    std::vector<Subset> sets = shown_subsets(model_.modalities());
    const std::size_t all = sets.size();
    if (real_.rows().empty()) sets.resize(1);
    settings_ = shortened(sample_settings(model_.config()), sets.size());
    std::string out = paragraph(how_sampled());
    if (real_.rows().empty())
      out += remark(real_.has_store()
                        ? "No sample of the data has every modality, so only joint samples are shown."
                        : "The store trained on is not where it was, so only joint samples are shown; "
                          "`mldctl report --data STORE` names it.");
    else if (all < std::size_t{full_set(model_.modalities())})
      out += remark("Of the sets of given modalities those of one and of all but one are shown.");
    for (std::size_t k = 0; k < sets.size(); ++k) out += drawn(sets[k], k, sets.size());
    return out;
  }

  std::string how_sampled() const {
    const Config& c = model_.config();
    const bool vae = is_vae(c.model.kind);
    std::string walk;
    if (!vae) {
      const SamplerOptions own = sample_settings(c).sampler, used = settings_.sampler;
      const bool shorter = make_plan(used).network_calls() < make_plan(own).network_calls();
      walk = cat(" with ", schedule_name(used), ", ", model_.method().network_calls(settings_),
                 " network calls a sample",
                 shorter ? cat(" (the run itself is set to ", schedule_name(own), ")") : "");
    }
    const bool averaged = (vae ? c.vae.ema : c.score.ema) > 0;
    return cat(
        "Drawn", walk, ", seed ", seed(), ", ", averaged ? "averaged (EMA)" : "raw", " weights.",
        real_.rows().empty() ? "" : cat(" Given ones are samples of split ", real_.split().name(), "."));
  }

  std::string drawn(Subset given, std::size_t number, std::size_t of) const {
    const std::vector<std::string> names = model_.names();
    const std::string title = title_of(given, names);
    const std::int64_t n = given == 0 ? request_.samples : real_.shown();
    Samples known;
    for (int i = 0; i < model_.modalities(); ++i)
      if (contains(given, i)) known[model_.info(i).name] = real_.values().at(model_.info(i).name);
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

  std::uint64_t seed() const { return model_.config().seed; }

  const ReportRequest& request_;
  const ReportProgress& progress_;
  RunFiles files_;
  Model model_;
  RealSamples real_;
  Gallery gallery_;
  SampleSettings settings_;
};

}  // namespace

std::vector<Subset> shown_subsets(int modalities) {
  std::vector<Subset> sets = default_given_sets(modalities);
  sets.insert(sets.begin(), 0);
  return sets;
}

SampleSettings shortened(SampleSettings settings, std::size_t walks) {
  constexpr std::int64_t kFewestLevels = 20;
  const auto too_many = [&] {
    return make_plan(settings.sampler).network_calls() * static_cast<std::int64_t>(walks) > kMaxCalls;
  };
  SamplerOptions& s = settings.sampler;
  if (too_many()) s.resample = 1;
  while (too_many() && s.steps > kFewestLevels) {
    s.steps = std::max(kFewestLevels, s.steps / 2);
    s.jump = std::min(s.jump, s.steps);
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
