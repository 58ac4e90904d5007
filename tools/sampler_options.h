// Options of the sampler that `sample`, `eval` and `ablate` share; what is not given stays as the run was
// configured. The sampler's own follow from the table of its options (mld/config/sampler_options.h).
#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <map>
#include <optional>

#include "engine/base/names.h"
#include "mld/run/model.h"
#include "tools/option_checks.h"

namespace mld::tools {

struct SamplerFlags {
  SamplerChange change;                        // but for choices,
  std::map<std::string, std::string> choices;  // whose spelling is judged in apply()
  std::optional<std::uint64_t> seed;
  std::optional<std::int64_t> chunk;
  bool paper = false;

  void add_to(CLI::App& app) {
    app.add_flag("--paper-schedule", paper,
                 "Start from the paper's: em, 250 levels, jumps of 10, walked 10 times, 2410 network calls");
    config::visit_fields(
        change, [&](const std::string& name, auto& value, const auto& limits, std::string meaning) {
          using T = typename std::remove_reference_t<decltype(value)>::value_type;
          if (meaning[meaning.find(' ') - 1] != ':')  // "em: ..." is a name
            meaning[0] = static_cast<char>(std::toupper(meaning[0]));
          meaning += "; default: as the run was configured";
          if constexpr (std::is_enum_v<T>)
            app.add_option(flag(name), choices[name], meaning)->type_name(either<T>());
          else if constexpr (std::is_integral_v<T>)
            app.add_option(flag(name), value, meaning)
                ->type_name("N")
                ->check(between(static_cast<T>(limits.lowest), static_cast<T>(limits.highest)));
          else
            app.add_option(flag(name), value, meaning)->type_name("X");
        });
    app.add_option(
           "--chunk", chunk,
           "Samples generated together, which does not change them (on a GPU but for their last bits); "
           "default: as the run was configured")
        ->type_name("N")
        ->check(between(1, kMaxChunk));
    add_seed(app, seed, "Seed of the samples; default: that of the run");
  }

  // Of a VAE, which draws without a walk, nothing may be asked: ErrorKind::usage.
  SampleSettings apply(SampleSettings settings, ModelKind kind) const {
    MLD_CHECK_AS(ErrorKind::usage, !is_vae(kind) || !asks(), "model.kind ", name_of(kind),
                 " has no sampler: leave out its options (--seed and --chunk remain)");
    return apply(std::move(settings));
  }

  SampleSettings apply(SampleSettings settings) const {
    if (paper) settings.sampler = kPaperSampler;
    SamplerChange asked = change;
    config::visit_fields(asked, [&](const std::string& name, auto& value, const auto&, const char*) {
      using T = typename std::remove_reference_t<decltype(value)>::value_type;
      if constexpr (std::is_enum_v<T>)
        if (const std::string& choice = choices.at(name); !choice.empty())
          value = parse_choice<T>("sampler " + name, choice);
    });
    if (paper && !asked.resample) asked.resample = kPaperSampler.resample;
    settings.sampler = changed(settings.sampler, asked);
    refuse_unread(asked, settings.sampler);
    settings.seed = seed.value_or(settings.seed);
    settings.chunk = chunk.value_or(settings.chunk);
    return settings;
  }

 private:
  bool asks() const {
    bool any = paper;
    SamplerChange asked = change;
    config::visit_fields(asked, [&](const std::string& name, auto& value, const auto&, const char*) {
      using T = typename std::remove_reference_t<decltype(value)>::value_type;
      if constexpr (std::is_enum_v<T>)
        any = any || !choices.at(name).empty();
      else
        any = any || value.has_value();
    });
    return any;
  }

  // "--guidance-low"
  static std::string flag(std::string name) {
    std::ranges::replace(name, '_', '-');
    return "--" + name;
  }

  template <class E>
  static std::string either() {
    std::string names;
    for (const std::string_view name : kNames<E>) names += (names.empty() ? "" : "|") + std::string(name);
    return names;
  }

  // What is asked for and no part of the method.
  static void refuse_unread(const SamplerChange& asked, const SamplerOptions& options) {
    config::visit_fields(asked, [&](std::string_view name, const auto& value, const auto&, const char*) {
      visit_details(options, [&](std::string_view detailed, const auto&, const auto& detail) {
        const SamplerMethod reads = detail.method.value_or(options.method);
        MLD_CHECK_AS(ErrorKind::usage, name != detailed || !value || options.method == reads,
                     flag(std::string(name)), " is of --method ", name_of(reads), ", not of ",
                     name_of(options.method));
      });
    });
  }
};

}  // namespace mld::tools
