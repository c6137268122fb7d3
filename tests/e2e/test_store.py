"""A store that is not as the last daemon left it: tables from the future, truncated or spoilt, vaults
without tables, descriptors that are something else, another limit of descriptors.

Whatever it is: the daemon starts, says why somebody could not come along, and nobody is left hanging:
each client goes on or sees the end of its connection.
"""

import os
import random
import signal
import socket
import struct

import pytest

from daemon_tools import GREETING, repeat, wait_until
from manager import TABLES, VAULT_IN, VAULT_OUT
from table import COOKIE, GENERATION, IN_READ, TURN_FLAGS, TURN_HOLDS, TURN_SIZE, TURNS, Table

PAGE = 4096


@pytest.fixture(name="crowd")
def crowd_fixture(manager):
    """Six clients, of TCP and of a unix socket, in the middle of their dialogues; then SIGKILL."""
    manager.start()
    peers = [manager.connect() for _ in range(4)] + [manager.connect_unix() for _ in range(2)]
    for number, peer in enumerate(peers):
        peer.send(f"avant {number}\n").expect(f"avant {number}\n")
    manager.await_rest()
    manager.end(signal.SIGKILL)
    return peers


def goes_on(peer):
    """Whether PEER's conversation goes on; False when its connection is over. Nothing else."""
    try:
        peer.send("encore\n")
        got = peer.line()
    except ConnectionError:
        return False
    assert got in (b"encore\n", b""), got
    return got != b""


def check_service(manager):
    """It serves new clients, and carries them over: what was wrong is over with."""
    peers = [manager.connect(), manager.connect_unix()]
    manager.restart()
    for peer in peers:
        peer.send("après\n").expect("après\n")
    manager.await_rest()
    daemon = manager.kill()
    for peer in peers:
        peer.send("après\n").expect("après\n")
    assert not daemon.records("not_carried")
    wait_until(lambda: len(manager.state_names()) == 3, "three descriptors in the store")


def check_all_lost(manager, crowd, word=""):
    """The daemon starts without what was saved; the record of it has WORD."""
    daemon = manager.start()
    assert not any(map(goes_on, crowd))
    daemon.wait_record("not_carried")
    assert word in daemon.errors(), daemon.errors()
    check_service(manager)


# The table.

def test_an_untouched_store(manager, crowd):
    daemon = manager.start()
    assert all(map(goes_on, crowd))
    assert not daemon.records("not_carried")
    check_service(manager)


def test_a_table_from_the_future(manager, crowd):
    table = Table(manager.table())
    table.set_version(table.header["version"] + 1)
    check_all_lost(manager, crowd, f"version {table.header['version'] + 1}")


@pytest.mark.parametrize("size", [0, 1, 100, PAGE, 100 * PAGE, -PAGE, -1])
def test_a_truncated_table(manager, crowd, size):
    whole = os.fstat(manager.table()).st_size
    os.ftruncate(manager.table(), size if size >= 0 else whole + size)
    check_all_lost(manager, crowd)


def test_a_table_that_is_longer_than_it_says(manager, crowd):
    os.ftruncate(manager.table(), os.fstat(manager.table()).st_size + PAGE)
    check_all_lost(manager, crowd)


@pytest.mark.parametrize("what", ["noise", "zeroes", "text"])
def test_a_table_whose_header_is_something_else(manager, crowd, what):
    noise = {"noise": random.Random(1).randbytes(PAGE), "zeroes": bytes(PAGE),
             "text": b"marcel" * 600}[what]
    os.pwrite(manager.table(), noise, 0)
    check_all_lost(manager, crowd)


def test_a_table_that_was_never_completed(manager, crowd):
    Table(manager.table()).set_complete(0)
    check_all_lost(manager, crowd)


def test_one_conversation_that_makes_no_sense(manager, crowd):
    table = Table(manager.table())
    index = table.heads()[2]
    table.write(table.head_offset(index) + 48, b"\xff" * (table.header["head_size"] - 48))
    daemon = manager.start()
    assert sorted(map(goes_on, crowd)) == [False] + [True] * 5
    record = daemon.wait_record("not_carried")
    assert record["reason"] == "bad-state"
    check_service(manager)


def test_a_conversation_whose_echo_wants_no_message(manager, crowd):
    # It would never want one again.
    table = Table(manager.table())
    turns = table.head_offset(table.heads()[1]) + TURNS
    for where in (turns + TURN_FLAGS, turns + TURN_SIZE + TURN_FLAGS):
        flags = os.pread(table.fd, 1, where)[0]
        table.write(where, bytes([flags | TURN_HOLDS]))
    daemon = manager.start()
    assert sorted(map(goes_on, crowd)) == [False] + [True] * 5
    assert daemon.wait_record("not_carried")["reason"] == "bad-state"
    check_service(manager)


def test_a_conversation_with_another_socket(manager, crowd):
    table = Table(manager.table())
    index = table.heads()[0]
    table.write(table.head_offset(index) + COOKIE, struct.pack("<Q", 12345))
    daemon = manager.start()
    assert sorted(map(goes_on, crowd)) == [False] + [True] * 5
    assert daemon.wait_record("not_carried")["reason"] == "no-socket"
    check_service(manager)


def test_a_conversation_that_was_never_kept(manager, crowd):
    # As if the process had died between accepting it and keeping its socket: no loss is told.
    table = Table(manager.table())
    head = table.head_offset(table.heads()[0])
    begun = table.header["head_size"] - TURNS
    table.write(head + COOKIE, struct.pack("<Q", 12345))
    table.write(head + IN_READ, bytes(TURNS - IN_READ))
    table.write(head + TURNS, bytes(begun))
    daemon = manager.start()
    assert sorted(map(goes_on, crowd)) == [False] + [True] * 5
    manager.await_rest()
    assert not daemon.records("not_carried")
    check_service(manager)


def test_two_conversations_with_one_socket(manager, crowd):
    table = Table(manager.table())
    first, second = table.heads()[:2]
    cookie = os.pread(table.fd, 8, table.head_offset(first) + COOKIE)
    table.write(table.head_offset(second) + COOKIE, cookie)
    manager.start()
    alive = list(map(goes_on, crowd))
    assert alive.count(True) >= 4
    check_service(manager)


@pytest.mark.parametrize("seed", range(repeat(200, least=8)))
def test_noise_in_the_heads(manager, seed):
    # As many bytes as chance will have them, anywhere in what describes the conversations.
    noise = random.Random(seed)
    manager.start()
    crowd = [manager.connect() for _ in range(6)]
    for peer in crowd:
        peer.send("avant\n").expect("avant\n")
    manager.end(signal.SIGKILL)
    table = Table(manager.table())
    slots = table.heads()
    for _ in range(noise.choice([1, 3, 30, 300])):
        where = table.head_offset(noise.choice(slots)) + noise.randrange(table.header["head_size"])
        table.write(where, bytes([noise.choice([0, 1, 255, noise.randrange(256)])]))
    daemon = manager.start()
    for peer in crowd:
        # What a spoilt state says may be anything, but it ends or answers: nobody hangs.
        try:
            peer.send("encore\n")
            peer.line()
        except ConnectionError:
            pass
        peer.close()
    assert daemon.process.poll() is None, daemon.errors()
    manager.connect().send("x\n").expect("x\n")


def test_a_spoilt_ring_of_records(manager, crowd):
    table = Table(manager.table())
    table.write(table.header["ring_offset"], random.Random(2).randbytes(64 * 1024))
    manager.start()
    assert all(map(goes_on, crowd))
    check_service(manager)


# What belongs together is not there.

def test_a_vault_without_a_table(manager, crowd):
    manager.forget(*TABLES)
    check_all_lost(manager, crowd)


@pytest.mark.parametrize("missing", [(VAULT_IN,), (VAULT_OUT,), (VAULT_IN, VAULT_OUT)])
def test_a_table_without_a_vault(manager, crowd, missing):
    manager.forget(*missing)
    daemon = manager.start()
    # With an end of the pair still there, the sockets are, too: somebody has to let them go.
    assert not any(map(goes_on, crowd))
    daemon.wait_record("not_carried", 6, reason="no-socket")
    check_service(manager)


def test_an_empty_store(manager, crowd):
    manager.forget(*TABLES, VAULT_IN, VAULT_OUT)
    daemon = manager.start()
    assert not any(map(goes_on, crowd))
    assert not daemon.records("resumed")
    check_service(manager)


# Something else under the right name.

def pipe():
    """The reading end of a pipe nobody writes to."""
    ends = os.pipe()
    os.close(ends[1])
    return ends[0]


def own(one):
    return one.detach()


OTHERS = {
    "pipe": pipe,
    "file": lambda: os.open("/dev/null", os.O_RDWR),
    "directory": lambda: os.open("/", os.O_RDONLY),
    "memfd": lambda: os.memfd_create("other"),
    "datagrams": lambda: own(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)),
    "one end": lambda: own(socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)[0]),
    "listening": lambda: own(socket.create_server(("127.0.0.1", 0))),
}


@pytest.mark.parametrize("name", [VAULT_IN, VAULT_OUT])
@pytest.mark.parametrize("kind", sorted(set(OTHERS) - {"one end"}))
def test_a_vault_that_is_none(manager, crowd, name, kind):
    manager.put(name, OTHERS[kind]())
    daemon = manager.start()
    assert not any(map(goes_on, crowd))
    assert daemon.wait_record("not_carried")
    check_service(manager)


@pytest.mark.parametrize("kind", OTHERS)
def test_a_table_that_is_none(manager, crowd, kind):
    present = next(name for name in TABLES if manager.kept(name))
    manager.put(present, OTHERS[kind]())
    check_all_lost(manager, crowd)


def test_a_table_that_cannot_be_written(manager, crowd):
    present = next(name for name in TABLES if manager.kept(name))
    manager.put(present, os.open(f"/proc/self/fd/{manager.table()}", os.O_RDONLY))
    check_all_lost(manager, crowd)


@pytest.mark.parametrize("kind", sorted(set(OTHERS) - {"listening"}))
def test_a_name_that_nobody_knows(manager, crowd, kind):
    # As a later version may leave one: the earlier one has to start all the same.
    manager.put("marcel-something", OTHERS[kind]())
    manager.start()
    assert all(map(goes_on, crowd))


def test_two_tables(manager, crowd):
    # An old one as well, as after a crash in the middle of moving to a new one.
    present = next(name for name in TABLES if manager.kept(name))
    other = next(name for name in TABLES if name != present)
    old = os.memfd_create("old")
    os.ftruncate(old, os.fstat(manager.table()).st_size)
    os.pwrite(old, os.pread(manager.table(), PAGE, 0), 0)
    Table(old).write(GENERATION, struct.pack("<Q", 0))
    manager.put(other, old)
    manager.start()
    assert all(map(goes_on, crowd))
    check_service(manager)


@pytest.mark.parametrize("what", ["pipe", "another socket", "many"])
def test_something_else_in_the_vault(manager, crowd, what):
    with socket.socket(fileno=os.dup(manager.kept(VAULT_IN))) as vault:
        if what == "pipe":
            socket.send_fds(vault, [b"socket\0\0"], [pipe()])
        elif what == "another socket":
            socket.send_fds(vault, [b"socket\0\0"],
                            [own(one) for one in socket.socketpair()])
        else:
            descriptors = [os.open("/dev/null", os.O_RDONLY) for _ in range(200)]
            socket.send_fds(vault, [b"socket\0\0"], descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
    manager.start()
    assert all(map(goes_on, crowd))
    manager.restart()
    assert all(map(goes_on, crowd))


def test_a_message_without_descriptors_in_the_vault(manager, crowd):
    with socket.socket(fileno=os.dup(manager.kept(VAULT_IN))) as vault:
        vault.send(b"socket\0\0")
        vault.send(b"")
    manager.start()
    assert all(map(goes_on, crowd))
    check_service(manager)


# Another limit of descriptors.

LIMITS = [(300, 3000), (3000, 300)]


@pytest.mark.parametrize("first, then", LIMITS)
@pytest.mark.parametrize("how", ["restart", "kill"])
def test_another_limit(manager, first, then, how):
    manager.limit = first
    manager.start()
    peers = [manager.connect() for _ in range(40)] + [manager.connect_unix() for _ in range(10)]
    for number, peer in enumerate(peers):
        peer.send(f"moitié {number}")
    manager.await_rest()
    for limit in (then, first, then):
        manager.limit = limit
        daemon = getattr(manager, how)()
        assert daemon.wait_record("resumed")["carried"] == "50"
    for number, peer in enumerate(peers):
        peer.send(" et fin\n").expect(f"moitié {number} et fin\n")
    wait_until(lambda: len(manager.state_names()) == 3, "three descriptors in the store")


def test_a_limit_that_is_too_low(manager):
    manager.limit = 2000
    manager.start()
    peers = [manager.connect() for _ in range(300)]
    manager.limit = 200
    daemon = manager.restart()
    alive = sum(map(goes_on, peers))
    assert 50 <= alive < 200
    lost = int(daemon.wait_record("resumed")["lost"])
    assert alive + lost == 300
    # There is room again when some have gone.
    for peer in peers:
        peer.close()
    wait_until(lambda: manager.connect(greeting=b"").line() == GREETING, "a greeting")


def test_a_kill_in_the_middle_of_moving(manager):
    manager.limit = 300
    manager.start()
    peers = [manager.connect() for _ in range(20)]
    manager.limit = 1000
    manager.end(signal.SIGKILL)
    for _ in range(2):
        manager.start_and_kill()
    manager.limit = 500
    manager.start()
    assert all(map(goes_on, peers))
    check_service(manager)


# Nobody gets as far as READY.

def test_kills_before_it_is_ready(manager, crowd):
    for _ in range(3):
        manager.start_and_kill()
    manager.start()
    assert all(map(goes_on, crowd))
    for _ in range(3):
        manager.end(signal.SIGKILL)
        manager.start_and_kill()
        manager.start()
        # Who answers has forgotten the attempts; one that was only READY may have not.
        assert all(map(goes_on, crowd))


def test_a_table_that_kills_whoever_takes_it_over(manager, crowd):
    for _ in range(4):
        manager.start_and_kill()
    check_all_lost(manager, crowd, "Resuming failed")
