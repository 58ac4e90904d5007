#include "mld/config/seed.h"

#include "engine/base/hash.h"

namespace mld {

std::uint64_t stage_seed(std::uint64_t seed, const std::string& name) {
  std::string bytes;
  for (int shift = 0; shift < 64; shift += 8) bytes += static_cast<char>(seed >> shift & 0xff);
  return fnv1a(bytes + name);
}

}  // namespace mld
