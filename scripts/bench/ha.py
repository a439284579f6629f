"""What a fault costs with high availability: Flink's own scripts and kobel in turn on this machine.

Faults come from outside, by process id. Run by scripts/bench.sh, which builds and fetches what this is given.
"""

import argparse

import place
from ha_contenders import TICK, Bench, Flink, Kobel
from ha_faults import FAULTS, rows
from place import tell
from processes import gone
from table import Peer, Row, table

SCRIPTS = Peer("flink", "Flink's scripts", "scripts", "the scripts'")
FAST = Peer("fast", "kobel, `ha.profile=fast`", "fast", "fast")
TITLES = {
    "standby": ("`kill -9` of the leader, with a standby", 1.5),
    "alone": ("`kill -9` of the only JobManager", 4),
    "tm": ("`kill -9` of a TaskManager, with a spare slot", 3),
    "frozen": ("SIGSTOP of the leader, with a standby", None),
    "zookeeper": ("ZooKeeper killed, and started again 3 s later", None),
}
ROWS = [row for fault, (title, most) in TITLES.items() for row in rows(fault, title, most)] + [
    Row("job restarts by it", "zookeeper restarts", "", most=0),
    Row("`kobel failover`: its own figure apart from that seen from outside", "drill apart", most=0.3),
]
SHORT = [*TITLES]
SETTING = (
    "One job with a checkpoint every 200 ms; 2 TaskManagers of a slot each; ZooKeeper with ticks of {tick:g} s. kobel "
    "had each fault {times} times, Flink's scripts {flink} times. Without a standby `jobmanager.sh start` is run at "
    "once for Flink, as a supervisor would; else what is gone is made up for when that round is measured."
)


def turn(contender, only, times):
    """One round of a contender's: a session with a standby, and one without, each fault so often in it."""
    figures = [{} for _ in range(times)]
    for masters, faults in [(2, ["standby", "tm", "frozen", "zookeeper", "drill"]), (1, ["alone"])]:
        faults = [fault for fault in faults if fault in only]
        if not faults:
            continue
        contender.start(masters)
        for one in figures:
            for fault in faults:
                one |= FAULTS[fault](contender)
        contender.stop()
        gone(contender.bench.dir / contender.name)
    return figures


def measure(bench, options):
    """The figures of every round by contender, and the load before each."""
    contenders = [(Flink(bench), options.flink_times), (Kobel(bench, "kobel", "standard"), options.times)]
    if options.fast:
        contenders.append((Kobel(bench, "fast", "fast"), options.times))
    tell("a ZooKeeper of its own")
    bench.zookeeper.start()
    if not options.cold:
        tell("what does not count: a session of kobel's, after which it makes its archives of classes")
        contenders[1][0].train()
    turns = [(one.name, lambda one=one, times=times: turn(one, options.faults, times)) for one, times in contenders]
    return place.rounds(turns, options.rounds, SHORT, {"flink": 1})


def main():
    """Measures, prints, and leaves nothing behind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5, help="each fault in a round of kobel's")
    parser.add_argument("--flink-times", type=int, default=3, help="in the one round of Flink's scripts: a minute each")
    parser.add_argument("--fast", action="store_true", help="kobel with ha.profile=fast, too")
    parser.add_argument("--faults", nargs="+", choices=list(FAULTS), default=list(FAULTS), help="only these")
    parser.add_argument("--cold", action="store_true", help="do not wait for kobel's archives of classes")
    options = place.arguments(parser, ["kobel", "flink", "job"])
    with place.directory() as directory:
        bench = Bench(directory, options)
        figures, loads = measure(bench, options)
        setting = SETTING.format(tick=TICK / 1000, times=options.rounds * options.times, flink=options.flink_times)
        peers = [SCRIPTS, FAST] if options.fast else [SCRIPTS]
        print(f"{table(figures, peers, ROWS)}\n\n{place.machine(options, loads, setting)}")


if __name__ == "__main__":
    main()
