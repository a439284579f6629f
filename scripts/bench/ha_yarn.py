"""What a dead master costs on YARN with high availability: Flink's own `yarn-session.sh` and kobel, on one real YARN.

Faults come from outside, by process id. Run by scripts/bench.sh, which builds and fetches what this is given.
"""

import argparse
import os

import place
from ha_contenders import TICK, kill
from ha_faults import millis, recovered, rows
from ha_yarn_contenders import Bench, Flink, Kobel
from place import tell
from table import Peer, Row, table
from yarn_contenders import TASK_MANAGERS

PEERS = [Peer("flink", "`yarn-session.sh` with `yarn.provided.lib.dirs`", "Flink's", "Flink's")]
TITLES = {
    "am": ("`kill -9` of YARN's ApplicationMaster", 8),
    "jm": ("`kill -9` of the JobManager beside it", 4),
}
ROWS = [
    row
    for fault, (title, most) in TITLES.items()
    for row in [*rows(fault, title, most), Row("TaskManager processes kept", f"{fault} kept", "", least=TASK_MANAGERS)]
]
SETTING = (
    "Hadoop {hadoop}, 2 NodeManagers of 6 GB on this machine. One job with a checkpoint every 200 ms on HDFS; 2 "
    "TaskManagers of a slot each, of which Flink is told by `slotmanager.number-of-slots.min: 2`. A round is a session "
    "of each with every fault, times {repeat}. YARN starts as many masters as it takes (`yarn.application-attempts: "
    "100`, the ResourceManager's own limit too); Flink's JobManager is the ApplicationMaster itself. The ZooKeeper, of "
    "`tickTime={tick}`, grants sessions of at most {longest:g} s, where Flink asks for 60 s."
)


def hit(contender, fault):
    """Kills a process, and waits for the job, and for the session to be as it was."""
    before, victim = contender.task_managers(), contender.victims()[fault]
    at = millis()
    kill(victim)
    figures = recovered(contender, fault, at)
    contender.whole()
    return figures | {f"{fault} kept": len(before & contender.task_managers())}


def turn(contender, repeat):
    """A session with each fault so often."""
    contender.begin()
    for _ in range(repeat):
        figures = {}
        for fault in contender.victims():
            figures |= hit(contender, fault)
        tell(", ".join([contender.name, *(f"{key} {value:.2f}" for key, value in figures.items())]))
        yield figures
    contender.stop()


def measure(bench, options):
    """The figures of every fault by contender, and the load before each round."""
    contenders = [Flink(bench), Kobel(bench)]
    tell("a ZooKeeper of its own")
    bench.zookeeper.start()
    for contender in contenders:
        contender.forget()
        if not options.cold:
            tell(f"what does not count: a session of {contender.name}'s, for what it leaves to later ones")
            contender.start()
            contender.before_warm()
            contender.stop()
    figures, loads = {one.name: [] for one in contenders}, []
    for number in range(options.rounds):
        loads.append(os.getloadavg()[0])
        tell(f"round {number + 1} of {options.rounds}, load average {loads[-1]:.1f}")
        for contender in contenders:
            figures[contender.name] += turn(contender, options.repeat)
        # Nobody is always the first.
        contenders.reverse()
    return figures, loads


def main():
    """Measures, prints, and leaves nothing behind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3, help="each fault in a session")
    parser.add_argument("--cold", action="store_true", help="no sessions before those that count")
    options = place.arguments(parser, ["kobel", "flink", "job", "hadoop", "yarn-lab"])
    with place.directory() as directory:
        tell("a Hadoop of its own")
        bench = Bench(directory, options)
        figures, loads = measure(bench, options)
        bench.hadoop.end()
        setting = SETTING.format(
            hadoop=options.hadoop.name, repeat=options.repeat, tick=TICK, longest=20 * TICK / 1000
        )
        print(f"{table(figures, PEERS, ROWS)}\n\n{place.machine(options, loads, setting)}")


if __name__ == "__main__":
    main()
