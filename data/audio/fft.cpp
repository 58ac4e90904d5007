#include "data/audio/fft.h"

#include <cmath>
#include <numbers>

#include "engine/base/error.h"

namespace mld::data {
namespace {

struct Twiddles {
  float c1, s1, c2, s2, c3, s3;
};

// One radix-4 butterfly over `width` neighbouring values; quarter: distance between its inputs.
inline void butterfly(const float* re, const float* im, float* out_re, float* out_im, std::size_t quarter,
                      std::size_t width, const Twiddles& w) {
#pragma GCC ivdep
  for (std::size_t q = 0; q < width; ++q) {
    const float ar = re[q], br = re[q + quarter], cr = re[q + 2 * quarter], dr = re[q + 3 * quarter];
    const float ai = im[q], bi = im[q + quarter], ci = im[q + 2 * quarter], di = im[q + 3 * quarter];
    const float sum_ac_r = ar + cr, sum_ac_i = ai + ci, dif_ac_r = ar - cr, dif_ac_i = ai - ci;
    const float sum_bd_r = br + dr, sum_bd_i = bi + di, dif_bd_r = br - dr, dif_bd_i = bi - di;
    out_re[q] = sum_ac_r + sum_bd_r;
    out_im[q] = sum_ac_i + sum_bd_i;
    const float r1 = dif_ac_r + dif_bd_i, i1 = dif_ac_i - dif_bd_r;
    const float r2 = sum_ac_r - sum_bd_r, i2 = sum_ac_i - sum_bd_i;
    const float r3 = dif_ac_r - dif_bd_i, i3 = dif_ac_i + dif_bd_r;
    out_re[q + width] = r1 * w.c1 + i1 * w.s1;
    out_im[q + width] = i1 * w.c1 - r1 * w.s1;
    out_re[q + 2 * width] = r2 * w.c2 + i2 * w.s2;
    out_im[q + 2 * width] = i2 * w.c2 - r2 * w.s2;
    out_re[q + 3 * width] = r3 * w.c3 + i3 * w.s3;
    out_im[q + 3 * width] = i3 * w.c3 - r3 * w.s3;
  }
}

}  // namespace

RealFft::RealFft(std::size_t n) : n_(n), half_(n / 2) {
  std::size_t rest = half_;
  while (rest > 1 && rest % 4 == 0) rest /= 4;
  MLD_CHECK(n % 2 == 0 && half_ >= 4 && rest == 1, "RealFft: length ", n, " is not 2 * 4^k");
  cos_.resize(n);
  sin_.resize(n);
  for (std::size_t j = 0; j < n; ++j) {
    const double angle = 2.0 * std::numbers::pi * static_cast<double>(j) / static_cast<double>(n);
    cos_[j] = static_cast<float>(std::cos(angle));
    sin_[j] = static_cast<float>(std::sin(angle));
  }
  for (auto* buffer : {&re_, &im_, &work_re_, &work_im_}) buffer->resize(half_ * kLanes);
}

void RealFft::transform() {
  for (std::size_t n = half_, stride = 1; n > 1; n /= 4, stride *= 4) {
    const std::size_t width = stride * kLanes;
    for (std::size_t p = 0; p < n / 4; ++p) {
      const std::size_t j = p * (n_ / n);
      const Twiddles w{cos_[j], sin_[j], cos_[2 * j], sin_[2 * j], cos_[3 * j], sin_[3 * j]};
      butterfly(re_.data() + p * width, im_.data() + p * width, work_re_.data() + 4 * p * width,
                work_im_.data() + 4 * p * width, n / 4 * width, width, w);
    }
    re_.swap(work_re_);
    im_.swap(work_im_);
  }
}

void RealFft::forward(std::span<const float> frames, std::span<float> re, std::span<float> im) {
  MLD_CHECK(frames.size() == n_ * kLanes && re.size() == bins() * kLanes && im.size() == re.size(),
            "RealFft: wrong buffer sizes");
  for (std::size_t t = 0; t < half_; ++t) {
    for (std::size_t l = 0; l < kLanes; ++l) {
      re_[t * kLanes + l] = frames[2 * t * kLanes + l];
      im_[t * kLanes + l] = frames[(2 * t + 1) * kLanes + l];
    }
  }
  transform();
  for (std::size_t k = 0; k <= half_; ++k) {
    const std::size_t a = k % half_ * kLanes, b = (half_ - k) % half_ * kLanes;
    const float c = cos_[k], s = sin_[k];
#pragma GCC ivdep
    for (std::size_t l = 0; l < kLanes; ++l) {
      const float even_r = 0.5F * (re_[a + l] + re_[b + l]), even_i = 0.5F * (im_[a + l] - im_[b + l]);
      const float odd_r = 0.5F * (im_[a + l] + im_[b + l]), odd_i = 0.5F * (re_[b + l] - re_[a + l]);
      re[k * kLanes + l] = even_r + odd_r * c + odd_i * s;
      im[k * kLanes + l] = even_i + odd_i * c - odd_r * s;
    }
  }
}

void RealFft::inverse(std::span<const float> re, std::span<const float> im, std::span<float> frames) {
  MLD_CHECK(frames.size() == n_ * kLanes && re.size() == bins() * kLanes && im.size() == re.size(),
            "RealFft: wrong buffer sizes");
  const float scale = 0.5F / static_cast<float>(half_);
  for (std::size_t k = 0; k < half_; ++k) {
    const std::size_t a = k * kLanes, b = (half_ - k) * kLanes;
    const float c = cos_[k], s = sin_[k], real_bin = k == 0 ? 0.0F : 1.0F;
#pragma GCC ivdep
    for (std::size_t l = 0; l < kLanes; ++l) {
      const float ai = real_bin * im[a + l], bi = real_bin * im[b + l];
      const float even_r = re[a + l] + re[b + l], even_i = ai - bi;
      const float dif_r = re[a + l] - re[b + l], dif_i = ai + bi;
      const float odd_r = dif_r * c - dif_i * s, odd_i = dif_r * s + dif_i * c;
      re_[a + l] = scale * (even_r - odd_i);
      im_[a + l] = -scale * (even_i + odd_r);  // conjugate: the forward transform then inverts
    }
  }
  transform();
  for (std::size_t t = 0; t < half_; ++t) {
    for (std::size_t l = 0; l < kLanes; ++l) {
      frames[2 * t * kLanes + l] = re_[t * kLanes + l];
      frames[(2 * t + 1) * kLanes + l] = -im_[t * kLanes + l];
    }
  }
}

}  // namespace mld::data
