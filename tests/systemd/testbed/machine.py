"""A booted Debian: a cached tree under systemd-nspawn, with an overlay in memory over it.

    with Machine(boot_root("trixie"), log_directory) as machine:
        machine.run("systemctl start marcel.socket")
        peer = machine.connect(50000)
        entries = machine.journal("MARCEL_CONVERSATION=1")

Each machine is fresh, has loopback and no other network, and ends without a trace: what it wrote
was in its own overlay. Every call has a time limit, so that a hang is an error with a name. When
the machine is stopped, its console and (see keep_journal) its journal lie in the log directory.
"""

import ctypes
import json
import os
import re
import select
import shlex
import signal
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path

from . import TestbedError
from .scope import Scope, die_with

CLONE_NEWNET = 0x40000000
BOOT_SECONDS = 90
RUN_SECONDS = 60

_libc = ctypes.CDLL(None, use_errno=True)

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "SYSTEMD_PAGER": "",
    "SYSTEMD_COLORS": "0",
    "DEBIAN_FRONTEND": "noninteractive",
}


def end_group(process):
    """Ends PROCESS, which leads a process group, with all of the group."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait(10)


def leader_of(process):
    """The one child of an nspawn PROCESS, the first process inside; None if there is none."""
    try:
        text = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii")
    except OSError:
        return None
    children = text.split()
    return int(children[0]) if children else None


class Machine:
    """One booted system. Use as a context manager; not thread-safe but for connect()."""

    def __init__(self, root, logs, binds=()):
        self.root = root
        self.logs = Path(logs)
        self.binds = binds
        self.scope = Scope()
        self.leader = None
        self.keep_journal = True  # stop() writes it to the logs

    def __enter__(self):
        try:
            self.boot()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def boot(self):
        """Boots and waits until no job is left; complains when a unit failed."""
        self.logs.mkdir(parents=True, exist_ok=True)
        command = [
            "/usr/bin/systemd-nspawn", "--quiet", f"--directory={self.root}", "--read-only",
            "--volatile=overlay", "--settings=no", "--register=no", "--keep-unit", "--boot",
            f"--machine={self.scope.name}", "--private-network", "--console=pipe", "--notify-ready=yes", "--resolv-conf=off",
            "--timezone=off", *[f"--bind-ro={outside}:{inside}" for outside, inside in self.binds],
        ]
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        notify.bind("")  # the kernel picks an abstract name
        address = "@" + notify.getsockname()[1:].decode()
        with notify, open(self.logs / "console.log", "wb") as console:
            process = self.scope.start(command, environment={**ENVIRONMENT,
                                                             "NOTIFY_SOCKET": address},
                                       stdin=subprocess.DEVNULL, stdout=console,
                                       stderr=subprocess.STDOUT)
            self._await_ready(notify, process)
        self.leader = leader_of(process)
        if self.leader is None:
            raise TestbedError(f"the system ended while booting; see {self.logs}/console.log")
        state = self.run("systemctl is-system-running --wait", check=False).stdout.strip()
        if state != "running":
            failed = self.run("systemctl --failed --no-legend --plain", check=False).stdout
            raise TestbedError(f"the system is {state} after booting:\n{failed}")

    def _await_ready(self, notify, process):
        """Waits until nspawn passes on that the system inside has started."""
        ended = os.pidfd_open(process.pid)
        deadline = time.monotonic() + BOOT_SECONDS
        try:
            while True:
                wait = max(0, deadline - time.monotonic())
                readable, _, _ = select.select([notify, ended], [], [], wait)
                if notify in readable:
                    if "READY=1" in notify.recv(8192).decode(errors="replace").splitlines():
                        return
                elif ended in readable:
                    raise TestbedError(f"nspawn ended; see {self.logs}/console.log")
                else:
                    raise TestbedError(f"not booted after {BOOT_SECONDS} s; "
                                       f"see {self.logs}/console.log")
        finally:
            os.close(ended)

    def stop(self):
        """Ends the system at once, with its journal kept if so wished; nothing else of it stays."""
        process = self.scope.process
        if process and process.poll() is None:
            self.leader = self.leader or leader_of(process)
            if self.leader:
                if self.keep_journal:
                    self._write_journal()
                try:
                    os.kill(self.leader, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        self.scope.stop()
        self.leader = None

    def _write_journal(self):
        try:
            text = self.run("journalctl --no-pager -o short-precise", check=False, timeout=20).stdout
            (self.logs / "journal.log").write_text(text, encoding="utf-8")
        except (OSError, TestbedError, UnicodeError):
            pass

    # Commands inside

    def _inside(self, command, environment):
        if isinstance(command, str):
            command = ["/bin/sh", "-c", command]
        variables = {**ENVIRONMENT, **(environment or {})}
        return ["/usr/bin/nsenter", "-t", str(self.leader), "-a", "--",
                "/usr/bin/env", "--chdir=/", "-i", *[f"{k}={v}" for k, v in variables.items()], *command]

    def popen(self, command, *, environment=None, **options):
        """Starts COMMAND (a shell line or a list) inside; the caller ends it with end_group()."""
        # A shutdown inside stops the command for a moment, nsenter outside stops with it, for good,
        # and without it nobody reaps the command: it must not outlive the test process.
        parent = os.getpid()
        return subprocess.Popen(self._inside(command, environment), start_new_session=True,
                                preexec_fn=lambda: die_with(parent, signal.SIGKILL), **options)

    @contextmanager
    def running(self, command, *, environment=None, **options):
        """COMMAND running inside while the block runs, as a subprocess.Popen."""
        process = self.popen(command, environment=environment, **options)
        try:
            yield process
        finally:
            end_group(process)
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream:
                    stream.close()

    def run(self, command, *, input=None, check=True, timeout=RUN_SECONDS, environment=None,
            text=True):
        """Runs COMMAND (a shell line or a list) to its end; a subprocess.CompletedProcess.

        INPUT, stdout and stderr are texts, or bytes with text=False. Fails on an exit status
        other than 0 unless CHECK is False, and always when TIMEOUT seconds have passed.
        """
        encoding = {"encoding": "utf-8", "errors": "backslashreplace"} if text else {}
        process = self.popen(command, environment=environment, stdout=subprocess.PIPE,
                             stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
                             stderr=subprocess.PIPE, **encoding)
        try:
            out, err = process.communicate(input, timeout)
        except subprocess.TimeoutExpired:
            end_group(process)
            out, err = process.communicate()
            raise TestbedError(f"{command!r} took more than {timeout} s:\n{out!r}\n{err!r}") from None
        except BaseException:
            end_group(process)
            raise
        result = subprocess.CompletedProcess(command, process.returncode, out, err)
        if check and result.returncode:
            raise AssertionError(f"{command!r} ended with {result.returncode}:\n{out}\n{err}")
        return result

    def output(self, command, **options):
        """What COMMAND prints, without blanks around it."""
        return self.run(command, **options).stdout.strip()

    # Files inside

    def path(self, inside):
        """The path on the host of the absolute path INSIDE (no absolute symlinks on the way)."""
        return Path(f"/proc/{self.leader}/root") / inside.lstrip("/")

    def read(self, inside):
        return self.path(inside).read_text(encoding="utf-8")

    def write(self, inside, content):
        """Writes a file (text or bytes), with the directories above it."""
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    def exists(self, inside):
        return os.path.lexists(self.path(inside))

    # Units

    def show(self, unit, *names):
        """The properties NAMES of UNIT: one value, or a list of several in that order."""
        text = self.run(["systemctl", "show", unit, *[f"--property={name}" for name in names]]).stdout
        values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        found = [values.get(name, "") for name in names]
        return found[0] if len(found) == 1 else found

    def main_pid(self, unit):
        """The id inside of the unit's main process; 0 if it has none."""
        return int(self.show(unit, "MainPID"))

    def kill(self, pid, signal_name):
        """Sends a signal to one process, by its id inside."""
        self.run(["kill", "-s", signal_name, str(pid)])

    def wait_for(self, condition, text, seconds=60, interval=0.1):
        """Asks CONDITION() until it is true: for what tells nobody when it changes. Its value."""
        deadline = time.monotonic() + seconds
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > deadline:
                raise AssertionError(f"after {seconds} s still not: {text}")
            time.sleep(interval)

    @contextmanager
    def drop_in(self, unit, text):
        """TEXT as a drop-in of UNIT while the block runs, loaded and unloaded; restarts nothing."""
        name = f"/etc/systemd/system/{unit}.d/test.conf"
        self.write(name, text)
        try:
            self.run("systemctl daemon-reload")
            yield
        finally:
            self.path(name).unlink()
            self.run("systemctl daemon-reload")

    def install(self, files, **options):
        """Installs the .deb FILES (paths inside) with apt, without any network."""
        return self.run("apt-get install -y --no-install-recommends -o Acquire::http::Proxy=false "
                        "-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "
                        + " ".join(shlex.quote(str(file)) for file in files), timeout=120, **options)

    # Sockets inside

    def _in_network(self, function):
        """What FUNCTION() returns when called inside the system's network."""
        outcome = []

        def work():
            try:
                descriptor = os.open(f"/proc/{self.leader}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
                try:
                    if _libc.setns(descriptor, CLONE_NEWNET):
                        code = ctypes.get_errno()
                        raise OSError(code, os.strerror(code))
                finally:
                    os.close(descriptor)
                outcome.append((function(), None))
            except BaseException as error:  # handed to the caller below
                outcome.append((None, error))

        # A namespace belongs to a thread; this one's ends with it, the socket keeps its own.
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        value, error = outcome[0]
        if error:
            raise error
        return value

    def connect(self, port, host="127.0.0.1", *, timeout=30, source=None):
        """A connected socket.socket inside the system's network; its operations time out."""
        return self._in_network(lambda: socket.create_connection((host, port), timeout, source))

    def connect_unix(self, inside, *, timeout=30):
        """The same to the unix socket at the absolute path INSIDE."""
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        peer.settimeout(timeout)
        peer.connect(str(self.path(inside)))
        return peer

    # The journal

    @staticmethod
    def _entry(line):
        def plain(value):
            if isinstance(value, list) and value and all(isinstance(byte, int) for byte in value):
                return bytes(value).decode(errors="backslashreplace")
            return value
        return {key: plain(value) for key, value in json.loads(line).items()}

    @staticmethod
    def place(entry):
        """The number of an entry of the journal, by which entries are ordered."""
        return int(re.search(r"(?:^|;)i=([0-9a-f]+)", entry["__CURSOR"])[1], 16)

    def now(self):
        """The journal's present end, for `since`: the place of its last entry."""
        # Not --after-cursor: together with matches, 252 skips the first entry that matches.
        text = self.run("journalctl --sync && journalctl -q -n 1 -o json").stdout
        return self.place(self._entry(text)) if text else 0

    def journal(self, *matches, since=0):
        """The entries that match ("MARCEL_TURN=1", "_SYSTEMD_UNIT=..."), each a dict of texts."""
        self.run("journalctl --sync")
        text = self.run(["journalctl", "-q", "-o", "json", "--all", *matches]).stdout
        entries = [self._entry(line) for line in text.splitlines()]
        return [entry for entry in entries if self.place(entry) > since]

    def await_journal(self, *matches, since=0, count=1, accept=lambda entry: True, timeout=60):
        """Waits until COUNT entries that match, and that ACCEPT(entry) takes, are there: a list."""
        command = ["journalctl", "-q", "-f", "--no-tail", "-o", "json", "--all", *matches]
        found = []
        seen = 0
        with self.running(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            expired = threading.Timer(timeout, end_group, [process])
            expired.start()
            try:
                for line in process.stdout:
                    entry = self._entry(line)
                    if self.place(entry) <= since:
                        continue
                    seen += 1
                    if accept(entry):
                        found.append(entry)
                    if len(found) >= count:
                        return found
            finally:
                expired.cancel()
        raise AssertionError(f"the journal has {len(found)} of {count} entries like {matches} after "
                             f"{timeout} s ({seen} matched)")
