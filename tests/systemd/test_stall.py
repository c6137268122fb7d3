"""journald stopped: nobody waits for it, and what was lost is counted."""

import time

from conftest import Peer, configure, of_kind, repeat

ROUNDS = repeat(200000, least=10000)
BURST = 500


class Stalled:
    """journald stopped while the block runs."""

    def __init__(self, system):
        self.system = system
        self.pid = system.main_pid("systemd-journald.service")

    def __enter__(self):
        self.system.kill(self.pid, "STOP")

    def __exit__(self, *_):
        self.system.kill(self.pid, "CONT")


def talk(peer):
    """Round trips with PEER; how long they took, in seconds. A peer waits for no answer for ever."""
    began = time.monotonic()
    for number in range(ROUNDS):
        text = f"ligne {number} {'x' * 200}"
        assert peer.ask(text) == text
    return time.monotonic() - began


def burst(peer, rounds):
    """Many long lines at once, ROUNDS times, all answered; how many lines."""
    lines = "".join(f"rafale {number} {'y' * 2000}\n" for number in range(BURST)).encode()
    for _ in range(rounds):
        peer.socket.sendall(lines)
        for number in range(BURST):
            assert peer.line().startswith(f"rafale {number} ")
    return rounds * BURST


def test_conversations_go_on_and_what_is_lost_is_told(marcel, meet):
    talker = meet()
    normal = talk(talker)
    others = [meet() for _ in range(20)]
    with Stalled(marcel):
        # A daemon that waits for journald makes some 500 and then none.
        stalled = talk(talker)
        flood = burst(talker, 30)  # some 60 MB of transcript
        # New ones are greeted, old ones end.
        others += [meet() for _ in range(20)]
        for peer in others:
            peer.say("fin")
            assert peer.rest() == ["fin"]
    talker.say("fin")
    assert talker.rest() == ["fin"]
    print(f"{ROUNDS} round trips: {normal:.1f} s with journald, {stalled:.1f} s without")
    ended = marcel.await_journal(of_kind("CLOSED"), since=marcel.start_of_test,
                                 count=len(others) + 1)
    assert sorted(entry["MARCEL_PEER"] for entry in ended) == \
        sorted(peer.address() for peer in [talker, *others])
    told = marcel.await_journal(of_kind("DROPPED"), since=marcel.start_of_test)
    assert len(told) == 1
    # Nothing is missing without being counted: greeting, "fin" twice, and each line twice.
    said = 3 * (len(others) + 1) + 2 * (2 * ROUNDS + flood)
    kept = len(marcel.journal(of_kind("SAID"), since=marcel.start_of_test))
    assert kept + dropped_lines(told[0]) == said


def dropped_lines(entry):
    """How many transcript lines a record of dropped ones is about."""
    return int(entry["MARCEL_DROPPED_TRANSCRIPT"])


def test_a_stop_does_not_wait_for_journald(marcel, meet):
    configure(marcel, "[server]\nstop_timeout = 3s\n")
    peers = [meet() for _ in range(20)]
    talker = meet()
    with Stalled(marcel):
        burst(talker, 4)
        # systemctl itself would wait for journald's answer to nothing; the limit is for a hang.
        marcel.run("systemctl stop marcel.service marcel.socket", timeout=25)
        assert marcel.show("marcel.service", "Result", "ExecMainStatus") == ["success", "0"]
        for peer in [*peers, talker]:
            assert peer.rest() == ["fin"]
    # What could not be sent is sent by the next process.
    marcel.run("systemctl start marcel.socket")
    with Peer(marcel):
        ended = marcel.await_journal(of_kind("CLOSED"), since=marcel.start_of_test,
                                     count=len(peers) + 1)
    assert sorted(entry["MARCEL_PEER"] for entry in ended) == \
        sorted(peer.address() for peer in [*peers, talker])
