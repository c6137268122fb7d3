"""What the tests in a booted system share: the systems, the packages, and small helpers.

Each file gets one fresh system a release with the package installed (`system`), and each test a
clean Marcel in it (`marcel`): the shipped configuration and units, the socket listening, the
service not running. Console and journal of a system whose test failed lie below the directory that
the failure names.

Variables: MARCEL_REPEAT (percent of the full repetitions, 10), MARCEL_RELEASES ("bookworm trixie"),
MARCEL_CACHE (where trees and packages are kept), MARCEL_LOGS (where consoles and journals go).
"""

import os
import re
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

from testbed import RELEASES, SOURCE, why_not
from testbed.machine import Machine
from testbed.packages import packages
from testbed.roots import boot_root

PORT = 50000
GREETING = "Vous êtes connecté au serveur Marcel. Envoyez vos messages."
CONFIG = "/etc/marcel.ini"


def repeat(full, least=1):
    """How often to do what the full figure does FULL times."""
    return max(least, full * int(os.environ.get("MARCEL_REPEAT", "10")) // 100)


def pytest_configure():
    # So that the systems are ended with the tests when somebody loses patience.
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("ended by SIGTERM", returncode=1))


def pytest_collection_modifyitems(items):
    reason = why_not()
    if reason:
        for item in items:
            item.add_marker(pytest.mark.skip(reason=f"no booted system: {reason}"))


def pytest_report_header():
    return "booted systems: " + (why_not() or ", ".join(wanted_releases()))


def wanted_releases():
    return os.environ.get("MARCEL_RELEASES", " ".join(RELEASES)).split()


@pytest.fixture(scope="session", name="logs")
def logs_fixture():
    """A directory for logs; it stays when a test failed."""
    top = os.environ.get("MARCEL_LOGS")
    path = Path(top) if top else Path(tempfile.mkdtemp(prefix="marcel-logs-"))
    path.mkdir(parents=True, exist_ok=True)
    failed = []
    yield path, failed
    if not top and not failed:
        shutil.rmtree(path, ignore_errors=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    report = outcome.get_result()
    if report.failed and "logs" in getattr(item, "fixturenames", ()) and "logs" in item.funcargs:
        path, failed = item.funcargs["logs"]
        failed.append(item.nodeid)
        report.sections.append(("logs", f"console and journal: {path}"))


@pytest.fixture(scope="module", params=wanted_releases())
def release(request):
    return request.param


@pytest.fixture(scope="module")
def machine(release, logs, request):
    """A fresh system without Marcel."""
    with Machine(boot_root(release), logs[0] / f"{request.module.__name__}-{release}") as booted:
        booted.release = release
        yield booted


def copy_packages(machine, release, suffix=""):
    """Puts the .deb files into the system; their paths there."""
    paths = []
    for file in sorted(packages(release, suffix).glob("*.deb")):
        if "-dbgsym_" not in file.name:
            paths.append(f"/packages{suffix}/{file.name}")
            machine.write(paths[-1], file.read_bytes())
    return paths


@pytest.fixture(scope="module")
def system(machine, release):
    """A fresh system with the packages installed."""
    machine.install(copy_packages(machine, release))
    machine.shipped_config = machine.read(CONFIG)
    return machine


@pytest.fixture
def marcel(system):
    """The system with Marcel as it is after installation, whatever the test before did."""
    system.run("systemctl stop marcel.socket marcel.service")
    system.run("rm -rf /etc/systemd/system/marcel* /run/systemd/system/marcel*")
    system.write(CONFIG, system.shipped_config)
    system.run("systemctl daemon-reload && systemctl reset-failed")
    system.run("systemctl enable --quiet --now marcel.socket")
    system.start_of_test = system.now()
    return system


def configure(system, text):
    """Makes TEXT the whole configuration."""
    system.write(CONFIG, text)


class Peer:
    """A client in the system that speaks in lines, and fails rather than waits for ever."""

    def __init__(self, system, port=PORT, host="127.0.0.1", **options):
        self.socket = system.connect(port, host, **options)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def address(self):
        """This client's address as MARCEL_PEER writes it."""
        host, port = self.socket.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def line(self):
        """The next line without its end; what is left at the end of input, or None."""
        while b"\n" not in self.buffer:
            data = self.socket.recv(65536)
            if not data:
                rest, self.buffer = self.buffer, b""
                return rest.decode() if rest else None
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.decode()

    def say(self, text):
        self.socket.sendall(f"{text}\n".encode())

    def ask(self, text):
        """Says TEXT and returns the reply."""
        self.say(text)
        return self.line()

    def rest(self):
        """All lines up to the end of input."""
        lines = []
        while (line := self.line()) is not None:
            lines.append(line)
        return lines


@pytest.fixture
def meet(marcel):
    """meet(): a connected client that has seen the greeting; all are closed after the test."""
    peers = []

    def connect(greeting=GREETING, **options):
        peer = Peer(marcel, **options)
        peers.append(peer)
        assert peer.line() == greeting
        return peer

    yield connect
    for peer in peers:
        peer.socket.close()


def kinds():
    """The message ids by the name of their kind, as src/record/kinds.h has them."""
    text = (SOURCE / "src/record/kinds.h").read_text(encoding="utf-8")
    rows = re.findall(r'X\((\w+), (\w+), "([0-9a-f]{32})", LOG_(\w+), (\w+)\)', text)
    assert rows
    return {name: message_id for name, _, message_id, _, _ in rows}


KINDS = kinds()


def of_kind(name):
    """The match for records of the kind NAME, as in kinds.h."""
    return f"MESSAGE_ID={KINDS[name]}"
