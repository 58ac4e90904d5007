// Generation on plain values: floats [n, size], one sample after the other, as the store yields them (tokens
// and categories as whole numbers). What mld/mld.h offers to other programs and `mldctl sample` uses.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "mld/model.h"

namespace mld {

using Values = std::vector<float>;
using Samples = std::map<std::string, Values>;  // by modality

// n samples as a network input [n, sample...]. ErrorKind::usage if the number of values is another, or a
// value is not finite or not a category.
Tensor to_network(const data::Modality& info, std::int64_t n, const Values& values);
// The inverse; probabilities become the most probable category.
Values from_network(const data::Modality& info, const Tensor& x);

// n samples of every modality that is not given; `given` holds n samples of each modality it names.
Samples generate(const Model& model, std::int64_t n, const Samples& given, const SampleSettings& settings,
                 const SamplerProgress& progress = {});

}  // namespace mld
