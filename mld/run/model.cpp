#include "mld/run/model.h"

#include <algorithm>

#include "data/store/modality_check.h"
#include "engine/base/names.h"
#include "engine/io/crc32.h"
#include "engine/io/file_error.h"

namespace mld {
namespace {

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

std::vector<StageId> run_stages(const Method& method, const Config& config) {
  const std::vector<StageId> own = method.stages();
  std::vector<StageId> all;
  for (const ModalityConfig& m : config.modalities) {
    std::ranges::copy_if(own, std::back_inserter(all),
                         [&](const StageId& s) { return s.modality == m.name; });
    all.push_back({StageKind::classifier, m.name});
  }
  std::ranges::copy_if(own, std::back_inserter(all), &StageId::generates);
  return all;
}

Model::Model(Config config, data::Description dataset, Device device, const MethodFactory& method)
    : config_(std::move(config)), dataset_(std::move(dataset)), device_(device) {
  for (const ModalityConfig& m : config_.modalities)
    infos_.push_back(dataset_.modalities[static_cast<std::size_t>(dataset_.modality(m.name))]);
  method_ = method(config_, dataset_, device);
  layout_ = method_->codes();
  classifiers_.resize(infos_.size());
  phrases_.resize(infos_.size());
  vocabularies_.resize(infos_.size());
}

void Model::judge_by(Model other, const std::string& where) {
  const std::vector<std::string> known = other.names();
  bool any = false;
  for (int i = 0; i < modalities(); ++i) {
    const auto found = std::ranges::find(known, modality(i).name);
    const int theirs = static_cast<int>(found - known.begin());
    if (found == known.end() || !other.reads(theirs)) continue;
    data::check_same_modality(other.info(theirs), info(i), where);
    MLD_CHECK_AS(ErrorKind::usage, other.dataset().classes == dataset_.classes, where, ": its classifier of ",
                 quote(*found), " knows ", other.dataset().classes, " classes, this model has ",
                 dataset_.classes);
    MLD_CHECK_AS(ErrorKind::usage, other.dataset().attributes == dataset_.attributes, where,
                 ": its classes are combinations of other attributes than this model's");
    const auto k = static_cast<std::size_t>(i);
    config_.modalities[k].classifier = other.modality(theirs).classifier;
    config_.modalities[k].classifier_training = other.modality(theirs).classifier_training;
    classifiers_[k] = std::move(other.classifiers_[static_cast<std::size_t>(theirs)]);
    phrases_[k] = std::move(other.phrases_[static_cast<std::size_t>(theirs)]);
    MLD_CHECK_AS(ErrorKind::usage, !phrases_[k] || other.vocabulary(theirs) == vocabulary(i), where,
                 ": its words of ", quote(*found), " are others than this model's");
    any = true;
  }
  MLD_CHECK_AS(ErrorKind::usage, any, where, ": has no classifier of ", join(names()), " that could judge");
  remarks_.emplace_back("judged by the classifiers of another run");
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

std::string Model::missing(Subset used, bool generating) const {
  const std::vector<StageId> stages = method_->stages();
  // A method without networks of single modalities reconstructs by the one that generates.
  const bool parts = std::ranges::any_of(stages, [](const StageId& s) { return !s.generates(); });
  for (const StageId& stage : stages) {
    const bool needed = stage.generates() ? generating || !parts : contains(used, modality(stage.modality));
    if (needed && method_->built(stage) == nullptr) return stage.title();
  }
  return {};
}

std::vector<std::pair<StageId, nn::ParameterStore*>> Model::parts() const {
  std::vector<std::pair<StageId, nn::ParameterStore*>> there;
  for (const StageId& stage : run_stages(*method_, config_)) {
    nn::ParameterStore* store = nullptr;
    if (stage.kind != StageKind::classifier)
      store = method_->built(stage);
    else if (const auto& net = classifiers_[static_cast<std::size_t>(modality(stage.modality))])
      store = &net->store;
    if (store) there.emplace_back(stage, store);
  }
  return there;
}

std::int64_t Model::parameters() const {
  std::int64_t n = 0;
  for (const auto& [stage, store] : parts()) n += store->count();
  return n;
}

std::string Model::weights_hash() const {
  std::uint32_t crc = 0;
  for (const auto& [stage, store] : parts()) crc = content(*store, crc);
  return crc_text(crc);
}

const Model::LoadedClassifier& Model::classifier(int i) const {
  MLD_CHECK_AS(ErrorKind::model, has_classifier(i), "modality '", modality(i).name,
               "' has no trained classifier");
  return *classifiers_[static_cast<std::size_t>(i)];
}

Tensor Model::decode_latent(int i, const Tensor& z) const {
  MLD_CHECK_AS(ErrorKind::model, method_->answers().latents, "models of kind ", name_of(config_.model.kind),
               " have no latent of a modality that could be decoded");
  const Tensor all = Tensor::zeros({z.shape()[0], layout_.total});
  layout_.set_slice(all, i, z);
  return decode(i, all);
}

std::vector<std::int32_t> Model::read_attributes(int i, const Tensor& x) const {
  if (const auto& phrases = phrases_[static_cast<std::size_t>(i)]) return phrases->values(x);
  return data::values_of_classes(classify(i, x), dataset_.attributes);
}

std::vector<std::int32_t> Model::classify(int i, const Tensor& x) const {
  if (const auto& phrases = phrases_[static_cast<std::size_t>(i)])
    return data::classes_of(phrases->values(x), dataset_.attributes);
  const Classifier& net = classifier(i).model;
  return most_likely(map_on_device(x, device_, [&](const Tensor& part) { return net(part).value; }));
}

Tensor Model::features(int i, const Tensor& x) const {
  const Classifier& net = classifier(i).model;
  return map_on_device(x, device_, [&](const Tensor& part) {
    return net.inner(part).value.reshape({part.shape()[0], net.features.output().numel()});
  });
}

std::int64_t Model::feature_size(int i) const { return classifier(i).model.features.output().numel(); }

std::string Model::classifier_hash(int i) const {
  if (const auto& phrases = phrases_[static_cast<std::size_t>(i)]) return phrases->hash();
  return crc_text(content(classifier(i).store, 0));
}

Tensor Model::sample(Subset given, const Tensor& z, std::span<const std::int32_t> ids,
                     const SampleSettings& settings, const SamplerProgress& progress) const {
  const auto count = static_cast<std::int64_t>(ids.size());
  MLD_CHECK(given == 0 || (z.defined() && z.shape() == Shape({count, layout_.total})),
            "sample: codes of shape ", z.defined() ? z.shape() : Shape{}, ", expected [", count, ",",
            layout_.total, "]");
  const auto sampler = method_->sampler(given, settings, count);
  const std::int64_t batch = sampler.batch, total = ((count - 1) / batch + 1) * sampler.network_calls;
  Tensor out;
  std::int64_t before = 0;
  for (std::int64_t first = 0; first < count; first += batch, before += sampler.network_calls) {
    const std::int64_t n = std::min(batch, count - first);
    const auto step = [&](std::int64_t done, std::int64_t) {
      return !progress || progress(before + done, total);
    };
    const Tensor draws =
        sampler.draw(given != 0 ? z.rows(first, n) : Tensor(),
                     ids.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(n)), step);
    if (!out.defined()) out = Tensor::empty({count, draws.shape()[1]});
    out.rows(first, n).copy_from(draws);
  }
  return out;
}

}  // namespace mld
