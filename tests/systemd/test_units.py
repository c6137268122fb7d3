"""The units as they are installed."""

import re

UNITS = "marcel.socket marcel.service"


def test_verify_has_nothing_to_say(marcel):
    # The manual pages are the package's matter; there is no man in this system.
    result = marcel.run(f"systemd-analyze verify --man=no {UNITS}")
    assert (result.stdout, result.stderr) == ("", "")


def test_the_sandbox(marcel, record_property):
    text = marcel.run("systemd-analyze security marcel.service").stdout
    figure = float(re.search(r"Overall exposure level for marcel.service: ([0-9.]+)", text)[1])
    record_property("exposure", figure)
    print(f"systemd-analyze security: {figure}")
    assert figure < 1.0, text


def test_what_runs_is_sandboxed(marcel, meet):
    meet()
    pid = marcel.main_pid("marcel.service")
    status = marcel.read(f"/proc/{pid}/status")
    assert re.search(r"^CapBnd:\s0{16}$", status, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\s1$", status, re.MULTILINE)
    assert re.search(r"^Seccomp:\s2$", status, re.MULTILINE)
    assert not re.search(r"^Uid:\s0\s", status, re.MULTILINE)
