"""The paper's score network, trained in PyTorch on the latents of a run: do latents or training make a difference?

    mldctl train ... --out RUN --set score.steps=10      # the paper's recipe: latents, and a network to replace
    python3 train_torch.py RUN STEPS [SEED]
    mldctl eval RUN ...

Network and objective are those that peer_torch.py times: the recipe of the preset mnist-svhn (docs/method.md section 17) at
the run's width. The averaged weights replace those in RUN/score.safetensors. Needs torch, numpy, safetensors.
"""

import json
import pathlib
import sys
import time

import numpy
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

RUN, STEPS, SEED = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0
sys.argv[1:] = ["1"]  # what peer_torch.py reads: one thread, on the CPU
import peer_torch as peer

torch.set_num_threads(1)
torch.manual_seed(SEED)
config = json.loads((RUN / "config.json").read_text())
names = [modality["name"] for modality in config["modalities"]]
score = config["score"]
PAPER = {"network": "resmlp", "mults": [1, 1], "fourier_features": 0, "prediction": "noise", "time_sampling": "uniform",
         "subsets": "per_sample", "pairing": "fixed", "marginals": 0, "latent_coordinates": "own", "schedule": "constant",
         "warmup": 0, "weight_decay": 0, "clip": 0, "ema": peer.EMA_DECAY}
if config["model"]["kind"] != "mld" or any(score[key] != value for key, value in PAPER.items()):
    sys.exit(f"{RUN}: not the paper's recipe, which has model.kind mld and of score {PAPER}")
tensors = load_file(RUN / "score.safetensors")
with safe_open(RUN / "score.safetensors", "pt") as file:
    metadata = file.metadata()

# Latents of items; the pairing says which items a sample consists of.
items = load_file(RUN / "latents.safetensors")
pairs = torch.from_numpy(numpy.load(pathlib.Path(config["data"]["store"]) / "train" / "samples.npy").astype(numpy.int64))
z = torch.cat([items[name][pairs[:, i]] for i, name in enumerate(names)], 1)
z = (z - tensors["buffer/latent_mean"]) / tensors["buffer/latent_std"]

spec = peer.Spec(tuple(items[name].shape[1] for name in names), score["width"], score["time_dim"], score["groups"],
                 score["batch"], score["d"])
network = peer.ScoreNetwork(spec)
averaged = peer.copies(network)
batches = peer.Batches(spec.batch, len(z))
step = peer.train_step(network, peer.score_loss(spec, z, batches), score["lr"], {"fused": True}, averaged)
start, total, since = time.perf_counter(), 0.0, 0
for k in range(1, STEPS + 1):
    batches.advance()
    total, since = total + step().item(), since + 1
    if k % 1000 == 0 or k == STEPS:
        print(f"{k}/{STEPS}  loss {total / since:.4f}  {k / (time.perf_counter() - start):.1f} steps/s", flush=True)
        total, since = 0.0, 0

for (name, _), value in zip(network.named_parameters(), averaged):
    path = name.replace("time.0.", "time1.").replace("time.2.", "time2.")
    for kind in ("model/", "ema/"):
        if tensors[kind + path].shape != value.shape:
            sys.exit(f"{RUN}: {path} has shape {tuple(tensors[kind + path].shape)}, not the paper's {tuple(value.shape)}")
        tensors[kind + path] = value.clone()
# Checksums are those of the tensors before; files without any load unverified.
save_file(tensors, RUN / "score.safetensors", {k: v for k, v in metadata.items() if not k.startswith("crc32")})
