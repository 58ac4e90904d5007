// Posteriors and objectives of the VAEs against closed forms, Monte Carlo and one another (docs/method.md section 20).
#include "mld/methods/vae/objective.h"

#include <doctest/doctest.h>

#include <array>
#include <bit>
#include <cmath>
#include <filesystem>
#include <numbers>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/io/safetensors.h"
#include "engine/ops/ops.h"
#include "mld/methods/vae/draws.h"
#include "mld/methods/vae/nexus.h"
#include "tests/mld/golden_tensor.h"
#include "tests/nn/helpers.h"

namespace mld::vae {
namespace {

using mld::test::check_near;
using mld::test::host;

Tensor of(const std::vector<double>& values, Shape shape) { return Tensor::from(values, std::move(shape)); }

using mld::test::read_tensor;

// Of make_vae.py.
constexpr std::int64_t kGoldenRows = 9;
const std::vector<double> kGoldenWeights{1.0, 3.92, 0.5};
std::string numbered(const std::string& name, std::int64_t k) { return name + "/" + std::to_string(k); }
struct GoldenBatch {
  std::vector<Var> heads;  // of each modality, watched by the tape
  Encoded batch;
};
// The batch below `prefix`; the file must outlive it.
GoldenBatch golden_batch(Tape& tape, const SafetensorsFile& file, const std::string& prefix, DType dtype,
                         bool holes) {
  GoldenBatch golden;
  const auto read = [&file, dtype](const std::string& name) { return read_tensor(file, name).to(dtype); };
  for (std::int64_t m = 0; m < 3; ++m) {
    golden.heads.push_back(tape.watch(read(numbered(prefix + "heads", m))));
    golden.batch.experts.push_back(from_heads(golden.heads.back()));
  }
  golden.batch.weights = kGoldenWeights;
  golden.batch.total = kGoldenRows;
  if (holes) golden.batch.present = read_tensor(file, "present");
  golden.batch.reconstruction = [read, prefix](int m, const Var& z, const Tensor& rows) {
    return squared_error(matmul(z, read(numbered(prefix + "decoder", m)), false, true),
                         read(numbered("data", m)), 1.0 / kGoldenRows, rows);
  };
  golden.batch.noise = [read, prefix](std::uint32_t number, std::int64_t) {
    return read(numbered(prefix + "noise", number));
  };
  return golden;
}

Gaussian univariate(double mean, double variance) {
  return {of({mean}, {1, 1}), of({std::log(variance)}, {1, 1})};
}
double value(const Var& x) { return host(x.value).at(0); }
// Of each row the log density at z [B,L], [B].
Var log_density(const Gaussian& q, const Var& z) {
  const Var apart = mul(square(sub(z, q.mean)), exp(affine(q.log_var, -1, 0)));
  return affine(sum(affine(add(apart, q.log_var), 1, std::log(2 * std::numbers::pi)), {1}), -0.5, 0);
}
double variance(const Gaussian& q) { return std::exp(value(q.log_var)); }

const std::vector<std::int32_t> kSomeHoles{7, 1, 6, 2, 5, 3, 4};

// Linear decoders in double, and noise that is the same for the same number.
struct Problem {
  static constexpr std::int64_t kRows = 7, kLatent = 3;
  int modalities;
  std::vector<Tensor> heads, weights, data;
  std::vector<std::int32_t> present = {};  // sets; empty: all have all

  explicit Problem(int m) : modalities(m) {
    for (int i = 0; i < m; ++i) {
      const auto seed = static_cast<std::uint64_t>(10 * i);
      heads.push_back(test::random({kRows, 2 * kLatent}, seed + 1));
      weights.push_back(test::random({4, kLatent}, seed + 2));
      data.push_back(test::random({kRows, 4}, seed + 3));
    }
  }
  Encoded encoded(const std::vector<Var>& of_heads) const {
    Encoded batch;
    for (const Var& h : of_heads) {
      batch.experts.push_back(from_heads(h));
      batch.weights.push_back(1 + 0.5 * static_cast<double>(batch.weights.size()));
    }
    batch.total = kRows;
    batch.reconstruction = [this](int m, const Var& z, const Tensor& rows) {
      const auto k = static_cast<std::size_t>(m);
      return squared_error(matmul(z, weights[k], false, true), data[k], 1.0 / kRows, rows);
    };
    batch.noise = [](std::uint32_t number, std::int64_t size) {
      return test::random({kRows, size}, 100 + number);
    };
    if (!present.empty()) batch.present = Tensor::from(present, {kRows});
    batch.component_rows = [this](std::int64_t components) {
      const std::vector<Subset> sets =
          mixed_sets(components == modalities ? ModelKind::mmvae : ModelKind::mopoe, modalities);
      std::vector<std::int32_t> rows;
      for (std::size_t b = 0; b < kRows; ++b) {
        std::size_t k = (b * 5 + 2) % sets.size();
        while (!present.empty() && (sets[k] & ~static_cast<Subset>(present[b])) != 0)
          k = (k + 1) % sets.size();
        rows.push_back(static_cast<std::int32_t>(k * kRows + b));
      }
      return Tensor::from(rows, {kRows});
    };
    return batch;
  }
  Encoded encoded() const { return encoded({heads.begin(), heads.end()}); }
};

// -log p(x | z) + beta KL(q || prior) with z drawn by noise number 0, of one modality of weight 1.
double beta_vae(const Problem& p, const Gaussian& q, double beta) {
  const Encoded batch = p.encoded();
  const Var z = draw(q, batch.noise(0, Problem::kLatent));
  return value(batch.reconstruction(0, z, {})) + value(kl_to_prior(q, beta / Problem::kRows));
}

}  // namespace

TEST_CASE("vae: a product of likelihood factors and the prior is the posterior of a linear Gaussian model") {
  // x_k = a_k z + s_k e, z ~ N(0,1): as a function of z the likelihood of x_k is a Gaussian of mean x_k / a_k and
  // variance s_k^2 / a_k^2.
  const std::array a{1.5, -0.7, 2.0}, s{0.5, 1.2, 0.8}, x{0.3, -1.1, 2.5};
  std::vector<Gaussian> factors;
  double precision = 1, weighted = 0;
  for (std::size_t k = 0; k < 3; ++k) {
    factors.push_back(univariate(x[k] / a[k], s[k] * s[k] / (a[k] * a[k])));
    precision += a[k] * a[k] / (s[k] * s[k]);
    weighted += a[k] * x[k] / (s[k] * s[k]);
    const Gaussian q = product(factors, true);
    CHECK(value(q.mean) == doctest::Approx(weighted / precision).epsilon(1e-6));
    CHECK(variance(q) == doctest::Approx(1 / precision).epsilon(1e-6));
  }
  // Equal experts sharpen; one alone is itself.
  const std::vector<Gaussian> equal(4, univariate(0.7, 0.36));
  CHECK(value(product(equal, false).mean) == doctest::Approx(0.7).epsilon(1e-6));
  CHECK(variance(product(equal, false)) == doctest::Approx(0.09).epsilon(1e-6));
  CHECK(variance(product(std::span(equal).first(1), false)) == doctest::Approx(0.36).epsilon(1e-12));
}

// MVAE's prior bounds the product, so that nothing keeps an expert from saying nothing at all.
TEST_CASE("vae: an expert of any variance has its share in a product, and a gradient, in float") {
  for (const float extreme : {-100.0f, -20.0f, 0.5f, 60.0f, 100.0f, 1e4f}) {
    CAPTURE(extreme);
    Tape tape;
    const Var heads = tape.watch(Tensor::from(std::vector<float>{2, extreme}, {1, 2}));
    const Gaussian own = from_heads(heads), q = product(std::span(&own, 1), true);
    const double exact = 1 / (std::exp(static_cast<double>(extreme)) + 1e-8) + 1 / (1 + 1e-8);
    const auto of_float = [](const Var& x) { return static_cast<double>(x.value.data<float>()[0]); };
    CHECK(of_float(q.log_var) == doctest::Approx(std::log(1 / exact + 1e-8)).epsilon(1e-5).scale(1));
    CHECK(of_float(q.mean) == doctest::Approx(2 * (1 - 1 / exact)).epsilon(1e-5).scale(1));
    tape.backward(add(sum(q.mean), kl_to_prior(q, 1)));
    for (const float g : tape.grad(heads).span<float>()) CHECK(std::isfinite(g));
  }
}

TEST_CASE("vae: divergences are the expectations of log ratios") {
  const Gaussian q{test::random({2, 3}, 1), test::random({2, 3}, 2)},
      p{test::random({2, 3}, 3), test::random({2, 3}, 4)},
      prior{Tensor::zeros({2, 3}, DType::f64), Tensor::zeros({2, 3}, DType::f64)};
  constexpr int kDraws = 40'000;
  std::mt19937_64 generator(5);
  std::normal_distribution<double> normal;
  double to_p = 0, to_prior = 0, squares_p = 0, squares_prior = 0;
  for (int n = 0; n < kDraws; ++n) {
    std::vector<double> e(6);
    for (double& v : e) v = normal(generator);
    const Var z = draw(q, of(e, {2, 3}));
    const double own = value(sum(log_density(q, z)));
    const double a = own - value(sum(log_density(p, z))), b = own - value(sum(log_density(prior, z)));
    to_p += a, squares_p += a * a, to_prior += b, squares_prior += b * b;
  }
  const auto check = [&](double sum, double squares, double expected) {
    const double mean = sum / kDraws, error = std::sqrt((squares / kDraws - mean * mean) / kDraws);
    CHECK(std::abs(mean - expected) < 5 * error);
    CHECK(error < 0.05 * expected);
  };
  check(to_p, squares_p, value(kl(q, p, 1)));
  check(to_prior, squares_prior, value(kl_to_prior(q, 1)));
  CHECK(value(kl(q, prior, 0.5)) == doctest::Approx(value(kl_to_prior(q, 0.5))).epsilon(1e-12));
  CHECK(value(kl(q, q, 1)) == doctest::Approx(0).epsilon(1e-12));
}

TEST_CASE("vae: a density integrates to one, and so does a mixture of them") {
  const std::vector<Gaussian> experts{univariate(-1, 0.3), univariate(2, 1.7), univariate(0.5, 0.05)};
  double whole = 0, product_density = 0;
  constexpr double kStep = 1e-3;
  const Gaussian joint = product(experts, false);
  for (double z = -12; z < 12; z += kStep) {
    const Var at = of({z}, {1, 1});
    for (const Gaussian& q : experts) whole += kStep * std::exp(value(log_density(q, at))) / 3;
    product_density += kStep * std::exp(value(log_density(joint, at)));
  }
  CHECK(whole == doctest::Approx(1).epsilon(1e-6));
  CHECK(product_density == doctest::Approx(1).epsilon(1e-6));
}

TEST_CASE("vae: a mixture takes each row from the component that serves it") {
  const Problem p(3);
  const Encoded batch = p.encoded();
  const Tensor rows = batch.component_rows(3);
  const Gaussian q = mixture(batch.experts, rows);
  for (std::int64_t b = 0; b < Problem::kRows; ++b) {
    const std::int64_t k = rows.data<std::int32_t>()[b] / Problem::kRows;
    const Tensor& from = p.heads[static_cast<std::size_t>(k)];
    for (std::int64_t j = 0; j < 3; ++j) {
      CHECK(q.mean.value.data<double>()[3 * b + j] == from.data<double>()[6 * b + j]);
      CHECK(q.log_var.value.data<double>()[3 * b + j] == from.data<double>()[6 * b + 3 + j]);
    }
  }
}

TEST_CASE("vae: what is mixed, and what a set of modalities that is given says") {
  CHECK(mixed_sets(ModelKind::mvae, 3) == std::vector<Subset>{0b111});
  CHECK(mixed_sets(ModelKind::mmvae, 3) == std::vector<Subset>{1, 2, 4});
  CHECK(mixed_sets(ModelKind::mopoe, 3) == std::vector<Subset>{1, 2, 4, 3, 5, 6, 7});
  const std::vector<Gaussian> experts{univariate(1, 1), univariate(3, 1)};
  const auto mean = [&](ModelKind kind, Subset given, bool prior_expert = false) {
    return value(posterior({.kind = kind, .prior_expert = prior_expert}, experts, given).mean);
  };
  CHECK(mean(ModelKind::mvae, 1) == doctest::Approx(0.5));  // the prior draws to 0
  CHECK(mean(ModelKind::mvae, 3) == doctest::Approx(4.0 / 3));
  CHECK(mean(ModelKind::mopoe, 2) == doctest::Approx(3));        // without the prior
  CHECK(mean(ModelKind::mopoe, 3) == doctest::Approx(4.0 / 3));  // with it, as the authors' code
  CHECK(mean(ModelKind::mvtcae, 3) == doctest::Approx(2));
  CHECK(mean(ModelKind::mvtcae, 3, true) == doctest::Approx(4.0 / 3));
  CHECK(mean(ModelKind::mvtcae, 1, true) == doctest::Approx(0.5));
}

TEST_CASE("vae: with one modality the objectives are what they must be") {
  const Problem p(1);
  const Gaussian q = from_heads(p.heads[0]), with_prior = product(std::span(&q, 1), true);
  for (const double beta : {1.0, 5.0}) {
    const auto of_kind = [&](ModelKind kind, double alpha = 0, bool prior_expert = false) {
      Encoded batch = p.encoded();
      batch.noise = [](std::uint32_t, std::int64_t size) {
        return test::random({Problem::kRows, size}, 100);
      };  // shared
      return value(loss({.kind = kind, .beta = beta, .alpha = alpha, .prior_expert = prior_expert}, batch));
    };
    CHECK(of_kind(ModelKind::mmvae) == doctest::Approx(beta_vae(p, q, beta)).epsilon(1e-12));
    CHECK(of_kind(ModelKind::mopoe) == doctest::Approx(beta_vae(p, with_prior, beta)).epsilon(1e-12));
    CHECK(of_kind(ModelKind::mvae) == doctest::Approx(2 * beta_vae(p, with_prior, beta)).epsilon(1e-12));
    for (const double alpha : {0.0, 0.25, 5.0 / 6})
      CHECK(of_kind(ModelKind::mvtcae, alpha) ==
            doctest::Approx((1 - alpha) * beta_vae(p, q, beta)).epsilon(1e-12));
  }
}

TEST_CASE("vae: a hand-written MVTCAE of two modalities, term by term") {
  const Problem p(2);
  const Encoded batch = p.encoded();
  const double alpha = 0.6, beta = 2.5;
  const Gaussian joint = product(batch.experts, false);
  const Var z = draw(joint, batch.noise(0, Problem::kLatent));
  const double rows = Problem::kRows;
  double expected = 0;
  for (int m = 0; m < 2; ++m)
    expected +=
        (2 - alpha) / 2 * batch.weights[static_cast<std::size_t>(m)] * value(batch.reconstruction(m, z, {}));
  for (const Gaussian& q : batch.experts) expected += beta * alpha / 2 * value(kl(joint, q, 1 / rows));
  expected += beta * (1 - alpha) * value(kl_to_prior(joint, 1 / rows));
  CHECK(value(loss({.kind = ModelKind::mvtcae, .beta = beta, .alpha = alpha}, batch)) ==
        doctest::Approx(expected).epsilon(1e-12));
}

TEST_CASE("vae: gradients of every objective against central differences") {
  struct Case {
    ModelKind kind;
    bool prior_expert, holes;
  };
  std::vector<Case> cases;
  for (const bool holes : {false, true}) {
    for (const ModelKind kind : {ModelKind::mvae, ModelKind::mmvae, ModelKind::mopoe, ModelKind::mvtcae})
      cases.push_back({kind, false, holes});
    cases.push_back({ModelKind::mvtcae, true, holes});
  }
  for (const Case& c : cases) {
    CAPTURE(name_of(c.kind));
    CAPTURE(c.holes);
    Problem p(3);
    if (c.holes) p.present = kSomeHoles;
    const Objective o{.kind = c.kind, .beta = 1.7, .alpha = 0.7, .prior_expert = c.prior_expert};
    std::vector<std::vector<double>> gradients;
    {
      Tape tape;
      std::vector<Var> watched;
      for (const Tensor& h : p.heads) watched.push_back(tape.watch(h.clone()));
      tape.backward(loss(o, p.encoded(watched)));
      for (const Var& h : watched) gradients.push_back(host(tape.grad(h)));
    }
    constexpr double kStep = 1e-5;
    for (std::size_t m = 0; m < 3; ++m)
      for (std::int64_t i = 0; i < p.heads[m].numel(); ++i) {
        const auto at = [&](double shift) {
          std::vector<Var> moved(p.heads.begin(), p.heads.end());
          const Tensor copy = p.heads[m].clone();
          copy.data<double>()[i] += shift;
          moved[m] = copy;
          return value(loss(o, p.encoded(moved)));
        };
        CHECK(gradients[m][static_cast<std::size_t>(i)] ==
              doctest::Approx((at(kStep) - at(-kStep)) / (2 * kStep)).epsilon(1e-6).scale(1));
      }
  }
}

TEST_CASE("vae: what stands for a hole is not looked at") {
  Problem p(3), other(3);
  p.present = other.present = kSomeHoles;
  for (int m = 0; m < 3; ++m)
    for (std::int64_t b = 0; b < Problem::kRows; ++b) {
      if (contains(static_cast<Subset>(kSomeHoles[static_cast<std::size_t>(b)]), m)) continue;
      const auto k = static_cast<std::size_t>(m);
      for (std::int64_t j = 0; j < 2 * Problem::kLatent; ++j) other.heads[k].data<double>()[6 * b + j] = 0.5;
      for (std::int64_t j = 0; j < 4; ++j) other.data[k].data<double>()[4 * b + j] = -3;
    }
  for (const ModelKind kind : {ModelKind::mvae, ModelKind::mmvae, ModelKind::mopoe, ModelKind::mvtcae}) {
    const Objective o{.kind = kind, .beta = 2, .alpha = 0.6};
    CHECK(value(loss(o, p.encoded())) == doctest::Approx(value(loss(o, other.encoded()))).epsilon(1e-12));
    Problem whole(3);
    CHECK(value(loss(o, p.encoded())) != doctest::Approx(value(loss(o, whole.encoded()))).epsilon(1e-3));
    whole.present.assign(Problem::kRows, 7);  // all said to be there, one by one
    CHECK(value(loss(o, whole.encoded())) ==
          doctest::Approx(value(loss(o, Problem(3).encoded()))).epsilon(1e-9));
  }
}

TEST_CASE("vae: losses and gradients are those of an implementation in PyTorch from the description alone") {
  const SafetensorsFile file(std::filesystem::path(MLD_MLD_GOLDEN_DIR) / "vae_golden.safetensors");
  const auto read = [&](const std::string& name) { return read_tensor(file, name).to(DType::f64); };
  std::vector<std::pair<std::string, Objective>> cases{
      {"mvae", {.kind = ModelKind::mvae}},
      {"mmvae", {.kind = ModelKind::mmvae}},
      {"mopoe", {.kind = ModelKind::mopoe}},
      {"mvtcae", {.kind = ModelKind::mvtcae}},
      {"mvtcae.prior", {.kind = ModelKind::mvtcae, .prior_expert = true}}};
  for (std::size_t k = 0; k < 5; ++k) cases.emplace_back(cases[k].first + ".holes", cases[k].second);
  for (const auto& [name, kind] : cases) {
    const std::string key = name;
    const Objective o = kind;
    CAPTURE(key);
    Tape tape;
    auto [watched, batch] = golden_batch(tape, file, "", DType::f64, key.ends_with(".holes"));
    StepCounter counter(0, {}, 0.9, 0.999, kCpu);
    counter.tick();
    batch.component_rows = [&, present = batch.present](std::int64_t components) {
      const Tensor sets = set_list(mixed_sets(o.kind, 3), kCpu);
      REQUIRE(components == sets.numel());
      return component_rows(MixtureSplit::batch, sets, present, {0, kGoldenRows, kGoldenRows}, counter.ptr());
    };
    Objective objective = o;
    objective.beta = 2.5;
    objective.alpha = 0.7;
    const Var found = loss(objective, batch);
    CHECK(value(found) == doctest::Approx(host(read(key + "/loss"))[0]).epsilon(1e-6));
    tape.backward(found);
    for (std::int64_t m = 0; m < 3; ++m)
      check_near(host(tape.grad(watched[static_cast<std::size_t>(m)])),
                 host(read(numbered(key + "/gradient", m))), 2e-6);
  }
}

TEST_CASE("vae: NEXUS is that of PyTorch, at both levels") {
  const SafetensorsFile file(std::filesystem::path(MLD_MLD_GOLDEN_DIR) / "vae_golden.safetensors");
  const auto read = [&](const std::string& name) { return read_tensor(file, "nexus/" + name); };
  VaeConfig config;
  config.nexus_latent = 3;
  config.message = 6;
  config.hidden = {5, 7};
  for (const std::string key : {"nexus", "nexus.holes"}) {
    CAPTURE(key);
    const bool holes = key != "nexus";  // and one modality with a scale of its own
    const auto of_key = [&](const std::string& name) { return read_tensor(file, key + "/" + name); };
    UpperLevel upper(config, {2, 3, 4});
    nn::ParameterStore store(upper, {});
    store.initialize(0);
    for (auto& entry : store.parameters()) entry.data->value.copy_from(read("model/" + entry.name));
    Tape tape;
    store.begin_step();
    auto [watched, batch] = golden_batch(tape, file, "nexus/", DType::f32, holes);
    NexusObjective objective{
        .beta = 2.5,
        .told = {},
        .scales = {LatentScale::fixed, holes ? LatentScale::optimal : LatentScale::fixed, LatentScale::fixed},
        .upper = holes ? std::vector<double>{2.5, 0.5, 1} : std::vector<double>{1, 1, 1},
        .warm_up = Tensor::full({1}, 0.35)};
    for (std::int64_t m = 0; m < 3; ++m) objective.told.push_back(of_key(numbered("told", m)));
    const Var found = nexus_loss(upper, objective, batch, {.training = true});
    CHECK(value(found) == doctest::Approx(host(of_key("loss"))[0]).epsilon(1e-5));
    tape.backward(found);
    store.finish_backward();
    for (std::int64_t m = 0; m < 3; ++m)
      check_near(host(tape.grad(watched[static_cast<std::size_t>(m)])),
                 host(of_key(numbered("gradient/heads", m))), 1e-5);
    for (auto& entry : store.parameters()) {
      CAPTURE(entry.name);
      check_near(host(store.grad().view(entry.first, entry.data->shape)),
                 host(of_key("gradient/" + entry.name)), 2e-5);
    }
  }
}

TEST_CASE("vae: gradients of NEXUS's upper networks against central differences, in double") {
  VaeConfig config;
  config.nexus_latent = 2;
  config.message = 4;
  config.hidden = {5};
  for (const bool holes : {false, true}) {
    CAPTURE(holes);
    Problem p(3);
    if (holes) p.present = kSomeHoles;
    UpperLevel upper(config, {Problem::kLatent, Problem::kLatent, Problem::kLatent});
    nn::ParameterStore store(upper, {.dtype = DType::f64});
    store.initialize(3);
    NexusObjective objective{.beta = 1.7,
                             .told = {},
                             .scales = {LatentScale::optimal, LatentScale::fixed, LatentScale::optimal},
                             .upper = {0.5, 3, 1},
                             .warm_up = of({0.6}, {1})};
    for (int m = 0; m < 3; ++m) {
      std::vector<double> column;
      for (std::size_t b = 0; b < Problem::kRows; ++b) {
        const Subset has = holes ? static_cast<Subset>(kSomeHoles[b]) : full_set(3);
        column.push_back(contains(has, m) ? 1.0 / std::popcount(has) : 0);
      }
      objective.told.push_back(of(column, {Problem::kRows, 1}));
    }
    const auto loss_now = [&] { return nexus_loss(upper, objective, p.encoded(), {.training = true}); };
    {
      Tape tape;
      store.begin_step();
      tape.backward(loss_now());
      store.finish_backward();
    }
    constexpr double kStep = 1e-5;
    for (auto& entry : store.parameters()) {
      CAPTURE(entry.name);
      const std::vector<double> found = host(store.grad().view(entry.first, entry.data->shape));
      for (std::size_t i = 0; i < found.size(); ++i) {
        double& number = entry.data->value.data<double>()[i];
        const double before = number;
        number = before + kStep;
        const double up = value(loss_now());
        number = before - kStep;
        const double down = value(loss_now());
        number = before;
        CHECK(found[i] == doctest::Approx((up - down) / (2 * kStep)).epsilon(1e-5).scale(1));
      }
    }
  }
}

TEST_CASE(
    "vae: the bound is tight where the posterior is exact, and importance sampling finds the likelihood") {
  // x_k = a_k z + s_k e with z ~ N(0,1): log p(x) is a Gaussian's, and a product of the exact likelihood factors with
  // the prior is the posterior, for which log p(x, z) - log q(z) is log p(x) for every z.
  const std::array a{1.5, -0.7}, s{0.5, 1.2}, x{0.3, -1.1};
  const double ln_two_pi = std::log(2 * std::numbers::pi);
  std::vector<Gaussian> factors;
  for (std::size_t k = 0; k < 2; ++k) factors.push_back(univariate(x[k] / a[k], s[k] * s[k] / (a[k] * a[k])));
  // Covariance of (x_1, x_2).
  const double c11 = a[0] * a[0] + s[0] * s[0], c22 = a[1] * a[1] + s[1] * s[1], c12 = a[0] * a[1];
  const double determinant = c11 * c22 - c12 * c12;
  const double evidence =
      -0.5 * ((c22 * x[0] * x[0] - 2 * c12 * x[0] * x[1] + c11 * x[1] * x[1]) / determinant +
              std::log(determinant) + 2 * ln_two_pi);
  const Gaussian exact = product(factors, true), prior = univariate(0, 1);
  const Gaussian wide{exact.mean, affine(exact.log_var, 1, 0.5)};
  const auto log_ratio = [&](const Gaussian& q, double e) {
    const Var z = draw(q, of({e}, {1, 1}));
    double sum = value(log_density(prior, z)) - value(log_density(q, z));
    for (std::size_t k = 0; k < 2; ++k) {
      const double off = (x[k] - a[k] * value(z)) / s[k];
      sum += -0.5 * (off * off + ln_two_pi) - std::log(s[k]);
    }
    return sum;
  };
  for (const double e : {-2.0, 0.0, 1.3})
    CHECK(log_ratio(exact, e) == doctest::Approx(evidence).epsilon(1e-6));
  std::mt19937_64 generator(7);
  std::normal_distribution<double> normal;
  double bound = 0, weights = 0;
  constexpr int kDraws = 20'000;
  for (int n = 0; n < kDraws; ++n) {
    const double r = log_ratio(wide, normal(generator));
    bound += r / kDraws;
    weights += std::exp(r - evidence) / kDraws;
  }
  CHECK(weights == doctest::Approx(1).epsilon(0.02));
  // The gap is KL(q || posterior), of variances e^0.5 apart.
  CHECK(evidence - bound == doctest::Approx(value(kl(wide, exact, 1))).epsilon(0.1));
}

}  // namespace mld::vae
