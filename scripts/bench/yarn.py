"""kobel and Flink's own `yarn-session.sh` in turn on one real YARN; prints medians and ratios.

Run by scripts/bench.sh, which builds and fetches what this is given.
"""

import argparse

import place
from place import tell
from table import Peer, Row, table
from yarn_contenders import TEXT, Bench, Flink, Kobel

PEERS = [
    Peer("stock", "`yarn-session.sh`", "stock", "stock"),
    Peer("best", "the same with `yarn.provided.lib.dirs`", "best", "Flink's best"),
]
ROWS = [
    Row("first start until REST answers", "cold rest", of={"stock": 1 / 3}),
    Row("first start until 2 TaskManagers are registered", "cold start"),
    Row("second start until REST answers", "rest", of={"stock": 1 / 6, "best": 0.5}),
    Row("second start until 2 TaskManagers are registered", "start"),
    Row("the same, and the command is back", "start returns"),
    Row("written to HDFS by the first start", "cold written", "MB"),
    Row("written to HDFS by the second start", "written", "MB", most=1),
    Row("WordCount from HDFS to HDFS, from the command to its return", "run"),
    Row("the same again", "again"),
    Row("that, less the job's own time", "again less job"),
    Row("stop until nothing is left", "stop"),
    Row("client CPU of the first start", "cold start cpu"),
    Row("client CPU of the second start", "start cpu", of={"stock": 1 / 50}),
    Row("client CPU of run", "again cpu", of={"stock": 1 / 50}),
    Row("client CPU of stop", "stop cpu", of={"stock": 1 / 50}),
    Row("client memory (peak resident) of the first start", "cold start memory", "MB"),
    Row("client memory (peak resident) of the second start", "start memory", "MB"),
    Row("memory of the master's container (peak resident)", "master memory", "MB"),
    Row("kobel's share of it", "agent memory", "MB"),
]
SHORT = ["cold rest", "cold start", "rest", "start", "run", "again", "stop"]
SETTING = (
    "Hadoop {hadoop}, 2 NodeManagers of 4 GB on this machine; stock configuration but for Flink's "
    "`slotmanager.number-of-slots.min: 2`, by which it has its TaskManagers from the start. First start: nothing of "
    "Flink on HDFS or on the nodes, except that `yarn.provided.lib.dirs` is laid there beforehand."
)


def measure(bench, count):
    """The figures of every round by contender, and the load before each."""
    turns = [("stock", Flink(bench, best=False)), ("best", Flink(bench, best=True)), ("kobel", Kobel(bench))]
    tell("what does not count: a session of each, for the file cache and the daemons' JVMs")
    for _, session in turns:
        session.forget()
        session.start()
        session.stop()
    return place.rounds([(name, lambda one=one: [one.turn()]) for name, one in turns], count, SHORT)


def main():
    """Measures, prints, and leaves nothing behind."""
    parser = argparse.ArgumentParser(description=__doc__)
    options = place.arguments(parser, ["kobel", "flink", "jar", "text", "hadoop", "yarn-lab"])
    with place.directory() as directory:
        tell("a Hadoop of its own")
        bench = Bench(directory, options)
        bench.hadoop.put(options.text, TEXT)
        figures, loads = measure(bench, options.rounds)
        bench.hadoop.end()
        setting = SETTING.format(hadoop=options.hadoop.name)
        print(f"{table(figures, PEERS, ROWS)}\n\n{place.machine(options, loads, setting)}")


if __name__ == "__main__":
    main()
