"""Crowds of clients that notice everything, and what is done to the daemon under them.

    prepare(marcel, "marceld-test", config="[dialogue]\nresponder = trial\n")
    with Crowd(marcel, TCP, clients=100, batch=5) as crowd:
        restart(marcel, 20)
        crowd.finish()

A Crowd is the program tests/load/checker, which runs in the system; its options are the Crowd's.
"""

import json
import os
import select
import signal
import subprocess
import tempfile
import time

from conftest import configure, of_kind
from testbed.machine import end_group, leader_of
from testbed.programs import programs

TCP = "127.0.0.1:50000"
TCP6 = "[::1]:50000"
UNIX = "/run/marcel/socket"

# What a conversation must never see.
FAULTS = ("lost", "doubled", "garbled", "miscounted", "broken", "refused", "live", "dismissed")
QUIET = "[journal]\ntranscript = off\n"
PATIENCE = 90


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


class Crowd:
    """A running checker, whose clients have all been greeted. Ends with the block."""

    def __init__(self, marcel, address=TCP, *, await_all=True, **options):
        self.marcel = marcel
        self.address = address
        self.options = options
        self.clients = options.get("clients", 1)
        self.await_all = await_all
        self.buffer = b""
        self.process = self.errors = None

    def __enter__(self):
        arguments = [f"--{name}" if value is True else f"--{name}={value}"
                     for name, value in self.options.items()]
        program = install_program(self.marcel, "checker")
        self.errors = tempfile.TemporaryFile()
        self.process = self.marcel.popen([program, *arguments, self.address], bufsize=0,
                                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                         stderr=self.errors)
        self._line(PATIENCE)  # from now on it understands signals
        if self.await_all:
            self.await_greeted(self.clients)
        return self

    def __exit__(self, *_):
        end_group(self.process)
        self.process.stdout.close()
        self.errors.close()

    def _signal(self, number):
        os.kill(leader_of(self.process), number)

    def _line(self, seconds):
        """The next figures."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self.buffer:
            left = max(0, deadline - time.monotonic())
            readable = select.select([self.process.stdout], [], [], left)[0]
            data = self.process.stdout.read(65536) if readable else b""
            assert data, f"no figures from the checker:\n{self.told()}"
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def told(self):
        """The faults that it told so far."""
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")

    def figures(self):
        """What was seen so far."""
        self._signal(signal.SIGUSR2)
        return self._line(PATIENCE)

    def await_figures(self, condition, text, seconds=PATIENCE):
        """Waits until CONDITION(figures) holds; gives them."""
        def met():
            figures = self.figures()
            return figures if condition(figures) else None
        return self.marcel.wait_for(met, text, seconds)

    def await_greeted(self, count, seconds=PATIENCE):
        return self.await_figures(lambda figures: figures["greeted"] >= count,
                                  f"{count} clients are greeted", seconds)

    def ask(self):
        """Each client says one line now."""
        self._signal(signal.SIGUSR1)

    def stop(self):
        """Lets all conversations end in order; the last figures, whatever they say."""
        self._signal(signal.SIGTERM)
        # Twice what the checker itself waits at most.
        figures = self._line(80)
        self.process.wait(10)
        return figures

    def finish(self, early=False, doubled=0):
        """The same, and nothing may be wrong.

        EARLY: connections may have ended before their first byte. DOUBLED: so many answers may have
        come again to one client.
        """
        figures = self.stop()
        wrong = {name: figures[name] for name in FAULTS if figures[name]}
        if doubled:
            wrong.pop("doubled", None)
            if figures["doubled_most"] > doubled:
                wrong["doubled_most"] = figures["doubled_most"]
        if figures["early"] and not early:
            wrong["early"] = figures["early"]
        assert not wrong, f"{wrong} ({self.address} {self.options})\n{self.told()}"
        assert figures["parted"] >= self.clients, figures
        assert figures["answers"] > 0, figures
        return figures


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


def summary(*crowds):
    """The figures worth a look, of what several crowds ended with."""
    return {
        "answers": sum(figures["answers"] for figures in crowds),
        "connected": sum(figures["connected"] for figures in crowds),
        "early": sum(figures["early"] for figures in crowds),
        "doubled": sum(figures["doubled"] for figures in crowds),
        "longest_wait_ms": max(figures["longest_wait_ms"] for figures in crowds),
        "longest_arrival_ms": max(figures["longest_arrival_ms"] for figures in crowds),
    }
