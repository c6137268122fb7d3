"""What the tests of marcelctl share: it runs to its end, and files to give to it."""

import os
import subprocess

import pytest

from client_tools import environment
from daemon_tools import PATIENCE, SANITIZER_REPORT
from script_tools import MARCELCTL

FAILED = 1


class Result:
    def __init__(self, process, out, err):
        self.status = process.returncode
        self.out, self.err = out.decode(), err.decode()
        assert not SANITIZER_REPORT.search(err), self.err


def ctl(*arguments, input=b"", status=0, env=None, **options):
    """Runs marcelctl to its end, which must be STATUS."""
    process = subprocess.Popen([MARCELCTL, *map(os.fspath, arguments)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=environment(**(env or {})), **options)
    try:
        result = Result(process, *process.communicate(input, timeout=PATIENCE))
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError(f"marcelctl does not end: {process.communicate()}") from None
    assert result.status == status, (result.status, result.out, result.err)
    return result


@pytest.fixture
def write(tmp_path):
    """write(name, text) gives the path of a file with this text."""
    def make(name, text):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return make
