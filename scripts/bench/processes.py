"""Commands and what they cost, and the processes of a bench, which all name its directory."""

import os
import resource
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path


class Failure(Exception):
    """What the bench cannot go on from, in a line or a few."""


class Client:
    """A command under way; its cost is its own and that of the children it waited for."""

    def __init__(self, argv, env, output, text=""):
        self.line = " ".join(map(str, argv))
        self.output = output
        self.since = time.monotonic()
        with open(output, "wb") as out:
            self.process = subprocess.Popen(
                argv, env=env, stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT, text=True
            )
        self.process.stdin.write(text)
        self.process.stdin.close()
        self.seen = 0
        threading.Thread(target=self.watch, daemon=True).start()

    def watch(self):
        """Notes its peak resident memory as long as it lives."""
        while peak := peak_memory(self.process.pid):
            self.seen = peak
            time.sleep(0.005)

    def seconds(self):
        """Since it was started."""
        return time.monotonic() - self.since

    def check(self):
        """Fails if it has ended in failure; `wait` still works afterwards."""
        end = os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if end is not None and end.si_status != 0:
            self.wait()

    def wait(self):
        """Its end: wall clock and CPU seconds, peak resident memory in MB."""
        _, status, usage = os.wait4(self.process.pid, 0)
        wall = self.seconds()
        self.process.returncode = os.waitstatus_to_exitcode(status)
        text = Path(self.output).read_text(errors="replace")
        if self.process.returncode != 0:
            raise Failure(f"{self.line}\nexited with {self.process.returncode}:\n{text[-2000:]}")
        # The kernel counts this program's own memory for a child, from before its exec: a figure that
        # is no greater says nothing of the child.
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        memory = self.seen if usage.ru_maxrss <= own else usage.ru_maxrss * 1024 / 1e6
        return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "memory": memory}


def until(what, probe, seconds=300, pause=0.02):
    """Asks until the answer is not None."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = probe()
        if answer is not None:
            return answer
        time.sleep(pause)
    raise Failure(f"not within {seconds} s: {what}")


def read(pid, name):
    """A file of /proc, or nothing when the process has gone or is another user's."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def words(pid, name):
    """`cmdline` or `environ` as a list."""
    return os.fsdecode(read(pid, name)).rstrip("\0").split("\0")


def maps(pid):
    """The files that a process has in its memory, as text."""
    return os.fsdecode(read(pid, "maps"))


def of_directory(directory):
    """The living processes whose command line or environment names this directory."""
    mark = os.fsencode(directory)
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]
    return [pid for pid in pids if mark in read(pid, "cmdline") + read(pid, "environ")]


def gone(directory):
    """Waits until no process of this directory is left."""
    until(f"no process of {directory} is left", lambda: None if of_directory(directory) else True, 300)


def java(directory, main_class):
    """The one JVM of this directory that runs this class."""
    found = [pid for pid in of_directory(directory) if main_class in words(pid, "cmdline")]
    if len(found) != 1:
        raise Failure(f"{len(found)} processes run {main_class} instead of one")
    return found[0]


def peak_memory(pid):
    """The most resident memory a process ever had, in MB; 0 when it has gone."""
    for line in read(pid, "status").decode().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0


def remove(directory):
    """Ends all processes of this directory, then deletes it."""
    for how in [signal.SIGTERM, signal.SIGKILL, signal.SIGKILL]:
        for pid in of_directory(directory):
            try:
                os.kill(pid, how)
            except ProcessLookupError:
                continue
        for _ in range(100):
            if not of_directory(directory):
                break
            time.sleep(0.05)
    shutil.rmtree(directory, ignore_errors=True)
