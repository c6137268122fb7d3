"""marcelctl --bus: the verbs on a bus of the test's own, in the place of the system's, with Marcel's
policy."""

import json
import subprocess

import pytest

from bus_tools import NEEDS_BUS, bus_fixture  # noqa: F401 (a fixture)
from client_tools import environment
from daemon_tools import PATIENCE
from manager import ServiceManager
from marcelctl_tools import FAILED, NOT_RUNNING, Running, argument, ctl
from script_tools import MARCELCTL

pytestmark = NEEDS_BUS


@pytest.fixture(name="managed")
def managed_fixture(tmp_path, bus):
    config = f"[dialogue]\nresponder = fifo\n[fifo]\ndirectory = {tmp_path}/operator\n"
    made = ServiceManager(tmp_path, config, DBUS_SYSTEM_BUS_ADDRESS=bus.address)
    yield made
    made.close()


def call(bus, *arguments, **options):
    return ctl(arguments[0], "--bus", *arguments[1:],
               env={"DBUS_SYSTEM_BUS_ADDRESS": bus.address}, **options)


def test_nobody_there(bus):
    assert call(bus, "status", status=NOT_RUNNING).err == (
        "marcelctl: no marceld is on the system bus; start it with 'systemctl start marcel.socket', "
        "or use its control socket, without --bus\n")


def test_dialogue_and_restart(bus, managed):
    managed.start()
    bus.wait_marcel()
    assert json.loads(call(bus, "status", "--json").out)["running"]
    peer = managed.connect()
    number = json.loads(call(bus, "list", "--json").out)[0]["number"]
    peer.send("Bonjour\n")
    with Running("follow", "--bus", number,
                 env={"DBUS_SYSTEM_BUS_ADDRESS": bus.address}) as follow:
        follow.wait_for("C> Bonjour")
        call(bus, "say", number, "oui")
        peer.expect("oui\n")
        follow.expect("S> oui")
        assert "ecko" in call(bus, "give", number, "ecko", status=FAILED).err
        assert json.loads(call(bus, "show", "--json", number).out)["number"] == number
        managed.restart()
        follow.wait_for("-- marceld is gone")
        follow.wait_for("-- marceld is back")
        call(bus, "say", number, "encore")
        peer.expect("encore\n")
        follow.wait_for("S> encore")
        call(bus, "close", number)
        peer.read_to_end()
        peer.close()
        follow.wait_for("-- over: operator")
        follow.end()


@pytest.mark.parametrize("arguments", [["status"], ["list"], ["follow"], ["say", 1, "x"],
                                       ["metrics"]], ids=lambda arguments: arguments[0])
def test_no_permission(bus, managed, arguments):
    managed.start()
    bus.wait_marcel()
    try:
        result = subprocess.run(
            [MARCELCTL, arguments[0], "--bus", *map(argument, arguments[1:])], user="nobody", extra_groups=[],
            group="nogroup", stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE,
            env=environment(DBUS_SYSTEM_BUS_ADDRESS=bus.address))
    except PermissionError:
        pytest.skip("others can't run what was built")
    assert (result.returncode, result.stdout) == (FAILED, b"")
    assert result.stderr == (
        b"marcelctl: permission denied: only root and the group marcel-operator may control "
        b"marceld\nmarcelctl: an administrator lets you with 'usermod -aG marcel-operator nobody'; "
        b"then log in again\n")
