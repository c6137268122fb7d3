"""Drafts: what a script proposes to operators, as the control tells it, at once and to whoever comes
later, with the time at which it goes out by itself; and as marcelctl shows it."""

import json
import re
import signal
import threading
import time

import pytest

from daemon_tools import repeat, wait_until
from dbus_tools import Connection, Failure
from draft_tools import clock, scripted_fixture  # noqa: F401 (a fixture)
from marcelctl_tools import UTC, Running, call, fake  # noqa: F401 (a fixture)
from operator_tools import Channel

NONE = (0, "", 0)
HOUR = 3600


@pytest.fixture(name="connect")
def connect_fixture(scripted):
    """connect(): a program that has subscribed."""
    made = []

    def connect():
        client = Connection(scripted.control)
        made.append(client)
        client.call("Subscribe")
        return client

    yield connect
    for client in made:
        client.close()


@pytest.fixture(name="client")
def client_fixture(connect):
    return connect()


def open_draft(client, number=1):
    """(turn, text, until) as the conversation's details have it."""
    values = client.call("GetConversation", "t", number)[0]
    return values["DraftTurn"], values["Draft"], values["DraftUntil"]


def in_an_hour(until):
    return abs(until / 1e6 - time.time() - HOUR) < 60


def info(scripted, number=1):
    path = scripted.runtime / "operator" / "conversations" / str(number) / "info"
    return dict(line.split("=", 1) for line in path.read_text().splitlines())


def test_it_is_told_and_approved(scripted, client):
    peer = scripted.connect(b"hello\n")
    assert open_draft(client) == NONE
    peer.send("DRAFT tea\n")
    member, number, *told = client.signal("Draft")
    assert (member, number, told[:2]) == ("Draft", 1, [1, "about tea"])
    assert in_an_hour(told[2])
    assert open_draft(client) == tuple(told)
    client.call("Say", "tts", 1, 1, "")
    peer.expect("about tea\nback\n")
    assert client.signal("Draft") == ["Draft", 1, *NONE]
    assert open_draft(client) == NONE
    # A second time there is nothing that it could be the answer to.
    with pytest.raises(Failure):
        client.call("Say", "tts", 1, 1, "")
    peer.send("x\n").expect("? x\n")


def test_it_goes_out_by_itself(scripted, client):
    peer = scripted.connect(b"hello\n")
    sent = time.time()
    peer.send("SOON tea\n")
    signals = [client.signal()]
    while signals[-1][:3] != ["Draft", 1, 0]:
        signals.append(client.signal())
    peer.expect("about tea\nback\n")
    # What it is for is known by then, and so is what has become of it.
    names = [name for name, *_ in signals]
    assert names[names.index("Waiting"):names.index("Draft")] == ["Waiting", "Switched"]
    draft = signals[names.index("Draft")]
    assert draft[:4] == ["Draft", 1, 1, "about tea"]
    assert sent + 0.25 < draft[4] / 1e6 < sent + 60
    said = next(one for one in signals if one[0] == "Message" and one[3] == "S" and one[5] == "about tea")
    assert said[2] >= draft[4] - 100000
    assert signals.index(said) < len(signals) - 1
    assert open_draft(client) == NONE


def test_it_never_goes_out_by_itself(scripted, client):
    peer = scripted.connect(b"hello\n")
    peer.send("STAY \x01\n")
    assert client.signal("Draft") == ["Draft", 1, 1, "about \\x01", 0]
    assert open_draft(client) == (1, "about \\x01", 0)
    assert "draft_until" not in info(scripted)


@pytest.mark.parametrize("order,said", [("something else", "something else\nback\n"),
                                        ("/give script", "back\n"), ("/done", "back\n"),
                                        ("/give echo", "")])
def test_it_is_no_more(scripted, client, order, said):
    peer = scripted.connect(b"hello\n")
    peer.send("DRAFT tea\n")
    assert client.signal("Draft")[2] == 1
    client.call("Say", "tts", 1, 0, order)
    assert client.signal("Draft") == ["Draft", 1, *NONE]
    peer.expect(said)
    assert open_draft(client) == NONE


def test_another_answer_takes_its_place(scripted, client):
    """It stays when another turn is answered than its own."""
    peer = scripted.connect(b"hello\n")
    peer.send("STAY tea\nand milk\nand sugar\n")
    assert client.signal("Draft")[2] == 1
    client.call("Say", "tts", 1, 2, "no milk")
    peer.expect("no milk\n")
    assert client.call("GetConversation", "t", 1)[0]["DraftTurn"] == 1
    client.call("Say", "tts", 1, 1, "no tea")
    peer.expect("no tea\n")
    assert client.signal("Draft") == ["Draft", 1, *NONE]
    assert client.call("GetConversation", "t", 1)[0]["Waiting"] == 3


def test_the_operator_closes(scripted, client):
    peer = scripted.connect(b"hello\n")
    peer.send("DRAFT tea\n")
    assert client.signal("Draft")[2] == 1
    client.call("Close", "t", 1)
    assert client.signal("Draft") == ["Draft", 1, *NONE]
    peer.expect_end(b"fin\n")


def test_the_client_leaves(scripted, client):
    peer = scripted.connect(b"hello\n")
    peer.send("DRAFT tea\n")
    assert client.signal("Draft")[2] == 1
    peer.reset()
    assert client.signal("Closed")[1:] == [1, "reset"]
    for method, types, *arguments in (("Say", "tts", 1, 1, ""), ("GetConversation", "t", 1)):
        with pytest.raises(Failure):
            client.call(method, types, *arguments)


def test_the_client_says_no_more(scripted, client):
    """It reads still, and so it gets its answer."""
    peer = scripted.connect(b"hello\n")
    peer.send("DRAFT tea\n")
    told = client.signal("Draft")[2:]
    peer.half_close()
    assert open_draft(client) == tuple(told)
    client.call("Say", "tts", 1, 1, "")
    peer.expect_end(b"about tea\nback\n")


def test_info(scripted, client):
    peer = scripted.connect(b"hello\n")
    with Channel(scripted.runtime / "operator") as channel:
        peer.send("DRAFT tea\n")
        until = client.signal("Draft")[4]
        # Who hears the event finds the file as it says.
        channel.wait("draft", 1, turn=1, text="about tea")
        seen = info(scripted)
        assert seen["draft"] == "1"
        told = time.mktime(time.strptime(seen["draft_until"][:19], "%Y-%m-%dT%H:%M:%S"))
        assert abs(told - until / 1e6) < 3
        channel.write("#1", 1)
        peer.expect("about tea\nback\n")
        wait_until(lambda: "draft" not in info(scripted), "no draft")
        channel.write("1 #1")
        channel.wait("refused", 1)
        peer.send("x\n").expect("? x\n")


@pytest.mark.parametrize("way", ["restart", "kill"])
def test_another_process_goes_on(scripted, client, connect, way):
    peers = [scripted.connect(b"hello\n") for _ in range(3)]
    told = {}
    for number, peer in enumerate(peers, 1):
        peer.send(f"DRAFT {number}\n")
        told[number] = client.signal("Draft")[2:]
    for _ in range(repeat(4, least=2)):
        scripted.await_rest()
        getattr(scripted, way)()
        later = connect()
        for number, (turn, text, until) in told.items():
            wait_until(lambda n=number: open_draft(later, n)[0] != 0, "the draft")
            seen = open_draft(later, number)
            assert seen[:2] == (turn, text)
            assert abs(seen[2] - until) < 3000000
        assert info(scripted)["draft"] == "1"
    later.call("Say", "tts", 2, 1, "")
    peers[1].expect("about 2\nback\n")
    # Those that go on may have been told anew before.
    while (signal := later.signal("Draft")) != ["Draft", 2, *NONE]:
        assert signal[2:4] == list(told[signal[1]][:2])
    assert open_draft(later, 1)[0] == 1


def test_a_process_that_comes_too_late(scripted, client, connect):
    """What should have gone out while no process ran goes out at once."""
    peer = scripted.connect(b"hello\n")
    peer.send("MOMENT tea\n")
    *draft, until = client.signal("Draft")
    assert draft == ["Draft", 1, 1, "about tea"]
    scripted.end(signal.SIGKILL)
    wait_until(lambda: time.time() > until / 1e6 + 0.1, "the draft's moment")
    assert not peer.has_data(), "it had gone out before the process ended"
    scripted.start()
    peer.expect("about tea\nback\n")
    later = connect()
    wait_until(lambda: open_draft(later) == NONE, "no draft")


def test_many_at_once(scripted, connect):
    """Who looks, at any moment, sees a draft of this conversation and turn, whole, or none."""
    peers = [scripted.connect(b"hello\n") for _ in range(4)]
    rounds = repeat(10, least=3)
    over = threading.Event()
    faults = []

    def look():
        client = connect()
        try:
            while not over.is_set():
                for number in range(1, 5):
                    turn, text, until = open_draft(client, number)
                    good = text == f"about {number} {turn}" and until > 0
                    if (turn, text, until) != NONE and not good:
                        faults.append((number, turn, text, until))
        except Exception as fault:  # pylint: disable=broad-except
            faults.append(fault)

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for turn in range(1, rounds + 1):
            for number, peer in enumerate(peers, 1):
                peer.send(f"SOON {number} {turn}\n")
            for number, peer in enumerate(peers, 1):
                peer.expect(f"about {number} {turn}\nback\n")
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert not faults


# What marcelctl shows.


def test_show(scripted, client):
    peer = scripted.connect(b"hello\n")
    assert "draft" not in call(scripted.control, "show", "1").out
    assert json.loads(call(scripted.control, "show", "--json", "1").out)["draft"] is None
    peer.send("DRAFT tea\n")
    until = client.signal("Draft")[4]
    shown = call(scripted.control, "show", "1").out
    assert f"\n  draft     for #1: about tea\n  goes out  at {clock(until)}\n" in shown
    draft = json.loads(call(scripted.control, "show", "--json", "1").out)["draft"]
    assert (draft["turn"], draft["text"]) == (1, "about tea")
    assert draft["until"].startswith(clock(until, "%Y-%m-%dT%H:%M:%S."))
    call(scripted.control, "say", "--turn", "1", "1", "")
    peer.expect("about tea\nback\n").send("STAY milk\n")
    client.signal("Draft")
    client.signal("Draft")
    shown = call(scripted.control, "show", "1").out
    assert "\n  draft     for #2: about milk\n" in shown and "goes out" not in shown


def test_follow(scripted, client):
    peer = scripted.connect(b"hello\n")
    peer.send("x\n").expect("? x\n")
    with Running("follow", "--control", scripted.control, "1", env=UTC) as follow:
        follow.expect("S> hello", "C> x", "S> ? x")
        peer.send("DRAFT tea\n")
        until = client.signal("Draft")[4]
        draft = f"-- draft for #2: about tea (goes out at {clock(until)})"
        follow.expect("C> DRAFT tea", "-- answers now: fifo", draft)
        # One who comes later; and both see another process go on.
        with Running("follow", "--control", scripted.control, "1", env=UTC) as later:
            later.expect("S> hello", "C> x", "S> ? x", "C> DRAFT tea", draft)
            scripted.await_rest()
            scripted.kill()
            for one in (follow, later):
                one.expect("-- marceld is gone; waiting for the next one (conversations go on there)",
                           "-- marceld is back")
            call(scripted.control, "say", "--turn", "2", "1", "")
            peer.expect("about tea\nback\n").send("STAY milk\n")
            for one in (follow, later):
                lines = [one.lines.next()]
                while lines[-1] != "-- draft for #3: about milk":
                    lines.append(one.lines.next())
                # That who answers has been told anew may be seen or not, but no draft is.
                assert [line for line in lines if "now: fifo" not in line] == [
                    "S> about tea", "S> back", "-- answers now: script", "C> STAY milk",
                    "-- draft for #3: about milk"]


def test_follow_all(fake):  # noqa: F811
    """Each draft once, whichever marceld tells it."""
    fake("open 1 127.0.0.1:5 tcp fifo")
    with Running("follow", "--control", fake.path, env=UTC) as follow:
        fake.wait_call("Subscribe")
        fake("draft 1 1 about tea")
        assert follow.wait_for("draft").endswith(" 1 -- draft for #1: about tea")
        fake("drop")
        follow.wait_for("marceld is back")
        fake("draft 1 1 about tea", "draft 1 1 about milk")
        assert follow.wait_for("draft").endswith(" 1 -- draft for #1: about milk")


def test_follow_json(scripted, client):
    peer = scripted.connect(b"hello\n")
    peer.send("x\n").expect("? x\n")
    with Running("follow", "--json", "--control", scripted.control, "1", env=UTC) as follow:
        assert json.loads(follow.wait_for("hello"))["text"] == "hello"
        peer.send("SOON tea\n").expect("about tea\nback\n")
        told = []
        while len(told) < 2:
            event = json.loads(follow.lines.next())
            if event["event"] == "draft":
                told.append(event)
        until = client.signal("Draft")[4]
    assert told[0]["turn"] == 2 and told[0]["text"] == "about tea"
    assert told[0]["until"].startswith(clock(until, "%Y-%m-%dT%H:%M:%S."))
    assert re.fullmatch(r"\d{4}-.*", told[0]["time"])
    assert (told[1]["turn"], told[1]["text"], told[1]["until"]) == (0, "", None)
