"""What the tests of marcelctl share: it runs to its end, or until something happens; files to give
to it; and a marceld in small for it to talk to."""

import os
import select
import subprocess
import time

import pytest

from client_tools import environment
from daemon_tools import BUILD, PATIENCE, SANITIZER_REPORT
from script_tools import MARCELCTL

FAKE = BUILD / "tests" / "fake-control"

FAILED = 1
NOT_RUNNING = 3


class Result:
    def __init__(self, process, out, err, encoding):
        self.status = process.returncode
        self.out, self.err = out.decode(encoding), err.decode(encoding)
        assert not SANITIZER_REPORT.search(err), self.err


def argument(value):
    return str(value) if isinstance(value, int) else os.fspath(value)


def ctl(*arguments, input=b"", status=0, env=None, encoding="utf-8", **options):
    """Runs marcelctl, which speaks ENCODING, to its end, which must be STATUS."""
    process = subprocess.Popen([MARCELCTL, *map(argument, arguments)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=environment(**(env or {})), **options)
    try:
        result = Result(process, *process.communicate(input, timeout=PATIENCE), encoding)
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError(f"marcelctl does not end: {process.communicate()}") from None
    assert result.status == status, (result.status, result.out, result.err)
    return result


UTC = {"TZ": "UTC"}


def call(where, *arguments, **options):
    """Runs marcelctl with --control behind its verb."""
    path = getattr(where, "path", where)
    return ctl(arguments[0], "--control", path, *arguments[1:], **{"env": UTC, **options})


@pytest.fixture
def write(tmp_path):
    """write(name, text) gives the path of a file with this text."""
    def make(name, text):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return make


class Lines:
    """The lines of a pipe, waited for."""

    def __init__(self, stream):
        self.stream = stream
        self.data = b""

    def next(self):
        """The next line, without its end; None at the end of file."""
        deadline = time.monotonic() + PATIENCE
        while b"\n" not in self.data:
            left = deadline - time.monotonic()
            assert left > 0 and select.select([self.stream], [], [], left)[0], (
                f"no line came: {self.data!r}")
            more = os.read(self.stream.fileno(), 65536)
            if not more:
                assert not self.data, self.data
                return None
            self.data += more
        line, _, self.data = self.data.partition(b"\n")
        return line.decode()


class Running:
    """A marcelctl that goes on until something happens: its lines, and its end."""

    def __init__(self, *arguments, env=None, **options):
        self.process = subprocess.Popen([MARCELCTL, *map(argument, arguments)],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, env=environment(**(env or {})),
                                        **options)
        self.lines = Lines(self.process.stdout)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def expect(self, *lines):
        for line in lines:
            got = self.lines.next()
            assert got == line, (got, line)

    def wait_for(self, text):
        """The first line from here on with TEXT in it."""
        while (line := self.lines.next()) is not None:
            if text in line:
                return line
        raise AssertionError(f"no line with {text!r}")

    def signal(self, number):
        self.process.send_signal(number)

    def end(self, status=0, err=""):
        """Waits for its end: no more lines come."""
        rest, errors = self.process.communicate(timeout=PATIENCE)
        assert self.lines.data + rest == b"", (self.lines.data, rest)
        assert not SANITIZER_REPORT.search(errors), errors
        seen = (self.process.returncode, errors.decode())
        assert seen == (status, err), seen


class Fake:
    """A marceld in small (tests/tools/fake-control.c), on a socket in DIRECTORY."""

    def __init__(self, directory, name="control"):
        self.path = directory / name
        self.calls = []
        self.start()

    def start(self):
        self.process = subprocess.Popen([FAKE, self.path], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        self.lines = Lines(self.process.stdout)
        assert self.lines.next() == "ready"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Ends it; its socket stays, as that of one that crashed."""
        self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 0

    def __call__(self, *orders):
        """Has these things happen; what was called before is in `calls` then."""
        for order in orders:
            self.process.stdin.write(order.encode() + b"\n")
            self.process.stdin.flush()
            while (line := self.lines.next()) != "ok":
                assert line != "what?", order
                self.calls.append(line)

    def wait_call(self, call):
        """Waits until somebody calls a method so."""
        while True:
            line = self.lines.next()
            self.calls.append(line)
            if line == call:
                return


@pytest.fixture
def fake(tmp_path):
    with Fake(tmp_path) as made:
        yield made
