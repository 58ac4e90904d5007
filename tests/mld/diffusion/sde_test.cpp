#include "mld/diffusion/sde.h"

#include <doctest/doctest.h>

#include <cmath>
#include <initializer_list>

#include "mld/diffusion/time_sampling.h"

using mld::ImportanceTime;
using mld::VpSde;

TEST_CASE("sde: the table of docs/method.md section 4") {
  struct Row {
    double t, b, a, sigma, beta, g;
  };
  for (const Row& r : {Row{0.004, 0.0005592, 0.99972044, 0.02364410, 0.1796, 0.42379240},
                       Row{0.01, 0.001995, 0.99900300, 0.04464316, 0.299, 0.54680892},
                       Row{0.1, 0.1095, 0.94672180, 0.32205254, 2.09, 1.44568323},
                       Row{0.25, 0.646875, 0.72365719, 0.69015960, 5.075, 2.25277607},
                       Row{0.5, 2.5375, 0.28118288, 0.95965420, 10.05, 3.17017350},
                       Row{0.75, 5.671875, 0.05866350, 0.99827781, 15.025, 3.87620949},
                       Row{1.0, 10.05, 0.00657159, 0.99997841, 20, 4.47213595}}) {
    CHECK(VpSde::integral(r.t) == doctest::Approx(r.b).epsilon(1e-12));
    CHECK(std::abs(VpSde::mean(r.t) - r.a) < 6e-9);
    CHECK(std::abs(VpSde::std_dev(r.t) - r.sigma) < 6e-9);
    CHECK(VpSde::beta(r.t) == doctest::Approx(r.beta).epsilon(1e-12));
    CHECK(std::abs(VpSde::diffusion(r.t) - r.g) < 6e-9);
    CHECK(VpSde::time_of_integral(r.b) == doctest::Approx(r.t).epsilon(1e-10));
  }
}

TEST_CASE("time sampling: reference values of the importance density") {
  CHECK(std::abs(ImportanceTime::rate() - 1090.555631) < 1e-6);
  CHECK(std::abs(ImportanceTime::lambda(1) - 10.049956813) < 1e-9);
  CHECK(std::abs(ImportanceTime::lambda(ImportanceTime::kTruncation) + 9.115429866) < 1e-9);
  CHECK(std::abs(ImportanceTime::normaliser() - 20.255942310) < 1e-8);
  CHECK(std::abs(ImportanceTime::rate() * ImportanceTime::kTruncation / ImportanceTime::normaliser() -
                 0.053838800) < 1e-9);
  CHECK(std::abs(ImportanceTime::inverse(0.3) - 0.0353485050) < 1e-9);
  CHECK(std::abs(ImportanceTime::inverse(0.6) - 0.4523163260) < 1e-9);
  CHECK(std::abs(ImportanceTime::inverse(0.9) - 0.8930432187) < 1e-9);
}

TEST_CASE("time sampling: the distribution function, of docs/method.md section 8 and against its inverse") {
  CHECK(ImportanceTime::distribution(0) == 0);
  CHECK(std::abs(ImportanceTime::distribution(1) - 1) < 1e-15);
  CHECK(std::abs(ImportanceTime::distribution(ImportanceTime::kTruncation) - 0.053838800) < 1e-9);
  CHECK(std::abs(ImportanceTime::distribution(0.0353485050) - 0.3) < 1e-9);
  CHECK(std::abs(ImportanceTime::distribution(0.4523163260) - 0.6) < 1e-9);
  CHECK(std::abs(ImportanceTime::distribution(0.8930432187) - 0.9) < 1e-9);
  for (double t : {1e-6, 5e-4, 0.002, 0.1, 0.7, 0.999})
    CHECK(std::abs(ImportanceTime::inverse(ImportanceTime::distribution(t)) / t - 1) < 1e-9);
}

TEST_CASE("time sampling: the inverse of the distribution function has the right density") {
  // d/du of the inverse is Z / w(t), w = beta/sigma^2 above the truncation.
  for (double u : {0.01, 0.1, 0.2, 0.5, 0.8, 0.99}) {
    const double h = 1e-6, t = ImportanceTime::inverse(u);
    const double slope = (ImportanceTime::inverse(u + h) - ImportanceTime::inverse(u - h)) / (2 * h);
    const double s = VpSde::std_dev(t);
    const double w = t > ImportanceTime::kTruncation ? VpSde::beta(t) / (s * s) : ImportanceTime::rate();
    CHECK(slope * w / ImportanceTime::normaliser() == doctest::Approx(1).epsilon(1e-4));
  }
}

TEST_CASE("time sampling: every kind stays within [t_min, 1]") {
  for (auto kind :
       {mld::TimeSampling::uniform, mld::TimeSampling::importance, mld::TimeSampling::lognormal}) {
    const mld::TimeDistribution dist{.kind = kind, .t_min = 1e-6, .log_mean = -0.5, .log_std = 1.2};
    for (double u : {0.0, 1e-9, 0.3, 0.999999})
      for (double z : {-6.0, 0.0, 6.0}) {
        const double t = dist.draw(u, z);
        CHECK(t >= 1e-6);
        CHECK(t <= 1);
      }
  }
  // lognormal: the median has sigma/a = exp(log_mean)
  const mld::TimeDistribution dist{.kind = mld::TimeSampling::lognormal, .log_mean = -0.5, .log_std = 1.2};
  const double t = dist.draw(0, 0);
  CHECK(VpSde::std_dev(t) / VpSde::mean(t) == doctest::Approx(std::exp(-0.5)).epsilon(1e-9));
}
