"""A bus of the test's own, in the place of the system's, with Marcel's policy: what tests that need
one share."""

import os
import tempfile
from pathlib import Path

import pytest

from daemon_tools import ROOT
from dbus_tools import TestBus

POLICY = ROOT / "systemd" / "org.marceld.Marcel1.conf"
# Some group that neither root's processes nor nobody's are in.
GROUP = "daemon"

NEEDS_BUS = [
    pytest.mark.skipif(bool(TestBus.missing()), reason=str(TestBus.missing())),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root and marcel may have the name"),
]


@pytest.fixture(name="bus")
def bus_fixture():
    # Others than root are to reach it, and every pytest that begins closes what is below its own.
    with tempfile.TemporaryDirectory(prefix="bus-") as directory:
        Path(directory).chmod(0o755)
        made = TestBus(Path(directory), POLICY, GROUP).start()
        yield made
        made.stop()
