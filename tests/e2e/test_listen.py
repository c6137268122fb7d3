"""Where marceld listens: every kind of address, and sockets that systemd hands over."""

import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import time

import pytest

from daemon_tools import (EXIT_CONFIG, EXIT_OSERR, EXIT_USAGE, FAREWELL, GREETING, MARCELD,
                          PATIENCE, Peer, run, wait_until)


def converse(target, greeting=GREETING):
    """A whole conversation with what listens at TARGET."""
    with Peer(target) as peer:
        peer.expect(greeting).send("bonjour\n").expect("bonjour\n")
        peer.send("fin\n").expect_end(FAREWELL)


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


ipv6 = pytest.mark.skipif(not has_ipv6(), reason="there is no IPv6 here")


def vsock_to_myself():
    """Whether this machine can talk to itself by vsock (the module vsock_loopback)."""
    try:
        with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as listening, \
                socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as client:
            listening.bind((1, socket.VMADDR_PORT_ANY))
            listening.listen()
            client.settimeout(1)
            client.connect((1, listening.getsockname()[1]))
        return True
    except (OSError, AttributeError):
        return False


# Bound by hand


def test_a_port_of_ipv4(marceld):
    server = marceld("", listen=["127.0.0.1:0"])
    assert re.fullmatch(r"127\.0\.0\.1:[1-9]\d*", server.addresses[0])
    converse(("127.0.0.1", server.port))


@ipv6
def test_a_port_of_ipv6(marceld):
    server = marceld("", listen=["[::1]:0"])
    assert re.fullmatch(r"\[::1\]:[1-9]\d*", server.addresses[0])
    converse(("::1", server.port))
    assert re.fullmatch(r"\[::1\]:\d+", server.wait_record("opened")["peer"])


@ipv6
def test_a_port_alone_is_both(marceld):
    server = marceld("", listen=["0"])
    assert server.port > 0
    converse(("::1", server.port))
    converse(("127.0.0.1", server.port))
    # An IPv4 client is written as one.
    server.wait_record("opened", count=2)
    assert {re.sub(r":\d+$", "", record["peer"]) for record in server.records("opened")} \
        == {"[::1]", "127.0.0.1"}


def test_a_unix_socket(marceld, tmp_path):
    path = tmp_path / "marcel"
    server = marceld("", listen=[str(path)])
    assert server.addresses == [str(path)]
    converse(path)
    assert server.wait_record("opened")["peer"] == "unix"
    server.stop()
    assert not path.exists()


def test_an_abstract_unix_socket(marceld):
    name = f"marcel-test-{os.getpid()}-{time.monotonic_ns()}"
    server = marceld("", listen=[f"@{name}"])
    assert server.addresses == [f"@{name}"]
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"\0{name}")
        Peer(client).expect(GREETING).send("fin\n").expect_end(FAREWELL)


def test_a_unix_socket_left_by_a_killed_marceld_is_replaced(marceld, tmp_path):
    path = tmp_path / "marcel"
    killed = marceld("", listen=[str(path)])
    killed.process.kill()
    killed.wait(status=-9)
    assert path.exists()
    marceld("", listen=[str(path)])
    converse(path)


def test_a_unix_socket_in_use(marceld, tmp_path, ini):
    path = tmp_path / "marcel"
    marceld("", listen=[str(path)])
    second = run(MARCELD, "-c", ini(""), "-l", path)
    assert second.returncode == EXIT_OSERR
    assert str(path) in second.stderr.decode() and b"use" in second.stderr
    converse(path)


def test_a_file_in_the_way_stays(tmp_path, ini):
    path = tmp_path / "precious"
    path.write_text("precious")
    result = run(MARCELD, "-c", ini(""), "-l", path)
    assert result.returncode == EXIT_OSERR and str(path) in result.stderr.decode()
    assert path.read_text() == "precious"


def test_a_directory_that_is_not_there(tmp_path, ini):
    result = run(MARCELD, "-c", ini(""), "-l", tmp_path / "none" / "marcel")
    assert result.returncode == EXIT_OSERR and f"{tmp_path}/none/marcel" in result.stderr.decode()


def test_a_unix_path_with_blanks_and_accents(marceld, tmp_path):
    path = tmp_path / "un été à la mer"
    marceld("", listen=[str(path)])
    converse(path)


@pytest.mark.skipif(not os.path.exists("/dev/vsock"), reason="there is no vsock here")
def test_a_vsock_that_nobody_reaches(marceld):
    server = marceld("", listen=["vsock::0"])
    assert re.fullmatch(r"vsock:\d*:[1-9]\d*", server.addresses[0])


@pytest.mark.skipif(not vsock_to_myself(), reason="no vsock to this machine itself")
def test_a_vsock(marceld):
    server = marceld("", listen=["vsock:1:0"])
    cid, port = re.fullmatch(r"vsock:(\d+):(\d+)", server.addresses[0]).groups()
    client = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    client.connect((int(cid), int(port)))
    with Peer(client) as peer:
        peer.expect(GREETING).send("a\n").expect("a\n").send("fin\n").expect_end(FAREWELL)


@ipv6
def test_several_at_once(marceld, tmp_path):
    path = tmp_path / "marcel"
    server = marceld("", listen=["127.0.0.1:0", "[::1]:0", str(path), "127.0.0.1:0"])
    assert len(server.addresses) == 4
    for address in server.addresses:
        if address.startswith("/"):
            converse(path)
        else:
            host, _, port = address.rpartition(":")
            converse((host.strip("[]"), int(port)))


def test_listeners_of_the_configuration(marceld):
    server = marceld("[server]\nlisten = 127.0.0.1:0\n[listener autre]\nlisten = 127.0.0.1:0\n"
                     "greeting = autre\n", listen=[], wait=False)
    server.wait_ready(2)
    greetings = set()
    for address in server.addresses:
        with Peer(("127.0.0.1", int(address.rpartition(":")[2]))) as peer:
            greetings.add(peer.line())
            peer.send("fin\n").expect_end(FAREWELL)
    assert greetings == {GREETING, b"autre\n"}
    server.wait_record("opened", count=2)
    assert "autre" in [record.get("listener") for record in server.records("opened")]


def test_nothing_on_standard_output_but_where_it_is_ready(marceld):
    server = marceld("")
    converse(("127.0.0.1", server.port))
    server.stop()
    assert list(filter(None, server.out)) == [f"ready on 127.0.0.1:{server.port}\n".encode()]


# Handed over, as systemd does: descriptors from 3 on, and three variables

HAND_OVER = """
import os, sys
count = int(sys.argv[1])
os.environ["LISTEN_FDS"] = str(count)
os.environ["LISTEN_PID"] = str(os.getpid())
if sys.argv[2]:
    os.environ["LISTEN_FDNAMES"] = sys.argv[2]
os.execv(sys.argv[3], sys.argv[3:])
"""


class HandedOver:
    """Popen arguments that start a program with SOCKETS as systemd would."""

    def __init__(self, sockets, names=""):
        # Far above 3, so that no copy overwrites another on the way down.
        self.fds = [os.dup(each.fileno()) for each in sockets]
        self.prefix = [sys.executable, "-c", HAND_OVER, str(len(sockets)), names]
        moves = [(fd, 100 + i) for i, fd in enumerate(self.fds)]

        def place():
            for fd, above in moves:
                os.dup2(fd, above)
            for i, (_, above) in enumerate(moves):
                os.dup2(above, 3 + i, inheritable=True)
                os.close(above)

        self.popen = {"preexec_fn": place, "close_fds": False}

    def close(self):
        for fd in self.fds:
            os.close(fd)


def listening(family=socket.AF_INET, address=("127.0.0.1", 0)):
    made = socket.socket(family, socket.SOCK_STREAM)
    made.bind(address)
    made.listen(100)
    return made


def hand_over(marceld, config, sockets, names="", **options):
    handed = HandedOver(sockets, names)
    try:
        return marceld(config, listen=[], prefix=handed.prefix, wait=False, **handed.popen,
                       **options)
    finally:
        handed.close()


def test_sockets_of_systemd(marceld, tmp_path):
    path = tmp_path / "marcel"
    first, second = listening(), listening(socket.AF_UNIX, str(path))
    server = hand_over(marceld, "", [first, second], "un:deux")
    converse(first.getsockname())
    converse(path)
    server.wait_record("opened", count=2)
    assert {record["listener"] for record in server.records("opened")} == {"un", "deux"}
    server.stop()
    # The sockets are systemd's: the file stays, and clients wait in the queue.
    assert path.exists()
    with Peer(path):
        pass


def test_sockets_of_systemd_leave_no_others(marceld):
    # Exactly those: not what the configuration says.
    first = listening()
    server = hand_over(marceld, "[server]\nlisten = 192.0.2.1:1\n", [first])
    converse(first.getsockname())
    assert server.listening_sockets() == 1


def test_each_socket_has_the_face_of_its_name(marceld):
    sockets = [listening(), listening(), listening()]
    server = hand_over(
        marceld,
        "[dialogue]\ngreeting = tous\n[listener deux]\ngreeting = deux\nend_words = stop\n"
        "[listener trois]\nfarewell = adieu\n",
        sockets, "un:deux:trois")
    for made, greeting, word, farewell in (
            (sockets[0], b"tous\n", "fin\n", b"fin\n"), (sockets[1], b"deux\n", "stop\n", b"fin\n"),
            (sockets[2], b"tous\n", "fin\n", b"adieu\n")):
        peer = Peer(made.getsockname())
        peer.expect(greeting).send(word).expect_end(farewell)
    peer = Peer(sockets[1].getsockname())
    peer.expect(b"deux\n").send("fin\n").expect("fin\n").close()
    server.stop()


def test_clients_that_came_before_it_started(marceld):
    first = listening()
    early = [Peer(first.getsockname()) for _ in range(10)]
    for peer in early:
        peer.send("a\nfin\n")
    hand_over(marceld, "", [first])
    for peer in early:
        peer.expect_end(GREETING + b"a\n" + FAREWELL)


def test_a_connected_socket_is_refused_with_a_hint(marceld, ini):
    # What Accept=yes passes.
    with listening() as made, Peer(made.getsockname()) as client:
        accepted, _ = made.accept()
        handed = HandedOver([accepted], "connection")
        result = run(*handed.prefix, MARCELD, "-c", ini(""), **handed.popen)
        handed.close()
        assert client and result.returncode in (EXIT_USAGE, EXIT_OSERR, EXIT_CONFIG)
        assert b"Accept=" in result.stderr


def test_a_datagram_socket_is_refused(ini):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        handed = HandedOver([made], "paquets")
        result = run(*handed.prefix, MARCELD, "-c", ini(""), **handed.popen)
        handed.close()
        assert result.returncode in (EXIT_USAGE, EXIT_OSERR, EXIT_CONFIG)
        assert b"paquets" in result.stderr


activate = pytest.mark.skipif(not shutil.which("systemd-socket-activate"),
                              reason="systemd-socket-activate is not installed")


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def connect_when_there(port):
    """Connects to PORT as soon as somebody listens there."""
    def connected():
        try:
            return Peer(("127.0.0.1", port))
        except ConnectionRefusedError:
            return None
    return wait_until(connected, f"a listener on port {port}")


@activate
def test_systemd_socket_activate(marceld):
    ports = [free_port(), free_port()]
    server = marceld("[listener deux]\ngreeting = deux\n", listen=[], wait=False,
                     prefix=["systemd-socket-activate", "-l", f"127.0.0.1:{ports[0]}",
                             "-l", f"127.0.0.1:{ports[1]}", "--fdname=un:deux"], log="json")
    with connect_when_there(ports[0]) as peer:
        peer.expect(GREETING).send("a\n").expect("a\n").send("fin\n").expect_end(FAREWELL)
    converse(("127.0.0.1", ports[1]), b"deux\n")
    server.log = "mixed"  # systemd-socket-activate writes lines of its own
    server.stop()


@activate
def test_systemd_socket_activate_with_accept(ini):
    port = free_port()
    process = subprocess.Popen(
        ["systemd-socket-activate", "--accept", "-l", f"127.0.0.1:{port}", MARCELD, "-c", ini("")],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        with connect_when_there(port) as peer:
            assert GREETING not in peer.read_to_end()
    finally:
        process.terminate()
        _, said = process.communicate(timeout=PATIENCE)
    assert b"Accept=" in said


def test_the_mode_of_a_socket_file_follows_the_umask(marceld, tmp_path):
    path = tmp_path / "marcel"
    marceld("", listen=[str(path)], prefix=["/bin/sh", "-c", 'umask 077; exec "$@"', "sh"])
    assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
