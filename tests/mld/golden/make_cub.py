"""Writes cub_golden.json: the autoencoders of CUB in PyTorch, written from docs/method.md section 16.1 alone, on weights and
inputs that a formula makes: latents, outputs, losses and what tells of every gradient. In inference mode, in double.

Run with PyTorch 2 : python make_cub.py
"""

import json
import math
import pathlib
import zlib

import torch
from torch import nn
from torch.nn import functional as F

VOCABULARY, LENGTH, B = 1590, 32, 2


def pattern(name, numel):
    """Numbers in [-0.5, 0.5) that depend on a name and their place."""
    place = torch.arange(numel, dtype=torch.int64)
    return (((place + 1) * 2654435761 + zlib.crc32(name.encode())) % 2**32).double() / 2**32 - 0.5


def made(name, shape):
    p = pattern(name, math.prod(shape)).reshape(shape)
    if len(shape) > 1:
        return 2 * p / math.sqrt(math.prod(shape) / shape[0])
    return 1 + 0.4 * p if name.endswith(("weight", "running_var")) else 0.2 * p


class Residual(nn.Module):
    """What a block changes, with the names of its layers, beside a shortcut; nothing stands where no parameters are."""

    def __init__(self, main, shortcut, forward):
        super().__init__()
        self.main, self.shortcut, self.run = nn.ModuleDict(main), nn.ModuleDict(shortcut), forward

    def forward(self, x):
        return self.run(self.main, self.shortcut, x)


def lrelu(x):
    return F.leaky_relu(x, 0.2)


def image_block(i, o):
    def run(main, shortcut, x):
        s = shortcut["0"](x) if i != o else x
        return s + 0.1 * main["2"](lrelu(main["1"](lrelu(x))))

    least = min(i, o)
    return Residual({"1": nn.Conv2d(i, least, 3, 1, 1), "2": nn.Conv2d(least, o, 3, 1, 1)},
                    {"0": nn.Conv2d(i, o, 1, bias=False)} if i != o else {}, run)


def caption_block(conv, i, o):
    def run(main, shortcut, x):
        s = shortcut["1"](shortcut["0"](x))
        h = main["1"](F.relu(main["0"](x)))
        return 2 * s + 0.3 * main["4"](F.relu(main["3"](h)))

    return Residual({"0": nn.BatchNorm1d(i), "1": conv(i, i, 1), "3": nn.BatchNorm1d(i), "4": conv(i, o, 4, 2, 1)},
                    {"0": conv(i, o, 4, 2, 1), "1": nn.BatchNorm1d(o)}, run)


class Image(nn.Module):
    def __init__(self, latent=64):
        super().__init__()
        self.encoder = nn.ModuleDict({"0": nn.Conv2d(3, 64, 3, 1, 1), "1": image_block(64, 64), "3": image_block(64, 128),
                                      "5": image_block(128, 256), "8": nn.Linear(65536, latent)})
        self.decoder = nn.ModuleDict({"0": nn.Linear(latent, 65536), "2": image_block(256, 128), "4": image_block(128, 64),
                                      "6": image_block(64, 64), "8": nn.Conv2d(64, 3, 3, 1, 1)})

    def encode(self, x):
        e = self.encoder
        h = e["1"](e["0"](x))
        h = e["3"](F.avg_pool2d(h, 3, 2, 1))
        h = e["5"](F.avg_pool2d(h, 3, 2, 1))
        return e["8"](lrelu(h.flatten(1)))

    def decode(self, z):
        d = self.decoder
        h = d["2"](d["0"](z).reshape(-1, 256, 16, 16))
        h = d["4"](F.interpolate(h, scale_factor=2))
        h = d["6"](F.interpolate(h, scale_factor=2))
        return d["8"](lrelu(h))


class Caption(nn.Module):
    def __init__(self, latent=32):
        super().__init__()
        c, t = nn.Conv1d, nn.ConvTranspose1d
        sizes = [32, 64, 96, 128, 160]
        self.encoder = nn.ModuleDict({"1": c(VOCABULARY, 32, 4, 2, 1)})
        for k in range(4):
            self.encoder[str(k + 2)] = caption_block(c, sizes[k], sizes[k + 1])
        self.encoder["8"] = nn.Linear(160, latent)
        self.decoder = nn.ModuleDict({"0": nn.Linear(latent, 160)})
        for k in range(4):
            self.decoder[str(k + 2)] = caption_block(t, sizes[4 - k], sizes[3 - k])
        self.decoder["6"] = t(32, VOCABULARY, 4, 2, 1)

    def encode(self, x):  # one-hot [B,32,K]
        h = self.encoder["1"](x.transpose(1, 2))
        for k in range(2, 6):
            h = self.encoder[str(k)](h)
        return self.encoder["8"](F.relu(h.flatten(1)))

    def decode(self, z):
        h = self.decoder["0"](z).reshape(-1, 160, 1)
        for k in range(2, 6):
            h = self.decoder[str(k)](h)
        return torch.softmax(self.decoder["6"](h), 1).transpose(1, 2)


def measure(net, x, loss_of):
    net.double().eval()
    with torch.no_grad():
        for name, value in [*net.named_parameters(), *net.named_buffers()]:
            if value.is_floating_point():
                value.copy_(made(name, value.shape))
    z = net.encode(x)
    out = net.decode(z)
    loss = loss_of(out)
    loss.backward()
    gradients = {name: [(p.grad.flatten() * pattern(name, p.numel())).sum().item(), p.grad.norm().item()]
                 for name, p in net.named_parameters()}
    flat = out.detach().flatten()
    return {"z": z.flatten().tolist(), "output": flat[:: flat.numel() // 50].tolist(), "loss": loss.item(),
            "gradients": gradients,
            "parameters": [sum(p.numel() for p in half.parameters()) for half in (net.encoder, net.decoder)]}


picture = pattern("picture", B * 3 * 64 * 64).reshape(B, 3, 64, 64) + 0.5
tokens = ((pattern("tokens", B * LENGTH) + 0.5) * VOCABULARY).long().reshape(B, LENGTH)
golden = {
    "image": measure(Image(), picture, lambda out: (out - picture).square().sum() / B),
    "caption": measure(Caption(), F.one_hot(tokens, VOCABULARY).double(),
                       lambda out: -out.gather(2, tokens[:, :, None]).log().sum() / B),
}
pathlib.Path(__file__).with_name("cub_golden.json").write_text(json.dumps(golden, indent=1) + "\n")
