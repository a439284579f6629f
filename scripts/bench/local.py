"""kobel, Flink's own scripts and bare JVMs in turn on this machine; prints medians and ratios.

Run by scripts/bench.sh, which builds and fetches what this is given.
"""

import argparse

import contenders
import place
from place import tell
from processes import gone
from table import Peer, Row, table

PEERS = [Peer("scripts", "Flink's scripts", "scripts", "the scripts'"), Peer("bare", "bare JVMs", "bare", "bare")]
ROWS = [
    Row("start until a TaskManager is registered", "start", of={"scripts": 0.3, "bare": 1.15}),
    Row("the same, and the command is back", "start returns"),
    Row("a session's first `run` of WordCount, less the job's own time", "run", of={"scripts": 1 / 6}),
    Row("its second `run`, less the job's own time", "again", of={"scripts": 1 / 6}),
    Row("that first job's own time", "run job"),
    Row("a long job's own time, first in its session", "long job"),
    Row("the same again, with warm JVMs: the steady speed", "long again job", of={"scripts": 1.05}),
    Row("stop until nothing is left", "stop", of={"scripts": 0.1}),
    Row("client CPU of start", "start cpu", most=0.1),
    Row("client CPU of run", "run cpu", most=0.1),
    Row("client CPU of stop", "stop cpu", most=0.1),
    Row("client memory (peak resident) of start", "start memory", "MB"),
    Row("client memory (peak resident) of run", "run memory", "MB"),
    Row("agent memory (peak resident)", "agent memory", "MB", most=20),
]
SHORT = ["start", "run", "again", "long", "long job", "long again job", "stop"]


def measure(bench, count):
    """The figures of every round by contender, and the load before each."""
    scripts, kobel = contenders.Scripts(bench), contenders.Kobel(bench)
    tell("what does not count: a session by Flink's scripts, for the file cache")
    scripts.start()
    scripts.stop()
    tell("a first session of kobel's, after which it makes its archives of classes in the background")
    tell(f"they were made {kobel.train():.1f} s after it was ready")
    jvms = kobel.jvms()

    def alone(turn):
        figures = turn()
        gone(bench.dir)
        return [figures]

    turns = [
        ("scripts", lambda: alone(scripts.session)),
        ("kobel", lambda: alone(kobel.session)),
        ("bare", lambda: alone(lambda: contenders.bare(bench, jvms))),
    ]
    return place.rounds(turns, count, SHORT)


def main():
    """Measures, prints, and leaves nothing behind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=150_000_000, help="of the long job")
    options = place.arguments(parser, ["kobel", "flink", "jar", "text", "long-job"])
    with place.directory() as directory:
        figures, loads = measure(contenders.Bench(directory, options), options.rounds)
        setting = "1 TaskManager, stock configuration."
        print(f"{table(figures, PEERS, ROWS)}\n\n{place.machine(options, loads, setting)}")


if __name__ == "__main__":
    main()
