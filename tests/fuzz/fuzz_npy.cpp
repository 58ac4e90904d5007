// Any bytes as a .npy file: an error, or a header whose shape and type account for every byte.
#include <cstdlib>
#include <string>
#include <vector>

#include "data/formats/npy.h"
#include "engine/base/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mld::data;
  try {
    const NpyHeader header = parse_npy({data, size}, "fuzz");
    if (header.data_offset + header.shape.numel() * header.type.size != static_cast<std::int64_t>(size))
      std::abort();
    const std::string text = npy_header(header.type, header.shape);
    std::vector<std::uint8_t> file(text.begin(), text.end());
    file.insert(file.end(), data + header.data_offset, data + size);
    const NpyHeader again = parse_npy(file, "fuzz");
    if (!(again.type == header.type && again.shape == header.shape)) std::abort();
  } catch (const mld::Error& error) {
    if (error.kind() != mld::ErrorKind::data) std::abort();
  }
  return 0;
}
