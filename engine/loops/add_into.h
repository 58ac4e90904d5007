// to[i] += from[i]: how contributions to one gradient come together.
#pragma once

#include <cstdint>

#include "engine/base/hd.h"

namespace mld {

template <class T>
struct AddInto {
  T* to;
  const T* from;
  MLD_HD void operator()(std::int64_t i) const { to[i] = to[i] + from[i]; }
};

}  // namespace mld
