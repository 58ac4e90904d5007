"""Writes golden.safetensors: two small PyTorch networks, their outputs, and three steps of training.

Run with PyTorch 1.13 or later: python make_golden.py. Everything is in double precision, so that the C++ test
(golden_test.cpp) can compare closely. Tensor names are those of our Sequential, layouts are PyTorch's.
"""

import json
import pathlib
import struct

import torch
from torch import nn

torch.manual_seed(20240607)
torch.set_default_dtype(torch.float64)
BATCH = 3


class Reshape(nn.Module):
    def __init__(self, *shape):
        super().__init__()
        self.shape = shape

    def forward(self, x):
        return x.reshape(len(x), *self.shape)


# name of the layer in our Sequential -> layer
image = {
    "0": nn.Conv2d(2, 4, (3, 2), (2, 1), (1, 0), bias=False),
    "1": nn.BatchNorm2d(4),
    "act1": nn.SiLU(),
    "2": nn.Flatten(),
    "3": nn.Linear(48, 4),
    "act3": nn.LeakyReLU(0.25),
    "4": nn.Linear(4, 24),
    "5": nn.BatchNorm1d(24),
    "act5": nn.ReLU(),
    "6": Reshape(4, 3, 2),
    "7": nn.GroupNorm(2, 4),
    "8": nn.ConvTranspose2d(4, 2, 3, 2, 1, output_padding=(1, 0)),
    "act8": nn.Sigmoid(),
}
sequence = {
    "0": nn.Conv1d(3, 4, 4, 2, 1),
    "1": nn.ConvTranspose1d(4, 2, 4, 2, 1),
    "2": nn.Flatten(),
    "3": nn.Linear(16, 5),
}


def run(layers, x):
    for layer in layers.values():
        x = layer(x)
    return x


def channels_last(x):
    return x.permute(0, *range(2, x.dim()), 1) if x.dim() > 2 else x


tensors = {}


def put(name, value):
    tensors[name] = value.detach().clone().contiguous()


def put_model(prefix, layers, buffers=True):
    for name, layer in layers.items():
        for key, value in layer.named_parameters():
            put(f"model/{prefix}{name}.{key}", value)
        for key, value in layer.named_buffers():
            if buffers and key.startswith("running"):
                put(f"buffer/{prefix}{name}.{key}", value)


for layer in image.values():  # nothing may hide behind an initial value of zero or one
    for key, value in layer.named_parameters():
        nn.init.uniform_(value, -0.6, 0.6) if value.dim() > 1 else nn.init.uniform_(value, 0.3, 0.9)
    for key, value in layer.named_buffers():
        if key.startswith("running"):
            nn.init.uniform_(value, 0.2, 0.8)

x, target = torch.rand(BATCH, 2, 6, 5), torch.rand(BATCH, 2, 6, 3)
s = torch.rand(BATCH, 3, 8)
put("image/input", channels_last(x))
put("image/target", channels_last(target))
put("sequence/input", channels_last(s))
put_model("image.", image)
put_model("sequence.", sequence)

for layer in image.values():
    layer.eval()
put("image/output", channels_last(run(image, x)))
put("sequence/output", run(sequence, s))

for layer in image.values():
    layer.train()
parameters = [p for layer in image.values() for p in layer.parameters()]
optimizer = torch.optim.Adam(parameters, lr=1, weight_decay=1e-2)
ema = image["0"].weight.detach().clone()
losses, norms = [], []
for lr in (0.005, 0.01, 0.01):
    optimizer.param_groups[0]["lr"] = lr
    optimizer.zero_grad()
    loss = ((run(image, x) - target) ** 2).sum() / BATCH
    loss.backward()
    norms.append(float(nn.utils.clip_grad_norm_(parameters, 0.5)))
    optimizer.step()
    losses.append(loss.detach())
    ema = 0.9 * ema + 0.1 * image["0"].weight.detach()
assert all(norm > 0.5 for norm in norms), norms
put("image/losses", torch.stack(losses))
put("image/ema", ema)
put_model("trained.", image)

header, payload = {}, b""
for name, value in tensors.items():
    data = value.numpy().tobytes()
    header[name] = {
        "dtype": "F64",
        "shape": list(value.shape),
        "data_offsets": [len(payload), len(payload) + len(data)],
    }
    payload += data
text = json.dumps(header, separators=(",", ":")).encode()
text += b" " * (-len(text) % 8)
pathlib.Path(__file__).with_name("golden.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + payload)
