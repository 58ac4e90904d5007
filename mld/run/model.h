// A trained model, for inference: opened from a run directory or from an exported file, it encodes, decodes,
// classifies and samples by whatever method it was trained with. Works on tensors of the cpu, whatever device the
// networks are on; mld/mld.h is the same for programs that embed it.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/store/description.h"
#include "mld/diffusion/subsets.h"
#include "mld/methods/method.h"
#include "mld/modality/autoencoders.h"
#include "mld/modality/phrase_classifier.h"
#include "mld/run/stage_record.h"

namespace mld {

class Model {
 public:
  // A run directory (stages that are not there are left out) or a file made by save(). ErrorKind::model if it
  // is neither, is damaged, or has parts that were not trained together.
  static Model open(const std::filesystem::path& path, Device device = kCpu,
                    const MethodFactory& method = make_method);
  // From here on the classifiers of `other`, which errors call `where`, judge: of every modality that it has one of.
  // ErrorKind::usage if it has none or they know other classes, ErrorKind::data if they are of other shapes or ranges.
  void judge_by(Model other, const std::string& where);
  // One file for inference, with the final weights of everything there is.
  void save(const std::filesystem::path& file) const;

  // What must be said of the model beside its configuration: data that changed during the training, cosines
  // of several lengths. Belongs into every record of results.
  const std::vector<std::string>& remarks() const { return remarks_; }
  // What could not be checked when it was opened, as it is older than the records that say it, or had to be
  // put right; for users, once.
  const std::vector<std::string>& unchecked() const { return unchecked_; }

  const Config& config() const { return config_; }
  const data::Description& dataset() const { return dataset_; }
  int modalities() const { return static_cast<int>(config_.modalities.size()); }
  const ModalityConfig& modality(int i) const { return config_.modalities[static_cast<std::size_t>(i)]; }
  const data::Modality& info(int i) const { return infos_[static_cast<std::size_t>(i)]; }
  int modality(const std::string& name) const;  // ErrorKind::usage lists the known ones
  // The words of its tokens by number; empty where the data have none, or an older version trained the model.
  const std::vector<std::string>& vocabulary(int i) const {
    return vocabularies_[static_cast<std::size_t>(i)];
  }
  std::vector<std::string> names() const;
  const Method& method() const { return *method_; }
  Device device() const { return device_; }
  const LatentLayout& layout() const { return layout_; }  // of codes

  // Whether the networks are there that reconstruct a modality, and all that generating takes.
  bool reconstructs(int i) const { return missing(Subset{1} << i, false).empty(); }
  bool generates() const { return missing(0, true).empty(); }
  bool has_classifier(int i) const { return classifiers_[static_cast<std::size_t>(i)] != nullptr; }
  // Whether classes are read off it: by its classifier, or by phrases (phrase_classifier.h).
  bool reads(int i) const { return has_classifier(i) || phrases_[static_cast<std::size_t>(i)].has_value(); }
  // What is not trained yet of what generating takes, when the modalities of `used` are given or decoded: "the
  // autoencoder of 'image'"; empty: nothing is missing.
  std::string missing(Subset used, bool generating = true) const;
  std::int64_t parameters() const;

  // x [N, sample...] as networks take it (numbers i32 for discrete data), codes and draws as the method has them
  // (method.h). reconstruct needs no more than the networks of its modality.
  Tensor encode(int i, const Tensor& x) const { return method_->encode(i, x); }
  Tensor decode(int i, const Tensor& draws) const { return method_->decode(i, draws); }
  Tensor reconstruct(int i, const Tensor& x) const { return method_->reconstruct(i, x); }
  // Of models with latents: z [N,D_i], as encode() yields them.
  Tensor decode_latent(int i, const Tensor& z) const;
  // Of x [N, sample...] the class with the highest score, or -1 where no class is said; and the values of the data
  // set's attributes, [N, attributes].
  std::vector<std::int32_t> classify(int i, const Tensor& x) const;
  std::vector<std::int32_t> read_attributes(int i, const Tensor& x) const;
  // The classifier's inner layer that distances are measured on, [N, feature_size(i)].
  Tensor features(int i, const Tensor& x) const;
  std::int64_t feature_size(int i) const;
  std::string classifier_hash(int i) const;  // of its weights, 8 hex digits
  std::string weights_hash() const;          // of all weights there are

  // Draws [N, ...] for ids [N], given the codes of `given` in z [N, layout().total].
  Tensor sample(Subset given, const Tensor& z, std::span<const std::int32_t> ids,
                const SampleSettings& settings, const SamplerProgress& progress = {}) const;

 private:
  struct LoadedClassifier {
    Classifier model;
    nn::ParameterStore store;
    LoadedClassifier(Classifier net, Device device)
        : model(std::move(net)), store(model, {.device = device, .training = false}) {}
  };

  Model(Config config, data::Description dataset, Device device, const MethodFactory& method);
  static Model open_run(const std::filesystem::path& folder, Device device, const MethodFactory& method);
  static Model open_file(const std::filesystem::path& file, Device device, const MethodFactory& method);
  nn::ParameterStore& build(const StageId& stage);  // the network of a stage, to be filled
  // Its networks with the names of their stages: of each modality in turn, then what generates.
  std::vector<std::pair<StageId, nn::ParameterStore*>> parts() const;
  void note_unchecked(const std::filesystem::path& path);
  void set_vocabulary(int i, std::vector<std::string> words, const std::string& place);
  const LoadedClassifier& classifier(int i) const;

  Config config_;
  data::Description dataset_;
  Device device_;
  std::vector<data::Modality> infos_;
  std::vector<std::vector<std::string>> vocabularies_;
  std::unique_ptr<Method> method_;
  LatentLayout layout_;
  std::vector<std::unique_ptr<LoadedClassifier>> classifiers_;
  std::vector<std::optional<PhraseClassifier>> phrases_;
  StageRecord generator_record_;
  std::vector<std::string> remarks_, unchecked_;
};

// The stages of a run in the order of their parts in files: of each modality the method's, then its classifier; then
// what generates.
std::vector<StageId> run_stages(const Method& method, const Config& config);

}  // namespace mld
