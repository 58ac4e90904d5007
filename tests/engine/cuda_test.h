// What tests of the cuda device share.
#pragma once

#include <string>
#include <vector>

#include "engine/base/notes.h"
#include "engine/core/tensor.h"
#include "tests/engine/kernel_operands.h"

namespace mld::test {

inline Floats download(const Tensor& t) {
  const Tensor host = t.to(kCpu);
  return {host.span<float>().begin(), host.span<float>().end()};
}

inline Tensor upload(const Floats& v) {
  return Tensor::from(v, {static_cast<std::int64_t>(v.size())}, kCuda);
}

// Notes of the engine while it lives.
struct Notes {
  std::vector<std::string> lines;
  Notes() {
    set_note_handler([this](const std::string& line) { lines.push_back(line); });
  }
  ~Notes() { set_note_handler({}); }
  Notes(const Notes&) = delete;
  Notes& operator=(const Notes&) = delete;
};

}  // namespace mld::test
