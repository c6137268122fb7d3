"""Stops, crashes and the watchdog: how the service ends, and how it comes back."""

import socket

from conftest import GREETING, configure, of_kind, repeat

WATCHDOG = "[Service]\nWatchdogSec=2s\n"


def await_other_pid(marcel, pid):
    """Waits until the service runs with another main process than PID; its id."""
    def other():
        state, now = marcel.show("marcel.service", "ActiveState", "MainPID")
        return int(now) if state == "active" and int(now) not in (0, pid) else None
    return marcel.wait_for(other, "the service runs again")


def test_a_stuck_daemon_is_restarted_by_the_watchdog(marcel, meet):
    with marcel.drop_in("marcel.service", WATCHDOG):
        meet()
        pid = marcel.main_pid("marcel.service")
        marcel.kill(pid, "STOP")
        marcel.await_journal("UNIT=marcel.service", since=marcel.start_of_test,
                             accept=lambda entry: "Watchdog timeout" in entry["MESSAGE"])
        await_other_pid(marcel, pid)
        assert meet().ask("a") == "a"
        assert marcel.show("marcel.service", "NRestarts") == "1"


def test_the_watchdog_leaves_a_daemon_alone_whose_clients_do_nothing(marcel, meet):
    with marcel.drop_in("marcel.service", WATCHDOG):
        silent = meet()
        unread = meet()
        unread.socket.settimeout(2)
        line = b"x" * 1000 + b"\n"
        try:
            while True:
                unread.socket.sendall(line * 100)  # until nothing goes any more: nobody reads
        except TimeoutError:
            pass
        pid = marcel.main_pid("marcel.service")
        # Three times the watchdog's time; the kernel's clock, there being nothing to wait for.
        silent.socket.settimeout(6)
        try:
            assert silent.line() is not None
            raise AssertionError("a silent client was told something")
        except TimeoutError:
            pass
        silent.socket.settimeout(30)
        assert silent.ask("encore là") == "encore là"
        assert marcel.main_pid("marcel.service") == pid
        assert marcel.show("marcel.service", "NRestarts") == "0"


def test_it_comes_back_after_a_kill(marcel, meet):
    for round_ in range(1, repeat(20, least=2) + 1):
        meet()
        pid = marcel.main_pid("marcel.service")
        marcel.kill(pid, "KILL")
        await_other_pid(marcel, pid)
        assert meet().ask("a") == "a"
        assert marcel.show("marcel.service", "NRestarts") == str(round_)
    assert marcel.show("marcel.socket", "ActiveState") == "active"


def test_the_end_of_a_stop(marcel, meet):
    peers = [meet() for _ in range(20)]
    for number, peer in enumerate(peers):
        assert peer.ask(f"{number}") == f"{number}"
    marcel.run("systemctl stop marcel.service marcel.socket")
    for peer in peers:
        assert peer.rest() == ["fin"]
    assert marcel.show("marcel.service", "Result", "ExecMainCode", "ExecMainStatus") == \
        ["success", "1", "0"]
    ended = marcel.await_journal(of_kind("CLOSED"), since=marcel.start_of_test, count=len(peers))
    assert sorted(entry["MARCEL_PEER"] for entry in ended) == \
        sorted(peer.address() for peer in peers)
    assert {entry["MARCEL_REASON"] for entry in ended} == {"stop"}


def test_a_client_that_does_not_read_cannot_hold_up_a_stop(marcel, meet):
    configure(marcel, "[server]\nstop_timeout = 3s\n")
    reader = meet()
    deaf = meet()
    deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.socket.settimeout(2)
    try:
        while True:
            deaf.socket.sendall(b"une ligne de plus\n" * 1000)
    except TimeoutError:
        pass
    marcel.run("systemctl stop marcel.service marcel.socket")
    assert reader.rest() == ["fin"]
    # By itself, within its own deadline: had systemd lost patience, the result would say so.
    assert marcel.show("marcel.service", "Result", "ExecMainCode", "ExecMainStatus") == \
        ["success", "1", "0"]
    # All that the deaf one said may be more than the journal could take meanwhile; the next process
    # sends the rest.
    marcel.run("systemctl start marcel.service")
    ended = marcel.await_journal(of_kind("CLOSED"), since=marcel.start_of_test, count=2)
    reasons = {entry["MARCEL_PEER"]: entry["MARCEL_REASON"] for entry in ended}
    assert reasons[reader.address()] == "stop"
    # The kernel may have had room for one word more, which nobody read.
    assert reasons[deaf.address()] in ("stop", "stop-deadline")


def test_clients_that_come_during_a_restart_wait(marcel, meet):
    meet()
    for _ in range(repeat(20, least=2)):
        with marcel.running("systemctl restart marcel.service") as restart:
            while restart.poll() is None:
                peer = meet()
                peer.socket.close()
            assert restart.returncode == 0
    assert meet(greeting=GREETING).ask("a") == "a"
