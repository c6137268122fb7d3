"""A package upgrade under load is a restart, and so is the way back."""

from conftest import copy_packages
from crowd import (QUIET, TCP, TCP6, UNIX, Crowd, handovers, install_program, losses, prepare,
                   restarts, summary)

VERSION = "dpkg-query -W -f '${Version}' marcel"


def install(marcel, suffix, *options):
    """Installs the packages with SUFFIX as an administrator does."""
    paths = " ".join(copy_packages(marcel, marcel.release, suffix))
    marcel.run(f"apt-get install -y {' '.join(options)} --no-install-recommends {paths}",
               timeout=240)


def test_an_upgrade_under_load(marcel, record_property):
    prepare(marcel)
    version = marcel.output(VERSION)
    listening_since = marcel.show("marcel.socket", "ActiveEnterTimestampMonotonic")
    # With pauses: an installation takes long, and longer when it gets no processor.
    with Crowd(marcel, TCP, clients=100, batch=5, pause=20) as quick, \
            Crowd(marcel, TCP6, clients=50, pause=20, size=3000) as calm, \
            Crowd(marcel, UNIX, clients=50, batch=3, pause=20) as local, \
            Crowd(marcel, TCP, clients=20, churn=4, pause=50) as coming:
        pid = marcel.main_pid("marcel.service")
        install(marcel, "+next")
        assert marcel.output(VERSION) == f"{version}+next"
        assert marcel.main_pid("marcel.service") not in (0, pid)
        pid = marcel.main_pid("marcel.service")
        install(marcel, "", "--allow-downgrades")
        assert marcel.output(VERSION) == version
        assert marcel.main_pid("marcel.service") not in (0, pid)
        figures = [crowd.finish() for crowd in (quick, calm, local, coming)]
    told = handovers(marcel)
    assert len(told) == 2 and all(one["carried"] >= 200 and one["lost"] == 0 for one in told), told
    assert not losses(marcel)
    assert restarts(marcel) == 0
    # Nobody was refused: the socket stayed as it was, backlog and all.
    assert marcel.show("marcel.socket", "ActiveEnterTimestampMonotonic") == listening_since
    freeze = max(one["freeze_usec"] for one in told) // 1000
    record_property("upgrade", f"{summary(*figures)}, longest freeze {freeze} ms")
    print(f"upgrade and back: {summary(*figures)}, longest freeze {freeze} ms")


def test_a_later_responder_reads_the_state(marcel):
    prepare(marcel, "marceld-test", "[dialogue]\nresponder = trial\n")
    install_program(marcel, "marceld-later")
    with Crowd(marcel, TCP, clients=50, counted=True, batch=3) as crowd:
        name = "/etc/systemd/system/marcel.service.d/unbroken.conf"
        marcel.write(name, marcel.read(name).replace("marceld-test", "marceld-later"))
        marcel.run("systemctl daemon-reload && systemctl restart marcel.service")
        crowd.finish()
    assert handovers(marcel)[0]["carried"] == 50
    assert not losses(marcel)


def test_a_responder_that_is_gone(marcel):
    # Nothing can go on with it: those conversations end, named, and the service goes on.
    prepare(marcel, "marceld-test", "[dialogue]\nresponder = trial\n")
    with Crowd(marcel, TCP, clients=20, counted=True, idle=True) as crowd:
        prepare_echo(marcel)
        crowd.await_figures(lambda now: now["broken"] == 20, "all 20 are let go")
    assert losses(marcel) == ["no-responder"] * 20
    with Crowd(marcel, TCP, clients=5) as crowd:
        crowd.finish()


def prepare_echo(marcel):
    """The packaged daemon, which knows no trial, in place of the test's."""
    marcel.path("/etc/systemd/system/marcel.service.d/unbroken.conf").unlink()
    marcel.write("/etc/marcel.ini", QUIET)
    marcel.run("systemctl daemon-reload && systemctl restart marcel.service")
