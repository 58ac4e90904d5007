"""Writes adaln_golden.safetensors: a small score network with adaptive layer norm in PyTorch, written from
docs/method.md section 17.4 alone, with its output, input gradient, parameter gradients and ten training losses of Adam.

Run with PyTorch 1.13 or later and the safetensors package: python make_adaln.py
"""

import math
import pathlib

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

D, W, T, M, K, BLOCKS, B = 6, 16, 8, 2, 3, 2, 5
torch.manual_seed(12)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.lin1, self.lin2 = nn.LayerNorm(W), nn.Linear(W, W), nn.Linear(W, W)
        self.gate = nn.Parameter(torch.zeros(W))

    def forward(self, h, scale, shift, gate):
        u = self.norm(h) + F.layer_norm(h, (W,)) * scale + shift
        return h + (self.gate + gate) * self.lin2(F.silu(self.lin1(u)))


class AdaLn(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin_in = nn.Linear(D, W)
        self.time1, self.time2 = nn.Linear(M * (2 + 2 * K), T), nn.Linear(T, T)
        for name in ("in", "scale", "shift", "gate", "out_scale", "out_shift"):
            self.add_module(name, nn.Linear(T, W, bias=False))
        self.blocks = nn.ModuleList(Block() for _ in range(BLOCKS))
        self.out_norm, self.out = nn.LayerNorm(W), nn.Linear(W, D)

    def forward(self, x, tau):
        features = []
        for m in range(M):
            t = tau[:, m].double()
            features += [t, (t == 0).double()]
            for k in range(K):
                features += [torch.sin(math.pi * 2**k * t), torch.cos(math.pi * 2**k * t)]
        e = F.silu(self.time2(F.gelu(self.time1(torch.stack(features, 1).float()))))
        p = {name: getattr(self, name)(e) for name in ("in", "scale", "shift", "gate", "out_scale", "out_shift")}
        h = self.lin_in(x) + p["in"]
        for block in self.blocks:
            h = block(h, p["scale"], p["shift"], p["gate"])
        return self.out(self.out_norm(h) + F.layer_norm(h, (W,)) * p["out_scale"] + p["out_shift"])


net = AdaLn()
with torch.no_grad():
    for p in net.parameters():  # what starts at zero, too
        p.add_(0.2 * torch.randn_like(p))
r, target = torch.randn(B, D, requires_grad=True), torch.randn(B, D)
tau, weight = torch.rand(B, M), torch.rand(B, D)
tau[0, 1] = tau[3, 0] = 0.0
tensors = {"model/" + k: v.detach().clone() for k, v in net.named_parameters()}
tensors |= {"r": r, "tau": tau, "target": target, "weight": weight}


def loss():
    n = net(r, tau)
    return n, (weight * (n - target) ** 2).sum() / B


n, value = loss()
value.backward()
tensors |= {"output": n, "gradient": r.grad.clone()}
tensors |= {"gradient/" + k: v.grad.clone() for k, v in net.named_parameters()}
adam = torch.optim.Adam(net.parameters(), lr=1e-3)
losses = []
for _ in range(10):
    adam.zero_grad()
    value = loss()[1]
    value.backward()
    adam.step()
    losses.append(value.item())
tensors["losses"] = torch.tensor(losses, dtype=torch.float64)
path = pathlib.Path(__file__).with_name("adaln_golden.safetensors")
save_file({k: v.detach().contiguous() for k, v in tensors.items()}, path)
print(path, path.stat().st_size, losses)
