#!/usr/bin/python3
"""The README's two commands in a fresh minimal Debian: no compiler, no headers, no systemd running.

For each release: a tree of mmdebstrap's minbase, this source tree copied into it, and then
`packaging/quickstart`, with which a conversation is held, and `tests/run --quick`. Packages come
from where this machine gets its own. Ends with the line `N passed, N failed` over all of it.
"""

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

from testbed import RELEASES, SOURCE, why_not
from testbed.machine import leader_of
from testbed.roots import root
from testbed.scope import Scope

SECONDS = 1200

# Runs inside. The network is this machine's, where something else may have the port just now: then
# quickstart installs and builds all the same, and talks later, in a network of its own.
SCRIPT = r"""
set -eu
mkdir /marcel && tar -C /marcel -xf -
cd /marcel
mkfifo /run/said
cat >/run/talk <<'END'
set -eu
packaging/quickstart >/run/said 2>&1 &
taken=
while read -r line; do
    echo "$line"
    case $line in
    *"Address already in use"*) taken=yes ;;
    *"ready on 127.0.0.1:50000"*)
        printf 'bonjour\nfin\n' | timeout 30 build/src/marcel/marcel 127.0.0.1 >/run/heard
        cat /run/heard
        test "$(tail -n 2 /run/heard)" = "bonjour
fin"
        kill $!
        echo "quickstart: a conversation was held"
        ;;
    esac
done </run/said
test -z "$taken" || exit 75
wait $!
END
talked=0
sh /run/talk || talked=$?
test $talked = 0 || test $talked = 75
tests/run --quick || tested=$?
test $talked = 0 || unshare --net sh -c 'python3 -c "
import fcntl, socket, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack(\"16sh14x\", b\"lo\", 1))
" && sh /run/talk'
exit ${tested:-0}
"""

COUNTS = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", re.MULTILINE)


def source_archive():
    """The source tree as a checkout would have it, with changes that are not committed, as tar."""
    git = subprocess.run(["git", "-c", "safe.directory=*", "ls-files", "-z", "-co",
                          "--exclude-standard"], cwd=SOURCE, capture_output=True, check=False)
    if git.returncode == 0:
        names = b"\0".join(name for name in git.stdout.split(b"\0")
                           if name and os.path.lexists(SOURCE / os.fsdecode(name)))
        command = ["tar", "-cf", "-", "--null", "--no-recursion", "-T", "-"]
    else:
        names = b""
        command = ["tar", "-cf", "-", "--anchored", "--exclude=./build*", "."]
    return subprocess.run(command, cwd=SOURCE, input=names, stdout=subprocess.PIPE,
                          check=True).stdout


def try_out(release):
    """Runs SCRIPT in a fresh tree; what it counted: (passed, failed, skipped)."""
    tree = root("fresh", release, ["ca-certificates"])
    scope = Scope()
    command = ["/usr/bin/systemd-nspawn", "--quiet", f"--directory={tree}", "--read-only",
               "--volatile=overlay", "--settings=no", "--register=no", "--keep-unit", "--as-pid2",
               f"--machine={scope.name}", "--console=pipe", "--resolv-conf=bind-host",
               "--timezone=off", "--setenv=CI=true",
               # What root has without a container, and some tests use.
               "--capability=CAP_NET_ADMIN", "--system-call-filter=pidfd_getfd kcmp"]
    # How this machine reaches its packages; where they are is in the tree already.
    if Path("/etc/apt/apt.conf.d").is_dir():
        command.append("--bind-ro=/etc/apt/apt.conf.d")
    command += [f"--setenv={name}={os.environ[name]}" for name in os.environ
                if name.lower() in ("http_proxy", "https_proxy", "no_proxy")]
    archive = source_archive()
    output = []
    process = scope.start([*command, "/bin/sh", "-c", SCRIPT],
                          environment=dict(os.environ), stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def end():
        leader = leader_of(process)
        if leader:
            os.kill(leader, signal.SIGKILL)

    expired = threading.Timer(SECONDS, end)
    expired.start()
    try:
        try:
            process.stdin.write(archive)
            process.stdin.close()
        except BrokenPipeError:
            pass  # the exit status tells
        for line in process.stdout:
            text = line.decode(errors="backslashreplace")
            output.append(text)
            print(f"{release}: {text}", end="", flush=True)
        status = process.wait(60)
    finally:
        expired.cancel()
        end()
        scope.stop()
    text = "".join(output)
    counts = COUNTS.findall(text)
    passed, failed, skipped = map(int, (n or 0 for n in counts[-1])) if counts else (0, 0, 0)
    if "quickstart: a conversation was held" in text:
        passed += 1
    else:
        failed += 1
    if status and not failed:
        failed += 1
    return passed, failed, skipped


def main():
    reason = why_not()
    if reason:
        print(f"no fresh trees here: {reason}")
        print("0 passed, 0 failed, 1 skipped")
        return 0
    totals = [sum(column) for column in zip(*map(try_out, sys.argv[1:] or RELEASES))]
    print("{} passed, {} failed".format(*totals) + (f", {totals[2]} skipped" if totals[2] else ""))
    return 1 if totals[1] or not totals[0] else 0


if __name__ == "__main__":
    sys.exit(main())
