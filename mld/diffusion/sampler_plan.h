// What a sampler does, written down before it starts: a list of transitions between noise levels, each of
// which is affine in the state r, the network's output n = sigma times score, fresh noise and a memory m of
// what came before,
//   r <- keep r + push n + spread zeta + carry m,    m <- save_keep r + save_push n   (of the old r),
// so that one kernel serves every method, and a recorded transition every place of the walk.
//
// Methods, all of them walking the jump schedule (schedule.h):
//   em       Euler-Maruyama on the reverse SDE (the paper; docs/method.md section 10.2)
//   dpm      DPM-Solver++(2M) (Lu et al. 2022, arXiv 2211.01095) on the probability-flow ODE
//   dpm_sde  the same for the reverse SDEs that share its marginals,
//              dr = [f - (1 + churn)/2 g^2 s] dt + sqrt(churn) g dw;
//            churn 1 is SDE-DPM-Solver++(2M), whose step without memory is DDPM's ancestral one; more adds
//            Langevin steps at every level, which mend what network and steps get wrong. The memory's weight
//            is, within bounds, the one that keeps the variance of standard normal latents (sampler_plan.cpp)
//   heun     Heun's method on the probability-flow ODE in r/a against sigma/a (Karras et al. 2022, algorithm
//            1, arXiv 2206.00364): two network calls a level but the last
// Levels: em evenly in t; dpm and heun as Karras et al. (rho = 7) in s = sigma/a from kFirstTime to t = 1;
// dpm_sde from s = kFirstRatio to t = 1 evenly in the logarithm of
//   w = s / sqrt(1 + (s / kBlindRatio)^2):
// evenly in log s where the noise leaves something to decide of latents of variance 1, and wide above, where
// the others spend half their calls (docs/benchmarks.md, Samplers). All but em go back to higher levels by
// the exact kernel of the forward process.
#pragma once

#include <cstdint>
#include <vector>

#include "mld/config/sampler_options.h"

namespace mld {

struct Transition {
  int level = 0;  // at which the network is called, or from which noise is added
  bool evaluates = false, noisy = false;
  bool guided = false;  // the network's output is that of guidance, which takes more calls
  double keep = 0, push = 0, spread = 0, carry = 0, save_keep = 0, save_push = 0;
  double given_mean = 1, given_std = 0;  // given coordinates <- given_mean z + given_std eta, before a call
};

struct SamplerPlan {
  static constexpr double kFirstTime = 1e-3;  // of level 1: dpm, heun
  // sigma/a of level 1, and from where on noise hides nearly all: dpm_sde
  static constexpr double kFirstRatio = 0.03, kBlindRatio = 4;

  std::vector<double> times;  // of the levels 0, 1, ..., ascending; level 0 is the data
  std::vector<Transition> transitions;
  std::int64_t evaluations = 0, guided = 0;  // transitions that evaluate, and those of them that are guided
  bool remembers = false;                    // some transition reads m
  // In-painting (docs/method.md section 11.1): before each network call the given coordinates are brought to the
  // noise level by fresh noise, for networks that know one time only. Otherwise they stay clean.
  bool noised_given = false;

  // Where guidance weighs the output against that of `references` other calls.
  std::int64_t network_calls(std::int64_t references = 0) const { return evaluations + references * guided; }
};

// ErrorKind::usage for options beyond their limits.
SamplerPlan make_plan(const SamplerOptions& options, bool noised_given = false);

}  // namespace mld
