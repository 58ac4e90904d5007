#include "mld/run/model.h"

#include <algorithm>

#include "engine/io/crc32.h"
#include "engine/io/files.h"
#include "engine/io/safetensors.h"
#include "engine/loops/drivers.h"
#include "engine/ops/ops.h"
#include "mld/diffusion/sde.h"
#include "mld/run/budget.h"
#include "mld/run/run_parts.h"
#include "nn/checkpoint.h"

namespace mld {
namespace {

constexpr std::int64_t kDecodeChunk = 256;
constexpr const char* kRemarks = "remarks";  // of an exported file: a list

// What a velocity F stands for as a noise prediction (score_batch.h).
MLD_HD float noise_of_velocity(float a, float s, float r, float f) { return -(s * r + a * f); }

struct NoiseOfVelocity {
  const float *r, *f;
  float* n;
  const float* scalars;
  const std::int32_t* level;
  MLD_HD void operator()(std::int64_t i) const {
    n[i] = noise_of_velocity(scalars[2 * *level], scalars[2 * *level + 1], r[i], f[i]);
  }
};

struct CopyColumns {
  const float* from;
  float* to;
  std::int64_t from_width, to_width, from_first, to_first, count;
  MLD_HD void operator()(std::int64_t i) const {
    to[i / count * to_width + to_first + i % count] = from[i / count * from_width + from_first + i % count];
  }
};

// scalars [L,2] holds a and sigma of every level.
Tensor noise_of_velocity(const Tensor& r, const Tensor& f, const Tensor& scalars, const Tensor& level) {
  const Tensor n = Tensor::empty(r.shape(), DType::f32, r.device());
  for_each(r.device(), r.numel(),
           NoiseOfVelocity{r.ptr<float>(), f.ptr<float>(), n.ptr<float>(), scalars.ptr<float>(),
                           level.ptr<std::int32_t>()});
  return n;
}

Tensor velocity_scalars(const SamplerPlan& plan) {
  const auto levels = static_cast<std::int64_t>(plan.times.size());
  Tensor scalars = Tensor::empty({levels, 2});
  for (std::int64_t level = 0; level < levels; ++level) {
    const double t = plan.times[static_cast<std::size_t>(level)];
    scalars.data<float>()[2 * level] = static_cast<float>(VpSde::mean(t));
    scalars.data<float>()[2 * level + 1] = static_cast<float>(VpSde::std_dev(t));
  }
  return scalars;
}

// tau [levels, M_t]: row k is level k.
Tensor level_times(const SamplerPlan& plan, std::int64_t times, Subset given) {
  const auto levels = static_cast<std::int64_t>(plan.times.size());
  Tensor tau = Tensor::zeros({levels, times});
  for (std::int64_t level = 0; level < levels; ++level)
    for (std::int64_t i = 0; i < times; ++i)
      if (!contains(given, static_cast<int>(i)))
        tau.data<float>()[level * times + i] =
            static_cast<float>(plan.times[static_cast<std::size_t>(level)]);
  return tau;
}

void copy_columns(const Tensor& from, std::int64_t from_first, const Tensor& to, std::int64_t to_first,
                  std::int64_t count) {
  for_each(from.device(), from.shape()[0] * count,
           CopyColumns{from.ptr<float>(), to.ptr<float>(), from.shape()[1], to.shape()[1], from_first,
                       to_first, count});
}

// CRC-32 of a network's values, continued from another.
std::uint32_t content(const nn::ParameterStore& store, std::uint32_t crc) {
  for (const Tensor& arena : {store.value(), store.buffer()}) {
    if (!arena.defined()) continue;
    const Tensor host = arena.to(kCpu);
    crc = crc32(std::span<const std::byte>(host.raw(), static_cast<std::size_t>(host.bytes())), crc);
  }
  return crc;
}

}  // namespace

SampleSettings sample_settings(const Config& config) {
  const SamplerConfig& s = config.sampler;
  return {.sampler = {.method = s.method,
                      .schedule = {static_cast<int>(s.steps), static_cast<int>(s.jump),
                                   static_cast<int>(s.resample)},
                      .renoise = s.renoise,
                      .churn = s.churn},
          .seed = config.seed,
          .chunk = s.chunk};
}

Model::Model(Config config, data::Description dataset, Device device)
    : config_(std::move(config)),
      dataset_(std::move(dataset)),
      device_(device),
      layout_(latent_layout(config_)) {
  for (const ModalityConfig& m : config_.modalities)
    infos_.push_back(dataset_.modalities[static_cast<std::size_t>(dataset_.modality(m.name))]);
  nets_.resize(infos_.size());
}

Model Model::open(const std::filesystem::path& path, Device device) {
  MLD_CHECK_AS(ErrorKind::model, path_exists(path), path.string(), ": no such run or model file");
  return is_folder(path) ? open_run(path, device) : open_file(path, device);
}

void Model::note_unchecked(const std::filesystem::path& path) {
  if (!has_score()) return;
  if (score_record_.parts.empty())
    unchecked_.push_back(cat(path.string(),
                             ": older than the records of what belongs together; that its score "
                             "network was trained on these autoencoders was not checked"));
  else if (score_record_.data.empty() || dataset_.fingerprint.empty())
    unchecked_.push_back(cat(path.string(),
                             ": was trained on a store without fingerprint; that its parts are of the "
                             "same data was not checked"));
}

Model Model::open_run(const std::filesystem::path& folder, Device device) {
  const RunFiles files{folder};
  Config config = read_run_config(files);
  data::Description dataset = read_run_dataset(files);
  const std::vector<RunPart> parts = open_parts(files, config, dataset.fingerprint);
  std::vector<std::string> corrected;
  for (const RunPart& part : parts) {
    TrainConfig& named = *part.id.settings(config);
    const TrainConfig& used = *part.id.settings(part.made_with);
    if (same_budget(named, used)) continue;
    corrected.push_back(cat(files.config().string(), ": names another budget than ",
                            part.record.file.string(), " was trained with, which counts: ", budget_text(used),
                            ", not ", budget_text(named)));
    named = used;
  }
  Model model(std::move(config), std::move(dataset), device);
  model.unchecked_ = std::move(corrected);
  for (const RunPart& part : parts) {
    for (const std::string& line : mld::remarks(part.record, part.id.part(), model.dataset_.fingerprint))
      model.remarks_.push_back(line);
    const auto load = [&](auto& slot, auto network) {
      slot =
          std::make_unique<typename std::decay_t<decltype(slot)>::element_type>(std::move(network), device);
      part.load(slot->store);
    };
    if (part.id.kind == StageKind::score) {
      load(model.score_, ScoreModel(model.config_));
      model.score_record_ = part.record;
      continue;
    }
    const int i = model.modality(part.id.modality);
    Nets& nets = model.nets_[static_cast<std::size_t>(i)];
    if (part.id.kind == StageKind::autoencoder)
      load(nets.autoencoder, make_autoencoder(model.modality(i), model.info(i)));
    else
      load(nets.classifier, make_classifier(model.modality(i), model.info(i), model.dataset_.classes));
  }
  model.note_unchecked(folder);
  return model;
}

Model Model::open_file(const std::filesystem::path& path, Device device) {
  const SafetensorsFile file(path);
  Model model(parse_config(file.metadata("config"), path.string()),
              data::parse_description(file.metadata("dataset"), path.string()), device);
  std::vector<nn::StoredModel> parts;
  const auto add = [&](const std::string& prefix, auto& slot, auto make) {
    const bool there = std::any_of(file.tensors().begin(), file.tensors().end(), [&](const TensorInfo& t) {
      return t.name.starts_with("model/" + prefix);
    });
    if (!there) return;
    slot = std::make_unique<typename std::decay_t<decltype(slot)>::element_type>(make(), device);
    parts.push_back({prefix, &slot->store});
  };
  for (int i = 0; i < model.modalities(); ++i) {
    const ModalityConfig& m = model.modality(i);
    Nets& nets = model.nets_[static_cast<std::size_t>(i)];
    add("autoencoder." + m.name + ".", nets.autoencoder, [&] { return make_autoencoder(m, model.info(i)); });
    add("classifier." + m.name + ".", nets.classifier,
        [&] { return make_classifier(m, model.info(i), model.dataset_.classes); });
  }
  add("score.", model.score_, [&] { return ScoreModel(model.config_); });
  MLD_CHECK_AS(ErrorKind::model, !parts.empty(), path.string(), ": holds no model");
  const nn::FileNotes notes = nn::load_weights(path, parts);
  model.score_record_ = stage_record(path, notes);
  for (std::size_t i = 0; i < parts.size(); ++i)
    check_part(model.score_record_, parts[i].prefix.substr(0, parts[i].prefix.size() - 1), notes.content[i],
               path);
  if (const auto list = notes.extra.find(kRemarks); list != notes.extra.end())
    model.remarks_ = remarks_of_text(list->second);
  model.note_unchecked(path);
  return model;
}

void Model::save(const std::filesystem::path& file) const {
  std::vector<nn::StoredModel> parts;
  for (int i = 0; i < modalities(); ++i) {
    const Nets& nets = nets_[static_cast<std::size_t>(i)];
    const std::string& name = modality(i).name;
    if (nets.autoencoder) parts.push_back({"autoencoder." + name + ".", &nets.autoencoder->store});
    if (nets.classifier) parts.push_back({"classifier." + name + ".", &nets.classifier->store});
  }
  if (score_) parts.push_back({"score.", &score_->store});
  MLD_CHECK_AS(ErrorKind::model, !parts.empty(), "export: nothing has been trained yet");
  Metadata extra = score_record_.entries();
  extra["dataset"] = data::to_json(dataset_);
  if (!remarks_.empty()) extra[kRemarks] = remarks_text(remarks_);
  nn::save_weights(file, parts, {.config = to_json(config_), .training = {}, .extra = extra});
}

int Model::modality(const std::string& name) const {
  std::string known;
  for (int i = 0; i < modalities(); ++i) {
    if (modality(i).name == name) return i;
    known += (i > 0 ? ", " : "") + modality(i).name;
  }
  fail(ErrorKind::usage, "unknown modality '", name, "'; this model has: ", known);
}

std::vector<std::string> Model::names() const {
  std::vector<std::string> out;
  for (const ModalityConfig& m : config_.modalities) out.push_back(m.name);
  return out;
}

std::int64_t Model::parameters() const {
  std::int64_t n = score_ ? score_->store.count() : 0;
  for (const Nets& nets : nets_) {
    if (nets.autoencoder) n += nets.autoencoder->store.count();
    if (nets.classifier) n += nets.classifier->store.count();
  }
  return n;
}

const Autoencoder& Model::autoencoder(int i) const {
  MLD_CHECK_AS(ErrorKind::model, has_autoencoder(i), "the autoencoder of '", modality(i).name,
               "' has not been trained yet");
  return nets_[static_cast<std::size_t>(i)].autoencoder->model;
}

const Model::Loaded<Classifier>& Model::classifier(int i) const {
  MLD_CHECK_AS(ErrorKind::model, has_classifier(i), "modality '", modality(i).name,
               "' has no trained classifier");
  return *nets_[static_cast<std::size_t>(i)].classifier;
}

const ScoreModel& Model::score() const {
  MLD_CHECK_AS(ErrorKind::model, has_score(), "the score network has not been trained yet");
  return score_->model;
}

Tensor Model::on_device(const Tensor& x, const std::function<Tensor(const Tensor&)>& f) const {
  // On a GPU every new shape is planned anew by its libraries, so the last chunk is filled up.
  const bool fill = device_.kind == DeviceKind::cuda && x.shape()[0] > kDecodeChunk;
  return map_rows(x, kDecodeChunk, [&](const Tensor& part) {
    const std::int64_t rows = part.shape()[0];
    if (!fill || rows == kDecodeChunk) return f(part.to(device_)).to(kCpu);
    Shape whole = part.shape();
    whole[0] = kDecodeChunk;
    const Tensor filled = Tensor::zeros(whole, part.dtype());
    filled.rows(0, rows).copy_from(part);
    return f(filled.to(device_)).to(kCpu).rows(0, rows);
  });
}

Tensor Model::encode(int i, const Tensor& x) const {
  const Autoencoder& net = autoencoder(i);
  const Tensor z = on_device(x, [&](const Tensor& part) { return net.encode(part).value; });
  standardise_rows(z, score().stats().to(kCpu), layout_, i);
  return z;
}

Tensor Model::decode(int i, const Tensor& z) const {
  const Autoencoder& net = autoencoder(i);
  const Tensor raw = z.clone();
  destandardise_rows(raw, score().stats().to(kCpu), layout_, i);
  const Tensor x = on_device(raw, [&](const Tensor& part) { return net.decode(part).value; });
  MLD_CHECK_AS(
      ErrorKind::diverged, data::first_non_finite(x.span<float>()) < 0, "modality '", modality(i).name,
      "': a generated value is not finite: it lies beyond what a float32 holds, or the score network "
      "has diverged; import the data in larger units, or train with a smaller learning rate");
  return x;
}

Tensor Model::reconstruct(int i, const Tensor& x) const {
  const Autoencoder& net = autoencoder(i);
  return on_device(x, [&](const Tensor& part) { return net.decode(net.encode(part)).value; });
}

std::vector<std::int32_t> Model::classify(int i, const Tensor& x) const {
  const Classifier& net = classifier(i).model;
  const Tensor scores = on_device(x, [&](const Tensor& part) { return net(part).value; });
  const std::int64_t classes = scores.shape()[1];
  std::vector<std::int32_t> labels;
  for (std::int64_t row = 0; row < scores.shape()[0]; ++row) {
    const float* s = scores.data<float>() + row * classes;
    labels.push_back(static_cast<std::int32_t>(std::max_element(s, s + classes) - s));
  }
  return labels;
}

Tensor Model::features(int i, const Tensor& x) const {
  const Classifier& net = classifier(i).model;
  return on_device(x, [&](const Tensor& part) {
    return net.inner(part).value.reshape({part.shape()[0], net.features.output().numel()});
  });
}

std::int64_t Model::feature_size(int i) const { return classifier(i).model.features.output().numel(); }

std::string Model::classifier_hash(int i) const { return crc_text(content(classifier(i).store, 0)); }

std::string Model::weights_hash() const {
  std::uint32_t crc = 0;
  for (const Nets& nets : nets_) {
    if (nets.autoencoder) crc = content(nets.autoencoder->store, crc);
    if (nets.classifier) crc = content(nets.classifier->store, crc);
  }
  return crc_text(score_ ? content(score_->store, crc) : crc);
}

Tensor Model::noise_prediction(const Tensor& r, const Tensor& tau) const {
  const ScoreNetwork& network = score().network;
  const Tensor out = network(r.to(device_), tau.to(device_)).value.to(kCpu);
  if (config_.score.prediction == Prediction::noise) return out;
  const Tensor n = Tensor::empty(out.shape());
  const std::int64_t times = tau.shape()[1];  // one for all modalities, or one each
  for (std::int64_t b = 0; b < out.shape()[0]; ++b)
    for (int i = 0; i < modalities(); ++i) {
      const double t = static_cast<double>(tau.data<float>()[b * times + (times > 1 ? i : 0)]);
      const auto a = static_cast<float>(VpSde::mean(t)), s = static_cast<float>(VpSde::std_dev(t));
      const std::int64_t first = b * layout_.total + layout_.offsets[static_cast<std::size_t>(i)];
      for (std::int64_t j = first; j < first + layout_.dims[static_cast<std::size_t>(i)]; ++j)
        n.data<float>()[j] = noise_of_velocity(a, s, r.data<float>()[j], out.data<float>()[j]);
    }
  return n;
}

LatentSampler::LatentSampler(const Model& model, Subset given, const SampleSettings& settings,
                             std::int64_t count)
    : model_(model), given_(given), noise_(settings.seed) {
  MLD_CHECK_AS(ErrorKind::usage, settings.chunk >= 0, "sample: chunk ", settings.chunk,
               ", expected 1 or more, or 0 for one that suits the device");
  MLD_CHECK(count >= 1, "sample: ", count, " samples");
  MLD_CHECK(given != full_set(model.modalities()),
            "sample: everything is given, nothing is left to generate");
  const ScoreNetwork& network = model.score().network;
  const Device device = model.device_;
  const LatentLayout& layout = model.layout_;
  // A network with one time knows nothing of given modalities: they are noised like the rest.
  SamplerOptions options = settings.sampler;
  options.noised_given = model.config_.model.kind == ModelKind::inpaint;
  plan_ = make_plan(options);
  const Subset clean = options.noised_given ? 0 : given;
  table_ = network.time_table(level_times(plan_, network.options().times, clean).to(device));
  const bool velocity = model.config_.score.prediction == Prediction::velocity;
  scalars_ = velocity_scalars(plan_).to(device);
  score_ = [this, &network, velocity](const Tensor& r, const Tensor& level) {
    const Tensor n = network(r, network.row(table_, level)).value;
    return velocity ? noise_of_velocity(r, n, scalars_, level) : n;
  };
  const Tensor mask = Tensor::zeros({layout.total}, DType::u8);
  for (int i = 0; i < model.modalities(); ++i)
    if (contains(given, i))
      std::fill_n(mask.data<std::uint8_t>() + layout.offsets[static_cast<std::size_t>(i)],
                  layout.dims[static_cast<std::size_t>(i)], std::uint8_t{1});
  mask_ = mask.to(device);
  // On a GPU every batch has the size asked for, whatever the number of samples: cuBLAS chooses its kernels,
  // and so the last bits, by the size of the batch.
  const bool gpu = device.kind == DeviceKind::cuda;
  const std::int64_t chunk = settings.chunk > 0 ? settings.chunk : gpu ? kGpuChunk : kCpuChunk;
  const std::int64_t batches = (count - 1) / chunk + 1;
  batch_ = gpu ? chunk : (count - 1) / batches + 1;
  sampler_ =
      std::make_unique<Sampler>(score_, noise_, plan_, Shape{batch_, layout.total}, DType::f32, device);
}

Tensor LatentSampler::operator()(const Tensor& z, std::span<const std::int32_t> ids,
                                 const SamplerProgress& progress) {
  const auto n = static_cast<std::int64_t>(ids.size());
  const std::int64_t dim = model_.layout_.total;
  MLD_CHECK(n >= 1 && n <= batch_, "sample: ", n, " samples in a batch of ", batch_);
  MLD_CHECK(given_ == 0 || (z.defined() && z.shape() == Shape({n, dim})), "sample: latents of shape ",
            z.defined() ? z.shape() : Shape{}, ", expected [", n, ",", dim, "]");
  // A batch that is not full is filled up with samples that are thrown away.
  const Tensor rows = Tensor::zeros({batch_}, DType::i32), known = Tensor::zeros({batch_, dim});
  rows.rows(0, n).copy_from(Tensor::from(ids, {n}));
  if (given_ != 0) known.rows(0, n).copy_from(z);
  const Device device = model_.device_;
  const Tensor drawn = (*sampler_)(known.to(device), mask_, rows.to(device), progress).to(kCpu);
  return n == batch_ ? drawn : drawn.rows(0, n).clone();
}

Tensor Model::sample_latents(Subset given, const Tensor& z, std::span<const std::int32_t> ids,
                             const SampleSettings& settings, const SamplerProgress& progress) const {
  const auto count = static_cast<std::int64_t>(ids.size());
  MLD_CHECK(given == 0 || (z.defined() && z.shape() == Shape({count, layout_.total})),
            "sample: latents of shape ", z.defined() ? z.shape() : Shape{}, ", expected [", count, ",",
            layout_.total, "]");
  LatentSampler sampler(*this, given, settings, count);
  const std::int64_t batch = sampler.batch(), total = ((count - 1) / batch + 1) * sampler.network_calls();
  Tensor out = Tensor::empty({count, layout_.total});
  std::int64_t before = 0;
  for (std::int64_t first = 0; first < count; first += batch, before += sampler.network_calls()) {
    const std::int64_t n = std::min(batch, count - first);
    const auto step = [&](std::int64_t done, std::int64_t) {
      return !progress || progress(before + done, total);
    };
    out.rows(first, n).copy_from(
        sampler(given != 0 ? z.rows(first, n) : Tensor(),
                ids.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(n)), step));
  }
  return out;
}

Tensor Model::latent_slice(const Tensor& z, int i) const {
  const auto k = static_cast<std::size_t>(i);
  const Tensor part = Tensor::empty({z.shape()[0], layout_.dims[k]}, DType::f32, z.device());
  copy_columns(z, layout_.offsets[k], part, 0, layout_.dims[k]);
  return part;
}

void Model::set_latent_slice(const Tensor& z, int i, const Tensor& part) const {
  const auto k = static_cast<std::size_t>(i);
  MLD_CHECK(part.shape() == Shape({z.shape()[0], layout_.dims[k]}), "latents: ", part.shape(),
            " for modality '", modality(i).name, "' of ", z.shape());
  copy_columns(part, 0, z, layout_.offsets[k], layout_.dims[k]);
}

}  // namespace mld
