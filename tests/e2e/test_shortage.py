"""When descriptors, threads or room run out: those who converse are served, the daemon waits
without spinning, says so once in a while, and accepts again when it can."""

import os
import resource
import shutil
import signal
import tempfile
import time
from pathlib import Path

import pytest

from daemon_tools import (FAREWELL, GREETING, GREETING_TEXT, MARCELD, Peer, effective, repeat,
                          sanitizer, wait_until)
from operator_tools import Channel

QUIET = "[journal]\ntranscript = off\n"

prlimit = pytest.mark.skipif(not shutil.which("prlimit"), reason="prlimit is not installed")


def greeted(peer):
    return peer.has_data()


def crowd(server, count):
    """COUNT clients; gives those who were greeted, and those whom nobody has answered."""
    peers = [server.connect(greeting=b"") for _ in range(count)]
    server.wait_record("shortage")
    # Those who were accepted last may not have been greeted yet: on a busy machine, many.
    wait_until(lambda: sum(map(greeted, peers)) >= 5, "a greeting for some")
    served = [peer for peer in peers if greeted(peer)]
    waiting = [peer for peer in peers if peer not in served]
    for peer in served:
        peer.expect(GREETING)
    return served, waiting


def serves(peers):
    for number, peer in enumerate(peers):
        peer.send(f"{number}\n").expect(f"{number}\n")


def uses_no_cpu(server, seconds=2):
    """It must not spin while it waits: a loop would use all of the time it is watched."""
    before = server.cpu_seconds()
    time.sleep(seconds)  # watching it is the test; being slow makes it no stricter
    assert server.cpu_seconds() - before < seconds / 10


def recovers(server, served, waiting):
    """As some leave, the waiting ones come in, and then anybody."""
    for peer in served:
        peer.send("fin\n").expect_end(FAREWELL)
        peer.close()
    for peer in waiting:
        peer.expect(GREETING).send("enfin\n").expect("enfin\n").send("fin\n").expect_end(FAREWELL)
        peer.close()
    server.connect().send("fin\n").expect_end(FAREWELL)
    assert 1 <= len(server.records("shortage")) <= 2


def run_out(server, count):
    served, waiting = crowd(server, count)
    assert len(served) >= 5 and len(waiting) >= 5
    serves(served)
    uses_no_cpu(server)
    serves(served)
    recovers(server, served, waiting)


@prlimit
def test_no_descriptors_left(marceld):
    server = marceld(QUIET, prefix=["prlimit", "--nofile=64:64"])
    run_out(server, 100)


@prlimit
def test_no_descriptors_left_and_clients_that_give_up(marceld):
    server = marceld(QUIET, prefix=["prlimit", "--nofile=64:64"])
    served, waiting = crowd(server, 100)
    for peer in waiting:
        peer.reset()
    serves(served)
    recovers(server, served, [])
    server.wait_record("recovered")


@prlimit
def test_no_descriptors_left_again_and_again(marceld):
    server = marceld(QUIET, prefix=["prlimit", "--nofile=64:64"])
    for _ in range(repeat(20, least=3)):
        peers = [server.connect(greeting=b"") for _ in range(100)]
        for peer in peers:
            peer.send("a\nfin\n")
        for peer in peers:
            peer.expect_end(GREETING + b"a\n" + FAREWELL)
            peer.close()
    assert len(server.records("shortage")) <= 2


@prlimit
def test_a_stop_without_descriptors(marceld):
    server = marceld(QUIET, prefix=["prlimit", "--nofile=64:64"])
    served, _ = crowd(server, 100)
    server.process.terminate()
    for peer in served:
        peer.expect_end(FAREWELL)
    server.wait()


@prlimit
def test_a_reload_without_descriptors(marceld):
    # It can't read the file; nothing changes, and it says why.
    server = marceld(QUIET, prefix=["prlimit", "--nofile=64:64"])
    served, _ = crowd(server, 100)
    server.signal(signal.SIGHUP)
    wait_until(lambda: server.records("reload_failed") or server.records("reloaded"), "an answer")
    serves(served)


@prlimit
def test_the_soft_limit_is_raised(marceld):
    server = marceld(QUIET, prefix=["prlimit", "--nofile=64:1000"])
    peers = [server.connect() for _ in range(200)]
    serves(peers)
    assert not server.records("shortage")


# A user without a name and so without other threads, also when such tests run side by side.
SOMEBODY = 100000000 + os.getpid()


@pytest.fixture
def public_marceld():
    """marceld where another user may run it."""
    directory = Path(tempfile.mkdtemp(prefix="marcel-test-", dir="/tmp"))
    directory.chmod(0o755)
    shutil.copy(MARCELD, directory / "marceld")
    (directory / "marceld").chmod(0o755)
    (directory / "marcel.ini").write_text(QUIET)
    yield directory
    shutil.rmtree(directory)


@prlimit
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user of its own")
def test_no_threads_left(marceld, public_marceld):
    server = marceld(
        QUIET, program=public_marceld / "marceld", config_file=False,
        prefix=["setpriv", f"--reuid={SOMEBODY}", f"--regid={SOMEBODY}", "--clear-groups",
                "prlimit", "--nproc=30:30"],
        args=["-c", str(public_marceld / "marcel.ini")], cwd=public_marceld)
    run_out(server, 60)


@pytest.mark.skipif(bool(sanitizer()), reason="a sanitizer needs the address space for itself")
def test_no_memory_left(marceld):
    # Address space, that is; the stacks of threads are made of it.
    server = marceld(QUIET)
    served = [server.connect() for _ in range(10)]
    soft, hard = resource.prlimit(server.pid, resource.RLIMIT_AS)
    resource.prlimit(server.pid, resource.RLIMIT_AS, (64 << 20, hard))
    more = [server.connect(greeting=b"") for _ in range(20)]
    serves(served)
    uses_no_cpu(server)
    serves(served)
    resource.prlimit(server.pid, resource.RLIMIT_AS, (soft, hard))
    for peer in more:
        peer.expect(GREETING)
    serves(more)


# Limits that the administrator sets


def limited(marceld, ini, text):
    """A server with limits, and what it tells those whom it refuses."""
    return marceld(text), effective(ini(text))["limits", "refusal"].encode() + b"\n"


def test_the_limit_of_conversations(marceld, ini):
    server, refusal = limited(marceld, ini, "[limits]\nconversations = 3\n")
    assert len(refusal) > 1
    peers = [server.connect() for _ in range(3)]
    for _ in range(3):
        server.connect(greeting=b"").expect_end(refusal)
    record = server.wait_record("refused", count=3)
    assert record["reason"] == "full" and record["peer"].startswith("127.0.0.1:")
    serves(peers)
    peers.pop().send("fin\n").expect_end(FAREWELL).close()
    wait_until(lambda: room(server), "room for one more")
    server.wait_record("opened", count=4)


def room(server):
    peer = server.connect(greeting=b"")
    return peer.line() == GREETING


def test_a_refused_client_that_has_already_spoken(marceld, ini):
    # Its words lie unread when it is sent away: it still gets the reason, not a reset.
    server, refusal = limited(marceld, ini, "[limits]\nconversations = 1\n")
    server.connect()
    for _ in range(repeat(200)):
        with server.connect(greeting=b"") as peer:
            peer.send("bonjour, y a-t-il quelqu'un ?\n")
            peer.expect_end(refusal)


def test_refused_clients_leave_nothing(marceld, ini):
    server, refusal = limited(marceld, ini, "[limits]\nconversations = 1\n")
    server.connect()
    fds, threads = server.fds(), server.threads()
    for _ in range(100):
        with server.connect(greeting=b"") as peer:
            peer.expect_end(refusal)
    server.wait_record("refused", count=100)
    wait_until(lambda: server.fds() <= fds and server.threads() <= threads, "their end")


def test_the_limit_by_address(marceld, ini):
    server, refusal = limited(marceld, ini, "[limits]\nper_address = 2\n")
    here = [server.connect() for _ in range(2)]
    server.connect(greeting=b"").expect_end(refusal)
    assert server.wait_record("refused")["reason"] == "address-limit"
    # Others are not concerned.
    there = [server.connect(source=("127.0.0.2", 0)) for _ in range(2)]
    server.connect(greeting=b"", source=("127.0.0.2", 0)).expect_end(refusal)
    serves(here + there)


def test_a_refusal_without_words(marceld):
    server = marceld("[limits]\nconversations = 1\nrefusal =\n")
    server.connect()
    server.connect(greeting=b"").expect_end(b"")
    server.wait_record("refused")


def test_limits_of_one_listener(marceld):
    server = marceld("[server]\nlisten = 127.0.0.1:0\n[listener un]\nlisten = 127.0.0.1:0\n"
                     "greeting = un\nconversations = 1\nrefusal = non\n", listen=[], wait=False)
    server.wait_ready(2)
    kept = []
    first = {}
    for address in server.addresses:
        target = ("127.0.0.1", int(address.rpartition(":")[2]))
        kept.append(Peer(target))
        first[kept[-1].line()] = target
    assert set(first) == {GREETING, b"un\n"}
    Peer(first[b"un\n"]).expect_end(b"non\n")
    Peer(first[GREETING]).expect(GREETING)


@pytest.mark.parametrize("responder", ["fifo", "script"])
def test_operators_are_not_shut_out(marceld, tmp_path, responder):
    """Each of those who talk to operators needs a FIFO, too: a crowd leaves room for all of that."""
    directory = tmp_path / "operator"
    script = tmp_path / "hand.script"
    script.write_text(f'marcel-script 1\nframe line lf\non connect\n    say "{GREETING_TEXT}"\n'
                      "    hand fifo stay\n")
    server = marceld(f"[dialogue]\nresponder = {responder}\n[fifo]\ndirectory = {directory}\n"
                     + (f"[script]\nfile = {script}\n" if responder == "script" else ""),
                     preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256)))
    channel = Channel(directory)
    peers = [server.connect(greeting=b"") for _ in range(200)]
    server.wait_record("shortage")
    wait_until(lambda: len(channel.find("opened")) == 64, "64 conversations")
    served = [peer for peer in peers if greeted(peer)]
    served[0].expect(GREETING).send("hello\n")
    event = channel.wait("message", text="hello")
    channel.write("yes", event.conversation)
    served[0].expect(b"yes\n")
    assert not channel.find("trouble")
