"""Writes trivial_augment_golden.safetensors: two small pictures changed by the operations of torchvision's
TrivialAugmentWide, at magnitudes of both signs.

Run with torchvision 0.21 or later and the safetensors package: python make_trivial_augment.py
"""

import pathlib

import numpy as np
import torch
import torchvision
from safetensors.torch import save_file
from torchvision.transforms import InterpolationMode, TrivialAugmentWide
from torchvision.transforms.autoaugment import _apply_op

H, W, BINS = 12, 16, 31
CHOSEN = (0, 6, 13, 20, 30)  # 20 is a quarter turn
# Of the bins 0 .. 30, in double: torch.linspace of floats is an ulp off here and there, which depends on the width of the
# machine's vectors; 15.999999 instead of 16 is cut to a shift by 15 pixels.
MOST = {"Shear": 0.99, "Translate": 32.0, "Rotate": 135.0, "Brightness": 0.99, "Color": 0.99, "Contrast": 0.99}
MOST |= {"Sharpness": 0.99}


def magnitude(name, theirs, k):
    most = MOST.get(name.rstrip("XY"))
    if most is None:
        return theirs
    ours = float(np.float32(most * k / (BINS - 1)))
    assert abs(ours - theirs) <= 2e-7 * most, (name, k)
    return ours


# One of soft shapes, whose values leave out some levels, and one of noise.
y, x = np.mgrid[0:H, 0:W]
soft = np.stack([40 + 7 * x + 4 * y, 200 - 9 * y - 3 * x, 90 + 60 * ((x - 7) ** 2 + (y - 5) ** 2 < 20)], -1)
noise = np.random.default_rng(5).integers(0, 256, (H, W, 3))
pictures = torch.from_numpy(np.stack([soft, noise]).astype(np.uint8))

changes, results = [], []
space = TrivialAugmentWide(num_magnitude_bins=BINS)._augmentation_space(BINS)
for number, (name, (magnitudes, signed)) in enumerate(space.items()):
    for k in CHOSEN if magnitudes.ndim else (0,):
        for negative in (0, 1) if signed else (0,):
            m = magnitude(name, float(magnitudes[k]), k) if magnitudes.ndim else 0.0
            m = -m if negative else m
            out = _apply_op(pictures.permute(0, 3, 1, 2), name, m, InterpolationMode.NEAREST, None)
            changes.append((number, k, negative))
            results.append(out.permute(0, 2, 3, 1))
path = pathlib.Path(__file__).with_name("trivial_augment_golden.safetensors")
save_file(
    {
        "pictures": pictures,
        "changes": torch.tensor(changes, dtype=torch.int32),
        "results": torch.stack(results).contiguous(),
    },
    path,
)
print(path, path.stat().st_size, len(changes), "changes, torchvision", torchvision.__version__)
