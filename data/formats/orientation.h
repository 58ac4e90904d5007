// How a camera says that a picture is to be turned: the orientation of its EXIF data, and the turning.
#pragma once

#include <cstdint>
#include <span>

#include "data/formats/image_io.h"

namespace mld::data {

// The orientation, 1 to 8, that a TIFF structure (the content of a PNG's eXIf chunk, or of a JPEG's APP1
// segment after "Exif\0\0") gives for the whole picture; 1, upright, where it gives none or is damaged.
int exif_orientation(std::span<const std::uint8_t> tiff);

// The picture as `orientation` says it is to be shown: from 5 on height and width change places.
Picture upright(Picture picture, int orientation);

}  // namespace mld::data
