"""What all end-to-end tests share; the tools themselves are in daemon_tools.py."""

import os
import shutil
import tempfile

import pytest

import daemon_tools
from manager import ServiceManager


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    # A place of its own: each pytest that begins closes the one that all of a user's share to
    # others, whom tests let in.
    config.own_place = None if config.option.basetemp else tempfile.mkdtemp(prefix="pytest-")
    config.option.basetemp = config.option.basetemp or config.own_place


def pytest_sessionfinish(session, exitstatus):
    # What failed may be looked at.
    if session.config.own_place and exitstatus == 0:
        shutil.rmtree(session.config.own_place, ignore_errors=True)


def pytest_report_header(config):
    return (f"marceld: {daemon_tools.MARCELD} (sanitizer: {daemon_tools.sanitizer() or 'none'}), "
            f"repetitions: {os.environ.get('MARCEL_REPEAT', '10')} %")


@pytest.fixture
def marceld(tmp_path):
    """
    Starts daemons: marceld("[dialogue]\\n...") gives a Daemon that is ready (with wait=False: maybe
    not yet) and ends with the test.
    """
    daemons = []

    def start(config="", wait=True, **options):
        directory = tmp_path / f"marceld-{len(daemons)}"
        directory.mkdir()
        daemon = daemon_tools.Daemon(config, directory=directory, **options)
        daemons.append(daemon)
        if wait:
            daemon.wait_ready(max(len(options.get("listen", [None])), 1))
        return daemon

    yield start
    faults = []
    for daemon in daemons:
        try:
            daemon.clean_up()
        except AssertionError as fault:
            faults.append(str(fault))
    assert not faults, "\n".join(faults)


@pytest.fixture
def echo(marceld):
    """marceld with the built-in defaults: an empty configuration."""
    return marceld("")


@pytest.fixture
def ini(tmp_path):
    """Writes a configuration file: ini("[dialogue]\\n...") gives its path."""
    def write(text, name="test.ini"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.fixture
def manager(tmp_path):
    """A service manager in small: manager.config and the like may be set before manager.start()."""
    made = ServiceManager(tmp_path)
    yield made
    made.close()
