#include "data/importers/polymnist.h"

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

Picture as_rgb(Picture picture) {
  if (picture.size.channels == 3) return picture;
  Picture rgb{{picture.size.height, picture.size.width, 3}, {}, std::move(picture.done)};
  for (const std::uint8_t v : picture.bytes) rgb.bytes.insert(rgb.bytes.end(), 3, v);
  return rgb;
}

}  // namespace mld::data
