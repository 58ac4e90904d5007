// Any bytes as the arrays of pen strokes: an error, or paths inside the picture. The first byte says how many digits
// there are; offsets of two bytes, labels and steps follow.
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "data/sources/mnist_strokes.h"
#include "engine/base/error.h"

namespace {

template <class T>
mld::data::NpyArray array(mld::data::NpyType type, const mld::Shape& shape, const std::vector<T>& values) {
  const std::string header = mld::data::npy_header(type, shape);
  std::vector<std::uint8_t> file(header.begin(), header.end());
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(values.data());
  file.insert(file.end(), bytes, bytes + values.size() * sizeof(T));
  return {"fuzz", std::move(file)};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mld::data;
  std::size_t at = 0;
  const auto next = [&] { return at < size ? data[at++] : std::uint8_t{0}; };
  const std::size_t digits = next() % 32;
  std::vector<std::int32_t> offsets;
  std::vector<std::uint8_t> labels;
  std::vector<std::int8_t> steps;
  for (std::size_t i = 0; i <= digits; ++i) {
    const int low = next(), high = static_cast<std::int8_t>(next());
    offsets.push_back(high * 256 + low);
  }
  for (std::size_t i = 0; i < digits; ++i) labels.push_back(next());
  while (at + 4 <= size)
    for (int k = 0; k < 4; ++k) steps.push_back(static_cast<std::int8_t>(next()));
  try {
    const LabelledPaths read = read_mnist_strokes(array({'i', 1}, {std::ssize(steps) / 4, 4}, steps),
                                                  array({'i', 4}, {std::ssize(offsets)}, offsets),
                                                  array({'u', 1}, {std::ssize(labels)}, labels));
    if (read.labels.size() != digits || read.paths.size() != digits * kTrajectory) std::abort();
    for (const float v : read.paths)
      if (!(v >= 0 && v <= kDigitSide)) std::abort();
  } catch (const mld::Error& error) {
    if (error.kind() != mld::ErrorKind::data) std::abort();
  }
  return 0;
}
