// Any text as dataset.json: an error, or a description whose own text gives the same description back.
#include <cstdlib>
#include <string_view>

#include "data/store/description.h"
#include "engine/base/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mld::data;
  try {
    const Description d = parse_description({reinterpret_cast<const char*>(data), size}, "fuzz");
    if (!(parse_description(to_json(d), "fuzz") == d)) std::abort();
  } catch (const mld::Error& error) {
    if (error.kind() != mld::ErrorKind::data) std::abort();
  }
  return 0;
}
