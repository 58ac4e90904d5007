#include "data/sources/polymnist.h"

#include <utility>

#include "data/digits/digits.h"
#include "engine/base/error.h"

namespace mld::data {

Description describe_polymnist(int modalities, Provenance provenance) {
  Description d;
  d.name = "polymnist";
  d.classes = kDigitClasses;
  for (int m = 0; m < modalities; ++m) {
    Modality modality;
    modality.name = cat("m", m);
    modality.kind = ModalityKind::image;
    modality.shape = {kDigitSide, kDigitSide, 3};
    modality.dtype = DType::u8;
    d.modalities.push_back(std::move(modality));
  }
  d.provenance = std::move(provenance);
  return d;
}

}  // namespace mld::data
