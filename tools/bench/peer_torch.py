"""The steps of bench_steps.cpp in PyTorch, as the authors' design has them: what a user of PyTorch would run.

    peer_torch.py THREADS [--compile]

Reads lines "CASE [STEPS]" and answers each with one line of JSON, as bench_steps does; "info" tells the versions and
the BLAS library that is really loaded. Runs with PyTorch 1.13 and newer. Where PyTorch offers several ways to write the
same step (Adam fused, by lists of tensors, or by tensor; images channels last or not), every way is timed on the
first use of a case and the fastest one is kept. --compile runs the networks through torch.compile (PyTorch 2, needs a
C++ compiler).
"""

import json
import math
import os
import re
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

DIMS = (16, 64)  # latents: MNIST, SVHN
SAMPLES = 50_000
BATCH = 128
BETA_MIN, BETA_MAX = 0.1, 20.0
LAPLACE_SCALE = 0.75
EMA_DECAY = 0.999
P_JOINT = 0.5
T_MIN = 1e-6
COMPILE = "--compile" in sys.argv[2:]


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
    def __init__(self, width, dim=sum(DIMS), times=len(DIMS), t=256, groups=8):
        super().__init__()
        w = width
        self.time = nn.Sequential(nn.Linear(times, t), nn.GELU(), nn.Linear(t, t))
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


def mnist_autoencoder(latent=16):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, latent),
        nn.Linear(latent, 400), nn.ReLU(), nn.Linear(400, 784), nn.Sigmoid(), nn.Unflatten(1, (1, 28, 28)))


def svhn_autoencoder(latent=64):
    return nn.Sequential(
        nn.Conv2d(3, 32, 4, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 4, 2, 1), nn.ReLU(),
        nn.Conv2d(64, 128, 4, 2, 1), nn.ReLU(), nn.Conv2d(128, latent, 4), nn.Flatten(),
        nn.Unflatten(1, (latent, 1, 1)), nn.ConvTranspose2d(latent, 128, 4), nn.ReLU(),
        nn.ConvTranspose2d(128, 64, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.ReLU(),
        nn.ConvTranspose2d(32, 3, 4, 2, 1), nn.Sigmoid())


def ready(model):
    return torch.compile(model, dynamic=False) if COMPILE else model


def count(model):
    return sum(p.numel() for p in model.parameters())


def update_ema(averaged, values):
    if hasattr(torch, "_foreach_lerp_"):
        torch._foreach_lerp_(averaged, values, 1 - EMA_DECAY)
    else:
        torch._foreach_mul_(averaged, EMA_DECAY)
        torch._foreach_add_(averaged, values, alpha=1 - EMA_DECAY)


def train_step(model, loss, lr, adam, ema):
    """A function that makes one step and returns the loss, still a tensor."""
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, **adam)
    values = [p.detach() for p in model.parameters()]
    averaged = [v.clone() for v in values] if ema else None
    network = ready(model)

    def step():
        value = loss(network)
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        optimizer.step()
        if ema:
            update_ema(averaged, values)
        return value.detach()

    return step


ADAM = {"fused": {"fused": True}, "foreach": {"foreach": True}, "by tensor": {"foreach": False}}


def score_ways(width):
    latents = torch.randn(SAMPLES, sum(DIMS))
    dims = torch.tensor(DIMS)
    order = iter(())

    def batch():
        nonlocal order
        rows = next(order, None)
        if rows is None:
            order = iter(torch.randperm(SAMPLES)[: SAMPLES // BATCH * BATCH].split(BATCH))
            rows = next(order)
        return latents[rows]

    def loss(network):  # conditioning set of each sample: none, or a proper non-empty subset as a bit mask
        z = batch()
        t = (1 - T_MIN) * torch.rand(BATCH, 1) + T_MIN
        integral = BETA_MIN * t + 0.5 * (BETA_MAX - BETA_MIN) * t * t
        given = torch.randint(1, 2 ** len(DIMS) - 1, (BATCH, 1)) * (torch.rand(BATCH, 1) >= P_JOINT)
        diffused = (given >> torch.arange(len(DIMS)) & 1) == 0
        mask = diffused.repeat_interleave(dims, dim=1, output_size=sum(DIMS))
        noise = torch.randn_like(z)
        r = torch.where(mask, torch.exp(-0.5 * integral) * z + torch.sqrt(-torch.expm1(-integral)) * noise, z)
        error = (network(r, t * diffused) + noise) * mask
        return (error.square().sum(1) * (sum(DIMS) / mask.sum(1))).mean()

    def make(adam):
        model = ScoreNetwork(width)
        return count(model), train_step(model, loss, 1e-4, adam, ema=True)

    return {name: (lambda adam=adam: make(adam)) for name, adam in ADAM.items()}


def autoencoder_ways(build, shape, layouts):
    def make(adam, layout):
        model = build().to(memory_format=layout)
        x = torch.rand(BATCH, *shape).to(memory_format=layout)

        def loss(network):
            return F.l1_loss(network(x), x, reduction="sum") / (LAPLACE_SCALE * BATCH)

        return count(model), train_step(model, loss, 1e-3, adam, ema=False)

    return {f"{name}, {str(layout)[6:]}": (lambda adam=adam, layout=layout: make(adam, layout))
            for layout in layouts for name, adam in ADAM.items()}


def sampling(batch):
    """The levels of a linear schedule; the network gets the time of every row, as in training."""
    model = ScoreNetwork(512).eval()
    network = ready(model)
    size = sum(DIMS)

    @torch.inference_mode()
    def run(levels):
        r = torch.randn(batch, size)
        dt = 1 / levels
        for level in range(levels, 0, -1):
            t = level / levels
            beta = BETA_MIN + t * (BETA_MAX - BETA_MIN)
            sigma = math.sqrt(-math.expm1(-(BETA_MIN * t + 0.5 * (BETA_MAX - BETA_MIN) * t * t)))
            score = network(r, torch.full((batch, len(DIMS)), t)) / sigma
            r = r + (0.5 * beta * r + beta * score) * dt
            if level > 1:
                r = r + math.sqrt(beta * dt) * torch.randn_like(r)

    return count(model), run


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
            start = time.perf_counter()
            step()
            best[i] = min(best[i], time.perf_counter() - start)
    return built[best.index(min(best))]


def build_case(name):
    """(the way chosen, trained parameters, function that makes some steps and returns the last loss or None)"""
    kind, _, rest = name.partition("-")
    if kind == "sample":
        return ("", *sampling(int(rest)))
    if rest == "mnist":
        ways = autoencoder_ways(mnist_autoencoder, (1, 28, 28), [torch.contiguous_format])
    elif rest == "svhn":
        ways = autoencoder_ways(svhn_autoencoder, (3, 32, 32), [torch.contiguous_format, torch.channels_last])
    elif rest.startswith("score-"):
        ways = score_ways(int(rest[6:]))
    else:
        sys.exit(f"peer_torch: unknown case '{name}'")
    way, parameters, step = fastest(ways)

    def run(steps):
        for _ in range(steps):
            loss = step()
        return loss.item()

    return way, parameters, run


def info():
    torch.mm(torch.ones(64, 64), torch.ones(64, 64))
    with open("/proc/self/maps") as maps:
        files = {line.split(maxsplit=5)[5].strip() for line in maps if line.count("/")}
    wanted = re.compile(r"lib(?!cu)\w*(blas|mkl|omp|dnnl)")
    libraries = sorted(f for f in files if wanted.match(os.path.basename(f)))
    if torch.backends.mkl.is_available():
        libraries.insert(0, "MKL inside of libtorch_cpu")
    version = "PyTorch " + torch.__version__ + (" compiled" if COMPILE else "")
    return {"version": version, "threads": torch.get_num_threads(), "libraries": libraries}


def main():
    torch.set_num_threads(int(sys.argv[1]))
    torch.manual_seed(0)
    cases = {}
    for line in sys.stdin:
        name, *rest = line.split()
        if name == "info":
            print(json.dumps(info()), flush=True)
            continue
        steps = int(rest[0]) if rest else 1
        fresh = name not in cases
        if fresh:
            cases[name] = build_case(name)
        way, parameters, run = cases[name]
        run(3 if fresh else 1)
        start = time.perf_counter()
        loss = run(steps)
        seconds = (time.perf_counter() - start) / steps
        if loss is not None and not math.isfinite(loss):
            sys.exit(f"peer_torch: {name}: loss {loss}")
        print(json.dumps({"case": name, "seconds": seconds, "steps": steps, "way": way,
                          "threads": torch.get_num_threads(), "parameters": parameters, "loss": loss}), flush=True)


if __name__ == "__main__":
    main()
