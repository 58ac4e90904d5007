#include "mld/mld.h"

#include <numeric>

#include "mld/model.h"

namespace mld {

struct Generator::Impl {
  Model model;
  std::vector<Modality> modalities;
};

namespace {

// Samples [n, size] of one modality as the networks take them, and back.
Tensor to_network(const data::Modality& info, std::int64_t n, const Generator::Values& values) {
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

Generator::Values from_network(const data::Modality& info, const Tensor& x) {
  const auto values = x.span<float>();
  if (!data::is_discrete(info.kind)) return {values.begin(), values.end()};
  Generator::Values out;
  const auto categories = static_cast<std::size_t>(info.categories);
  for (std::size_t first = 0; first < values.size(); first += categories) {
    const auto row = values.subspan(first, categories);
    out.push_back(static_cast<float>(std::max_element(row.begin(), row.end()) - row.begin()));
  }
  return out;
}

}  // namespace

Generator::Generator(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Generator::~Generator() = default;
Generator::Generator(Generator&&) noexcept = default;
Generator& Generator::operator=(Generator&&) noexcept = default;

Generator Generator::open(const std::string& path) {
  auto impl = std::make_unique<Impl>(Impl{Model::open(path), {}});
  for (int i = 0; i < impl->model.modalities(); ++i) {
    const data::Modality& info = impl->model.info(i);
    const auto extents = info.shape.extents();
    impl->modalities.push_back({info.name,
                                data::kind_name(info.kind),
                                {extents.begin(), extents.end()},
                                info.shape.numel(),
                                impl->model.modality(i).latent});
  }
  return Generator(std::move(impl));
}

const std::vector<Generator::Modality>& Generator::modalities() const { return impl_->modalities; }

Generator::Samples Generator::sample(std::int64_t n, const Samples& given, const Options& options) const {
  const Model& model = impl_->model;
  MLD_CHECK_AS(ErrorKind::usage, n >= 1, "sample: ", n, " is not a number of samples");
  const Tensor z = Tensor::zeros({n, model.layout().total});
  Subset known = 0;
  for (const auto& [name, values] : given) {
    const int i = model.modality(name);
    model.set_latent_slice(z, i, model.encode(i, to_network(model.info(i), n, values)));
    known |= Subset{1} << i;
  }
  MLD_CHECK_AS(ErrorKind::usage, known != full_set(model.modalities()),
               "sample: every modality is given, nothing is left to generate");
  SampleSettings settings = sample_settings(model.config());
  Schedule& schedule = settings.sampler.schedule;
  settings.seed = options.seed;
  if (options.steps > 0) schedule.levels = options.steps;
  if (options.jump > 0) schedule.jump = options.jump;
  if (options.resample > 0) schedule.resample = options.resample;
  std::vector<std::int32_t> ids(static_cast<std::size_t>(n));
  std::iota(ids.begin(), ids.end(), 0);
  const Tensor latents = model.sample_latents(known, z, ids, settings, options.progress);
  Samples out;
  for (int i = 0; i < model.modalities(); ++i)
    if (!contains(known, i))
      out[model.info(i).name] = from_network(model.info(i), model.decode(i, model.latent_slice(latents, i)));
  return out;
}

Generator::Values Generator::encode(const std::string& modality, const Values& values) const {
  const int i = impl_->model.modality(modality);
  const data::Modality& info = impl_->model.info(i);
  const auto n = static_cast<std::int64_t>(values.size()) / info.shape.numel();
  const Tensor z = impl_->model.encode(i, to_network(info, n, values));
  const auto latents = z.span<float>();
  return {latents.begin(), latents.end()};
}

Generator::Values Generator::decode(const std::string& modality, const Values& latents) const {
  const int i = impl_->model.modality(modality);
  const std::int64_t dim = impl_->model.modality(i).latent;
  MLD_CHECK_AS(ErrorKind::usage, !latents.empty() && static_cast<std::int64_t>(latents.size()) % dim == 0,
               "decode: ", latents.size(), " values are not latents of size ", dim);
  const Tensor z = Tensor::from(latents, {static_cast<std::int64_t>(latents.size()) / dim, dim});
  return from_network(impl_->model.info(i), impl_->model.decode(i, z));
}

}  // namespace mld
