"""A stop and a shutdown: each client gets its farewell, also one that was carried over, and nobody
can hold it up."""

import fcntl
import socket
import struct
import termios

import pytest

from conftest import GREETING, Peer, copy_packages, of_kind
from crowd import TCP, TCP6, UNIX, Crowd, await_ready, kill, losses, prepare
from testbed.machine import Machine
from testbed.roots import boot_root

STOP = "systemctl stop marcel.service marcel.socket"


def unread(peer):
    """How many bytes wait for PEER to read them."""
    return struct.unpack("i", fcntl.ioctl(peer.socket, termios.FIONREAD, bytes(4)))[0]


def make_deaf(peer):
    """PEER reads nothing any more, and owes nothing: it has sent until nothing went.

    That is so when for three waits on end nothing was taken and nothing came, with answers waiting:
    on a busy machine a daemon may well be quiet for the time of one.
    """
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer.socket.settimeout(1)
    line = b"une ligne de plus\n" * 1000
    sent, waits, seen = 0, 0, -1
    while waits < 3:
        try:
            # A line that was begun is ended, or the rest would be another message.
            sent += peer.socket.send(line[sent % len(line):])
            waits = 0
        except TimeoutError:
            now = unread(peer)
            waits = waits + 1 if now == seen and now > 0 else 0
            seen = now


def check_stopped(marcel):
    assert marcel.show("marcel.service", "Result", "ExecMainCode", "ExecMainStatus") == \
        ["success", "1", "0"]
    assert marcel.show("marcel.service", "ActiveState") == "inactive"
    assert not losses(marcel)


def check_farewells(crowd):
    """Every client of CROWD saw its farewell and the end, and nothing wrong before."""
    figures = crowd.await_figures(lambda now: now["live"] == 0, "all connections are over")
    assert figures["dismissed"] == crowd.clients, (figures, crowd.told())
    assert [figures[name] for name in ("lost", "doubled", "garbled", "broken", "early")] == \
        [0] * 5, (figures, crowd.told())


def test_farewells_under_load(marcel):
    prepare(marcel)
    with Crowd(marcel, TCP, clients=100, batch=5) as quick, \
            Crowd(marcel, TCP6, clients=50, pause=30) as calm, \
            Crowd(marcel, UNIX, clients=50) as local:
        marcel.run(STOP)
        check_stopped(marcel)
        for crowd in (quick, calm, local):
            check_farewells(crowd)
    ended = marcel.journal(of_kind("CLOSED"), since=marcel.start_of_test)
    assert {entry["MARCEL_REASON"] for entry in ended} == {"stop"}


@pytest.mark.parametrize("before", ["restart", "kill"])
def test_farewells_of_those_that_were_carried_over(marcel, before):
    prepare(marcel)
    with Crowd(marcel, TCP, clients=50, batch=5) as crowd:
        if before == "restart":
            marcel.run("systemctl restart marcel.service")
        else:
            kill(marcel)
            marcel.wait_for(lambda: marcel.show("marcel.service", "NRestarts") == "1", "it is back")
        await_ready(marcel)
        marcel.run(STOP)
        check_stopped(marcel)
        check_farewells(crowd)


def test_a_client_that_does_not_read_cannot_hold_it_up(marcel, meet):
    prepare(marcel, config="[server]\nstop_timeout = 2s\n")
    deaf = [meet() for _ in range(5)]
    for peer in deaf:
        make_deaf(peer)
    with Crowd(marcel, TCP, clients=50, batch=5) as crowd:
        # Carried over, they are as deaf as before.
        marcel.run("systemctl restart marcel.service")
        marcel.run(STOP, timeout=20)
        check_stopped(marcel)
        check_farewells(crowd)
    reasons = {entry["MARCEL_PEER"]: entry["MARCEL_REASON"]
               for entry in marcel.journal(of_kind("CLOSED"), since=marcel.start_of_test)}
    # The kernel may have room for the few bytes of a farewell, although the client reads nothing.
    assert {reasons[peer.address()] for peer in deaf} <= {"stop", "stop-deadline"}
    for peer in deaf:
        # Reset at once, not kept by whoever still holds a duplicate of the socket.
        peer.socket.settimeout(30)
        with pytest.raises(ConnectionResetError):
            while peer.socket.recv(1 << 20):
                pass


def test_a_conversation_that_hangs_cannot_hold_it_up(marcel, meet):
    prepare(marcel, "marceld-test",
            "[dialogue]\nresponder = trial\n[server]\nstop_timeout = 1s\n")
    hanging = meet()
    hanging.say("hang")
    with Crowd(marcel, TCP, clients=50, counted=True) as crowd:
        marcel.run(STOP, timeout=25)
        assert marcel.show("marcel.service", "Result") == "success"
        check_farewells(crowd)
    # What it left is of no more use: the store is empty.
    marcel.run("systemctl start marcel.socket")
    assert meet().ask("a") == "1 a"


def test_a_stop_of_the_socket_ends_the_service_too(marcel, meet):
    peer = meet()
    marcel.run("systemctl stop marcel.socket")
    assert peer.rest() == ["fin"]
    assert marcel.show("marcel.service", "ActiveState") == "inactive"


def test_a_stop_leaves_nothing_to_carry_over(marcel, meet):
    peer = meet()
    marcel.run("systemctl stop marcel.service")
    assert peer.rest() == ["fin"]
    assert marcel.show("marcel.service", "NFileDescriptorStore") == "0"
    assert meet().ask("a") == "a"
    assert not marcel.journal(of_kind("RESUMED"), since=marcel.start_of_test)


def test_a_shutdown(release, logs):
    # Of a system of its own, which ends with it.
    with Machine(boot_root(release), logs[0] / f"shutdown-{release}") as system:
        system.install(copy_packages(system, release))
        system.write("/etc/systemd/system/marcel.socket.d/unix.conf",
                     f"[Socket]\nListenStream={UNIX}\n")
        system.run("systemctl daemon-reload && systemctl restart marcel.socket")
        peers = [Peer(system) for _ in range(60)]
        for _ in range(20):
            peer = Peer.__new__(Peer)
            peer.socket, peer.buffer = system.connect_unix(UNIX), b""
            peers.append(peer)
        assert {peer.line() for peer in peers} == {GREETING}
        deaf = Peer(system)
        make_deaf(deaf)
        # Some of them were carried over before.
        system.run("systemctl restart marcel.service")
        assert peers[0].ask("a") == "a"
        nspawn = system.scope.process
        system.popen("systemctl poweroff")
        ends = [peer.rest() for peer in peers]
        assert ends == [["fin"]] * len(peers)
        nspawn.wait(60)
        for peer in [*peers, deaf]:
            peer.socket.close()
