"""Operators that never tire: they follow `events` and answer every message at once.

    with robots(marcel, 2) as pair:
        ...
    assert pair[0].resent <= ...

Each answers turn T, whose text is TEXT, by "#T T TEXT", as the checker's --counted wants it; odd
conversations through the FIFO for all, even ones through their own: orders come in their order by
one FIFO, not by two. So of two robots exactly one is obeyed. An order that was lost leaves its turn
open, which is seen in waiting/, and is given again.
"""

import contextlib
import errno
import os
import threading
import time

from operators import DIRECTORY, EVENT


class Follower:
    """The lines of a file that is renamed and begun anew when it is full, as `tail -F` gives them."""

    def __init__(self, path):
        self.path = path
        self.file = None
        self.rest = b""

    def lines(self):
        """The whole lines that have come since the last call."""
        found = []
        while True:
            if self.file is None:
                try:
                    self.file = open(self.path, "rb")
                except FileNotFoundError:
                    return found
            found += self._read()
            try:
                renewed = os.stat(self.path).st_ino != os.fstat(self.file.fileno()).st_ino
            except FileNotFoundError:
                renewed = False
            if not renewed:
                return found
            found += self._read()
            self.close()

    def _read(self):
        *lines, self.rest = (self.rest + self.file.read()).split(b"\n")
        return [line.decode() for line in lines]

    def close(self):
        if self.file:
            self.file.close()
            self.file = None


class Robot:
    """One operator in a thread of its own; stop() ends it and raises what went wrong in it."""

    def __init__(self, marcel):
        self.directory = marcel.path(DIRECTORY)
        self.events = Follower(self.directory / "events")
        self.texts = {}
        self.stuck = {}
        self.resent = 0
        self.answered = 0
        self.error = None
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        looked = time.monotonic()
        try:
            while not self.stopped.wait(0.005):
                for line in self.events.lines():
                    self._take(line)
                if time.monotonic() > looked + 1:
                    self._look()
                    looked = time.monotonic()
        except BaseException as error:  # raised by stop()
            self.error = error
        finally:
            self.events.close()

    def _take(self, line):
        event = EVENT.fullmatch(line)
        if not event:
            raise AssertionError(f"this is no event: {line!r}")
        if event["conversation"] == "-":
            return
        number = int(event["conversation"])
        if event["event"] == "message":
            turn = int(event["turn"])
            self.texts.setdefault(number, {})[turn] = event["rest"]
            self._answer(number, turn)
            self.answered += 1
        elif event["event"] in ("closed", "left"):
            self.texts.pop(number, None)
            self.stuck.pop(number, None)

    def _answer(self, number, turn):
        line = f"#{turn} {turn} {self.texts[number][turn]}\n"
        path = self.directory / "conversations" / str(number) / "in"
        if number % 2:
            path = self.directory / "in"
            line = f"{number} {line}"
        self._write(path, line.encode())

    def _write(self, path, data):
        while not self.stopped.is_set():
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except FileNotFoundError:
                return  # it is over
            try:
                if os.write(descriptor, data) != len(data):
                    raise AssertionError("an order was cut in two")
                return
            except BlockingIOError:
                time.sleep(0.01)  # the FIFO is full
            except OSError as error:
                if error.errno != errno.EPIPE:
                    raise
                return  # it ended just now
            finally:
                os.close(descriptor)

    def _look(self):
        """Answers again what has waited since the last time."""
        waiting = {}
        try:
            names = os.listdir(self.directory / "waiting")
        except FileNotFoundError:
            return  # the daemon is still to come
        for name in names:
            number = int(name.partition("-")[2])
            try:
                info = (self.directory / "conversations" / str(number) / "info").read_text()
            except FileNotFoundError:
                continue
            for line in info.splitlines():
                if line.startswith("waiting="):
                    waiting[number] = int(line[8:])
        for number, turn in waiting.items():
            if self.stuck.get(number) == turn and turn in self.texts.get(number, {}):
                self.resent += 1
                self._answer(number, turn)
        self.stuck = waiting

    def stop(self):
        self.stopped.set()
        self.thread.join(60)
        assert not self.thread.is_alive()
        if self.error:
            raise self.error


@contextlib.contextmanager
def robots(marcel, count):
    """COUNT Robots while the block runs."""
    several = [Robot(marcel) for _ in range(count)]
    try:
        yield several
    finally:
        for robot in several:
            robot.stopped.set()
        # What went wrong there is why the rest did.
        for robot in several:
            robot.stop()
