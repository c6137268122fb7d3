"""Crowds of clients that notice everything, against a manager's daemon: tests/load/checker.c."""

import os
import subprocess
import sys
import tempfile

from daemon_tools import BUILD, ROOT

sys.path.insert(0, os.fspath(ROOT / "tests" / "load"))
from checker import Checker, arguments  # pylint: disable=wrong-import-position


class Crowd(Checker):
    """A running checker, whose clients have all been greeted. Ends with the block."""

    def __init__(self, address, **options):
        errors = tempfile.TemporaryFile()
        process = subprocess.Popen([BUILD / "tests/load/checker", *arguments(options), address],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors)
        super().__init__(process, errors, {"address": address, **options})

    def __enter__(self):
        self.await_greeted()
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.errors.close()
