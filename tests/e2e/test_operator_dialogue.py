"""What orders mean to a client, a shell and a script: the operator channel with a real marceld, a
client's socket, and `sh` writing to FIFOs."""

import itertools
import json
import os
import subprocess

import pytest

from daemon_tools import FAREWELL, GREETING_TEXT, PATIENCE, wait_until
from operator_tools import Channel, Said, ask, fifo_config

ABSENT = "Personne n'est là pour l'instant ; votre message est gardé."

SCRIPT = """marcel-script 1
frame line lf
always
    on "ASK *"      hand fifo; say "back"
    on "STAY *"     hand fifo stay; say "again"
    on "FOR *"      hand fifo for 200ms else { say "nobody" }; say "on"
    on "DRAFT {x}"  hand fifo draft "${x} ${serial}?" for 1h; say "sent"
    on "SOON {x}"   hand fifo draft "${x} ${serial}?" for 200ms; say "sent"
    otherwise       say "script ${turn}"
"""


def shell(command, **variables):
    """Runs COMMAND in a shell, as an operator does, and gives what it writes."""
    done = subprocess.run(["sh", "-c", command], timeout=PATIENCE, check=True,
                          env={**os.environ, **{k: os.fspath(v) for k, v in variables.items()}},
                          stdout=subprocess.PIPE)
    return done.stdout.decode()


@pytest.fixture(name="channel")
def channel_fixture(tmp_path):
    with Channel(tmp_path / "operator") as channel:
        yield channel


@pytest.fixture(name="open_fifo")
def open_fifo_fixture(marceld, channel):
    """Starts a marceld whose operators answer; more settings of [fifo] may be given."""
    return lambda **more: marceld(fifo_config(directory=channel.directory, **more))


@pytest.fixture(name="open_script")
def open_script_fixture(manager, channel):
    """Starts a marceld by whose script operators answer now and then."""
    def start(**more):
        path = channel.directory.parent / "hand.script"
        path.write_text(SCRIPT)
        manager.config = (fifo_config(directory=channel.directory, **more)
                          .replace("responder = fifo", "responder = script")
                          + f"[script]\nfile = {path}\n")
        manager.start()
        return manager
    return start


def opened(channel, count=1):
    return channel.wait("opened", count=count).conversation


def test_the_end_does_not_wait_for_the_client(marceld, channel):
    """A conversation is over for operators when it has ended, though its client still holds its side
    of the connection open, for which some seconds are waited."""
    control = channel.directory.parent / "control"
    daemon = marceld(fifo_config(directory=channel.directory), control=control)

    def is_seen(turn):
        peer = daemon.connect()
        number = opened(channel, turn)
        peer.send("Bonjour\n")
        channel.wait("message", number)
        channel.write("/close", number)
        peer.expect_end(FAREWELL)
        channel.wait("closed", number, text="operator")
        assert channel.waiting() == []
        assert not channel.fifo(number).exists()
        assert channel.out(number)[-1] == Said("--", 0, "operator")
        channel.write(f"{number} trop tard")
        channel.wait("refused", number, word="no-conversation", text="trop tard")
        # It is there still, unless this took longer than is waited.
        live = [entry[0] for entry in json.loads(ask(control, "ListConversations"))["data"][0]]
        peer.close()
        return number in live

    wait_until(lambda turns=itertools.count(1): is_seen(next(turns)), "the end comes first")


def test_shell(open_fifo, channel):
    peer = open_fifo().connect()
    number = opened(channel)
    place = channel.place(number)
    peer.send("Bonjour\n")
    channel.wait("message", number, turn=1, text="Bonjour")
    assert channel.waiting() == [number]
    assert shell('cat "$P/info"', P=place).count("\nwaiting=1\n") == 1
    shell('echo "Bonjour à vous" > "$P/in"', P=place)
    peer.expect("Bonjour à vous\n")
    channel.wait("sent", number, turn=0, text="Bonjour à vous")
    assert channel.waiting() == []
    # Unasked, by the FIFO for all.
    shell('echo "$N Vous êtes là ?" > "$D/in"; printf "%s /note il dort\\r\\n" "$N" > "$D/in"',
          N=str(number), D=channel.directory)
    peer.expect("Vous êtes là ?\n")
    channel.wait("done", number, text="/note il dort")
    assert shell('sed "s/^[^ ]* [^ ]* //" < "$P/out"', P=place) == (
        f"S> #0 {GREETING_TEXT}\nC> #1 Bonjour\nS> #1 Bonjour à vous\nS> #1 Vous êtes là ?\n")
    peer.send("fin\n").expect_end(FAREWELL)
    channel.wait("closed", number, text="end-word")
    assert channel.out(number)[-2:] == [Said("S", 2, "fin"), Said("--", 0, "end-word")]
    assert channel.info(number)["ended"] == "end-word"
    shell('echo "$N late" > "$D/in"', N=str(number), D=channel.directory)
    channel.wait("refused", number, word="no-conversation", text="late")


def test_turns(open_fifo, channel):
    daemon = open_fifo()
    peer = daemon.connect()
    number = opened(channel)
    peer.send("a\nb\nc\n")
    channel.wait("message", number, turn=3)
    channel.write("#2 for b", number)
    peer.expect("for b\n")
    channel.write("#2 again", number)
    channel.wait("refused", number, turn=2, word="not-open", text="again")
    record = daemon.wait_record("order_refused", conversation=number)
    assert "not-open" in record.message
    assert channel.waiting() == [number]
    assert wait_until(lambda: channel.info(number)["waiting"] == "1", "turn 1 that waits")
    channel.write("all", number)
    channel.write("#3 late", number)
    peer.expect("all\n")
    channel.wait("refused", number, turn=3, word="not-open", text="late")
    channel.write(f"{number} #4 early")
    channel.wait("refused", number, turn=4, word="not-open", text="early")
    peer.send("d\n")
    channel.wait("message", number, turn=4)
    channel.write(f"{number} #4 now")
    peer.expect("now\n")
    assert [said for said in channel.out(number) if said.who == "S"][1:] == [
        Said("S", 2, "for b"), Said("S", 3, "all"), Said("S", 4, "now")]


def test_done(open_fifo, channel):
    """What wants no answer gets none."""
    peer = open_fifo().connect()
    number = opened(channel)
    peer.send("a\nb\nmerci\n")
    channel.wait("message", number, turn=3)
    channel.write("/done 2", number)
    channel.wait("done", number, text="/done 2")
    channel.write("#2 late", number)
    channel.wait("refused", number, turn=2, word="not-open", text="late")
    assert channel.waiting() == [number]
    channel.write(f"{number} /done")
    channel.wait("done", number, text="/done")
    assert wait_until(lambda: channel.waiting() == [], "nobody who waits")
    channel.write("heard", number)
    peer.expect("heard\n")
    # Who waits for answers only is let go.
    peer.send("salut\n")
    channel.wait("message", number, turn=4)
    peer.half_close()
    channel.write("/done", number)
    peer.expect_end(FAREWELL)


def test_bytes(open_fifo, channel):
    """What an order says goes out as it is."""
    peer = open_fifo().connect()
    number = opened(channel)
    for line, said in ((b"\xff\x01\t \xe2\x82", b"\xff\x01\t \xe2\x82"), (b"", b""), (b" ", b" "),
                       (b"crlf\r", b"crlf"), (b"//close", b"/close"), (b"/#1 a", b"#1 a"),
                       (b"x" * 4095, b"x" * 4095)):
        channel.write(line, number)
        peer.expect(said + b"\n")
    channel.write(b"a\0b", number)
    channel.wait("refused", number, word="malformed")
    channel.write("last", number)
    peer.expect("last\n")


def test_everybody(open_fifo, channel):
    daemon = open_fifo()
    peers = [daemon.connect() for _ in range(3)]
    opened(channel, 3)
    channel.write("* Bonne nuit")
    for peer in peers:
        peer.expect("Bonne nuit\n")
    channel.write("* /close")
    for peer in peers:
        peer.expect_end(FAREWELL)
    channel.wait("closed", count=3)


def test_reset_and_unknown(open_fifo, channel):
    peer = open_fifo().connect()
    number = opened(channel)
    channel.write("/clsoe", number)
    assert "/close" in channel.wait("refused", number, word="unknown-order").text
    channel.write("/give nobody", number)
    channel.wait("refused", number, word="no-responder", text="/give nobody")
    # There is no script here.
    channel.write("/give script", number)
    channel.wait("refused", number, word="no-responder", text="/give script")
    channel.write("/reset", number)
    with pytest.raises(ConnectionResetError):
        peer.read_to_end()
    channel.wait("done", number, text="/reset")
    channel.wait("closed", number)


def test_absent(open_fifo, channel):
    peer = open_fifo(absent_after="200ms").connect()
    number = opened(channel)
    peer.send("a\nb\n")
    peer.expect(ABSENT + "\n")
    channel.wait("absent", number, turn=1)
    assert channel.waiting() == [number]
    # He has gone meanwhile, has he not? Another message doesn't have it said again.
    peer.send("c\n")
    channel.wait("message", number, turn=3)
    channel.write("#1 late", number)
    peer.expect("late\n")
    channel.write("all", number)
    peer.expect("all\n")
    assert len(channel.find("absent")) == 1
    peer.send("d\n")
    peer.expect(ABSENT + "\n")
    channel.wait("absent", number, turn=4)


def test_half_closed(open_fifo, channel):
    """printf 'a\\nb\\n' | nc -N: who sends nothing any more still wants answers."""
    peer = open_fifo().connect()
    number = opened(channel)
    peer.send("a\nb\n").half_close()
    channel.wait("message", number, turn=2)
    channel.write("#1 one", number)
    peer.expect("one\n")
    channel.write("two", number)
    peer.expect_end(b"two\n" + FAREWELL)
    channel.wait("closed", number)


def test_half_closed_absent(open_fifo, channel):
    peer = open_fifo(absent_after="200ms").connect()
    peer.send("a\n").half_close()
    peer.expect_end(ABSENT.encode() + b"\n" + FAREWELL)
    channel.wait("closed", opened(channel))


def test_idle(marceld, channel):
    """Who waits for an operator is not idle; who has been answered is."""
    config = fifo_config(directory=channel.directory, absent_after="1500ms")
    peer = marceld(config.replace("fifo\n", "fifo\nidle_timeout = 1s\n", 1)).connect()
    peer.send("a\n")
    number = opened(channel)
    peer.expect(ABSENT + "\n")
    channel.write("yes", number)
    peer.expect_end(b"yes\n" + FAREWELL)
    channel.wait("closed", number, text="idle")


def test_give(open_fifo, channel):
    daemon = open_fifo()
    peer = daemon.connect()
    number = opened(channel)
    peer.send("a\n")
    channel.wait("message", number)
    channel.write("/give echo", number)
    channel.wait("left", number, text="echo")
    peer.send("b\n").expect("b\n")
    assert channel.waiting() == []
    channel.write(f"{number} late")
    # It lives, but nobody of the channel has the word.
    refused = channel.wait("refused", number, text="late")
    assert refused.word in ("not-held", "no-conversation")


def test_hand(open_script, channel):
    peer = open_script().connect()
    peer.send("x\n").expect("script 1\n")
    peer.send("ASK a\n")
    number = opened(channel)
    channel.wait("message", number, turn=2, text="ASK a")
    channel.write("yes", number)
    peer.expect("yes\nback\n")
    channel.wait("left", number, text="script")
    # Again, and what was said before is still there to be read.
    peer.send("ASK b\n")
    channel.wait("message", number, turn=3)
    channel.write("#3 no", number)
    peer.expect("no\nback\n")
    assert [said.text for said in channel.out(number)] == [
        GREETING_TEXT, "x", "script 1", "ASK a", "yes", "back", "script", "ASK b", "no", "back",
        "script"]
    peer.send("x\n").expect("script 4\n")


def test_hand_done(open_script, channel):
    """A script goes on where nothing is to be said, as after an answer."""
    peer = open_script().connect()
    peer.send("ASK merci\n")
    number = opened(channel)
    channel.wait("message", number, turn=1)
    channel.write("/done", number)
    peer.expect("back\n")
    channel.wait("left", number, text="script")
    peer.send("DRAFT tea\n")
    channel.wait("draft", number)
    channel.write("/done", number)
    peer.expect("sent\n").send("x\n").expect("script 3\n")


def test_hand_stay(open_script, channel):
    peer = open_script().connect()
    peer.send("STAY a\n")
    number = opened(channel)
    channel.wait("message", number)
    channel.write("one", number)
    channel.write("two", number)
    peer.expect("one\ntwo\n")
    peer.send("b\n")
    channel.wait("message", number, turn=2)
    channel.write("three", number)
    channel.write("/give script", number)
    peer.expect("three\nagain\n")
    peer.send("x\n").expect("script 3\n")


def test_hand_nobody(open_script, channel):
    peer = open_script().connect()
    peer.send("FOR a\n").expect("nobody\non\n")
    peer.send("SOON tea\n").expect(f"tea {opened(channel)}-1?\nsent\n")
    assert channel.wait("sent").text.startswith("tea ")
    channel.wait("left", count=2)


def test_hand_absent(open_script, channel):
    """That nobody is there is no answer: the hand goes on."""
    peer = open_script(absent_after="200ms").connect()
    peer.send("ASK a\n").expect(ABSENT + "\n")
    channel.write("yes", opened(channel))
    peer.expect("yes\nback\n")


@pytest.mark.parametrize("order, said", [("", "tea {}-1?"), ("better", "better")])
@pytest.mark.parametrize("again", ["restart", "kill", None])
def test_draft(open_script, channel, order, said, again):
    manager = open_script()
    peer = manager.connect()
    peer.send("DRAFT tea\n")
    number = opened(channel)
    said = said.format(number)
    channel.wait("draft", number, turn=1, text=f"tea {number}-1?")
    if again:
        # Events are told before the turn counts: killed in between, it would begin anew.
        manager.await_rest()
        getattr(manager, again)()
        channel.wait("resumed", number)
    assert channel.waiting() == [number]
    channel.write(order, number)
    peer.expect(said + "\nsent\n")
    assert channel.wait("sent", number).text == said
    peer.send("x\n").expect("script 2\n")


@pytest.mark.parametrize("again", ["restart", "kill"])
def test_carried(open_script, channel, again):
    """Open turns go on, in a hand that stays."""
    manager = open_script()
    peer = manager.connect()
    peer.send("STAY a\nb\nc\n")
    number = opened(channel)
    channel.wait("message", number, turn=3)
    channel.write("#2 two", number)
    peer.expect("two\n")
    getattr(manager, again)()
    channel.wait("resumed", number)
    channel.write("#2 late", number)
    channel.wait("refused", number, turn=2, word="not-open", text="late")
    channel.write("#1 one", number)
    peer.expect("one\n")
    channel.write("three", number)
    peer.expect("three\n")
    channel.write("/give script", number)
    peer.expect("again\n")
    peer.send("x\n").expect("script 4\n")
