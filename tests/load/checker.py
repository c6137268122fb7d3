"""Hands for tests on a running checker (checker.c): its figures, and what they must be."""

import json
import os
import select
import signal
import time

# What a conversation must never see.
FAULTS = ("lost", "doubled", "garbled", "miscounted", "broken", "refused", "live", "dismissed")
PATIENCE = 90


def arguments(options):
    """The command line of OPTIONS: clients=100, idle=True..."""
    return [f"--{name}" if value is True else f"--{name}={value}" for name, value in options.items()]


class Checker:
    """A checker that was started, its standard output a pipe and its standard error the file ERRORS.

    PROCESS is the subprocess.Popen; pid() says whom signals go to, once it has said its first word.
    """

    def __init__(self, process, errors, options):
        self.process = process
        self.errors = errors
        self.options = options
        self.clients = options.get("clients", 1)
        self.buffer = b""
        self._line(PATIENCE)  # from now on it understands signals

    def pid(self):
        return self.process.pid

    def _line(self, seconds):
        """The next figures."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self.buffer:
            left = max(0, deadline - time.monotonic())
            readable = select.select([self.process.stdout], [], [], left)[0]
            data = os.read(self.process.stdout.fileno(), 65536) if readable else b""
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
        os.kill(self.pid(), signal.SIGUSR2)
        return self._line(PATIENCE)

    def await_figures(self, condition, text, seconds=PATIENCE):
        """Waits until CONDITION(figures) holds; gives them."""
        deadline = time.monotonic() + seconds
        while not condition(figures := self.figures()):
            assert time.monotonic() < deadline, \
                f"after {seconds} s still not: {text}; {figures}\n{self.told()}"
            time.sleep(0.05)
        return figures

    def await_greeted(self):
        return self.await_figures(lambda figures: figures["greeted"] >= self.clients,
                                  f"{self.clients} clients are greeted")

    def ask(self):
        """Each client says one line now."""
        os.kill(self.pid(), signal.SIGUSR1)

    def stop(self):
        """Lets all conversations end in order; the last figures, whatever they say."""
        os.kill(self.pid(), signal.SIGTERM)
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
        assert not wrong, f"{wrong} ({self.options})\n{self.told()}"
        assert figures["parted"] >= self.clients, figures
        assert figures["answers"] > 0, figures
        return figures


def summary(*all_figures):
    """The figures worth a look, of what several crowds ended with."""
    return {
        "answers": sum(figures["answers"] for figures in all_figures),
        "connected": sum(figures["connected"] for figures in all_figures),
        "early": sum(figures["early"] for figures in all_figures),
        "doubled": sum(figures["doubled"] for figures in all_figures),
        "longest_wait_ms": max(figures["longest_wait_ms"] for figures in all_figures),
        "longest_arrival_ms": max(figures["longest_arrival_ms"] for figures in all_figures),
    }
