"""The control over its socket: the D-Bus object with busctl and with a client of our own."""

import json
import os
import select
import signal
import socket
import stat
import subprocess
import tempfile
import threading
import time

import pytest

from daemon_tools import FAREWELL, GREETING_TEXT, MARCELD, PATIENCE, repeat, run, wait_until
from dbus_tools import NAME, OBJECT, Connection, Failure

CONFIG = "[fifo]\ndirectory = {}\n[dialogue]\n"


class Served:
    """A marceld with a control, and what asks it."""

    def __init__(self, marceld, directory, config="", **options):
        self.path = directory / "control"
        self.daemon = marceld(CONFIG.format(directory / "operator") + config, control=self.path,
                              **options)
        self.clients = []

    def busctl(self, *args, status=0):
        """Runs busctl on the socket: what it says (or complains of)."""
        done = run("busctl", f"--address=unix:path={self.path}", *args)
        assert done.returncode == status, done.stderr.decode()
        return (done.stdout if status == 0 else done.stderr).decode()

    def call(self, member, *args):
        """What busctl call gives, as Python has it."""
        said = self.busctl("--json=short", "call", NAME, OBJECT, NAME, member, *args)
        return json.loads(said)["data"] if said else None

    def connect(self, **options):
        self.clients.append(Connection(self.path, **options))
        return self.clients[-1]

    def peer(self):
        """A client of the daemon, and its number."""
        peer = self.daemon.connect()
        opened = self.daemon.wait_record("opened", peer=peer.address())
        return peer, opened["conversation"]


@pytest.fixture(name="serve")
def serve_fixture(marceld, tmp_path):
    made = []

    def serve(config="", **options):
        made.append(Served(marceld, tmp_path, config, **options))
        return made[-1]

    yield serve
    for served in made:
        for client in served.clients:
            client.close()


@pytest.fixture(name="served")
def served_fixture(serve):
    return serve()


# busctl.

def test_busctl_introspects(served):
    said = {line.split()[0]: line.split()[1:] for line in
            served.busctl("introspect", NAME, OBJECT, NAME).splitlines()}
    for method, types in (("ListConversations", "- a(tssssssttttt)"), ("GetConversation", "t a{sv}"),
                          ("GetPast", "t a(tsts)"), ("Say", "tts -"), ("Close", "t -"),
                          ("Take", "t -"), ("Give", "ts -"), ("Reload", "- -"),
                          ("Subscribe", "- -"), ("Unsubscribe", "- -"), ("GetMetrics", "- s")):
        assert said["." + method][:3] == ["method", *types.split()]
    for name, types in (("Opened", "tsss"), ("Message", "ttsts"), ("Switched", "ts"),
                        ("Refused", "tts"), ("Closed", "ts"), ("Lost", "t")):
        assert said["." + name][:2] == ["signal", types]
    for name, kind in (("Version", "s"), ("Started", "t"), ("Configuration", "s"),
                       ("OperatorDirectory", "s"), ("Listeners", "as"), ("ListenerNames", "as"), ("Responders", "as"),
                       ("Conversations", "t"), ("ConversationsTotal", "t"), ("Closing", "at")):
        assert said["." + name][:2] == ["property", kind]
    assert said[".Version"][-1] == "const"


def test_busctl_finds_its_way(served):
    assert OBJECT in served.busctl("tree", NAME)
    assert OBJECT in served.busctl("tree")
    assert NAME in served.busctl("list")
    assert served.busctl("get-property", NAME, OBJECT, NAME, "Version").startswith('s "')
    complaint = served.busctl("call", NAME, OBJECT, NAME, "Close", "t", "99", status=1)
    assert "no conversation 99" in complaint


def test_busctl_monitors(served):
    with subprocess.Popen(["busctl", f"--address=unix:path={served.path}", "--json=short",
                           "monitor"], stdout=subprocess.PIPE) as monitor:
        os.set_blocking(monitor.stdout.fileno(), False)
        numbers, seen = set(), []

        def is_shown():
            # From when on it listens not every busctl says, so it gets more than one to see.
            peer, number = served.peer()
            numbers.add(number)
            peer.send("Bonjour\n").expect("Bonjour\n")
            # What can be read may be half a line, and the rest comes with the next look.
            seen.append(monitor.stdout.read() or b"")
            told = [json.loads(line) for line in b"".join(seen).split(b"\n")[:-1]]
            return all(any(one.get("member") == member and one["payload"]["data"][0] in numbers
                           for one in told) for member in ("Opened", "Message"))

        try:
            wait_until(is_shown, "what was said, on the monitor")
        finally:
            monitor.kill()


# What it shows.

def test_lists_what_is_live(served):
    assert served.call("ListConversations") == [[]]
    peers = [served.peer() for _ in range(3)]
    listed = served.call("ListConversations")[0]
    assert [entry[0] for entry in listed] == [number for _, number in peers]
    assert [entry[2] for entry in listed] == [peer.address() for peer, _ in peers]
    assert {entry[4] for entry in listed} == {"echo"}
    peer, number = peers[1]
    peer.send("un\ndeux\n").expect("un\ndeux\n")
    wait_until(lambda: shown(served, number)["Turns"] == 2, "two turns")
    view = shown(served, number)
    opened = served.daemon.wait_record("opened", conversation=number)
    assert view["Id"] == opened["conversation_id"]
    assert view["Listener"] == opened.get("listener", "")
    assert (view["Responder"], view["Suspended"]) == ("echo", "")
    assert view["Opened"] <= view["Last"] <= view["Opened"] + PATIENCE * 1000000
    assert view["BytesIn"] == len("un\ndeux\n")
    peer.send("fin\n").expect_end(FAREWELL).close()
    with pytest.raises(Failure, match="NoSuchConversation"):
        wait_gone(served, number)
    assert len(served.call("ListConversations")[0]) == 2


def shown(served, number):
    values = served.call("GetConversation", "t", str(number))[0]
    return {name: value["data"] for name, value in values.items()}


def wait_gone(served, number):
    """Raises what is raised once NUMBER is gone."""
    with served.connect() as client:
        wait_until(lambda: not client.call("GetConversation", "t", number), "its end")


def test_tells_the_past(served):
    peer, number = served.peer()
    peer.send(b"caf\xc3\xa9 \x1b\xff\n").expect(b"caf\xc3\xa9 \x1b\xff\n")
    with served.connect() as client:
        wait_until(lambda: len(client.call("GetPast", "t", number)[0]) >= 3, "what was said")
        past = client.call("GetPast", "t", number)[0]
    assert [said[1:] for said in past] == [
        ("S", 0, GREETING_TEXT), ("C", 1, "café \\e\\xff"), ("S", 1, "café \\e\\xff")]


def test_tells_of_itself(served):
    with served.connect() as client:
        assert client.get("Configuration") == str(served.daemon.config_file)
        assert client.get("OperatorDirectory") == str(served.path.parent / "operator")
        assert client.get("Listeners") == [served.daemon.addresses[0]]
        assert {"echo", "fifo"} <= set(client.get("Responders"))
        assert client.get("Conversations") == 0
        served.peer()
        assert client.get("Conversations") == client.get("ConversationsTotal") == 1
        assert client.get("Waiting") == 0


def test_counts(served):
    peer, _ = served.peer()
    peer.send("un\ndeux\nfin\n").expect("un\ndeux\n").expect_end(FAREWELL).close()
    served.daemon.wait_record("closed")
    with served.connect() as client:
        wait_until(lambda: metrics(client)["marcel_conversations"] == 0, "its end")
        counted = metrics(client)
    assert counted["marcel_conversations_total"] == 1
    assert counted['marcel_conversations_ended_total{reason="end-word"}'] == 1
    assert counted['marcel_conversations_ended_total{reason="reset"}'] == 0
    assert counted["marcel_messages_total"] == 3
    assert counted["marcel_bytes_received_total"] == len("un\ndeux\nfin\n")


def metrics(client):
    """GetMetrics as a dictionary; each line must be of the format."""
    text, = client.call("GetMetrics")
    assert text.endswith("\n")
    lines = [line for line in text.splitlines() if not line.startswith(("# HELP ", "# TYPE "))]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


# What it does.

def test_takes_says_gives_and_closes(served):
    peer, number = served.peer()
    with served.connect() as client:
        with pytest.raises(Failure, match="NotHeld"):
            client.call("Say", "tts", number, 0, "Bonjour")
        client.call("Take", "t", number)
        view = client.call("GetConversation", "t", number)[0]
        assert (view["Responder"], view["Suspended"]) == ("fifo", "echo")
        with pytest.raises(Failure, match="AlreadyHeld"):
            client.call("Take", "t", number)
        client.call("Say", "tts", number, 0, "Bonjour à vous")
        peer.expect("Bonjour à vous\n")
        peer.send("Ça va ?\n")
        wait_until(lambda: client.call("GetConversation", "t", number)[0]["Waiting"] == 1, "it waits")
        assert client.get("Waiting") == 1
        with pytest.raises(Failure, match="NotOpen"):
            client.call("Say", "tts", number, 7, "non")
        client.call("Say", "tts", number, 1, "oui")
        peer.expect("oui\n")
        with pytest.raises(Failure, match="NotOpen"):
            client.call("Say", "tts", number, 1, "encore")
        with pytest.raises(Failure, match="NoSuchResponder"):
            client.call("Give", "ts", number, "parrot")
        client.call("Give", "ts", number, "echo")
        peer.send("écho\n").expect("écho\n")
        client.call("Close", "t", number)
        peer.expect_end(FAREWELL).close()
        with pytest.raises(Failure, match="NoSuchConversation"):
            wait_gone(served, number)


def test_refuses_what_is_no_order(served):
    _, number = served.peer()
    with served.connect() as client:
        for name, text in (("BadOrder", "deux\nlignes"), ("TooLong", "x" * 4096)):
            with pytest.raises(Failure, match=name):
                client.call("Say", "tts", number, 0, text)
        with pytest.raises(Failure, match="NoSuchConversation"):
            client.call("Say", "tts", number + 1, 0, "x")
        for member, signature, values in (("Say", "s", "x"), ("Nothing", "", "")):
            with pytest.raises(Failure, match="org.freedesktop.DBus.Error"):
                client.call(member, signature, *values)


def test_reloads(served):
    with served.connect() as client:
        served.daemon.configure("[dialogue]\ngreeting = Salut\n")
        client.call("Reload")
        served.daemon.connect(greeting=b"Salut\n")
        served.daemon.configure("[dialogue]\ngreating = Salut\n")
        with pytest.raises(Failure, match="BadConfiguration") as caught:
            client.call("Reload")
        assert "marcel.ini:2" in caught.value.text
        assert "greeting" in caught.value.text
        served.daemon.connect(greeting=b"Salut\n")
        # Many at once.
        served.daemon.configure("[dialogue]\ngreeting = Bonsoir\n")
        for serial in [client.send("Reload") for _ in range(20)]:
            client.reply(serial)
        served.daemon.connect(greeting=b"Bonsoir\n")


def test_a_reload_leaves_the_channel_where_it_is(served):
    with served.connect() as client:
        served.daemon.configure("[fifo]\ndirectory = /elsewhere\n[dialogue]\ngreeting = Salut\n")
        client.call("Reload")
        served.daemon.connect(greeting=b"Salut\n")
        assert client.get("OperatorDirectory") == str(served.path.parent / "operator")


def test_signals_what_happens(served):
    with served.connect() as client, served.connect() as other:
        client.call("Subscribe")
        peer, number = served.peer()
        assert client.signal() == ["Opened", number, peer.address(),
                                   served.daemon.records("opened")[0].get("listener", ""), "echo"]
        peer.send(b"un\x1b\n").expect(b"un\x1b\n")
        said = [client.signal("Message") for _ in range(3)]
        assert [(one[1], *one[3:]) for one in said][1:] == [
            (number, "C", 1, "un\\e"), (number, "S", 1, "un\\e")]
        client.call("Take", "t", number)
        assert client.signal() == ["Switched", number, "fifo"]
        peer.send("deux\n")
        assert client.signal("Waiting") == ["Waiting", number, 2]
        client.call("Say", "tts", number, 2, "oui")
        assert client.signal("Message")[3:] == ["S", 2, "oui"]
        peer.reset()
        assert client.signal("Closed") == ["Closed", number, "reset"]
        # Who did not ask hears nothing.
        other.call("ListConversations")
        assert not other.signals
        client.call("Unsubscribe")
        client.signals.clear()
        served.peer()
        client.call("ListConversations")
        assert not client.signals


# Clients that are trouble.

def test_a_deaf_subscriber_slows_nobody(serve):
    """
    Conversations go on at full rate while subscribers read nothing; they are dropped in the end.
    Nothing here is measured: each message is answered, however many there are.
    """
    served = serve("message_max = 64K\n")
    deaf = [served.connect(receive_buffer=4096) for _ in range(4)]
    for client in deaf:
        client.call("Subscribe")
    lines = b"".join(b"%08d" % n + b"x" * 2000 + b"\n" for n in range(repeat(10000, 500)))
    peers = [served.peer()[0] for _ in range(4)]

    def talk(peer):
        sender = threading.Thread(target=peer.send, args=(lines,))
        sender.start()
        peer.expect(lines)
        sender.join()

    threads = [threading.Thread(target=talk, args=(peer,)) for peer in peers]
    for thread in threads:
        thread.start()
    with served.connect() as client:
        while any(thread.is_alive() for thread in threads):
            client.call("ListConversations")
    for thread in threads:
        thread.join()
    # Of what is said at such a rate many events find no room before they are told: a little more.
    deadline = time.monotonic() + PATIENCE
    while not all(is_hung_up(client.socket) for client in deaf):
        assert time.monotonic() < deadline, "who reads nothing is kept"
        peers[0].send(lines[:2009]).expect(lines[:2009])
    for peer in peers:
        peer.send(b"fin\n").expect_end(FAREWELL).close()
    served.daemon.wait_record("notice")


def is_hung_up(sock):
    """Whether the other side has closed SOCK, whatever lies there unread."""
    poll = select.poll()
    poll.register(sock, 0)
    return bool(poll.poll(0))


def test_crowds_and_garbage(served):
    silent = []
    for _ in range(100):
        client = socket.socket(socket.AF_UNIX)
        client.connect(os.fspath(served.path))
        silent.append(client)
    peer, _ = served.peer()
    peer.send("Bonjour\n").expect("Bonjour\n")
    for client in silent:
        client.close()
    for garbage in (b"GET / HTTP/1.0\r\n\r\n", b"\xff" * 100000,
                    b"\0AUTH EXTERNAL 30\r\nBEGIN\r\nl\1\0\1" + b"\xff" * 12):
        client = socket.socket(socket.AF_UNIX)
        client.connect(os.fspath(served.path))
        client.settimeout(PATIENCE)
        try:
            client.sendall(garbage)
            while client.recv(4096):
                pass
        except (ConnectionResetError, BrokenPipeError):
            pass
        client.close()
    wait_until(lambda: can_be_asked(served), "room for another")
    peer.send("encore\n").expect("encore\n")


def can_be_asked(served):
    try:
        with Connection(served.path) as client:
            return client.call("ListConversations")
    except (EOFError, ConnectionError):
        return None


def test_callers_that_are_gone(served):
    """Orders are given, and nobody waits for what becomes of them."""
    _, number = served.peer()
    for _ in range(repeat(500, 50)):
        with served.connect() as client:
            client.send("Take", "t", number)
            client.send("Say", "tts", number, 0, "x")
            client.send("Reload")
    with served.connect() as client:
        wait_until(lambda: client.call("GetConversation", "t", number)[0]["Responder"] == "fifo",
                   "it is taken")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ends_with_clients_connected(served, number):
    subscribed, calling, silent = served.connect(), served.connect(), socket.socket(socket.AF_UNIX)
    silent.connect(os.fspath(served.path))
    subscribed.call("Subscribe")
    peer, conversation = served.peer()
    calling.call("Take", "t", conversation)
    calling.send("Say", "tts", conversation, 0, "Au revoir")
    served.daemon.signal(number)
    served.daemon.wait()
    assert not served.path.exists()
    with pytest.raises((EOFError, ConnectionError)):
        while True:
            subscribed.next()
    silent.close()
    peer.close()


# Its place.

def test_replaces_what_a_kill_left(marceld, tmp_path):
    path = tmp_path / "control"
    first = marceld("", control=path)
    first.process.kill()
    first.wait(-signal.SIGKILL)
    assert path.is_socket()
    marceld("", control=path)
    with Connection(path) as client:
        assert client.get("Conversations") == 0


def test_leaves_another_ones_alone(marceld, tmp_path):
    path = tmp_path / "control"
    first = marceld("", control=path)
    second = marceld("", control=path)
    second.wait_record("notice")
    with Connection(path) as client:
        assert client.get("Listeners") == [first.addresses[0]]
        second.connect().send("un\n").expect("un\n")
        second.stop()
        assert client.get("Listeners") == [first.addresses[0]]
    with Connection(path):
        pass


def test_does_without_a_place(marceld, tmp_path):
    path = tmp_path / "control"
    path.write_text("mine")
    daemon = marceld("", control=path)
    assert str(path) in daemon.wait_record("trouble").message
    daemon.connect().send("un\n").expect("un\n")
    daemon.stop()
    assert path.read_text() == "mine"
    daemon = marceld("", control=tmp_path / ("x" * 120))
    daemon.wait_record("trouble")


def test_tells_that_the_group_is_kept_out(marceld, tmp_path):
    """From another file system a directory can't give its group."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        if os.stat(other).st_dev == os.stat(tmp_path).st_dev:
            pytest.skip("/dev/shm is no other file system")
        os.chmod(other, 0o2750)
        daemon = marceld(f"[fifo]\ndirectory = {other}\n", control=tmp_path / "control")
        said = daemon.wait_record("trouble").message
        assert str(tmp_path / "control") in said and f"{other}: that is on another" in said
        assert stat.S_IMODE((tmp_path / "control").stat().st_mode) == 0o600
        with Connection(tmp_path / "control") as client:
            assert client.get("Conversations") == 0
        daemon.stop()


def test_tells_that_there_is_no_socket(marceld, tmp_path):
    """With `control = auto`, too, unless it was started by hand and there is no directory."""
    (tmp_path / "file").write_text("")
    config = f"[fifo]\ndirectory = {tmp_path}/operator\n"
    places = {"RUNTIME_DIRECTORY": str(tmp_path / "file")}
    managed = marceld(config, control=None,
                      env={**places, "NOTIFY_SOCKET": str(tmp_path / "nobody")})
    managed.wait_for(lambda: f"{tmp_path}/file/control: Not a directory" in said_of_control(managed),
                     "a word of the socket")
    managed.connect().send("un\n").expect("un\n")
    by_hand = marceld(config, control=None, env=places)
    by_hand.connect().send("un\n").expect("un\n")
    by_hand.stop()
    assert not said_of_control(by_hand)
    (tmp_path / "control").write_text("mine")
    by_hand = marceld(config, control=None, env={"RUNTIME_DIRECTORY": str(tmp_path)})
    by_hand.wait_for(lambda: "is there and no socket" in said_of_control(by_hand),
                     "a word of the socket")


def said_of_control(daemon):
    """What it said of its control socket, which it is in trouble with."""
    return "".join(record.message for record in daemon.records("trouble")
                   if "control" in record.message)


def test_is_not_there_when_not_wanted(marceld, tmp_path):
    daemon = marceld("[server]\ncontrol = none\n", control=None)
    daemon.connect().send("un\n").expect("un\n")
    assert "control" not in {thread_name(daemon, task)
                             for task in os.listdir(f"/proc/{daemon.pid}/task")}
    path = tmp_path / "wanted"
    daemon = marceld(f"[server]\ncontrol = {path}\n", control=None)
    with Connection(path) as client:
        assert client.get("Conversations") == 0


def thread_name(daemon, task):
    with open(f"/proc/{daemon.pid}/task/{task}/comm", encoding="utf-8") as file:
        return file.read().strip()


def test_help_tells_of_it():
    assert b"--control" in run(MARCELD, "--help").stdout
