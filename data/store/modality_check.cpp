#include "data/store/modality_check.h"

#include <algorithm>
#include <cmath>

#include "engine/base/error.h"
#include "engine/io/file_error.h"

namespace mld::data {
namespace {

constexpr float kRounding = 1e-5F;  // of values scaled in single precision, in widths of the range

float width(ValueRange range) { return range.max - range.min; }

// How far values may lie outside the recorded range.
float slack(const Modality& m) {
  const bool declared = !has_measured_range(m.kind) || m.dtype == DType::u8;
  return declared ? 0 : (m.pen_path ? kMeasuredSlack : kVectorSlack) * width(m.range);
}

bool same_range(const Modality& found, const Modality& expected) {
  if (found.range == expected.range) return true;
  if (found.dtype != expected.dtype) return false;  // bytes of [0, 1] are no floats of that range
  const float out = slack(expected);
  return out > 0 && found.range.min >= expected.range.min - out &&
         found.range.max <= expected.range.max + out;
}

bool same_units(ValueRange found, ValueRange expected) {
  const float out = kMeasuredSlack * width(expected);
  return std::abs(found.min - expected.min) <= out && std::abs(found.max - expected.max) <= out;
}

std::string front_end(const AudioFrontEnd& a) {
  return cat(a.sample_rate, " Hz, n_fft ", a.n_fft, ", hop ", a.hop);
}

std::string category_problem(const Modality& m, std::span<const float> values) {
  const auto bad = std::find_if(values.begin(), values.end(), [&](float v) {
    return !(v >= 0 && v < static_cast<float>(m.categories) && v == std::floor(v));
  });
  if (bad == values.end()) return {};
  return cat("value ", *bad, " is no category; expected whole numbers 0 to ", m.categories - 1);
}

}  // namespace

void check_same_modality(const Modality& found, const Modality& expected, const std::string& place) {
  const auto same = [&](bool equal, const char* what, const auto& was, const auto& is, const char* remedy) {
    MLD_CHECK_AS(ErrorKind::data, equal, place, ": modality '", expected.name, "' has ", what, " ", was,
                 ", the model was trained on ", is, remedy);
  };
  constexpr const char* kImportAlike = "; import the data as the training data were";
  same(found.kind == expected.kind, "kind", kind_name(found.kind), kind_name(expected.kind), kImportAlike);
  same(found.shape == expected.shape, "shape", found.shape, expected.shape, kImportAlike);
  if (is_discrete(expected.kind)) {
    same(found.categories == expected.categories, "categories:", found.categories, expected.categories,
         kImportAlike);
    const bool both = !found.vocabulary.empty() && !expected.vocabulary.empty();
    same(!both || found.vocabulary == expected.vocabulary, "the vocabulary", quote(found.vocabulary),
         quote(expected.vocabulary), kImportAlike);
    return;
  }
  const auto text = [](ValueRange r) { return cat(r.min, " to ", r.max); };
  same(same_range(found, expected), "values from", text(found.range), text(expected.range),
       "; scale them alike and import them again");
  if (found.original_range && expected.original_range)
    same(same_units(*found.original_range, *expected.original_range), "values that stand for",
         text(*found.original_range), text(*expected.original_range), kImportAlike);
  if (found.audio && expected.audio)
    same(found.audio == expected.audio, "an audio front end of", front_end(*found.audio),
         front_end(*expected.audio), kImportAlike);
}

void check_element_type(NpyType found, const Modality& expected, const std::string& place) {
  const bool integers = found.kind == 'i' || found.kind == 'u', bytes = found == npy_type(DType::u8);
  const bool discrete = is_discrete(expected.kind);
  const bool takes_bytes = expected.kind == ModalityKind::image || expected.dtype == DType::u8;
  const char* wanted = discrete ? "integers" : takes_bytes ? "floats or uint8" : "floats";
  MLD_CHECK_AS(ErrorKind::data, discrete ? integers : found.kind == 'f' || (bytes && takes_bytes), place,
               ": holds ", found.str(), ", but modality '", expected.name, "' is of kind ",
               kind_name(expected.kind), " and takes ", wanted, "; convert with array.astype('",
               discrete ? "int32" : "float32", "')",
               discrete ? "" : cat(" and scale to ", expected.range.min, " to ", expected.range.max));
}

std::string value_problem(const Modality& m, std::span<const float> values, float declared_slack) {
  if (values.empty()) return "no values";
  if (is_discrete(m.kind)) return category_problem(m, values);
  const auto bad = std::find_if(values.begin(), values.end(), [](float v) { return !std::isfinite(v); });
  if (bad != values.end()) return cat("value ", bad - values.begin(), " is ", *bad, ", not finite");
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  const float out = std::max(slack(m), std::max(kRounding, declared_slack) * width(m.range));
  if (*low >= m.range.min - out && *high <= m.range.max + out) return {};
  const bool measured = slack(m) > 0 && !m.pen_path;
  return cat(
      "values from ", *low, " to ", *high, measured ? ", the training values lie in " : ", expected ",
      m.range.min, " to ", m.range.max,
      measured ? "; give them in the units of the training data" : "; scale or clip them to that range");
}

}  // namespace mld::data
