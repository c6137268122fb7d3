"""A bus of the test's own, in the place of the system's, with Marcel's policy: what tests that need
one share."""

import os

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
def bus_fixture(tmp_path):
    made = TestBus(tmp_path, POLICY, GROUP).start()
    # Others than root are to reach it.
    for one in (tmp_path, *tmp_path.parents):
        if one.stat().st_uid == os.geteuid() and one.name.startswith(("pytest-", "test_")):
            one.chmod(0o755)
    yield made
    made.stop()
