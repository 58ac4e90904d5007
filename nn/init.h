// How a parameter starts. Values are drawn by Philox with the parameter's path as the stream and the
// element's index in file order as the counter (see ParameterStore::initialize), so the initial weights are a
// function of seed, path and shape alone: neither the other layers nor the memory layout nor the device
// changes them.
#pragma once

#include <cmath>
#include <cstdint>

namespace mld::nn {

struct Init {
  enum class Kind : std::uint8_t { constant, uniform, normal };
  Kind kind = Kind::constant;
  double mean = 0;    // the constant; the middle of the interval
  double spread = 0;  // half width of the interval; standard deviation
};

inline Init zeros() { return {}; }
inline Init ones() { return {.mean = 1}; }
// In [-bound, bound).
inline Init uniform(double bound) { return {.kind = Init::Kind::uniform, .spread = bound}; }
inline Init normal(double deviation) { return {.kind = Init::Kind::normal, .spread = deviation}; }
// Uniform in +-1/sqrt(fan in): the field's default for weights and biases of linear layers and convolutions.
// For a transposed convolution the field counts out channels * kernel area as the fan in.
inline Init fan_in_uniform(std::int64_t fan_in) {
  return uniform(1.0 / std::sqrt(static_cast<double>(fan_in)));
}

}  // namespace mld::nn
