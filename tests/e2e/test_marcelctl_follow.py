"""`marcelctl follow`: against a marceld in small that says when something happens."""

import json
import os
import re
import select
import signal

import pytest

from client_tools import french  # noqa: F401 (a fixture)
from daemon_tools import PATIENCE, wait_until
from desk_tools import OPERATOR
from marcelctl_tools import FAILED, UTC, Running, call, ctl, fake  # noqa: F401 (a fixture)
from operator_tools import REFUSALS

GREETING = "Vous êtes connecté au serveur Marcel. Envoyez vos messages."


def test_follow_one(fake):  # noqa: F811
    fake("open 17 127.0.0.1:4711 marcel echo", "open 18 127.0.0.1:4712 marcel echo", "said 17 un")
    with Running("follow", "--control", fake.path, "17") as follow:
        follow.expect(f"S> {GREETING}", "C> un", "S> un")
        fake("said 18 autre", "switch 17 fifo", r"said 17 a\tb", "refused 17 12 #12 not-open: trop",
             "close 18 end-word", "close 17 end-word")
        follow.expect("-- answers now: fifo", r"C> a\tb",
                      "-- refused: #12 that message is answered already, or there is none: trop",
                      "-- over: end-word")
        follow.end()
    # The draft first: what it answers is in the past then.
    calls = [line for line in fake.calls if line.startswith("Get")]
    assert calls == ["GetConversation 17", "GetPast 17"], fake.calls
    result = call(fake, "follow", "17", status=FAILED)
    assert "there is no conversation 17" in result.err


@pytest.mark.parametrize("own", [False, True], ids=["english", "french"])
def test_follow_says_why_orders_are_refused(fake, french, own):  # noqa: F811
    """In the user's language, whatever the word; what is no word stays, and so does JSON."""
    fake("open 17 127.0.0.1:4711 marcel fifo")
    texts = [f"refused 17 1 {turn}{word}: mot: \\e" for word in REFUSALS for turn in ("", "#1 ")]
    strange = [f"refused 17 1 {text}" for text in ("#", "#12", "#12 ", "full", "fuller: x", "#1 : x")]
    with Running("follow", "--control", fake.path, "17", env=french if own else None) as follow:
        head = follow.lines.next() and ("-- refusé\u00a0: " if own else "-- refused: ")
        fake(*texts, *strange)
        reasons = set()
        for text in texts:
            line = follow.lines.next()
            turn = "#1 " if "#1 " in text else ""
            assert line.startswith(head + turn) and line.endswith(": mot: \\e"), line
            reasons.add(line.removeprefix(head + turn).removesuffix(": mot: \\e"))
        assert len(reasons) == len(REFUSALS) and not reasons & set(REFUSALS), reasons
        follow.expect(*(head + text.removeprefix("refused 17 1 ") for text in strange))
    with Running("follow", "--json", "--control", fake.path, env=UTC) as follow:
        fake.wait_call("Subscribe")
        fake(texts[0])
        assert json.loads(follow.lines.next())["text"] == f"{REFUSALS[0]}: mot: \\e"


def test_follow_all(fake):  # noqa: F811
    fake("open 17 127.0.0.1:4711 marcel fifo", "said 17 avant")
    with Running("follow", "--control", fake.path, env=UTC) as follow:
        fake.wait_call("Subscribe")
        fake("open 18 127.0.0.1:4712 desk echo", "said 17 après", "close 17 reset")
        clock = r"\d\d:\d\d:\d\d "
        for wanted in (clock + "18 -- begins: 127.0.0.1:4712, desk, echo",
                       f"18:30:03 18 S> {GREETING}", "18:30:04 17 C> après",
                       clock + "17 -- over: reset"):
            line = follow.lines.next()
            assert re.fullmatch(wanted, line), line
        follow.signal(signal.SIGINT)
        follow.end()


def test_follow_json(fake):  # noqa: F811
    with Running("follow", "--json", "--control", fake.path, env=UTC) as follow:
        fake.wait_call("Subscribe")
        fake("open 17 127.0.0.1:4711 marcel fifo", 'said 17 "x"', "refused 17 3 y", "switch 17 echo",
             "lost 2", "close 17 end-word")
        events = [json.loads(follow.lines.next()) for _ in range(9)]
        for event in events:
            assert event.pop("time")
        assert events == [
            {"event": "opened", "conversation": 17, "peer": "127.0.0.1:4711", "listener": "marcel",
             "responder": "fifo"},
            {"event": "message", "conversation": 17, "direction": "S", "turn": 0,
             "text": GREETING},
            {"event": "message", "conversation": 17, "direction": "C", "turn": 1, "text": '"x"'},
            {"event": "waiting", "conversation": 17, "turn": 1},
            {"event": "refused", "conversation": 17, "turn": 3, "text": "y"},
            {"event": "switched", "conversation": 17, "responder": "echo"},
            {"event": "waiting", "conversation": 17, "turn": 0},
            {"event": "lost", "count": 2},
            {"event": "closed", "conversation": 17, "reason": "end-word"}]
        follow.signal(signal.SIGTERM)
        follow.end()


def test_follow_when_signals_were_lost(fake):  # noqa: F811
    """What the past still has is shown, and that a conversation is over is noticed."""
    fake("open 17 127.0.0.1:4711 marcel echo")
    with Running("follow", "--control", fake.path, "17") as follow:
        follow.expect(f"S> {GREETING}")
        fake("past 17 1795372260000000 C 1 perdu", "lost 1")
        follow.expect("-- 1 events were lost: marcelctl was too slow", "C> perdu")
        fake("said 17 dernier")


def test_follow_ends_with_its_reader(fake):  # noqa: F811
    """At once, and not with the next line."""
    with Running("follow", "--control", fake.path) as follow:
        fake.wait_call("Subscribe")
        follow.process.stdout.close()
        assert follow.process.wait(PATIENCE) == 0
        assert follow.process.stderr.read() == b""


@pytest.mark.parametrize("way", ["drop", "restart", "moved"])
def test_follow_through_a_restart(fake, tmp_path, way):  # noqa: F811
    """What was said while there was no link comes from the past, once."""
    fake("open 17 127.0.0.1:4711 marcel echo", "said 17 un")
    with Running("follow", "--control", fake.path, "17") as follow:
        follow.expect(f"S> {GREETING}", "C> un", "S> un")
        if way == "drop":
            fake("drop")
        else:
            if way == "moved":
                fake.path.unlink()
            fake.stop()
        follow.expect("-- marceld is gone; waiting for the next one (conversations go on there)")
        if way == "restart":
            fake.start()
        elif way == "moved":
            path, fake.path = fake.path, tmp_path / "new"
            fake.start()
            fake("open 17 127.0.0.1:4711 marcel echo")
            os.rename(fake.path, path)
        if way == "restart":
            # It came back before the conversation did, here: that is over.
            follow.expect("-- marceld is back", "-- over: -")
            follow.end()
            return
        follow.expect("-- marceld is back")
        fake.wait_call("GetPast 17")
        fake("said 17 deux" if way == "drop" else "past 17 1795372200000000 C 1 vieux")
        if way == "drop":
            follow.expect("C> deux", "S> deux")
        fake("close 17 end-word")
        follow.expect("-- over: end-word")
        follow.end()


def test_follow_all_through_a_restart(manager):
    """What one conversation said is not taken for shown because another said something later."""
    manager.config = OPERATOR.format(manager.runtime / "operator")
    manager.start()
    control = f"--control={manager.control}"
    first, second = manager.connect(), manager.connect()
    with Running("follow", control) as follow:
        # Of all it shows what is said once it is there.
        while not select.select([follow.process.stdout], [], [], 0.1)[0]:
            first.send("knock\n")
        first.send("one\n")
        follow.wait_for("C> one")
        second.send("two\n")
        follow.wait_for("C> two")
        follow.signal(signal.SIGSTOP)
        manager.restart()
        for peer, number, text in ((second, 2, "three"), (first, 1, "four")):
            peer.send(text + "\n")
            wait_until(lambda said=text, n=number: said in ctl("show", control, str(n)).out, text)
        follow.signal(signal.SIGCONT)
        follow.wait_for("marceld is back")
        # Of the last in the list, which may be in its past as well.
        second.send("five\n")
        seen = []
        while not seen or "C> five" not in seen[-1]:
            seen.append(follow.lines.next())
        said = sorted(line.split("C> ")[1] for line in seen if "C> " in line)
        assert said == ["five", "four", "three"], seen


def test_follow_sleeps(fake):  # noqa: F811
    """Nothing happens while nothing happens."""
    fake("open 17 127.0.0.1:4711 marcel echo")
    with Running("follow", "--control", fake.path, "17") as follow:
        follow.expect(f"S> {GREETING}")
        status = f"/proc/{follow.process.pid}/status"

        def switches():
            text = open(status).read()
            return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", text, re.M)[1])

        def sleeps():
            before = switches()
            # Whoever looks again and again does so within the life of a few other programs.
            for _ in range(10):
                call(fake, "status")
            return switches() == before

        wait_until(sleeps, "a follow that sleeps")
