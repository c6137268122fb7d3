"""Clients that mean harm, or are merely broken: they end themselves, and nobody else."""

import os
import random
import signal
import socket
import struct
import threading

import pytest

from daemon_tools import DEAF, FAREWELL, GREETING, PATIENCE, Peer, repeat, sanitizer, wait_until

QUIET = "[journal]\ntranscript = off\n"


class Bystander:
    """A well-behaved client that talks all the time and notices everything that is wrong."""

    def __init__(self, server):
        self.peer = server.connect()
        self.turns = 0
        self.fault = None
        self.over = threading.Event()
        self.begun = threading.Event()
        self.thread = threading.Thread(target=self.talk)

    def talk(self):
        try:
            while not self.over.is_set():
                self.turns += 1
                self.peer.send(f"{self.turns}\n").expect(f"{self.turns}\n")
                self.begun.set()
            self.peer.send("fin\n").expect_end(FAREWELL)
        except (AssertionError, OSError) as fault:
            self.fault = fault

    def __enter__(self):
        self.thread.start()
        self.begun.wait(PATIENCE)
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join(PATIENCE * 2)
        assert not self.thread.is_alive(), "a well-behaved client was not served any more"
        assert self.fault is None, self.fault
        assert self.turns > 1


@pytest.fixture
def server(marceld):
    """A server that is as it was before, once the test is over: no thread, no descriptor more."""
    made = marceld(QUIET + f"[dialogue]\nidle_timeout = 2s\n{DEAF}")
    fds, threads = made.fds(), made.threads()
    yield made
    for peer in made.peers:
        peer.close()
    wait_until(lambda: made.fds() <= fds, "the end of all sockets")
    wait_until(lambda: made.threads() <= threads, "the end of all threads")


def rush(work, count, workers=4):
    """Does WORK(number) COUNT times by several threads; faults of the network are expected."""
    def some(first):
        for number in range(first, count, workers):
            try:
                work(number)
            except OSError:
                pass

    threads = [threading.Thread(target=some, args=(first,)) for first in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_connects_and_resets(server):
    address = ("127.0.0.1", server.port)
    with Bystander(server):
        rush(lambda _: Peer(address).reset(), repeat(20000))


def test_thousands_of_connects(server):
    address = ("127.0.0.1", server.port)
    with Bystander(server):
        rush(lambda number: Peer(address, source=(f"127.0.0.{2 + number % 50}", 0)).close(),
             repeat(50000))


def test_resets_in_the_midst_of_everything(server):
    def work(number):
        peer = Peer(("127.0.0.1", server.port))
        peer.send([b"", b"a", b"a\n", b"a\n" * 5000, b"fin\n", b"x" * 100000][number % 6])
        if number % 4 == 1:
            peer.recv(1)
        if number % 4 == 2:
            peer.half_close()
        peer.reset()

    with Bystander(server):
        rush(work, repeat(10000))


def test_floods_that_nobody_reads(server):
    with Bystander(server):
        for _ in range(2):
            server.connect_deaf()
        # Their sockets are full; idle_timeout ends them.
        server.wait_record("closed", count=2, reason="unread")


def test_a_flood_of_lines_that_is_read(server):
    lines = b"x\n" * 5000
    with Bystander(server):
        def work(_):
            with server.connect() as peer:
                for _ in range(20):
                    peer.send(lines).expect(lines)
        rush(work, repeat(80))


def test_a_flood_without_a_line_end(server):
    with Bystander(server):
        def work(_):
            with server.connect() as peer:
                for _ in range(repeat(1000)):
                    peer.send(b"x" * 65536)
        rush(work, 4)
        server.wait_record("closed", count=4, reason="too-long")


def test_garbage(server):
    chance = random.Random(7)
    pieces = [chance.randbytes(chance.randrange(1, 5000)) for _ in range(100)]
    with Bystander(server):
        def work(number):
            with server.connect() as peer:
                for piece in pieces[number % 50:number % 50 + 50]:
                    peer.send(piece)
                peer.half_close().read_to_end()
        rush(work, repeat(500))


def test_one_byte_at_a_time_by_many(server):
    with Bystander(server):
        peers = [server.connect() for _ in range(100)]
        for byte in b"patience\n":
            for peer in peers:
                peer.send(bytes([byte]))
        for peer in peers:
            peer.expect("patience\n")


def test_urgent_bytes(server):
    with Bystander(server):
        peer = server.connect()
        for number in range(1000):
            peer.socket.send(b"!", socket.MSG_OOB if number % 2 else 0)
        peer.send("\n").expect(b"!" * 1000 + b"\n")


def test_tiny_windows(server):
    # A client that takes its answers by the byte, within what it is allowed.
    with Bystander(server):
        peer = Peer(("127.0.0.1", server.port), receive_buffer=1)
        peer.expect(GREETING).send("y" * 5000 + "\n")
        for _ in range(5000):
            assert peer.recv(1) == b"y"
        peer.expect("\n").close()


TCP_REPAIR = 19


def vanish(peer):
    """Closes the client's socket without a word on the wire: its host has lost power."""
    peer.socket.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    peer.close()


def may_vanish():
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
        return True
    except OSError:
        return False


@pytest.mark.skipif(not may_vanish(), reason="TCP_REPAIR needs CAP_NET_ADMIN")
def test_hosts_that_vanish(server):
    with Bystander(server):
        peers = [server.connect(greeting=b"") for _ in range(20)]
        for number, peer in enumerate(peers):
            peer.expect(GREETING)
            if number % 2:
                peer.send("a\n").expect("a\n")
            vanish(peer)
        # Nothing comes from them any more, not even an end: the idle timeout finds out.
        server.wait_record("closed", count=20)


def test_dead_peers_are_asked_for(marceld):
    # Keepalive and a user timeout are set on every client's socket: /proc shows the timer.
    server = marceld("")
    peer = server.connect()
    port = peer.socket.getsockname()[1]
    peer.send("a\n").expect("a\n")

    def timer():
        for line in open("/proc/net/tcp"):
            fields = line.split()
            if fields[1].endswith(f":{server.port:04X}") and fields[2].endswith(f":{port:04X}"):
                return fields[5]  # kind of timer: 02 is keepalive
        return None

    wait_until(lambda: (timer() or "").startswith("02"), "a keepalive timer")


def test_syn_and_nothing_else(server):
    # Connections that the client's side resets before they are accepted: accept() finds nobody.
    with Bystander(server):
        os.kill(server.pid, signal.SIGSTOP)  # the queue fills up
        try:
            for _ in range(100):
                Peer(("127.0.0.1", server.port)).reset()
            kept = [Peer(("127.0.0.1", server.port)) for _ in range(10)]
        finally:
            os.kill(server.pid, signal.SIGCONT)
        for peer in kept:
            peer.expect(GREETING).send("fin\n").expect_end(FAREWELL).close()


def test_a_frozen_daemon_loses_nobody(server):
    # SIGSTOP and SIGCONT, as a debugger or a suspended machine would.
    peers = [server.connect() for _ in range(20)]
    os.kill(server.pid, signal.SIGSTOP)
    for number, peer in enumerate(peers):
        peer.send(f"{number}\n")
    os.kill(server.pid, signal.SIGCONT)
    for number, peer in enumerate(peers):
        peer.expect(f"{number}\n")


def test_signals_that_mean_nothing(server):
    with Bystander(server):
        for number in (signal.SIGUSR1, signal.SIGPIPE, signal.SIGCHLD, signal.SIGWINCH):
            for _ in range(20):
                os.kill(server.pid, number)


def test_linger_with_reset_by_option(server):
    # A client whose socket is set to reset on close, in the midst of the farewell.
    with Bystander(server):
        for _ in range(repeat(500)):
            peer = Peer(("127.0.0.1", server.port))
            peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.send("a\nfin\nbehind\n")
            peer.recv(1)
            peer.close()


@pytest.mark.skipif(bool(sanitizer()), reason="a sanitizer's own memory would be measured")
def test_floods_take_bounded_memory(marceld):
    server = marceld(QUIET)
    before = server.resident()
    peak = before
    for _ in range(10):
        server.connect().send_until_blocked(b"x\n" * 5000)
        peak = max(peak, server.resident())
    # Ten clients whose answers nobody reads: buffers of a few hundred KB each at most.
    assert peak - before < 10 * (1 << 20)
