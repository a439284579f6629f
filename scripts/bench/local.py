"""kobel, Flink's own scripts and bare JVMs in turn on this machine; prints medians and ratios.

Run by scripts/bench.sh, which builds and fetches what this is given.
"""

import argparse
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import contenders
from processes import Failure, gone, remove
from table import table


def arguments():
    """What scripts/bench.sh says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--records", type=int, default=150_000_000, help="of the long job")
    for name in ["kobel", "flink", "jar", "text", "long-job"]:
        parser.add_argument(f"--{name}", type=lambda text: Path(text).absolute(), required=True)
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("at least one round")
    options.java = Path(shutil.which("javac")).resolve().parent.parent
    return options


def tell(text):
    """Progress, apart from the table."""
    print(f"    {text}", file=sys.stderr, flush=True)


def measure(bench, rounds):
    """The figures of every round by contender, and the load before each."""
    scripts, kobel = contenders.Scripts(bench), contenders.Kobel(bench)
    tell("what does not count: a session by Flink's scripts, for the file cache")
    scripts.start()
    scripts.stop()
    tell("a first session of kobel's, after which it makes its archives of classes in the background")
    tell(f"they were made {kobel.train():.1f} s after it was ready")
    jvms = kobel.jvms()
    turns = [
        ("scripts", scripts.session),
        ("kobel", kobel.session),
        ("bare", lambda: contenders.bare(bench, jvms)),
    ]
    figures, loads = {name: [] for name, _ in turns}, []
    for number in range(rounds):
        loads.append(os.getloadavg()[0])
        tell(f"round {number + 1} of {rounds}, load average {loads[-1]:.1f}")
        for name, turn in turns:
            one = turn()
            gone(bench.dir)
            tell(", ".join([name, *(f"{key} {one[key]:.2f} s" for key in SHORT if key in one)]))
            figures[name].append(one)
        # Nobody is always the first.
        turns.append(turns.pop(0))
    return figures, loads


SHORT = ["start", "run", "again", "long", "long job", "long again job", "stop"]


def machine(options, loads):
    """What was measured on what."""
    java = subprocess.run([options.java / "bin/java", "-version"], capture_output=True, text=True)
    version = java.stderr.splitlines()[0].split('"')[1]
    kobel = subprocess.run([options.kobel, "--version"], capture_output=True, text=True)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{kobel.stdout.strip()}, Flink {options.flink.name}, Java {version}, {platform.system()}, {os.cpu_count()} cores, "
        f"{memory:.0f} GB; rounds in turn: {len(loads)}; load average before each: "
        f"{', '.join(f'{load:.1f}' for load in loads)}. 1 TaskManager, stock configuration."
    )


def main():
    """Measures, prints, and leaves nothing behind."""
    options = arguments()
    # Ended by a signal it still cleans up, and a second one does not keep it from that.
    signals = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    for number in signals:
        signal.signal(number, lambda n, _: sys.exit(128 + n))
    directory = tempfile.mkdtemp(prefix="kobel-bench-")
    try:
        figures, loads = measure(contenders.Bench(directory, options), options.rounds)
        print(f"{table(figures)}\n\n{machine(options, loads)}")
    except Failure as failure:
        sys.exit(f"error: {failure}")
    finally:
        for number in signals:
            signal.signal(number, signal.SIG_IGN)
        remove(directory)


if __name__ == "__main__":
    main()
