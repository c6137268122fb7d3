#!/usr/bin/python3
"""Makes the Debian trees and the packages that the tests in booted systems use, if they are missing.

The tests make them themselves when they need them; this does it beforehand, for all releases at
once, and says so. Nothing to do, and nothing wrong, where no system can be booted.
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor

from testbed import RELEASES, TestbedError, cache, why_not
from testbed.packages import packages
from testbed.programs import programs
from testbed.roots import boot_root


def prepare(release):
    boot_root(release)
    for suffix in ("", "+next"):
        packages(release, suffix)
    programs(release)


def main():
    reason = why_not()
    if reason:
        print(f"no booted systems here, their tests will be skipped: {reason}")
        return 0
    start = time.monotonic()
    print(f"prepares Debian {' and '.join(RELEASES)} in {cache()}", flush=True)
    status = 0
    with ThreadPoolExecutor() as threads:
        work = {release: threads.submit(prepare, release) for release in RELEASES}
        for release, made in work.items():
            try:
                made.result()
            except (TestbedError, OSError) as error:
                print(f"{release}: {error}")
                status = 1
    print(f"prepared in {time.monotonic() - start:.0f} s")
    return status


if __name__ == "__main__":
    sys.exit(main())
