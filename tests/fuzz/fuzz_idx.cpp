// Any bytes as an IDX file: as they are, or, if the first one is odd, packed with gzip so that the content
// behind the checksum is reached as well.
#include <cstdlib>
#include <vector>

#include "data/formats/idx.h"
#include "engine/base/error.h"
#include "tests/fuzz/pack.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::vector<std::uint8_t> file(data + 1, data + size);
  if (data[0] & 1) file = pack(file, kGzip);
  try {
    const mld::data::IdxArray array = mld::data::parse_idx(file, "fuzz");
    if (array.shape.numel() != static_cast<std::int64_t>(array.values.size())) std::abort();
  } catch (const mld::Error& error) {
    if (error.kind() != mld::ErrorKind::data) std::abort();
  }
  return 0;
}
