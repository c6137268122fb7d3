"""The .deb files, built by packaging/build-deb in a tree of the release that they are for.

What is built is the source tree as it stands, committed or not. The files are cached under a hash
of everything that goes into them, so that a second run costs nothing. Two versions are at hand:
the present one, and one with a suffix, to upgrade to.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from . import SOURCE, TestbedError, cache
from .machine import ENVIRONMENT, leader_of
from .roots import build_root, digest, locked
from .scope import Scope

# What of the source tree goes into a package; the rest can change without building again.
INGREDIENTS = ("CMakeLists.txt", "LICENSE", "README.md", "cmake", "etc", "packaging", "src",
               "systemd")
BUILD_SECONDS = 600
# Each build of a changed tree leaves files; that many are kept for each release.
KEEP = 8


def source_files():
    """The paths of the source tree relative to its top, without what building leaves there."""
    for name in INGREDIENTS:
        top = SOURCE / name
        paths = sorted(top.rglob("*")) if top.is_dir() else [top]
        for path in paths:
            if path.is_file() and "__pycache__" not in path.parts:
                yield path.relative_to(SOURCE)


def source_digest(suffix):
    parts = ["version 1", suffix]
    for path in source_files():
        parts += [str(path), str((SOURCE / path).stat().st_mode), (SOURCE / path).read_bytes()]
    return digest(*parts)


def build_in_tree(release, files, script, output):
    """Runs the shell lines SCRIPT in the build tree of RELEASE; its exit status, and its output.

    FILES of the source tree (relative paths) are below /source there, the directory OUTPUT is
    /output.
    """
    with tempfile.TemporaryDirectory(prefix="marcel-source-") as copy:
        for path in files:
            target = Path(copy) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(SOURCE / path, target)
        scope = Scope()
        command = ["/usr/bin/systemd-nspawn", "--quiet", f"--directory={build_root(release)}",
                   "--read-only", "--volatile=overlay", "--settings=no", "--register=no",
                   "--keep-unit", "--as-pid2", f"--machine={scope.name}", "--private-network",
                   "--console=pipe", "--resolv-conf=off", "--timezone=off",
                   f"--bind-ro={copy}:/source", f"--bind={output}:/output",
                   "--setenv=DEB_BUILD_OPTIONS=nocheck", "/bin/sh", "-c", script]
        log = output / "build.log"
        with open(log, "wb") as file:
            process = scope.start(command, environment=ENVIRONMENT, stdin=subprocess.DEVNULL,
                                  stdout=file, stderr=subprocess.STDOUT)
            try:
                status = process.wait(BUILD_SECONDS)
            finally:
                leader = leader_of(process)
                if leader:
                    os.kill(leader, signal.SIGKILL)
                scope.stop()
        return status, log.read_text(errors="replace")


def build(release, suffix, output):
    """Builds the packages into the directory OUTPUT."""
    arguments = f"--version-suffix {suffix}" if suffix else ""
    script = (f"cp -a /source /marcel && cd /marcel && packaging/build-deb {arguments} && "
              "cp build-deb/*.deb /output/")
    status, log = build_in_tree(release, source_files(), script, output)
    if status or not list(output.glob("*.deb")):
        raise TestbedError(f"packaging/build-deb failed for {release}:\n{log[-3000:]}")


def forget_old(kind, release, keep=KEEP):
    """Removes what was built for this release and was not used for longest."""
    found = [path for path in cache().glob(f"{kind}-{release}-*")
             if path.is_dir() and not path.suffix]
    for path in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)[keep:]:
        shutil.rmtree(path, ignore_errors=True)


def cached(kind, release, name, make):
    """The directory of KIND for RELEASE called NAME, filled by MAKE(directory) if there is none."""
    path = cache() / f"{kind}-{release}-{name}"
    with locked(path):
        if path.is_dir():
            os.utime(path)
        else:
            unfinished = Path(f"{path}.unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            try:
                make(unfinished)
                unfinished.rename(path)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
    forget_old(kind, release)
    return path


def packages(release, suffix=""):
    """The directory with the .deb files of the present source tree for RELEASE."""
    return cached("debs", release, source_digest(suffix),
                  lambda output: build(release, suffix, output))
