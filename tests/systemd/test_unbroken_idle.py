"""Many idle conversations through a restart and through a SIGKILL: all alive, and how long they
waited. The full run (MARCEL_REPEAT=100) draws the curve up to what the descriptors allow."""

import os
import time

import pytest

from conftest import repeat
from crowd import TCP, Crowd, await_ready, handovers, kill, losses, prepare, restarts

# Of 20,000 descriptors, in flight at once, some are needed for other things.
COUNTS = [repeat(count) for count in (1000, 5000, 10000, 19000)]
LONGEST_WAIT_MS = 2000
TICK = os.sysconf("SC_CLK_TCK")

def manager_seconds(marcel):
    """The processor time that the system's PID 1 has used."""
    fields = marcel.read("/proc/1/stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def resident_mib(marcel):
    pid = marcel.main_pid("marcel.service")
    for line in marcel.read(f"/proc/{pid}/status").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) // 1024
    return 0


def await_manager_idle(marcel):
    """Waits until PID 1 has nothing left to do: no tick for a while."""
    def idle():
        before = manager_seconds(marcel)
        time.sleep(0.3)
        return manager_seconds(marcel) - before < 0.05
    marcel.wait_for(idle, "PID 1 is idle")


def through(marcel, crowd, how, count):
    """What COUNT conversations met when the daemon was ended as HOW says."""
    await_manager_idle(marcel)
    answers = crowd.figures()["answers"]
    used, begin = manager_seconds(marcel), time.monotonic()
    # Each is asked at the worst moment, when the daemon has just gone.
    if how == "restart":
        with marcel.running("systemctl restart marcel.service") as job:
            time.sleep(0.05)
            crowd.ask()
            assert job.wait(120) == 0
    else:
        kill(marcel)
        crowd.ask()
    figures = crowd.await_figures(
        lambda now: now["answers"] >= answers + count and now["unanswered"] == 0,
        f"{count} conversations answer after a {how}")
    await_ready(marcel)
    lasted = time.monotonic() - begin
    await_manager_idle(marcel)
    figures["manager_s"] = manager_seconds(marcel) - used
    figures["lasted_s"] = lasted
    return figures


@pytest.mark.parametrize("count", COUNTS)
def test_idle_conversations(marcel, record_property, count):
    prepare(marcel, config="[limits]\nconversations = 19500\n", backlog=4096)
    with Crowd(marcel, TCP, clients=count, idle=True) as crowd:
        crowd.await_figures(lambda now: now["unanswered"] == 0, "all have had an answer")
        memory = resident_mib(marcel)
        for how in ("restart", "kill"):
            figures = through(marcel, crowd, how, count)
            freeze = handovers(marcel)[-1]
            text = (f"longest wait {figures['longest_wait_ms']:.0f} ms,"
                    f" median {figures['median_wait_ms']:.0f} ms,"
                    f" freeze as told {freeze['freeze_usec'] // 1000} ms,"
                    f" PID 1 used {figures['manager_s']:.2f} s, {memory} MiB resident")
            record_property(f"{count} idle, {how}", text)
            print(f"{count} idle, {how}: {text}")
            assert freeze["carried"] == count and freeze["lost"] == 0
            assert figures["greeted"] == count and figures["broken"] == 0
            assert figures["longest_wait_ms"] < LONGEST_WAIT_MS
            # What PID 1 does does not grow with the conversations.
            assert figures["manager_s"] < 0.5
        assert restarts(marcel) == 1
        crowd.finish()
    assert not losses(marcel)
