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

from processes import Client, Failure, gone, java, maps, of_directory, peak_memory, until, words

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


def ask(port, path, timeout=5):
    """What the REST API says, or None as long as it says nothing."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=timeout) as reply:
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
    """What all three share: a directory, a copy of the distribution's configuration, the jobs."""

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
        self.word_count = ["-c", WORD_COUNT, options.jar, "--input", options.text, "--output"]
        self.long_job = [compiled(options.long_job, options, self.dir), options.records]

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
        """A start command until a TaskManager is registered, until it returns, and its cost."""
        client = self.client(argv, env)
        registered(self.rest)
        ready = client.seconds()
        done = client.wait()
        return {"start": ready, "start returns": max(ready, done["wall"]), **costs("start", done)}

    def run(self, name, argv, env, job):
        """A job by its client: the client's time without the job's own, and the client's cost."""
        known = {job["jid"] for job in ask(self.rest, "/jobs/overview")["jobs"]}
        done = self.client([*argv, *job], env).wait()

        def finished():
            jobs = (ask(self.rest, "/jobs/overview") or {"jobs": []})["jobs"]
            ours = [job for job in jobs if job["jid"] not in known and job["state"] == "FINISHED"]
            return ours[0]["duration"] / 1000 if ours else None

        seconds = until("the job is listed as finished", finished)
        return {f"{name} job": seconds, name: done["wall"] - seconds, **costs(name, done)}

    def jobs(self, argv, env):
        """Two small jobs one after the other, then two long ones: of each kind one in JVMs that
        have not done it before, and one in those that have."""
        figures = {}
        for name in ["run", "again"]:
            result = self.dir / f"counts-{self.count}"
            figures |= self.run(name, argv, env, [*self.word_count, result])
            if not any(result.rglob("*")):
                raise Failure(f"WordCount left nothing in {result}")
        for name in ["long", "long again"]:
            figures |= self.run(name, argv, env, self.long_job)
        return figures

    def stop(self, argv, env):
        """A stop command until it has ended and no process is left."""
        client = self.client(argv, env)
        done = client.wait()
        gone(self.dir)
        return {"stop": client.seconds(), **costs("stop", done)}


def costs(verb, done):
    """CPU and memory of a client."""
    return {f"{verb} cpu": done["cpu"], f"{verb} memory": done["memory"]}


def compiled(source, options, directory):
    """A job's jar, made of its source."""
    classes, jar = directory / f"{source.stem}-classes", directory / f"{source.stem}.jar"
    tools = options.java / "bin"
    for argv in [
        [tools / "javac", "-nowarn", "-cp", f"{options.flink}/lib/*", "-d", classes, source],
        [tools / "jar", "cfe", jar, source.stem, "-C", classes, "."],
    ]:
        done = subprocess.run(argv, capture_output=True, text=True)
        if done.returncode != 0:
            raise Failure(f"{argv[0]} failed:\n{done.stderr}")
    return jar


class Scripts:
    """Flink's own scripts."""

    def __init__(self, bench):
        self.bench = bench
        self.binaries = bench.options.flink / "bin"
        self.env = bench.env(FLINK_LOG_DIR=bench.dir / "log", FLINK_PID_DIR=bench.dir)
        (bench.dir / "log").mkdir()

    def start(self):
        """Starts a session."""
        return self.bench.start([self.binaries / "start-cluster.sh"], self.env)

    def stop(self):
        """Ends the session."""
        return self.bench.stop([self.binaries / "stop-cluster.sh"], self.env)

    def session(self):
        """A session as it is measured."""
        figures = self.start()
        figures |= self.bench.jobs([self.binaries / "flink", "run"], self.env)
        return figures | self.stop()


class Kobel:
    """kobel with directories of its own."""

    def __init__(self, bench):
        self.bench = bench
        self.program = bench.options.kobel
        self.env = bench.env(
            FLINK_HOME=bench.options.flink, KOBEL_CONFIG=bench.dir / "config.toml",
            **{f"KOBEL_{kind}_DIR": bench.dir / kind.lower() for kind in ["STATE", "DATA", "CACHE"]},
        )

    def start(self):
        """Starts a session."""
        return self.bench.start([self.program, "start", "bench"], self.env)

    def stop(self):
        """Ends the session and forgets it."""
        figures = self.bench.stop([self.program, "stop", "bench"], self.env)
        self.bench.client([self.program, "rm", "bench"], self.env).wait()
        return figures

    def session(self):
        """A session as it is measured."""
        figures = self.start()
        self.uses_archives()
        figures |= self.bench.jobs([self.program, "run", "--cluster", "bench"], self.env)
        figures["agent memory"] = peak_memory(self.agent())
        return figures | self.stop()

    def train(self):
        """A first session, and the archives of classes that kobel makes after it in the background:
        the seconds until they are there and nothing of their making runs."""
        self.start()
        since = time.monotonic()
        archives = self.bench.dir / "cache/cds"

        def made():
            if any(archives.glob("*/failed")):
                raise Failure(f"no archives of classes: {(*archives.glob('*/train.log'),)[0].read_text()}")
            names = {file.name for file in archives.glob("*/*.jsa")}
            busy = any(words(pid, "cmdline")[1:2] == ["train"] for pid in of_directory(self.bench.dir))
            return True if names == {"jm.jsa", "tm.jsa"} and not busy else None

        until("the archives of classes are made", made, 300)
        seconds = time.monotonic() - since
        self.stop()
        return seconds

    def uses_archives(self):
        """Fails unless both JVMs have their archive in memory."""
        for main_class, name in [(JOB_MANAGER, "jm.jsa"), (TASK_MANAGER, "tm.jsa")]:
            if name not in maps(java(self.bench.dir / "state", main_class)):
                raise Failure(f"{main_class} runs without its archive of classes, {name}")

    def agent(self):
        """kobel's one process of a cluster."""
        for pid in of_directory(self.bench.dir):
            if words(pid, "cmdline")[1:2] == ["agent"]:
                return pid
        raise Failure("no agent of kobel runs")

    def jvms(self):
        """How the JVMs of a session are started, archives and all."""
        self.start()
        self.uses_archives()
        found = [Jvm(self.bench, main_class) for main_class in [JOB_MANAGER, TASK_MANAGER]]
        self.stop()
        return found


class Jvm:
    """A JVM of kobel's as it was started, its cluster's directory moved aside."""

    def __init__(self, bench, main_class):
        # Not among all of the bench's: kobel may be training class archives with the same classes.
        pid = java(bench.dir / "state", main_class)
        self.dir = bench.dir / "bare" / main_class
        moved = lambda text: text.replace(str(bench.dir / "state"), str(self.dir))
        command = words(pid, "cmdline")
        conf = Path(command[command.index("--configDir") + 1])
        self.argv = [moved(word) for word in command]
        self.env = dict(moved(word).split("=", 1) for word in words(pid, "environ"))
        self.conf = Path(moved(str(conf)))
        self.files = {file.name: moved(file.read_text()) for file in conf.iterdir()}

    def start(self):
        """Starts it as it was, its output going where nobody looks."""
        self.conf.mkdir(parents=True)
        for name, text in self.files.items():
            (self.conf / name).write_text(text)
        (self.conf.parent / "tmp").mkdir()
        Path(self.env["FLINK_LOG_DIR"]).mkdir(parents=True, exist_ok=True)
        quiet = {name: subprocess.DEVNULL for name in ["stdin", "stdout", "stderr"]}
        return subprocess.Popen(self.argv, env=self.env, cwd=self.conf.parent, **quiet)

    def rest_port(self):
        """`rest.port` of its configuration, a key a line."""
        for line in self.files["config.yaml"].splitlines():
            key, _, value = line.partition(":")
            if key.strip("\"'") == "rest.port":
                return int(value.strip().strip("\"'"))
        raise Failure("kobel's configuration of a JobManager has no rest.port")


def bare(bench, jvms):
    """The floor: the JVMs of kobel's session started side by side with nothing around them."""
    since = time.monotonic()
    processes = [jvm.start() for jvm in jvms]
    try:
        registered(jvms[0].rest_port())
        seconds = time.monotonic() - since
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(timeout=30)
    shutil.rmtree(bench.dir / "bare")
    return {"start": seconds}
