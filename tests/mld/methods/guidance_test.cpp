// Guidance against its formula, of a network with random weights: with w = 0 nothing that is given, and none of the
// other modalities, can be seen in a draw.
#include <doctest/doctest.h>

#include <numeric>

#include "engine/ops/ops.h"
#include "mld/diffusion/networks/adaln.h"
#include "mld/diffusion/sde.h"
#include "mld/methods/latent_sampler.h"
#include "tests/devices.h"
#include "tests/expect_error.h"
#include "tests/nn/helpers.h"

namespace mld {
namespace {

constexpr Subset kFirst = 1, kSecond = 2;

// Two modalities of 3 and 2 numbers.
struct Fixture {
  explicit Fixture(Device on = kCpu) : device(on), store(net, {.device = on, .training = false}) {
    store.initialize(3);
    std::uint64_t seed = 10;
    for (auto& entry : store.parameters())  // what starts at zero, too
      entry.data->value.copy_from(
          affine(test::random(entry.data->shape, ++seed, DType::f32, on), 0.4, 0).value);
  }
  Tensor draw(const SamplerOptions& options, Subset given, const Tensor& z,
              Prediction prediction = Prediction::velocity) {
    const SamplerPlan plan = make_plan(options);
    LatentSampler sampler(net, layout, prediction, plan, options.guidance, given, 7, z.shape()[0], device);
    std::vector<std::int32_t> ids(static_cast<std::size_t>(z.shape()[0]));
    std::iota(ids.begin(), ids.end(), 20);
    std::int64_t done = 0;
    const Tensor out = sampler(given == 0 ? Tensor() : z, ids, [&](std::int64_t now, std::int64_t total) {
      done = now;
      return now <= total;
    });
    CHECK(done == plan.network_calls(guidance_references(given, 2)));
    return out;
  }

  Device device;
  LatentLayout layout{{3, 2}};
  AdaLnNetwork net{{.dim = 5, .times = 2, .width = 16, .time_dim = 8, .blocks = 2, .fourier = 2}};
  nn::ParameterStore store;
};

SamplerOptions guided(double w, double low = 0, double high = kMaxRatio) {
  return {.method = SamplerMethod::dpm_sde,
          .steps = 8,
          .churn = 1,
          .guidance = w,
          .guidance_low = low,
          .guidance_high = high};
}

std::vector<double> slice(const Fixture& f, const Tensor& z, int i) {
  return test::host(f.layout.slice(z, i));
}

}  // namespace

TEST_CASE("guidance: with weight 0 a draw does not see what is given, nor a joint one the other modalities") {
  Fixture f;
  const Tensor z = test::random({6, 5}, 1, DType::f32), other = test::random({6, 5}, 2, DType::f32);
  for (const Prediction prediction : {Prediction::velocity, Prediction::noise}) {
    const auto draw = [&](double w, Subset given, const Tensor& from) {
      return f.draw(guided(w), given, from, prediction);
    };
    const Tensor blind = draw(0, kFirst, z);
    CHECK(slice(f, blind, 0) == slice(f, z, 0));  // what is given stays
    test::check_near(slice(f, draw(0, kFirst, other), 1), slice(f, blind, 1), 1e-4);
    // A joint draw is one of each modality by itself.
    const Tensor joint = draw(0, 0, z);
    test::check_near(slice(f, joint, 1), slice(f, blind, 1), 1e-4);
    test::check_near(slice(f, joint, 0), slice(f, draw(0, kSecond, other), 0), 1e-4);
    // With weight 1 it does see it.
    const auto sees = [&](double w) {
      const auto a = slice(f, draw(w, kFirst, z), 1), b = slice(f, draw(w, kFirst, other), 1);
      double most = 0;
      for (std::size_t k = 0; k < a.size(); ++k) most = std::max(most, std::abs(a[k] - b[k]));
      return most;
    };
    CHECK(sees(1) > 0.1);
    CHECK(sees(0) < 1e-3);
  }
}

TEST_CASE("guidance: a step is the formula's, made of calls by hand") {
  Fixture f;
  const SamplerOptions options{.method = SamplerMethod::dpm,
                               .steps = 1,
                               .guidance = 2.5,
                               .guidance_low = 0,
                               .guidance_high = kMaxRatio};
  const Tensor z = test::random({4, 5}, 1, DType::f32);
  const std::vector<std::int32_t> ids{20, 21, 22, 23};
  const Tensor rows = Tensor::from(ids, {4}), place = Tensor::zeros({1}, DType::i32);
  PhiloxNoise noise(7);
  const Tensor start = Tensor::empty({4, 5}), absent = Tensor::empty({4, 5});
  noise.normal(start, kSiteInitial, place, rows);
  noise.normal(absent, kSiteAbsent, place, rows);
  const auto put = [&](const Tensor& at, int modality, const Tensor& from) {
    f.layout.set_slice(at, modality, f.layout.slice(from, modality));
  };
  const auto call = [&](const Tensor& r, float first, float second) {
    std::vector<float> tau;
    for (int b = 0; b < 4; ++b) tau.insert(tau.end(), {first, second});
    return f.net(r, Tensor::from(tau, {4, 2})).value;
  };
  // One step from time 1 to the data: z = (r + sigma n) / a.
  const double a = VpSde::mean(1), s = VpSde::std_dev(1);
  const auto data = [&](double r, double n) { return (r + s * n) / a; };
  const auto check = [&](Subset given, int modality, const Tensor& seen, const Tensor& alone) {
    const Tensor got = f.draw(options, given, z, Prediction::noise);
    const auto r = slice(f, seen, modality),
               with = slice(f, call(seen, contains(given, 0) ? 0 : 1, 1), modality),
               without = slice(f, call(alone, 1, 1), modality), out = slice(f, got, modality);
    for (std::size_t k = 0; k < r.size(); ++k)
      CHECK(out[k] == doctest::Approx(data(r[k], with[k] + 1.5 * (with[k] - without[k]))).epsilon(1e-4));
  };
  Tensor seen = start.clone(), alone = start.clone();
  put(seen, 0, z);
  put(alone, 0, absent);
  check(kFirst, 1, seen, alone);
  check(0, 1, start, alone);
}

TEST_CASE("guidance: outside of its noise levels and with weight 1 nothing changes, and calls are counted") {
  Fixture f;
  const Tensor z = test::random({5, 5}, 1, DType::f32);
  for (const Subset given : {Subset{0}, kFirst, kSecond}) {
    const auto plain = test::host(f.draw(guided(1), given, z));
    CHECK(test::host(f.draw(guided(3, 1e5), given, z)) == plain);
    CHECK(test::host(f.draw(guided(3), given, z)) != plain);
    CHECK(test::host(f.draw(guided(3, 0.5, 2), given, z)) != test::host(f.draw(guided(3), given, z)));
  }
  const SamplerPlan plan = make_plan(guided(3, 0.5, 2));
  CHECK(plan.evaluations == 8);
  CHECK(plan.guided > 0);
  CHECK(plan.guided < 8);
  for (const Transition& t : plan.transitions) {
    const double time = plan.times[static_cast<std::size_t>(t.level)];
    const double ratio = VpSde::std_dev(time) / VpSde::mean(time);
    CHECK(t.guided == (ratio >= 0.5 && ratio <= 2));
  }
  CHECK(plan.network_calls(2) == 8 + 2 * plan.guided);
}

TEST_CASE("guidance: on every device as on the cpu") {
  const Tensor z = test::random({5, 5}, 1, DType::f32);
  for (const Subset given : {Subset{0}, kFirst}) {
    const auto want = test::host(Fixture().draw(guided(2, 0.3, 5), given, z));
    for (const Device device : test::queued_devices()) {
      const auto got = test::host(Fixture(device).draw(guided(2, 0.3, 5), given, z));
      if (device == kSim) CHECK(got == want);
      test::check_near(got, want, 1e-4);
    }
  }
}

}  // namespace mld
