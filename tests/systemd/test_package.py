"""The package from its installation to its purge, in order, in one system."""

import re

import pytest
from conftest import CONFIG, GREETING, PORT, Peer, copy_packages

# Where nobody looks for leftovers: other programs' caches and logs, and what lives in memory.
PRUNED = ("/proc", "/sys", "/run", "/tmp", "/dev", "/packages", "/packages+next", "/var/log",
          "/var/cache", "/var/tmp", "/var/lib/apt", "/var/lib/dpkg", "/var/lib/systemd/catalog")
# What a purge leaves on purpose: the user of the service, whose files may be anywhere.
LEFT = {"/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-", "/etc/.pwd.lock"}


def files_of(machine):
    expression = " -o ".join(f"-path {path}" for path in PRUNED)
    listing = machine.run(f"find / -xdev \\( {expression} \\) -prune -o -print").stdout
    return set(listing.splitlines())


@pytest.fixture(scope="module", name="before")
def before_fixture(machine):
    return files_of(machine)


@pytest.fixture(scope="module", name="installed")
def installed_fixture(machine, release, before):
    """The output of installing."""
    return machine.install(copy_packages(machine, release))


def test_it_installs_and_its_socket_listens(machine, installed):
    assert "rror" not in installed.stderr, installed.stderr
    assert machine.show("marcel.socket", "ActiveState", "UnitFileState") == ["active", "enabled"]
    assert machine.show("marcel.service", "ActiveState") == "inactive"
    assert machine.run(f"printf 'a\\nb\\n' | nc -N 127.0.0.1 {PORT}").stdout == \
        f"{GREETING}\na\nb\nfin\n"


def test_it_brings_what_it_should(machine, installed):
    assert installed
    files = machine.run("dpkg -L marcel").stdout.splitlines()
    for path in ("/usr/sbin/marceld", "/usr/bin/marcel", "/usr/bin/marcelctl", CONFIG,
                 "/usr/share/man/man8/marceld.8.gz", "/usr/share/man/man1/marcel.1.gz",
                 "/usr/share/man/man1/marcelctl.1.gz",
                 "/usr/share/man/man5/marcel.ini.5.gz",
                 "/usr/share/man/man5/marcel-script.5.gz", "/etc/marcel/scripts",
                 "/usr/share/man/man7/marcel-operator.7.gz",
                 "/usr/share/dbus-1/system.d/org.marceld.Marcel1.conf",
                 "/usr/share/bash-completion/completions/marcelctl",
                 "/usr/share/marcel/scripts/smtp.script"):
        assert path in files, path
    assert machine.output("getent group marcel-operator").startswith("marcel-operator:")
    assert machine.output("stat --format='%A %U:%G' /run/marcel/operator") == \
        "drwxr-s--- marcel:marcel-operator"
    assert machine.run("marceld --version").stdout.startswith("marceld ")
    assert machine.run("marceld --check-config").returncode == 0


def test_installing_again_changes_nothing(machine, installed, release):
    assert installed
    before = machine.show("marcel.socket", "ActiveEnterTimestampMonotonic")
    paths = " ".join(copy_packages(machine, release))
    machine.run(f"apt-get install -y --reinstall --no-install-recommends {paths}", timeout=120)
    assert machine.show("marcel.socket", "ActiveEnterTimestampMonotonic") == before


def test_an_upgrade_restarts_the_service_only(machine, installed, release):
    assert installed
    machine.write(CONFIG, machine.read(CONFIG) + "\n# mine\n")
    paths = copy_packages(machine, release, "+next")
    with Peer(machine) as peer:
        assert peer.line() == GREETING
        pid = machine.main_pid("marcel.service")
        socket_since = machine.show("marcel.socket", "ActiveEnterTimestampMonotonic")
        machine.install(paths)
        assert machine.show("marcel.socket", "ActiveEnterTimestampMonotonic") == socket_since
        assert machine.show("marcel.service", "ActiveState") == "active"
        assert machine.main_pid("marcel.service") not in (0, pid)
    version = machine.output("dpkg-query -W -f '${Version}' marcel")
    assert "+next" in version
    with Peer(machine) as peer:
        assert peer.line() == GREETING
        assert peer.ask("a") == "a"
    assert machine.read(CONFIG).endswith("# mine\n")


def test_an_upgrade_starts_nothing_that_was_stopped(machine, installed, release):
    assert installed
    machine.run("systemctl stop marcel.socket marcel.service")
    paths = " ".join(copy_packages(machine, release, "+next"))
    machine.run(f"apt-get install -y --reinstall --no-install-recommends {paths}", timeout=120)
    assert machine.show("marcel.service", "ActiveState") == "inactive"
    machine.run("systemctl start marcel.socket")


def test_removal_leaves_the_configuration_and_nothing_running(machine, installed):
    assert installed
    machine.run("apt-get remove -y 'marcel*'", timeout=120)
    assert machine.show("marcel.socket", "ActiveState", "LoadState") == ["inactive", "not-found"]
    assert machine.show("marcel.service", "ActiveState", "LoadState") == ["inactive", "not-found"]
    assert machine.exists(CONFIG)
    assert not machine.exists("/usr/sbin/marceld")
    with pytest.raises(ConnectionRefusedError):
        machine.connect(PORT)


def test_a_purge_leaves_nothing(machine, installed, before):
    assert installed
    machine.run("apt-get purge -y 'marcel*'", timeout=120)
    left = {path for path in files_of(machine) - before if not re.search(r"/__pycache__", path)}
    assert left <= LEFT, sorted(left - LEFT)
    assert not machine.run("find /run -iname '*marcel*'").stdout
    state = machine.output("systemctl list-units --all --plain --no-legend 'marcel*'")
    assert state == "", state
