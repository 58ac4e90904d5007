"""Writes score_golden.safetensors: a small score network in PyTorch, written from its description alone, with its
output, input gradient and ten training losses of Adam with EMA.

Run with PyTorch 1.13 or later and the safetensors package: python make_golden.py
"""

import pathlib

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

D, W, T, G, M, B = 6, 16, 8, 4, 2, 5
torch.manual_seed(11)


class ResMlp(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.emb = nn.Linear(T, o)
        self.norm1, self.lin1 = nn.GroupNorm(G, i), nn.Linear(i, o)
        self.norm2, self.lin2 = nn.GroupNorm(G, o), nn.Linear(o, o)
        if i != o:
            self.skip = nn.Linear(i, o)

    def forward(self, h, e):
        v = self.lin1(F.silu(self.norm1(h))) + self.emb(F.silu(e))
        v = self.lin2(F.silu(self.norm2(v)))
        return v + (self.skip(h) if hasattr(self, "skip") else h)


class ScoreNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin_in = nn.Linear(D, W)
        self.time1, self.time2 = nn.Linear(M, T), nn.Linear(T, T)
        self.down1, self.down1_lin = ResMlp(W, W), nn.Linear(W, W)
        self.down2, self.down2_lin = ResMlp(W, W), nn.Linear(W, W)
        self.mid1, self.mid2 = ResMlp(W, W), ResMlp(W, W)
        self.up1, self.up1_lin = ResMlp(2 * W, W), nn.Linear(W, W)
        self.up2, self.up2_lin = ResMlp(2 * W, W), nn.Linear(W, W)
        self.final = ResMlp(2 * W, W)
        self.out_norm, self.out = nn.GroupNorm(G, W), nn.Linear(W, D)

    def forward(self, x, tau):
        e = self.time2(F.gelu(self.time1(tau)))
        h = r0 = self.lin_in(x)
        s1 = self.down1(h, e)
        s2 = self.down2(self.down1_lin(s1), e)
        h = self.mid2(self.mid1(self.down2_lin(s2), e), e)
        h = self.up1_lin(self.up1(torch.cat([h, s2], 1), e))
        h = self.up2_lin(self.up2(torch.cat([h, s1], 1), e))
        h = self.final(torch.cat([h, r0], 1), e)
        return self.out(F.silu(self.out_norm(h)))


net = ScoreNetwork()
with torch.no_grad():
    for p in net.parameters():  # norms too, so that scale and shift matter
        p.add_(0.1 * torch.randn_like(p))
r, target = torch.randn(B, D, requires_grad=True), torch.randn(B, D)
tau, weight = torch.rand(B, M), torch.rand(B, D)
tau[0, 1] = 0.0
tensors = {"model/" + k: v.detach().clone() for k, v in net.named_parameters()}
tensors |= {"r": r, "tau": tau, "target": target, "weight": weight}


def loss():
    n = net(r, tau)
    return n, (weight * (n - target) ** 2).sum() / B


n, value = loss()
value.backward()
tensors |= {"output": n, "gradient": r.grad.clone()}
ema = {k: v.detach().clone().double() for k, v in net.named_parameters()}
adam = torch.optim.Adam(net.parameters(), lr=1e-3, weight_decay=1e-2)
losses = []
for _ in range(10):
    adam.zero_grad()
    value = loss()[1]
    value.backward()
    adam.step()
    losses.append(value.item())
    for k, v in net.named_parameters():
        ema[k] += 0.1 * (v.detach().double() - ema[k])
tensors["losses"] = torch.tensor(losses, dtype=torch.float64)
tensors["ema_lin1"] = ema["up1.lin1.weight"].float()
path = pathlib.Path(__file__).with_name("score_golden.safetensors")
save_file({k: v.detach().contiguous() for k, v in tensors.items()}, path)
print(path, path.stat().st_size, losses)
