#include "mld/generate.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace mld {

Tensor to_network(const data::Modality& info, std::int64_t n, const Values& values) {
  const std::int64_t size = info.shape.numel();
  MLD_CHECK_AS(ErrorKind::usage, static_cast<std::int64_t>(values.size()) == n * size, "modality '",
               info.name, "': ", values.size(), " values for ", n, " samples of ", size);
  const ItemBatch batch = make_item_batch(info, n);
  if (data::is_discrete(info.kind)) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const bool valid = values[i] >= 0 && values[i] < static_cast<float>(info.categories);
      MLD_CHECK_AS(ErrorKind::usage, valid, "modality '", info.name, "': value ", values[i],
                   " is not a category ", "0 .. ", info.categories - 1);
      batch.tokens.data<std::int32_t>()[i] = static_cast<std::int32_t>(values[i]);
    }
    one_hot(batch.tokens, batch.x);
  } else {
    MLD_CHECK_AS(ErrorKind::usage, data::first_non_finite(values) < 0, "modality '", info.name,
                 "': a value is infinite or not a number");
    std::copy(values.begin(), values.end(), batch.x.data<float>());
  }
  return batch.x;
}

Values from_network(const data::Modality& info, const Tensor& x) {
  const auto values = x.span<float>();
  if (!data::is_discrete(info.kind)) return {values.begin(), values.end()};
  Values out;
  const auto categories = static_cast<std::size_t>(info.categories);
  for (std::size_t first = 0; first < values.size(); first += categories) {
    const auto row = values.subspan(first, categories);
    out.push_back(static_cast<float>(std::max_element(row.begin(), row.end()) - row.begin()));
  }
  return out;
}

Samples generate(const Model& model, std::int64_t n, const Samples& given, const SampleSettings& settings,
                 const SamplerProgress& progress) {
  constexpr std::int64_t highest = std::numeric_limits<std::int32_t>::max();
  MLD_CHECK_AS(ErrorKind::usage, n >= 1 && n <= highest, "sample: ", n, " samples asked for, expected 1 to ",
               highest);
  const Tensor z = Tensor::zeros({n, model.layout().total});
  Subset known = 0;
  for (const auto& [name, values] : given) {
    const int i = model.modality(name);
    model.set_latent_slice(z, i, model.encode(i, to_network(model.info(i), n, values)));
    known |= Subset{1} << i;
  }
  MLD_CHECK_AS(ErrorKind::usage, known != full_set(model.modalities()),
               "sample: every modality is given, nothing is left to generate");
  std::vector<std::int32_t> ids(static_cast<std::size_t>(n));
  std::iota(ids.begin(), ids.end(), 0);
  const Tensor latents = model.sample_latents(known, z, ids, settings, progress);
  Samples out;
  for (int i = 0; i < model.modalities(); ++i)
    if (!contains(known, i))
      out[model.info(i).name] = from_network(model.info(i), model.decode(i, model.latent_slice(latents, i)));
  return out;
}

}  // namespace mld
