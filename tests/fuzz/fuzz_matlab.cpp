// Any bytes as a MATLAB file: as they are, or, if the first one is odd, as the content of one compressed
// element behind a good header, so that what is behind the checksum is reached as well.
#include <cstdlib>
#include <string>
#include <vector>

#include "data/formats/matlab.h"
#include "data/importers/import.h"
#include "engine/base/error.h"
#include "tests/fuzz/pack.h"

namespace {

std::vector<std::uint8_t> as_compressed(const std::vector<std::uint8_t>& content) {
  std::vector<std::uint8_t> file(128, ' ');
  file[124] = 0;
  file[125] = 1;
  file[126] = 'I';
  file[127] = 'M';
  const std::vector<std::uint8_t> packed = pack(content, kZlib);
  const auto size = static_cast<std::uint32_t>(packed.size());
  for (std::uint32_t word : {15U, size})
    for (int shift = 0; shift < 32; shift += 8) file.push_back(static_cast<std::uint8_t>(word >> shift));
  file.insert(file.end(), packed.begin(), packed.end());
  return file;
}

template <class F>
void run(F&& f) {
  try {
    f();
  } catch (const mld::Error& error) {
    if (error.kind() != mld::ErrorKind::data) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::vector<std::uint8_t> file(data + 1, data + size);
  if (data[0] & 1) file = as_compressed(file);
  run([&] {
    static const std::vector<std::string> keys{"A"};
    for (const mld::data::MatArray& array : mld::data::parse_mat(file, "fuzz", keys)) {
      double sum = 0;
      for (std::int64_t i = 0; i < array.shape.numel(); ++i) sum += array.value(i);
      volatile double sink = sum;
      static_cast<void>(sink);
    }
  });
  run([&] {
    const mld::data::LabelledImages crops = mld::data::parse_svhn(file, "fuzz");
    if (crops.images.size() != crops.labels.size() * 32 * 32 * 3) std::abort();
  });
  return 0;
}
