"""A restart under load: nobody is disconnected, nothing is lost, nothing doubled."""

import time

from conftest import of_kind, repeat
from crowd import (TCP, TCP6, UNIX, await_ready, crowds, handovers, losses, prepare, restarts,
                   summary)

RESTARTS = repeat(20, least=4)

# 200 clients: without pause and with, one line or several in a segment.
EVERYBODY = (
    (TCP, {"clients": 60, "batch": 5}),
    (TCP, {"clients": 40, "pause": 20, "size": 3000}),
    (TCP6, {"clients": 50, "batch": 3}),
    (UNIX, {"clients": 30, "batch": 5}),
    (UNIX, {"clients": 20, "pause": 20, "size": 3000}),
)


def restart(marcel, count, verb="restart"):
    """COUNT restarts in a row, with load between them."""
    for _ in range(count):
        marcel.run(f"systemctl {verb} marcel.service")
        time.sleep(0.3)


def check_handovers(marcel, count, conversations):
    """COUNT orderly handovers of CONVERSATIONS at least, which the journal shows."""
    told = handovers(marcel)
    assert len(told) == count, told
    assert all(one["carried"] >= conversations and one["lost"] == 0 for one in told), told
    assert not losses(marcel)
    assert len(marcel.journal(of_kind("HANDOVER"), since=marcel.start_of_test)) == count
    return max(one["freeze_usec"] for one in told) // 1000


def test_restarts_under_load(marcel, record_property):
    prepare(marcel)
    with crowds(marcel, *EVERYBODY) as all_of_them:
        restart(marcel, RESTARTS)
        figures = [crowd.finish() for crowd in all_of_them]
    freeze = check_handovers(marcel, RESTARTS, 200)
    assert restarts(marcel) == 0
    seen = summary(*figures)
    record_property("restarts", f"{RESTARTS}: {seen}, longest freeze {freeze} ms")
    print(f"{RESTARTS} restarts: {seen}, longest freeze {freeze} ms")


def test_restarts_while_clients_come_and_go(marcel, record_property):
    prepare(marcel)
    with crowds(marcel, (TCP, {"clients": 60, "churn": 4}), (TCP6, {"clients": 20, "churn": 1}),
                (UNIX, {"clients": 20, "churn": 4})) as all_of_them:
        restart(marcel, RESTARTS)
        # At an orderly handover nobody is between accept() and the vault: no early end either.
        figures = [crowd.finish() for crowd in all_of_them]
    assert not losses(marcel)
    record_property("coming and going", str(summary(*figures)))
    print(f"coming and going, {RESTARTS} restarts: {summary(*figures)}")


def test_restarts_with_clients_that_read_slowly(marcel, record_property):
    prepare(marcel)
    # Each answer is larger than the buffers between: a handover finds most of them half sent.
    with crowds(marcel, (TCP, {"clients": 20, "size": 60000, "batch": 4, "slow": 2000}),
                (UNIX, {"clients": 10, "size": 60000, "batch": 8, "slow": 2000})) as all_of_them:
        restart(marcel, RESTARTS)
        figures = [crowd.finish() for crowd in all_of_them]
    assert not losses(marcel)
    record_property("slow readers", str(summary(*figures)))


def test_restarts_without_a_pause(marcel):
    prepare(marcel)
    with crowds(marcel, (TCP, {"clients": 50, "batch": 3}), (UNIX, {"clients": 20})) as all_of_them:
        commands = "; ".join(["systemctl restart marcel.service"] * RESTARTS)
        marcel.run(commands)
        for crowd in all_of_them:
            crowd.finish()
    assert not losses(marcel)


def test_the_state_of_a_responder_comes_along(marcel):
    prepare(marcel, "marceld-test", "[dialogue]\nresponder = trial\n")
    with crowds(marcel, (TCP, {"clients": 40, "counted": True, "batch": 3}),
                (TCP6, {"clients": 20, "counted": True, "command": "many 4", "replies": 4}),
                (UNIX, {"clients": 20, "counted": True, "command": "many 40", "replies": 40}),
                (TCP, {"clients": 20, "counted": True, "command": "timer 30", "pause": 50}),
                (UNIX, {"clients": 10, "counted": True, "command": "timer 30", "pause": 50}),
                ) as all_of_them:
        restart(marcel, RESTARTS)
        figures = [crowd.finish() for crowd in all_of_them]
    assert figures[3]["ticks"] > 0 and figures[4]["ticks"] > 0
    assert not losses(marcel)


def test_other_orders_that_mean_a_restart(marcel):
    prepare(marcel)
    with crowds(marcel, (TCP, {"clients": 30, "batch": 3}), (UNIX, {"clients": 10})) as all_of_them:
        for verb in ("try-restart", "reload-or-restart", "reload-or-try-restart"):
            marcel.run(f"systemctl {verb} marcel.service")
        marcel.run("systemctl daemon-reload && systemctl restart marcel.service")
        marcel.run("systemctl daemon-reexec")
        marcel.run("systemctl restart marcel.service")
        # The store belongs to the service: another socket means the same clients.
        marcel.run("systemctl restart marcel.socket")
        await_ready(marcel)
        for crowd in all_of_them:
            crowd.finish()
    assert not losses(marcel)


def test_a_term_signal_without_a_job_is_a_restart(marcel):
    prepare(marcel)
    with crowds(marcel, (TCP, {"clients": 30, "batch": 3}), (UNIX, {"clients": 10})) as all_of_them:
        marcel.run("systemctl kill marcel.service")
        marcel.wait_for(lambda: restarts(marcel) == 1, "the service came back")
        await_ready(marcel)
        pid = marcel.main_pid("marcel.service")
        marcel.kill(pid, "TERM")
        marcel.wait_for(lambda: restarts(marcel) == 2, "the service came back again")
        await_ready(marcel)
        marcel.kill(marcel.main_pid("marcel.service"), "INT")
        marcel.wait_for(lambda: restarts(marcel) == 3, "the service came back once more")
        await_ready(marcel)
        for crowd in all_of_them:
            crowd.finish()
    check_handovers(marcel, 3, 40)


def test_the_status_and_the_journal_tell_of_the_handover(marcel, meet):
    peers = [meet() for _ in range(7)]
    marcel.run("systemctl restart marcel.service")
    told = marcel.await_journal(of_kind("RESUMED"), since=marcel.start_of_test)
    assert len(told) == 1
    entry = told[0]
    assert entry["MARCEL_CARRIED"] == "7" and entry["MARCEL_LOST"] == "0"
    assert 0 < int(entry["MARCEL_FREEZE_USEC"]) < 10_000_000
    assert "7 conversations" in entry["MESSAGE"]
    status = marcel.show("marcel.service", "StatusText")
    assert "carried over 7, lost 0" in status, status
    assert status in marcel.run("systemctl status marcel.service").stdout
    for number, peer in enumerate(peers):
        assert peer.ask(f"{number}") == f"{number}"


def test_a_conversation_keeps_its_number(marcel, meet):
    peer = meet()
    assert peer.ask("avant") == "avant"
    marcel.run("systemctl restart marcel.service")
    assert peer.ask("après") == "après"
    peer.say("fin")
    assert peer.rest() == ["fin"]
    ended = marcel.await_journal(of_kind("CLOSED"), since=marcel.start_of_test)[0]
    began = marcel.journal(of_kind("OPENED"), since=marcel.start_of_test)
    assert [entry["MARCEL_CONVERSATION"] for entry in began] == [ended["MARCEL_CONVERSATION"]]
    assert began[0]["MARCEL_CONVERSATION_ID"] == ended["MARCEL_CONVERSATION_ID"]
    assert ended["MARCEL_TURNS"] == "3" and ended["MARCEL_REASON"] == "end-word"
    said = marcel.journal(of_kind("SAID"), f"MARCEL_CONVERSATION={ended['MARCEL_CONVERSATION']}",
                          since=marcel.start_of_test)
    assert [entry["MESSAGE"] for entry in said][1:] == \
        ["C> avant", "S> avant", "C> après", "S> après", "C> fin", "S> fin"]
