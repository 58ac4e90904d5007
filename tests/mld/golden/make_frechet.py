#!/usr/bin/env python3
"""Reference values of tests/mld/evaluate/feature_set_test.cpp, with NumPy and SciPy: Frechet distances by the general
matrix square root, kernel distances over all rows by the textbook formula. Rows come from integers, as in the test."""
import numpy as np
from scipy import linalg


def rows(n, dim, seed):
    i = np.arange(n * dim, dtype=np.uint64) + np.uint64(seed * 1_000_003)
    x = (i * np.uint64(2654435761)) % np.uint64(2**32)
    x = (x ^ (x >> np.uint64(15))) * np.uint64(2246822519) % np.uint64(2**32)
    u = ((x ^ (x >> np.uint64(13))) % np.uint64(65536)).astype(np.float64) / 65536
    u = u.reshape(n, dim)
    # Correlated, of different means and scales.
    return (u + 0.5 * np.roll(u, 1, axis=1) + np.arange(dim) / dim * (1 + seed / 10)).astype(np.float32)


def frechet(a, b):
    a, b = a.astype(np.float64), b.astype(np.float64)
    ca, cb = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = linalg.sqrtm(ca @ cb)
    return ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(ca) + np.trace(cb) - 2 * np.trace(root).real


def kernel(a, b):
    a, b = a.astype(np.float64), b.astype(np.float64)
    k = lambda x, y: (x @ y.T / x.shape[1] + 1) ** 3
    n = len(a)
    off = lambda m: (m.sum() - np.trace(m)) / (n * (n - 1))
    return off(k(a, a)) + off(k(b, b)) - 2 * k(a, b).mean()


for n, m, dim in ((500, 400, 16), (900, 700, 64), (40, 40, 64)):
    a, b = rows(n, dim, 1), rows(m, dim, 2)
    print(f"{{{n}, {m}, {dim}, {frechet(a, b):.12f}}},")
a, b = rows(3000, 16, 1), rows(3000, 16, 2)
print("kernel", f"{kernel(a, b):.9f}")
