"""SIGKILL at random moments: exactly once on TCP; on unix sockets, connected, and at most the turn
in flight repeated."""

import random
import time

import pytest

from conftest import repeat
from crowd import (FAULTS, TCP, TCP6, UNIX, Crowd, await_ready, crowds, handovers, kill,
                   kill_often, losses, prepare, restarts, summary)

KILLS = repeat(100, least=8)
# Megabytes at a time, read slowly.
HUGE = {"clients": 10, "size": 60000, "batch": 120, "slow": 20000}
SEED = 20260


def check_losses(marcel):
    """Nobody was lost, and the service never gave up."""
    assert not losses(marcel)
    assert all(one["lost"] == 0 for one in handovers(marcel))
    assert marcel.show("marcel.service", "ActiveState") == "active"
    assert marcel.show("marcel.socket", "ActiveState") == "active"


def report(record_property, marcel, name, figures):
    seen = summary(*figures)
    freezes = [one["freeze_usec"] for one in handovers(marcel)]
    text = f"{KILLS} kills: {seen}, longest freeze {max(freezes, default=0) // 1000} ms"
    record_property(name, text)
    print(f"{name}, {text}")


def test_kills_under_load(marcel, record_property):
    prepare(marcel)
    # 200 clients that stay, on TCP, one line or several in a segment.
    with crowds(marcel, (TCP, {"clients": 80, "batch": 5}), (TCP6, {"clients": 60, "batch": 3}),
                (TCP, {"clients": 60, "pause": 20, "size": 3000})) as all_of_them:
        kill_often(marcel, KILLS, random.Random(SEED))
        figures = [crowd.finish() for crowd in all_of_them]
    # The manager may count the last one only after kill_often() has looked: then there is one more.
    assert restarts(marcel) in (KILLS, KILLS + 1)
    check_losses(marcel)
    report(record_property, marcel, "load", figures)


def test_kills_with_unix_sockets(marcel, record_property):
    prepare(marcel)
    with crowds(marcel, (UNIX, {"clients": 60, "batch": 5}),
                (UNIX, {"clients": 40, "pause": 10, "size": 3000}),
                (UNIX, {"clients": 20, "churn": 4})) as all_of_them:
        kill_often(marcel, KILLS, random.Random(SEED + 1))
        figures = [crowd.finish(doubled=KILLS, early=True) for crowd in all_of_them]
    check_losses(marcel)
    report(record_property, marcel, "unix", figures)


def test_kills_with_unix_clients_that_read_slowly(marcel, record_property):
    prepare(marcel)
    with crowds(marcel, (UNIX, HUGE), (UNIX, {"clients": 20, "size": 30000, "batch": 4,
                                              "slow": 2000})) as all_of_them:
        kill_often(marcel, KILLS, random.Random(SEED + 7))
        # An answer that was half sent is sent again as a whole; that counts as one that came again.
        figures = [crowd.finish(doubled=KILLS) for crowd in all_of_them]
    check_losses(marcel)
    report(record_property, marcel, "unix, slow readers", figures)


def test_kills_while_clients_come_and_go(marcel, record_property):
    prepare(marcel)
    # All of them in the queue of the socket again and again; the ones that come and go fill the
    # vault, so that it is cleaned several times a second, with the sockets of those that stay.
    with crowds(marcel, (TCP, {"clients": 300, "pause": 200}), (TCP, {"clients": 60, "churn": 4}),
                (TCP6, {"clients": 40, "churn": 1})) as all_of_them:
        kill_often(marcel, KILLS, random.Random(SEED + 2))
        stayed = all_of_them[0].finish()
        came = [crowd.finish(early=True) for crowd in all_of_them[1:]]
    check_losses(marcel)
    # Only one that has not seen its greeting may see the end of file, and hardly anybody does.
    early = sum(figures["early"] for figures in came)
    assert early <= KILLS / 5 + 5, f"{early} early ends in {KILLS} kills"
    report(record_property, marcel, "coming and going", [stayed, *came])


def test_kills_with_clients_that_read_slowly(marcel, record_property):
    prepare(marcel)
    # What they are owed is larger than the buffers between: the daemon dies in send().
    with crowds(marcel, (TCP, HUGE), (TCP6, {**HUGE, "slow": 5000}),
                (TCP, {"clients": 20, "size": 30000, "batch": 4, "slow": 2000})) as all_of_them:
        kill_often(marcel, KILLS, random.Random(SEED + 3))
        figures = [crowd.finish() for crowd in all_of_them]
    check_losses(marcel)
    report(record_property, marcel, "slow readers", figures)


def test_kills_during_restarts(marcel, record_property):
    prepare(marcel)
    moments = random.Random(SEED + 4)
    with crowds(marcel, (TCP, {"clients": 100, "batch": 5}), (TCP, {"clients": 20, "churn": 3}),
                (UNIX, {"clients": 20})) as all_of_them:
        for _ in range(KILLS):
            with marcel.running("systemctl restart marcel.service") as job:
                time.sleep(moments.uniform(0, 0.25))
                kill(marcel)
                job.wait(60)
            await_ready(marcel)
        figures = [all_of_them[0].finish(), all_of_them[1].finish(early=True),
                   all_of_them[2].finish(doubled=KILLS)]
    check_losses(marcel)
    report(record_property, marcel, "kill during a restart", figures)


def test_kills_one_after_another(marcel):
    # The daemon hardly ever gets as far as READY.
    prepare(marcel)
    with crowds(marcel, (TCP, {"clients": 50, "batch": 3}),
                (UNIX, {"clients": 20})) as all_of_them:
        for _ in range(3):
            marcel.run("for i in 1 2 3; do systemctl kill --signal=KILL marcel.service; done")
            await_ready(marcel)
            all_of_them[0].ask()
        all_of_them[0].finish()
        all_of_them[1].finish(doubled=9)
    check_losses(marcel)


def test_the_state_of_a_responder_survives(marcel, record_property):
    prepare(marcel, "marceld-test", "[dialogue]\nresponder = trial\n")
    with crowds(marcel, (TCP, {"clients": 60, "counted": True, "batch": 5}),
                (TCP6, {"clients": 30, "counted": True, "command": "many 5", "replies": 5}),
                (TCP, {"clients": 10, "counted": True, "command": "many 40", "replies": 40,
                       "size": 60000, "slow": 20000}),
                (TCP, {"clients": 20, "counted": True, "command": "timer 20", "pause": 30}),
                (TCP, {"clients": 20, "counted": True, "churn": 4}),
                (UNIX, {"clients": 20, "counted": True})) as all_of_them:
        kill_often(marcel, KILLS, random.Random(SEED + 5))
        figures = [crowd.finish() for crowd in all_of_them[:4]]
        figures += [all_of_them[4].finish(early=True), all_of_them[5].finish(doubled=KILLS)]
    assert figures[3]["ticks"] > 0
    check_losses(marcel)
    report(record_property, marcel, "trial", figures)


@pytest.mark.parametrize("kind", ["quick", "slow"])
def test_the_test_has_power(marcel, record_property, kind):
    # A daemon that resumes wrongly, on purpose: this must not go unseen.
    prepare(marcel, "marceld-faulty")
    moments = random.Random(SEED + 6)
    options = {"quick": {"clients": 100, "batch": 5}, "slow": HUGE}[kind]
    kills = 0
    faults = {}
    while kills < 60 and not faults:
        with Crowd(marcel, TCP, patience=4, **options) as crowd:
            kill_often(marcel, 4, moments)
            kills += 4
            figures = crowd.stop()
        faults = {name: figures[name] for name in FAULTS if figures[name]}
    assert faults, f"a faulty daemon passed {kills} kills"
    record_property(f"power, {kind} clients", f"after {kills} kills: {faults}")
    print(f"power, {kind} clients: after {kills} kills: {faults}")
