#!/usr/bin/python3
"""Counts the tests that ctest ran: count.py CTEST.xml DIRECTORY

CTEST.xml is what `ctest --output-junit` wrote; DIRECTORY holds the NAME.xml files that pytest wrote
for its entries, with '/' as '-'. An entry of pytest counts as its test functions, one of cmocka as
its tests, any other as one test. An entry that failed in a way its own results don't show (a crash, a
time limit, no results at all) counts as one failed test more.

Prints a line for each part, the failures and the reasons for skipping, and at last the one line
`N passed, N failed` or `N passed, N failed, N skipped`. Exit status 0 only if something ran and
nothing failed.
"""

import re
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

# cmocka's own words, with a prefix and without: versions differ.
CMOCKA_RUN = re.compile(r"^\[ RUN      \] ", re.MULTILINE)
CMOCKA_SUM = re.compile(r"^\[  (PASSED |FAILED |SKIPPED) \] (?:.*: )?(\d+) test\(s\)", re.MULTILINE)


class Result:
    """What one entry of ctest comes to."""

    def __init__(self):
        self.passed = 0
        self.failed = 0
        self.skipped = 0
        self.failures = []
        self.reasons = Counter()

    def skip(self, reason):
        self.skipped += 1
        self.reasons[reason] += 1

    def fail(self, name):
        self.failed += 1
        self.failures.append(name)


# What XML can't hold, and what a program under test may well print.
UNFIT = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def read(file):
    return ElementTree.fromstring(UNFIT.sub(b"?", file.read_bytes()))


def first_line(text):
    return (text or "").strip().splitlines()[0][:160] if (text or "").strip() else ""


def count_pytest(file, entry):
    result = Result()
    for case in read(file).iter("testcase"):
        name = f"{entry}: {case.get('name')}"
        skipped = case.find("skipped")
        fault = case.find("failure")
        fault = fault if fault is not None else case.find("error")
        if fault is not None:
            result.fail(f"{name}: {first_line(fault.get('message'))}")
        elif skipped is not None:
            result.skip(first_line(skipped.get("message")))
        else:
            result.passed += 1
    return result


def count_cmocka(output, entry):
    result = Result()
    sums = Counter()
    for word, number in CMOCKA_SUM.findall(output):
        sums[word.strip()] += int(number)
    for _ in range(sums["FAILED"]):
        result.fail(entry)
    for _ in range(sums["SKIPPED"]):
        result.skip(entry)
    # What ran without an outcome was cut short by a crash; the entry itself has failed then.
    result.passed = min(sums["PASSED"], len(CMOCKA_RUN.findall(output)))
    return result


def count_entry(case, directory):
    """The Result of one <testcase> of ctest."""
    entry = case.get("name")
    output = case.findtext("system-out") or ""
    status = case.get("status")  # run, fail, notrun, disabled
    file = directory / (entry.replace("/", "-") + ".xml")
    if file.is_file():
        result = count_pytest(file, entry)
    elif CMOCKA_RUN.search(output):
        result = count_cmocka(output, entry)
    else:
        result = Result()
        if status == "run":
            result.passed = 1
    if status == "fail" and not result.failed:
        fault = case.find("failure")
        why = first_line(fault.get("message")) if fault is not None else ""
        result.fail(f"{entry}: {why or 'failed'} (see its output above)")
    elif status not in ("run", "fail") and not result.skipped and not file.is_file():
        skipped = case.find("skipped")
        why = first_line(skipped.get("message")) if skipped is not None else status
        # ctest says of a missing program, too, that it skipped it.
        if "SKIP" in why or "Disabled" in why:
            result.skip(f"{entry}: {why}")
        else:
            result.fail(f"{entry}: {why}")
    return result


def summary(passed, failed, skipped):
    return f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else "")


def main(arguments):
    file, directory = map(Path, arguments)
    parts = {}
    cases = list(read(file).iter("testcase")) if file.is_file() else []
    for case in cases:
        part = case.get("name").split("/")[0]
        parts.setdefault(part, []).append((count_entry(case, directory), float(case.get("time", 0))))
    print()
    for part, results in parts.items():
        counts = [sum(getattr(result, name) for result, _ in results)
                  for name in ("passed", "failed", "skipped")]
        print(f"{part:10} {summary(*counts)} ({sum(time for _, time in results):.1f} s)")
    everything = [result for results in parts.values() for result, _ in results]
    reasons = sum((result.reasons for result in everything), Counter())
    for reason, number in reasons.items():
        print(f"skipped {number}: {reason}")
    for result in everything:
        for failure in result.failures:
            print(f"FAILED {failure}")
    passed, failed, skipped = (sum(getattr(result, name) for result in everything)
                               for name in ("passed", "failed", "skipped"))
    if not passed + failed:
        print("nothing ran")
    print(summary(passed, failed, skipped))
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
