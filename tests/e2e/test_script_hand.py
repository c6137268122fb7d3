"""A script hands its client to another responder for a while: with the test responder `trial`, which
has state, timers, replies in pieces and an end of its own."""

import signal

import pytest

from daemon_tools import BUILD

TEST = BUILD / "tests/responders/marceld-test"

SCRIPT = """marcel-script 1
frame line crlf
end none
on connect          say "hello"
on stop             say "stopping"; close
on every 40ms when ${ticking} == "yes"
                    say "own tick"
always
    on 'STAY'       hand trial stay; say "never"
    on "ONCE *"     hand trial; say "back in ${where}"
    on "timer *"    hand trial for 120ms else { say "late" }; say "after"
    on "fail*"      hand trial else { say "failed" }; say "after"
    on "many *"     set where "many"; hand trial; say "back in ${where}"
    on "long *"     hand trial; say "back"
    on 'close'      hand trial; say "never"
    on "ECHO*"      hand echo; say "echoed ${message|length}"
    on 'GROW'       set ticking "yes"; add big "0123456789"; say "grown"; hand echo stay
    on 'WHERE'      say "script ${turn}"
    otherwise       say "?"
"""


@pytest.fixture(name="hands")
def hands_fixture(manager, tmp_path):
    path = tmp_path / "hand.script"
    path.write_text(SCRIPT)
    manager.program = TEST
    manager.config = (f"[dialogue]\nresponder = script\n[script]\nfile = {path}\n"
                      "[journal]\ntranscript = off\n")
    manager.start()
    return manager


@pytest.fixture(name="again", params=["restart", "kill"])
def again_fixture(request):
    return lambda manager: getattr(manager, request.param)()


@pytest.fixture(name="peer")
def peer_fixture(hands):
    return hands.connect(b"hello\r\n")


def test_until_the_first_answer(peer):
    # It begins anew each time: the responder counts from one.
    peer.send("ONCE a\r\nONCE b\r\nWHERE\r\n")
    peer.expect("1 ONCE a\r\nback in \r\n1 ONCE b\r\nback in \r\nscript 3\r\n")
    peer.send("ECHO x\r\n").expect("ECHO x\r\nechoed 6\r\n")


def test_several_replies_are_one_answer(peer):
    peer.send("many 3 x\r\nWHERE\r\n")
    peer.expect("1.1 many 3 x\r\n1.2 many 3 x\r\n1.3 many 3 x\r\nback in many\r\nscript 2\r\n")


def test_a_reply_in_pieces(hands, peer, again):
    size = 3_000_000
    peer.send(f"long {size}\r\nWHERE\r\n")
    wanted = bytes(97 + (1 + i + i // 1000) % 26 for i in range(size))
    peer.expect(wanted[:1_000_000])
    again(hands)
    peer.expect(wanted[1_000_000:]).expect("\r\nback\r\nscript 2\r\n")


def test_a_hand_that_stays(hands, peer, again):
    peer.send("STAY\r\n").expect("1 STAY\r\n")
    for number in range(2, 6):
        again(hands)
        peer.send("WHERE\r\n").expect(f"{number} WHERE\r\n")
    peer.send("timer 50\r\n").expect("6 timer 50\r\ntick 1\r\n")
    again(hands)
    peer.expect("tick 2\r\n").send("close\r\n")
    line = peer.line()
    while line.startswith(b"tick "):
        line = peer.line()
    assert line == b"7 close\r\n"
    peer.expect_end()


def test_its_end_is_the_end(peer):
    peer.send("close\r\nWHERE\r\n").expect_end(b"1 close\r\n")


def test_a_failure_is_no_answer(hands, peer, again):
    peer.send("fail\r\n").expect("failed\r\nafter\r\n")
    again(hands)
    peer.send("WHERE\r\n").expect("script 2\r\n")


def test_the_scripts_own_times_wait(hands, peer, again):
    peer.send("GROW\r\n").expect("grown\r\nGROW\r\n")
    again(hands)
    for text in ("a", "b"):
        peer.send(f"{text}\r\n").expect(f"{text}\r\n")
    assert not peer.has_data()


def test_a_stop_is_the_scripts_affair(hands, peer):
    peer.send("STAY\r\n").expect("1 STAY\r\n")
    hands.daemon.process.send_signal(signal.SIGTERM)
    hands.await_end(0)
    # To this manager it was a handover.
    hands.start()
    peer.send("x\r\n").expect("2 x\r\n")
