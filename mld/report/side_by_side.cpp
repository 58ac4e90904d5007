#include "mld/report/side_by_side.h"

#include "mld/config/seed.h"
#include "mld/diffusion/subsets.h"
#include "mld/report/html.h"
#include "mld/report/pictures.h"
#include "mld/report/real_samples.h"
#include "mld/run/generate.h"

namespace mld::report {
namespace {

constexpr std::int64_t kShown = Gallery::kColumns, kSounds = 2;

struct Opened {
  std::string name;
  Model model;
};

std::vector<Opened> opened(std::span<const Contender> contenders, Device device) {
  std::vector<Opened> models;
  for (const Contender& c : contenders) {
    Model model = Model::open(c.run.string(), device);
    if (model.generates() && (models.empty() || model.names() == models.front().model.names()))
      models.push_back({c.name, std::move(model)});
  }
  return models;
}

// Of every model, given `set` of the real samples.
std::vector<Samples> drawn(const std::vector<Opened>& models, Subset set, std::size_t sets, std::int64_t n,
                           const Samples& known, const std::function<void()>& tell) {
  std::vector<Samples> made;
  for (const Opened& o : models) {
    tell();
    SampleSettings settings = shortened(sample_settings(o.model.config()), sets * models.size());
    settings.seed = stage_seed(settings.seed, "side by side/" + subset_name(set, o.model.names()));
    made.push_back(generate(o.model, n, known, settings));
  }
  return made;
}

}  // namespace

std::string side_by_side(std::span<const Contender> contenders, Device device,
                         const ReportProgress& progress) {
  const std::vector<Opened> models = opened(contenders, device);
  if (models.empty()) return "";
  const Model& first = models.front().model;
  const RealSamples real(first, {.run = contenders.front().run, .samples = kShown});
  const Gallery gallery = gallery_of(first, real);
  std::vector<Subset> sets = shown_subsets(first.modalities());
  if (real.rows().empty()) sets.resize(1);

  const auto total = static_cast<std::int64_t>(sets.size() * models.size());
  std::int64_t done = 0;
  const auto tell = [&] {
    if (progress && !progress("samples side by side", done++, total)) throw Cancelled{};
  };
  std::string out;
  for (const Subset set : sets) {
    const std::int64_t n = set == 0 ? kShown : real.shown();
    Samples known;
    std::vector<Strip> strips;
    for (int i = 0; i < first.modalities(); ++i)
      if (const data::Modality& info = first.info(i); contains(set, i)) {
        known[info.name] = real.values().at(info.name);
        strips.push_back({&info, known[info.name], {}, "given", true});
      }
    const std::vector<Samples> made = drawn(models, set, sets.size(), n, known, tell);
    std::string sounds;
    for (int i = 0; i < first.modalities(); ++i) {
      if (contains(set, i)) continue;
      for (std::size_t k = 0; k < models.size(); ++k) {
        const data::Modality& info = first.info(i);
        strips.push_back(
            {&info, made[k].at(info.name), models[k].name, cat(info.name, " of ", models[k].name), false});
        sounds += gallery.players(strips.back(), n, kSounds, first.config().seed);
      }
    }
    const std::string title =
        set == 0 ? "Jointly, nothing given" : "Given " + subset_name(set, first.names());
    out += figure(title, gallery.strips(strips, n) + sounds);
  }
  return out;
}

}  // namespace mld::report
