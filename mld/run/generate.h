// Generation on plain values: floats [n, size], one sample after the other, as the store yields them (tokens
// and categories as whole numbers). What mld/mld.h offers to other programs and `mldctl sample` uses.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "mld/run/model.h"

namespace mld {

using Values = std::vector<float>;
using Samples = std::map<std::string, Values>;  // by modality

// n samples as a network input [n, sample...]. ErrorKind::usage if the number of values is another, or they
// are none of the modality (data::value_problem; generated values, which overshoot a range a little, are).
Tensor to_network(const data::Modality& info, std::int64_t n, std::span<const float> values);
// The inverse; probabilities become the most probable category.
Values from_network(const Tensor& x);

// Values [n, size] of samples first .. first + n - 1 of a condition.
using SampleReader = std::function<Values(std::int64_t first, std::int64_t n)>;
using Conditions = std::map<std::string, SampleReader>;  // by modality
// Receives samples first .. first + n - 1 of the modalities asked for, and what they were given.
using SampleSink = std::function<void(std::int64_t first, std::int64_t n, const Samples& samples)>;

// Everything that can be wrong with a call of generate_each but the conditions' values: ErrorKind::usage for
// an n, a modality or a schedule, ErrorKind::model for a network that is not there.
void check_generate(const Model& model, std::int64_t n, const std::vector<std::string>& given,
                    const std::vector<std::string>& wanted, const SampleSettings& settings);

// Draws n samples in batches, in order, in the memory of one batch. `wanted`: modalities to decode; empty:
// all that are not given.
void generate_each(const Model& model, std::int64_t n, const Conditions& given,
                   const std::vector<std::string>& wanted, const SampleSettings& settings,
                   const SampleSink& sink, const SamplerProgress& progress = {});

// n samples of every modality that is not given; `given` holds n samples of each modality it names.
Samples generate(const Model& model, std::int64_t n, const Samples& given, const SampleSettings& settings,
                 const SamplerProgress& progress = {});

}  // namespace mld
