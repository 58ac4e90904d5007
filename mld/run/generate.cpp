#include "mld/run/generate.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "data/store/modality_check.h"

namespace mld {
namespace {

constexpr std::int64_t kMostSamples = std::numeric_limits<std::int32_t>::max();  // ids of the noise are int32
constexpr float kOvershoot = 0.25F;  // of generated values beyond a declared range, in its widths

std::vector<std::string> names_of(const auto& by_name) {
  std::vector<std::string> names;
  for (const auto& entry : by_name) names.push_back(entry.first);
  return names;
}

Subset subset_of(const Model& model, const std::vector<std::string>& names) {
  Subset set = 0;
  for (const std::string& name : names) set |= Subset{1} << model.modality(name);
  return set;
}

Subset not_given(const Model& model, Subset given) { return full_set(model.modalities()) & ~given; }

// Values of one batch of conditions and their latents.
Tensor encode_conditions(const Model& model, Subset given, std::int64_t n, const Samples& values) {
  if (given == 0) return {};
  const Tensor z = Tensor::zeros({n, model.layout().total});
  for (int i = 0; i < model.modalities(); ++i)
    if (contains(given, i))
      model.layout().set_slice(z, i,
                               model.encode(i, to_network(model.info(i), n, values.at(model.info(i).name))));
  return z;
}

}  // namespace

Tensor to_network(const data::Modality& info, std::int64_t n, std::span<const float> values) {
  const std::int64_t size = info.shape.numel();
  MLD_CHECK_AS(ErrorKind::usage, n >= 1 && static_cast<std::int64_t>(values.size()) == n * size, "modality '",
               info.name, "': ", values.size(), " values for ", n, " samples of ", size);
  const std::string problem = data::value_problem(info, values, kOvershoot);
  MLD_CHECK_AS(ErrorKind::usage, problem.empty(), "modality '", info.name, "': ", problem);
  const Tensor x = make_items(info, n);
  if (data::is_discrete(info.kind))
    std::transform(values.begin(), values.end(), x.data<std::int32_t>(),
                   [](float v) { return static_cast<std::int32_t>(v); });
  else
    std::copy(values.begin(), values.end(), x.data<float>());
  return x;
}

Values from_network(const Tensor& x) {
  if (x.dtype() == DType::f32) return {x.span<float>().begin(), x.span<float>().end()};
  const auto numbers = x.span<std::int32_t>();
  Values out(numbers.size());
  std::ranges::transform(numbers, out.begin(), [](std::int32_t v) { return static_cast<float>(v); });
  return out;
}

void check_generate(const Model& model, std::int64_t n, const std::vector<std::string>& given,
                    const std::vector<std::string>& wanted, const SampleSettings& settings) {
  MLD_CHECK_AS(ErrorKind::usage, n >= 1 && n <= kMostSamples, "sample: ", n,
               " samples asked for, expected 1 to ", kMostSamples);
  const Subset known = subset_of(model, given), rest = not_given(model, known);
  MLD_CHECK_AS(ErrorKind::usage, rest != 0, "sample: every modality is given, nothing is left to generate");
  for (const std::string& name : wanted)
    MLD_CHECK_AS(ErrorKind::usage, contains(rest, model.modality(name)), "sample: '", name,
                 "' is wanted and given");
  model.method().network_calls(settings);  // refuses what cannot be
  const Subset decoded = wanted.empty() ? rest : subset_of(model, wanted);
  const std::string missing = model.missing(known | decoded);
  MLD_CHECK_AS(ErrorKind::model, missing.empty(), missing,
               " has not been trained yet; continue the run with train --resume");
}

void generate_each(const Model& model, std::int64_t n, const Conditions& given,
                   const std::vector<std::string>& wanted, const SampleSettings& settings,
                   const SampleSink& sink, const SamplerProgress& progress) {
  check_generate(model, n, names_of(given), wanted, settings);
  const Subset known = subset_of(model, names_of(given));
  const Subset decoded = wanted.empty() ? not_given(model, known) : subset_of(model, wanted);
  const auto sampler = model.method().sampler(known, settings, n);
  const std::int64_t batches = (n - 1) / sampler.batch + 1, calls = sampler.network_calls;
  for (std::int64_t b = 0; b < batches; ++b) {
    const std::int64_t first = b * sampler.batch, count = std::min(sampler.batch, n - first);
    Samples samples;
    for (const auto& [name, read] : given) samples[name] = read(first, count);
    std::vector<std::int32_t> ids(static_cast<std::size_t>(count));
    std::iota(ids.begin(), ids.end(), static_cast<std::int32_t>(first));
    const Tensor draws = sampler.draw(encode_conditions(model, known, count, samples), ids,
                                      [&](std::int64_t done, std::int64_t) {
                                        return !progress || progress(b * calls + done, batches * calls);
                                      });
    for (int i = 0; i < model.modalities(); ++i)
      if (contains(decoded, i)) samples[model.info(i).name] = from_network(model.decode(i, draws));
    sink(first, count, samples);
  }
}

Samples generate(const Model& model, std::int64_t n, const Samples& given, const SampleSettings& settings,
                 const SamplerProgress& progress) {
  Conditions conditions;
  for (const auto& [name, values] : given) {
    const std::int64_t size = model.info(model.modality(name)).shape.numel();
    MLD_CHECK_AS(ErrorKind::usage, static_cast<std::int64_t>(values.size()) == n * size, "modality '", name,
                 "': ", values.size(), " values for ", n, " samples of ", size);
    conditions[name] = [&values = values, size](std::int64_t first, std::int64_t count) {
      const auto from = values.begin() + first * size;
      return Values(from, from + count * size);
    };
  }
  Samples out;
  generate_each(
      model, n, conditions, {}, settings,
      [&](std::int64_t, std::int64_t, const Samples& samples) {
        for (const auto& [name, values] : samples)
          if (!given.contains(name)) out[name].insert(out[name].end(), values.begin(), values.end());
      },
      progress);
  return out;
}

}  // namespace mld
