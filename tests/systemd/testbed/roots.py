"""Debian trees: made once by mmdebstrap, kept in the cache, never written to afterwards.

A tree is named after what it is made of (release, packages, preparation), so that a changed list
makes a new one. Several test processes may ask at once: one makes it, the others wait. A tree
that could not be finished is removed; a half one is never used.

Packages come from where this machine gets its own: the addresses of its Debian sources are used
with the other release's name. On a machine without any, mmdebstrap's own choice is taken.
"""

import fcntl
import hashlib
import re
import shutil
import subprocess
from contextlib import contextmanager

from . import SOURCE, TestbedError, cache

# What a small server has, and what the tests use inside.
BOOT_PACKAGES = [
    "systemd", "systemd-sysv", "dbus", "init-system-helpers", "procps", "locales", "ca-certificates",
    "python3", "netcat-openbsd", "inetutils-telnet",
    # What marcel depends on: no network inside.
    "libsystemd0", "libinih1", "libedit2", "libncursesw6", "libtinfo6",
]
# journalctl -x and the client speak French where the locale is French.
BOOT_PREPARE = ["localedef -i fr_FR -f UTF-8 fr_FR.UTF-8"]

BUILD_PACKAGES = ["build-essential", "fakeroot", "lintian"]

MAKE_SECONDS = 900


@contextmanager
def locked(path):
    """Holds an exclusive lock named after PATH, among processes and threads."""
    with open(f"{path}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def digest(*parts):
    """A short name for the bytes or texts PARTS."""
    total = hashlib.sha256()
    for part in parts:
        total.update(part if isinstance(part, bytes) else part.encode())
        total.update(b"\0")
    return total.hexdigest()[:16]


def sources(release):
    """Lines of a sources.list(5) for RELEASE from this machine's own; [] when it has none."""
    listing = subprocess.run(
        ["apt-get", "indextargets", "--format",
         "$(REPO_URI) $(CODENAME) $(RELEASE) $(COMPONENT) $(ORIGIN)", "Created-By: Packages"],
        capture_output=True, text=True, check=False, timeout=60)
    lines = []
    for row in listing.stdout.splitlines():
        uri, codename, suite, component, *origin = row.split()
        if origin != ["Debian"] or component != "main":
            continue
        base, _, pocket = codename.partition("-")
        if pocket in ("", "updates", "security") and suite.startswith((base, "stable", "oldstable")):
            line = f"deb {uri} {release}{'-' + pocket if pocket else ''} main"
            if line not in lines:
                lines.append(line)
    return lines


def make(release, packages, prepare, target):
    """Makes the tree TARGET with mmdebstrap."""
    command = ["mmdebstrap", "--quiet", "--variant=minbase", "--include=" + ",".join(packages)]
    command += [f'--customize-hook=chroot "$1" {step}' for step in prepare]
    command += [release, str(target), *sources(release)]
    log = target.with_name(target.name + ".log")
    with open(log, "w", encoding="utf-8") as output:
        result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output,
                                stderr=subprocess.STDOUT, check=False, timeout=MAKE_SECONDS)
    if result.returncode:
        raise TestbedError(f"{' '.join(command)} failed:\n{log.read_text(errors='replace')[-3000:]}")
    log.unlink()


def root(kind, release, packages, prepare=()):
    """The path of the tree for RELEASE with PACKAGES, made now if the cache has none."""
    packages = sorted(set(packages))
    path = cache() / f"{kind}-{release}-{digest(release, *packages, '|', *prepare)}"
    with locked(path):
        if not path.is_dir():
            unfinished = path.with_name(path.name + ".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            try:
                make(release, packages, prepare, unfinished)
                unfinished.rename(path)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
    return path


def boot_root(release):
    """A tree that boots, with everything Marcel's package depends on and without it."""
    return root("boot", release, BOOT_PACKAGES, BOOT_PREPARE)


def build_depends():
    """The packages that packaging/debian/control builds with."""
    control = (SOURCE / "packaging/debian/control").read_text(encoding="utf-8")
    field = re.search(r"^Build-Depends:(.*(?:\n[ \t#].*)*)", control, re.MULTILINE)
    text = re.sub(r"^#.*$", "", field[1], flags=re.MULTILINE)
    names = [re.split(r"[\s(\[<:|]", item.strip())[0] for item in text.split(",")]
    return [name for name in names if name and not name.startswith("debhelper-compat")]


def build_root(release):
    """A tree that builds the packages."""
    return root("build", release, BUILD_PACKAGES + ["debhelper"] + build_depends())
