"""The three that are measured on YARN: Flink's own `yarn-session.sh`, the same at its best, and kobel."""

import shutil
from pathlib import Path

from contenders import JOB_MANAGER, TASK_MANAGER, WORD_COUNT, costs
from hadoop import OVER, USER, Hadoop, get
from place import tell
from processes import Client, Failure, java, peak_memory, until, words

ENTRY_POINT = "org.apache.flink.yarn.entrypoint.YarnSessionClusterEntrypoint"
TASK_MANAGERS = 2
POLL = 0.05
# How long kobel may take for its archives of classes, in seconds.
ARCHIVES = 180
# On HDFS: what is the bench's, and in it what WordCount counts, and Flink's libraries.
ROOT = "/bench"
TEXT = f"{ROOT}/text"
LIBRARIES = f"{ROOT}/flink"


class Bench:
    """What all share: the cluster, a copy of the distribution's configuration, a directory on HDFS."""

    def __init__(self, directory, options, settings=None):
        self.dir = Path(directory)
        self.options = options
        self.hadoop = Hadoop(self.dir / "hadoop", options.yarn_lab, options.hadoop, settings or {})
        self.conf = self.dir / "conf"
        shutil.copytree(options.flink / "conf", self.conf)
        self.configure({"yarn.properties-file.location": self.dir})
        self.count = 0
        self.hadoop.change("MKDIRS", ROOT, permission=755)
        self.hadoop.change("SETOWNER", ROOT, owner=USER)

    def configure(self, keys):
        """Puts more into Flink's configuration."""
        with open(self.conf / "config.yaml", "a", encoding="utf-8") as file:
            file.write("\n".join(["", *(f"{key}: {value}" for key, value in keys.items()), ""]))

    def env(self, **own):
        """An environment from nothing but what both kinds of client need."""
        home = self.dir / "home"
        home.mkdir(exist_ok=True)
        common = {
            "PATH": "/usr/bin:/bin", "HOME": home, "LANG": "C.UTF-8", "USER": USER, "FLINK_CONF_DIR": self.conf,
            "HADOOP_CONF_DIR": self.hadoop.env["HADOOP_CONF_DIR"], "HADOOP_USER_NAME": USER,
        }
        return {key: str(value) for key, value in (common | own).items()}

    def client(self, argv, env, text=""):
        """Starts a command; `text` is what it reads."""
        self.count += 1
        return Client([str(word) for word in argv], env, self.dir / f"{self.count}.out", text)


class Session:
    """A session on YARN, whoever starts it; `Flink` and `Kobel` say how."""

    def __init__(self, bench):
        self.bench = bench
        self.hadoop = bench.hadoop
        self.application = None
        self.rest = None

    def start(self):
        """A start command until REST answers, until the TaskManagers are registered, until it returns; its
        cost, and what it brought to HDFS."""
        known, before = self.hadoop.applications(), self.hadoop.written()
        client = self.bench.client(self.start_command(), self.env)
        self.application, self.rest = until("the session has an address", lambda: self.found(client, known), pause=POLL)
        overview = lambda: client.check() or get(f"{self.rest}/overview") or {}
        until("REST answers", lambda: "taskmanagers" in overview() or None, pause=POLL)
        ready = client.seconds()
        until("the TaskManagers are registered", lambda: overview().get("taskmanagers", 0) >= TASK_MANAGERS or None, pause=POLL)
        registered = client.seconds()
        done = client.wait()
        return {
            "rest": ready, "start": registered, "start returns": done["wall"],
            "written": self.hadoop.written() - before, **costs("start", done),
        }

    def found(self, client, known):
        """The application that was not there before, and where its REST is: Flink's masters name REST's port
        for their own."""
        client.check()
        apps = self.hadoop.applications(f"?states=NEW,NEW_SAVING,SUBMITTED,ACCEPTED,RUNNING&user={USER}")
        for application, app in apps.items():
            if application not in known and ":" in app.get("amRPCAddress", ""):
                return application, f"http://{app['amRPCAddress']}"
        return None

    def word_count(self, name):
        """WordCount from HDFS to HDFS, from the command to its return, and without the job's own time."""
        known = {job["jid"] for job in get(f"{self.rest}/jobs/overview")["jobs"]}
        result = f"{ROOT}/counts-{self.bench.count}"
        places = ["--input", self.hadoop.hdfs + TEXT, "--output", self.hadoop.hdfs + result]
        argv = [*self.run_command(), "-c", WORD_COUNT, self.bench.options.jar, *places]
        done = self.bench.client(argv, self.env).wait()

        def finished():
            jobs = (get(f"{self.rest}/jobs/overview") or {"jobs": []})["jobs"]
            ours = [job for job in jobs if job["jid"] not in known and job["state"] == "FINISHED"]
            return ours[0]["duration"] / 1000 if ours else None

        seconds = until("the job is listed as finished", finished)
        if not self.hadoop.files(result):
            raise Failure(f"WordCount left nothing in {result}")
        self.hadoop.remove(result)
        return {name: done["wall"], f"{name} less job": done["wall"] - seconds, **costs(name, done)}

    def stop(self):
        """A stop command until it has returned, YARN calls the application over, and no container runs."""
        client = self.bench.client(*self.stop_command())
        done = client.wait()
        over = lambda: self.hadoop.application(self.application).get("state") in OVER or None
        until("the application is over", over, pause=POLL)
        self.hadoop.empty()
        figures = {"stop": client.seconds(), **costs("stop", done)}
        self.hadoop.settled(self.application)
        return figures

    def turn(self):
        """Two sessions: one that finds nothing of an earlier one, and one that finds what the first left."""
        self.forget()
        cold = {f"cold {key}": value for key, value in self.start().items()}
        self.before_warm()
        self.stop()
        figures = cold | self.start()
        for name in ["run", "again"]:
            figures |= self.word_count(name)
        figures |= self.master()
        return figures | self.stop()

    def before_warm(self):
        """What a first session still has to do before a second one finds all that it leaves."""


class Flink(Session):
    """Flink's own client. Told to have its TaskManagers from the start, which it otherwise gets by job."""

    def __init__(self, bench, best):
        super().__init__(bench)
        self.best = best
        self.binaries = bench.options.flink / "bin"
        logs = bench.dir / "log"
        logs.mkdir(exist_ok=True)
        self.env = bench.env(
            JAVA_HOME=bench.options.java, FLINK_LOG_DIR=logs, HADOOP_CLASSPATH=self.hadoop.env["HADOOP_CLASSPATH"]
        )

    def start_command(self):
        """Detached, named, the slots of as many TaskManagers as the others have."""
        argv = [self.binaries / "yarn-session.sh", "-d", "-nm", "bench"]
        argv.append(f"-Dslotmanager.number-of-slots.min={TASK_MANAGERS}")
        if self.best:
            dirs = ";".join(f"{self.hadoop.hdfs}{LIBRARIES}/{name}" for name in ["lib", "plugins"])
            argv.append(f"-Dyarn.provided.lib.dirs={dirs}")
        return argv

    def run_command(self):
        """To this session."""
        return [self.binaries / "flink", "run", "-t", "yarn-session", f"-Dyarn.application.id={self.application}"]

    def stop_command(self):
        """As `yarn-session.sh -d` tells people to."""
        return [self.binaries / "yarn-session.sh", "-id", self.application], self.env, "stop\n"

    def forget(self):
        """Nothing on HDFS, and so nothing that nodes could have kept of it: they go by a file's time, too. At
        its best the libraries are there, laid down anew."""
        self.hadoop.remove(f"{self.hadoop.home}/.flink")
        if not self.best:
            return
        self.hadoop.remove(LIBRARIES)
        for name in ["lib", "plugins"]:
            top = self.bench.options.flink / name
            for file in top.rglob("*"):
                if file.is_file():
                    self.hadoop.put(file, f"{LIBRARIES}/{name}/{file.relative_to(top)}")

    def master(self):
        """The memory of the master's container: its one JVM."""
        return {"master memory": peak_memory(java(self.hadoop.dir, ENTRY_POINT))}


class Kobel(Session):
    """kobel with directories of its own, without a Java."""

    def __init__(self, bench):
        super().__init__(bench)
        self.program = bench.options.kobel
        self.own = {f"KOBEL_{kind}_DIR": bench.dir / kind.lower() for kind in ["STATE", "DATA", "CACHE"]}
        self.env = bench.env(FLINK_HOME=bench.options.flink, KOBEL_CONFIG=bench.dir / "config.toml", **self.own)

    def start_command(self):
        """A session with its TaskManagers."""
        return [self.program, "start", "bench", "--on", "yarn", "--tm", TASK_MANAGERS]

    def run_command(self):
        """To this session."""
        return [self.program, "run", "--cluster", "bench"]

    def stop_command(self):
        """By name."""
        return [self.program, "stop", "bench"], self.env

    def stop(self):
        """Ends the session and forgets it."""
        figures = super().stop()
        self.bench.client([self.program, "rm", "bench"], self.env).wait()
        return figures

    def before_warm(self):
        """Its archives of classes, which the first session makes in the background when nobody works."""
        files = lambda: self.hadoop.files(f"{self.hadoop.home}/.kobel/blobs")
        made = lambda: sum(name.endswith(".jsa") for name in files()) >= len([JOB_MANAGER, TASK_MANAGER]) or None
        try:
            until("the archives of classes are made", made, ARCHIVES, pause=POLL)
        except Failure as failure:
            tell(f"kobel goes on without archives of classes: {failure}")

    def forget(self):
        """As on the day it was installed, here and there."""
        self.hadoop.remove(f"{self.hadoop.home}/.kobel")
        for directory in self.own.values():
            shutil.rmtree(directory, ignore_errors=True)

    def master(self):
        """The memory of the master's container: kobel and the JobManager's JVM."""
        (master,) = [pid for pid in self.hadoop.containers() if words(pid, "cmdline")[1:2] == ["am"]]
        agent = peak_memory(master)
        return {"agent memory": agent, "master memory": agent + peak_memory(java(self.hadoop.dir, JOB_MANAGER))}
