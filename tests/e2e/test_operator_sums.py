"""What becomes of orders is told wherever somebody may look: by the events, the signals of the
control, the metrics and the journal, each order once, whichever way it came."""

import re

import pytest

from daemon_tools import FAREWELL, wait_until
from dbus_tools import Connection, Failure
from operator_tools import LINE_MAX, Channel, fifo_config


SHOWN = 1000  # characters of each refusal that are compared
REFUSED = "An order was refused: "


class Told:
    """A marceld whose operators answer, and a client of its control that listens."""

    def __init__(self, daemon, channel, control):
        self.daemon = daemon
        self.channel = channel
        self.control = Connection(control)
        self.control.call("Subscribe")
        self.peer = daemon.connect()
        self.number = channel.wait("opened").conversation
        self.refused = []  # (number, turn, text), as the signals should have them
        self.fresh = 0  # so many of them were not seen yet
        self.obeyed = 0

    def sums(self):
        text = self.control.call("GetMetrics")[0]
        return [int(re.search(rf"^marcel_{name}_total (\d+)$", text, re.M)[1])
                for name in ("orders", "orders_refused")]

    def check(self):
        """All that is expected by now has come, and nothing else."""
        sums = [self.obeyed, len(self.refused)]
        wait_until(lambda: self.sums() == sums, f"the sums are {sums}")
        for expected in self.refused[len(self.refused) - self.fresh:]:
            _, number, turn, text = self.control.signal("Refused")
            # What is very long is cut.
            assert [number, turn, text[:SHOWN]] == expected
        self.fresh = 0
        self.daemon.wait_for(lambda: len(self.daemon.records("order_refused")) >= sums[1],
                             "each is in the journal")
        recorded = [(record.get("conversation", 0), record["message"][:len(REFUSED) + SHOWN])
                    for record in self.daemon.records("order_refused")]
        assert recorded == [(number, REFUSED + text) for number, _, text in self.refused]
        assert len(self.channel.find("refused")) == sums[1]

    def expect_refusal(self, text, number, turn=0):
        self.refused.append([number, turn, text[:SHOWN]])
        self.fresh += 1

    def refuses(self, text, number, turn=0):
        self.expect_refusal(text, number, turn)
        self.check()

    def obeys(self):
        self.obeyed += 1
        self.check()


@pytest.fixture(name="told")
def told_fixture(marceld, tmp_path):
    daemon = marceld(fifo_config(directory=tmp_path / "operator"), control=tmp_path / "control")
    with Channel(tmp_path / "operator") as channel:
        made = Told(daemon, channel, tmp_path / "control")
        yield made
        made.control.close()


def test_each_is_told_once(told):
    number = told.number
    told.check()
    # By the conversation's own FIFO.
    told.channel.write("Bonjour", number)
    told.peer.expect("Bonjour\n")
    told.obeys()
    told.channel.write("/note il dort", number)
    told.obeys()
    told.channel.write("#7 trop tôt", number)
    told.refuses("#7 not-open: trop tôt", number)
    # What the conversation's thread refuses between two turns.
    told.channel.write("x" * LINE_MAX + "y", number)
    told.refuses("too-long: " + "x" * LINE_MAX, number)
    # By the one for all.
    told.channel.write(f"{number} encore")
    told.peer.expect("encore\n")
    told.obeys()
    told.channel.write("bonjour")
    told.refuses("malformed: bonjour", 0)
    told.channel.write("* /bonjour")
    told.refuses("unknown-order: /bonjour (there is /done, /close, /reset, /give NAME, /note TEXT)",
                 number)
    told.channel.write("999999 personne")
    told.refuses("no-conversation: personne", 999999)
    # By the control.
    told.control.call("Say", "tts", number, 0, "aussi")
    told.peer.expect("aussi\n")
    told.obeys()
    with pytest.raises(Failure, match="NotOpen"):
        told.control.call("Say", "tts", number, 7, "non")
    told.refuses("#7 not-open: non", number)
    told.control.call("Give", "ts", number, "echo")
    told.obeys()
    told.channel.write(f"{number} trop tard")
    told.refuses("no-conversation: trop tard", number)
    told.control.call("Take", "t", number)
    told.obeys()
    told.control.call("Close", "t", number)
    told.peer.expect_end(FAREWELL)
    told.obeys()


def test_the_rest_at_an_end(told):
    """What is left to be refused when a conversation ends."""
    number = told.number
    told.channel.write_bytes(b"/close\nun\ndeux\n", number)
    told.peer.expect_end(FAREWELL).close()
    told.channel.wait("closed", number)
    told.obeyed += 1
    for text in ("un", "deux"):
        told.expect_refusal(f"no-conversation: {text}", number)
    told.check()
