// Expects errors: of the right kind, with a message that says what it has to.
#pragma once

#include <doctest/doctest.h>

#include <initializer_list>
#include <string>

#include "engine/base/error.h"

namespace mld::test {

// Runs `f`, which must throw mld::Error of the given kind, and returns the message.
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

// The same, with every one of the words in the message.
template <class F>
void check_error(mld::ErrorKind kind, std::initializer_list<std::string> words, F&& f) {
  const std::string message = error_of(kind, f);
  for (const std::string& word : words) CHECK_MESSAGE(contains(message, word), message, " | ", word);
}

}  // namespace mld::test
