"""Whole steps of this library against PyTorch, round by round in turns, as a markdown table on standard output.

    compare_torch.py BENCH_STEPS --peer PYTHON [--peer PYTHON] [--device cpu|cuda] [--precision fp32|tf32|bf16]
                     [--threads N] [--rounds N] [--cases CASE,CASE]

Every PYTHON is an interpreter that has torch, in which peer_torch.py runs; "PYTHON --compile" or "PYTHON --graph" hands
it that option. Each round of a case goes through all programs, so that what else happens on the machine hits all of
them alike; the table has medians over the rounds, and ratios are medians of the ratios within a round, with their
quartiles. The ceilings are measured in every round too, by bench_steps; the fastest round counts: on the cpu the
multiply-add peak, on a GPU a matrix product and a copy within device memory. Cut short (SIGTERM), it prints what it
has; a peer that fails is left out from then on, and its cells say so.
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

CASES = {
    "cpu": ("train-score-512", "train-score-256", "train-score-adaln512", "train-svhn", "train-mnist",
            "train-polymnist", "train-sound", "train-cub-image", "train-cub-caption", "train-mopoe", "train-mvae",
            "sample-128", "sample-1024", "sample-5000"),
    "cuda": ("train-score-512", "train-score-adaln512", "train-score-mhd", "train-score-polymnist", "train-svhn",
             "train-mnist", "train-polymnist", "train-sound", "train-cub-image", "train-cub-caption",
             "generate-512-5000", "generate-mhd-5000", "generate-polymnist-5000", "sample-128"),
}
ROUND_SECONDS = 0.5  # of one program in one round, about
CEILING_SECONDS = 0.05


class Failed(Exception):
    pass


class Program:
    """A process that answers lines with JSON, stopped between the questions.

    Threads of an OpenMP team spin for a while when their work is done, for how long depends on the runtime, and would
    take a core from the program whose turn it is. A stopped process takes none, and every runtime keeps the waiting
    policy that its users have: turning the spinning off would slow the measured steps. The untimed step at the head
    of each answer wakes the team again. On a GPU an idle process is in nobody's way and is left alone.
    """

    def __init__(self, name, command, threads, stops):
        environment = dict(os.environ, OMP_NUM_THREADS=threads, MKL_NUM_THREADS=threads, OPENBLAS_NUM_THREADS=threads)
        for policy in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"):
            environment.pop(policy, None)
        self.name, self.stops, self.failure = name, stops, None
        self.process = subprocess.Popen(command, env=environment, text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)

    def ask(self, *words):
        if self.failure:
            raise Failed(self.failure)
        if self.stops:
            self.process.send_signal(signal.SIGCONT)
        try:
            print(*words, file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self.failure = f"{self.name} ended with {self.process.wait()} at '{' '.join(map(str, words))}'"
            print(f"compare_torch: {self.failure}", file=sys.stderr, flush=True)
            raise Failed(self.failure)
        if self.stops:
            self.process.send_signal(signal.SIGSTOP)
        return json.loads(line)

    def seconds(self, case, steps):
        """Of one step; None once the program has failed."""
        try:
            return self.ask(case, steps)["seconds"]
        except Failed:
            return None


class Row:
    """What was measured of a case: the first answer of each program, and seconds of a step by program and round."""

    def __init__(self, case, first):
        self.case, self.first, self.rounds = case, first, []

    def seconds(self, program):
        taken = [r[program] for r in self.rounds]
        return None if not taken or None in taken else taken


class Comparison:
    def __init__(self, ours, peers, args):
        self.ours, self.peers, self.args = ours, peers, args
        self.cuda = args.device != "cpu"
        self.rows, self.products = [], {}
        self.ceilings = {name: [] for name in ([args.gemm, args.copy] if self.cuda else ["peak"])}

    def print_header(self):
        args, ours = self.args, self.ours.ask("info")
        print(f"{cpu_name()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start; {args.threads} "
              f"threads, {args.rounds} rounds" + (f"; {ours['device']}, {ours['precision']}" if self.cuda else "") + "\n")
        for peer in self.peers:
            try:
                info = peer.ask("info")
            except Failed:
                print(f"* {peer.name} failed")
                continue
            if info["threads"] != args.threads:
                sys.exit(f"compare_torch: {peer.name} runs {info['threads']} threads, not {args.threads}")
            peer.name = info["version"]
            print(f"* {peer.name} with " + ", ".join(info["libraries"] or ["no BLAS library in a file of its own"]))
            if any("openblas-pthread" in library for library in info["libraries"]):
                print("  **This OpenBLAS brings threads of its own beside PyTorch's, which makes both slow: install "
                      "libopenblas0-openmp.**")
        print(flush=True)

    def measure_ceilings(self):
        for name, rates in self.ceilings.items():
            steps = max(1, round(CEILING_SECONDS / self.ours.ask(name, 1)["seconds"]))
            answer = self.ours.ask(name, steps)
            rates.append((answer["bytes"] or answer["flops"]) / answer["seconds"])

    def first_answers(self, case):
        first = [self.ours.ask(case, 1)]
        for peer in self.peers:
            try:
                first.append(peer.ask(case, 1))
            except Failed:
                first.append(None)
                continue
            for key in ("parameters", "schedule_calls"):
                if first[-1][key] != first[0].get(key, 0):
                    sys.exit(f"compare_torch: {case}: {key} {first[0].get(key, 0)} here, {first[-1][key]} in "
                             f"{peer.name}: not the same")
        return first

    def measure(self, case):
        row = Row(case, self.first_answers(case))
        self.rows.append(row)
        again = self.ours.ask(case, 1)["seconds"]  # the first may have been recording on a GPU
        steps = min(1000, max(1, round(ROUND_SECONDS / min(again, row.first[0]["seconds"]))))
        products = []
        for _ in range(self.args.rounds):
            self.measure_ceilings()
            row.rounds.append([program.seconds(case, steps) for program in (self.ours, *self.peers)])
            if self.cuda and case.startswith("train-score-"):
                products.append(self.ours.ask(case.replace("train-score", "products"), steps)["seconds"])
        if products:
            self.products[case] = statistics.median(products)

    def print_table(self):
        unit = "µs" if self.cuda else "ms"
        columns = "".join(f" {peer.name}, {unit} | ratio |" for peer in self.peers)
        shares = " of copy rate | of GEMM rate | products alone, µs |" if self.cuda else " of peak |"
        print(f"| case | ours, {unit} |{columns} GF/s |{shares}")
        print("|" + "---|" * (columns.count("|") + 3 + shares.count("|")))
        for row in self.rows:
            if row.seconds(0):
                print("| " + " | ".join(self.cells(row)) + " |")
        rates = "; ".join(f"{name}: {rate_text(name, max(seen))}, median round {rate_text(name, statistics.median(seen))}"
                          for name, seen in self.ceilings.items() if seen)
        print(f"\n{rates}.\n")
        for row in self.rows:
            print(self.note(row))

    def cells(self, row):
        scale = 1e6 if self.cuda else 1e3
        ours = row.seconds(0)
        median = statistics.median(ours)
        cells = [row.case, f"{median * scale:.{1 if self.cuda else 2}f}"]
        for i in range(1, len(self.peers) + 1):
            theirs = row.seconds(i)
            cells += [f"{statistics.median(theirs) * scale:.{1 if self.cuda else 2}f}",
                      ratio_cell(ours, theirs)] if theirs else ["failed", "–"]
        rate = row.first[0]["flops"] / median
        cells.append(f"{rate * 1e-9:.0f}")
        if not self.cuda:
            return cells + [f"{100 * rate / max(self.ceilings['peak']):.0f} %"]
        moved = row.first[0]["bytes"] / median
        products = self.products.get(row.case)
        return cells + [f"{100 * moved / max(self.ceilings[self.args.copy]):.0f} %",
                        f"{100 * rate / max(self.ceilings[self.args.gemm]):.0f} %",
                        f"{products * 1e6:.1f}" if products else "–"]

    def note(self, row):
        first = row.first[0]
        text = f"* {row.case}: {first['parameters']:,} parameters"
        if self.cuda:
            text += f", {first['flops'] * 1e-9:.2f} GFLOP and at least {first['bytes'] * 1e-6:.1f} MB a step"
            if row.case.startswith("train") and not first["nodes"]:
                text += ", **not replayed from a recording**"
        if row.case.startswith("generate") and row.seconds(0):
            median, calls = statistics.median(row.seconds(0)), first["schedule_calls"]
            text += f", {1 / median:.1f} network calls a second, {calls} calls in {calls * median:.2f} s"
        for peer, answer in zip(self.peers, row.first[1:]):
            if answer and answer["way"]:
                text += f"; {peer.name} {answer['way']}"
        return text


def rate_text(name, rate):
    return f"{rate * 1e-9:.0f} GB/s" if name.startswith("copy") else f"{rate * 1e-9:.0f} GF/s"


def cpu_name():
    with open("/proc/cpuinfo") as lines:
        return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def ratio_cell(ours, theirs):
    ratios = [b / a for a, b in zip(ours, theirs)]
    if len(ratios) < 2:
        return f"{ratios[0]:.2f}"
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return f"{middle:.2f} ({low:.2f}–{high:.2f})"


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench_steps", help="the program of that name from a build with -DMLD_BENCH=ON")
    parser.add_argument("--peer", action="append", required=True, metavar="PYTHON", help="interpreter that has torch")
    parser.add_argument("--device", default="cpu", help="where bench_steps computes: cpu, cuda or cuda:N")
    parser.add_argument("--peer-device", choices=("cpu", "cuda"), help="default: the same kind")
    parser.add_argument("--precision", choices=("fp32", "tf32", "bf16"), default="tf32", help="of a GPU's products")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--cases", help="separated by commas")
    parser.add_argument("--gemm", default="gemm-8192", help="case that is the GPU's arithmetic ceiling")
    parser.add_argument("--copy", default="copy-2048", help="case that is its memory ceiling")
    args = parser.parse_args()
    kind = "cpu" if args.device == "cpu" else "cuda"
    args.peer_device = args.peer_device or kind
    args.cases = args.cases.split(",") if args.cases else CASES[kind]
    return args


def main():
    args = parse_arguments()
    script = str(pathlib.Path(__file__).with_name("peer_torch.py"))
    threads, stops = str(args.threads), args.device == "cpu"
    device = ["--device", args.device, "--precision", args.precision]
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit("compare_torch: cut short"))
    programs = [Program("bench_steps", [args.bench_steps, threads, *device], threads, stops)]
    try:
        for peer in args.peer:
            python, *options = shlex.split(peer)
            options += ["--device", args.peer_device, "--precision", args.precision]
            programs.append(Program(peer, [python, script, threads, *options], threads, stops))
        comparison = Comparison(programs[0], programs[1:], args)
        comparison.print_header()
        try:
            for case in args.cases:
                print(case, file=sys.stderr, flush=True)
                comparison.measure(case)
        finally:
            comparison.print_table()
    except Failed as failure:
        sys.exit(f"compare_torch: {failure}")
    finally:
        for program in programs:
            program.process.kill()


if __name__ == "__main__":
    main()
