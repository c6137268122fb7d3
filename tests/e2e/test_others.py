"""nc and telnet, as people use them."""

import os
import pty
import re
import select
import shutil
import subprocess
import time

import pytest

from daemon_tools import GREETING, PATIENCE, run

nc = pytest.mark.skipif(not shutil.which("nc"), reason="nc (netcat-openbsd) is not installed")
telnet = pytest.mark.skipif(not shutil.which("telnet"), reason="telnet is not installed")


@nc
@pytest.mark.parametrize("said, answers", [
    ("a\nb\n", "a\nb\nfin\n"),
    ("bonjour", "bonjour\nfin\n"),
    ("", "fin\n"),
    ("a\r\nb\r\n", "a\r\nb\r\nfin\r\n"),
    ("a\nfin\nb\n", "a\nfin\n"),
    ("a\n\nb\n", "a\nfin\n"),
    ("voilà un élève\nà bientôt", "voilà un élève\nà bientôt\nfin\n"),
])
def test_nc(echo, said, answers):
    result = run("nc", "-N", "127.0.0.1", str(echo.port), input=said.encode())
    assert result.stdout == GREETING + answers.encode()
    assert result.returncode == 0


@nc
def test_nc_without_half_close(echo):
    # nc without -N never closes its sending side: the end word has to do.
    result = run("nc", "127.0.0.1", str(echo.port), input=b"a\nb\nfin\n")
    assert result.stdout == GREETING + b"a\nb\nfin\n"


@nc
def test_nc_with_crlf(echo):
    result = run("nc", "-C", "-N", "127.0.0.1", str(echo.port), input=b"a\nb\n")
    assert result.stdout == GREETING + b"a\r\nb\r\nfin\r\n"


@nc
def test_nc_on_a_unix_socket(marceld, tmp_path):
    path = tmp_path / "marcel"
    marceld("", listen=[str(path)])
    result = run("nc", "-N", "-U", path, input=b"a\nb\n")
    assert result.stdout == GREETING + b"a\nb\nfin\n"


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, *command):
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave,
                                        start_new_session=True, close_fds=True)
        os.close(slave)
        self.screen = b""

    def read_until(self, pattern):
        deadline = time.monotonic() + PATIENCE
        while not re.search(pattern, self.screen):
            left = deadline - time.monotonic()
            ready = left > 0 and select.select([self.master], [], [], left)[0]
            assert ready, f"no {pattern!r} on the screen: {self.screen!r}"
            try:
                data = os.read(self.master, 4096)
            except OSError:  # the program has closed the terminal
                data = b""
            assert data, f"the program ended without {pattern!r} on the screen: {self.screen!r}"
            self.screen += data

    def type(self, text):
        os.write(self.master, text.encode())

    def close(self):
        try:
            self.process.wait(PATIENCE)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            os.close(self.master)


@telnet
def test_telnet(echo):
    terminal = Terminal("telnet", "127.0.0.1", str(echo.port))
    try:
        terminal.read_until("Envoyez vos messages.".encode())
        # Each line stands there twice: as typed, and as answered.
        terminal.type("bonjour\r")
        terminal.read_until(rb"bonjour\r+\n(.*\n)*bonjour\r+\n")
        terminal.type("comment vas-tu\r")
        terminal.read_until(rb"comment vas-tu\r+\n(.*\n)*comment vas-tu\r+\n")
        terminal.type("fin\r")
        terminal.read_until(rb"fin\r+\n(.*\n)*fin\r*\n(.*\n)*Connection closed by foreign host")
    finally:
        terminal.close()
    assert echo.wait_record("closed")["reason"] == "end-word"
    assert [record.message for record in echo.records("said") if record.message.startswith("C>")] \
        == ["C> bonjour", "C> comment vas-tu", "C> fin"]
