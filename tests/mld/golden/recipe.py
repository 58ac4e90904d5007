"""Numbers that Python and C++ (tests/mld/recipe.h) make alike, so that golden files need no weights in them."""

import math
import zlib

import numpy as np


def uniform(name, count):
    """[0, 1): a hash of (name, index), 24 bits each."""
    with np.errstate(over="ignore"):
        h = np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B9) + np.uint32(zlib.crc32(name.encode()))
        h ^= h >> np.uint32(16)
        h *= np.uint32(0x85EBCA6B)
        h ^= h >> np.uint32(13)
        h *= np.uint32(0xC2B2AE35)
        h ^= h >> np.uint32(16)
    return (h >> np.uint32(8)).astype(np.float64) * 2.0**-24


def values(name, shape):
    """float32 values of a network's tensor, by its last name and rank: He's uniform for weights, statistics and
    scales around one."""
    u = uniform(name, math.prod(shape)).reshape(shape)
    last = name.split(".")[-1]
    if last == "running_var":
        v = 0.5 + u
    elif last == "running_mean":
        v = 0.2 * (2 * u - 1)
    elif last == "bias":
        v = 0.1 * (2 * u - 1)
    elif len(shape) == 1:
        v = 0.75 + 0.5 * u
    else:
        v = math.sqrt(6 / math.prod(shape[1:])) * (2 * u - 1)
    return v.astype(np.float32)


def fill(module):
    """A PyTorch module's parameters and statistics, in double precision."""
    import torch

    for name, tensor in module.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            tensor.copy_(torch.from_numpy(values(name, tuple(tensor.shape)).copy()))
