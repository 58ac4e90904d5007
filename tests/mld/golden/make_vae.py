"""Writes vae_golden.safetensors: losses and gradients of the multimodal VAEs in PyTorch, on given posteriors, linear
decoders and noise, written from docs/method.md section 20 alone.

Run with PyTorch 1.13 or later and the safetensors package: python make_vae.py
"""

import itertools
import pathlib

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

M, B, L, X, BETA, ALPHA = 3, 9, 4, 5, 2.5, 0.7
LATENTS, H, MESSAGE, HIDDEN, WARM_UP = (2, 3, 4), 3, 6, (5, 7), 0.35
torch.manual_seed(20)
torch.set_default_dtype(torch.float64)
tensors = {}


def normal(*shape):
    """Numbers that a 32-bit float holds."""
    return torch.randn(*shape).float().double()


def kl0(mu, l):
    return 0.5 * (mu**2 + l.exp() - l - 1).sum() / B


def kl(mu, l, mu1, l1):
    return 0.5 * ((l - l1).exp() + (mu - mu1) ** 2 * (-l1).exp() - (l - l1) - 1).sum() / B


def product(experts, prior):
    if len(experts) == 1 and not prior:
        return experts[0]
    t = torch.stack([1 / (l.exp() + 1e-8) for _, l in experts] + [torch.full((B, L), 1 / (1 + 1e-8))] * prior)
    mu = torch.stack([m for m, _ in experts] + [torch.zeros(B, L)] * prior)
    v = 1 / t.sum(0)
    return v * (t * mu).sum(0), (v + 1e-8).log()


def mixture(components):
    k = len(components)
    serves = [min(b // (B // k), k - 1) if B // k else k - 1 for b in range(B)]
    return tuple(torch.stack([components[serves[b]][part][b] for b in range(B)]) for part in (0, 1))


def draw(q, eps):
    return q[0] + (q[1] / 2).exp() * eps


heads = [normal(B, 2 * L).requires_grad_() for _ in range(M)]
decoders, data = [normal(X, L) for _ in range(M)], [normal(B, X) for _ in range(M)]
noise = [normal(B, L) for _ in range(M + 1)]
weights = [1.0, 3.92, 0.5]


def rec(m, z):
    return ((z @ decoders[m].T - data[m]) ** 2).sum() / B


def loss(kind, prior_expert=False):
    q = [(h[:, :L], h[:, L:]) for h in heads]
    everything = tuple(range(M))
    if kind == "mvae":
        joint = product(q, True)
        z = draw(joint, noise[0])
        total = sum(weights[m] * rec(m, z) for m in range(M)) + BETA * kl0(*joint)
        for m in range(M):
            own = product([q[m]], True)
            total = total + rec(m, draw(own, noise[m + 1])) + BETA * kl0(*own)
        return total
    if kind == "mvtcae":
        joint = product(q, prior_expert)
        z = draw(joint, noise[0])
        divergence = ALPHA / M * sum(kl(*joint, *one) for one in q) + (1 - ALPHA) * kl0(*joint)
        return (M - ALPHA) / M * sum(weights[m] * rec(m, z) for m in range(M)) + BETA * divergence
    if kind == "mmvae":
        components = q
    else:
        sets = [s for n in range(1, M + 1) for s in itertools.combinations(everything, n)]
        components = [product([q[m] for m in s], s == everything) for s in sets]
    z = draw(mixture(components), noise[0])
    return sum(weights[m] * rec(m, z) for m in range(M)) + BETA / len(components) * sum(kl0(*c) for c in components)


for m in range(M):
    tensors |= {f"heads/{m}": heads[m], f"decoder/{m}": decoders[m], f"data/{m}": data[m]}
for n in range(M + 1):
    tensors[f"noise/{n}"] = noise[n]
for name, prior in (("mvae", False), ("mmvae", False), ("mopoe", False), ("mvtcae", False), ("mvtcae", True)):
    for h in heads:
        h.grad = None
    value = loss(name, prior)
    value.backward()
    key = name + (".prior" if prior else "")
    tensors[key + "/loss"] = value.reshape(1)
    tensors |= {f"{key}/gradient/{m}": heads[m].grad.clone() for m in range(M)}


# Rows that lack modalities: each row by itself, on the modalities that it has.
present = [(0, 1, 2), (0,), (1, 2), (2,), (0, 2), (0, 1, 2), (1,), (0, 1), (1, 2)]


def row_of(q, b):
    return q[0][b : b + 1], q[1][b : b + 1]


def row_loss(kind, prior_expert, b):
    has = present[b]
    q = {m: row_of((heads[m][:, :L], heads[m][:, L:]), b) for m in has}

    def posterior(s, prior):
        t = sum(1 / (q[m][1].exp() + 1e-8) for m in s) + (1 / (1 + 1e-8) if prior else 0)
        mu = sum(q[m][0] / (q[m][1].exp() + 1e-8) for m in s)
        return (q[s[0]] if len(s) == 1 and not prior else (mu / t, (1 / t + 1e-8).log()))

    def likelihood(m, z):
        return ((z @ decoders[m].T - data[m][b]) ** 2).sum() / B

    eps = [n[b : b + 1] for n in noise]
    if kind in ("mvae", "mvtcae"):
        joint = posterior(has, kind == "mvae" or prior_expert)
        z = draw(joint, eps[0])
        jointly = sum(weights[m] * likelihood(m, z) for m in has)
        if kind == "mvae":
            own = [(m, posterior((m,), True)) for m in has]
            alone = sum(likelihood(m, draw(p, eps[m + 1])) + BETA * kl0(*p) for m, p in own)
            return jointly + BETA * kl0(*joint) + alone
        n = len(has)
        divergence = ALPHA / n * sum(kl(*joint, *q[m]) for m in has) + (1 - ALPHA) * kl0(*joint)
        return (n - ALPHA) / n * jointly + BETA * divergence
    everything = [s for n in range(1, M + 1) for s in itertools.combinations(range(M), n)]
    everything = [s for s in everything if kind == "mopoe" or len(s) == 1]
    own = [s for s in everything if set(s) <= set(has)]
    components = [posterior(s, kind == "mopoe" and len(s) == M) for s in own]
    turn = min(b // (B // len(everything)), len(everything) - 1) if B // len(everything) else len(everything) - 1
    z = draw(components[turn if len(own) == len(everything) else b * len(own) // B], eps[0])
    return sum(weights[m] * likelihood(m, z) for m in has) + BETA / len(own) * sum(kl0(*c) for c in components)


tensors["present"] = torch.tensor([sum(1 << m for m in has) for has in present], dtype=torch.int32)
for name, prior in (("mvae", False), ("mmvae", False), ("mopoe", False), ("mvtcae", False), ("mvtcae", True)):
    for h in heads:
        h.grad = None
    value = sum(row_loss(name, prior, b) for b in range(B))
    value.backward()
    key = name + (".prior" if prior else "") + ".holes"
    tensors[key + "/loss"] = value.reshape(1)
    tensors |= {f"{key}/gradient/{m}": heads[m].grad.clone() for m in range(M)}


class NormLeaky(nn.BatchNorm1d):
    def forward(self, x):
        return F.leaky_relu(super().forward(x), 0.01)


# NEXUS
def hidden(start, widths):
    layers = []
    for width in widths:
        layers += [nn.Linear(start, width), NormLeaky(width)]
        start = width
    return layers, start


encoder, last = hidden(MESSAGE, HIDDEN)
upper = nn.ModuleDict({
    "messages": nn.ModuleList(nn.Linear(d, MESSAGE) for d in LATENTS),
    "encoder": nn.Sequential(*encoder, nn.Linear(last, 2 * H)),
    "decoders": nn.ModuleList(nn.Sequential(*hidden(H, (*HIDDEN, MESSAGE))[0], nn.Linear(MESSAGE, d)) for d in LATENTS)})
with torch.no_grad():
    for p in upper.parameters():
        p.copy_((p + 0.3 * torch.randn_like(p)).float())
heads = [normal(B, 2 * d).requires_grad_() for d in LATENTS]
decoders = [normal(X, d) for d in LATENTS]
noise = [normal(B, d) for d in (*LATENTS, H)]
told = torch.zeros(B, M)
for b in range(B):
    kept = [m for m in range(M) if b % 4 == 0 or (b + m) % 3 != 1]
    told[b, kept] = 1 / len(kept)


def nexus(has, scaled, upper_weights):
    """has: of each modality the rows that have it; scaled: those with the scale that fits best."""
    total, divergence, latents = 0.0, 0.0, []
    for m, d in enumerate(LATENTS):
        mu, l = heads[m][:, :d], heads[m][:, d:]
        z = draw((mu, l), noise[m])
        total = total + weights[m] * ((z @ decoders[m].T - data[m]) ** 2)[has[m]].sum() / B
        divergence = divergence + kl0(mu[has[m]], l[has[m]])
        latents.append(z.detach())
    average = sum(upper["messages"][m](latents[m]) * (told[:, m : m + 1]) for m in range(M))
    out = upper["encoder"](average)
    mu, l = out[:, :H], out[:, H:]
    h = draw((mu, l), noise[M])
    divergence = divergence + BETA * kl0(mu, l)
    for m in range(M):
        off = (latents[m] - upper["decoders"][m](h))[has[m]]
        if m in scaled:
            s = (off.square().mean() + 1e-8).sqrt()
            nll = -torch.distributions.Normal(0, s).log_prob(off).sum()
            # What the 1e-8 keeps from being exact: the mean of squares over s^2 is 1.
            nll = nll + 0.5 * off.numel() * (1 - off.square().mean() / s.square())
            total = total + upper_weights[m] * weights[m] * nll / B
        else:
            total = total + upper_weights[m] * weights[m] * off.square().sum() / B
    return total + WARM_UP * divergence


total = nexus([torch.arange(B)] * M, (), (1, 1, 1))
total.backward()
tensors |= {f"nexus/heads/{m}": heads[m] for m in range(M)} | {f"nexus/decoder/{m}": decoders[m] for m in range(M)}
tensors |= {f"nexus/noise/{n}": noise[n] for n in range(M + 1)} | {f"nexus/told/{m}": told[:, m : m + 1] for m in range(M)}
tensors |= {f"nexus/model/{k}": v for k, v in upper.named_parameters()}
tensors |= {f"nexus/gradient/{k}": v.grad for k, v in upper.named_parameters()}
tensors |= {f"nexus/gradient/heads/{m}": heads[m].grad for m in range(M)}
tensors["nexus/loss"] = total.reshape(1)
for p in [*upper.parameters(), *heads]:
    p.grad = None
# Where rows lack modalities, they tell of those they have.
told = torch.zeros(B, M)
for b, has in enumerate(present):
    for m in has:
        told[b, m] = 1 / len(has)
total = nexus([torch.tensor([b for b in range(B) if m in present[b]]) for m in range(M)], (1,), (2.5, 0.5, 1))
total.backward()
tensors |= {f"nexus.holes/told/{m}": told[:, m : m + 1].clone() for m in range(M)}
tensors |= {f"nexus.holes/gradient/{k}": v.grad for k, v in upper.named_parameters()}
tensors |= {f"nexus.holes/gradient/heads/{m}": heads[m].grad for m in range(M)}
tensors["nexus.holes/loss"] = total.reshape(1)
path = pathlib.Path(__file__).with_name("vae_golden.safetensors")
whole = {k: v.detach().contiguous() for k, v in tensors.items()}
save_file({k: v.float() if v.is_floating_point() else v for k, v in whole.items()}, path)
