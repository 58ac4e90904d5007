"""Whole steps of this library against PyTorch, round by round in turns, as a markdown table on standard output.

    compare_torch.py BENCH_STEPS --peer PYTHON [--peer PYTHON] [--threads N] [--rounds N] [--cases CASE,CASE]

Every PYTHON is an interpreter that has torch, in which peer_torch.py runs; "PYTHON --compile" hands it that option.
Each round of a case goes through all programs, so that what else happens on the machine hits all of them alike; the
table has medians over the rounds, and ratios are medians of the ratios within a round, with their quartiles. The
multiply-add peak is measured in every round too; its fastest round counts.
"""

import argparse
import json
import os
import pathlib
import shlex
import signal
import statistics
import subprocess
import sys

CASES = ("train-score-512", "train-score-256", "train-svhn", "train-mnist", "sample-128", "sample-1024", "sample-5000")
ROUND_SECONDS = 0.5  # of one program in one round, about
PEAK_STEPS = 30


class Program:
    """A process that answers lines with JSON, stopped between the questions.

    Threads of an OpenMP team spin for a while when their work is done, for how long depends on the runtime, and would
    take a core from the program whose turn it is. A stopped process takes none, and every runtime keeps the waiting
    policy that its users have: turning the spinning off would slow the measured steps. The untimed step at the head
    of each answer wakes the team again.
    """

    def __init__(self, name, command, threads):
        environment = dict(os.environ, OMP_NUM_THREADS=threads, MKL_NUM_THREADS=threads, OPENBLAS_NUM_THREADS=threads)
        for policy in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"):
            environment.pop(policy, None)
        self.name = name
        self.process = subprocess.Popen(command, env=environment, text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)

    def ask(self, *words):
        self.process.send_signal(signal.SIGCONT)
        try:
            print(*words, file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            sys.exit(f"compare_torch: {self.name} ended with {self.process.wait()} at '{' '.join(map(str, words))}'")
        self.process.send_signal(signal.SIGSTOP)
        return json.loads(line)


def cpu_name():
    with open("/proc/cpuinfo") as lines:
        return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def print_header(ours, peers, args):
    print(f"{cpu_name()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start; {args.threads} threads, "
          f"{args.rounds} rounds\n")
    for peer in peers:
        info = peer.ask("info")
        if info["threads"] != args.threads:
            sys.exit(f"compare_torch: {peer.name} runs {info['threads']} threads, not {args.threads}")
        peer.name = info["version"]
        print(f"* {peer.name} with " + ", ".join(info["libraries"] or ["no BLAS library in a file of its own"]))
        if any("openblas-pthread" in library for library in info["libraries"]):
            print("  **This OpenBLAS brings threads of its own beside PyTorch's, which makes both slow: install "
                  "libopenblas0-openmp.**")
    columns = "".join(f" {peer.name}, ms | ratio |" for peer in peers)
    print(f"\n| case | ours, ms |{columns} GF/s | of peak |\n|---|---|{'---|---|' * len(peers)}---|---|", flush=True)


def measure(case, ours, peers, rounds):
    """Seconds of each program by round, FLOPs of a step, the peak rates seen, and the peers' ways."""
    first = [program.ask(case, 1) for program in (ours, *peers)]
    for peer, answer in zip(peers, first[1:]):
        if answer["parameters"] != first[0]["parameters"]:
            sys.exit(f"compare_torch: {case}: {first[0]['parameters']} parameters here, {answer['parameters']} in "
                     f"{peer.name}: not the same network")
    steps = min(1000, max(1, round(ROUND_SECONDS / first[0]["seconds"])))
    peaks, seconds = [], []
    for _ in range(rounds):
        peak = ours.ask("peak", PEAK_STEPS)
        peaks.append(peak["flops"] / peak["seconds"])
        seconds.append([program.ask(case, steps)["seconds"] for program in (ours, *peers)])
    return list(zip(*seconds)), first[0], peaks, [answer["way"] for answer in first[1:]]


def ratio_cell(ours, theirs):
    ratios = [b / a for a, b in zip(ours, theirs)]
    if len(ratios) < 2:
        return f"{ratios[0]:.2f}"
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return f"{middle:.2f} ({low:.2f}–{high:.2f})"


def print_row(case, seconds, flops, peak):
    medians = [statistics.median(s) for s in seconds]
    cells = [case, f"{medians[0] * 1e3:.2f}"]
    for median, theirs in zip(medians[1:], seconds[1:]):
        cells += [f"{median * 1e3:.2f}", ratio_cell(seconds[0], theirs)]
    rate = flops / medians[0]
    cells += [f"{rate * 1e-9:.0f}", f"{100 * rate / peak:.0f} %"]
    print("| " + " | ".join(cells) + " |", flush=True)


def compare(ours, peers, args):
    print_header(ours, peers, args)
    notes, peaks, rows = [], [], []
    for case in args.cases.split(","):
        print(case, file=sys.stderr, flush=True)
        seconds, first, seen, ways = measure(case, ours, peers, args.rounds)
        peaks += seen
        rows.append((case, seconds, first["flops"]))
        used = [f"{peer.name} {way}" for peer, way in zip(peers, ways) if way]
        notes.append(f"* {case}: {first['parameters']:,} parameters" + "".join("; " + u for u in used))
    for row in rows:
        print_row(*row, max(peaks))
    print(f"\nPeak {max(peaks) * 1e-9:.0f} GF/s, median round {statistics.median(peaks) * 1e-9:.0f} GF/s.\n")
    print("\n".join(notes))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench_steps", help="the program of that name from a build with -DMLD_BENCH=ON")
    parser.add_argument("--peer", action="append", required=True, metavar="PYTHON", help="interpreter that has torch")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--cases", default=",".join(CASES), help="default: %(default)s")
    args = parser.parse_args()
    script = str(pathlib.Path(__file__).with_name("peer_torch.py"))
    threads = str(args.threads)
    programs = [Program("bench_steps", [args.bench_steps, threads], threads)]
    try:
        for peer in args.peer:
            python, *options = shlex.split(peer)
            programs.append(Program(peer, [python, script, threads, *options], threads))
        compare(programs[0], programs[1:], args)
    finally:
        for program in programs:
            program.process.kill()


if __name__ == "__main__":
    main()
