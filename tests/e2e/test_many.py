"""Many clients at once, and many one after the other: all are served, and nothing is left over."""

import random
import resource
import threading

import pytest

from daemon_tools import FAREWELL, GREETING, PATIENCE, repeat, sanitizer, wait_until

QUIET = "[journal]\ntranscript = off\n"


@pytest.fixture(autouse=True)
def descriptors():
    """A thousand clients are a thousand sockets of ours, too."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard != resource.RLIM_INFINITY and hard < 3000:
        pytest.skip(f"only {hard} descriptors")


def test_a_thousand_clients_half_of_them_silent(marceld):
    server = marceld(QUIET)
    threads = server.threads()
    clients = [server.connect(greeting=b"") for _ in range(1000)]
    silent, talking = clients[::2], clients[1::2]
    for peer in clients:
        peer.expect(GREETING)
    for turn in range(repeat(50)):
        for number, peer in enumerate(talking):
            peer.send(f"{turn} {number}\n")
        for number, peer in enumerate(talking):
            peer.expect(f"{turn} {number}\n")
    for peer in talking:
        peer.send("fin\n").expect_end(FAREWELL)
        peer.close()
    # The silent ones are still there, and are served when they speak.
    for peer in silent:
        peer.send("enfin\n").expect("enfin\n")
        peer.half_close().expect_end(FAREWELL)
        peer.close()
    server.wait_record("closed", count=1000)
    wait_until(lambda: server.threads() <= threads, "the end of all threads")


def test_a_thousand_clients_at_a_stop(marceld):
    server = marceld(QUIET)
    clients = [server.connect() for _ in range(1000)]
    for peer in clients[::3]:
        peer.send("a\n").expect("a\n")
    server.process.terminate()
    for peer in clients:
        peer.expect_end(FAREWELL)
        peer.close()
    server.wait()
    assert len(server.records("closed", reason="stop")) == 1000


# What a client can do up to any point of the dialogue, before it goes. Each gets a connected,
# not yet greeted peer.
POINTS = {
    "at once": lambda peer: None,
    "greeted": lambda peer: peer.expect(GREETING),
    "in a message": lambda peer: peer.send("bonj"),
    "in a line": lambda peer: peer.send("a\nbonj").expect(GREETING + b"a\n"),
    "as raw": lambda peer: peer.send("a").expect(GREETING + b"a"),
    "in raw": lambda peer: peer.send("a").expect(GREETING + b"a").send("b"),
    "answered": lambda peer: peer.send("a\n").expect(GREETING + b"a\n"),
    "not answered": lambda peer: peer.send("a\n"),
    "many not answered": lambda peer: peer.send("a\n" * 10000),
    "half-closed": lambda peer: peer.send("a\n").half_close(),
    "at the farewell": lambda peer: peer.send("fin\n"),
    "after the farewell": lambda peer: peer.send("fin\n").expect(GREETING + FAREWELL),
    "after the end": lambda peer: peer.send("fin\n").expect_end(GREETING + FAREWELL),
    "behind the end": lambda peer: peer.send("fin\n" + "x" * 100000),
    "too long": lambda peer: peer.send("x" * 200000),
}
WAYS = {"close": lambda peer: peer.close(), "reset": lambda peer: peer.reset()}


def come_and_go(server, point, way):
    peer = server.connect(greeting=b"")
    server.peers.remove(peer)
    try:
        POINTS[point](peer)
    except (ConnectionResetError, BrokenPipeError):
        assert point in ("behind the end", "too long")  # more than marceld has to put up with
    WAYS[way](peer)


def warm_up(server):
    """
    Some memory of those who have gone is kept for those who come: makes all of it be in use, so
    that what grows afterwards grows for ever.
    """
    crowd = [server.connect() for _ in range(100)]
    line = b"x" * 60000 + b"\n"
    for peer in crowd:
        peer.send(line).expect(line)
    for peer in crowd:
        peer.close()
    server.peers.clear()
    wait_until_all_are_gone(server)


def wait_until_all_are_gone(server):
    """Every conversation that began has ended: records, threads, descriptors."""
    def gone():
        return len(server.records("opened")) == len(server.records("closed"))
    wait_until(gone, "the end of all conversations")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("point", POINTS)
def test_coming_and_going_leaks_nothing(marceld, point, way):
    server = marceld(QUIET + "[dialogue]\nraw_pause = 1ms\n[limits]\nper_address = 0\n")
    alone = server.threads()
    warm_up(server)
    for _ in range(100):
        come_and_go(server, point, way)
    wait_until_all_are_gone(server)
    wait_until(lambda: server.threads() <= alone, "the end of the first threads")
    fds, threads, memory = server.fds(), server.threads(), server.resident()
    for _ in range(100):
        come_and_go(server, point, way)
    wait_until_all_are_gone(server)
    wait_until(lambda: server.threads() <= threads, "the end of all threads")
    wait_until(lambda: server.fds() <= fds, "the end of all sockets")
    if not sanitizer():
        assert server.resident() - memory < 1 << 20


def test_memory_does_not_grow_with_the_number_of_conversations(marceld):
    server = marceld(QUIET + "[dialogue]\nraw_pause = 1ms\n")
    warm_up(server)
    chance = random.Random(1)
    points, ways = list(POINTS), list(WAYS)

    def round_of(count):
        for _ in range(count):
            come_and_go(server, chance.choice(points), chance.choice(ways))
        wait_until_all_are_gone(server)
        return server.resident()

    first = round_of(300)
    last = round_of(repeat(5000))
    if not sanitizer():
        # Records are kept in a ring of which a few hundred bytes more are used by each.
        assert last - first < (2 << 20) + 1024 * repeat(5000)


def test_crowds_that_come_and_go_at_once(marceld):
    server = marceld(QUIET)
    threads, fds = server.threads(), server.fds()
    for _ in range(repeat(20)):
        crowd = [server.connect(greeting=b"") for _ in range(200)]
        for number, peer in enumerate(crowd):
            peer.send([b"a\n", b"", b"fin\n"][number % 3])
        for number, peer in enumerate(crowd):
            if number % 2:
                peer.reset()
            else:
                peer.close()
        server.peers.clear()
    wait_until_all_are_gone(server)
    wait_until(lambda: server.threads() <= threads and server.fds() <= fds, "the end of them all")


def test_clients_in_parallel(marceld):
    server = marceld(QUIET)
    faults = []

    def talk(number):
        try:
            for turn in range(repeat(200)):
                with server.connect() as peer:
                    lines = f"{number} {turn}\nà toi\n"
                    peer.send(lines).expect(lines).send("fin\n").expect_end(FAREWELL)
        except (AssertionError, OSError) as fault:
            faults.append(fault)

    clients = [threading.Thread(target=talk, args=(number,)) for number in range(16)]
    for client in clients:
        client.start()
    for client in clients:
        client.join(PATIENCE * 2)
    assert not faults


def test_each_conversation_has_its_number(echo):
    for _ in range(20):
        echo.connect().send("fin\n").expect_end(FAREWELL)
    echo.wait_record("closed", count=20)
    numbers = [record["conversation"] for record in echo.records("opened")]
    assert len(set(numbers)) == 20
    assert len({record["conversation_id"] for record in echo.records("opened")}) == 20
    assert sorted(numbers) == sorted(record["conversation"] for record in echo.records("closed"))
