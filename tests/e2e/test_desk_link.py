"""The operator's desk and its marceld: one that dies and returns, one that carries on, and none."""

import signal

import pytest

from daemon_tools import wait_until
from desk_tools import OPERATOR, Desk, House, house_fixture, needs_tmux  # noqa: F401 (a fixture)
from marcelctl_tools import FAILED

pytestmark = needs_tmux


def test_marceld_is_gone_and_returns(house, marceld, tmp_path):
    house.connect("one")
    desk = house.desk()
    desk.wait("C> #1 one").type("half")
    house.daemon.signal(signal.SIGKILL)
    house.daemon.wait(-signal.SIGKILL)
    desk.wait("marceld is gone, reconnecting", "C> #1 one").press("Enter")
    desk.wait_input("#1 S> half")
    returned = House(marceld, tmp_path)
    desk.wait("connected to marceld", "while marceld was away").wait_input("S> half")
    # What was shown stays as long as it is looked at.
    returned.connect("two")
    desk.wait("1 waiting", "C> #1 one").wait_input("S> half").press("Tab").wait("C> #1 two")
    desk.press("M-2").wait("C> #1 one").press("C-u", "Tab").wait("C> #1 two")
    desk.wait("Conversations: 1")


def test_marceld_restarts_and_carries_on(manager):
    manager.config = OPERATOR.format(manager.runtime / "operator")
    manager.start()
    peer = manager.connect()
    peer.send("one\n")
    with Desk(manager.control) as desk:
        desk.wait("C> #1 one").type("half")
        for turn, number in ((2, signal.SIGTERM), (3, signal.SIGKILL)):
            manager.end(number)
            desk.wait("marceld is gone, reconnecting")
            manager.start()
            desk.wait("connected to marceld", "C> #1 one", "1 waiting").wait_input("#1 S> half")
            # What is on the screen is not only what was there.
            peer.send(f"{turn}, too\n")
            desk.wait(f"C> #{turn} {turn}, too").wait_input("#1 S> half")
        desk.type(" of it").press("Enter")
        peer.expect("half of it\n")
        desk.wait_input("#2 S>")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_all_that_waits_waits_in_the_next_marceld(manager, how):
    manager.config = OPERATOR.format(manager.runtime / "operator")
    manager.start()
    peer = manager.connect()
    peer.send("one\ntwo\n")
    with Desk(manager.control) as desk:
        desk.wait("C> #1 one", "C> #2 two")
        manager.end(how)
        desk.wait("marceld is gone, reconnecting")
        manager.start()
        desk.wait("connected to marceld", "1 waiting").wait_input("#1 S>")
        desk.type("un").press("Enter").wait_input("#2 S>").type("deux").press("Enter")
        peer.expect("un\ndeux\n")


def test_no_marceld(tmp_path):
    with Desk(tmp_path / "control") as desk:
        desk.end(FAILED)
        wait_until(lambda: b"control" in desk.errors(), "a word about it")
