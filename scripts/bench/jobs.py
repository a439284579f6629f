"""A job with a cluster of its own on YARN: Flink's own `run-application` and kobel in turn; prints medians and ratios.

Run by scripts/bench.sh, which builds and fetches what this is given.
"""

import argparse
from dataclasses import replace

import place
from jobs_contenders import FlinkJobs, KobelJobs
from place import tell
from table import Peer, Row, table
from yarn_contenders import TEXT, Bench

PEERS = [
    Peer("stock", "`flink run-application -d`", "stock", "stock"),
    Peer("best", "the same with `yarn.provided.lib.dirs`", "best", "Flink's best"),
]
ROWS = [
    Row("detached submit of WordCount until the command is back", "job returns"),
    Row("until the application is FINISHED", "job finished", of={"stock": 0.25, "best": 0.5}),
    Row("client CPU", "job cpu"),
    Row("client memory (peak resident)", "job memory", "MB"),
    Row("{count} submits at once until all commands are back", "many returns"),
    Row("until all applications are FINISHED", "many finished"),
    Row("client CPU of all", "many cpu"),
    Row("client memory of all (sum of the peaks)", "many memory", "MB", of={"stock": 0.1}),
]
SHORT = ["job returns", "job finished", "many returns", "many finished"]
SETTING = (
    "Hadoop {hadoop}, 2 NodeManagers of 4 GB on this machine, which run two such jobs side by side; WordCount from "
    "HDFS to HDFS with one TaskManager; stock configuration. kobel's command is back when the job runs, Flink's when "
    "its master does. Before: one job of each, so that everything is where a second one finds it."
)


def main():
    """Measures, prints, and leaves nothing behind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--at-once", type=int, default=20, help="submits at once; 0 leaves them out")
    options = place.arguments(parser, ["kobel", "flink", "jar", "text", "hadoop", "yarn-lab"])
    with place.directory() as directory:
        tell("a Hadoop of its own")
        bench = Bench(directory, options)
        bench.hadoop.put(options.text, TEXT)
        stock, best, kobel = FlinkJobs(bench, best=False), FlinkJobs(bench, best=True), KobelJobs(bench)
        best.forget()
        tell("what does not count: a session of kobel's, which makes its archives of classes")
        kobel.forget()
        kobel.start()
        kobel.before_warm()
        kobel.stop()
        turns = [(one.name, lambda one=one: [one.turn()]) for one in [stock, best, kobel]]
        figures, loads = place.rounds(turns, options.rounds, SHORT)
        bench.hadoop.end()
        rows = [replace(row, title=row.title.format(count=options.at_once)) for row in ROWS]
        setting = SETTING.format(hadoop=options.hadoop.name)
        print(f"{table(figures, PEERS, rows)}\n\n{place.machine(options, loads, setting)}")


if __name__ == "__main__":
    main()
