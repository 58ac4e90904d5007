"""What each part of the score network and of its training buys: one left out, changed or added at a time, in PyTorch.

    mldctl train --preset mnist-svhn-fast ... --out RUN
    python3 block_parts.py RUN HOUSES [--width 256] [--steps 6000] [--seeds 0,1] [--only NAME,NAME]

Trains `adaln` (docs/method.md section 17.4) on the latents of RUN with the recipe of the preset but for the guidance, and
reads it on 700 photographs that neither it nor the probes have seen, houses apart (HOUSES: the number of the house of
each photograph, .npy or .npy.gz, of the training photographs first), and on 1000 digits likewise. An MLP probe on the
latents judges each modality, so that no decoder has a say. Prints a line for each seed and option: coherences in %,
squared error on what is held out, milliseconds of a step. Needs torch, numpy, safetensors.
"""

import argparse
import gzip
import json
import math
import pathlib
import time

import numpy
import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file

HELD_PHOTOGRAPHS, HELD_DIGITS, DRAWS = 700, 1000, 3
BETA_MIN, BETA_MAX = 0.1, 20.0
WARMUP, DECAY, MARGINALS, JOINT = 200, 0.2, 0.15, 0.3
SIGMA_REL = (0.05, 0.10)  # widths of the power-function averages (Karras et al. 2024, EDM2)

OPTIONS = {  # of the network, of its training
    "as it is": {},
    "no gate": {"gate": False},
    "no scale (shift alone)": {"scale": False},
    "a projection for each block": {"projections": True},
    "group norm, 8 groups": {"groups": 8},
    "no Fourier features": {"frequencies": 0},
    "mask not told": {"mask": False},
    "mask among the coordinates too": {"mask_in": True},
    "skips concatenated": {"skips": True},
    "3 blocks of twice the hidden width": {"blocks": 3, "hidden": 2},
    "resmlp, one level": {"resmlp": True},
    "batch 256, half the steps, rate 2.1e-3": {"batch": 256, "steps": 0.5, "lr": 2.1e-3},
    "batch 64, twice the steps, rate 1.1e-3": {"batch": 64, "steps": 2, "lr": 1.1e-3},
    "second decay of Adam 0.98": {"beta2": 0.98},
    "rate 3e-3": {"lr": 3e-3},
    "learned uncertainty weights": {"uncertainty": True},
    "InfoNCE and alignment": {"contrast": True},
    "noise 0.1 on what is given": {"noise": 0.1},
    "d 0.5": {"joint": 0.5},
    "fixed pairs": {"fresh": False},
    "no augmented encodings": {"encodings": False},
}


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=pathlib.Path)
    parser.add_argument("houses", type=pathlib.Path)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--only", default="")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


class Data:
    """Standardised latents: of training and of held-out items, by class."""

    def __init__(self, run, houses):
        config = json.loads((run / "config.json").read_text())
        train = pathlib.Path(config["data"]["store"]) / "train"
        items, score = load_file(run / "latents.safetensors"), load_file(run / "score.safetensors")
        means = score["buffer/latent_mean"].split([16, 64])
        stds = score["buffer/latent_std"].split([16, 64])
        labels = [torch.from_numpy(numpy.load(train / f"{name}.labels.npy").astype(numpy.int64)) for name in ("mnist", "svhn")]
        z = [(items[name] - means[i]) / stds[i] for i, name in enumerate(("mnist", "svhn"))]
        with (gzip.open if houses.suffix == ".gz" else open)(houses, "rb") as file:
            house = torch.from_numpy(numpy.load(file).astype(numpy.int64))[: len(labels[1])]
        generator = torch.Generator().manual_seed(17)
        order = torch.randperm(int(house.max()) + 1, generator=generator)
        held_photographs = torch.zeros(len(house), dtype=torch.bool)
        for number in order:
            if held_photographs.sum() >= HELD_PHOTOGRAPHS:
                break
            held_photographs |= house == number
        held_digits = torch.zeros(len(labels[0]), dtype=torch.bool)
        held_digits[torch.randperm(len(labels[0]), generator=generator)[:HELD_DIGITS]] = True
        held = (held_digits, held_photographs)
        self.encodings = z[1].view(-1, len(house), 64)[:, ~held_photographs]  # [E, N, 64], as they are first
        plain = (z[0], z[1][: len(house)])
        self.train = [plain[i][~held[i]] for i in range(2)]
        self.train_labels = [labels[i][~held[i]] for i in range(2)]
        self.held = [plain[i][held[i]] for i in range(2)]
        self.held_labels = [labels[i][held[i]] for i in range(2)]
        self.classes = [[(self.train_labels[i] == c).nonzero()[:, 0] for c in range(10)] for i in range(2)]
        # As many pairs of each class as photographs, each with one digit: what `fixed` pairs know.
        self.partner = torch.stack([self.pick(0, c, generator) for c in self.train_labels[1].tolist()])

    def pick(self, modality, c, generator):
        rows = self.classes[modality][c]
        return rows[torch.randint(len(rows), (), generator=generator)]

    def partners(self, modality, labels, generator):
        table = self.classes[modality]
        counts = torch.tensor([len(rows) for rows in table])
        starts = torch.cat((torch.zeros(1, dtype=torch.int64), counts.cumsum(0)[:-1]))
        k = (torch.rand(len(labels), generator=generator) * counts[labels]).long().clamp_max(counts[labels] - 1)
        return torch.cat(table)[starts[labels] + k]


def train_probe(z, labels):
    torch.manual_seed(3)
    probe = nn.Sequential(nn.Linear(z.shape[1], 256), nn.SiLU(), nn.Linear(256, 10))
    optimizer = torch.optim.AdamW(probe.parameters(), 2e-3, weight_decay=0.05)
    for _ in range(1500):
        rows = torch.randint(len(z), (256,))
        loss = F.cross_entropy(probe(z[rows] + 0.1 * torch.randn(256, z.shape[1])), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return probe.eval()


class Times(nn.Module):
    def __init__(self, t, frequencies, mask):
        super().__init__()
        self.register_buffer("frequencies", math.pi * 2.0 ** torch.arange(frequencies))
        self.mask = mask
        inputs = 2 * (1 + int(mask) + 2 * frequencies)
        self.layers = nn.Sequential(nn.Linear(inputs, t), nn.GELU(), nn.Linear(t, t), nn.SiLU())

    def forward(self, tau):
        angles = (tau.unsqueeze(2) * self.frequencies).flatten(1)
        told = [(tau == 0).to(tau.dtype)] if self.mask else []
        return self.layers(torch.cat([tau, *told, angles.sin(), angles.cos()], 1))


class AdaLn(nn.Module):
    def __init__(self, w, t=128, blocks=6, hidden=1, gate=True, scale=True, projections=False, groups=1, frequencies=8,
                 mask=True, mask_in=False, skips=False, dim=80):
        super().__init__()
        self.w, self.groups, self.gated, self.scaled, self.mask_in = w, groups, gate, scale, mask_in
        self.time = Times(t, frequencies, mask)
        self.lin_in = nn.Linear(dim + (2 if mask_in else 0), w)
        self.modulation = nn.ModuleList(nn.Linear(t, 6 * w, bias=False) for _ in range(blocks if projections else 1))
        self.first = nn.ModuleList(nn.Linear(w, hidden * w) for _ in range(blocks))
        self.second = nn.ModuleList(nn.Linear(hidden * w, w) for _ in range(blocks))
        self.gamma, self.beta = (nn.Parameter(torch.full((blocks + 1, w), v)) for v in (1.0, 0.0))
        self.gate = nn.Parameter(torch.zeros(blocks, w))
        self.joins = nn.ModuleList(nn.Linear(2 * w, w) for _ in range(blocks // 2 if skips else 0))
        self.out = nn.Linear(w, dim)
        zeros = [m.weight for m in self.modulation] + [self.out.weight, self.out.bias]
        if not gate:
            zeros += [p for layer in self.second for p in (layer.weight, layer.bias)]
        for p in zeros:
            nn.init.zeros_(p)

    def norm(self, h):
        return F.layer_norm(h, (self.w,)) if self.groups == 1 else F.group_norm(h, self.groups)

    def forward(self, x, tau, hidden=None):
        e = self.time(tau)
        modulations = [m(e).chunk(6, 1) for m in self.modulation]
        first, _, _, _, out_scale, out_shift = modulations[0]
        if self.mask_in:
            x = torch.cat((x, (tau == 0).to(x.dtype)), 1)
        h, kept, blocks = self.lin_in(x) + first, [], len(self.first)
        for k in range(blocks):
            _, scale, shift, gate, _, _ = modulations[k % len(modulations)]
            if self.joins and k >= blocks - len(self.joins):
                h = self.joins[k - blocks](torch.cat((h, kept.pop()), 1))
            elif self.joins:
                kept.append(h)
            gamma = self.gamma[k] + scale if self.scaled else self.gamma[k]
            u = self.second[k](F.silu(self.first[k](gamma * self.norm(h) + self.beta[k] + shift)))
            h = h + (self.gate[k] + gate) * u if self.gated else h + u
            if hidden is not None and k == blocks // 2:
                hidden.append(h)
        gamma = self.gamma[-1] + out_scale if self.scaled else self.gamma[-1]
        return self.out(gamma * self.norm(h) + self.beta[-1] + out_shift)


class ResMlpNet(nn.Module):
    """One level of the paper's network (section 17.2), with the same knowledge of the times."""

    class Block(nn.Module):
        def __init__(self, i, o, t):
            super().__init__()
            self.emb, self.norm1, self.lin1 = nn.Linear(t, o), nn.GroupNorm(8, i), nn.Linear(i, o)
            self.norm2, self.lin2 = nn.GroupNorm(8, o), nn.Linear(o, o)
            self.skip = nn.Linear(i, o) if i != o else nn.Identity()

        def forward(self, h, e):
            v = self.lin1(F.silu(self.norm1(h))) + self.emb(e)
            return self.lin2(F.silu(self.norm2(v))) + self.skip(h)

    def __init__(self, w, t=128, dim=80):
        super().__init__()
        block = self.Block
        self.time, self.lin_in = Times(t, 8, True), nn.Linear(dim, w)
        self.down, self.mid1, self.mid2 = block(w, w, t), block(w, w, t), block(w, w, t)
        self.up, self.final = block(2 * w, w, t), block(2 * w, w, t)
        self.down_lin, self.up_lin = nn.Linear(w, w), nn.Linear(w, w)
        self.norm, self.out = nn.GroupNorm(8, w), nn.Linear(w, dim)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x, tau, hidden=None):
        e, first = self.time(tau), self.lin_in(x)
        skip = self.down(first, e)
        h = self.mid2(self.mid1(self.down_lin(skip), e), e)
        h = self.final(torch.cat((self.up_lin(self.up(torch.cat((h, skip), 1), e)), first), 1), e)
        return self.out(F.silu(self.norm(h)))


class Contrast(nn.Module):
    """Symmetric InfoNCE between heads of the two clean latents, and a hidden layer drawn towards their mean."""

    def __init__(self, w):
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(d, 256), nn.SiLU(), nn.Linear(256, 64)) for d in (16, 64))
        self.align = nn.Linear(w, 64)

    def forward(self, z, both, h):
        a, b = (F.normalize(head(part), dim=1) for head, part in zip(self.heads, z.split([16, 64], 1)))
        logits, same = a @ b.T / 0.1, torch.arange(len(z))
        loss = (F.cross_entropy(logits[both], same[both]) + F.cross_entropy(logits.T[both], same[both])) / 2
        towards = F.normalize((a + b).detach(), dim=1)
        return loss - 0.5 * F.cosine_similarity(self.align(h), towards, dim=1).mean()


def alpha_sigma(t):
    integral = BETA_MIN * t + 0.5 * (BETA_MAX - BETA_MIN) * t * t
    return torch.exp(-integral / 2), torch.sqrt(-torch.expm1(-integral))


def time_of(ratio):
    """t at which sigma/a is `ratio`."""
    integral = torch.log1p(ratio * ratio)
    return (-BETA_MIN + torch.sqrt(BETA_MIN**2 + 2 * (BETA_MAX - BETA_MIN) * integral)) / (
        BETA_MAX - BETA_MIN)


MODALITY = torch.tensor([0] * 16 + [1] * 64)


def rows(z, given, sets, generator):
    """r, tau, target, weight, mask for clean z; sets: 0 all diffused, 1 MNIST given, 2 SVHN given, 3 and 4 the marginals
    of MNIST and SVHN (the other absent)."""
    n = len(z)
    t = time_of(torch.exp(1.2 * torch.randn(n, generator=generator))).clamp(1e-6, 1)[:, None]
    a, s = alpha_sigma(t)
    noise = torch.randn(n, 80, generator=generator)
    codes = torch.tensor([[1, 1], [0, 1], [1, 0], [1, 2], [2, 1]])[sets]  # 0 given, 1 diffused, 2 absent
    by_coordinate = codes[:, MODALITY]
    diffused = (by_coordinate == 1).float()
    r = torch.where(by_coordinate == 1, a * z + s * noise, torch.where(by_coordinate == 0, given, noise))
    tau = torch.where(codes == 1, t, (codes == 2).float())
    present = (by_coordinate != 2).float().sum(1, keepdim=True)
    return r, tau, a * noise - s * z, diffused * present / diffused.sum(1, keepdim=True), t


def train(data, option, width, steps, seed):
    option = dict(option)
    batch, lr, joint = option.pop("batch", 128), option.pop("lr", 1.5e-3), option.pop("joint", JOINT)
    steps = int(steps * option.pop("steps", 1))
    fresh, encoded, noisy = option.pop("fresh", True), option.pop("encodings", True), option.pop("noise", 0)
    beta2, uncertain, contrast = option.pop("beta2", 0.999), option.pop("uncertainty", False), option.pop("contrast", False)
    torch.manual_seed(seed)
    network = ResMlpNet(width) if option.pop("resmlp", False) else AdaLn(width, **option)
    parameters = list(network.parameters())
    helpers = nn.ModuleList()
    if contrast:
        helpers.append(Contrast(width))
    if uncertain:  # of the log of the level and the set
        helpers.append(nn.Sequential(nn.Linear(21, 32), nn.SiLU(), nn.Linear(32, 1)))
        nn.init.zeros_(helpers[-1][2].weight)
    optimizer = torch.optim.Adam(parameters + list(helpers.parameters()), lr, betas=(0.9, beta2), fused=True)
    averages = {name: [p.detach().clone() for p in parameters] for name in ("0.999", "0.9995", *SIGMA_REL)}
    gammas = {}
    for width_ in SIGMA_REL:  # sigma_rel = sqrt(gamma + 1) / ((gamma + 2) sqrt(gamma + 3)), monotonous
        low, high = 0.0, 1e4
        for _ in range(200):
            middle = (low + high) / 2
            wide = math.sqrt(middle + 1) / ((middle + 2) * math.sqrt(middle + 3)) > width_
            low, high = (middle, high) if wide else (low, middle)
        gammas[width_] = low
    generator = torch.Generator().manual_seed(1000 + seed)
    labels, count = data.train_labels[1], len(data.train_labels[1])
    start, bar = time.perf_counter(), torch.arange(20) / 20 * 10 - 5
    for k in range(steps):
        photographs = torch.randint(count, (batch,), generator=generator)
        c = labels[photographs]
        digits = data.partners(0, c, generator) if fresh else data.partner[photographs]
        if fresh:
            photographs = data.partners(1, c, generator)
        z = torch.cat((data.train[0][digits], data.train[1][photographs]), 1)
        version = torch.randint(len(data.encodings) if encoded else 1, (batch,), generator=generator)
        given = torch.cat((z[:, :16], data.encodings[version, photographs]), 1)
        if noisy:
            given = given + noisy * torch.randn(batch, 80, generator=generator)
        u, v = torch.rand(batch, generator=generator), torch.rand(batch, generator=generator)
        sets = torch.where(u < MARGINALS, 3 + (v < 0.5).long(),
                           torch.where(v < joint, 0, 1 + (v > joint + (1 - joint) / 2).long()))
        r, tau, target, weight, t = rows(z, given, sets, generator)
        hidden = [] if contrast else None
        errors = (weight * (network(r, tau, hidden) - target) ** 2).sum(1)
        loss = errors.mean()
        if uncertain:
            a, s = alpha_sigma(t)
            level = torch.exp(-(torch.log(s / a) - bar) ** 2 * 4)
            u = helpers[-1](torch.cat((level, sets[:, None].float()), 1))[:, 0]
            loss = (errors / 80 / torch.exp(u) + u).mean()
        if contrast:
            loss = loss + helpers[0](z, sets < 3, hidden[0])
        rate = lr * min(1, (k + 1) / WARMUP) * (0.5 + 0.5 * math.cos(math.pi * k / steps))
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            torch._foreach_mul_(parameters, 1 - rate * DECAY)
            for name, average in averages.items():
                keep = (1 - 1 / (k + 1)) ** (gammas[name] + 1) if name in gammas else float(name)
                torch._foreach_lerp_(average, parameters, 1 - keep)
    return network, averages, (time.perf_counter() - start) / steps * 1e3


@torch.no_grad()
def sample(network, z, codes, generator, levels=20, churn=6.0):
    """What is drawn where codes are 1, given the rest: a stirred walk over `levels` levels, evenly in log(sigma/a)."""
    ratios = torch.exp(torch.linspace(math.log(20.0), math.log(0.03), levels))
    drawn = (codes[MODALITY] == 1)[None]
    r = torch.where(drawn, torch.randn(z.shape, generator=generator), z)
    for k in range(levels):
        t = time_of(ratios[k])
        a, s = alpha_sigma(t)
        clean = a * r - s * network(r, (codes * t)[None].expand(len(z), -1))
        if k + 1 == levels:
            return torch.where(drawn, clean, z)
        next_a, next_s = alpha_sigma(time_of(ratios[k + 1]))
        keep = math.exp(-churn * math.log(ratios[k] / ratios[k + 1]))
        noise = keep * (r - a * clean) / s + math.sqrt(1 - keep * keep) * torch.randn(z.shape, generator=generator)
        r = torch.where(drawn, next_a * clean + next_s * noise, z)


@torch.no_grad()
def measure(network, data, probes):
    generator = torch.Generator().manual_seed(5)
    read = [lambda z: probes[0](z[:, :16]).argmax(1), lambda z: probes[1](z[:, 16:]).argmax(1)]
    digits, photographs = data.held
    rows_ = torch.arange(len(photographs) * DRAWS) % len(photographs)
    blank = torch.zeros(len(rows_), 80)
    result = {}
    joint = sample(network, blank, torch.tensor([1, 1]), generator)
    result["joint"] = (read[0](joint) == read[1](joint)).float().mean()
    given = blank.clone()
    turns = torch.arange(len(rows_)) % len(digits)
    given[:, :16], labels = digits[turns], data.held_labels[0][turns]
    result["M->S"] = (read[1](sample(network, given, torch.tensor([0, 1]), generator)) == labels).float().mean()
    given = blank.clone()
    given[:, 16:] = photographs[rows_]
    labels = data.held_labels[1][rows_]
    result["S->M"] = (read[0](sample(network, given, torch.tensor([1, 0]), generator)) == labels).float().mean()
    seen = torch.randperm(len(data.train[1]), generator=generator)[: len(rows_)]
    given[:, 16:] = data.train[1][seen]
    drawn = sample(network, given, torch.tensor([1, 0]), generator)
    result["S->M seen"] = (read[0](drawn) == data.train_labels[1][seen]).float().mean()
    partner = torch.cat([data.held[0][data.held_labels[0] == c][torch.arange(int((data.held_labels[1] == c).sum()))
                                                              % int((data.held_labels[0] == c).sum())]
                         for c in range(10)])
    order = torch.cat([(data.held_labels[1] == c).nonzero()[:, 0] for c in range(10)])
    z = torch.cat((partner, photographs[order]), 1)
    for name, which in (("joint", 0), ("M->S", 1), ("S->M", 2)):
        error = 0.0
        for _ in range(16):
            r, tau, target, weight, _ = rows(z, z, torch.full((len(z),), which), generator)
            error += (weight * (network(r, tau) - target) ** 2).sum(1).mean().item() / 16
        result["error " + name] = error
    return result


def main():
    options = arguments()
    torch.set_num_threads(options.threads)
    data = Data(options.run, options.houses)
    probes = [train_probe(data.train[i], data.train_labels[i]) for i in range(2)]
    with torch.no_grad():
        read = [(probe(z).argmax(1) == labels).float().mean().item() * 100
                for probe, z, labels in zip(probes, data.held, data.held_labels)]
    print(f"held out: {len(data.held[0])} digits, {len(data.held[1])} photographs; probes read {read[0]:.1f}, {read[1]:.1f} %")
    names = options.only.split(",") if options.only else list(OPTIONS)
    chosen = [name for name in OPTIONS if any(name.startswith(asked) for asked in names)]
    for seed in map(int, options.seeds.split(",")):
        for name in chosen:
            network, averages, milliseconds = train(data, OPTIONS[name], options.width, options.steps, seed)
            for average, values in averages.items():
                if average != "0.999" and name != "as it is":
                    continue
                with torch.no_grad():
                    for p, value in zip(network.parameters(), values):
                        p.copy_(value)
                r = measure(network, data, probes)
                label = name if average == "0.999" else f"average {average}"
                shares = " | ".join(f"{100 * r[k]:.1f}" for k in ("joint", "M->S", "S->M", "S->M seen"))
                errors = " / ".join(f"{r['error ' + k]:.2f}" for k in ("joint", "M->S", "S->M"))
                print(f"| {seed} | {label} | {shares} | {errors} | {milliseconds:.1f} |", flush=True)


main()
