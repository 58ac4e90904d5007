// Log densities of rows, normalised, for importance-sampled likelihoods (docs/method.md section 20.4). On the host in
// double: they are sums of thousands of terms, of which differences matter.
#pragma once

#include <vector>

#include "mld/config/config.h"
#include "mld/methods/vae/gaussian.h"

namespace mld::vae {

// log p(x | output) of each row, of the density whose -log the modality's loss is but for constants: a Laplace or a
// normal one of variance 1/2 over the values, in the units of the networks, both [N, sample...]; or the mass of the
// numbers x i32 [N,n] under output [N,n,K].
std::vector<double> log_density(const ModalityConfig& config, const Tensor& output, const Tensor& x);
// log q(z) of each row, z [N,L].
std::vector<double> log_density(const Gaussian& q, const Tensor& z);
// log N(z; 0, I) of each row.
std::vector<double> log_prior(const Tensor& z);

// log of the mean of exp over each row's values, which come one after the other.
class LogMeanExp {
 public:
  explicit LogMeanExp(std::size_t rows) : sums_(rows) {}
  void add(const std::vector<double>& values);
  std::vector<double> result() const;
  // (sum w)² / sum w² of w = exp(value): how many of the draws count.
  std::vector<double> effective() const;

 private:
  struct Sum {
    double largest = 0, ones = 0, squares = 0;  // sums of exp(v - largest) and its square
  };
  std::vector<Sum> sums_;
  std::int64_t count_ = 0;
};

}  // namespace mld::vae
