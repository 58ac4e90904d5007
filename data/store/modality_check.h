// Whether data from elsewhere (another store, a user's file, values of an embedding program) are what a model
// was trained on. Images, spectrograms, pen paths and whatever is stored as bytes have a declared range,
// outside of which values are of another scale. The range of series and other vectors is that of the training values:
// what lies a little outside is legitimate, kVectorSlack times its width is not.
#pragma once

#include <span>
#include <string>

#include "data/formats/npy.h"
#include "data/store/description.h"

namespace mld::data {

// Widths of the range that values may lie outside of it, on either side.
constexpr float kVectorSlack = 10;
// Pen paths, whose range may be that of the training paths; and the ends of original_range, which makers of
// data measure too.
constexpr float kMeasuredSlack = 0.25F;

// ErrorKind::data unless samples of `found` mean what those of `expected` do: kind, shape, categories,
// vocabulary, range, original range and audio front end, where both know them. `place` starts the message;
// names are not compared.
void check_same_modality(const Modality& found, const Modality& expected, const std::string& place);

// ErrorKind::data unless an array of this type can hold samples: integers for discrete kinds, otherwise
// floats or, for images and modalities that are stored as bytes, uint8.
void check_element_type(NpyType found, const Modality& expected, const std::string& place);

// Completes a sentence that names file or modality; empty if values [n, size] can be samples: finite and
// within the range, or whole numbers 0 .. categories-1. `slack`: of declared ranges; what networks without a
// bound draw overshoots them a little.
std::string value_problem(const Modality& expected, std::span<const float> values, float slack = 0);

}  // namespace mld::data
