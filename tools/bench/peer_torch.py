"""The steps of bench_steps.cpp in PyTorch, as the authors' design has them: what a user of PyTorch would run.

    peer_torch.py THREADS [--device cpu|cuda] [--precision fp32|tf32|bf16] [--compile [MODE]] [--graph]

Reads lines "CASE [STEPS]" and answers each with one line of JSON, as bench_steps does; "info" tells the versions and
the BLAS library that is really loaded. Runs with PyTorch 1.13 and newer. Where PyTorch offers several ways to write the
same step (Adam fused, by lists of tensors, or by tensor; images channels last or not), every way is timed on the
first use of a case and the fastest one is kept. --compile runs the networks through torch.compile (PyTorch 2, needs a
C++ compiler, on a GPU Triton), MODE being one of its modes. --graph, on a GPU, records a whole step as a CUDA graph and
replays it: loss, gradients, Adam and the averaged weights, for sampling a level. Times on a GPU are those of events on
its stream.
"""

import argparse
import collections
import contextlib
import json
import math
import os
import re
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

# Score networks: latents of the modalities, width, time embedding, groups, batch, probability that all is diffused;
# blocks and Fourier frequencies of one with adaptive layer norm.
Spec = collections.namedtuple("Spec", "dims width time groups batch joint blocks frequencies", defaults=(0, 0))
SPECS = {"mhd": Spec((64, 128, 16), 1024, 512, 32, 128, 0.3), "polymnist": Spec((160,) * 5, 1536, 512, 32, 256, 0.5)}
SAMPLES = 50_000
AUTOENCODER_BATCH, SOUND_BATCH = 128, 64
# Of the VAEs: batch, shared latent, weights of divergences and of modalities, what is added to variances.
VAE_BATCH, VAE_LATENT, VAE_BETA, VAE_WEIGHTS, SMALLEST = 256, 20, 5.0, (3.92, 1.0), 1e-8
BETA_MIN, BETA_MAX = 0.1, 20.0
LEVELS, JUMP, RESAMPLE = 250, 10, 10
LAPLACE_SCALE = 0.75
VOCABULARY = 1590  # of CUB's captions
EMA_DECAY = 0.999
T_MIN = 1e-6


def parse_options():
    parser = argparse.ArgumentParser()
    parser.add_argument("threads", type=int)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", choices=("fp32", "tf32", "bf16"), default="tf32", help="on a GPU")
    parser.add_argument("--compile", nargs="?", const="default", metavar="MODE")
    parser.add_argument("--graph", action="store_true")
    options = parser.parse_args()
    if options.graph and options.device != "cuda":
        parser.error("--graph needs --device cuda")
    return options


OPTIONS = parse_options()
CUDA = OPTIONS.device == "cuda"


class ResMlp(nn.Module):
    def __init__(self, i, o, t, groups):
        super().__init__()
        self.emb = nn.Linear(t, o)
        self.norm1, self.lin1 = nn.GroupNorm(groups, i), nn.Linear(i, o)
        self.norm2, self.lin2 = nn.GroupNorm(groups, o), nn.Linear(o, o)
        self.skip = nn.Linear(i, o) if i != o else nn.Identity()

    def forward(self, h, e):
        v = self.lin1(F.silu(self.norm1(h))) + self.emb(F.silu(e))
        return self.lin2(F.silu(self.norm2(v))) + self.skip(h)


class ScoreNetwork(nn.Module):
    def __init__(self, spec):
        super().__init__()
        w, t, groups, dim = spec.width, spec.time, spec.groups, sum(spec.dims)
        self.time = nn.Sequential(nn.Linear(len(spec.dims), t), nn.GELU(), nn.Linear(t, t))
        self.lin_in = nn.Linear(dim, w)
        self.down1, self.down1_lin = ResMlp(w, w, t, groups), nn.Linear(w, w)
        self.down2, self.down2_lin = ResMlp(w, w, t, groups), nn.Linear(w, w)
        self.mid1, self.mid2 = ResMlp(w, w, t, groups), ResMlp(w, w, t, groups)
        self.up1, self.up1_lin = ResMlp(2 * w, w, t, groups), nn.Linear(w, w)
        self.up2, self.up2_lin = ResMlp(2 * w, w, t, groups), nn.Linear(w, w)
        self.final = ResMlp(2 * w, w, t, groups)
        self.out_norm, self.out = nn.GroupNorm(groups, w), nn.Linear(w, dim)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x, tau):
        e = self.time(tau)
        first = self.lin_in(x)
        s1 = self.down1(first, e)
        s2 = self.down2(self.down1_lin(s1), e)
        h = self.mid2(self.mid1(self.down2_lin(s2), e), e)
        h = self.up1_lin(self.up1(torch.cat((h, s2), 1), e))
        h = self.up2_lin(self.up2(torch.cat((h, s1), 1), e))
        h = self.final(torch.cat((h, first), 1), e)
        return self.out(F.silu(self.out_norm(h)))


class AdaLnBlock(nn.Module):
    def __init__(self, w):
        super().__init__()
        self.norm, self.lin1, self.lin2 = nn.LayerNorm(w), nn.Linear(w, w), nn.Linear(w, w)
        self.gate = nn.Parameter(torch.zeros(w))

    def forward(self, h, scale, shift, gate):
        norm = self.norm
        u = F.layer_norm(h, norm.normalized_shape) * (norm.weight + scale) + (norm.bias + shift)
        return torch.addcmul(h, self.gate + gate, self.lin2(F.silu(self.lin1(u))))


class AdaLnNetwork(nn.Module):
    def __init__(self, spec):
        super().__init__()
        w, t, dim, times = spec.width, spec.time, sum(spec.dims), len(spec.dims)
        self.register_buffer("frequencies", math.pi * 2.0 ** torch.arange(spec.frequencies))
        self.time = nn.Sequential(
            nn.Linear(times * (2 + 2 * spec.frequencies), t), nn.GELU(), nn.Linear(t, t), nn.SiLU())
        self.lin_in, self.modulation = nn.Linear(dim, w), nn.Linear(t, 6 * w, bias=False)
        self.blocks = nn.ModuleList(AdaLnBlock(w) for _ in range(spec.blocks))
        self.out_norm, self.out = nn.LayerNorm(w), nn.Linear(w, dim)
        for weight in (self.modulation.weight, self.out.weight, self.out.bias):
            nn.init.zeros_(weight)

    def forward(self, x, tau):
        angles = (tau.unsqueeze(2) * self.frequencies).flatten(1)
        e = self.time(torch.cat((tau, (tau == 0).to(tau.dtype), angles.sin(), angles.cos()), 1))
        first, scale, shift, gate, out_scale, out_shift = self.modulation(e).chunk(6, 1)
        h = self.lin_in(x) + first
        for block in self.blocks:
            h = block(h, scale, shift, gate)
        norm = self.out_norm
        return self.out(F.layer_norm(h, norm.normalized_shape) * (norm.weight + out_scale) + (norm.bias + out_shift))


def score_network(spec):
    return AdaLnNetwork(spec) if spec.blocks else ScoreNetwork(spec)


def mnist_networks(latent, codes):
    """Encoder and decoder; codes: numbers that the encoder gives."""
    return (nn.Sequential(nn.Flatten(), nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, codes)),
            nn.Sequential(nn.Linear(latent, 400), nn.ReLU(), nn.Linear(400, 784), nn.Sigmoid(),
                          nn.Unflatten(1, (1, 28, 28))))


def svhn_networks(latent, codes):
    return (nn.Sequential(nn.Conv2d(3, 32, 4, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 4, 2, 1), nn.ReLU(),
                          nn.Conv2d(64, 128, 4, 2, 1), nn.ReLU(), nn.Conv2d(128, codes, 4), nn.Flatten()),
            nn.Sequential(nn.Unflatten(1, (latent, 1, 1)), nn.ConvTranspose2d(latent, 128, 4), nn.ReLU(),
                          nn.ConvTranspose2d(128, 64, 4, 2, 1), nn.ReLU(),
                          nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.ReLU(),
                          nn.ConvTranspose2d(32, 3, 4, 2, 1), nn.Sigmoid()))


def mnist_autoencoder(latent=16):
    return nn.Sequential(*mnist_networks(latent, latent))


def svhn_autoencoder(latent=64):
    return nn.Sequential(*svhn_networks(latent, latent))


def polymnist_autoencoder(latent=160):
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU(), nn.Conv2d(64, 128, 3, 2, 1),
        nn.ReLU(), nn.Flatten(), nn.Linear(2048, latent), nn.ReLU(), nn.Linear(latent, latent),
        nn.Linear(latent, 2048), nn.ReLU(), nn.Unflatten(1, (128, 4, 4)), nn.ConvTranspose2d(128, 64, 3, 2, 1),
        nn.ReLU(), nn.ConvTranspose2d(64, 32, 3, 2, 1, 1), nn.ReLU(), nn.ConvTranspose2d(32, 3, 3, 2, 1, 1))


def sound_autoencoder(latent=128):
    def plain(kind, *sizes):
        return kind(*sizes, bias=False)

    return nn.Sequential(
        plain(nn.Conv2d, 1, 128, (1, 128)), nn.BatchNorm2d(128), nn.ReLU(),
        plain(nn.Conv2d, 128, 128, (4, 1), (2, 1), (1, 0)), nn.BatchNorm2d(128), nn.ReLU(),
        plain(nn.Conv2d, 128, 256, (4, 1), (2, 1), (1, 0)), nn.BatchNorm2d(256), nn.ReLU(),
        nn.Flatten(), nn.Linear(2048, latent), nn.Linear(latent, 2048), nn.BatchNorm1d(2048), nn.ReLU(),
        nn.Unflatten(1, (256, 8, 1)),
        plain(nn.ConvTranspose2d, 256, 128, (4, 1), (2, 1), (1, 0)), nn.BatchNorm2d(128), nn.ReLU(),
        plain(nn.ConvTranspose2d, 128, 128, (4, 1), (2, 1), (1, 0)), nn.BatchNorm2d(128), nn.ReLU(),
        plain(nn.ConvTranspose2d, 128, 1, (1, 128)), nn.Sigmoid())


class Residual(nn.Module):
    """main_scale * main(x) + shortcut_scale * shortcut(x)"""

    def __init__(self, main, shortcut, main_scale, shortcut_scale=1):
        super().__init__()
        self.main, self.shortcut, self.scales = main, shortcut, (main_scale, shortcut_scale)

    def forward(self, x):
        main, shortcut = self.scales
        return main * self.main(x) + (shortcut * self.shortcut(x) if shortcut != 1 else self.shortcut(x))


def leaky():
    return nn.LeakyReLU(0.2)


def picture_block(i, o):
    least = min(i, o)
    shortcut = nn.Identity() if i == o else nn.Conv2d(i, o, 1, bias=False)
    return Residual(nn.Sequential(leaky(), nn.Conv2d(i, least, 3, 1, 1), leaky(), nn.Conv2d(least, o, 3, 1, 1)), shortcut, 0.1)


def cub_image_autoencoder(latent=64):
    return nn.Sequential(
        nn.Conv2d(3, 64, 3, 1, 1), picture_block(64, 64), nn.AvgPool2d(3, 2, 1), picture_block(64, 128),
        nn.AvgPool2d(3, 2, 1), picture_block(128, 256), nn.Flatten(), leaky(), nn.Linear(65536, latent),
        nn.Linear(latent, 65536), nn.Unflatten(1, (256, 16, 16)), picture_block(256, 128), nn.Upsample(scale_factor=2),
        picture_block(128, 64), nn.Upsample(scale_factor=2), picture_block(64, 64), leaky(), nn.Conv2d(64, 3, 3, 1, 1))


def caption_block(conv, i, o):
    main = nn.Sequential(nn.BatchNorm1d(i), nn.ReLU(), conv(i, i, 1), nn.Dropout(0.5), nn.BatchNorm1d(i), nn.ReLU(),
                         conv(i, o, 4, 2, 1), nn.Dropout(0.5))
    return Residual(main, nn.Sequential(conv(i, o, 4, 2, 1), nn.BatchNorm1d(o)), 0.3, 2)


class CaptionAutoencoder(nn.Module):
    """Tokens [B,32] to logits [B,1590,32]."""

    def __init__(self, latent=32):
        super().__init__()
        sizes = (32, 64, 96, 128, 160)
        down = [caption_block(nn.Conv1d, i, o) for i, o in zip(sizes, sizes[1:])]
        up = [caption_block(nn.ConvTranspose1d, i, o) for o, i in reversed(list(zip(sizes, sizes[1:])))]
        self.network = nn.Sequential(nn.Conv1d(VOCABULARY, 32, 4, 2, 1), *down, nn.Flatten(), nn.ReLU(), nn.Linear(160, latent),
                                     nn.Linear(latent, 160), nn.Unflatten(1, (160, 1)), *up,
                                     nn.ConvTranspose1d(32, VOCABULARY, 4, 2, 1))

    def forward(self, tokens):
        return self.network(F.one_hot(tokens, VOCABULARY).float().transpose(1, 2).contiguous())


class Vae(nn.Module):
    """On MNIST-SVHN, with its objective (docs/method.md section 20); Gaussians are stacked, [K,B,latent]."""

    def __init__(self, kind):
        super().__init__()
        self.objective = {"mopoe": self.mopoe, "mvae": self.mvae}[kind]
        networks = [build(VAE_LATENT, 2 * VAE_LATENT) for build in (mnist_networks, svhn_networks)]
        self.encoders, self.decoders = (nn.ModuleList(part) for part in zip(*networks))

    def forward(self, *xs):
        heads = torch.stack([encode(x).float() for encode, x in zip(self.encoders, xs)])
        return self.objective(xs, *heads.chunk(2, 2)) / len(xs[0])

    def reconstruction(self, i, z, xs):
        return laplace(self.decoders[i](z).float(), xs[i])

    def weighted(self, z, xs):
        return sum(weight * self.reconstruction(i, z, xs) for i, weight in enumerate(VAE_WEIGHTS))

    def mopoe(self, xs, mean, log_var):
        precision = inverse(log_var)
        of_all = product((precision * mean).sum(0, True), with_prior(precision.sum(0, True)))
        means, log_vars = (torch.cat(both) for both in zip((mean, log_var), of_all))
        each = len(xs[0]) // len(means)  # rows that a component serves, the last one also what remains
        rows = [each] * (len(means) - 1) + [len(xs[0]) - each * (len(means) - 1)]
        mixed = [torch.cat([part[k] for k, part in enumerate(q.split(rows, 1))]) for q in (means, log_vars)]
        return self.weighted(drawn(*mixed), xs) + VAE_BETA / len(means) * divergence(means, log_vars)

    def mvae(self, xs, mean, log_var):
        precision = inverse(log_var)
        weighted = precision * mean
        q = product(torch.cat((weighted, weighted.sum(0, True))),
                    with_prior(torch.cat((precision, precision.sum(0, True)))))
        *own, joint = drawn(*q)
        alone = sum(self.reconstruction(i, z, xs) for i, z in enumerate(own))
        return self.weighted(joint, xs) + alone + VAE_BETA * divergence(*q)


def inverse(log_var):
    """1 / (exp(log_var) + SMALLEST), written so that a large log variance has no NaN as its gradient."""
    return torch.sigmoid(math.log(SMALLEST) - log_var) / SMALLEST


def with_prior(precision):
    return precision + 1 / (1 + SMALLEST)


def product(weighted, precision):
    """Mean and log variance; weighted: sum of the experts' means, each times its precision."""
    variance = 1 / precision
    return variance * weighted, torch.log(variance + SMALLEST)


def drawn(mean, log_var):
    return torch.addcmul(mean, torch.exp(0.5 * log_var), torch.randn_like(mean))


def divergence(mean, log_var):
    return 0.5 * (mean.square() + log_var.exp() - log_var - 1).sum()


def ready(model):
    if not OPTIONS.compile:
        return model
    return torch.compile(model, dynamic=False, mode=OPTIONS.compile)


def arithmetic():
    """Of the products: bf16 is mixed precision with f32 weights, as ours."""
    if CUDA and OPTIONS.precision == "bf16":
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return contextlib.nullcontext()


def count(model):
    return sum(p.numel() for p in model.parameters())


def timed(work):
    """(what work returns, seconds)"""
    if not CUDA:
        start = time.perf_counter()
        result = work()
        return result, time.perf_counter() - start
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    start.record()
    result = work()
    end.record()
    end.synchronize()
    return result, start.elapsed_time(end) * 1e-3


def recorded(step):
    """A function that replays `step` as a CUDA graph; without --graph the step itself."""
    if not OPTIONS.graph:
        return step
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(5):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = step()

    def replay():
        graph.replay()
        return result

    return replay


def update_ema(averaged, values):
    if hasattr(torch, "_foreach_lerp_"):
        torch._foreach_lerp_(averaged, values, 1 - EMA_DECAY)
    else:
        torch._foreach_mul_(averaged, EMA_DECAY)
        torch._foreach_add_(averaged, values, alpha=1 - EMA_DECAY)


def train_step(model, loss, lr, adam, averaged=()):
    """A function that makes one step and returns the loss, still a tensor. averaged: a copy of the parameters, if any."""
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, **adam)
    values = [p.detach() for p in model.parameters()]
    network = ready(model)

    def step():
        if OPTIONS.compile and CUDA and not OPTIONS.graph:
            torch.compiler.cudagraph_mark_step_begin()  # for the modes that record graphs themselves
        with arithmetic():
            value = loss(network)
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        optimizer.step()
        if averaged:
            update_ema(averaged, values)
        return value.detach()

    return recorded(step)


def adam_ways():
    if not CUDA:
        return {"fused": {"fused": True}, "foreach": {"foreach": True}, "by tensor": {"foreach": False}}
    capturable = {"capturable": True} if OPTIONS.graph else {}
    ways = {"fused": {"fused": True, **capturable}}
    if not OPTIONS.compile:  # each way would be compiled
        ways["foreach"] = {"foreach": True, **capturable}
    return ways


class Batches:
    """Rows of `samples`, each once in an epoch. A recorded step reads them where they were at its recording."""

    def __init__(self, batch, samples):
        self.batch, self.samples, self.order, self.rows = batch, samples, iter(()), None

    def advance(self):
        rows = next(self.order, None)
        if rows is None:
            order = torch.randperm(self.samples, device=OPTIONS.device)[: self.samples // self.batch * self.batch]
            self.order = iter(order.split(self.batch))
            rows = next(self.order)
        if OPTIONS.graph and self.rows is not None:
            self.rows.copy_(rows)
        else:
            self.rows = rows.clone() if OPTIONS.graph else rows


def score_loss(spec, latents, batches):
    """The objective on latents [samples, dims], standardised, of the rows that `batches` is at."""
    device, size = latents.device, sum(spec.dims)
    numbers = torch.arange(len(spec.dims), device=device)
    modality = numbers.repeat_interleave(torch.tensor(spec.dims, device=device))  # of each coordinate

    def loss(network):  # conditioning set of each sample: none, or a proper non-empty subset as a bit mask
        z = latents[batches.rows]
        t = (1 - T_MIN) * torch.rand(spec.batch, 1, device=device) + T_MIN
        integral = BETA_MIN * t + 0.5 * (BETA_MAX - BETA_MIN) * t * t
        joint = torch.rand(spec.batch, 1, device=device) < spec.joint
        given = torch.randint(1, 2 ** len(spec.dims) - 1, (spec.batch, 1), device=device) * ~joint
        diffused = (given >> numbers & 1) == 0
        mask = diffused.index_select(1, modality)
        noise = torch.randn_like(z)
        r = torch.where(mask, torch.exp(-0.5 * integral) * z + torch.sqrt(-torch.expm1(-integral)) * noise, z)
        error = (network(r, t * diffused).float() + noise) * mask
        return (error.square().sum(1) * (size / mask.sum(1))).mean()

    return loss


def copies(model):
    return [p.detach().clone() for p in model.parameters()]


def score_ways(spec):
    device = OPTIONS.device
    batches = Batches(spec.batch, SAMPLES)
    batches.advance()
    loss = score_loss(spec, torch.randn(SAMPLES, sum(spec.dims), device=device), batches)

    def make(adam):
        model = score_network(spec).to(device)
        step = train_step(model, loss, 1e-4, adam, copies(model))

        def next_step():
            batches.advance()
            return step()

        return count(model), next_step

    return {name: (lambda adam=adam: make(adam)) for name, adam in adam_ways().items()}


def laplace(output, x):
    return F.l1_loss(output, x, reduction="sum") / LAPLACE_SCALE


def normal(output, x):
    return F.mse_loss(output, x, reduction="sum")


LAYOUTS = (torch.contiguous_format, torch.channels_last)


def by_layout(make, layouts=LAYOUTS):
    return {f"{name}, {str(layout)[6:]}": (lambda adam=adam, layout=layout: make(adam, layout))
            for layout in layouts for name, adam in adam_ways().items()}


def autoencoder_ways(build, shape, layouts=LAYOUTS, batch=AUTOENCODER_BATCH, distance=laplace):
    def make(adam, layout):
        model = build().to(OPTIONS.device, memory_format=layout)
        x = torch.rand(batch, *shape, device=OPTIONS.device).to(memory_format=layout)

        def loss(network):
            return distance(network(x).float(), x) / batch

        return count(model), train_step(model, loss, 1e-3, adam)

    return by_layout(make, layouts)


def caption_ways():
    def make(adam, _):
        model = CaptionAutoencoder().to(OPTIONS.device)
        tokens = torch.randint(VOCABULARY, (AUTOENCODER_BATCH, 32), device=OPTIONS.device)

        def loss(network):
            return F.cross_entropy(network(tokens).float(), tokens, reduction="sum") / AUTOENCODER_BATCH

        return count(model), train_step(model, loss, 1e-4, adam)

    return by_layout(make, (torch.contiguous_format,))


def vae_ways(kind):
    def make(adam, layout):
        model = Vae(kind).to(OPTIONS.device, memory_format=layout)
        xs = [torch.rand(VAE_BATCH, *shape, device=OPTIONS.device).to(memory_format=layout)
              for shape in ((1, 28, 28), (3, 32, 32))]
        return count(model), train_step(model, lambda network: network(*xs), 1e-3, adam)

    return by_layout(make)


def walk(resample):
    """Levels visited: down to 0, and from each jump point `resample` - 1 times up again (mld/diffusion/schedule.h)."""
    left = {place + 1: resample - 1 for place in range(0, LEVELS - JUMP, JUMP)}
    levels = [LEVELS]
    while levels[-1] > 0:
        k = levels[-1]
        if left.get(k, 0) > 0:
            left[k] -= 1
            levels += range(k + 1, k + JUMP + 1)
        levels.append(levels[-1] - 1)
    return levels


def transitions(levels):
    """(reverse, t, keep, push, spread) of every transition: r becomes keep r + push n + spread times noise."""
    dt, result = 1 / LEVELS, []
    for k, following in zip(levels, levels[1:]):
        t, reverse = k / LEVELS, following < k
        beta = BETA_MIN + t * (BETA_MAX - BETA_MIN)
        sigma = math.sqrt(-math.expm1(-(BETA_MIN * t + 0.5 * (BETA_MAX - BETA_MIN) * t * t)))
        noise = math.sqrt(beta * dt) if following > 0 else 0.0
        half = 0.5 * beta * dt
        result.append((reverse, t, 1 + half, beta * dt / sigma, noise) if reverse else (False, t, 1 - half, 0.0, noise))
    return result


def sampling(spec, batch, levels):
    """Schedule after schedule; the network gets the time of every row, as in training."""
    model = score_network(spec).to(OPTIONS.device).eval()
    network = ready(model)
    steps = transitions(levels)
    draw = sampling_replayed if OPTIONS.graph else sampling_eager
    start, forward, reverse = draw(network, spec, batch, steps)

    def run(calls):
        with torch.inference_mode():
            while calls > 0:
                start()
                for step in steps:
                    if not step[0]:
                        forward(step)
                        continue
                    reverse(step)
                    calls -= 1
                    if calls == 0:
                        break

    return count(model), run, sum(step[0] for step in steps)


def sampling_eager(network, spec, batch, steps):
    device = OPTIONS.device
    state = {}

    def start():
        state["r"] = torch.randn(batch, sum(spec.dims), device=device)

    def forward(step):
        _, _, keep, _, spread = step
        state["r"] = keep * state["r"] + spread * torch.randn_like(state["r"])

    def reverse(step):
        _, t, keep, push, spread = step
        r = state["r"]
        with arithmetic():
            n = network(r, torch.full((batch, len(spec.dims)), t, device=device)).float()
        r = keep * r + push * n
        state["r"] = r + spread * torch.randn_like(r) if spread > 0 else r

    return start, forward, reverse


def sampling_replayed(network, spec, batch, steps):
    """The scalars of a transition lie in tables, so that one recording of each kind serves the whole walk."""
    device = OPTIONS.device
    table = torch.tensor([step[1:] for step in steps], device=device)
    with torch.inference_mode():
        r = torch.randn(batch, sum(spec.dims), device=device)
        place = torch.zeros(1, dtype=torch.long, device=device)

        def transition(with_network):
            t, keep, push, spread = table.index_select(0, place).split(1, dim=1)
            value = keep * r + spread * torch.randn_like(r)
            if with_network:
                with arithmetic():
                    n = network(r, t.expand(batch, len(spec.dims)).contiguous())
                value = value + push * n.float()
            r.copy_(value)
            place.add_(1)

        forward = recorded(lambda: transition(False))
        place.zero_()
        reverse = recorded(lambda: transition(True))

    def start():
        r.normal_()
        place.zero_()

    return start, lambda step: forward(), lambda step: reverse()


def fastest(ways):
    """Builds every way, lets them take turns and keeps the fastest; what this PyTorch lacks is left out."""
    built, failure = [], None
    for name, make in ways.items():
        try:
            parameters, step = make()
            step()
        except (RuntimeError, TypeError, ValueError) as error:
            failure = error
            continue
        built.append((name, parameters, step))
    if not built:
        raise failure
    best = [math.inf] * len(built)
    for _ in range(8):
        for i, (_, _, step) in enumerate(built):
            best[i] = min(best[i], timed(lambda: [step() for _ in range(20 if CUDA else 1)])[1])
    return built[best.index(min(best))]


def matrix_product(n):
    dtype = torch.bfloat16 if CUDA and OPTIONS.precision == "bf16" else torch.float32
    a, b = (torch.randn(n, n, device=OPTIONS.device).to(dtype) for _ in range(2))
    c = torch.empty_like(a)

    def run(steps):
        for _ in range(steps):
            torch.mm(a, b, out=c)

    return run


def device_copy(mebibytes):
    source = torch.rand(mebibytes << 18, device=OPTIONS.device)
    target = torch.empty_like(source)

    def run(steps):
        for _ in range(steps):
            target.copy_(source)

    return run


def score_spec(net):
    if net.startswith("adaln"):
        return Spec((16, 64), int(net[len("adaln"):]), 128, 8, 128, 0.5, blocks=6, frequencies=8)
    return SPECS[net] if net in SPECS else Spec((16, 64), int(net), 256, 8, 128, 0.5)


def train_ways(network):
    if network == "mnist":
        return autoencoder_ways(mnist_autoencoder, (1, 28, 28), (torch.contiguous_format,))
    if network == "svhn":
        return autoencoder_ways(svhn_autoencoder, (3, 32, 32))
    if network == "polymnist":
        return autoencoder_ways(polymnist_autoencoder, (3, 28, 28))
    if network == "sound":
        return autoencoder_ways(sound_autoencoder, (1, 32, 128), batch=SOUND_BATCH, distance=normal)
    if network == "cub-image":
        return autoencoder_ways(cub_image_autoencoder, (3, 64, 64))
    if network == "cub-caption":
        return caption_ways()
    if network in ("mopoe", "mvae"):
        return vae_ways(network)
    return score_ways(score_spec(network[len("score-"):]))


def build_case(name):
    """(the way chosen, trained parameters, function that makes some steps and returns the last loss or None, network
    calls of a whole schedule or 0)"""
    kind, *rest = name.split("-")
    if kind == "gemm":
        return "", 0, matrix_product(int(rest[0])), 0
    if kind == "copy":
        return "", 0, device_copy(int(rest[0])), 0
    if kind in ("sample", "generate"):
        net = rest[0] if len(rest) > 1 else "512"
        levels = walk(1 if kind == "sample" else RESAMPLE)
        return ("", *sampling(score_spec(net), int(rest[-1]), levels))
    if kind != "train":
        sys.exit(f"peer_torch: unknown case '{name}'")
    way, parameters, step = fastest(train_ways("-".join(rest)))

    def run(steps):
        for _ in range(steps):
            loss = step()
        return loss

    return way, parameters, run, 0


def info():
    if CUDA:
        libraries = [f"CUDA {torch.version.cuda}", f"cuDNN {torch.backends.cudnn.version()}"]
        device = torch.cuda.get_device_name()
    else:
        torch.mm(torch.ones(64, 64), torch.ones(64, 64))
        with open("/proc/self/maps") as maps:
            files = {line.split(maxsplit=5)[5].strip() for line in maps if line.count("/")}
        wanted = re.compile(r"lib(?!cu)\w*(blas|mkl|omp|dnnl)")
        libraries = sorted(f for f in files if wanted.match(os.path.basename(f)))
        if torch.backends.mkl.is_available():
            libraries.insert(0, "MKL inside of libtorch_cpu")
        device = "cpu"
    version = "PyTorch " + torch.__version__
    if OPTIONS.compile:
        version += " compiled" + ("" if OPTIONS.compile == "default" else f" ({OPTIONS.compile})")
    if OPTIONS.graph:
        version += " as a CUDA graph"
    return {"version": version, "device": device, "threads": torch.get_num_threads(), "libraries": libraries}


def prepare():
    torch.set_num_threads(OPTIONS.threads)
    torch.manual_seed(0)
    if CUDA:
        torch.backends.cuda.matmul.allow_tf32 = OPTIONS.precision != "fp32"
        torch.backends.cudnn.allow_tf32 = OPTIONS.precision != "fp32"
        torch.backends.cudnn.benchmark = True


def answer(name, steps, cases):
    fresh = name not in cases
    if fresh:
        cases[name] = build_case(name)
    way, parameters, run, schedule_calls = cases[name]
    if CUDA:  # libraries have chosen, and the clocks of the card are up
        run(10 if fresh else max(1, steps // 10))
    else:
        run(3 if fresh else 1)
    loss, seconds = timed(lambda: run(steps))
    loss = None if loss is None else loss.item()
    if loss is not None and not math.isfinite(loss):
        sys.exit(f"peer_torch: {name}: loss {loss}")
    return {"case": name, "seconds": seconds / steps, "steps": steps, "way": way, "threads": torch.get_num_threads(),
            "parameters": parameters, "schedule_calls": schedule_calls, "loss": loss}


def main():
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is no answer
    prepare()
    cases = {}
    for line in sys.stdin:
        name, *rest = line.split()
        result = info() if name == "info" else answer(name, int(rest[0]) if rest else 1, cases)
        print(json.dumps(result), file=answers, flush=True)


if __name__ == "__main__":
    main()
