"""Faults, done from outside by process id, and how long it takes until the job is well again."""

import json
import os
import signal
import time

from processes import Failure, until
from table import Row

# For how long ZooKeeper is away.
AWAY = 3
# For how long a job is watched after that: longer than a session of kobel's may be silent.
WATCHED = 12


def rows(fault, title, most=None):
    """What the table has of a fault that `recovered` measured."""
    return [
        Row(f"{title}: all tasks RUNNING", f"{fault} running", most=most),
        Row("and a checkpoint completed after it", fault),
    ]


def millis():
    """The time as Flink tells it."""
    return time.time() * 1000


def restored(job):
    """When the job was last restored from a checkpoint."""
    return ((job["checkpoints"]["latest"] or {}).get("restored") or {}).get("restore_timestamp", 0)


def newest(job):
    """The newest complete checkpoint, or what stands for none."""
    latest = (job["checkpoints"]["latest"] or {}).get("completed")
    return latest or {"trigger_timestamp": 0, "latest_ack_timestamp": 0, "id": 0}


def well(contender, what, is_so):
    """Waits until the job runs with all its tasks and this is so, and gives what was seen of it."""

    def probe():
        job = contender.job()
        return job if job is not None and job["runs"] and is_so(job) else None

    return until(what, probe, 300, 0.02)


def recovered(contender, name, at):
    """The seconds from the fault until the job runs again, and until it has completed a checkpoint since."""
    began = at / 1000
    well(contender, f"the job runs again ({name})", lambda job: restored(job) >= at)
    running = time.time() - began

    def checkpointed(job):
        made = newest(job)
        return restored(job) >= at and made["trigger_timestamp"] > at and made["latest_ack_timestamp"] > at

    job = well(contender, f"a checkpoint is completed again ({name})", checkpointed)
    return {f"{name} running": running, name: max(running, newest(job)["latest_ack_timestamp"] / 1000 - began)}


def hit(contender, name, pid, number, at_once=False):
    """Sends a signal to a process, and waits for the job. What is gone is made up for, where nobody else does, at
    once or when that is measured."""
    replace = contender.replacement(pid)
    at = millis()
    os.kill(pid, number)
    if at_once:
        replace()
    figures = recovered(contender, name, at)
    if not at_once:
        replace()
    contender.whole()
    return figures


def standby(contender):
    """The leader dies."""
    return hit(contender, "standby", contender.leader(), signal.SIGKILL)


def alone(contender):
    """The only JobManager dies."""
    return hit(contender, "alone", contender.leader(), signal.SIGKILL, at_once=True)


def tm(contender):
    """The TaskManager that runs the job dies."""
    return hit(contender, "tm", contender.task_manager(), signal.SIGKILL)


def frozen(contender):
    """The leader stops."""
    return hit(contender, "frozen", contender.leader(), signal.SIGSTOP)


def zookeeper(contender):
    """ZooKeeper dies, and is there again a little later; the job should not notice, but for its checkpoints, which
    cannot be completed meanwhile."""
    server, before = contender.bench.zookeeper, restored(contender.job())
    at = time.time()
    server.kill()
    time.sleep(AWAY)
    server.start()
    back = millis()
    job = well(contender, "a checkpoint after ZooKeeper came back", lambda job: newest(job)["trigger_timestamp"] > back)
    made = newest(job)["latest_ack_timestamp"] / 1000 - at
    # Who lets go of the job does so when the fate of the session is known, which may be later.
    time.sleep(WATCHED)
    settled = millis()
    job = well(contender, "a checkpoint after that", lambda job: newest(job)["trigger_timestamp"] > settled)
    restarts = restored(job) != before
    running = restored(job) / 1000 - at if restarts else 0
    contender.whole()
    return {"zookeeper running": running, "zookeeper": max(made, running), "zookeeper restarts": int(restarts)}


def drill(contender):
    """kobel's own drill, and the same seen from here."""
    if not contender.has_drill:
        return {}
    victim = contender.leader()
    client = contender.drill()
    running = recovered(contender, "drill", death(victim))["drill running"]
    client.wait()
    own = json.loads(client.output.read_text())["runningMs"] / 1000
    contender.whole()
    return {"drill own": own, "drill apart": abs(own - running)}


def death(pid):
    """When a process was gone, by its number, seen within a millisecond."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
                if stat.read().rsplit(")", 1)[1].split()[0] in "ZX":
                    return millis()
        except OSError:
            return millis()
        time.sleep(0.001)
    raise Failure(f"process {pid} still lives")


FAULTS = {
    "standby": standby, "tm": tm, "frozen": frozen, "zookeeper": zookeeper, "drill": drill, "alone": alone,
}
