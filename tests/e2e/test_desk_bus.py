"""The desk over a bus of the test's own, in the place of the system's: a restart as well."""

from bus_tools import NEEDS_BUS, bus_fixture  # noqa: F401 (a fixture)
from desk_tools import Desk, needs_tmux
from test_marcelctl_bus import managed_fixture  # noqa: F401 (a fixture)

pytestmark = [*NEEDS_BUS, needs_tmux]


def test_a_restart(bus, managed, tmp_path):
    managed.start()
    bus.wait_marcel()
    peer = managed.connect()
    peer.send("one\n")
    with Desk(tmp_path / "nowhere", ["--bus"],
              env={"DBUS_SYSTEM_BUS_ADDRESS": bus.address}) as desk:
        desk.wait("C> #1 one").wait_input("#1 S>").type("half")
        managed.end()
        desk.wait("marceld is gone, reconnecting", "C> #1 one")
        managed.start()
        desk.wait("connected to marceld", "1 waiting").wait_input("#1 S> half")
        desk.press("Enter")
        peer.expect("half\n").send("two\n")
        desk.wait("S> half", "C> #2 two").wait_input("#2 S>")
