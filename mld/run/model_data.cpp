#include "mld/run/model_data.h"

#include <algorithm>

#include "data/store/modality_check.h"
#include "engine/base/names.h"
#include "engine/io/file_error.h"

namespace mld {

void check_model_classes(const Model& model, const data::Store& store) {
  const std::int64_t found = store.description().classes;
  const std::int64_t trained = model.dataset().classes;
  MLD_CHECK_AS(
      ErrorKind::data, found == 0 || trained == 0 || found == trained, store.path().string(), ": has ", found,
      " classes, the model was trained on ", trained,
      ": what a label stands for there is not known; import the data with the classes of the training "
      "data, or without labels");
  MLD_CHECK_AS(
      ErrorKind::data,
      found == 0 || trained == 0 || store.description().attributes == model.dataset().attributes,
      store.path().string(),
      ": its classes are combinations of other attributes than those the model was trained on; import "
      "the data with these, or without labels");
}

void check_model_data(const Model& model, const data::Store& store) {
  const data::Description& found = store.description();
  const std::string place = store.path().string();
  std::vector<std::string> names;
  for (const data::Modality& m : found.modalities) names.push_back(m.name);
  for (int i = 0; i < model.modalities(); ++i) {
    const data::Modality& expected = model.info(i);
    MLD_CHECK_AS(ErrorKind::data, std::ranges::find(names, expected.name) != names.end(), place,
                 ": has no modality ", quote(expected.name), ", which the model was trained on; it has ",
                 join(names));
    data::check_same_modality(found.modalities[static_cast<std::size_t>(found.modality(expected.name))],
                              expected, place);
  }
  check_model_classes(model, store);
}

}  // namespace mld
