"""Who gives a job a cluster of its own on YARN: Flink's `run-application`, the same at its best, and kobel."""

from contenders import WORD_COUNT, costs
from hadoop import OVER, USER
from processes import Failure, until
from yarn_contenders import LIBRARIES, POLL, ROOT, TEXT, Flink, Kobel


class Jobs:
    """What is measured of all; `command` says how each submits WordCount, detached."""

    many = None

    def places(self):
        """Where WordCount reads, and a directory of its own to write to."""
        self.results = getattr(self, "results", 0) + 1
        result = f"{ROOT}/counts-{self.name}-{self.results}"
        return result, ["--input", self.hadoop.hdfs + TEXT, "--output", self.hadoop.hdfs + result]

    def over(self, known, count):
        """When so many new applications are over, if they are; each must have succeeded."""
        apps = self.hadoop.applications(f"?user={USER}")
        ours = [app for application, app in apps.items() if application not in known]
        done = [app for app in ours if app["state"] in OVER]
        for app in done:
            if app["finalStatus"] != "SUCCEEDED":
                raise Failure(f"{app['id']} is {app['finalStatus']}: {app['diagnostics'][:300]}")
        return [app["id"] for app in done] if len(done) == count else None

    def submit(self, name, count):
        """So many submits at once: until the commands are back, until the applications are over, and what they cost."""
        known = self.hadoop.applications(f"?user={USER}")
        results, argvs = [], []
        for _ in range(count):
            result, places = self.places()
            results.append(result)
            argvs.append([*self.command(), "-c", WORD_COUNT, self.bench.options.jar, *places])
        clients = [self.bench.client(argv, self.env) for argv in argvs]
        ends = [client.wait() for client in clients]
        applications = until("the applications are over", lambda: self.over(known, count), 900, pause=POLL)
        figures = {
            f"{name} returns": max(end["wall"] for end in ends), f"{name} finished": clients[0].seconds(),
            **costs(name, {key: sum(end[key] for end in ends) for key in ["cpu", "memory"]}),
        }
        for result in results:
            if not self.hadoop.files(result):
                raise Failure(f"WordCount left nothing in {result}")
            self.hadoop.remove(result)
        for application in applications:
            self.hadoop.settled(application)
        return figures

    def turn(self):
        """One job, another one, and in the first round many at once: the cluster runs two of them side by side."""
        self.submit("first", 1)
        figures = self.submit("job", 1)
        if self.bench.options.at_once and not self.many:
            self.many = self.submit("many", self.bench.options.at_once)
            figures |= self.many
        return figures


class FlinkJobs(Jobs, Flink):
    """Flink's own client, stock or at its best."""

    def __init__(self, bench, best):
        super().__init__(bench, best)
        self.name = "best" if best else "stock"

    def command(self):
        """Application mode, detached."""
        argv = [self.binaries / "flink", "run-application", "-t", "yarn-application", "-d"]
        if self.best:
            dirs = ";".join(f"{self.hadoop.hdfs}{LIBRARIES}/{name}" for name in ["lib", "plugins"])
            argv.append(f"-Dyarn.provided.lib.dirs={dirs}")
        return argv


class KobelJobs(Jobs, Kobel):
    """kobel; its archives of classes are there, as its first session or job leaves them."""

    name = "kobel"

    def command(self):
        """Detached."""
        return [self.program, "run", "--per-job", "-d", "--on", "yarn"]
