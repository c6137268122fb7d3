"""The control on a bus: a dbus-daemon of the test's own, with Marcel's policy.

Under a service manager marceld looks for the system bus; here that is the test's bus, by its
address. What the policy says of users takes root's rights, to be somebody else.
"""

import grp
import os
import signal
import subprocess

import pytest

from bus_tools import GROUP, NEEDS_BUS, bus_fixture  # noqa: F401 (a fixture)
from daemon_tools import GREETING_TEXT, PATIENCE, ROOT, run, wait_until
from dbus_tools import NAME, OBJECT, Failure
from manager import ServiceManager

pytestmark = NEEDS_BUS


@pytest.fixture(name="managed")
def managed_fixture(tmp_path, bus):
    config = f"[fifo]\ndirectory = {tmp_path}/operator\n"
    made = ServiceManager(tmp_path, config, DBUS_SYSTEM_BUS_ADDRESS=bus.address)
    yield made
    made.close()


@pytest.fixture(name="daemon")
def daemon_fixture(managed, bus):
    daemon = managed.start()
    bus.wait_marcel()
    return daemon


def busctl(bus, *args, user=None, group=None):
    """Runs busctl on BUS, as USER in GROUP alone: the finished process."""
    prefix = ()
    if user:
        prefix = ("setpriv", f"--reuid={user}", f"--regid={group or 'nogroup'}", "--clear-groups")
    return run(*prefix, "busctl", f"--address={bus.address}", *args)


def call(bus, member, *args, **who):
    return busctl(bus, "call", NAME, OBJECT, NAME, member, *args, **who)


def test_busctl(bus, daemon):
    for command in (("introspect", NAME, OBJECT), ("tree", NAME), ("status", NAME),
                    ("get-property", NAME, OBJECT, NAME, "Version")):
        done = busctl(bus, *command)
        assert done.returncode == 0, done.stderr
    assert call(bus, "ListConversations").stdout == b"a(tssssssttttt) 0\n"


def test_orders(bus, managed, daemon):
    peer = managed.connect()
    number = daemon.wait_record("opened")["conversation"]
    with bus.connect() as client:
        client.call("Take", "t", number)
        client.call("Say", "tts", number, 0, "Bonjour")
        peer.expect("Bonjour\n")
        with pytest.raises(Failure, match="NotOpen"):
            client.call("Say", "tts", number, 9, "non")
        client.call("Give", "ts", number, "echo")
        client.call("Reload")
        # Many at once, from many.
        others = [bus.connect() for _ in range(10)]
        serials = [(other, other.send("Take", "t", number)) for other in others]
        taken = []
        for other, serial in serials:
            try:
                taken.append(other.reply(serial))
            except Failure as failure:
                assert failure.name == "AlreadyHeld"
            other.close()
        assert taken == [[]]


def test_signals_while_somebody_is_subscribed(bus, managed, daemon):
    match = f"type='signal',sender='{NAME}'"
    with bus.connect() as client, bus.connect() as idle:
        for one in (client, idle):
            one.call("AddMatch", "s", match, destination="org.freedesktop.DBus",
                     path="/org/freedesktop/DBus", interface="org.freedesktop.DBus")
        client.call("Subscribe")
        peer = managed.connect()
        number = daemon.wait_record("opened")["conversation"]
        assert client.signal()[:2] == ["Opened", number]
        peer.send("un\n").expect("un\n")
        assert client.signal("Message")[3:] == ["S", 0, GREETING_TEXT]
        assert client.signal("Message")[3:] == ["C", 1, "un"]
        # Broadcast: for who did not ask too, if they may receive it.
        assert idle.signal()[:2] == ["Opened", number]
        subscriber = bus.connect()
        subscriber.call("Subscribe")
        client.call("Unsubscribe")
        client.signals.clear()
        peer.send("deux\n").expect("deux\n")
        assert client.signal("Message")[-1] in ("un", "deux")
        # The last one goes without a word: nobody is told anything any more.
        subscriber.close()
        wait_until(lambda: is_quiet(client, peer), "nobody is subscribed")


def is_quiet(client, peer):
    """Whether what is said is not told any more."""
    client.call("ListConversations")
    client.signals.clear()
    peer.send("trois\n").expect("trois\n")
    client.call("ListConversations")
    client.call("ListConversations")
    return not client.signals


def test_monitor(bus, managed, daemon):
    with subprocess.Popen(["busctl", f"--address={bus.address}", "--json=short", "monitor", NAME],
                          stdout=subprocess.PIPE) as monitor, bus.connect() as client:
        os.set_blocking(monitor.stdout.fileno(), False)
        client.call("Subscribe")
        seen = []

        def is_shown():
            # From when on it listens not every busctl says, so it gets more than one to see.
            managed.connect()
            seen.append(monitor.stdout.read() or b"")
            return b'"Opened"' in b"".join(seen)

        try:
            wait_until(is_shown, "the signal of a conversation that began")
        finally:
            monitor.kill()


# Who may.

def test_others_may_nothing(bus, managed, daemon):
    peer = managed.connect()
    number = str(daemon.wait_record("opened")["conversation"])
    for member, *args in (("ListConversations",), ("GetPast", "t", number), ("Take", "t", number),
                          ("Say", "tts", number, "0", "x"), ("Close", "t", number), ("Subscribe",),
                          ("GetMetrics",)):
        done = call(bus, member, *args, user="nobody")
        assert done.returncode != 0
        assert b"denied" in done.stderr.lower(), done.stderr
    for command in (("introspect", NAME, OBJECT), ("monitor",),
                    ("get-property", NAME, OBJECT, NAME, "Version")):
        assert busctl(bus, *command, user="nobody").returncode != 0
    peer.send("encore\n").expect("encore\n")


def test_the_group_may_all(bus, managed, daemon):
    assert grp.getgrnam(GROUP)
    managed.connect()
    number = str(daemon.wait_record("opened")["conversation"])
    for member, *args in (("ListConversations",), ("GetPast", "t", number), ("Take", "t", number),
                          ("Say", "tts", number, "0", "x"), ("Close", "t", number)):
        done = call(bus, member, *args, user="nobody", group=GROUP)
        assert done.returncode == 0, done.stderr
    assert busctl(bus, "introspect", NAME, OBJECT, user="nobody", group=GROUP).returncode == 0


def test_others_hear_nothing(bus, managed, daemon):
    """Signals are broadcast; a stranger with a match gets none."""
    script = """
import sys
sys.path.insert(0, sys.argv[1])
import dbus_tools as tools
client = tools.Connection(sys.argv[2], bus=True)
driver = dict(destination=tools.DRIVER, path="/org/freedesktop/DBus", interface=tools.DRIVER)
client.call("AddMatch", "s", "type='signal'", **driver)
print("ready", flush=True)
sys.stdin.readline()
client.call("GetId", **driver)
print([signal.member for signal in client.signals], flush=True)
"""
    heard = {}
    for group in ("nogroup", GROUP):
        prefix = ("setpriv", "--reuid=nobody", f"--regid={group}", "--clear-groups")
        with subprocess.Popen([*prefix, "/usr/bin/python3", "-c", script,
                               str(ROOT / "tests" / "e2e"), str(bus.path)], text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE) as stranger:
            assert stranger.stdout.readline() == "ready\n"
            with bus.connect() as client:
                client.call("AddMatch", "s", f"type='signal',sender='{NAME}'",
                            destination="org.freedesktop.DBus", path="/org/freedesktop/DBus",
                            interface="org.freedesktop.DBus")
                client.call("Subscribe")
                managed.connect()
                client.signal("Opened")
            heard[group] = stranger.communicate("\n", timeout=PATIENCE)[0]
    assert "Opened" in heard[GROUP]
    assert "Opened" not in heard["nogroup"] and "Message" not in heard["nogroup"]


def test_bounds_subscribers(bus, managed, daemon):
    clients = [bus.connect() for _ in range(65)]
    for client in clients[:64]:
        client.call("Subscribe")
    with pytest.raises(Failure, match="TooManySubscribers"):
        clients[64].call("Subscribe")
    # Who is subscribed may be so again; whoever goes makes room.
    clients[63].call("Subscribe")
    clients[0].call("Unsubscribe")
    clients[64].call("Subscribe")
    for client in clients:
        client.close()


def test_nobody_else_may_be_marcel(bus):
    done = busctl(bus, "call", "org.freedesktop.DBus", "/org/freedesktop/DBus",
                  "org.freedesktop.DBus", "RequestName", "su", NAME, "0", user="nobody")
    assert done.returncode != 0
    assert b"denied" in done.stderr.lower() or b"not allowed" in done.stderr, done.stderr


# A bus that comes and goes.

def test_waits_for_the_bus(bus, managed):
    bus.stop()
    daemon = managed.start()
    assert not daemon.records("trouble")
    bus.start()
    bus.wait_marcel()
    with bus.connect() as client:
        assert client.get("Conversations") == 0


def test_comes_back_with_the_bus(bus, managed, daemon):
    peer = managed.connect()
    for _ in range(2):
        bus.stop()
        daemon.wait_record("notice")
        peer.send("un\n").expect("un\n")
        bus.start()
        bus.wait_marcel()
    with bus.connect() as client:
        assert client.get("Conversations") == 1


def test_a_bus_that_stands_still(bus, managed, daemon):
    """It takes nothing and answers nothing; conversations and the end don't wait for it."""
    with bus.connect() as client:
        client.call("Subscribe")
        bus.process.send_signal(signal.SIGSTOP)
        try:
            peer = managed.connect()
            for _ in range(2000):
                peer.send("x" * 500 + "\n").expect("x" * 500 + "\n")
            managed.end()
        finally:
            bus.process.send_signal(signal.SIGCONT)


def test_has_the_name_again_after_a_restart(bus, managed, daemon):
    peer = managed.connect()
    managed.restart()
    bus.wait_marcel()
    with bus.connect() as client:
        number, = [entry[0] for entry in client.call("ListConversations")[0]]
        client.call("Take", "t", number)
    managed.kill()
    bus.wait_marcel()
    with bus.connect() as client:
        client.call("Say", "tts", number, 0, "toujours là")
    peer.expect("toujours là\n")
