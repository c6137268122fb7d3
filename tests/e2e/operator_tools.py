"""The operator channel as a test meets it: its directory, its events, and what one writes to it.

    channel = Channel(directory)
    channel.write("17 Bonjour")                  # DIRECTORY/in
    channel.write("#3 Bonjour", 17)              # DIRECTORY/conversations/17/in
    event = channel.wait("sent", 17, text="Bonjour")
    channel.out(17)                              # [Said("S", 0, "..."), ...]

`events` is followed as by tail -F: through its rotation, and each line must have the number after
the one before. Nothing here blocks on a FIFO but where it says so.
"""

import errno
import os
import re
import threading
from collections import namedtuple

from daemon_tools import PATIENCE, run, wait_until

EVENT = re.compile(r"(\d+) \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d ([a-z]+) (\d+|-)"
                   r"(?: (.*))?", re.S)
REFUSAL = re.compile(r"(?:#(\d+) )?([a-z-]+):(?: (.*))?", re.S)
TURN = re.compile(r"#(\d+)(?: (.*))?", re.S)
SAID = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (?:([CS])> #(\d+) (.*)|-- (.*))", re.S)

# These may be about a turn; in others a number is part of the text.
WITH_TURN = ("message", "sent", "absent", "draft")
REFUSALS = ("not-open", "no-conversation", "malformed", "too-long", "unfinished", "full",
            "unknown-order", "no-responder", "not-held", "too-many")

# The longest order in bytes, without its LF.
LINE_MAX = 4095

Event = namedtuple("Event", "number kind conversation turn word text")
Said = namedtuple("Said", "who turn text")  # who: "C", "S" or "--", the last line


def parse_event(line):
    found = EVENT.fullmatch(line)
    assert found, f"not an event: {line!r}"
    number, kind, conversation, text = found.groups("")
    turn, word = 0, ""
    if kind == "refused":
        found = REFUSAL.fullmatch(text)
        assert found and found[2] in REFUSALS, f"not a refusal: {line!r}"
        turn, word, text = found.groups("")
    elif kind in WITH_TURN and (found := TURN.fullmatch(text)):
        turn, text = found.groups("")
    return Event(int(number), kind, int(conversation) if conversation != "-" else None,
                 int(turn or 0), word, text)


def parse_out(line):
    found = SAID.fullmatch(line)
    assert found, f"not a line of a dialogue: {line!r}"
    who, turn, text, reason = found.groups()
    return Said(who, int(turn), text) if who else Said("--", 0, reason)


def lines_of(path):
    """The whole lines of a file, as text; none where there is no file."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    return data.decode().split("\n")[:-1]


class Channel:
    """The channel in DIRECTORY, which need not be there yet. Any thread, read() by one at a time."""

    def __init__(self, directory):
        self.directory = directory
        self.path = directory / "events"
        self.all = []  # events so far
        self.file = None
        self.rest = b""
        self.lock = threading.Lock()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.file is not None:
            self.file.close()

    # Reading.

    def read(self):
        """Takes what is new in `events`, which must go on without a gap. Returns all events."""
        with self.lock:
            while self._open() and self._take():
                pass
            return self.all

    def _open(self):
        if self.file is None:
            try:
                self.file = open(self.path, "rb", buffering=0)
            except FileNotFoundError:
                return False
        return True

    def _take(self):
        """Returns whether there is more to be read in another file."""
        mine = os.fstat(self.file.fileno())
        try:
            there = os.stat(self.path)
            moved = (there.st_dev, there.st_ino) != (mine.st_dev, mine.st_ino)
        except FileNotFoundError:
            moved = False
        # Nothing is added to a file that has lost its name.
        while data := self.file.read(1 << 20):
            self._add(data)
        if moved:
            assert not self.rest, f"the file ends with {self.rest!r}"
            self.file.close()
            self.file = None
        return moved

    def _add(self, data):
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            event = parse_event(line.decode())
            assert not self.all or event.number == self.all[-1].number + 1, (
                f"event {event.number} follows {self.all[-1].number}")
            self.all.append(event)

    def find(self, kind=None, conversation=None, **fields):
        """The events so far with these fields."""
        return [event for event in self.read()
                if kind in (None, event.kind) and conversation in (None, event.conversation)
                and all(getattr(event, name) == value for name, value in fields.items())]

    def wait(self, kind, conversation=None, count=1, **fields):
        """Waits for COUNT such events and returns the last of them."""
        def there():
            found = self.find(kind, conversation, **fields)
            return found[count - 1] if len(found) >= count else None
        try:
            return wait_until(there, f"{count} events {kind} {conversation or ''} {fields}")
        except AssertionError as error:
            raise AssertionError(f"{error}; there are {self.all[-20:]}") from None

    def numbers(self):
        """The conversations that have a place."""
        return [event.conversation for event in self.find("opened")
                if self.place(event.conversation, "in").exists()]

    def place(self, number, name=""):
        return self.directory / "conversations" / str(number) / name

    def out(self, number):
        """The dialogue so far."""
        place = self.place(number)
        return [parse_out(line) for line in lines_of(place / "out.1") + lines_of(place / "out")]

    def info(self, number):
        return dict(line.partition("=")[::2] for line in lines_of(self.place(number, "info")))

    def waiting(self):
        """The conversations that wait, by the links' names; each must lead to its directory."""
        numbers = []
        for name in sorted(os.listdir(self.directory / "waiting")):
            found = re.fullmatch(r"\d{10}-(\d+)", name)
            assert found, name
            try:
                target = os.readlink(self.directory / "waiting" / name)
            except FileNotFoundError:
                continue  # answered just now
            assert target == f"../conversations/{found[1]}"
            numbers.append(int(found[1]))
        return numbers

    # Writing.

    def fifo(self, number=None):
        return self.place(number, "in") if number else self.directory / "in"

    def open(self, number=None):
        """The FIFO of NUMBER, or the one for all, to be written to without blocking."""
        return os.open(self.fifo(number), os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW)

    def write(self, line, number=None):
        """Writes LINE (bytes or text) and a LF in one piece, as echo does."""
        self.write_bytes((line.encode() if isinstance(line, str) else line) + b"\n", number)

    def write_bytes(self, data, number=None):
        fd = self.open(number)
        try:
            assert os.write(fd, data) == len(data)
        finally:
            os.close(fd)

    def write_blocking(self, *pieces, number=None):
        """Writes PIECES, each for itself, in a thread, which waits as long as it must. Returns the
        thread; see join()."""
        def write():
            fd = os.open(self.fifo(number), os.O_WRONLY)
            try:
                for piece in pieces:
                    while piece:
                        piece = piece[os.write(fd, piece):]
            finally:
                os.close(fd)
        thread = threading.Thread(target=write, daemon=True)
        thread.start()
        return thread


def join(*threads):
    """Waits for the end of threads, which must come."""
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive(), "somebody still waits for a FIFO"


# What open() and write() of a FIFO say when there is nobody, or no room.
NOT_WRITTEN = (errno.ENOENT, errno.ENXIO, errno.EPIPE, errno.EAGAIN)


def fifo_config(**more):
    """A configuration in which operators answer; nobody is told that nobody is there."""
    settings = {"absent_after": "infinity", "grace": "1h", **more}
    return ("[dialogue]\nresponder = fifo\n[fifo]\n"
            + "".join(f"{name} = {value}\n" for name, value in settings.items() if value))


def ask(path, method, signature="", *arguments):
    """Calls METHOD of the control object behind the socket PATH with busctl; what it printed."""
    result = run("busctl", f"--address=unix:path={path}", "--json=short", "call",
                 "org.marceld.Marcel1", "/org/marceld/Marcel1", "org.marceld.Marcel1", method,
                 *filter(None, [signature]), *map(str, arguments))
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout.decode()
