#include "mld/report/side_by_side.h"

#include <algorithm>

#include "engine/base/names.h"
#include "mld/config/seed.h"
#include "mld/diffusion/sampling_record.h"
#include "mld/diffusion/subsets.h"
#include "mld/report/html.h"
#include "mld/report/pictures.h"
#include "mld/report/real_samples.h"
#include "mld/run/generate.h"

namespace mld::report {
namespace {

constexpr std::int64_t kShown = Gallery::kColumns, kSounds = 2;

struct Opened {
  const Contender* contender;
  Model model;
};

std::vector<Opened> opened(std::span<const Contender> contenders, Device device) {
  std::vector<Opened> models;
  for (const Contender& c : contenders) {
    Model model = Model::open(c.run.string(), device);
    if (model.generates() && (models.empty() || model.names() == models.front().model.names()))
      models.push_back({&c, std::move(model)});
  }
  return models;
}

// Its own, shortened where all the walks of the page together would take long.
SampleSettings settings_of(const Model& model, std::size_t walks) {
  return shortened(sample_settings(model.config()), walks);
}

std::string how_drawn(const std::vector<Opened>& models, std::size_t walks) {
  std::vector<std::string> schedules;
  for (const Opened& o : models) {
    if (is_vae(o.model.config().model.kind)) continue;
    std::string one = schedule_name(settings_of(o.model, walks).sampler);
    if (std::ranges::find(schedules, one) == schedules.end()) schedules.push_back(std::move(one));
  }
  return remark(cat("Drawn by the runs of the first seed as they are configured",
                    schedules.empty() ? "" : " (" + join(schedules) + ")",
                    ", which need not be how the numbers above were made."));
}

// Of every model, given `set` of the real samples.
std::vector<Samples> drawn(const std::vector<Opened>& models, Subset set, std::size_t walks, std::int64_t n,
                           const Samples& known, const std::function<void()>& tell) {
  std::vector<Samples> made;
  for (const Opened& o : models) {
    tell();
    SampleSettings settings = settings_of(o.model, walks);
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
  const RealSamples real(first, {.run = models.front().contender->run, .samples = kShown});
  const Gallery gallery = gallery_of(first, real);
  std::vector<Subset> sets = shown_subsets(first.modalities());
  if (real.rows().empty()) sets.resize(1);

  const std::size_t walks = sets.size() * models.size();
  std::int64_t done = 0;
  const auto tell = [&] {
    if (progress && !progress("samples side by side", done++, static_cast<std::int64_t>(walks)))
      throw Cancelled{};
  };
  std::string out = how_drawn(models, walks);
  for (const Subset set : sets) {
    const std::int64_t n = set == 0 ? kShown : real.shown();
    Samples known;
    std::vector<Strip> strips;
    for (int i = 0; i < first.modalities(); ++i)
      if (const data::Modality& info = first.info(i); contains(set, i)) {
        known[info.name] = real.values().at(info.name);
        strips.push_back({&info, known[info.name], {}, "given", true});
      }
    const std::vector<Samples> made = drawn(models, set, walks, n, known, tell);
    std::string sounds;
    for (int i = 0; i < first.modalities(); ++i) {
      if (contains(set, i)) continue;
      for (std::size_t k = 0; k < models.size(); ++k) {
        const data::Modality& info = first.info(i);
        const std::string& name = models[k].contender->name;
        strips.push_back({&info, made[k].at(info.name), name, cat(info.name, " of ", name), false});
        sounds += gallery.players(strips.back(), n, kSounds, first.config().seed);
      }
    }
    out += figure(title_of(set, first.names()), gallery.strips(strips, n) + sounds);
  }
  return out;
}

}  // namespace mld::report
