// A Fourier transform of real frames for the audio front end: eight frames at a time, interleaved, so that
// every butterfly is one vector instruction. Stockham's self-sorting radix-4 algorithm on the half-length
// complex transform (W. Cochran et al., "What is the fast Fourier transform?", 1967).
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace mld::data {

class RealFft {
 public:
  static constexpr std::size_t kLanes = 8;

  // n: frame length, 2 * 4^k with k >= 1.
  explicit RealFft(std::size_t n);
  std::size_t size() const { return n_; }
  std::size_t bins() const { return n_ / 2 + 1; }

  // X_k = sum_t x_t exp(-2 pi i k t / n) for k = 0 .. n/2.
  // frames [n, kLanes]; re, im [n/2 + 1, kLanes].
  void forward(std::span<const float> frames, std::span<float> re, std::span<float> im);
  // The frames whose forward transform is (re, im); the imaginary parts of bins 0 and n/2 do not matter.
  void inverse(std::span<const float> re, std::span<const float> im, std::span<float> frames);

 private:
  void transform();  // complex transform of (re_, im_) in place
  std::size_t n_, half_;
  std::vector<float> cos_, sin_;  // of 2 pi j / n, j = 0 .. n - 1
  std::vector<float> re_, im_, work_re_, work_im_;
};

}  // namespace mld::data
