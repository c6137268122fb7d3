"""Programs that only tests run in a booted system, built as the packages are: in a tree of the
release that they are for, from the source tree as it stands, and cached.

    checker         many clients that notice everything (tests/load/)
    marceld-test    and its like: daemons with a difference (tests/responders/)
"""

from . import SOURCE, TestbedError
from .packages import build_in_tree, cached, source_files
from .roots import digest

PROGRAMS = {
    "checker": "load",
    "marceld-test": "responders",
    "marceld-later": "responders",
    "marceld-faulty": "responders",
}

# Hardened as the packaged daemon is.
SCRIPT = f"""
set -e
export DEB_BUILD_MAINT_OPTIONS=hardening=+all
cmake -S /source -B /build -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \\
    -DCMAKE_C_FLAGS="$(dpkg-buildflags --get CFLAGS) $(dpkg-buildflags --get CPPFLAGS)" \\
    -DCMAKE_EXE_LINKER_FLAGS="$(dpkg-buildflags --get LDFLAGS)"
cmake --build /build --target {" ".join(PROGRAMS)}
cd /build/tests
cp {" ".join(f"{part}/{name}" for name, part in PROGRAMS.items())} /output/
"""


def program_files():
    """What the programs are made of, relative to the top: src/, and the C files of the tests."""
    yield from source_files()
    for path in sorted((SOURCE / "tests").rglob("*")):
        if path.suffix in (".c", ".h") or path.name == "CMakeLists.txt":
            yield path.relative_to(SOURCE)


def build(release, output):
    status, log = build_in_tree(release, program_files(), SCRIPT, output)
    if status:
        raise TestbedError(f"the programs of the tests cannot be built for {release}:\n{log[-3000:]}")


def programs(release):
    """The directory with the PROGRAMS for RELEASE."""
    parts = ["version 1", SCRIPT]
    for path in program_files():
        parts += [str(path), (SOURCE / path).read_bytes()]
    return cached("programs", release, digest(*parts), lambda output: build(release, output))
