// One HTML file about a run: configuration, environment, training curves, reconstructions, samples for every
// set of given modalities, sounds, and the numbers of evaluation.json. Nothing in it refers to anything
// outside of it. The same run gives the same bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "mld/run/model.h"

namespace mld::report {

inline constexpr std::int64_t kMaxShown = 64;  // samples of each kind

struct ReportRequest {
  std::filesystem::path run = {};   // a run directory
  std::filesystem::path data = {};  // store that the real samples come from; empty: the one trained on
  std::filesystem::path out = {};   // file to write; empty: RUN/report.html
  std::int64_t samples = 8;         // of each kind, 1 .. kMaxShown
  Device device = kCpu;
  MethodFactory method = make_method;
  std::vector<std::pair<std::string, std::string>> environment = {};  // names and values, shown as they are
  std::function<void(const std::string&)> note = {};  // told what could not be checked of the run
};

// (what is being done, done, total); returning false cancels with Cancelled.
using ReportProgress = std::function<bool(const std::string& what, std::int64_t done, std::int64_t total)>;

// Writes the report, atomically, and returns where. What the run has not got yet (a score network, an
// evaluation) is left out, and so are real samples where the store it was trained on is gone; a store named
// in the request must be there. ErrorKind::model if the folder holds no run, or a stage was stopped before
// its end.
std::filesystem::path write_report(const ReportRequest& request, const ReportProgress& progress = {});

// The sets of modalities that samples are shown given of: the empty one, then default_given_sets.
std::vector<Subset> shown_subsets(int modalities);
// A run's own way of sampling, shortened where `walks` of it take more than kMaxCalls network calls in all:
// first without jumps, then with fewer levels.
inline constexpr std::int64_t kMaxCalls = 6000;
SampleSettings shortened(SampleSettings settings, std::size_t walks);

}  // namespace mld::report
