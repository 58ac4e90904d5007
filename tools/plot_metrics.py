"""Learning curves of a stage as an SVG on standard output (Python's standard library only).

    plot_metrics.py STAGE RUN [RUN ...] > curves.svg

One curve per run: the mean loss of each interval of metrics.jsonl, smoothed over --smooth lines, against the step.
STAGE is as in metrics.jsonl, for example score or autoencoder/svhn. A run may be given as LABEL=FOLDER.
"""

import argparse
import json
import pathlib
import sys

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 360, 60, 16, 16, 44
COLOURS = ("#1b6ca8", "#c0392b", "#2e8b57", "#8e44ad", "#b9770e", "#555555")


def curve(run, stage, smooth):
    label, _, folder = run.rpartition("=")
    points = []
    with open(pathlib.Path(folder) / "metrics.jsonl") as lines:
        for line in map(json.loads, lines):
            if line["stage"] == stage and line["loss"] is not None:
                points.append((line["step"], line["loss"]))
    if not points:
        sys.exit(f"plot_metrics: {folder}: metrics.jsonl has no line of stage '{stage}'")
    means = []
    for i in range(len(points)):
        window = [loss for _, loss in points[max(0, i - smooth + 1) : i + 1]]
        means.append((points[i][0], sum(window) / len(window)))
    return label or folder, means[min(smooth, len(means)) - 1 :]


def ticks(low, high, count=5):
    raw = (high - low) / count or 1
    power = 10 ** len(str(int(raw))) / 10 if raw >= 1 else 0.1
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= raw)
    first = int(low // step) * step
    return [first + step * i for i in range(count * 2 + 2) if low <= first + step * i <= high]


def draw(curves, stage):
    steps = [s for _, points in curves for s, _ in points]
    losses = [loss for _, points in curves for _, loss in points]
    x0, x1, y0, y1 = 0, max(steps), min(losses), max(losses)
    y1 = y1 if y1 > y0 else y0 + 1

    def x(step):
        return LEFT + (WIDTH - LEFT - RIGHT) * (step - x0) / (x1 - x0)

    def y(loss):
        return TOP + (HEIGHT - TOP - BOTTOM) * (y1 - loss) / (y1 - y0)

    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
          f'font-size="12"><rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>')
    for t in ticks(x0, x1):
        print(f'<path d="M{x(t):.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#ddd"/>'
              f'<text x="{x(t):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{t:g}</text>')
    for t in ticks(y0, y1):
        print(f'<path d="M{LEFT} {y(t):.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>'
              f'<text x="{LEFT - 6}" y="{y(t) + 4:.1f}" text-anchor="end">{t:g}</text>')
    print(f'<text x="{(LEFT + WIDTH) / 2}" y="{HEIGHT - 8}" text-anchor="middle">step</text>'
          f'<text x="14" y="{HEIGHT / 2}" text-anchor="middle" transform="rotate(-90 14 {HEIGHT / 2})">{stage}: loss</text>')
    for i, (label, points) in enumerate(curves):
        colour = COLOURS[i % len(COLOURS)]
        path = "L".join(f"{x(s):.1f} {y(loss):.1f}" for s, loss in points)
        print(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
              f'<text x="{WIDTH - RIGHT - 8}" y="{TOP + 16 + 16 * i}" text-anchor="end" fill="{colour}">{label}</text>')
    print("</svg>")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage")
    parser.add_argument("run", nargs="+", help="run directory, or LABEL=run directory")
    parser.add_argument("--smooth", type=int, default=20, help="lines of metrics.jsonl averaged (default: %(default)s)")
    args = parser.parse_args()
    draw([curve(run, args.stage, args.smooth) for run in args.run], args.stage)


if __name__ == "__main__":
    main()
