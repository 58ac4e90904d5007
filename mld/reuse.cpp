#include "mld/reuse.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "mld/run_data.h"
#include "mld/stage1.h"
#include "mld/stage_record.h"

namespace mld {
namespace {

namespace fs = std::filesystem;

constexpr const char* kAllTheSame =
    "; --other-data takes its networks all the same, and the record then says so";

void check_data(const fs::path& from, const data::Store& store, bool other_data,
                const std::function<void(const std::string&)>& note) {
  const DataComparison data = compare_data(read_run_dataset(RunFiles{from}), store.description());
  MLD_CHECK_AS(ErrorKind::model, data.difference.empty() || other_data, from.string(),
               ": was trained on other data than ", store.path().string(), " holds: ", data.difference,
               kAllTheSame);
  if (data.difference.empty() && !data.by_content && note)
    note(
        cat("reuse: ", from.string(), " or ", store.path().string(),
            " has no fingerprint; that both are of the same data was not checked beyond their descriptions"));
}

}  // namespace

std::vector<ReusedFile> reusable_files(const fs::path& from, const RunFiles& into, const Config& config,
                                       const data::Store& store, bool other_data,
                                       const std::function<void(const std::string&)>& note) {
  const RunFiles source{from};
  const Config theirs = read_run_config(source);
  check_data(from, store, other_data, note);
  std::vector<ReusedFile> files;
  // `make` gives the network that the file must fit.
  const auto add = [&](const fs::path& file, const fs::path& target, const std::string& ours,
                       const std::string& hash, const auto& make) {
    MLD_CHECK_AS(ErrorKind::model, ours == hash, file.string(),
                 ": was trained with another network or recipe than this configuration asks for (", hash,
                 ", not ", ours, ")");
    if (!fs::exists(file)) return;
    auto net = make();
    nn::ParameterStore parameters(net, {.training = false});
    const StageRecord record = load_finished(file, parameters);
    const std::string& data = store.description().fingerprint;
    MLD_CHECK_AS(ErrorKind::model, other_data || record.data.empty() || data.empty() || record.data == data,
                 file.string(), ": was trained on data of fingerprint ", record.data, ", ",
                 store.path().string(), " holds those of fingerprint ", data, kAllTheSame);
    files.push_back({file, target, hash, record.content, record.data});
  };
  for (const ModalityConfig& m : config.modalities) {
    const auto it = std::ranges::find(theirs.modalities, m.name, &ModalityConfig::name);
    MLD_CHECK_AS(ErrorKind::model, it != theirs.modalities.end(), from.string(), ": has no modality '",
                 m.name, "'");
    const data::Modality& info = store.modality(store.description().modality(m.name));
    add(source.autoencoder(m.name), into.autoencoder(m.name), stage1_hash(m), stage1_hash(*it),
        [&] { return make_autoencoder(m, info); });
    if (m.classifier != ClassifierKind::none)
      add(source.classifier(m.name), into.classifier(m.name), classifier_hash(m), classifier_hash(*it),
          [&] { return make_classifier(m, info, store.description().classes); });
  }
  return files;
}

std::vector<ReusedFile> recorded_files(const RunFiles& run) {
  std::vector<ReusedFile> files;
  if (!fs::exists(run.reused())) return files;
  try {
    const auto record = nlohmann::json::parse(read_text(run.reused()));
    for (const auto& [name, entry] : record.items())
      files.push_back({entry.at("from").get<std::string>(), run.folder / fs::path(name).filename(),
                       entry.at("recipe").get<std::string>(), entry.value("content", ""),
                       entry.value("data", "")});
  } catch (const nlohmann::json::exception& error) {
    fail(ErrorKind::model, run.reused().string(), ": is damaged: ", error.what());
  }
  return files;
}

std::string to_json(const std::vector<ReusedFile>& files) {
  nlohmann::json record = nlohmann::json::object();
  for (const ReusedFile& f : files) {
    auto& entry = record[f.target.filename().string()];
    entry = {{"from", fs::absolute(f.source).lexically_normal().string()}, {"recipe", f.recipe}};
    if (!f.content.empty()) entry["content"] = f.content;
    if (!f.data.empty()) entry["data"] = f.data;
  }
  return record.dump(2) + "\n";
}

void check_targets(const std::vector<ReusedFile>& files) {
  for (const ReusedFile& f : files)
    if (const auto found = read_stage_record(f.target))
      MLD_CHECK_AS(ErrorKind::busy, f.content.empty() || found->content == f.content, f.target.string(),
                   ": is not the one of ", f.source.string(), " (content ", found->content, ", not ",
                   f.content, "); leave --reuse out or choose another folder");
}

}  // namespace mld
