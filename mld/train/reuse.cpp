#include "mld/train/reuse.h"

#include <algorithm>

#include "mld/config/hashes.h"
#include "mld/modality/autoencoders.h"
#include "mld/run/run_data.h"
#include "mld/run/run_parts.h"
#include "nn/checkpoint.h"

namespace mld {
namespace {

namespace fs = std::filesystem;

constexpr const char* kAllTheSame =
    "; --other-data takes its networks all the same, and the record then says so";

void check_recipe(const RunPart& part, const Config& config) {
  std::string other;
  for (const SettingDifference& d : differences(part.made_with, config))
    if (part.id.depends_on(d.key)) other += "\n  " + d.str();
  MLD_CHECK_AS(ErrorKind::model, other.empty(), part.record.file.string(),
               ": was trained with another network or recipe than this configuration asks for:", other);
}

}  // namespace

std::vector<ReusedFile> reusable_files(const fs::path& from, const RunFiles& into, const Config& config,
                                       const data::Store& store, Method& networks, bool other_data,
                                       const std::function<void(const std::string&)>& note) {
  const RunFiles source{from};
  const Config theirs = read_run_config(source);
  const bool others = trained_on_other_data(
      source, config, store,
      {.kind = ErrorKind::model, .remedy = kAllTheSame, .allowed = other_data, .note = note});
  const std::vector<ReusedFile> taken = recorded_files(source);
  std::vector<ReusedFile> files;
  // `load` tries whether the network that the file is for takes it.
  const auto add = [&](const StageId& id, const std::string& recipe, const auto& load) {
    const auto part = open_part(source, id, theirs, taken);
    if (!part) return;
    check_recipe(*part, config);
    load(*part);
    const std::string &trained_on = part->record.data, &data = store.description().fingerprint;
    MLD_CHECK_AS(ErrorKind::model, other_data || trained_on.empty() || data.empty() || trained_on == data,
                 part->record.file.string(), ": was trained on data of fingerprint ", trained_on, ", ",
                 store.path().string(), " holds those of fingerprint ", data, kAllTheSame);
    files.push_back({part->record.file, into.checkpoint(id), recipe, part->record.content, trained_on,
                     others || (!trained_on.empty() && !data.empty() && trained_on != data)});
  };
  const std::vector<StageId> stages = networks.stages();
  for (const ModalityConfig& m : config.modalities) {
    MLD_CHECK_AS(
        ErrorKind::model,
        std::ranges::find(theirs.modalities, m.name, &ModalityConfig::name) != theirs.modalities.end(),
        from.string(), ": has no modality '", m.name, "'");
    for (const StageId& id : stages)
      if (id.modality == m.name)
        add(id, stage1_hash(m), [&](const RunPart& part) { part.load(networks.build(id)); });
    if (is_trained(m.classifier))
      add({StageKind::classifier, m.name}, classifier_hash(m), [&](const RunPart& part) {
        const data::Modality& info = store.modality(store.description().modality(m.name));
        Classifier net = make_classifier(m, info, store.description());
        nn::ParameterStore parameters(net, {.training = false});
        part.load(parameters);
      });
  }
  MLD_CHECK_AS(ErrorKind::model, !files.empty(), from.string(),
               ": has neither an autoencoder nor a classifier to take over");
  return files;
}

void take_over(const ReusedFile& file, const std::string& fingerprint) {
  const auto source = read_stage_record(file.source);
  MLD_CHECK_AS(ErrorKind::model, source && (file.content.empty() || source->content == file.content),
               file.source.string(), ": is gone or has changed since the start of this run, which took ",
               file.target.filename().string(), " over from there; put it back, or start a new run");
  StageRecord copy = *source;
  if (file.others) let_in(copy, fingerprint);
  nn::copy_with_notes(file.source, file.target, [&](Metadata& metadata) {
    for (const auto& [key, value] : copy.entries()) metadata[key] = value;
  });
}

}  // namespace mld
