// Runs `f`, which must throw mld::Error of the given kind, and returns the message.
#pragma once

#include <doctest/doctest.h>

#include <string>

#include "engine/base/error.h"

namespace mld_test {

template <class F>
std::string error_of(mld::ErrorKind kind, F&& f) {
  try {
    f();
  } catch (const mld::Error& error) {
    CHECK_MESSAGE(error.kind() == kind, error.what());
    return error.what();
  }
  FAIL_CHECK("no error was thrown");
  return {};
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace mld_test
