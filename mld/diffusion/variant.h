// What the method and its variants (ModelKind) do differently; all else they share.
#pragma once

#include "mld/config/choices.h"

namespace mld {

struct Variant {
  // Training draws sets of clean, given modalities; otherwise everything is diffused.
  bool conditions = true;
  // The network knows one time for all modalities, so that given ones must be as noisy as the rest while sampling.
  bool one_time = false;
  // Training draws a time for each modality.
  bool independent_times = false;
};

constexpr Variant variant_of(ModelKind kind) {
  switch (kind) {
    case ModelKind::inpaint:
      return {.conditions = false, .one_time = true};
    case ModelKind::uni:
      return {.conditions = false, .independent_times = true};
    default:
      break;
  }
  return {};
}

}  // namespace mld
