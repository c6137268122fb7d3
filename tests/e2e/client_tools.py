"""marcel, the client, as a test meets it: a filter or a terminal, and servers for it to talk to.

A Server accepts one client and holds a dialogue, a function of the test's, on a thread; what goes
wrong there fails the test. run() gives the client lines as a filter. Terminal runs it on a
pseudo-terminal whose screen is drawn by pyte. Nothing here sleeps to let time pass: one waits for
bytes, for the screen, or for the end of a process, at most PATIENCE seconds.
"""

import fcntl
import os
import resource
import select
import signal
import socket
import struct
import subprocess
import termios
import threading
import time

import pytest

from daemon_tools import BUILD, PATIENCE, SANITIZER_REPORT, Peer, difference

MARCEL = BUILD / "src" / "marcel" / "marcel"
CATALOGS = BUILD / "src" / "po" / "locale"

EXIT_BROKE = 1
EXIT_NOT_CONNECTED = 2
EXIT_USAGE = 64


def environment(**more):
    """What the client gets to see of ours: nothing that changes its language or its keys."""
    clean = {name: value for name, value in os.environ.items()
             if not name.startswith(("LC_", "LANG", "XDG_", "EDITRC"))}
    return {**clean, "LC_ALL": "C.UTF-8", **more}


class Server:
    """
    Listens; on its thread accepts one client and calls DIALOGUE(peer), then closes the connection.
    A with block: at its end the dialogue must be over, without a fault.
    """

    def __init__(self, dialogue, path=None, host="127.0.0.1", backlog=1):
        if path is not None:
            self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.listener.bind(os.fspath(path))
            self.target = [os.fspath(path).replace("\0", "@")]
        else:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self.listener = socket.socket(family, socket.SOCK_STREAM)
            self.listener.bind((host, 0))
            self.port = self.listener.getsockname()[1]
            self.target = [host, str(self.port)]
        self.listener.listen(backlog)
        self.listener.settimeout(PATIENCE)
        self.dialogue = dialogue
        self.fault = None
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self):
        try:
            connection, _ = self.listener.accept()
            if connection.family != socket.AF_UNIX:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with Peer(connection) as peer:
                self.dialogue(peer)
        except BaseException as fault:  # told by __exit__, on the test's thread
            self.fault = fault

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.listener.close()
        self.thread.join(PATIENCE if kind is None else 1)
        if kind is None:
            assert not self.thread.is_alive(), "the server's dialogue does not end"
            if self.fault is not None:
                raise self.fault


class Ended:
    """How a run of the client ended."""

    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err.decode(errors="backslashreplace")
        assert not SANITIZER_REPORT.search(err), self.err

    def expect(self, out=b"", status=0, err=""):
        assert (self.status, self.err) == (status, err), f"{self.status}, {self.err!r}"
        assert self.out == out, difference(out, self.out)
        return self


def start(arguments, env=None, prefix=(), **popen):
    """
    Starts the client, by the command PREFIX if there is one, with its standard streams piped
    unless POPEN says otherwise.
    """
    streams = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
    return subprocess.Popen([*prefix, MARCEL, *arguments], env=environment(**(env or {})),
                            **{**streams, **popen})


def finish(process, text=b""):
    """Gives the client TEXT and the end of its input, and waits for its end."""
    try:
        out, err = process.communicate(text, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"marcel does not end; it wrote {out[-300:]!r}, {err!r}") from None
    return Ended(process.returncode, out, err or b"")


def run(arguments, text=b"", **options):
    """One run as a filter; OPTIONS are those of start()."""
    return finish(start(arguments, **options), text)


def read_exactly(stream, wanted):
    """Reads WANTED from a pipe of the client's, byte for byte."""
    got = b""
    while len(got) < len(wanted):
        assert select.select([stream], [], [], PATIENCE)[0], f"got only {got!r}"
        data = os.read(stream.fileno(), len(wanted) - len(got))
        assert data, f"got only {got!r}"
        got += data
    assert got == wanted


class Terminal:
    """The client on a terminal of its own, of ROWS and COLUMNS."""

    def __init__(self, arguments, directory, rows=16, columns=40, env=None, prefix=()):
        import pyte

        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.status = None
        env = environment(**{"TERM": "xterm", "HOME": os.fspath(directory), **(env or {})})
        command = [*prefix, os.fspath(MARCEL), *arguments]
        # The slave stays open here: the terminal's mode can be seen before and after the client.
        self.fd, self.slave = os.openpty()
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.modes_before = self.modes()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.login_tty(self.slave)
                resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
                os.execvpe(command[0], command, env)
            finally:
                os._exit(127)
        self.pidfd = os.pidfd_open(self.pid)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.status = -signal.SIGKILL
        for fd in (self.fd, self.slave, self.pidfd):
            os.close(fd)

    def type(self, text):
        """Presses keys."""
        data = text.encode() if isinstance(text, str) else text
        while data:
            data = data[os.write(self.fd, data):]

    def lines(self):
        """The lines on the screen, from the first that has something to the last."""
        lines = [line.rstrip() for line in self.screen.display]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def read(self, timeout=0):
        """Draws what has come by now, or comes in time; False when the client has ended."""
        ready = select.select([self.fd, self.pidfd], [], [], timeout)[0]
        if self.fd in ready:
            data = os.read(self.fd, 65536)
            self.raw += data
            self.stream.feed(data)
            return True
        return self.pidfd not in ready

    def wait_until(self, condition, what):
        deadline = time.monotonic() + PATIENCE
        while not condition():
            left = deadline - time.monotonic()
            assert left > 0 and self.read(left), (
                f"wanted {what}; on the screen:\n" + "\n".join(self.lines()) +
                f"\ncursor {self.screen.cursor.y}, {self.screen.cursor.x}")

    def wait_for(self, *lines, cursor=None):
        """
        Waits until the last lines of the screen are LINES, with the cursor in column CURSOR, or
        behind the last one's end.
        """
        def there():
            seen = self.lines()
            at = cursor
            if at is None:
                at = len(self.screen.display[self.screen.cursor.y].rstrip())
                # The prompt ends with a space.
                at += lines[-1].endswith(" ")
            return (seen[-len(lines):] == [line.rstrip() for line in lines] and
                    self.screen.cursor.x == at)
        self.wait_until(there, repr(lines))

    def resize(self, rows, columns):
        """As when a person changes the window's size."""
        self.screen.resize(rows, columns)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def modes(self):
        """The terminal's mode, as whoever uses it next would find it."""
        return termios.tcgetattr(self.slave)

    def wait(self, status=0):
        """
        Waits for the end, which must be STATUS (a negative one: that signal) and must leave the
        terminal as it was found.
        """
        deadline = time.monotonic() + PATIENCE
        while self.read(max(0, deadline - time.monotonic())):
            assert time.monotonic() < deadline, "marcel does not end:\n" + "\n".join(self.lines())
        _, result = os.waitpid(self.pid, 0)
        self.status = os.waitstatus_to_exitcode(result)
        assert not SANITIZER_REPORT.search(self.raw), self.raw
        assert self.status == status, f"{self.status}\n" + "\n".join(self.lines())
        assert self.modes() == self.modes_before


def make_locale(directory, charmap):
    """Makes French with CHARMAP in DIRECTORY, and gives its name."""
    name = f"fr_FR.{charmap}"
    made = subprocess.run(["localedef", "--no-archive", "-i", "fr_FR", "-f", charmap,
                           os.fspath(directory / name)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=10 * PATIENCE)
    if made.returncode != 0:
        pytest.skip(f"no French locale can be made (Debian's package locales): {made.stdout}")
    return name


@pytest.fixture(scope="session")
def french(tmp_path_factory):
    """The environment of a French user: the locale, made here, and the catalogs of the build."""
    locales = tmp_path_factory.mktemp("locales")
    return {"LC_ALL": make_locale(locales, "UTF-8"), "LOCPATH": os.fspath(locales),
            "MARCEL_LOCALEDIR": os.fspath(CATALOGS)}


@pytest.fixture(scope="session")
def latin(tmp_path_factory):
    """The same of one whose terminal does not know UTF-8."""
    locales = tmp_path_factory.mktemp("latin")
    return {"LC_ALL": make_locale(locales, "ISO-8859-1"), "LOCPATH": os.fspath(locales),
            "MARCEL_LOCALEDIR": os.fspath(CATALOGS)}
