"""What the operator's desk costs: what it draws for a message, and that it rests between two."""

import re
import time
from pathlib import Path

import pytest

from daemon_tools import wait_until
from desk_tools import house_fixture, needs_tmux  # noqa: F401 (a fixture)

pytestmark = needs_tmux


def test_a_message_changes_only_what_it_must(house):
    peer = house.connect("one")
    desk = house.desk()
    desk.wait("C> #1 one")
    raw = desk.record()
    peer.send("two, a message\n")
    desk.wait("C> #2 two, a message")
    # Another process writes it down.
    wait_until(lambda: b"two, a message" in raw.read_bytes(), "the message in the recording")
    desk.rest()
    drawn = raw.read_bytes()
    # Neither the screen nor what is below nor a whole line is cleared.
    assert not re.search(rb"\x1b\[[0-3]?J|\x1bc|\x1b\[2K|\x0c", drawn), drawn
    assert len(drawn) < 400, drawn


def switches(pid):
    """How often each of marceld's threads has been put to sleep.

    Each but the main one bears a name of its own; TSan's, which looks around ten times a second, has
    the main one's.
    """
    counts = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        if task.name == str(pid) or (task / "comm").read_text() != "marceld\n":
            status = (task / "status").read_text().splitlines()
            counts[task.name] = [line for line in status if "ctxt_switches" in line]
    return counts


@pytest.mark.parametrize("waiting", [0, 3])
def test_nothing_is_done_when_nothing_happens(house, marceld, waiting):
    """Neither by the desk nor by marceld, whoever waits: an age on the screen changes now and then,
    and until then nobody looks at a clock."""
    house.connect()
    other = marceld("")
    desk = house.desk()
    desk.wait_list(1).wait("0 waiting")
    for _ in range(waiting):
        house.connect("one")
    desk.wait(f"{waiting} waiting")
    peer = other.connect()

    def is_idle():
        before = desk.rest(), switches(house.daemon.pid)
        # For longer than a second, for which somebody might set a clock.
        until = time.monotonic() + 2
        while time.monotonic() < until:
            peer.send("on\n").expect("on\n")
        return (desk.cost(), switches(house.daemon.pid)) == before

    # Not at once: both may still have something to put away, and an age is drawn now and then.
    wait_until(is_idle, "idleness")
