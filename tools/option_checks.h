// Options that several commands share, and ranges of numeric options worded like the configuration's.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "engine/core/error.h"
#include "engine/runtime/threads.h"

namespace mld::tools {

constexpr std::int64_t kMaxSamples = 1'000'000'000;

// An integer from `low` to `high`.
inline CLI::Validator between(std::int64_t low, std::int64_t high) {
  const auto check = [low, high](const std::string& text) {
    std::int64_t value = 0;
    const bool good = CLI::detail::lexical_cast(text, value) && value >= low && value <= high;
    return good ? std::string() : cat("expected ", low, " to ", high, ", found ", text);
  };
  return {check, cat(low, "..", high)};
}

inline void add_threads(CLI::App& app, int& threads) {
  app.add_option("--threads", threads, "CPU threads; 0: all cores. Results do not depend on it")
      ->type_name("N")
      ->capture_default_str()
      ->check(between(0, kMaxThreads));
}

}  // namespace mld::tools
