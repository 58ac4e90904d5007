// Opening and saving of a Model.
#include <algorithm>

#include "data/formats/mmap_file.h"
#include "engine/io/file_error.h"
#include "engine/io/files.h"
#include "engine/io/safetensors.h"
#include "mld/run/budget.h"
#include "mld/run/model.h"
#include "mld/run/run_parts.h"
#include "nn/checkpoint.h"

namespace mld {
namespace {

constexpr const char* kRemarks = "remarks";         // of an exported file: a list
constexpr const char* kVocabulary = "vocabulary/";  // and a modality's name: its words, one a line

// The budgets that the parts were trained with; what the configuration says otherwise is put right, and told.
std::vector<std::string> correct_budgets(Config& config, const std::vector<RunPart>& parts,
                                         const RunFiles& files) {
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
  return corrected;
}

}  // namespace

Model Model::open(const std::filesystem::path& path, Device device, const MethodFactory& method) {
  MLD_CHECK_AS(ErrorKind::model, path_exists(path), path.string(), ": no such run or model file");
  return is_folder(path) ? open_run(path, device, method) : open_file(path, device, method);
}

void Model::note_unchecked(const std::filesystem::path& path) {
  for (int i = 0; i < modalities(); ++i)
    if (!info(i).vocabulary.empty() && vocabulary(i).empty())
      unchecked_.push_back(
          cat(path.string(), ": the words of ", quote(modality(i).name),
              " are not there, so that its tokens stay numbers and no text can be given; the data set "
              "has them in ",
              info(i).vocabulary));
  if (!generates()) return;
  // A VAE without classifiers rests on no other network.
  if (generator_record_.parts.empty() && !is_vae(config_.model.kind))
    unchecked_.push_back(cat(path.string(),
                             ": older than the records of what belongs together; that its score "
                             "network was trained on these autoencoders was not checked"));
  else if (generator_record_.data.empty() || dataset_.fingerprint.empty())
    unchecked_.push_back(cat(path.string(),
                             ": was trained on a store without fingerprint; that its parts are of the "
                             "same data was not checked"));
}

void Model::set_vocabulary(int i, std::vector<std::string> words, const std::string& place) {
  MLD_CHECK_AS(ErrorKind::model, std::ssize(words) == info(i).categories, place, ": ", words.size(),
               " words, the model has ", info(i).categories, " of '", modality(i).name,
               "'; put the file of the data set there that it was trained on");
  if (modality(i).classifier == ClassifierKind::phrases)
    phrases_[static_cast<std::size_t>(i)].emplace(dataset_, words);
  vocabularies_[static_cast<std::size_t>(i)] = std::move(words);
}

nn::ParameterStore& Model::build(const StageId& stage) {
  if (stage.kind != StageKind::classifier) return method_->build(stage);
  const int i = modality(stage.modality);
  auto& net = classifiers_[static_cast<std::size_t>(i)];
  net = std::make_unique<LoadedClassifier>(make_classifier(modality(i), info(i), dataset_), device_);
  return net->store;
}

Model Model::open_run(const std::filesystem::path& folder, Device device, const MethodFactory& method) {
  const RunFiles files{folder};
  Config config = read_run_config(files);
  data::Description dataset = read_run_dataset(files);
  const std::vector<StageId> stages = run_stages(*method(config, dataset, device), config);
  const std::vector<RunPart> parts = open_parts(files, stages, config, dataset.fingerprint);
  std::vector<std::string> corrected = correct_budgets(config, parts, files);
  Model model(std::move(config), std::move(dataset), device, method);
  model.unchecked_ = std::move(corrected);
  for (const RunPart& part : parts) {
    for (const std::string& line : mld::remarks(part.record, part.id.part(), model.dataset_.fingerprint))
      model.remarks_.push_back(line);
    part.load(model.build(part.id));
    if (part.id.generates()) model.generator_record_ = part.record;
  }
  for (int i = 0; i < model.modalities(); ++i) {
    const std::filesystem::path words = files.vocabulary(model.modality(i).name);
    if (path_exists(words)) model.set_vocabulary(i, data::split_lines(read_text(words)), words.string());
  }
  model.note_unchecked(folder);
  return model;
}

Model Model::open_file(const std::filesystem::path& path, Device device, const MethodFactory& method) {
  const SafetensorsFile file(path);
  Model model(parse_config(file.metadata("config"), path.string()),
              data::parse_description(file.metadata("dataset"), path.string()), device, method);
  std::vector<nn::StoredModel> parts;
  for (const StageId& stage : run_stages(*model.method_, model.config_)) {
    const std::string prefix = stage.part() + ".";
    if (std::ranges::any_of(file.tensors(),
                            [&](const TensorInfo& t) { return t.name.starts_with("model/" + prefix); }))
      parts.push_back({prefix, &model.build(stage)});
  }
  MLD_CHECK_AS(ErrorKind::model, !parts.empty(), path.string(), ": holds no model");
  const nn::FileNotes notes = nn::load_weights(path, parts);
  model.generator_record_ = stage_record(path, notes);
  for (std::size_t i = 0; i < parts.size(); ++i)
    check_part(model.generator_record_, parts[i].prefix.substr(0, parts[i].prefix.size() - 1),
               notes.content[i], path);
  for (int i = 0; i < model.modalities(); ++i) {
    const auto words = notes.extra.find(kVocabulary + model.modality(i).name);
    if (words != notes.extra.end()) model.set_vocabulary(i, data::split_lines(words->second), path.string());
  }
  if (const auto list = notes.extra.find(kRemarks); list != notes.extra.end())
    model.remarks_ = remarks_of_text(list->second);
  model.note_unchecked(path);
  return model;
}

void Model::save(const std::filesystem::path& file) const {
  std::vector<nn::StoredModel> stored;
  for (const auto& [stage, store] : parts()) stored.push_back({stage.part() + ".", store});
  MLD_CHECK_AS(ErrorKind::model, !stored.empty(), "export: nothing has been trained yet");
  Metadata extra = generator_record_.entries();
  extra["dataset"] = data::to_json(dataset_);
  for (int i = 0; i < modalities(); ++i)
    if (!vocabulary(i).empty()) extra[kVocabulary + modality(i).name] = data::join_lines(vocabulary(i));
  if (!remarks_.empty()) extra[kRemarks] = remarks_text(remarks_);
  nn::save_weights(file, stored, {.config = to_json(config_), .training = {}, .extra = extra});
}

}  // namespace mld
