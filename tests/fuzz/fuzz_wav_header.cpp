// Any bytes as a WAV file: an error, or lengths that the bytes have. A completed header needs no completing.
#include <cstdlib>
#include <cstring>
#include <vector>

#include "data/audio/wav_header.h"
#include "engine/base/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mld::data;
  try {
    check_riff_length({data, size}, "fuzz");
  } catch (const mld::Error& error) {
    if (error.kind() != mld::ErrorKind::data) std::abort();
  }
  const std::vector<std::uint8_t> whole = completed_wave({data, size});
  if (whole.empty()) return 0;
  if (whole.size() != size || !completed_wave(whole).empty()) std::abort();
  check_riff_length(whole, "completed");
  std::size_t changed = 0;
  for (std::size_t i = 0; i < size; ++i) changed += whole[i] != data[i];
  if (changed > 8) std::abort();
  return 0;
}
