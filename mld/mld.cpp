#include "mld/mld.h"

#include "mld/run/generate.h"

namespace mld {

namespace {

SampleSettings settings_of(const Model& model, const Generator::Options& options) {
  const auto asked = [](int value) { return value != 0 ? std::optional<std::int64_t>(value) : std::nullopt; };
  SamplerChange change{.steps = asked(options.steps),
                       .jump = asked(options.jump),
                       .resample = asked(options.resample),
                       .churn = options.churn,
                       .guidance = options.guidance};
  if (!options.method.empty()) change.method = parse_choice<SamplerMethod>("sampler method", options.method);
  SampleSettings settings = sample_settings(model.config());
  settings.seed = options.seed;
  settings.sampler = changed(settings.sampler, change);
  return settings;
}

}  // namespace

struct Generator::Impl {
  Model model;
  std::vector<Modality> modalities;
};

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
  return generate(impl_->model, n, given, settings_of(impl_->model, options), options.progress);
}

void Generator::sample_each(std::int64_t n, const std::map<std::string, Reader>& given,
                            const Options& options, const Sink& each) const {
  generate_each(impl_->model, n, given, {}, settings_of(impl_->model, options), each, options.progress);
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
  return from_network(impl_->model.decode_latent(i, z));
}

}  // namespace mld
