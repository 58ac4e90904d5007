"""Tables of what gpu_check.sh measures, as markdown on standard output.

    gpu_tables.py steps ANSWERS            answers of bench_steps, one JSON object a line, "info" before those of a
                                           precision: time, rates and their shares of the ceilings measured beside them
    gpu_tables.py nodes ANSWERS CASE       nodes of the recorded step
    gpu_tables.py kernels CSV FIRST        of `ncu --csv --metrics gpu__time_duration.sum` over some steps: count and time
                                           of every kernel, the largest share first. A step is what lies between two
                                           kernels in whose name FIRST occurs
"""

import collections
import csv
import json
import re
import sys

MICROSECONDS = {"ns": 1e-3, "nsecond": 1e-3, "us": 1, "usecond": 1, "ms": 1e3, "msecond": 1e3, "s": 1e6, "second": 1e6}


def read_answers(path):
    """The devices that answered, and pairs of the precision and an answer."""
    precision, devices, answers = None, [], []
    with open(path) as lines:
        for answer in map(json.loads, lines):
            if "case" in answer:
                answers.append((precision, answer))
            else:
                precision = answer["precision"]
                devices += [answer["device"]] * (answer["device"] not in devices)
    return devices, answers


def steps(path):
    devices, answers = read_answers(path)
    print(", ".join(devices) + "\n")
    ceilings = {}
    for precision, a in answers:
        if a["case"].startswith("copy"):
            ceilings[precision, "copy"] = a["bytes"] / a["seconds"]
        elif a["case"].startswith("gemm"):
            ceilings[precision, "gemm"] = a["flops"] / a["seconds"]
    print("| case | precision | µs | nodes | TFLOP/s | of GEMM rate | GB/s | of copy rate |")
    print("|---|---|---|---|---|---|---|---|")
    for precision, a in answers:
        flops, moved = a["flops"] / a["seconds"], a["bytes"] / a["seconds"]
        cells = [a["case"], precision, f"{a['seconds'] * 1e6:.1f}", str(a["nodes"] or "–")]
        for rate, scale, ceiling in ((flops, 1e-12, "gemm"), (moved, 1e-9, "copy")):
            top = ceilings.get((precision, ceiling))
            cells += [f"{rate * scale:.1f}" if rate else "–", f"{100 * rate / top:.0f} %" if rate and top else "–"]
        print("| " + " | ".join(cells) + " |")


def nodes(path, case):
    for _, answer in read_answers(path)[1]:
        if answer["case"] == case and answer["nodes"]:
            print(answer["nodes"])
            return
    sys.exit(f"gpu_tables: {path} has no recorded {case}")


def short(name):
    """A kernel's functor, or its library's name for it."""
    name = re.sub(r"\(anonymous namespace\)::|<unnamed>::", "", name)
    name = re.sub(r"\((?:unsigned )?(?:int|long|bool|short|char)\)", "", name)  # of template arguments: (int)256
    ours = re.search(r"\w+_kernel<", name)
    if "mld" not in name or not ours:
        return name if len(name) <= 90 else name[:87] + "..."
    return re.sub(r"\bmld::|\bnn::|\bcuda::", "", name[ours.start():].split("(")[0])


def read_kernels(path):
    """Name and microseconds of each launch."""
    with open(path, newline="") as lines:
        rows = list(csv.reader(line for line in lines if line.startswith('"')))
    if not rows:
        sys.exit(f"gpu_tables: {path} has no table; is it the output of ncu --csv?")
    for row in (dict(zip(rows[0], row)) for row in rows[1:] if row != rows[0]):
        if row["Metric Name"] == "gpu__time_duration.sum":
            yield row["Kernel Name"], float(row["Metric Value"].replace(",", "")) * MICROSECONDS[row["Metric Unit"]]


def kernels(path, first):
    launches = list(read_kernels(path))
    begins = [i for i, (name, _) in enumerate(launches) if first in name]
    if len(begins) < 2:
        sys.exit(f"gpu_tables: {path}: {len(launches)} kernels, and no two of them with '{first}' in their name")
    count = len(begins) - 1
    sums = collections.defaultdict(lambda: [0, 0.0])
    for name, time in launches[begins[0]:begins[-1]]:
        entry = sums[short(name)]
        entry[0] += 1
        entry[1] += time
    total = sum(time for _, time in sums.values())
    print(f"{sum(n for n, _ in sums.values()) / count:.1f} kernels and {total / count:.1f} µs in them a step, "
          f"of {count} steps\n")
    print("| kernel | a step | µs each | µs a step | share |")
    print("|---|---|---|---|---|")
    for name, (n, time) in sorted(sums.items(), key=lambda item: -item[1][1]):
        print(f"| `{name}` | {n / count:.1f} | {time / n:.2f} | {time / count:.1f} | {100 * time / total:.1f} % |")


def main():
    commands = {"steps": (steps, 1), "nodes": (nodes, 2), "kernels": (kernels, 2)}
    words = sys.argv[1:]
    if not words or words[0] not in commands or len(words) != 1 + commands[words[0]][1]:
        sys.exit(__doc__)
    try:
        commands[words[0]][0](*words[1:])
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"gpu_tables: {words[1]}: {error!r}")


if __name__ == "__main__":
    main()
