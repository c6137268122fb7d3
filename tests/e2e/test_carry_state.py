"""A responder's state goes on in the next process: with the test responder `trial`
(tests/responders/), which shows when a turn was lost, doubled or torn."""

import signal

import pytest

from daemon_tools import BUILD, FAREWELL, repeat, wait_until

TEST = BUILD / "tests/responders/marceld-test"
LATER = BUILD / "tests/responders/marceld-later"
TRIAL = "[dialogue]\nresponder = trial\n"
QUIET = "[journal]\ntranscript = off\n"


@pytest.fixture(name="trial")
def trial_fixture(manager):
    manager.program = TEST
    manager.config = TRIAL + QUIET
    manager.start()
    return manager


@pytest.fixture(name="again", params=["restart", "kill"])
def again_fixture(request):
    return lambda manager: getattr(manager, request.param)()


def long_reply(number, size):
    """What `long SIZE` is answered with as message NUMBER (letter() in trial.c)."""
    return bytes(97 + (number + i + i // 1000) % 26 for i in range(size)) + b"\n"


def test_the_count_goes_on(trial, again):
    peer = trial.connect()
    for number in range(1, repeat(60, least=6)):
        peer.send(f"n{number}\n").expect(f"{number} n{number}\n")
        again(trial)


def test_several_replies_at_once(trial, again):
    peer = trial.connect()
    for number in range(1, repeat(60, least=6)):
        peer.send("many 500 x\n").expect(f"{number}.1 many 500 x\n")
        again(trial)
        for part in range(2, 501):
            peer.expect(f"{number}.{part} many 500 x\n")


def test_a_reply_that_takes_several_calls(trial, again):
    # 12 MB in pieces, each call after the client has taken what came before.
    peer = trial.connect(receive_buffer=65536)
    size = 12_000_000
    wanted = long_reply(1, size)
    peer.send(f"long {size}\n")
    for start in range(0, size, size // 4):
        peer.expect(wanted[start:start + size // 4])
        again(trial)
    peer.expect(b"\n")
    peer.send("b\n").expect("2 b\n")


def test_a_timer_goes_on(trial, again):
    peer = trial.connect()
    peer.send("timer 50\n").expect("1 timer 50\n")
    for tick in range(1, repeat(60, least=8)):
        peer.expect(f"tick {tick}\n")
        if tick % 3 == 0:
            again(trial)
    # Started again, it would begin anew; the old one is due meanwhile.
    peer.send("timer 50\n")
    while (line := peer.line()) != b"2 timer 50\n":
        assert line.startswith(b"tick ")


def test_replies_before_a_close(trial, again):
    peer = trial.connect()
    peer.send("a\nclose\nnever answered\n").expect("1 a\n")
    again(trial)
    peer.expect_end(b"2 close\n")


def test_a_failing_responder(trial, again):
    peer, other = trial.connect(), trial.connect()
    peer.send("fail\n").expect_end(FAREWELL)
    again(trial)
    other.send("a\n").expect("1 a\n")


def crash_until_dropped(manager, reason="crashes"):
    """Starts daemons until one does not die any more, at most three; the record of the loss."""
    def lives_on():
        return daemon.records("not_carried", reason=reason) or daemon.process.poll() is not None

    for _ in range(3):
        manager.await_end(-signal.SIGABRT)
        daemon = manager.start(ready=False)
        wait_until(lives_on, "a daemon that dies or lives on")
        if daemon.process.poll() is None:
            return daemon.wait_record("not_carried", reason=reason)
    raise AssertionError("the third daemon dies as well")


def test_a_message_that_crashes_the_daemon(trial):
    others = [trial.connect() for _ in range(10)] + [trial.connect_unix() for _ in range(5)]
    guilty = trial.connect()
    trial.await_rest()
    guilty.send("crash\n")
    assert crash_until_dropped(trial)["peer"] == guilty.address()
    guilty.expect_end()
    for number, peer in enumerate(others):
        peer.send(f"{number}\n").expect(f"1 {number}\n")


def test_a_crash_is_forgotten_after_a_good_turn(trial):
    # Killed in the middle of a turn that lasts, more often than a guilty one may be.
    peer = trial.connect(receive_buffer=65536)
    for number in range(1, 7):
        peer.send(f"long {5_000_000}\n")
        trial.kill()
        peer.expect(long_reply(number, 5_000_000))
    assert not trial.daemon.records("not_carried")


@pytest.mark.parametrize("where", ["restore", "timer", "eof", "close"])
def test_a_trap(trial, where):
    # Crashes outside of an answer are counted like those in one.
    guilty, other = trial.connect(), trial.connect()
    guilty.send(f"trap {where}\n").expect(f"1 trap {where}\n")
    if where == "restore":
        trial.end(signal.SIGKILL)
        trial.start(ready=False)
    elif where == "eof":
        guilty.half_close()
    elif where == "close":
        guilty.send("fin\n")
    assert crash_until_dropped(trial)["peer"]
    # The responder closes its part before the client's connection ends.
    guilty.expect_end(FAREWELL if where == "close" else b"")
    other.send("a\n").expect("1 a\n")


def test_a_later_version_reads_the_state(trial, again):
    peer = trial.connect()
    peer.send("a\n").expect("1 a\n")
    trial.program = LATER
    again(trial)
    peer.send("b\n").expect("2 b\n")
    again(trial)
    peer.send("c\n").expect("3 c\n")
    # There is no way back: the earlier one says so, and ends the conversation.
    trial.program = TEST
    daemon = again(trial)
    peer.expect_end(FAREWELL)
    assert daemon.wait_record("closed")["reason"] == "responder-error"


def test_a_responder_that_is_gone(trial, again):
    trial.connect()
    peer = trial.connect()
    peer.send("a\n").expect("1 a\n")
    trial.program = BUILD / "src/marceld"
    trial.config = QUIET
    daemon = again(trial)
    peer.expect_end()
    daemon.wait_record("not_carried", 2, reason="no-responder")
    trial.connect().send("a\n").expect("a\n")


def test_another_responder_is_for_new_conversations(trial, again):
    peer = trial.connect()
    peer.send("a\n").expect("1 a\n")
    trial.config = QUIET
    again(trial)
    trial.connect().send("x\n").expect("x\n")
    peer.send("b\n").expect("2 b\n")
