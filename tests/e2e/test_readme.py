"""The README's session of an operator: its commands, and what it shows of their output."""

import os
import re
import subprocess

import pytest

from daemon_tools import PATIENCE, ROOT, wait_until
from operator_tools import Channel, fifo_config
from script_tools import MARCELCTL

SECTION = "Answering oneself"
DIRECTORY = "/run/marcel/operator"
# It wants the system's bus, and shows nothing of what it says.
NOT_RUN = ("busctl",)

# What differs each time. Columns are as wide as what is in them.
MASKS = [(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d([+-]\d\d:\d\d)?", "TIME"),
         (r"127\.0\.0\.1:\d+", "CLIENT"),
         (r"(?<=  )\d+(s|min)( \d+s)?(?=  )", "AGE"),
         (r"  +", "  ")]


def section():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.search(rf"^## {SECTION}\n(.*?)^## ", text, re.M | re.S)[1]


def session():
    """The commands in their order, each with the output that is shown."""
    commands = []
    for line in section().splitlines():
        if line.startswith("    $ "):
            commands.append([line[6:], ""])
        elif line.startswith("    "):
            commands[-1][1] += line[4:] + "\n"
    return [(command, shown) for command, shown in commands
            if not command.startswith(NOT_RUN)]


def said_by_the_client():
    """What events in the README tell of, in their order."""
    return [text for _, text in sorted(set(re.findall(r"message 1 #(\d+) (.*)", section())))]


def masked(text):
    for pattern, name in MASKS:
        text = re.sub(pattern, name, text)
    return text


class Operator:
    """A shell in which `marcelctl` is one that finds the daemon of the test."""

    def __init__(self, directory, control):
        self.programs = directory / "bin"
        self.programs.mkdir()
        wrapper = self.programs / "marcelctl"
        wrapper.write_text(f'#!/bin/sh\nverb=$1\nshift\n'
                           f'exec "{MARCELCTL}" "$verb" --control "{control}" "$@"\n')
        wrapper.chmod(0o755)
        self.place = directory

    def run(self, command):
        path = f"{self.programs}:{os.environ['PATH']}"
        done = subprocess.run(["/bin/sh", "-c", command], cwd=self.place, timeout=PATIENCE,
                              env={**os.environ, "PATH": path, "LC_ALL": "C.UTF-8"},
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        return done.stdout.decode()


    def expect(self, command, shown):
        """Runs COMMAND until its output is as SHOWN: what a client has said is there a moment
        later."""
        try:
            wait_until(lambda: masked(self.run(command)) == masked(shown), command)
        except AssertionError:
            assert masked(self.run(command)) == masked(shown), f"'{command}' in README.md"


class Client:
    """The client of the session, which says what the README's events tell of."""

    def __init__(self, manager, channel):
        self.peer = manager.connect()
        self.channel = channel
        self.messages = said_by_the_client()
        self.said = 0

    def say_next(self):
        if self.said < len(self.messages):
            self.peer.send(self.messages[self.said] + "\n")
            self.said += 1
            self.channel.wait("message", 1, count=self.said)


@pytest.fixture(name="channel")
def channel_fixture(manager):
    with Channel(manager.runtime / "operator") as channel:
        manager.config = fifo_config(directory=channel.directory)
        manager.start()
        yield channel


def test_the_operators_session(manager, channel, tmp_path):
    operator = Operator(tmp_path, manager.control)
    client = Client(manager, channel)
    commands = session()

    def answers():
        return len(channel.find("sent")) + len(channel.find("refused"))

    assert len(client.messages) == 2 and len(commands) > 10
    client.say_next()
    for command, shown in commands:
        if command.startswith("cd "):
            assert command == f"cd {DIRECTORY}"
            operator.place = channel.directory
        elif shown:
            operator.expect(command, shown)
        else:
            before = answers()
            assert operator.run(command) == "", command
            if command.startswith("echo "):
                wait_until(lambda: answers() > before, f"an event about '{command}'")
                client.say_next()
    client.peer.expect("Bonjour ! Que puis-je pour vous ?\nOui, du vert et du noir.\nMe voilà.\n")
