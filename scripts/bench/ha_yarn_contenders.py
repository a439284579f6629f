"""Sessions on YARN with high availability: by Flink's own `yarn-session.sh`, and by kobel, on one ZooKeeper."""

import re
import time

import yarn_contenders as yarn
from contenders import JOB_MANAGER, TASK_MANAGER, compiled
from ha_contenders import COMMON, WithJob, ZooKeeper
from hadoop import get
from processes import Failure, java, of_directory, until, words
from yarn_contenders import ENTRY_POINT, ROOT, TASK_MANAGERS

# How many masters YARN lets die within how many milliseconds: more than any bench kills.
ATTEMPTS, INTERVAL = 100, 3_600_000
# Three containers of 2 GB on each node: room for the TaskManagers that somebody asks for beside those that
# outlive a master.
NODE_MIB = 6144
# What is in the environment of kobel's JobManager, and not in that of one by which it makes archives of classes.
MARKER = re.compile(r"KOBEL_ID=.*/jm-[^/]+")


class Bench(yarn.Bench):
    """What both share: a cluster on which masters may die, a ZooKeeper, the job."""

    def __init__(self, directory, options):
        super().__init__(directory, options, {
            "yarn.nodemanager.resource.memory-mb": NODE_MIB, "yarn.resourcemanager.am.max-attempts": ATTEMPTS,
        })
        home = self.hadoop.hdfs + ROOT
        self.configure(COMMON | {
            "execution.checkpointing.dir": f"{home}/checkpoints", "high-availability.storageDir": f"{home}/ha",
            "yarn.application-attempts": ATTEMPTS, "yarn.application-attempt-failures-validity-interval": INTERVAL,
        })
        self.zookeeper = ZooKeeper(self)
        self.quorum = f"127.0.0.1:{self.zookeeper.port}"
        self.job = compiled(options.job, options, self.dir)


# How old what the ResourceManager told may be, in seconds: to ask it costs as much of a core as the masters need.
FRESH = 0.1


class Watched(WithJob):
    """What is asked of a session, whoever runs it: at the address that the ResourceManager has of its master."""

    task_manager = TASK_MANAGER
    address, asked = "", 0.0

    def begin(self):
        """A session with a job that has made a checkpoint."""
        self.start()
        self.submit([*self.run_command(), "-d"], self.env)
        self.whole()

    def ask(self, path):
        """What the master's REST API says, or None as long as it says nothing."""
        if time.monotonic() - self.asked > FRESH:
            self.address = self.hadoop.application(self.application).get("amRPCAddress", "")
            self.asked = time.monotonic()
        return get(f"http://{self.address}{path}") if ":" in self.address else None

    def job(self):
        """The job as the master tells of it."""
        return self.job_by(self.ask)

    def task_managers(self):
        """The processes of TaskManagers."""
        return {pid for pid in self.hadoop.containers() if self.task_manager in words(pid, "cmdline")}

    def whole(self):
        """Waits until as many TaskManagers are registered as there should be, and no other one runs: Flink may
        have one too many for a while, and kobel one by which it makes archives of classes."""

        def is_whole():
            registered = (self.ask("/overview") or {}).get("taskmanagers", 0)
            return True if registered == len(self.task_managers()) == TASK_MANAGERS else None

        until(f"{self.name} is whole", is_whole, pause=0.2)


class Flink(Watched, yarn.Flink):
    """Flink's own client at its best, with Flink's own timings."""

    name = "flink"
    task_manager = "org.apache.flink.yarn.YarnTaskExecutorRunner"

    def __init__(self, bench):
        super().__init__(bench, best=True)

    def start_command(self):
        """The same with ZooKeeper."""
        return [
            *super().start_command(), "-Dhigh-availability.type=zookeeper",
            f"-Dhigh-availability.zookeeper.quorum={self.bench.quorum}",
        ]

    def victims(self):
        """The master is the JobManager."""
        return {"am": java(self.hadoop.dir, ENTRY_POINT)}


class Kobel(Watched, yarn.Kobel):
    """kobel with directories of its own."""

    name = "kobel"

    def start_command(self):
        """The same with ZooKeeper."""
        return [*super().start_command(), "--zookeeper", self.bench.quorum]

    def victims(self):
        """The master is the agent, and the JobManager a process of its own, by kobel's marker."""
        masters, managers = [], []
        for pid in of_directory(self.hadoop.dir):
            command, own = words(pid, "cmdline"), words(pid, "environ")
            if command[1:2] == ["am"]:
                masters.append(pid)
            if JOB_MANAGER in command and any(MARKER.fullmatch(word) for word in own):
                managers.append(pid)
        if (len(masters), len(managers)) != (1, 1):
            raise Failure(f"{len(masters)} masters and {len(managers)} JobManagers of kobel's run instead of one each")
        return {"am": masters[0], "jm": managers[0]}
