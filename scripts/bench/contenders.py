"""The three that are measured: Flink's own scripts, kobel, and the bare JVMs that kobel starts."""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from processes import Client, Failure, gone, java, peak_memory, of_directory, until, words

WORD_COUNT = "org.apache.flink.streaming.examples.wordcount.WordCount"
JOB_MANAGER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
TASK_MANAGER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"


def free_ports(count):
    """Ports that nobody listens on, all different."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def ask(port, path):
    """What the REST API says, or None as long as it says nothing."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as reply:
            return json.load(reply)
    except (urllib.error.URLError, OSError, ValueError):
        return None


def registered(port):
    """Waits until a TaskManager is registered."""

    def probe():
        overview = ask(port, "/overview") or {}
        return True if overview.get("taskmanagers", 0) >= 1 else None

    until(f"a TaskManager is registered at port {port}", probe)


class Bench:
    """What all three share: a directory, a copy of the distribution's configuration, a job."""

    def __init__(self, directory, options):
        self.dir = Path(directory)
        self.options = options
        self.conf = self.dir / "conf"
        self.rest, rpc = free_ports(2)
        shutil.copytree(options.flink / "conf", self.conf)
        file = self.conf / "config.yaml"
        text = file.read_text().replace("port: 6123", f"port: {rpc}")
        file.write_text(text + f"\nrest.port: {self.rest}\n")
        self.count = 0

    def env(self, **own):
        """An environment from nothing but what both kinds of client need."""
        home = self.dir / "home"
        home.mkdir(exist_ok=True)
        common = {
            "PATH": os.environ["PATH"], "HOME": home, "LANG": "C.UTF-8", "USER": "bench",
            "JAVA_HOME": self.options.java, "FLINK_CONF_DIR": self.conf,
        }
        return {key: str(value) for key, value in (common | own).items()}

    def client(self, argv, env):
        """Starts a command."""
        self.count += 1
        return Client([str(word) for word in argv], env, self.dir / f"{self.count}.out")

    def start(self, argv, env):
        """A start command until a TaskManager is registered, and the command's cost."""
        client = self.client(argv, env)
        registered(self.rest)
        ready = client.seconds()
        return {"start": ready, **costs("start", client.wait())}

    def run(self, argv, env):
        """A job by its client: the client's time without the job's own, and the client's cost."""
        result = self.dir / f"counts-{self.count}"
        job = ["-c", WORD_COUNT, self.options.jar, "--input", self.options.text, "--output", result]
        known = {job["jid"] for job in ask(self.rest, "/jobs/overview")["jobs"]}
        done = self.client([*argv, *job], env).wait()

        def finished():
            jobs = (ask(self.rest, "/jobs/overview") or {"jobs": []})["jobs"]
            ours = [job for job in jobs if job["jid"] not in known and job["state"] == "FINISHED"]
            return ours[0]["duration"] / 1000 if ours else None

        job_seconds = until("the job is listed as finished", finished)
        if not any(result.rglob("*")):
            raise Failure(f"WordCount left nothing in {result}")
        return {"job": job_seconds, "run": done["wall"] - job_seconds, **costs("run", done)}

    def stop(self, argv, env):
        """A stop command until it has ended and no process is left."""
        client = self.client(argv, env)
        done = client.wait()
        gone(self.dir)
        return {"stop": client.seconds(), **costs("stop", done)}


def costs(verb, done):
    """CPU and memory of a client."""
    return {f"{verb} cpu": done["cpu"], f"{verb} memory": done["memory"]}


def scripts(bench):
    """A session by Flink's own scripts."""
    binaries = bench.options.flink / "bin"
    env = bench.env(FLINK_LOG_DIR=bench.dir / "log", FLINK_PID_DIR=bench.dir)
    (bench.dir / "log").mkdir(exist_ok=True)
    figures = bench.start([binaries / "start-cluster.sh"], env)
    figures |= bench.run([binaries / "flink", "run"], env)
    return figures | bench.stop([binaries / "stop-cluster.sh"], env)


def kobel(bench):
    """A session by kobel, and how its JVMs were started, for [`bare`]."""
    env = bench.env(
        FLINK_HOME=bench.options.flink, KOBEL_CONFIG=bench.dir / "config.toml",
        **{f"KOBEL_{kind}_DIR": bench.dir / kind.lower() for kind in ["STATE", "DATA", "CACHE"]},
    )
    program = bench.options.kobel
    figures = bench.start([program, "start", "bench"], env)
    figures |= bench.run([program, "run", "--cluster", "bench"], env)
    figures["agent memory"] = peak_memory(agent(bench))
    jvms = [Jvm(bench, main_class) for main_class in [JOB_MANAGER, TASK_MANAGER]]
    figures |= bench.stop([program, "stop", "bench"], env)
    bench.client([program, "rm", "bench"], env).wait()
    return figures, jvms


def agent(bench):
    """kobel's one process of a cluster."""
    for pid in of_directory(bench.dir):
        if words(pid, "cmdline")[1:2] == ["agent"]:
            return pid
    raise Failure("no agent of kobel runs")


class Jvm:
    """A JVM of kobel's as it was started, its cluster's directory moved aside."""

    def __init__(self, bench, main_class):
        # Not among all of the bench's: kobel may be training class archives with the same classes.
        pid = java(bench.dir / "state", main_class)
        self.dir = bench.dir / "bare" / main_class
        cluster = str(bench.dir / "state")
        command = words(pid, "cmdline")
        conf = Path(command[command.index("--configDir") + 1])
        moved = lambda text: text.replace(cluster, str(self.dir))
        self.argv = [moved(word) for word in command]
        self.env = dict(moved(word).split("=", 1) for word in words(pid, "environ"))
        self.conf = Path(moved(str(conf)))
        self.conf.mkdir(parents=True)
        for file in conf.iterdir():
            (self.conf / file.name).write_text(moved(file.read_text()))
        (self.conf.parent / "tmp").mkdir()
        Path(self.env["FLINK_LOG_DIR"]).mkdir(parents=True, exist_ok=True)

    def start(self):
        """Starts it as it was, its output going where nobody looks."""
        quiet = {name: subprocess.DEVNULL for name in ["stdin", "stdout", "stderr"]}
        return subprocess.Popen(self.argv, env=self.env, cwd=self.conf.parent, **quiet)


def port_of(file):
    """`rest.port` of a configuration that kobel wrote: a key a line."""
    for line in file.read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip("\"'") == "rest.port":
            return int(value.strip().strip("\"'"))
    raise Failure(f"no rest.port in {file}")


def bare(bench, jvms):
    """The floor: the JVMs of kobel's session started side by side with nothing around them."""
    since = time.monotonic()
    processes = [jvm.start() for jvm in jvms]
    try:
        registered(port_of(jvms[0].conf / "config.yaml"))
        seconds = time.monotonic() - since
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(timeout=30)
    shutil.rmtree(bench.dir / "bare")
    return {"start": seconds}
