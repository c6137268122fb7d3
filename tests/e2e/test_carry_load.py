"""Restarts and kills under load, under a service manager in small: what tests/systemd does with the
real one, here so that sanitizers see it, and quickly."""

import random
import time

import pytest

from crowd import Crowd
from daemon_tools import BUILD, repeat, sanitizer

TEST = BUILD / "tests/responders/marceld-test"
FAULTY = BUILD / "tests/responders/marceld-faulty"
QUIET = "[journal]\ntranscript = off\n"
TIMES = repeat(100, least=5)
# A sanitizer makes everything slow but the checker.
CLIENTS = 10 if sanitizer() else 40
HUGE = {"clients": 5, "size": 60000, "batch": 120, "slow": 100000}
SEED = 20261


def check_all_carried(manager):
    lost = [record for daemon in manager.daemons for record in daemon.records("not_carried")]
    assert not lost, lost


@pytest.mark.parametrize("how", ["restart", "kill"])
def test_echo(manager, how):
    manager.config = QUIET
    manager.start()
    moments = random.Random(SEED)
    unix = str(manager.path)
    early = doubled = 0
    if how == "kill":
        early, doubled = True, TIMES
    with Crowd(manager.address, clients=CLIENTS, batch=5) as quick, \
            Crowd(manager.address, clients=CLIENTS, pause=10, size=3000) as calm, \
            Crowd(manager.address, clients=CLIENTS, churn=4) as coming, \
            Crowd(manager.address, **HUGE) as slow, \
            Crowd(unix, clients=CLIENTS) as local, \
            Crowd(unix, clients=CLIENTS, churn=4) as local_coming:
        for _ in range(TIMES):
            time.sleep(moments.uniform(0, 0.3))
            getattr(manager, how)()
        for crowd in (quick, calm, slow):
            crowd.finish()
        coming.finish(early=early)
        local.finish(doubled=doubled)
        local_coming.finish(early=early, doubled=doubled)
    check_all_carried(manager)


@pytest.mark.parametrize("how", ["restart", "kill"])
def test_trial(manager, how):
    manager.program = TEST
    manager.config = "[dialogue]\nresponder = trial\n" + QUIET
    manager.start()
    moments = random.Random(SEED + 1)
    doubled = TIMES if how == "kill" else 0
    with Crowd(manager.address, clients=CLIENTS, counted=True, batch=5) as quick, \
            Crowd(manager.address, clients=CLIENTS, counted=True, command="many 5",
                  replies=5) as many, \
            Crowd(manager.address, clients=CLIENTS, counted=True, command="timer 20",
                  pause=30) as timed, \
            Crowd(str(manager.path), clients=CLIENTS, counted=True) as local:
        for _ in range(TIMES):
            time.sleep(moments.uniform(0, 0.3))
            getattr(manager, how)()
        for crowd in (quick, many, timed):
            crowd.finish()
        local.finish(doubled=doubled)
    check_all_carried(manager)


@pytest.mark.skipif(sanitizer() != "", reason="what is wrong on purpose needs no sanitizer")
@pytest.mark.parametrize("kind", ["quick", "slow"])
def test_the_test_has_power(manager, kind):
    # A daemon that resumes wrongly, on purpose, must not go unseen.
    manager.program = FAULTY
    manager.config = QUIET
    manager.start()
    moments = random.Random(SEED + 2)
    options = {"quick": {"clients": CLIENTS, "batch": 5}, "slow": HUGE}[kind]
    for _ in range(20):
        with Crowd(manager.address, patience=4, **options) as crowd:
            for _ in range(5):
                time.sleep(moments.uniform(0, 0.3))
                manager.kill()
            figures = crowd.stop()
        if any(figures[name] for name in ("lost", "doubled", "garbled", "broken", "live")):
            return
    raise AssertionError("a faulty daemon passed")
