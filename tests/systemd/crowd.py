"""Crowds of clients that notice everything, and what is done to the daemon under them.

    prepare(marcel, "marceld-test", config="[dialogue]\nresponder = trial\n")
    with Crowd(marcel, TCP, clients=100, batch=5) as crowd:
        restart(marcel, 20)
        crowd.finish()

A Crowd is the program of tests/load/checker.c, which runs in the system; its options are the
Crowd's.
"""

import contextlib
import subprocess
import sys
import tempfile
import time

from conftest import configure, of_kind
from testbed import SOURCE
from testbed.machine import end_group, leader_of
from testbed.programs import programs

sys.path.insert(0, str(SOURCE / "tests" / "load"))
from checker import FAULTS, Checker, arguments, summary  # pylint: disable=wrong-import-position

__all__ = ["FAULTS", "summary"]

TCP = "127.0.0.1:50000"
TCP6 = "[::1]:50000"
UNIX = "/run/marcel/socket"

QUIET = "[journal]\ntranscript = off\n"


def add_drop_in(marcel, unit, name, text):
    """A drop-in of UNIT until the next test; to be loaded with `systemctl daemon-reload`."""
    marcel.write(f"/etc/systemd/system/{unit}.d/{name}.conf", text)


def prepare(marcel, daemon=None, config="", service="", backlog=None):
    """Makes Marcel listen on a unix socket too, with the test program DAEMON in place of marceld.

    CONFIG is put before a configuration without transcript, SERVICE into the unit's [Service].
    """
    if daemon:
        path = f"/opt/marcel/{daemon}"
        install_program(marcel, daemon)
        service += f"ExecStart=\nExecStart={path} -c /etc/marcel.ini\n"
    configure(marcel, config + QUIET)
    # No crash here is worth a core file.
    add_drop_in(marcel, "marcel.service", "unbroken", f"[Service]\nLimitCORE=0\n{service}")
    lines = f"ListenStream={UNIX}\n" + (f"Backlog={backlog}\n" if backlog else "")
    add_drop_in(marcel, "marcel.socket", "unbroken", f"[Socket]\n{lines}")
    marcel.run("systemctl daemon-reload && systemctl restart marcel.socket")


def install_program(marcel, name):
    """Copies a program of the tests into the system; its path there."""
    path = f"/opt/marcel/{name}"
    if not marcel.exists(path):
        marcel.write(path, (programs(marcel.release) / name).read_bytes())
        marcel.path(path).chmod(0o755)
    return path


class Crowd(Checker):
    """A running checker in the system, whose clients have all been greeted. Ends with the block."""

    def __init__(self, marcel, address=TCP, **options):
        program = install_program(marcel, "checker")
        errors = tempfile.TemporaryFile()
        process = marcel.popen([program, *arguments(options), address], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=errors)
        super().__init__(process, errors, {"address": address, **options})

    def __enter__(self):
        self.await_greeted()
        return self

    def __exit__(self, *_):
        end_group(self.process)
        self.process.stdout.close()
        self.errors.close()

    def pid(self):
        return leader_of(self.process)


@contextlib.contextmanager
def crowds(marcel, *kinds):
    """Several Crowds, each (address, options), while the block runs."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Crowd(marcel, address, **options)) for address, options in kinds]


def restarts(marcel):
    """How often systemd started the service again by itself."""
    return int(marcel.show("marcel.service", "NRestarts"))


def kill(marcel):
    """SIGKILL for the service, if it runs at this moment."""
    marcel.run("systemctl kill --signal=KILL marcel.service", check=False)


def kill_often(marcel, count, random, most=0.6):
    """SIGKILL at random moments, a quarter of them while the daemon is starting again."""
    before = restarts(marcel)
    hasty = 0
    while restarts(marcel) < before + count:
        # A daemon that dies again and again before it is ready gives the conversations up.
        hasty = hasty + 1 if hasty < 2 and random.random() < 0.25 else 0
        time.sleep(random.uniform(0, 0.05 if hasty else most))
        kill(marcel)
    await_ready(marcel)


def await_ready(marcel):
    """Waits until the service runs (again)."""
    marcel.wait_for(lambda: marcel.show("marcel.service", "ActiveState", "SubState") ==
                    ["active", "running"], "the service runs")


def handovers(marcel):
    """The records of the handovers since the test began, with their numbers as numbers."""
    entries = marcel.journal(of_kind("RESUMED"), since=marcel.start_of_test)
    return [{name: int(entry[f"MARCEL_{name.upper()}"])
             for name in ("carried", "lost", "freeze_usec")} for entry in entries]


def losses(marcel):
    """MARCEL_REASON of each conversation that could not come along since the test began."""
    return [entry.get("MARCEL_REASON", entry["MESSAGE"])
            for entry in marcel.journal(of_kind("NOT_CARRIED"), since=marcel.start_of_test)]
