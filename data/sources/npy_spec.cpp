#include "data/sources/npy_spec.h"

#include <utility>

#include "data/formats/mmap_file.h"
#include "data/store/json_fields.h"
#include "data/store/modality_json.h"
#include "engine/base/error.h"
#include "engine/base/names.h"

namespace mld::data {

namespace fs = std::filesystem;

NpySpec read_spec(const fs::path& path) {
  const MmapFile file(path);
  const Json json = parse_json(file.text(), path.string());
  JsonFields f(json, path.string());
  NpySpec spec;
  if (f.has("name")) spec.name = f.string("name");
  if (f.has("classes")) spec.classes = f.integer("classes", 0, Description::kMaxClasses);
  spec.attributes = parse_attributes(f);
  for (JsonFields& entry : f.objects("modalities")) {
    WantedModality wanted;
    wanted.modality.name = entry.string("name");
    check_name(wanted.modality.name, entry.place("name"));
    wanted.kind_given = entry.has("kind");
    if (wanted.kind_given) {
      wanted.modality.kind = parse_kind(entry);
      wanted.range_given = parse_kind_keys(entry, wanted.modality, false);
    }
    entry.finish();
    spec.modalities.push_back(std::move(wanted));
  }
  MLD_CHECK_AS(ErrorKind::data, !spec.modalities.empty(), f.place("modalities"), ": 0, expected 1 at least");
  f.finish();
  return spec;
}

NpySpec infer_spec(const InputFolder& input) {
  const SplitFiles& train = input.splits[0];
  const std::string folder = (input.path / kTrain).string();
  MLD_CHECK_AS(ErrorKind::data, !train.arrays.empty(), folder, ": no .npy files; put one per modality there");
  NpySpec spec;
  for (const std::string& name : train.arrays) {
    const std::string file = folder + "/" + name + ".npy";
    check_name(name, file);
    MLD_CHECK_AS(ErrorKind::data, lower(name) != "label" && lower(name) != "labels", file,
                 ": did you mean labels.npy, the classes of the samples? Declare a modality of this name in "
                 "modalities.json");
    for (const std::string& owner : train.arrays)
      MLD_CHECK_AS(ErrorKind::data, name != owner + "_mask" && name != owner + "-mask", file,
                   ": did you mean ", owner, ".mask.npy, which marks missing samples of ", owner,
                   "? Declare a modality of this name in modalities.json");
    spec.modalities.emplace_back().modality.name = name;
  }
  for (const SplitFiles& split : input.splits)
    MLD_CHECK_AS(ErrorKind::data, split.arrays == train.arrays, (input.path / split.name).string(),
                 ": other .npy files than in ", kTrain,
                 "; give both the same modalities, or name those to read in modalities.json");
  return spec;
}

}  // namespace mld::data
