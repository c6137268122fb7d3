"""A program in a cgroup of its own, ended with everything it started.

Two systemds in one cgroup take each other's units for their own, so every nspawn gets a cgroup:
where systemd runs the host, as a scope of its own with delegation (so that TasksMax= and the
like work inside); elsewhere by hand, in the cgroup2 hierarchy, be it the only one or the `unified`
one of a hybrid host. There the controllers belong to version 1, and the booted system has none:
Scope.unified says so to nspawn.

Only processes started here are ended, each by its own id. Should the test process be killed,
nspawn is told to shut its system down (PR_SET_PDEATHSIG), and the empty cgroup it leaves is
removed by the next test process.
"""

import ctypes
import itertools
import os
import signal
import subprocess
from pathlib import Path

from . import TestbedError

PREFIX = "marcel-test-"
PR_SET_PDEATHSIG = 1
# What nspawn prepares for each machine, and leaves where /run is no file system of its own.
PROPAGATE = Path("/run/systemd/nspawn/propagate")

_libc = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count(1)


def die_with(parent, signal_number):
    """For preexec_fn: sends this process a signal when PARENT, which started it, dies."""
    _libc.prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def mounts(kind):
    """The mount points of file systems of type KIND."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        left, right = line.split(" - ")
        if right.split()[0] == kind:
            found.append(Path(left.split()[4]))
    return found


def own_path():
    """This process's place in the cgroup2 hierarchy, relative to its mount."""
    for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
        number, _, path = line.split(":", 2)
        if number == "0":
            return "" if path.startswith("/..") else path.strip("/")
    return ""


def remove(directory):
    """Removes an empty cgroup with the cgroups below it; leaves what is still populated."""
    if not directory.is_dir():
        return
    for path in sorted(directory.rglob("*"), reverse=True):
        if path.is_dir():
            try:
                path.rmdir()
            except OSError:
                return
    try:
        directory.rmdir()
    except OSError:
        pass


class Scope:
    """Makes the cgroup when start() is called, and removes it when stop() is."""

    def __init__(self):
        self.name = f"{PREFIX}{os.getpid()}-{next(_numbers)}"
        self.process = None
        self.directories = []

    def _make(self):
        unified = mounts("cgroup2")
        if not unified:
            raise TestbedError("no cgroup2 file system is mounted")
        # nspawn makes the same path in version 1's hierarchy of its own, where there is one.
        parents = [top / own_path() for top in unified + mounts("cgroup")] + [PROPAGATE]
        self._sweep(parents)
        self.directories = [parent / self.name for parent in parents]
        self.directories[0].mkdir()
        return self.directories[0] / "cgroup.procs"

    @staticmethod
    def _sweep(parents):
        """Removes what killed test processes left."""
        for path in itertools.chain(*(parent.glob(PREFIX + "*") for parent in parents)):
            owner = path.name.removeprefix(PREFIX).split("-")[0]
            if not Path(f"/proc/{owner}").exists():
                remove(path)

    def start(self, command, *, environment, **options):
        """Runs COMMAND (absolute path first) in the new cgroup; the subprocess.Popen of it."""
        by_systemd = Path("/run/systemd/system").is_dir()
        procs = None
        if by_systemd:
            command = ["systemd-run", "--scope", "--quiet", "--collect", f"--unit={self.name}",
                       "--property=Delegate=yes", "--", *command]
        else:
            procs = str(self._make())
        parent = os.getpid()

        def enter():
            if procs:
                with open(procs, "w", encoding="ascii") as file:
                    file.write("0")
            die_with(parent, signal.SIGTERM)

        variables = dict(environment, SYSTEMD_NSPAWN_UNIFIED_HIERARCHY="1")
        # pylint: disable-next=consider-using-with,subprocess-popen-preexec-fn
        self.process = subprocess.Popen(command, env=variables, preexec_fn=enter,
                                        start_new_session=True, **options)
        return self.process

    def stop(self, seconds=20):
        """Waits until the program has ended, or ends it, and removes the cgroup."""
        if self.process:
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(seconds)
        for directory in self.directories:
            remove(directory)
        self.directories = []
