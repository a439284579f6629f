"""Sessions with high availability: by Flink's own scripts, and by kobel, on one ZooKeeper."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from contenders import JOB_MANAGER, TASK_MANAGER, ask, compiled, free_ports
from processes import Client, Failure, of_directory, until, words

# Of the ZooKeeper: its sessions last 2 to 20 of these, in milliseconds.
TICK = 2000
ZOOKEEPER = "org.apache.flink.runtime.zookeeper.FlinkZooKeeperQuorumPeer"
# For both: how often a checkpoint is made, and how old an answer of the REST API may be.
COMMON = {"execution.checkpointing.interval": "200 ms", "web.refresh-interval": "50"}
# A JobManager's log tells when it leads, and when it has joined the election.
LEADS = re.compile(r"DefaultDispatcherRunner was (granted|revoked)")
STANDS = "registered under component 'resource_manager'"


def kill(pid):
    """Kills a process, if it is still there."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def log(pid):
    """What a JVM has logged so far."""
    files = [word.partition("=")[2] for word in words(pid, "cmdline") if word.startswith("-Dlog.file=")]
    return Path(files[0]).read_text(errors="replace") if files and Path(files[0]).exists() else ""


class ZooKeeper:
    """The server in Flink's distribution, with data of its own."""

    def __init__(self, bench):
        self.bench, self.process = bench, None
        (self.port,) = free_ports(1)
        self.dir = bench.dir / "zookeeper"
        self.dir.mkdir()
        self.file = self.dir / "zoo.cfg"
        self.file.write_text(
            f"tickTime={TICK}\ndataDir={self.dir}/data\nclientPort={self.port}\nclientPortAddress=127.0.0.1\n"
            "admin.enableServer=false\nmaxClientCnxns=0\n4lw.commands.whitelist=srvr\n"
        )

    def start(self):
        """Starts it, and waits until it serves."""
        java, lib = self.bench.options.java / "bin/java", self.bench.options.flink / "lib/*"
        argv = [java, "-Xmx128m", "-cp", lib, ZOOKEEPER, "--zkConfigFile", self.file, "--peerId", "1"]
        with open(self.dir / "out", "ab") as out:
            self.process = subprocess.Popen(
                [str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )

        until("ZooKeeper serves", self.serves, 60)

    def serves(self):
        """True as soon as it says how it stands."""
        if self.process.poll() is not None:
            raise Failure(f"ZooKeeper does not start: {(self.dir / 'out').read_text()}")
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.sendall(b"srvr")
                return True if b"Mode: " in connection.makefile("rb").read() else None
        except OSError:
            return None

    def kill(self):
        """As a fault would."""
        self.process.kill()
        self.process.wait()


class Bench:
    """What all share: a directory, a ZooKeeper, the job."""

    def __init__(self, directory, options):
        self.dir, self.options, self.count = Path(directory), options, 0
        self.zookeeper = ZooKeeper(self)
        self.job = compiled(options.job, options, self.dir)

    def env(self, home, **own):
        """An environment from nothing but what both kinds of client need."""
        common = {
            "PATH": os.environ["PATH"], "HOME": home, "LANG": "C.UTF-8", "USER": "bench",
            "JAVA_HOME": self.options.java,
        }
        return {key: str(value) for key, value in (common | own).items()}

    def client(self, argv, env):
        """Starts a command."""
        self.count += 1
        return Client([str(word) for word in argv], env, self.dir / f"{self.count}.out")

    def conf(self, directory, more):
        """A copy of the distribution's configuration, with more in it."""
        shutil.copytree(self.options.flink / "conf", directory)
        keys = COMMON | {"execution.checkpointing.dir": f"file://{directory.parent}/checkpoints"} | more
        file = directory / "config.yaml"
        file.write_text("\n".join([file.read_text(), *(f"{key}: {value}" for key, value in keys.items()), ""]))
        return directory


class WithJob:
    """A session whose job is watched."""

    id = None

    def submit(self, argv, env):
        """The job, and waits until it runs and has made a checkpoint."""
        client = self.bench.client([*argv, self.bench.job, 1_000_000], env)
        client.wait()
        self.id = re.search(r"JobID ([0-9a-f]{32})", client.output.read_text()).group(1)

        def made():
            job = self.job()
            return True if job and job["runs"] and (job["checkpoints"]["latest"] or {}).get("completed") else None

        until("the job has made a checkpoint", made)

    def job_by(self, get):
        """The job as one REST API, asked by `get`, tells of it: whether all its tasks run, and its checkpoints."""
        jobs = (get("/jobs/overview") or {}).get("jobs", [])
        checkpoints = get(f"/jobs/{self.id}/checkpoints") or {}
        for job in jobs:
            if job["jid"] == self.id and "latest" in checkpoints:
                tasks, state = job["tasks"], job["state"]
                runs = state == "RUNNING" and 0 < tasks["total"] == tasks["running"]
                return {"runs": runs, "checkpoints": checkpoints}
        return None


class Session(WithJob):
    """What is asked of a session, whoever runs it."""

    has_drill = False

    def __init__(self, bench, name):
        self.bench, self.name, self.dir = bench, name, bench.dir / name
        self.dir.mkdir()
        self.ports = []

    def job(self):
        """The job as some JobManager tells of it."""
        seen = (self.job_by(lambda path, port=port: ask(port, path, 1)) for port in self.ports)
        return next(filter(None, seen), None)

    def javas(self, main_class):
        """The living JVMs of this session that run this class."""
        return [pid for pid in of_directory(self.dir) if main_class in words(pid, "cmdline")]

    def task_manager(self):
        """The process that runs the job's tasks: of the one with no free slot, by its resource id."""
        managers = [tm for port in self.ports for tm in (ask(port, "/taskmanagers") or {}).get("taskmanagers", [])]
        busy = [tm["id"] for tm in managers if tm["freeSlots"] < tm["slotsNumber"]]
        for pid in self.javas(TASK_MANAGER):
            if busy and self.is_called(pid, busy[0]):
                return pid
        raise Failure(f"none of {self.name}'s TaskManagers runs the job: {managers}")

    def whole(self):
        """Waits until all JobManagers stand for election, and both TaskManagers are registered."""

        def is_whole():
            overview = next(filter(None, (ask(port, "/overview", 1) for port in self.ports)), {})
            standing = [pid for pid in self.javas(JOB_MANAGER) if STANDS in log(pid)]
            return True if overview.get("taskmanagers", 0) == 2 and len(standing) == self.masters else None

        until(f"{self.name} is whole", is_whole)


class Flink(Session):
    """Flink's own scripts, with Flink's own timings."""

    def __init__(self, bench):
        super().__init__(bench, "flink")
        self.binaries = bench.options.flink / "bin"
        self.masters = 0

    def start(self, masters):
        """Starts a session with a job."""
        self.masters = masters
        shutil.rmtree(self.dir)
        (self.dir / "log").mkdir(parents=True)
        self.ports = free_ports(masters)
        conf = self.bench.conf(self.dir / "conf", {
            "high-availability.type": "zookeeper", "high-availability.cluster-id": f"/flink-{self.bench.count}",
            "high-availability.zookeeper.quorum": f"127.0.0.1:{self.bench.zookeeper.port}",
            "high-availability.storageDir": f"file://{self.dir}/ha",
        })
        (conf / "masters").write_text("".join(f"localhost:{port}\n" for port in self.ports))
        (conf / "workers").write_text("localhost\n" * 2)
        self.env = self.bench.env(
            self.dir, FLINK_CONF_DIR=conf, FLINK_LOG_DIR=self.dir / "log", FLINK_PID_DIR=self.dir
        )
        self.run("start-cluster.sh")
        self.whole()
        self.submit([self.binaries / "flink", "run", "-d"], self.env)

    def run(self, script, *args):
        """One of the scripts to its end."""
        self.bench.client([self.binaries / script, *args], self.env).wait()

    def stop(self):
        """Ends the session at once."""
        for pid in of_directory(self.dir):
            kill(pid)

    def leader(self):
        """The JobManager that was made leader last, by its log."""
        granted = []
        for pid in self.javas(JOB_MANAGER):
            lines = [line for line in log(pid).splitlines() if LEADS.search(line)]
            if lines and "granted" in lines[-1]:
                # Its first 23 characters are the time.
                granted.append((lines[-1][:23], pid))
        if not granted:
            raise Failure("none of Flink's JobManagers leads")
        return max(granted)[1]

    def is_called(self, pid, resource):
        """A TaskManager's log has its resource id."""
        return resource in log(pid)

    def replacement(self, pid):
        """What makes up for a process, to be called when it has failed: the script that starts another one."""
        command = words(pid, "cmdline")
        start = ["taskmanager.sh", "start"]
        if JOB_MANAGER in command:
            start = ["jobmanager.sh", "start", "localhost", command[command.index("--webui-port") + 1]]

        def replace():
            kill(pid)
            self.run(*start)

        return replace


class Kobel(Session):
    """kobel with directories of its own."""

    has_drill = True

    def __init__(self, bench, name, profile):
        super().__init__(bench, name)
        self.masters, self.profile = 0, profile
        self.conf = bench.conf(self.dir / "conf", {})
        self.env = bench.env(
            self.dir, FLINK_HOME=bench.options.flink, FLINK_CONF_DIR=self.conf, KOBEL_HA_PROFILE=profile,
            KOBEL_CONFIG=self.dir / "config.toml", KOBEL_STATE_DIR=self.dir / "state", KOBEL_DATA_DIR=self.dir / "data",
            KOBEL_CACHE_DIR=bench.dir / "cache",
        )

    def run(self, *args):
        """A command to its end, and what it printed."""
        client = self.bench.client([self.bench.options.kobel, *args], self.env)
        client.wait()
        return client.output.read_text()

    def start(self, masters):
        """Starts a session with a job."""
        self.masters = masters
        quorum = f"127.0.0.1:{self.bench.zookeeper.port}"
        self.run(
            "start", "bench", "--masters", masters, "--tm", 2, "--zookeeper", quorum, "-D", "rest.port=0", "-z",
            f"{self.name}-{self.bench.count}", "-q",
        )
        self.ports = [int(self.status()["restUrl"].rsplit(":", 1)[1])]
        self.whole()
        self.submit([self.bench.options.kobel, "run", "--cluster", "bench", "-d"], self.env)

    def stop(self):
        """Ends the session and forgets it."""
        self.run("kill", "bench")
        self.run("rm", "bench")

    def status(self):
        """What `kobel status` tells; its exit code says whether the cluster is ready, which is no matter here."""
        argv = [self.bench.options.kobel, "status", "bench", "-o", "json"]
        done = subprocess.run([str(word) for word in argv], env=self.env, capture_output=True, text=True)
        return json.loads(done.stdout)

    def leader(self):
        """The JobManager that leads."""
        (pid,) = [master["pid"] for master in self.status()["masters"] if master["leader"]]
        return pid

    def is_called(self, pid, resource):
        """kobel's marker in the environment ends in the resource id."""
        return any(word == f"KOBEL_ID={self.dir}/state/clusters/bench/{resource}" for word in words(pid, "environ"))

    def replacement(self, pid):
        """kobel sees for itself."""
        return lambda: None

    def drill(self):
        """Starts kobel's own drill."""
        return self.bench.client([self.bench.options.kobel, "failover", "bench", "-o", "json", "-q"], self.env)

    def train(self):
        """A first session without a job, after which kobel makes its archives of classes."""
        quorum = f"127.0.0.1:{self.bench.zookeeper.port}"
        self.run("start", "bench", "--zookeeper", quorum, "-D", "rest.port=0", "-q")
        archives = self.bench.dir / "cache/cds"
        made = lambda: True if {file.name for file in archives.glob("*/*.jsa")} == {"jm.jsa", "tm.jsa"} else None
        until("the archives of classes are made", made, 300)
        self.stop()
