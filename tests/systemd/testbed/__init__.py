"""A booted Debian with the packages installed, for tests to try things on.

    roots     makes and caches the Debian trees (mmdebstrap)
    packages  builds the .deb files in a tree of the release they are for, and caches them
    programs  builds in the same way what only tests run
    scope     runs a program in a cgroup of its own, and leaves nothing behind
    machine   boots a tree under systemd-nspawn and gives the test hands inside

Nothing here knows what Marcel does. Everything needs root; why_not() says what is missing.
"""

import os
import shutil
from pathlib import Path

RELEASES = ("bookworm", "trixie")
SOURCE = Path(__file__).resolve().parents[3]
TOOLS = {"systemd-nspawn": "systemd-container", "mmdebstrap": "mmdebstrap", "nsenter": "util-linux"}


class TestbedError(Exception):
    """The testbed itself failed: no statement about Marcel can be made."""


def why_not():
    """Why no system can be booted here, as a sentence; None if all is well."""
    if os.geteuid() != 0:
        return "only root can boot a system"
    missing = sorted(package for tool, package in TOOLS.items() if not shutil.which(tool))
    if missing:
        return f"missing: {', '.join(missing)}"
    if os.environ.get("MARCEL_NO_BOOT"):
        return "MARCEL_NO_BOOT is set"
    return None


def cache():
    """The directory for what is expensive to make; outside the source tree, safe to delete."""
    top = os.environ.get("MARCEL_CACHE")
    if not top:
        top = Path(os.environ.get("XDG_CACHE_HOME") or "/var/cache") / "marcel-tests"
    path = Path(top)
    path.mkdir(parents=True, exist_ok=True)
    return path
