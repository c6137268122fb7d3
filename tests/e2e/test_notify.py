"""What marceld tells systemd: sd_notify(3) on a socket of ours."""

import queue
import re
import signal
import socket
import threading
import time

import pytest

from daemon_tools import DEAF, FAREWELL, PATIENCE


class Manager:
    """The other end of NOTIFY_SOCKET: reads all the time, as systemd does."""

    def __init__(self, path):
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.messages = queue.SimpleQueue()
        self.seen = []
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        while True:
            text = self.socket.recv(65536).decode()
            if text == "END=1":
                return
            self.messages.put(dict(line.partition("=")[::2] for line in text.splitlines()))

    def close(self):
        self.tell(b"END=1")
        self.reader.join()
        self.socket.close()

    def next(self, patience=PATIENCE):
        """The next message, as {variable: value}."""
        message = self.messages.get(timeout=max(patience, 0))
        self.seen.append(message)
        return message

    def wait(self, variable, value=None):
        """Reads on until a message sets VARIABLE (to VALUE); gives that message."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                message = self.next(deadline - time.monotonic())
            except queue.Empty:
                wanted = f"{variable}={value or ''}"
                raise AssertionError(f"no {wanted}; there were {self.seen}") from None
            if variable in message and value in (None, message[variable]):
                return message

    def rest(self):
        """What was sent until now."""
        messages = []
        self.tell(b"MARK=1")
        while not messages or messages[-1] != {"MARK": "1"}:
            messages.append(self.next())
        return messages[:-1]

    def tell(self, text):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(text, self.path)


@pytest.fixture
def manager(tmp_path):
    made = Manager(tmp_path / "notify")
    yield made
    made.close()


def start(marceld, manager, config="", **environment):
    return marceld(config, env={"NOTIFY_SOCKET": manager.path, **environment})


def test_ready(marceld, manager):
    start(marceld, manager)
    message = manager.wait("READY", "1")
    # One knows where it listens and what it does.
    assert message.get("STATUS") or manager.wait("STATUS")["STATUS"]


def test_ready_comes_when_clients_are_served(marceld, manager):
    server = start(marceld, manager)
    manager.wait("READY", "1")
    server.connect().send("fin\n").expect_end(FAREWELL)


def test_no_ready_without_a_configuration(marceld, manager):
    server = marceld("[dialogue]\nfoo = 1\n", env={"NOTIFY_SOCKET": manager.path}, wait=False,
                     log=None)
    server.wait(status=78)
    assert not manager.rest()


def test_reload(marceld, manager):
    server = start(marceld, manager)
    manager.wait("READY", "1")
    server.configure("[dialogue]\ngreeting = deux\n")
    server.signal(signal.SIGHUP)
    # RELOADING=1 with the moment it began, then READY=1: for Type=notify-reload and ExecReload=.
    message = manager.wait("RELOADING", "1")
    assert re.fullmatch(r"[1-9]\d*", message["MONOTONIC_USEC"])
    manager.wait("READY", "1")
    server.connect(greeting=b"deux\n")


def test_a_failed_reload_ends_too(marceld, manager):
    server = start(marceld, manager)
    manager.wait("READY", "1")
    server.configure("nonsense\n")
    server.signal(signal.SIGHUP)
    manager.wait("RELOADING", "1")
    manager.wait("READY", "1")
    server.connect()


def test_sigterm_under_a_manager_is_no_stop(marceld, manager):
    # Only a job of type stop is one, and nobody here has such a job: the client is not sent away,
    # for the next process would carry on with it. That it stops when there is one is the booted
    # system's to show.
    server = start(marceld, manager)
    peer = server.connect()
    manager.wait("READY", "1")
    server.stop()
    assert "STOPPING" not in {name for message in manager.rest() for name in message}
    assert not server.records("closed")
    peer.close()


def test_status_counts_conversations(marceld, manager):
    server = start(marceld, manager)
    manager.wait("READY", "1")
    for _ in range(3):
        server.connect()
    while not re.search(r"\b3\b", manager.wait("STATUS")["STATUS"]):
        pass


def test_watchdog(marceld, manager):
    start(marceld, manager, WATCHDOG_USEC="200000")
    for _ in range(5):
        manager.wait("WATCHDOG", "1")


def test_watchdog_under_load(marceld, manager):
    server = start(marceld, manager, f"[journal]\ntranscript = off\n[dialogue]\n{DEAF}",
                   WATCHDOG_USEC="400000")
    server.connect_deaf()
    talking = server.connect()
    for _ in range(20):
        server.connect()  # and says nothing
    beats = 0
    deadline = time.monotonic() + PATIENCE
    # A client that reads nothing owes us something, not we it.
    while beats < 5:
        talking.send("a\n").expect("a\n")
        beats += sum("WATCHDOG" in message for message in manager.rest())
        assert time.monotonic() < deadline, f"only {beats} messages for the watchdog"
    assert not server.records("stuck")


def test_watchdog_of_another_process(marceld, manager):
    # WATCHDOG_PID says that it is not for us.
    server = start(marceld, manager, WATCHDOG_USEC="100000", WATCHDOG_PID="1")
    manager.wait("READY", "1")
    server.connect().send("fin\n").expect_end(FAREWELL)
    server.stop()
    assert not any("WATCHDOG" in message for message in manager.rest())


def test_a_manager_that_does_not_listen(marceld, tmp_path):
    # The socket is not there: no reason not to serve.
    server = marceld("", env={"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    server.connect().send("fin\n").expect_end(FAREWELL)
