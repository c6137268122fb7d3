"""The operator's desk as a test meets it: in a tmux of its own, driven by keys and read from the
screen.

    desk = Desk(control, directory)           # 80x24; waits for nothing
    desk.wait("#1 S>")                        # until this stands on the screen
    desk.type("Bonjour").press("Enter")       # text as it is; keys by tmux's names
    desk.lines()                              # what stands there now

    house.desk()                              # the same at a House: a marceld and clients for it

Nothing here sleeps to let time pass: tmux tells nobody when the screen changes, so it is asked again
and again until what is waited for is there. A Desk is a with block: its end ends its tmux. The
desks of a House end with the test.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from client_tools import environment
from daemon_tools import PATIENCE, SANITIZER_REPORT, wait_until
from marcelctl_tools import ctl
from script_tools import MARCELCTL

TMUX = shutil.which("tmux")
needs_tmux = pytest.mark.skipif(TMUX is None, reason="not installed: tmux")

# What the shell around the desk leaves for the test: the desk's id, and the terminal's modes before
# and after. The shell stays, so that the screen can be read when the desk has ended.
AROUND = """cd "$0" && stty -a >before
sh -c 'echo $$ >pid; exec "$@"' sh "$@" 2>errors
echo "status $?"; stty -a >after; exec cat"""
# The same by a shell with job control, for ^Z.
WITH_JOBS = """cd "$0" && stty -a >before; set -m
sh -c 'echo $$ >pid; exec "$@"' sh "$@" 2>errors
echo stopped; read -r answer; echo "answer: $answer"; fg >/dev/null
echo "status $?"; stty -a >after; exec cat"""


class Desk:
    """`marcelctl desk` on a terminal of COLUMNS and ROWS."""

    def __init__(self, control, arguments=(), columns=80, rows=24, env=None, term="screen",
                 shell=AROUND):
        self.directory = Path(tempfile.mkdtemp(prefix="desk-"))
        self.socket = self.directory / "tmux"
        command = ["env", f"TERM={term}", os.fspath(MARCELCTL), "desk", f"--control={control}",
                   *arguments]
        self.environment = environment(**{"HOME": os.fspath(self.directory), **(env or {})})
        self.environment.pop("TMUX", None)
        if "NO_COLOR" not in (env or {}):
            self.environment.pop("NO_COLOR", None)
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(rows),
                  "sh", "-c", shell, os.fspath(self.directory), *command)
        self.tmux("set-option", "-g", "status", "off")
        self.resize(columns, rows)

    def tmux(self, *arguments):
        done = subprocess.run([TMUX, "-u", "-S", os.fspath(self.socket), *arguments],
                              env=self.environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE)
        assert done.returncode == 0, (arguments, done.stdout)
        return done.stdout.decode(errors="backslashreplace")

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        subprocess.run([TMUX, "-S", os.fspath(self.socket), "kill-server"], timeout=PATIENCE,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        errors = self.errors()
        shutil.rmtree(self.directory, ignore_errors=True)
        if kind is None:
            assert not SANITIZER_REPORT.search(errors), errors.decode(errors="replace")

    # Its screen.

    def lines(self, *options):
        return self.tmux("capture-pane", "-p", *options).split("\n")[:-1]

    def text(self, *options):
        return "\n".join(self.lines(*options))

    def wait_until(self, condition, what):
        try:
            return wait_until(condition, what)
        except AssertionError as fault:
            raise AssertionError(f"{fault}; on the screen:\n{self.text()}\n"
                                 f"{self.errors().decode(errors='replace')}") from None

    def wait(self, *texts):
        """Waits until all these stand on the screen."""
        def there():
            seen = self.text()
            return all(text in seen for text in texts)
        self.wait_until(there, f"{texts}")
        return self

    def wait_gone(self, *texts):
        self.wait_until(lambda: not any(text in self.text() for text in texts), f"no {texts}")
        return self

    def input(self):
        """The input line, which is the last but one."""
        return self.lines()[-2].rstrip()

    def wait_input(self, wanted):
        self.wait_until(lambda: self.input() == wanted.rstrip(), f"the input line {wanted!r}")
        return self

    def list(self):
        """The conversations in the list, by their numbers."""
        numbers = []
        for line in self.lines()[1:-3]:
            entry = line.split("│")[0].lstrip("▸● ").split()
            if entry and entry[0].isdigit():
                numbers.append(int(entry[0]))
        return numbers

    def wait_list(self, *numbers):
        self.wait_until(lambda: self.list() == list(numbers), f"the list {numbers}")
        return self

    def wait_title(self, *texts):
        """Waits until the head of the dialogue has these."""
        def there():
            head = self.lines()[0]
            return all(text in head for text in texts)
        self.wait_until(there, f"the head {texts}")
        return self

    # Its keys.

    def press(self, *keys):
        self.tmux("send-keys", *keys)
        return self

    def type(self, text):
        self.tmux("send-keys", "-l", text)
        return self

    def paste(self, text):
        """As the terminal does it: between the marks of a paste, if the program wants them."""
        self.tmux("set-buffer", text)
        self.tmux("paste-buffer", "-p")
        return self

    def resize(self, columns, rows):
        self.tmux("resize-window", "-x", str(columns), "-y", str(rows))
        return self

    # What it writes, and what it costs.

    def record(self):
        """From now on what the program writes goes to a file; gives its path."""
        path = self.directory / "raw"
        self.tmux("pipe-pane", "-o", f"exec cat >>'{path}'")
        wait_until(path.exists, "the recording")
        return path

    def pid(self):
        path = self.directory / "pid"
        wait_until(lambda: path.exists() and path.read_text().strip(), "the desk's id")
        return int(path.read_text())

    def cost(self):
        """How often it has run, and for how many ticks of the clock."""
        status = Path(f"/proc/{self.pid()}/status").read_text()
        stat = Path(f"/proc/{self.pid()}/stat").read_text().rpartition(")")[2].split()
        switches = [line for line in status.splitlines() if "ctxt_switches" in line]
        return switches, stat[11:13]

    def rest(self):
        """Waits until it sleeps and has had nothing to do for a while; gives its cost so far."""
        seen = []

        def quiet():
            seen.append(self.cost())
            return len(seen) > 20 and all(cost == seen[-1] for cost in seen[-20:])
        self.wait_until(quiet, "rest")
        return seen[-1]

    def errors(self):
        path = self.directory / "errors"
        return path.read_bytes() if path.exists() else b""

    def end(self, status=0):
        """Waits for its end, which must leave the terminal as it was found."""
        self.wait(f"status {status}")
        after = self.directory / "after"
        wait_until(lambda: after.exists() and after.read_text(), "the modes")
        before = (self.directory / "before").read_text()
        assert after.read_text() == before
        assert self.tmux("display-message", "-p", "#{alternate_on} #{cursor_flag}") == "0 1\n"


# A marceld for it.

OPERATOR = "[dialogue]\nresponder = fifo\n[fifo]\ndirectory = {}\nabsent_after = infinity\n"
SCRIPT = """marcel-script 1
on connect      say "script here"
on "human*"     hand fifo
on "draft*"     hand fifo draft "about ${message}" for 1h
otherwise       say "script: ${message}"
"""


class House:
    """A marceld whose conversations an operator answers, and desks for him."""

    def __init__(self, marceld, directory, config=""):
        self.control = directory / "control"
        self.operator = directory / "operator"
        self.daemon = marceld(OPERATOR.format(self.operator) + config, control=self.control)
        self.desks = []

    def desk(self, *arguments, **options):
        desk = Desk(self.control, arguments, **options)
        self.desks.append(desk)
        return desk

    def connect(self, text=None):
        """A client; one that has said TEXT waits for an answer when this returns."""
        peer = self.daemon.connect()
        if text is not None:
            peer.send(text + "\n")
            wait_until(lambda: peer.address() in self.ctl("list", "--waiting").out, "its message")
        return peer

    def ctl(self, verb, *arguments, **options):
        return ctl(verb, f"--control={self.control}", *arguments, **options)


@pytest.fixture(name="house")
def house_fixture(marceld, tmp_path):
    house = House(marceld, tmp_path)
    yield house
    for desk in house.desks:
        desk.__exit__(None)


@pytest.fixture(name="scripted")
def scripted_fixture(marceld, tmp_path):
    """One that a script answers, which may hand over."""
    script = tmp_path / "talk.script"
    script.write_text(SCRIPT)
    house = House(marceld, tmp_path, f"[script]\nfile = {script}\n")
    house.daemon.configure(house.daemon.config_file.read_text().replace("= fifo", "= script", 1))
    house.ctl("reload")
    yield house
    for desk in house.desks:
        desk.__exit__(None)
