// Speed of the CPU matrix product and convolutions at the shapes of the presets, against the peak rate of
// fused multiply-adds that this machine reaches in the same run.
//
//   bench_gemm [THREADS] [REPETITIONS]
//
// Every case is run once in each of REPETITIONS rounds, the peak included, and its fastest time counts: on a
// shared machine compare only numbers of one run.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "engine/kernels/conv_kernel.h"
#include "engine/kernels/gemm_kernel.h"
#include "engine/threads/threads.h"
#include "tools/bench/fma_peak.h"

namespace {

using namespace mld;
using i64 = std::int64_t;
using Floats = std::vector<float>;

struct Case {
  std::string name;
  double flops;
  std::function<void()> run;
  double seconds = 1e9;
};

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// The three products of a linear layer at one batch size.
void add_layer(std::vector<Case>& cases, i64 batch, i64 in, i64 out, const Floats& x, const Floats& w,
               Floats& c) {
  const std::string shape = std::to_string(batch) + " x " + std::to_string(in) + " -> " + std::to_string(out);
  const double flops = 2.0 * static_cast<double>(batch * in * out);
  float* const to = c.data();
  cases.push_back({"y  " + shape, flops, [=, a = x.data(), b = w.data()] {
                     cpu::gemm(batch, out, in, {a, in}, {b, in, true}, to, out);
                   }});
  cases.push_back({"dx " + shape, flops, [=, a = x.data(), b = w.data()] {
                     cpu::gemm(batch, in, out, {a, out}, {b, in}, to, in);
                   }});
  cases.push_back({"dw " + shape, flops, [=, a = x.data(), b = w.data()] {
                     cpu::gemm(out, in, batch, {a, out, true}, {b, in}, to, in);
                   }});
}

void add_convolution(std::vector<Case>& cases, const std::string& name, const ConvDims& s, Floats& x,
                     Floats& w, Floats& y) {
  const double flops = 2.0 * static_cast<double>(s.n * s.out_h() * s.out_w() * s.out * s.kh * s.kw * s.in);
  float *const px = x.data(), *const pw = w.data(), *const py = y.data();
  cases.push_back({name + " forward", flops, [=] { cpu::conv_forward(s, px, pw, nullptr, {}, py); }});
  cases.push_back(
      {name + " backward data", flops, [=] { cpu::conv_backward_data(s, py, pw, nullptr, {}, false, px); }});
  cases.push_back(
      {name + " backward weights", flops, [=] { cpu::conv_backward_weights(s, px, py, false, pw); }});
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : max_threads();
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 10;
  set_threads(std::clamp(threads, 1, kMaxThreads));
  // Zeros: products of zeros take as long as others, and repeated runs in place cannot overflow.
  Floats x(std::size_t{1} << 24), w(std::size_t{1} << 23), y(std::size_t{1} << 24);
  const bench::FmaPeak fma_peak(std::clamp(threads, 1, kMaxThreads));
  std::vector<Case> cases{{"peak", fma_peak.flops(), fma_peak}};
  for (const i64 batch : {128, 1024})
    for (const auto& [in, out] : {std::pair<i64, i64>{80, 512},
                                  {256, 256},
                                  {512, 512},
                                  {1024, 512},
                                  {1024, 1024},
                                  {1536, 1536},
                                  {3072, 1536}})
      add_layer(cases, batch, in, out, x, w, y);
  add_convolution(cases, "SVHN 1", {128, 32, 32, 3, 32, 4, 4, 2, 2, 1, 1}, x, w, y);
  add_convolution(cases, "SVHN 2", {128, 16, 16, 32, 64, 4, 4, 2, 2, 1, 1}, x, w, y);
  add_convolution(cases, "SVHN 3", {128, 8, 8, 64, 128, 4, 4, 2, 2, 1, 1}, x, w, y);
  add_convolution(cases, "SVHN 4", {128, 4, 4, 128, 64, 4, 4, 1, 1, 0, 0}, x, w, y);
  add_convolution(cases, "MHD sound 1", {64, 32, 128, 1, 128, 1, 128, 1, 1, 0, 0}, x, w, y);
  add_convolution(cases, "MHD sound 3", {64, 16, 1, 128, 256, 4, 1, 2, 1, 1, 0}, x, w, y);
  add_convolution(cases, "CUB 64", {8, 64, 64, 64, 64, 3, 3, 1, 1, 1, 1}, x, w, y);
  for (int round = 0; round < rounds; ++round)
    for (Case& c : cases) {
      c.run();
      const double start = now();
      c.run();
      c.seconds = std::min(c.seconds, now() - start);
    }
  const double peak = cases[0].flops / cases[0].seconds;
  std::printf("%d threads, peak %.1f GFLOP/s\n", threads, peak * 1e-9);
  for (std::size_t i = 1; i < cases.size(); ++i)
    std::printf("%-32s %9.3f ms %7.1f GFLOP/s %4.0f %% of peak\n", cases[i].name.c_str(),
                cases[i].seconds * 1e3, cases[i].flops / cases[i].seconds * 1e-9,
                100 * cases[i].flops / cases[i].seconds / peak);
  return 0;
}
