"""Messages that kill the daemon or hang it, states that nobody survives reading, and daemons that
cannot start: each takes down as little as it can."""

import random

import pytest

from conftest import GREETING, Peer, of_kind, repeat
from crowd import TCP, UNIX, Crowd, await_ready, kill, kill_often, losses, prepare, restarts

TRIAL = "[dialogue]\nresponder = trial\n"
WATCHDOG = "WatchdogSec=2s\n"


@pytest.fixture(name="trial")
def trial_fixture(marcel):
    """Marcel with the test responder, and with a watchdog that soon bites."""
    prepare(marcel, "marceld-test", TRIAL, WATCHDOG)
    return marcel


def meet_unix(marcel):
    """A client of the unix socket that has been greeted."""
    peer = Peer.__new__(Peer)
    peer.socket = marcel.connect_unix(UNIX)
    peer.buffer = b""
    assert peer.line() == GREETING
    return peer


def rest(peer):
    """What comes until the connection ends, which takes as long as a few watchdogs."""
    peer.socket.settimeout(60)
    return peer.rest()


def not_carried(marcel):
    return marcel.journal(of_kind("NOT_CARRIED"), since=marcel.start_of_test)


def test_a_message_that_crashes_the_daemon(trial, meet):
    with Crowd(trial, TCP, clients=100, counted=True, batch=3) as innocent:
        guilty = meet()
        assert guilty.ask("a") == "1 a"
        guilty.say("crash")
        assert rest(guilty) == []
        await_ready(trial)
        innocent.finish()
    assert restarts(trial) in (2, 3)
    entries = not_carried(trial)
    assert {entry["MARCEL_REASON"] for entry in entries} == {"crashes"}
    assert entries[0]["MARCEL_PEER"] == guilty.address()
    assert guilty.address() in entries[0]["MESSAGE"]


def test_a_message_that_crashes_the_daemon_on_a_unix_socket(trial):
    with Crowd(trial, UNIX, clients=50, counted=True) as innocent:
        guilty = meet_unix(trial)
        assert guilty.ask("a") == "1 a"
        guilty.say("crash")
        assert rest(guilty) == []
        guilty.socket.close()
        await_ready(trial)
        innocent.finish(doubled=3)
    assert set(losses(trial)) == {"crashes"}


def test_several_that_crash_the_daemon_at_once(trial, meet):
    with Crowd(trial, TCP, clients=100, counted=True, batch=5) as innocent, \
            Crowd(trial, UNIX, clients=20, counted=True) as others:
        guilty = [meet() for _ in range(5)]
        for peer in guilty:
            peer.say("crash")
        for peer in guilty:
            assert rest(peer) == []
        await_ready(trial)
        innocent.finish()
        others.finish(doubled=restarts(trial))
    entries = not_carried(trial)
    # A record may come twice when the daemon dies just after sending it.
    assert {entry["MARCEL_PEER"] for entry in entries} == {peer.address() for peer in guilty}
    assert {entry["MARCEL_REASON"] for entry in entries} == {"crashes"}


def test_crashes_of_others_do_not_add_up(trial, meet):
    # Killed far more often than a guilty one may be, though never by its own turn.
    peer = meet()
    assert peer.ask("many 3") == "1.1 many 3"
    kill_often(trial, 6, random.Random(1), most=0.2)
    assert [peer.line(), peer.line()] == ["1.2 many 3", "1.3 many 3"]
    assert peer.ask("b") == "2 b"
    assert not losses(trial)


def test_a_message_that_hangs_the_daemon(trial, meet):
    with Crowd(trial, TCP, clients=100, counted=True, pause=50) as innocent:
        guilty = meet()
        assert guilty.ask("a") == "1 a"
        guilty.say("hang")
        assert rest(guilty) == []
        await_ready(trial)
        innocent.finish()
    assert restarts(trial) in (2, 3)
    assert set(losses(trial)) == {"crashes"}
    told = trial.journal(of_kind("STUCK"), since=trial.start_of_test)
    began = [entry for entry in trial.journal(of_kind("OPENED"), since=trial.start_of_test)
             if entry["MARCEL_PEER"] == guilty.address()]
    assert {entry["MARCEL_CONVERSATION"] for entry in told} == \
        {began[0]["MARCEL_CONVERSATION"]}
    assert len(told) >= restarts(trial)


def test_a_restart_does_not_wait_for_what_hangs(trial, meet):
    prepare(trial, "marceld-test", TRIAL)  # with the usual watchdog
    with Crowd(trial, TCP, clients=50, counted=True, pause=50) as innocent:
        guilty = meet()
        guilty.say("hang")
        assert innocent.figures()["answers"] > 0
        trial.run("systemctl restart marcel.service", timeout=20)
        trial.run("systemctl restart marcel.service", timeout=20)
        innocent.finish()
    assert not losses(trial)
    assert trial.show("marcel.service", "Result", "NRestarts") == ["success", "0"]


def test_a_state_that_kills_whoever_reads_it(trial, meet):
    peer = meet()
    bomb = meet()
    assert bomb.ask("trap restore") == "1 trap restore"
    kill(trial)
    assert rest(bomb) == []
    await_ready(trial)
    entries = not_carried(trial)
    assert {(entry["MARCEL_REASON"], entry["MARCEL_PEER"]) for entry in entries} == \
        {("crashes", bomb.address())}
    assert 2 <= restarts(trial) <= 4
    assert peer.ask("a") == "1 a"


# What the limit of starts is for: as many as there may be in a minute, fewer in a short run.
BROKEN = (f"[Unit]\nStartLimitBurst={repeat(200)}\n"
          "[Service]\nExecStart=\nExecStart=/bin/sh -c 'kill -ABRT $$$$'\n")


def check_failed(marcel):
    """The service gives up within a minute and says so; then a good daemon serves again."""
    marcel.wait_for(lambda: marcel.show("marcel.service", "ActiveState") == "failed",
                    "the service has failed", seconds=60, interval=0.5)
    status = marcel.run("systemctl status marcel.service", check=False).stdout
    assert "Active: failed" in status and "repeated too quickly" in status, status
    assert "marcel.service" in marcel.run("systemctl --failed --plain --no-legend").stdout


def is_let_go(peer):
    """Whether the client, which was told nothing more, sees the end of the connection."""
    peer.socket.settimeout(60)
    try:
        return peer.line() is None
    except ConnectionResetError:
        return True


def repair(marcel):
    marcel.run("systemctl reset-failed marcel.service marcel.socket; "
               "systemctl restart marcel.socket")
    with Peer(marcel) as peer:
        assert peer.line() == GREETING


def test_a_daemon_that_cannot_start(marcel):
    with marcel.drop_in("marcel.service", BROKEN):
        with Peer(marcel) as peer:
            check_failed(marcel)
            assert is_let_go(peer)
    repair(marcel)


def test_a_new_version_that_cannot_start(marcel, meet):
    peer = meet()
    assert peer.ask("a") == "a"
    with marcel.drop_in("marcel.service", BROKEN):
        marcel.run("systemctl restart marcel.service", check=False)
        check_failed(marcel)
        assert is_let_go(peer)
    repair(marcel)
