"""Drafts at the operator's desk: they come from the control, not from a file, with the time at which
they go out by themselves; and one that has gone out is not offered any more."""

import os
import subprocess
import time

import pytest

from client_tools import environment, french  # noqa: F401 (a fixture)
from daemon_tools import wait_until
from dbus_tools import Connection
from desk_tools import Desk, needs_tmux
from draft_tools import clock, scripted_fixture  # noqa: F401 (a fixture)
from marcelctl_tools import ctl, fake  # noqa: F401 (a fixture)
from script_tools import MARCELCTL

pytestmark = needs_tmux

HINT = "Enter sends the draft, Alt-e edits it"


@pytest.fixture(name="open_desk")
def open_desk_fixture(scripted):
    desks = []

    def make(**options):
        desks.append(Desk(scripted.control, **{"env": {"TZ": "UTC"}, **options}))
        return desks[-1]

    yield make
    for desk in desks:
        desk.__exit__(None)


@pytest.fixture(name="desk")
def desk_fixture(open_desk):
    return open_desk().wait("connected to marceld")


def details(scripted, number=1):
    with Connection(scripted.control) as client:
        return client.call("GetConversation", "t", number)[0]


def ask(scripted, text):
    """A client who has said TEXT, and when the draft of an answer to it goes out."""
    peer = scripted.connect(b"hello\n")
    peer.send(f"{text}\n")
    wait_until(lambda: details(scripted)["DraftTurn"] == 1, "the draft")
    return peer, clock(details(scripted)["DraftUntil"])


def notes(desk):
    return desk.text().count("-- draft for #1: ")


def test_its_time_is_shown(scripted, desk):
    peer, at = ask(scripted, "DRAFT tea")
    # The note may take two rows.
    desk.wait("-- draft for #1: about tea (goes out", f"{at})", f"#1 S> goes out at {at}; {HINT}")
    desk.press("Enter").wait("Send the draft? (y/n)").press("n").wait(HINT)
    desk.press("Enter").wait("Send the draft? (y/n)").press("y")
    peer.expect("about tea\nback\n")
    desk.wait("S> about tea", "0 waiting").wait_gone(HINT)
    assert notes(desk) == 1


def test_it_is_edited(scripted, desk):
    peer, _ = ask(scripted, "STAY tea")
    desk.wait("-- draft for #1: about tea").wait_input(f"#1 S> {HINT}").press("M-e")
    desk.wait_input("#1 S> about tea").type(" and milk").press("Enter")
    peer.expect("about tea and milk\n")
    desk.wait("0 waiting").wait_gone(HINT)
    # The next message has none: an empty line is what it is.
    peer.send("more\n")
    desk.wait_input("#2 S>").press("Enter").wait("Send an empty message").press("y")
    peer.expect("\n")


def test_who_comes_later_needs_no_file(scripted, open_desk):
    """Neither that the file of events is there, nor that it goes so far back."""
    peer, at = ask(scripted, "DRAFT tea")
    (scripted.runtime / "operator/events").unlink()
    (scripted.runtime / "operator/conversations/1/out").unlink()
    desk = open_desk()
    desk.wait("-- draft for #1: about tea (goes out", f"goes out at {at}; {HINT}")
    desk.press("Enter").wait("Send the draft?").press("Enter")
    peer.expect("about tea\nback\n")
    assert notes(desk) == 1


def test_it_goes_out_by_itself(scripted, desk):
    peer = scripted.connect(b"hello\n")
    peer.send("SOON tea\n").expect("about tea\nback\n")
    # That there was one stays to be read.
    desk.wait("-- draft for #1: about tea (goes out", "S> about tea", "0 waiting",
              "^T takes this conversation").wait_gone(HINT)


def approve(scripted):
    """As another desk does it: exactly here, while a draft that goes out by itself heeds no test."""
    ctl("say", f"--control={scripted.control}", "--turn", "1", "1", "")


def test_it_goes_out_while_it_is_asked_about(scripted, desk):
    peer, _ = ask(scripted, "DRAFT tea")
    desk.wait(HINT).press("Enter").wait("Send the draft? (y/n)")
    approve(scripted)
    peer.expect("about tea\nback\n")
    desk.wait("the draft has gone out or was dropped; you sent nothing").wait_gone("Send the draft?")
    desk.press("y").wait_input("S> y").press("BSpace")
    peer.send("x\n").expect("? x\n")


def test_it_goes_out_while_it_is_edited(scripted, desk):
    peer, _ = ask(scripted, "DRAFT tea")
    desk.wait(HINT).press("M-e").wait_input("#1 S> about tea")
    approve(scripted)
    peer.expect("about tea\nback\n")
    desk.wait_input("#1 is answered: about tea").press("Enter").wait("script answers here")
    peer.send("x\n").expect("? x\n")


def test_the_client_leaves_while_it_is_asked_about(scripted, desk):
    peer, _ = ask(scripted, "DRAFT tea")
    desk.wait(HINT).press("Enter").wait("Send the draft? (y/n)")
    peer.reset()
    desk.wait("you sent nothing").wait_gone("Send the draft?")


def test_two_desks(scripted, open_desk):
    first, second = open_desk(), open_desk()
    peer, _ = ask(scripted, "DRAFT tea")
    for desk in (first, second):
        desk.wait(HINT).press("Enter").wait("Send the draft? (y/n)")
    second.press("n").wait(HINT)
    first.press("y")
    peer.expect("about tea\nback\n")
    for desk in (first, second):
        desk.wait("S> about tea", "0 waiting").wait_gone(HINT)
        assert notes(desk) == 1
    second.press("Enter").wait("script answers here")
    peer.send("x\n").expect("? x\n")


def test_it_has_several_lines(scripted, desk):
    """They are one note, and one message unless they are edited."""
    peer, _ = ask(scripted, "LINES tea")
    desk.wait("-- draft for #1: about tea\\nand more")
    desk.press("Enter").wait("Send the draft?").press("y")
    peer.expect("about tea\nand more\nback\n").send("LINES milk\n")
    desk.wait("-- draft for #2: about milk\\nand", "#2 S> goes out at ").press("M-e")
    desk.wait_input("#2 S> about milk␤and more").press("Enter").wait("Several lines: how?").press("j")
    peer.expect("about milk and more\nback\n")


def test_it_has_a_control_character(scripted, desk):
    """It is shown, and sent as it is; who edits loses it."""
    peer, _ = ask(scripted, "STAY \x07tea")
    desk.wait("-- draft for #1: about \\x07tea").wait_input(f"#1 S> {HINT}").press("M-e")
    desk.wait_input("#1 S> about tea").press("C-u").wait_input(f"#1 S> {HINT}")
    desk.press("Enter").wait("Send the draft?").press("y")
    peer.expect("about \x07tea\n")


def test_a_draft_comes_while_an_empty_line_is_asked_about(scripted, desk):
    """Who says yes to an empty message does not say yes to what he has not seen."""
    peer, _ = ask(scripted, "STAY tea")
    desk.wait(HINT).press("Enter").wait("Send the draft?").press("y")
    peer.expect("about tea\n")
    desk.wait("0 waiting").type("/give script").press("Enter").wait_title("script answers")
    peer.expect("back\n")
    desk.press("C-t").wait_title("you answer").press("Enter").wait("Send an empty message?")
    ctl("give", f"--control={scripted.control}", "1")
    peer.send("DRAFT milk\n")
    desk.wait("there is a draft now; nothing was sent", "#2 S> goes out at ", HINT)
    assert not peer.has_data()


def test_another_draft_comes_while_the_first_is_asked_about(fake):  # noqa: F811
    fake("open 1 127.0.0.1:5 tcp fifo", "said 1 hello")
    with Desk(fake.path) as desk:
        desk.wait_input("#1 S>")
        fake("draft 1 1 about tea")
        desk.wait(HINT).press("Enter").wait("Send the draft?")
        # Told anew it is the same.
        fake("draft 1 1 about tea", "open 2 127.0.0.1:6 tcp fifo")
        desk.wait("Conversations: 2", "Send the draft?")
        fake("draft 1 1 about milk")
        desk.wait("there is another draft now; nothing was sent").wait_input(f"#1 S> {HINT}")
        desk.press("Enter").wait("Send the draft?").press("y")
        fake.wait_call("Say 1 1 ")


def test_it_is_given_back(scripted, desk):
    peer, _ = ask(scripted, "DRAFT tea")
    desk.wait(HINT).type("/give script").press("Enter")
    peer.expect("back\n")
    desk.wait_title("script answers").wait("0 waiting").wait_gone(HINT, "Send the draft")
    desk.press("Enter").wait("script answers here")
    peer.send("x\n").expect("? x\n")


def test_somebody_else_has_something_better_to_say(scripted, desk):
    peer, _ = ask(scripted, "STAY tea")
    peer.send("and milk\n")
    desk.wait(f"#1 S> {HINT}", "C> #2 and milk")
    # For another turn it is not meant.
    desk.press("M-n").wait_input("#2 S>").press("M-p").wait_input(f"#1 S> {HINT}")
    ctl("say", f"--control={scripted.control}", "--turn", "2", "1", "no milk")
    peer.expect("no milk\n")
    desk.wait("S> no milk").wait_input(f"#1 S> {HINT}")
    peer.send("and sugar\n")
    desk.wait("C> #3 and sugar")
    ctl("say", f"--control={scripted.control}", "--turn", "1", "1", "no tea")
    peer.expect("no tea\n")
    desk.wait("S> no tea").wait_gone(HINT)
    desk.press("Enter").wait("Send an empty message?").press("n")


@pytest.mark.parametrize("way", ["restart", "kill"])
def test_marceld_is_gone_and_returns(scripted, desk, way):
    peer, _ = ask(scripted, "DRAFT tea")
    desk.wait(HINT)
    scripted.await_rest()
    scripted.end(*({"kill": (9,)}.get(way, ())))
    desk.wait("marceld is gone, reconnecting")
    scripted.start()
    desk.wait("connected to marceld", "#1 S> goes out at ", HINT)
    assert notes(desk) == 1
    desk.press("Enter").wait("Send the draft?").press("y")
    peer.expect("about tea\nback\n")
    desk.wait_gone(HINT)


def test_nothing_counts_down(scripted, desk):
    peer, _ = ask(scripted, "DRAFT tea")
    desk.wait(HINT)

    def is_idle():
        before = desk.rest()
        # For longer than a second, for which somebody might set a clock.
        until = time.monotonic() + 2
        while time.monotonic() < until:
            assert details(scripted)["DraftTurn"] == 1
        return desk.cost() == before

    # Not at once: now and then an age is drawn.
    wait_until(is_idle, "idleness")
    assert not peer.has_data()


def test_plain(scripted):
    """Nobody approves of what he has not seen, also where there is nothing but lines."""
    with subprocess.Popen([MARCELCTL, "desk", "--plain", f"--control={scripted.control}"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          env=environment(TZ="UTC")) as plain:
        seen = b""

        def read_until(text):
            nonlocal seen
            while not seen.endswith(text.encode()):
                # It may have asked already when the draft came.
                more = os.read(plain.stdout.fileno(), 4096)
                assert more, seen
                seen += more
            # Once, whichever way it came.
            assert seen.count(text.encode()) == 1
            seen = b""

        try:
            peer, _ = ask(scripted, "STAY tea")
            read_until("-- draft for #1: about tea\nS> ")
            plain.stdin.write(b"\n")
            plain.stdin.flush()
            peer.expect("about tea\n").send("more\n")
            read_until("C> more\nS> ")
            plain.stdin.write(b"\n")
            plain.stdin.flush()
            peer.expect("\n")
        finally:
            plain.kill()


def test_it_speaks_french(scripted, open_desk, french):  # noqa: F811
    _, at = ask(scripted, "DRAFT tea")
    desk = open_desk(env={"TZ": "UTC", **french})
    # The note may take two rows.
    desk.wait("-- brouillon pour #1\u00a0: about tea")
    desk.wait_input(f"#1 S> part à {at}\u00a0; Entrée envoie le brouillon, Alt-e le reprend")


@pytest.mark.parametrize("language", ["english", "french"])
@pytest.mark.parametrize("size", [(40, 10), (80, 24)])
@pytest.mark.parametrize("text", ["DRAFT tea", "LATER tea"])
def test_its_time_is_always_seen(scripted, open_desk, request, language, size, text):
    """Whatever else has no room, and also behind a turn of several digits."""
    peer = scripted.connect(b"hello\n")
    for _ in range(11):
        peer.send("x\n").expect("? x\n")
    peer.send(f"{text}\n")
    wait_until(lambda: details(scripted)["DraftTurn"] == 12, "the draft")
    until = details(scripted)["DraftUntil"]
    words = {"english": ("on ", "at "), "french": ("le ", "à ")}[language]
    wanted = words[1] + clock(until)
    if text.startswith("LATER"):
        wanted = words[0] + clock(until, "%Y-%m-%d ") + wanted
    env = request.getfixturevalue("french") if language == "french" else {}
    desk = open_desk(columns=size[0], rows=size[1], env={"TZ": "UTC", **env})
    desk.wait_until(lambda: desk.input().startswith("#12 S> ") and wanted in desk.input(), wanted)
