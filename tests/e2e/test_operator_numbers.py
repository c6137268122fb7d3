"""Numbers of conversations, by which operators find them, where nobody keeps count for a marceld:
one that is started by hand, again and again, with one directory for operators."""

import signal
import stat

import pytest

from daemon_tools import FAREWELL
from operator_tools import Channel, Said, ask, fifo_config


@pytest.fixture(name="channel")
def channel_fixture(tmp_path):
    with Channel(tmp_path / "operator") as channel:
        yield channel


def meet(daemon):
    peer = daemon.connect()
    return peer, int(daemon.wait_record("opened")["conversation"])


def talk(channel, peer, number, text):
    """A message and its answer, and the end."""
    peer.send(f"asks {text}\n")
    channel.wait("message", number, text=f"asks {text}")
    channel.write(text, number)
    peer.expect(f"{text}\n").send("fin\n").expect_end(FAREWELL).close()
    channel.wait("closed", number)


def said(channel, number):
    """What was said in the dialogue of NUMBER, after its greeting."""
    return [line.text for line in channel.out(number) if line.turn and line.text != "fin"]


def test_counted_by_hand(marceld, channel):
    config = fifo_config(directory=channel.directory)
    first = marceld(config)
    peer, one = meet(first)
    talk(channel, peer, one, "one")
    first.stop()
    mode = (channel.directory / "number").stat().st_mode
    assert stat.S_ISREG(mode) and stat.S_IMODE(mode) == 0o600
    second = marceld(config)
    peer, two = meet(second)
    talk(channel, peer, two, "two")
    assert (one, two) == (1, 2)
    # Killed, it could not say how far it came.
    second.signal(signal.SIGKILL)
    second.wait(-signal.SIGKILL)
    third = marceld(config)
    peer, three = meet(third)
    talk(channel, peer, three, "three")
    assert three > two
    for number, text in ((one, "one"), (two, "two"), (three, "three")):
        assert said(channel, number) == [f"asks {text}", text]
        assert not channel.place(number, "out.1").exists()
    third.stop()


def test_not_in_what_is_no_file(marceld, channel, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    channel.directory.mkdir()
    (channel.directory / "number").symlink_to(secret)
    daemon = marceld(fifo_config(directory=channel.directory))
    assert "numbered anew" in daemon.wait_record("trouble").message
    peer, number = meet(daemon)
    talk(channel, peer, number, "all the same")
    daemon.stop()
    assert secret.read_text() == "secret"


@pytest.mark.parametrize("killed", [False, True])
def test_a_number_comes_again(marceld, channel, tmp_path, killed):
    # Operators only come when one of them takes a conversation: nothing is counted there.
    config = fifo_config(directory=channel.directory).replace("responder = fifo", "")
    for turn, text in enumerate(["one", "two"]):
        control = tmp_path / f"control-{turn}"
        daemon = marceld(config, control=control)
        peer, number = meet(daemon)
        assert number == 1
        ask(control, "Take", "t", number)
        channel.wait("opened", number, count=turn + 1)
        if turn == 0:
            peer.send("asks one\n")
            channel.wait("message", number, text="asks one")
            channel.write(text, number)
            peer.expect("one\n")
            if killed:
                daemon.signal(signal.SIGKILL)
                daemon.wait(-signal.SIGKILL)
            else:
                peer.send("fin\n").expect_end(FAREWELL)
                daemon.stop()
            old = channel.place(number, "out").read_text()
            assert "asks one" in old
        else:
            peer.send("asks two\n")
            channel.wait("message", number, text="asks two")
            channel.write(text, number)
            peer.expect("two\n")
    new = channel.place(number, "out").read_text()
    assert "one" not in new and "asks two" in new
    aside = channel.place(number, "out.1").read_text()
    assert aside.startswith(old) and "two" not in aside
    assert channel.out(number)[-1] == Said("S", 1, "two")
    assert len(channel.find("closed", number)) == 1
    peer.send("fin\n").expect_end(FAREWELL).close()
    daemon.stop()
