// Options that several commands share, and ranges of numeric options worded like the configuration's.
#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/precision.h"
#include "engine/io/file_error.h"
#include "engine/runtime/devices.h"
#include "engine/threads/threads.h"
#include "mld/config/seed.h"

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

// For transform(): writes the number in one form, whatever the option's type would make of the text.
inline CLI::Validator seed_text() {
  const auto check = [](std::string& text) {
    const auto seed = parse_seed(text);
    if (!seed) return cat(kSeedExpected, ", found ", quote(text));
    text = std::to_string(*seed);
    return std::string();
  };
  return {check, "0..2^64-1"};
}

template <class T>
CLI::Option* add_seed(CLI::App& app, T& seed, const std::string& meaning) {
  return app.add_option("--seed", seed, meaning)->type_name("N")->transform(seed_text());
}

// Refuses options that are given '' as their value, which an unset variable of a script leaves.
inline void refuse_empty_values(CLI::App& app) {
  const auto check = [](const std::string& text) {
    return text.empty() ? std::string("found '', which is no value; give one or leave the option out")
                        : std::string();
  };
  for (CLI::Option* option : app.get_options(nullptr))
    if (option->get_items_expected_max() > 0) option->check(check, "");
  for (CLI::App* command : app.get_subcommands(nullptr)) refuse_empty_values(*command);
}

// Of an option that lists names.
inline void check_distinct(const char* option, const std::vector<std::string>& names) {
  for (std::size_t i = 0; i < names.size(); ++i)
    MLD_CHECK_AS(ErrorKind::usage,
                 std::find(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(i), names[i]) ==
                     names.begin() + static_cast<std::ptrdiff_t>(i),
                 option, ": ", quote(names[i]), " is named twice");
}

inline void add_threads(CLI::App& app, int& threads) {
  app.add_option("--threads", threads,
                 "CPU threads; 0: OMP_NUM_THREADS, or all CPUs that this process may use. Results do not "
                 "depend on it")
      ->type_name("N")
      ->capture_default_str()
      ->check(between(0, kMaxThreads));
}

// Where to compute, and in which arithmetic there.
struct DeviceFlags {
  std::string device = "auto", precision = "tf32";

  void add_to(CLI::App& app) {
    app.add_option("--device", device, "Where to compute: auto (a GPU if there is one), cpu, cuda or cuda:N")
        ->type_name("NAME")
        ->capture_default_str();
    app.add_option("--precision", precision,
                   "Products and convolutions on a GPU: fp32, tf32 or bf16; sums and weights are fp32")
        ->type_name("NAME")
        ->capture_default_str();
  }
  Device choose() const {
    set_precision(parse_precision(precision));
    return choose_device(device);
  }
};

}  // namespace mld::tools
