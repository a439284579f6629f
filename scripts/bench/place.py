"""What every bench has: a directory that nothing survives, progress, and the line on what was measured where."""

import contextlib
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from processes import Failure, remove


def arguments(parser, names):
    """What scripts/bench.sh says: rounds, and these paths."""
    parser.add_argument("--rounds", type=int, default=3)
    for name in names:
        parser.add_argument(f"--{name}", type=lambda text: Path(text).absolute(), required=True)
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("at least one round")
    options.java = Path(shutil.which("javac")).resolve().parent.parent
    return options


def tell(text):
    """Progress, apart from the table."""
    print(f"    {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def directory():
    """A new directory. Ended by a signal the bench still cleans up, and a second one does not keep it from that."""
    signals = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    for number in signals:
        signal.signal(number, lambda n, _: sys.exit(128 + n))
    path = Path(tempfile.mkdtemp(prefix="kobel-bench-"))
    try:
        yield path
    except Failure as failure:
        sys.exit(f"error: {failure}")
    finally:
        for number in signals:
            signal.signal(number, signal.SIG_IGN)
        remove(path)


def rounds(turns, count, key, at_most=None):
    """Each contender in turn, so often, or as often as `at_most` has it; the figures of every measurement in these
    rounds by contender, and the load before each. `key` names the figures that are told at once."""
    figures, loads = {name: [] for name, _ in turns}, []
    turns = list(turns)
    for number in range(count):
        loads.append(os.getloadavg()[0])
        tell(f"round {number + 1} of {count}, load average {loads[-1]:.1f}")
        for name, turn in turns:
            if number >= (at_most or {}).get(name, count):
                continue
            for one in turn():
                tell(", ".join([name, *(f"{short} {one[short]:.2f} s" for short in key if short in one)]))
                figures[name].append(one)
        # Nobody is always the first.
        turns.append(turns.pop(0))
    return figures, loads


def machine(options, loads, more):
    """What was measured on what."""
    java = subprocess.run([options.java / "bin/java", "-version"], capture_output=True, text=True)
    version = java.stderr.splitlines()[0].split('"')[1]
    kobel = subprocess.run([options.kobel, "--version"], capture_output=True, text=True)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{kobel.stdout.strip()}, Flink {options.flink.name}, Java {version}, {platform.system()}, {os.cpu_count()} cores, "
        f"{memory:.0f} GB; rounds in turn: {len(loads)}; load average before each: "
        f"{', '.join(f'{load:.1f}' for load in loads)}. {more}"
    )
