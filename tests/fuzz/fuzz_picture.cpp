// Any bytes as a picture: an error, or a picture with a byte for each value that its size promises. The libraries that
// decode are the system's, without instrumentation.
#include <cstdlib>

#include "data/formats/picture_readers.h"
#include "engine/base/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mld::data;
  try {
    const Picture picture = formats::decode({data, size}, "fuzz");
    if (picture.size.channels != 1 && picture.size.channels != 3) std::abort();
    if (picture.size.count() != static_cast<std::int64_t>(picture.bytes.size())) std::abort();
  } catch (const mld::Error& error) {
    if (error.kind() != mld::ErrorKind::data && error.kind() != mld::ErrorKind::usage) std::abort();
  }
  return 0;
}
