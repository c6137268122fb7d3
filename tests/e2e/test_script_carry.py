"""Conversations held by a script go on in the next process exactly where they stood: state,
variables, timers, and rules in the middle of what takes time. And they keep their script."""

import os
import signal
import time

import pytest

from daemon_tools import repeat, wait_until
from table import Table

QUIET = "[journal]\ntranscript = off\n"

SCRIPT = """marcel-script 1
frame line crlf
end none
let host = "here"
prop VOLT float 0..30 = 5  get 'VOLT?' as "%.2f"  set 'VOLT {}'  error "-222"

on connect                  say "220 ${host}"
on stop                     say "421 stop"; close
on eof                      say "eof"; close

always
    on "SET {x}"            set kept ${x}; say "set"
    on 'GET'                say "${kept}"
    on "ADD {item}"         add items ${item}; say "${items}"
    on 'TURN'               say "${turn} ${serial}"
    on 'BODY'               say "go"
                            collect body until "." unstuff
                            say "got ${body|length}: ${body|upper}"; goto second
    on "BYTES {n:int}"      collect part ${n} bytes
                            say "part ${part}"
    on "WAIT {what}"        say "wait"; wait 300ms; say "waited ${what}"
    on "DRIP"               drip 3 every 20ms "0123456789abcdefghij"; say "dripped"
    on "HAND"               hand echo stay
    on 'CYCLE'              cycle { say "one" } | { say "two" } | { say "three" }
    on 'PICK'               say "${random 1000000}"
    on 'WHERE'              say "nowhere"
    on 'STRIKE'             say "strike"; strike 4
    otherwise               say "?"
state first
    on 'NEXT'               say "to second"; goto second
    on 'WHERE'              say "first"
state second
    on 'NEXT'               say "to first"; goto first
    on 'WHERE'              say "second"
    on every 50ms           say "tick"
"""


@pytest.fixture(name="scripted")
def scripted_fixture(manager, tmp_path):
    path = tmp_path / "test.script"
    path.write_text(SCRIPT)
    manager.script = path
    manager.config = f"[dialogue]\nresponder = script\n[script]\nfile = {path}\n{QUIET}"
    manager.start()
    return manager


# After SIGKILL the last reply may come twice to a client on a unix socket: test_carry_over.py.
@pytest.fixture(name="way", params=["restart-tcp", "kill-tcp", "restart-unix"])
def way_fixture(request):
    return request.param.split("-")


@pytest.fixture(name="again")
def again_fixture(way):
    return lambda manager: getattr(manager, way[0])()


@pytest.fixture(name="meet")
def meet_fixture(way):
    def meet(manager, greeting=b"220 here\r\n"):
        return (manager.connect if way[1] == "tcp" else manager.connect_unix)(greeting)
    return meet


def ask(peer, text, *answers):
    peer.send(text + "\r\n")
    for answer in answers:
        peer.expect(answer + "\r\n")


def test_variables_states_and_counters(scripted, again, meet):
    peer = meet(scripted)
    items = []
    for number in range(1, repeat(60, least=6)):
        ask(peer, f"SET é{number}", "set")
        again(scripted)
        ask(peer, "GET", f"é{number}")
        items.append(f"i{number}")
        ask(peer, f"ADD i{number}", ", ".join(items))
        again(scripted)
        ask(peer, "CYCLE", ("one", "two", "three")[(number - 1) % 3])
        ask(peer, "TURN", f"{number * 6 - 1} 1-{number}")
        ask(peer, f"VOLT {number / 4}")
    ask(peer, "VOLT?", f"{number / 4:.2f}")
    ask(peer, "WHERE", "first")


def test_random_numbers_go_on(scripted, again, meet):
    # What is drawn after the restart is what would have been drawn: not the beginning again.
    peer = meet(scripted)
    drawn = set()
    for _ in range(6):
        peer.send("PICK\r\n")
        drawn.add(peer.line())
        again(scripted)
    assert len(drawn) > 1


def test_strikes_are_counted(scripted, again, meet):
    peer = meet(scripted)
    for _ in range(3):
        ask(peer, "STRIKE", "strike")
        again(scripted)
    peer.send("STRIKE\r\nnever\r\n").expect_end(b"strike\r\n")


def test_a_collect_goes_on(scripted, again, meet):
    peer = meet(scripted)
    for _ in range(repeat(20, least=2)):
        ask(peer, "BODY", "go")
        peer.send("a\r\n..b\r\nfin\r\n\r\nhal")
        again(scripted)
        peer.send("f\r\n")
        again(scripted)
        peer.send(".\r")
        again(scripted)
        peer.send("\n")
        peer.expect("got 20: A\r\n.B\r\nFIN\r\n\r\nHALF\r\n\r\n")
        # The last turn went to the second state, which ticks.
        peer.expect("tick\r\n")
        again(scripted)
        peer.expect("tick\r\n")
        peer.send("NEXT\r\n")
        while (line := peer.line()) == b"tick\r\n":
            pass
        assert line == b"to first\r\n"


def test_a_collect_of_bytes_goes_on(scripted, again, meet):
    peer = meet(scripted)
    for number in range(1, repeat(20, least=2)):
        peer.send(f"BYTES {number * 10}\r\n")
        again(scripted)
        for _ in range(number):
            peer.send("a\r\n\0b")
            again(scripted)
            peer.send("cdefg")
        peer.expect("part " + "a\r\n\0bcdefg" * number + "\r\n")
    ask(peer, "WHERE", "first")


def test_a_wait_goes_on(scripted, again, meet):
    peer = meet(scripted)
    for number in range(repeat(20, least=2)):
        began = time.monotonic()
        ask(peer, f"WAIT {number}", "wait")
        peer.send("GET\r\nWHERE\r\n")
        again(scripted)
        peer.expect(f"waited {number}\r\n\r\nfirst\r\n")
        assert time.monotonic() - began >= 0.3


def test_a_drip_goes_on(scripted, again, meet):
    peer = meet(scripted)
    for _ in range(repeat(20, least=3)):
        peer.send("DRIP\r\nWHERE\r\n").expect("012")
        again(scripted)
        peer.expect("3456789abcdefghij\r\ndripped\r\nfirst\r\n")


def test_a_hand_goes_on(scripted, again, meet):
    peer = meet(scripted)
    ask(peer, "HAND", "HAND")
    for number in range(repeat(20, least=3)):
        again(scripted)
        ask(peer, f"echoed {number}", f"echoed {number}")


def test_end_of_input_and_stop(scripted, again, meet):
    peer, other = (meet(scripted) for _ in range(2))
    peer.send("BODY\r\na\r\n").expect("go\r\n")
    again(scripted)
    peer.half_close().expect_end(b"eof\r\n")
    ask(other, "WHERE", "first")


def rewrite(manager, old, new):
    manager.script.write_text(manager.script.read_text().replace(old, new))


def keepsakes(manager):
    return sorted(name for name in manager.state_names() if name.startswith("marcel-keep-"))


def await_keepsakes(manager, count):
    """Waits until so many scripts are in the store, which hears of them a moment later."""
    wait_until(lambda: len(keepsakes(manager)) == count, f"{count} scripts are kept")


def test_each_conversation_keeps_its_script(scripted, again):
    first = scripted.connect(b"220 here\r\n")
    ask(first, "NEXT", "to second")
    await_keepsakes(scripted, 1)
    # Shifts every rule, too: a place in the one is none in the other.
    rewrite(scripted, 'let host = "here"', 'let host = "there"\nlet more = "${host}"')
    rewrite(scripted, "always\n", "always\n    on 'MORE' say \"${more}\"\n")
    again(scripted)
    second = scripted.connect(b"220 there\r\n")
    ask(second, "MORE", "there")
    await_keepsakes(scripted, 2)
    again(scripted)
    first.send("NEXT\r\n")
    while (line := first.line()) == b"tick\r\n":
        pass
    assert line == b"to first\r\n"
    ask(first, "MORE", "?")
    ask(first, "SET x", "set")
    again(scripted)
    ask(first, "GET", "x")
    ask(second, "GET", "")
    # The old one is let go with the last who needed it.
    first.half_close().expect_end(b"eof\r\n")
    await_keepsakes(scripted, 1)
    again(scripted)
    ask(second, "MORE", "there")
    await_keepsakes(scripted, 1)


def test_a_reload_changes_nothing_for_those_who_talk(scripted, again):
    first = scripted.connect(b"220 here\r\n")
    rewrite(scripted, '"here"', '"there"')
    scripted.daemon.process.send_signal(signal.SIGHUP)
    scripted.daemon.wait_record("reloaded")
    second = scripted.connect(b"220 there\r\n")
    await_keepsakes(scripted, 2)
    again(scripted)
    ask(first, "WHERE", "first")
    ask(second, "WHERE", "first")
    first.half_close().expect_end(b"eof\r\n")
    await_keepsakes(scripted, 1)


def test_a_script_that_was_not_kept(scripted):
    # Nobody can say what the state means then: the client is told goodbye, and others go on.
    peer = scripted.connect(b"220 here\r\n")
    rewrite(scripted, '"here"', '"there"')
    scripted.end()
    scripted.forget(*keepsakes(scripted))
    scripted.start()
    assert peer.read_to_end() == b""
    assert scripted.daemon.wait_record("not_carried")["reason"] == "no-keepsake"
    scripted.connect(b"220 there\r\n")


def test_another_responder_is_configured(scripted, again):
    peer = scripted.connect(b"220 here\r\n")
    ask(peer, "NEXT", "to second")
    scripted.config = QUIET
    again(scripted)
    peer.expect("tick\r\n").send("NEXT\r\n")
    while (line := peer.line()) == b"tick\r\n":
        pass
    assert line == b"to first\r\n"
    again(scripted)
    ask(peer, "WHERE", "first")
    assert os.path.exists(scripted.script)


def spoil_state(table, index):
    """Puts nonsense into the states of slot INDEX, behind what stands in front of the script's."""
    size = table.header["states_size"]
    for half in range(2):
        table.write(table.header["states_offset"] + index * size + half * size // 2 + 64,
                    b"\xff" * 256)


def test_a_spoilt_state_ends_one_conversation_only(scripted):
    peer, other = (scripted.connect(b"220 here\r\n") for _ in range(2))
    ask(peer, "SET x", "set")
    ask(other, "SET y", "set")
    scripted.end()
    table = Table(scripted.table())
    spoil_state(table, table.heads()[0])
    scripted.start()
    peer.read_to_end()
    ask(other, "GET", "y")
    daemon = scripted.daemon
    daemon.wait_for(lambda: len(daemon.records("trouble") + daemon.records("not_carried")) == 1,
                    "one record of it")


def test_an_old_script_whose_users_end_while_the_daemon_is_away(scripted, again):
    # One of them has only its farewell to hear: it counts for nothing, and takes nothing away.
    first, second = (scripted.connect(b"220 here\r\n") for _ in range(2))
    ask(first, "SET x", "set")
    ask(second, "SET y", "set")
    rewrite(scripted, '"here"', '"there"')
    again(scripted)
    first.half_close().expect_end(b"eof\r\n")
    for _ in range(2):
        again(scripted)
        ask(second, "GET", "y")
    await_keepsakes(scripted, 2)
