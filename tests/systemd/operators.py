"""Operators in the booted system: users with and without the group, the files, the orders.

The channel's files are read and its FIFOs written through the system's own tree (Machine.path), as
root outside; what a user of the system can do is tried inside, as that user.
"""

import json
import os
import re
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path

from conftest import configure
from testbed.machine import end_group

DIRECTORY = "/run/marcel/operator"
CONTROL = "/run/marcel/control"
GROUP = "marcel-operator"
NAME = "org.marceld.Marcel1"
OBJECT = "/org/marceld/Marcel1"
BUS = "/run/dbus/system_bus_socket"
BUS_CALL = ["busctl", "--system", "--timeout=20"]
PEER_CALL = ["busctl", f"--address=unix:path={CONTROL}", "--timeout=20"]

# One who may, one who may not.
INSIDER = "insider"
OUTSIDER = "outsider"

CONFIG = "[dialogue]\nresponder = fifo\n[fifo]\nabsent_after = infinity\n"

EVENT = re.compile(r"(?P<number>\d+) (?P<time>\S+) (?P<event>[a-z]+) (?P<conversation>\d+|-)"
                   r"(?: #(?P<turn>\d+))?(?: (?P<rest>.*))?")


def add_users(system):
    """Makes both users, the first one an operator; once for each system."""
    if not system.run(["id", INSIDER], check=False).returncode:
        return
    system.run(["useradd", "--create-home", "--groups", GROUP, INSIDER])
    system.run(["useradd", "--create-home", OUTSIDER])


def command_as(user, command):
    """COMMAND (a list, or a shell line) as USER runs it, groups included."""
    if isinstance(command, str):
        command = ["/bin/sh", "-c", command]
    return ["timeout", "30", "setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--",
            *command]


def run_as(system, user, command, **options):
    """Runs COMMAND as USER; a subprocess.CompletedProcess, whatever its status."""
    return system.run(command_as(user, command), check=False, **options)


def method(name, signature="", *arguments, service=NAME):
    """The arguments of `busctl call` for a method of the object."""
    return ["call", service, OBJECT, NAME, name,
            *([signature, *map(str, arguments)] if signature else [])]


def bus_call(system, name, signature="", *arguments):
    """What `busctl call` prints for a call on the system bus, as root."""
    return system.output([*BUS_CALL, *method(name, signature, *arguments)])


def numbers_by_address(system):
    """The numbers of all live conversations, by their clients' addresses."""
    text = system.output([*BUS_CALL, "--json=short", *method("ListConversations")])
    return {row[2]: row[0] for row in json.loads(text)["data"][0]}


def await_bus(system):
    """Waits until the daemon has its name on the bus."""
    system.wait_for(lambda: system.run([*BUS_CALL, *method("GetMetrics")], check=False)
                    .returncode == 0, f"{NAME} answers on the bus")


def empty_directory(marcel):
    """Makes the channel's directory as it is after boot; the service must not run."""
    marcel.run(f"rm -rf {DIRECTORY} && systemd-tmpfiles --create marcel.conf")


def prepare_operators(marcel, config=CONFIG):
    """Makes all conversations the operators', and their directory empty."""
    configure(marcel, config)
    empty_directory(marcel)


def read_both(paths):
    """The whole lines of two files of which the second becomes the first; None: just now."""
    def inodes():
        return [path.stat().st_ino if path.exists() else None for path in paths]
    try:
        before = inodes()
        # What has no end is being written, or a kill has torn it off.
        lines = [line for path, inode in zip(paths, before) if inode
                 for line in path.read_bytes().split(b"\n")[:-1]]
        return lines if inodes() == before else None
    except FileNotFoundError:
        return None


def events_of(marcel):
    """The events so far, oldest first, each a match of EVENT."""
    paths = [marcel.path(f"{DIRECTORY}/{name}") for name in ("events.1", "events")]
    while (lines := read_both(paths)) is None:
        pass
    found = [EVENT.fullmatch(line.decode()) for line in lines]
    assert all(found), [line for line, match in zip(lines, found) if not match]
    return found


def check_numbers(marcel):
    """Events are numbered without gaps."""
    numbers = [int(match["number"]) for match in events_of(marcel)]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def order(marcel, line, number=None):
    """Writes one order, to the conversation NUMBER or into the FIFO for all."""
    name = f"{DIRECTORY}/conversations/{number}/in" if number else f"{DIRECTORY}/in"
    # Never makes a file where there is no FIFO.
    descriptor = os.open(marcel.path(name), os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        data = line.encode() + b"\n"
        assert os.write(descriptor, data) == len(data)
    finally:
        os.close(descriptor)


def number_of(marcel, peer):
    """The number of PEER's conversation, by its address."""
    def find():
        for match in events_of(marcel):
            if match["event"] == "opened" and match["rest"].startswith(f"{peer.address()} "):
                return int(match["conversation"])
        return None
    return marcel.wait_for(find, f"the conversation of {peer.address()} has a place")


class Listener:
    """tests/systemd/listener.py in the system, run by USER."""

    def __init__(self, system, user, socket, *wishes):
        program = "/opt/marcel/listener.py"
        if not system.exists(program):
            system.write(program, Path(__file__).with_name("listener.py").read_bytes())
        self.process = system.popen(command_as(user, ["python3", program, socket, *wishes]),
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT, encoding="utf-8", errors="replace")
        self.lines = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end_group(self.process)
        self.process.stdin.close()
        self.process.stdout.close()

    def until(self, text):
        """Reads up to a line with TEXT in it; all lines so far."""
        expired = threading.Timer(60, end_group, [self.process])
        expired.start()
        try:
            for line in self.process.stdout:
                self.lines.append(line)
                if text in line:
                    return self.lines
        finally:
            expired.cancel()
        raise AssertionError(f"the listener ended before {text!r}:\n{''.join(self.lines)}")


@contextmanager
def listening(system, user, socket, *wishes):
    """A Listener that has asked for everything it wishes."""
    with Listener(system, user, socket, *wishes) as listener:
        listener.until("listening")
        yield listener
