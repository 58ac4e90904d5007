#!/usr/bin/env python3
"""Rates of our CPU products beside those of the libraries behind PyTorch, at the presets' shapes.

    compare_gemm.py BENCH_GEMM --peer PYTHON [--peer PYTHON ...] [--threads N] [--turns T]

Each turn runs bench_gemm and then every peer (torch.mm with the same operands and transposes, its result in given
memory); the fastest time of a product over all turns counts. Debian's python3-torch computes with OpenBLAS, the one
from PyPI with MKL and oneDNN.
"""
import argparse
import math
import re
import subprocess
import sys

PEER = r"""
import re, sys, time, torch
torch.set_num_threads(int(sys.argv[1]))
print('# torch', torch.__version__)
with torch.no_grad():
    for name in sys.stdin.read().splitlines():
        kind, batch, i, o = re.match(r'(\w+)\s+(\d+) x (\d+) -> (\d+)', name).groups()
        b, i, o = int(batch), int(i), int(o)
        x, w, g = torch.rand(b, i), torch.rand(o, i), torch.rand(b, o)
        left, right = {'y': (x, w.t()), 'dx': (g, w), 'dw': (g.t(), x)}[kind]
        out = torch.empty(left.shape[0], right.shape[1])
        best = 1e9
        for _ in range(12):
            start = time.perf_counter()
            torch.mm(left, right, out=out)
            best = min(best, time.perf_counter() - start)
        print(name, '|', 2.0 * b * i * o / best * 1e-9)
"""


def ours(program, threads):
    text = subprocess.run([program, str(threads), "6"], check=True, capture_output=True, text=True).stdout
    rates = {}
    for line in text.splitlines():
        found = re.match(r"(\w+ +\d+ x \d+ -> \d+) +[\d.]+ ms +([\d.]+) GFLOP/s", line)
        if found:
            rates[found[1]] = float(found[2])
    return rates


def theirs(python, threads, names):
    text = subprocess.run([python, "-c", PEER, str(threads)], check=True, capture_output=True, text=True,
                          input="\n".join(names)).stdout
    version, *lines = text.splitlines()
    return version[2:], {name.strip(): float(rate) for name, rate in (line.split("|") for line in lines)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", metavar="BENCH_GEMM")
    parser.add_argument("--peer", action="append", required=True, metavar="PYTHON")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=3)
    o = parser.parse_args()

    best, peers = {}, {}
    for _ in range(o.turns):
        for name, rate in ours(o.program, o.threads).items():
            best[name] = max(best.get(name, 0), rate)
        for python in o.peer:
            version, rates = theirs(python, o.threads, list(best))
            known = peers.setdefault(version, {})
            for name, rate in rates.items():
                known[name] = max(known.get(name, 0), rate)

    print(f"{o.threads} threads, GFLOP/s\n")
    print("| product | ours |" + "".join(f" {v} |" for v in peers) + " ours / best |")
    print("|---|---|" + "---|" * len(peers) + "---|")
    ratios = {}
    for name, rate in best.items():
        others = [p[name] for p in peers.values()]
        ratio = rate / max(others)
        kind, batch = name.split()[:2]
        ratios.setdefault((kind, batch), []).append(ratio)
        print(f"| {name} | {rate:.1f} |" + "".join(f" {r:.1f} |" for r in others) + f" {ratio:.2f} |")
    print("\nGeometric means of ours / best:", end=" ")
    print(", ".join(f"{kind} at {batch} rows {math.exp(sum(map(math.log, r)) / len(r)):.2f}"
                    for (kind, batch), r in ratios.items()))


if __name__ == "__main__":
    sys.exit(main())
