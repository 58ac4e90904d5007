// The one table of the configuration: name, member, range and meaning of every setting. Parsing, printing,
// the reference and the comparison of configurations are visitors of it; a new setting is a member in
// config.h and a line here, marked added() (fields.h). The sampler's stand in sampler_options.h. Internal to
// mld/.
#pragma once

#include "engine/threads/threads.h"
#include "mld/config/config.h"
#include "mld/config/fields.h"

namespace mld::config {

inline constexpr double kMaxCount = 1e9, kMaxWidth = 65536;

template <>
struct Fields<TrainConfig> {
  static void visit(auto& c, auto&& v) {
    v("steps", c.steps, Limits{0, kMaxCount},
      "budget of training steps, and the length of the cosine; 0: none");
    v("epochs", c.epochs, Limits{0, 1e6},
      "budget of passes over what is sampled; 0: none. The first budget used up ends the stage");
    v("minutes", c.minutes, Limits{0, 1e6},
      "budget of wall-clock time, which makes results depend on the machine; 0: none");
    v("batch", c.batch, Limits{1, kMaxWidth}, "samples of a step");
    v("lr", c.lr, Limits{1e-12, 10}, "learning rate of Adam");
    v("schedule", c.schedule, kAny, "learning rate: constant, or falling along a half cosine to final_lr");
    v("final_lr", c.final_lr, Limits{0, 10}, "learning rate at the end of the cosine");
    v("schedule_steps", c.schedule_steps, Limits{0, kMaxCount}.added(0),
      "length of the cosine in steps, final_lr from there on; 0: the budget");
    v("warmup", c.warmup, Limits{0, kMaxCount}, "steps over which the learning rate rises linearly from 0");
    v("weight_decay", c.weight_decay, Limits{0, 1}, "factor of the weights added to the gradient");
    v("decoupled_decay", c.decoupled_decay, kAny, "weight decay applied to the weights instead (AdamW)");
    v("clip", c.clip, Limits{0, 1e6}, "gradients are scaled down to this norm; 0: never");
    v("ema", c.ema, Limits{0, 0.999999},
      "decay of the averaged weights that are used afterwards; 0: no averaging");
  }
};

template <>
struct Fields<StageConfig> {
  static void visit(auto& c, auto&& v) {
    Fields<TrainConfig>::visit(c, v);
    v("sampling", c.sampling, kAny,
      "an epoch is one pass over the modality's items, or over all samples, repeating items (the paper's "
      "way)");
    v("init", c.init, kAny,
      "initial weights: uniform within 1/sqrt(fan in) (the paper's code), or sqrt(6) times that (He et al.)");
    v("shift", c.shift, Limits{0, 64}.added(0),
      "augmentation: pictures are shifted by up to so many pixels, spectrograms by frames and bands");
    v("gain", c.gain, Limits{0, 1}.added(0), "augmentation: their contrast is multiplied by 1 +- up to this");
    v("offset", c.offset, Limits{0, 1}.added(0),
      "augmentation: their range is moved by +- up to this share of it");
    v("trivial_augment", c.trivial_augment, kAny.added(false),
      "augmentation: one operation of TrivialAugmentWide (Mueller and Hutter 2021) on every colour picture");
  }
};

template <>
struct Fields<ModelConfig> {
  static void visit(auto& c, auto&& v) {
    v("kind", c.kind, kAny,
      "the method: masked multi-time diffusion, or its variants with one time and in-painting (inpaint) or "
      "with independent times (uni), which read neither score.d nor score.subsets; or a VAE: mvae, mmvae, "
      "mopoe, "
      "mvtcae, nexus, which read vae.* in place of score.* and sampler.*");
  }
};

template <>
struct Fields<DataConfig> {
  static void visit(auto& c, auto&& v) { v("store", c.store, kAny, "folder of the imported data set"); }
};

template <>
struct Fields<RunConfig> {
  static void visit(auto& c, auto&& v) {
    v("log_every", c.log_every, Limits{1, kMaxCount}, "steps between two lines of metrics.jsonl");
    v("checkpoint_every", c.checkpoint_every, Limits{0, kMaxCount},
      "steps between two checkpoints; 0: only at the end of a stage");
  }
};

template <>
struct Fields<LayersConfig> {
  static void visit(auto& c, auto&& v) {
    v("width", c.width, Limits{0, 4096}.added(0),
      "conv, series: channels of the first level, twice as many at each that follows up to 8 times; mlp: "
      "units of a "
      "hidden layer. 0: 32, of mlp 512");
    v("depth", c.depth, Limits{1, 12}.added(2),
      "conv, series: levels, each of half the sides or length; mlp: hidden layers");
    v("blocks", c.blocks, Limits{0, 16}.added(0), "conv, series: residual blocks at each level");
  }
};

template <>
struct Fields<ModalityConfig> {
  static void visit(auto& c, auto&& v) {
    v("name", c.name, kAny, "name of the modality in the data set");
    v("units", c.units, kAny.added(Units::declared),
      "units its networks work in: the declared ones, a vector's coordinates or a series' channels "
      "standardised over "
      "the training items, or the declared range as 0 to 1");
    v("autoencoder", c.autoencoder, kAny,
      "architecture; mlp fits any data, conv any picture or spectrogram, series any series and vector");
    v("layers", c.layers, kAny, "sizes of mlp, conv and series");
    v("latent", c.latent, Limits{1, kMaxWidth}, "size of the latent vector");
    v("likelihood", c.likelihood, kAny,
      "reconstruction loss: |x-y|/scale, squared error, or cross-entropy of categories");
    v("scale", c.scale, Limits{1e-6, 1e6}, "scale of the laplace likelihood");
    v("weight", c.weight, Limits{0, 1e6}, "weight of the modality in the score network's loss");
    v("vae_weight", c.vae_weight, Limits{0, 1e6}.added(1),
      "weight of its reconstruction in what mvae, mmvae, mopoe and mvtcae decode jointly");
    v("nexus_weight", c.nexus_weight, Limits{0, 1e6}.added(1),
      "nexus: weight of its reconstruction at both levels");
    v("nexus_upper", c.nexus_upper, Limits{0, 1e6}.added(1),
      "nexus: weight of its latent's reconstruction from above, times nexus_weight");
    v("nexus_scale", c.nexus_scale, kAny.added(LatentScale::fixed),
      "nexus: its latent's distance from that of the upper level: squares, or the negative log density with "
      "the "
      "scale "
      "that fits the batch best");
    v("fresh", c.fresh, kAny.added(true),
      "score.pairing=fresh draws an item of the class anew; false: a sample keeps its own, as of modalities "
      "that "
      "show the same thing and not only one of its class");
    v("classifier", c.classifier, kAny,
      "architecture of the classifier that measures coherence; none leaves the modality out of it");
    v("stage1", c.stage1, kAny, "training of this autoencoder");
    v("classifier_training", c.classifier_training, kAny, "training of this classifier");
  }
};

template <>
struct Fields<ScoreConfig> {
  static void visit(auto& c, auto&& v) {
    v("network", c.network, kAny.added(ScoreNetworkKind::resmlp),
      "architecture: the paper's residual MLP shaped like a U-Net, or residual blocks with adaptive layer "
      "norm");
    v("width", c.width, Limits{1, kMaxWidth}, "width W; at least the total latent size is advisable");
    v("time_dim", c.time_dim, Limits{1, kMaxWidth}, "width T of the time embedding");
    v("groups", c.groups, Limits{1, kMaxWidth},
      "resmlp: groups G of the group normalisation; must divide width");
    v("mults", c.mults, Limits{1, 64}, "resmlp: width multiplier of each level");
    v("blocks", c.blocks, Limits{1, 64}.added(6), "adaln: number of residual blocks");
    v("dropout", c.dropout, Limits{0, 0.9}.added(0),
      "adaln: share of each block's hidden values left out of a step");
    v("fourier_features", c.fourier_features, Limits{0, 12},
      "frequencies per modality whose sines and cosines the time embedding also sees; 0: the times alone");
    v("prediction", c.prediction, kAny,
      "the network's output: minus the noise, or EDM's preconditioned mixture of noise and data");
    v("d", c.d, Limits{0, 1},
      "probability that all modalities are diffused; otherwise a random subset is kept clean as the "
      "condition");
    v("subsets", c.subsets, kAny,
      "the condition is drawn for each sample, or once per batch (as the paper's code does)");
    v("marginals", c.marginals, Limits{0, 0.9}.added(0),
      "probability that some modalities are left out of a sample, which guidance needs: the network then "
      "also "
      "learns what it draws knowing nothing of them");
    v("guidance", c.guidance, Limits{0.1, kMaxGuidance}.added(1),
      "guidance that is trained into the network, so that sampling needs no calls for it; 1: none. Of mld, "
      "with "
      "marginals");
    v("guidance_low", c.guidance_low, Limits{0, kMaxRatio}.added(0.3),
      "noise level sigma/a from which on it weighs");
    v("guidance_high", c.guidance_high, Limits{0, kMaxRatio}.added(5.0), "noise level up to which it weighs");
    v("pairing", c.pairing, kAny.added(Pairing::fixed),
      "pairs as the data set has them, or of items of the same class drawn anew at every step (needs "
      "labels)");
    v("encodings", c.encodings, Limits{1, 1000}.added(1),
      "encodings of each item of a modality whose stage1 augments: as it is and as augmented; given "
      "modalities "
      "draw one at every step");
    v("time_sampling", c.time_sampling, kAny,
      "density of the training times: uniform, likelihood weighting, or EDM's log-normal noise level");
    v("time_log_mean", c.time_log_mean, Limits{-20, 20}, "lognormal: mean of log(sigma/a)");
    v("time_log_std", c.time_log_std, Limits{1e-3, 20}, "lognormal: standard deviation of log(sigma/a)");
    v("t_min", c.t_min, Limits{1e-9, 0.5}, "smallest training time");
    v("latent_statistics", c.latent_statistics, kAny,
      "latents are standardised with the whole training split, or its first batch (as the paper does)");
    v("latent_coordinates", c.latent_coordinates, kAny,
      "latents are standardised in their own coordinates (the paper), or in their principal axes");
    Fields<TrainConfig>::visit(c, v);
  }
};

template <>
struct Fields<VaeConfig> {
  static void visit(auto& c, auto&& v) {
    v("latent", c.latent, Limits{1, kMaxWidth},
      "mvae, mmvae, mopoe, mvtcae: size of the shared latent vector");
    v("beta", c.beta, Limits{0, 1e6}, "weight of the divergences; nexus: of that of the upper level");
    v("alpha", c.alpha, Limits{0, 1}, "mvtcae: share of the total correlation");
    v("prior_expert", c.prior_expert, kAny,
      "mvtcae: the prior is one of the experts, as in the paper's code and not as published");
    v("mixture", c.mixture, kAny,
      "mmvae, mopoe: components of the mixture serve blocks of the batch in turns (the paper's code), or "
      "each row "
      "draws its own");
    v("nexus_latent", c.nexus_latent, Limits{1, kMaxWidth}, "nexus: size of the upper latent vector");
    v("message", c.message, Limits{1, kMaxWidth}, "nexus: size of what a modality's latent is told as");
    v("hidden", c.hidden, Limits{1, kMaxWidth}, "nexus: widths of the hidden layers between the levels");
    v("dropped", c.dropped, Limits{0, 1},
      "nexus: probability that a training sample leaves out some modalities on its way up");
    v("warmup_epochs", c.warmup_epochs, Limits{0, 1e6},
      "nexus: epochs over which the weights of the divergences rise to the full");
    Fields<TrainConfig>::visit(c, v);
  }
};

template <>
struct Fields<SamplerConfig> {
  static void visit(auto& c, auto&& v) {
    Fields<SamplerOptions>::visit(c, v);
    v("chunk", c.chunk, Limits{0, kMaxChunk},
      "samples generated together; 0: 1024 on a cpu, 5120 on a GPU. Memory grows with it; results do not "
      "change, on a GPU but for their last bits");
  }
};

template <>
struct Fields<Config> {
  // stage1 and classifier_training stand before the modalities, which override them.
  static void visit(auto& c, auto&& v) {
    v("preset", c.preset, kAny, "recipe that the other settings modify");
    v("seed", c.seed, kAny, "of all randomness");
    v("threads", c.threads, Limits{0, kMaxThreads},
      "CPU threads, 0: OMP_NUM_THREADS, or all CPUs that this process may use; results do not depend on it");
    v("model", c.model, kAny, "");
    v("data", c.data, kAny, "");
    v("run", c.run, kAny, "");
    v("stage1", c.stage1, kAny, "");
    v("classifier_training", c.classifier_training, kAny, "");
    v("modalities", c.modalities, kAny, "");
    v("score", c.score, kAny, "");
    v("vae", c.vae, kAny, "");
    v("sampler", c.sampler, kAny, "");
  }
};

}  // namespace mld::config
