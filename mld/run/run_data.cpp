#include "mld/run/run_data.h"

#include <algorithm>

#include "data/store/modality_check.h"
#include "engine/io/file_error.h"

namespace mld {
namespace {

namespace fs = std::filesystem;

std::string shape_of(const data::Modality& m) {
  return cat(data::kind_name(m.kind), " ", m.shape, " ", dtype_name(m.dtype));
}

// Where a run lies.
fs::path folder_of(const fs::path& run) {
  const fs::path whole = fs::absolute(run).lexically_normal();
  return (whole.has_filename() ? whole : whole.parent_path()).parent_path();
}

// What two descriptions say differently about the data themselves.
std::string described_difference(const data::Description& a, const data::Description& b) {
  if (a.classes != b.classes) return cat(b.classes, " classes, not ", a.classes);
  if (a.modalities.size() != b.modalities.size())
    return cat(b.modalities.size(), " modalities, not ", a.modalities.size());
  for (std::size_t i = 0; i < a.modalities.size(); ++i) {
    const data::Modality &x = a.modalities[i], &y = b.modalities[i];
    if (x.name != y.name) return cat("modality ", quote(y.name), ", not ", quote(x.name));
    if (shape_of(x) != shape_of(y))
      return cat("modality ", quote(x.name), " is ", shape_of(y), ", not ", shape_of(x));
    if (x != y) return cat("modality ", quote(x.name), " has another range or meaning");
  }
  for (const data::SplitSize& split : a.splits) {
    const auto found = std::ranges::find(b.splits, split.name, &data::SplitSize::name);
    if (found == b.splits.end()) return cat("no split ", quote(split.name));
    if (found->samples != split.samples)
      return cat("split ", quote(split.name), " has ", found->samples, " samples, not ", split.samples);
    if (*found != split) return cat("split ", quote(split.name), " has other items");
  }
  if (a.splits.size() != b.splits.size()) return "further splits";
  return {};
}

// ErrorKind::data unless networks trained on such data can work on those of the store.
void check_usable(const data::Store& store, const data::Description& trained, const Config& config) {
  const std::string place = store.path().string();
  const bool classifies = std::ranges::any_of(
      config.modalities, [](const ModalityConfig& m) { return m.classifier != ClassifierKind::none; });
  MLD_CHECK_AS(ErrorKind::data, !classifies || trained.classes == store.description().classes, place,
               ": has ", store.description().classes, " classes, the run was trained on ", trained.classes);
  for (const ModalityConfig& m : config.modalities) {
    const auto found = std::ranges::find(trained.modalities, m.name, &data::Modality::name);
    if (found == trained.modalities.end()) continue;  // of the configuration alone
    data::check_same_modality(store.modality(store.description().modality(m.name)), *found, place);
  }
}

// Sources of one name that differ. Importers of other versions may list more files, or fewer.
bool other_sources(const data::Provenance& a, const data::Provenance& b) {
  for (const data::SourceFile& source : a.sources) {
    const auto found = std::ranges::find(b.sources, source.file, &data::SourceFile::file);
    if (found != b.sources.end() && *found != source) return true;
  }
  return a.importer != b.importer || a.seed != b.seed;
}

}  // namespace

std::string data_name(const data::Description& description) {
  return description.fingerprint.empty() ? "without fingerprint" : "fingerprint " + description.fingerprint;
}

DataComparison compare_data(const data::Description& trained, const data::Description& store) {
  DataComparison result{.difference = described_difference(trained, store)};
  result.by_content = !trained.fingerprint.empty() && !store.fingerprint.empty();
  if (!result.difference.empty()) return result;
  if (result.by_content) {
    if (trained.fingerprint != store.fingerprint)
      result.difference = cat("fingerprint ", store.fingerprint, ", not ", trained.fingerprint);
  } else if (other_sources(trained.provenance, store.provenance)) {
    result.difference = "imported from other sources, or with another seed";
  }
  return result;
}

bool trained_on_other_data(const RunFiles& run, const Config& config, const data::Store& store,
                           const OtherData& other) {
  const data::Description trained = read_run_dataset(run);
  const DataComparison data = compare_data(trained, store.description());
  if (data.difference.empty() && !data.by_content && other.note)
    other.note(
        cat(run.folder.string(), " or ", store.path().string(),
            " has no fingerprint: that they are of the same data was checked by their descriptions alone"));
  if (data.difference.empty()) return false;
  std::string unusable;
  try {
    check_usable(store, trained, config);
  } catch (const Error& error) {
    if (other.allowed) throw;
    unusable = "; its networks cannot work on these";
  }
  MLD_CHECK_AS(other.kind, other.allowed, run.folder.string(), ": was trained on other data than ",
               store.path().string(), " holds: ", data.difference,
               unusable.empty() ? other.remedy : unusable);
  return true;
}

std::optional<fs::path> locate_store(const std::string& store, const fs::path& run) {
  const auto there = [](const fs::path& path) {
    std::error_code ignored;
    return fs::exists(path / "dataset.json", ignored);
  };
  if (store.empty()) return {};
  if (there(store)) return store;
  if (run.empty() || fs::path(store).is_absolute() || !there(folder_of(run) / store)) return {};
  return folder_of(run) / store;
}

fs::path find_store(const std::string& store, const fs::path& run) {
  if (const auto found = locate_store(store, run)) return *found;
  const bool relative = fs::path(store).is_relative() && !run.empty();
  fail(ErrorKind::data, store, ": no such data set folder",
       relative ? cat(", neither here nor in ", folder_of(run).string()) : std::string(),
       "; name the data with --data STORE, or make them with `mldctl data import`");
}

}  // namespace mld
