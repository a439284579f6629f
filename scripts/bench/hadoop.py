"""The cluster of a bench on YARN, held by the kit's `yarn_lab`, and what is asked of it over HTTP."""

import json
import os
import shlex
import subprocess
import urllib.parse
import urllib.request

from processes import Failure, of_directory, until, words

USER = "bench"
# Two containers of 2 GB on each node: a master and two TaskManagers never fit on one, so whatever nodes
# keep for later, both have after any one session.
NODE_MIB = 4096
OVER = ["FINISHED", "FAILED", "KILLED"]


def call(method, url, data=None, size=None, timeout=60):
    """The answer's text. `data` may be a file of `size` bytes."""
    headers = {} if size is None else {"Content-Length": str(size)}
    request = urllib.request.Request(url, data=data, method=method, headers=headers)
    with urllib.request.urlopen(request, timeout=timeout) as reply:
        return reply.read()


def get(url):
    """What an address says in JSON, or None as long as it says nothing."""
    try:
        return json.loads(call("GET", url, timeout=5))
    except (OSError, ValueError):
        return None


class Hadoop:
    """HDFS and YARN that run: two NodeManagers. `more` are settings of YARN."""

    def __init__(self, directory, yarn_lab, hadoop, more):
        self.dir = directory
        settings = {"yarn.nodemanager.resource.memory-mb": NODE_MIB} | more
        log = directory.parent / "yarn-lab.log"
        with open(log, "wb") as out:
            self.holder = subprocess.Popen(
                [yarn_lab, directory, *(f"{key}={value}" for key, value in settings.items())],
                env=environment(KOBEL_TEST_HADOOP=hadoop), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            )

        def serves():
            if self.holder.poll() is not None:
                raise Failure(f"Hadoop did not start:\n{log.read_text()[-2000:]}")
            return (directory / "env").is_file() and (directory / "env").read_text() or None

        lines = until("Hadoop serves", serves, 240)
        self.env = dict(line.removeprefix("export ").split("=", 1) for line in lines.splitlines())
        self.env = {key: shlex.split(value)[0] for key, value in self.env.items()}
        self.hdfs = self.env["HDFS_URI"]
        self.home = f"/user/{USER}"
        self.change("MKDIRS", self.home, permission=755)
        self.change("SETOWNER", self.home, owner=USER)

    def end(self):
        """Ends it and whatever still runs in it."""
        (self.dir / "down").write_text("now\n")
        self.holder.wait(timeout=60)

    def cluster(self, path):
        """The ResourceManager's word."""
        return get(f"{self.env['YARN_WEB']}/ws/v1/cluster{path}") or {}

    def applications(self, query=""):
        """The applications by id."""
        found = (self.cluster(f"/apps{query}").get("apps") or {}).get("app") or []
        return {app["id"]: app for app in found}

    def application(self, application):
        """One of them."""
        return self.cluster(f"/apps/{application}").get("app") or {}

    def containers(self):
        """The processes of containers."""
        return [
            pid for pid in of_directory(self.dir)
            if any(word.startswith("CONTAINER_ID=") for word in words(pid, "environ"))
        ]

    def empty(self):
        """Waits until no container's process is left."""
        until("no container runs", lambda: None if self.containers() else True)

    def settled(self, application):
        """Waits until YARN has done with an application: its logs are where they stay."""

        def done():
            app = self.application(application)
            busy = app.get("logAggregationStatus") in ["NOT_START", "RUNNING", "RUNNING_WITH_FAILURE"]
            return None if busy or app.get("state") not in OVER else True

        until(f"{application} is over, and its logs are collected", done)
        self.empty()

    def written(self):
        """The bytes that were ever written to HDFS, by its DataNode's count, in MB."""
        bean = "Hadoop:service=NameNode,name=NameNodeInfo"
        nodes = json.loads(get(f"{self.env['HDFS_WEB']}/jmx?qry={bean}")["beans"][0]["LiveNodes"])
        (node,) = nodes.values()
        beans = get(f"http://{node['infoAddr']}/jmx?qry=Hadoop:service=DataNode,name=DataNodeActivity-*")
        return beans["beans"][0]["BytesWritten"] / 1e6

    def url(self, operation, path, **more):
        """WebHDFS as the superuser, who is the one that started it."""
        query = urllib.parse.urlencode({"op": operation, **more})
        return f"{self.env['HDFS_WEB']}/webhdfs/v1{urllib.parse.quote(path)}?{query}"

    def change(self, operation, path, method="PUT", **more):
        """MKDIRS, SETOWNER, DELETE."""
        more.setdefault("user.name", superuser())
        call(method, self.url(operation, path, **more))

    def remove(self, path):
        """A file or a directory with all in it."""
        self.change("DELETE", path, "DELETE", recursive="true")

    def files(self, path):
        """What a directory holds, by name with its size; nothing where there is none."""
        listed = get(self.url("LISTSTATUS", path, **{"user.name": superuser()})) or {}
        found = listed.get("FileStatuses", {}).get("FileStatus", [])
        return {file["pathSuffix"]: file["length"] for file in found}

    def put(self, file, path):
        """Lays a file there."""
        user = {"user.name": USER, "overwrite": "true", "noredirect": "true"}
        location = json.loads(call("PUT", self.url("CREATE", path, **user)))["Location"]
        with open(file, "rb") as data:
            call("PUT", location, data, file.stat().st_size)


def superuser():
    """Whoever runs the NameNode."""
    return subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()


def environment(**own):
    """This program's own with more in it."""
    return os.environ | {key: str(value) for key, value in own.items()}
