"""Out of descriptors, out of threads: whoever is there is served on, and nothing spins."""

import os
import time

import pytest
from conftest import GREETING, Peer, of_kind

SMALL = 64


def limits(machine):
    """Each shortage as the lines of a unit that make it."""
    # Where the kernel's pids controller is not ours to use (a hybrid host), the limit of the user's
    # processes ends clone() with the same EAGAIN.
    controllers = machine.read("/sys/fs/cgroup/cgroup.controllers").split()
    tasks = "TasksMax" if "pids" in controllers else "LimitNPROC"
    return {"descriptors": f"LimitNOFILE={SMALL}", "threads": f"{tasks}={SMALL}"}



def cpu_ticks(machine, pid):
    """The ticks of processor time that a process of the system has used."""
    text = machine.read(f"/proc/{pid}/stat")
    user, system = text.rpartition(")")[2].split()[11:13]
    return int(user) + int(system)


def try_to_connect(marcel, count):
    """COUNT connections; those that got the greeting, and those that did not (yet)."""
    greeted, waiting = [], []
    for _ in range(count):
        peer = Peer(marcel)
        # Only the first one that is not greeted costs this wait: the others come after it.
        peer.socket.settimeout(0.05 if waiting else 3)
        try:
            (greeted if peer.line() == GREETING else waiting).append(peer)
        except TimeoutError:
            waiting.append(peer)
        peer.socket.settimeout(30)
    return greeted, waiting


@pytest.mark.parametrize("what", ["descriptors", "threads"])
def test_a_shortage(marcel, what):
    with marcel.drop_in("marcel.service", f"[Service]\n{limits(marcel)[what]}\n"):
        marcel.run("systemctl restart marcel.service")
        greeted, waiting = try_to_connect(marcel, 2 * SMALL)
        try:
            assert SMALL // 3 <= len(greeted) < SMALL, "the limit was not reached as it should be"
            # Whoever is there is served on.
            for number, peer in enumerate(greeted):
                assert peer.ask(f"n° {number}") == f"n° {number}"
            # It says so, but not once for each attempt, and it does not spin.
            pid = marcel.main_pid("marcel.service")
            before = cpu_ticks(marcel, pid)
            start = time.monotonic()
            time.sleep(3)  # the interval over which the processor's use is measured
            used = (cpu_ticks(marcel, pid) - before) / os.sysconf("SC_CLK_TCK")
            assert used < 0.1 * (time.monotonic() - start), "it uses the processor while it waits"
            told = marcel.journal(of_kind("SHORTAGE"), since=marcel.start_of_test)
            assert 1 <= len(told) <= 5, [entry["MESSAGE"] for entry in told]
            # When there is room again, it accepts again, and nothing needs to be restarted.
            for peer in greeted[SMALL // 4:]:
                peer.socket.close()
            del greeted[SMALL // 4:]
            for peer in waiting[:4]:
                assert peer.line() == GREETING
                assert peer.ask("enfin") == "enfin"
            while waiting:
                waiting.pop().socket.close()
            with Peer(marcel) as peer:
                assert peer.line() == GREETING
                assert peer.ask("tout de suite") == "tout de suite"
            for number, peer in enumerate(greeted):
                assert peer.ask(f"n° {number}") == f"n° {number}"
            assert marcel.main_pid("marcel.service") == pid
        finally:
            for peer in greeted + waiting:
                peer.socket.close()
            marcel.run("systemctl stop marcel.service")


def test_all_descriptors_that_are_allowed_are_used(marcel, meet):
    meet()
    limits_text = marcel.read(f"/proc/{marcel.main_pid('marcel.service')}/limits")
    soft, hard = next(line for line in limits_text.splitlines()
                      if line.startswith("Max open files")).split()[3:5]
    assert soft == hard, "the soft limit is raised to the hard one"
