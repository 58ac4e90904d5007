#include "engine/base/precision.h"

#include <atomic>

#include "engine/base/error.h"

namespace mld {
namespace {

std::atomic<Precision>& chosen() {
  static std::atomic<Precision> value{Precision::tf32};
  return value;
}

}  // namespace

void set_precision(Precision precision) { chosen() = precision; }
Precision precision() { return chosen(); }

const char* precision_name(Precision precision) {
  constexpr const char* kNames[] = {"fp32", "tf32", "bf16"};
  return kNames[static_cast<int>(precision)];
}

Precision parse_precision(const std::string& name) {
  for (const Precision p : {Precision::fp32, Precision::tf32, Precision::bf16})
    if (name == precision_name(p)) return p;
  fail(ErrorKind::usage, "precision: '", name, "' is none of fp32, tf32, bf16");
}

}  // namespace mld
