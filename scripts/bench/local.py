"""kobel, Flink's own scripts and bare JVMs in turn on this machine; prints medians and ratios.

Run by scripts/bench.sh, which builds and fetches what this is given.
"""

import argparse
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import contenders
from processes import Failure, gone, remove

# What a row says, the figure, its unit.
ROWS = [
    ("start until 1 TaskManager is registered", "start", "s"),
    ("`run` of WordCount without the job's own time", "run", "s"),
    ("stop until nothing is left", "stop", "s"),
    ("client CPU of start", "start cpu", "s"),
    ("client CPU of run", "run cpu", "s"),
    ("client CPU of stop", "stop cpu", "s"),
    ("client memory (peak resident) of start", "start memory", "MB"),
    ("client memory (peak resident) of run", "run memory", "MB"),
    ("agent memory (peak resident)", "agent memory", "MB"),
]


def arguments():
    """What scripts/bench.sh says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    for name in ["kobel", "flink", "jar", "text"]:
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("at least one round")
    options.java = Path(shutil.which("java")).resolve().parent.parent
    return options


def tell(text):
    """Progress, apart from the table."""
    print(f"    {text}", file=sys.stderr, flush=True)


def measure(bench, rounds):
    """The figures of every round, by contender. A first round warms the file cache, and lets kobel
    make its class archives, which a background JVM of its own does; it counts for nothing."""
    figures = {"scripts": [], "kobel": [], "bare": []}
    for number in range(rounds + 1):
        tell(f"round {number} of {rounds}" if number else "a first round that does not count")
        by_scripts = contenders.scripts(bench)
        by_kobel, jvms = contenders.kobel(bench)
        bare = contenders.bare(bench, jvms)
        gone(bench.dir)
        times = [f"{name} {f['start']:.2f} s" for name, f in zip(figures, [by_scripts, by_kobel, bare])]
        tell("started: " + ", ".join(times))
        if number:
            for name, one in zip(figures, [by_scripts, by_kobel, bare]):
                figures[name].append(one)
    return figures


def cell(rounds, key, unit):
    """Median and range."""
    values = sorted(one[key] for one in rounds if key in one)
    if not values:
        return None, "–"
    digits = 1 if unit == "MB" else 2
    low, middle, high = (f"{v:.{digits}f}" for v in (values[0], statistics.median(values), values[-1]))
    return statistics.median(values), f"{middle} {unit} ({low}–{high})"


def table(figures):
    """The table."""
    lines = [
        "| median (range) | Flink's scripts | kobel | kobel : scripts | bare JVMs | kobel : bare |",
        "|---|---|---|---|---|---|",
    ]
    for title, key, unit in ROWS:
        (peer, peer_text), (own, own_text), (floor, floor_text) = (
            cell(figures[name], key, unit) for name in ["scripts", "kobel", "bare"]
        )
        ratio = lambda base: f"{own / base:.2f}" if base else "–"
        lines.append(f"| {title} | {peer_text} | {own_text} | {ratio(peer)} | {floor_text} | {ratio(floor)} |")
    return "\n".join(lines)


def machine(options, rounds, before):
    """What was measured on what."""
    java = subprocess.run([options.java / "bin/java", "-version"], capture_output=True, text=True)
    version = java.stderr.splitlines()[0].split('"')[1]
    kobel = subprocess.run([options.kobel, "--version"], capture_output=True, text=True)
    return (
        f"{kobel.stdout.strip()}, Flink {options.flink.name}, Java {version}, {platform.system()} on "
        f"{os.cpu_count()} cores; {rounds} rounds in turn; load average {before:.1f} before, "
        f"{os.getloadavg()[0]:.1f} after."
    )


def main():
    """Measures, prints, and leaves nothing behind."""
    options = arguments()
    # Ended by a signal it still cleans up, and a second one does not keep it from that.
    signals = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    for number in signals:
        signal.signal(number, lambda n, _: sys.exit(128 + n))
    directory = tempfile.mkdtemp(prefix="kobel-bench-")
    before = os.getloadavg()[0]
    try:
        figures = measure(contenders.Bench(directory, options), options.rounds)
        print(f"{machine(options, options.rounds, before)}\n\n{table(figures)}")
    except Failure as failure:
        sys.exit(f"error: {failure}")
    finally:
        for number in signals:
            signal.signal(number, signal.SIG_IGN)
        remove(directory)


if __name__ == "__main__":
    main()
