"""marceld as a test meets it: a process, its records, and clients that never wait for ever.

Daemon starts marceld on a free port of 127.0.0.1, waits for the line that says where it is ready,
and gathers its records (--log=json: one object a line of standard error). Peer is a client's
socket. Nothing here sleeps to let time pass: one waits for bytes, for a record, or for the end of a
process, and every wait ends after PATIENCE seconds with an error that says what was awaited.

Environment: MARCEL_BUILD, the build directory (default: build/ at the top of the tree);
MARCEL_REPEAT, how many percent of the full repetitions a test does (default 10).
"""

import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("MARCEL_BUILD", ROOT / "build"))
MARCELD = BUILD / "src" / "marceld"

GREETING_TEXT = "Vous êtes connecté au serveur Marcel. Envoyez vos messages."
GREETING = GREETING_TEXT.encode() + b"\n"
FAREWELL = b"fin\n"

# For Daemon.connect_deaf().
DEAF = "message_max = 1M\n"
DEAF_LINE = b"x" * 999999 + b"\n"

EXIT_USAGE = 64
EXIT_OSERR = 71
EXIT_CONFIG = 78

SANITIZER_REPORT = re.compile(
    rb"ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error:|"
    rb"SUMMARY: \w+Sanitizer")


def repeat(full, least=1):
    """How often to do what the full run does FULL times."""
    return max(least, full * int(os.environ.get("MARCEL_REPEAT", "10")) // 100)


def sanitizer():
    """Which sanitizer marceld was built with: "address", "thread" or ""."""
    program = MARCELD.read_bytes() if MARCELD.exists() else b""
    for name, mark in (("address", b"__asan_init"), ("thread", b"__tsan_init")):
        if mark in program:
            return name
    return ""


# The longest wait for anything that is sure to come; only a broken marceld makes a test wait so long.
PATIENCE = 60 if sanitizer() else 20


def wait_until(condition, what, patience=None):
    """For what tells nobody when it happens (a file of /proc): asks again and again."""
    deadline = time.monotonic() + (patience or PATIENCE)
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline, f"{what} did not come about"
        time.sleep(0.01)


class Peer:
    """A client: a connected stream socket whose reads end, fail loudly, or time out."""

    def __init__(self, target, source=None, receive_buffer=None, patience=None):
        """TARGET: ("127.0.0.1", 43211), an IPv6 pair, a path, or a connected socket."""
        if isinstance(target, socket.socket):
            self.socket = target
        else:
            family = socket.AF_INET
            if isinstance(target, (str, bytes, Path)):
                family = socket.AF_UNIX
                target = os.fspath(target)
            elif ":" in str(target[0]):
                family = socket.AF_INET6
            self.socket = socket.socket(family, socket.SOCK_STREAM)
            if receive_buffer:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            if source:
                self.socket.bind(source)
            self.socket.settimeout(patience or PATIENCE)
            self.socket.connect(target)
            if family != socket.AF_UNIX:
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(patience or PATIENCE)
        self.ahead = b""  # read, but not yet asked for
        self.sent = 0  # by send_until_blocked()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def address(self):
        """As the records write it."""
        return "%s:%d" % self.socket.getsockname()[:2]

    def send(self, data):
        self.socket.sendall(data.encode() if isinstance(data, str) else data)
        return self

    def recv(self, most=65536):
        """What one recv() gives; b"" at the end of file. A reset is an exception."""
        if self.ahead:
            data, self.ahead = self.ahead[:most], self.ahead[most:]
            return data
        return self.socket.recv(most)

    def expect(self, wanted):
        """Reads exactly as many bytes as WANTED has, which must be these."""
        wanted = wanted.encode() if isinstance(wanted, str) else wanted
        got = b""
        try:
            while len(got) < len(wanted):
                data = self.recv(len(wanted) - len(got))
                if not data:
                    break
                got += data
        except socket.timeout:
            raise AssertionError(f"wanted {shown(wanted)}, got only {shown(got)}") from None
        assert got == wanted, difference(wanted, got)
        return self

    def line(self):
        """Reads one line, its LF included; less at the end of file."""
        got = b""
        while not got.endswith(b"\n"):
            data = self.recv()
            if not data:
                return got
            end = data.find(b"\n") + 1
            if end:
                self.ahead = data[end:] + self.ahead
                data = data[:end]
            got += data
        return got

    def read_to_end(self):
        """Everything up to the end of file; a reset is an exception."""
        parts = []
        while True:
            data = self.recv()
            if not data:
                return b"".join(parts)
            parts.append(data)

    def expect_end(self, wanted=b""):
        """WANTED and then the end of file: no byte more, and no reset."""
        got = self.read_to_end()
        assert got == wanted, difference(wanted, got)
        return self

    def has_data(self):
        """Whether something can be read now (the end of file counts)."""
        return bool(self.ahead) or bool(select.select([self.socket], [], [], 0)[0])

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def close(self):
        self.socket.close()

    def reset(self):
        """Breaks the connection off with an RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def send_until_blocked(self, chunk, most=1 << 30):
        """
        Sends CHUNK again and again, never reading, until the socket takes no more. Gives how many
        bytes were sent in all; the last CHUNK may be cut short, and the next call goes on there.
        """
        many = memoryview(chunk * (2 + 65536 // len(chunk)))
        self.socket.setblocking(False)
        try:
            while self.sent < most:
                try:
                    self.sent += self.socket.send(many[self.sent % len(chunk):])
                except BlockingIOError:
                    # Not full for good: the other side may just be slow.
                    if not select.select([], [self.socket], [], 0.1)[1]:
                        return self.sent
        finally:
            self.socket.settimeout(PATIENCE)
        raise AssertionError(f"{self.sent} bytes were taken from a client that reads nothing")


def shown(data, most=300):
    """DATA for a message to people."""
    return repr(data) if len(data) <= most else f"{data[:most]!r}... ({len(data)} bytes)"


def difference(wanted, got):
    """A sentence that says where two byte strings part."""
    if len(wanted) + len(got) < 600:
        return f"wanted {wanted!r}, got {got!r}"
    at = next((i for i, (a, b) in enumerate(zip(wanted, got)) if a != b),
              min(len(wanted), len(got)))
    start = max(at - 40, 0)
    return (f"differs at byte {at}: wanted {wanted[start:at + 40]!r}, got {got[start:at + 40]!r}"
            f" ({len(wanted)} and {len(got)} bytes)")


class Record(dict):
    """One record: the JSON object that --log=json writes."""

    @property
    def kind(self):
        return self["kind"]

    @property
    def message(self):
        return self["message"]


class Daemon:
    """A running marceld. Ended by stop(), which also judges how it ended."""

    def __init__(self, config="", listen=("127.0.0.1:0",), args=(), env=None, prefix=(),
                 log="json", directory=None, config_file=None, program=MARCELD, control="none",
                 **popen):
        """
        CONTROL is what goes behind --control: a path, "none", or None for the default. CONFIG is the text of its configuration (CONFIG_FILE=False: it has none), LISTEN what goes
        behind -l, PREFIX a command that starts it, LOG what goes behind --log= (None: nothing).
        Does not wait: see wait_ready().
        """
        command = [*map(os.fspath, prefix), os.fspath(program)]
        if config_file is None:
            self.config_file = Path(directory) / "marcel.ini"
            self.configure(config)
            command += ["-c", os.fspath(self.config_file)]
        for address in listen:
            command += ["-l", address]
        if log:
            command.append(f"--log={log}")
        if control is not None:
            command.append(f"--control={os.fspath(control)}")
        command += args
        not_ours = ("NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "WATCHDOG_USEC")
        environment = {name: value for name, value in os.environ.items() if name not in not_ours}
        environment.update({"LC_ALL": "C.UTF-8"}, **(env or {}))
        self.log = log
        self.peers = []
        self.out = []  # lines of standard output, and None at its end
        self.err = []  # the same of standard error
        self.all_records = []
        self.by_kind = {}
        self.change = threading.Condition()
        self.judged = False
        self.taking = threading.Event()  # clear: its standard error is not read
        self.taking.set()
        popen.setdefault("stderr", subprocess.PIPE)
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        env=environment, **popen)
        self.readers = [
            threading.Thread(target=self._gather, args=streams, daemon=True)
            for streams in ((self.process.stdout, self.out), (self.process.stderr, self.err))]
        for reader in self.readers:
            reader.start()

    def _gather(self, stream, lines):
        for line in stream or ():
            with self.change:
                lines.append(line)
                if lines is self.err and line.startswith(b"{"):
                    record = Record(json.loads(line))
                    self.all_records.append(record)
                    self.by_kind.setdefault(record.kind, []).append(record)
                self.change.notify_all()
            if lines is self.err:
                self.taking.wait()
        with self.change:
            lines.append(None)
            self.change.notify_all()

    def hold_errors(self):
        """Leaves its standard error unread, so that the pipe fills up."""
        self.taking.clear()

    def release_errors(self):
        self.taking.set()

    def configure(self, text):
        """Writes TEXT as the configuration; a running marceld reads it at the next reload."""
        if isinstance(text, str):
            text = text.encode()
        self.config_file.write_bytes(text)

    # What it says.

    def wait_for(self, condition, what, patience=None):
        """Waits until CONDITION() is true, which is asked whenever marceld has written a line."""
        deadline = time.monotonic() + (patience or PATIENCE)
        with self.change:
            while True:
                result = condition()
                if result:
                    return result
                left = deadline - time.monotonic()
                gone = self.err[-1:] == [None] and self.out[-1:] == [None]
                assert not gone, f"marceld has ended before {what}:\n{self.errors()}"
                assert left > 0, f"{what} did not come; marceld wrote:\n{self.errors()[-4000:]}"
                self.change.wait(left)

    def wait_ready(self, count=1):
        """Waits for the line that says where it is ready, which must be COUNT addresses."""
        def line():
            return next((line for line in filter(None, self.out) if line.startswith(b"ready on ")),
                        None)
        said = self.wait_for(line, "the line 'ready on ...'").decode()
        addresses = said[len("ready on "):].rstrip("\n")
        self.addresses = [addresses] if count == 1 else addresses.split(" ")
        assert len(self.addresses) == count, said
        port = self.addresses[0].rpartition(":")[2]
        self.port = int(port) if port.isdigit() else None

    def errors(self):
        """What stands on standard error so far."""
        return b"".join(filter(None, self.err)).decode(errors="backslashreplace")

    def records(self, kind=None, **fields):
        """The records so far of KIND (None: of all kinds) whose FIELDS have these values."""
        with self.change:
            found = list(self.all_records if kind is None else self.by_kind.get(kind, ()))
        return [record for record in found
                if all(str(record.get(name)) == str(value) for name, value in fields.items())]

    def wait_record(self, kind, count=1, patience=None, **fields):
        """Waits for COUNT such records and returns the last of them."""
        def there():
            if len(self.by_kind.get(kind, ())) < count:
                return None
            records = self.records(kind, **fields)
            return records[count - 1] if len(records) >= count else None
        return self.wait_for(there, f"{count} records '{kind}' {fields or ''}", patience)

    # Its clients.

    def connect(self, greeting=GREETING, **options):
        """A client that has read GREETING (b"": nothing)."""
        peer = Peer(("127.0.0.1", self.port), **options)
        self.peers.append(peer)
        if greeting:
            peer.expect(greeting)
        return peer

    def connect_deaf(self):
        """
        A client that sends DEAF_LINEs and reads nothing, until its thread waits in send() and has
        more to send than the kernel would still take, so that nothing but the client ends its wait
        (or has it been ended by idle_timeout). Needs DEAF, in [dialogue].
        """
        peer = self.connect(receive_buffer=4096)
        seen = []

        def stuck():
            # Its bytes lie unread at marceld's side, and stay there.
            try:
                peer.send_until_blocked(DEAF_LINE)
            except (ConnectionResetError, BrokenPipeError):
                return True
            seen.append(self.unread_from(peer))
            return len(seen) >= 3 and seen[-1] > 0 and len(set(seen[-3:])) == 1

        wait_until(stuck, "a thread that waits in send()")
        return peer

    # What /proc says of it.

    def unread_from(self, peer):
        """How many bytes of PEER wait to be read by marceld."""
        here, there = ("%08X:%04X" % (struct.unpack("=I", socket.inet_aton(host))[0], port)
                       for host, port in (peer.socket.getsockname(), peer.socket.getpeername()))
        for line in open("/proc/net/tcp"):
            fields = line.split()
            if fields[1] == there and fields[2] == here:
                return int(fields[4].partition(":")[2], 16)
        return 0

    @property
    def pid(self):
        return self.process.pid

    def links(self):
        """What its descriptors are."""
        found = []
        for name in os.listdir(f"/proc/{self.pid}/fd"):
            try:
                found.append(os.readlink(f"/proc/{self.pid}/fd/{name}"))
            except FileNotFoundError:
                pass  # closed meanwhile
        return found

    def listening_sockets(self):
        """How many sockets of TCP (IPv4) it listens on."""
        mine = self.links()
        sockets = [line.split() for line in open("/proc/net/tcp")]
        return sum(fields[3] == "0A" and f"socket:[{fields[9]}]" in mine for fields in sockets)

    def signal(self, number):
        self.process.send_signal(number)

    def fds(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def threads(self):
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def resident(self):
        """Bytes of memory in use."""
        rollup = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        return int(re.search(r"^Rss:\s+(\d+) kB", rollup, re.M)[1]) * 1024

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    # Its end.

    def wait(self, status=0, patience=None):
        """Waits for its end, which must be STATUS, and for all that it wrote."""
        try:
            got = self.process.wait(patience or PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            self._join()
            self.judged = True
            wrote = self.errors()[-4000:]
            raise AssertionError(f"marceld did not end; it wrote:\n{wrote}") from None
        self._join()
        self.judged = True
        assert not SANITIZER_REPORT.search(b"".join(filter(None, self.err))), self.errors()
        assert got == status, f"exit status {got}, wanted {status}; it wrote:\n{self.errors()}"

    def _join(self):
        self.release_errors()
        for reader in self.readers:
            reader.join(PATIENCE)
        for stream in filter(None, (self.process.stdout, self.process.stderr)):
            stream.close()

    def stop(self, status=0, patience=None):
        """SIGTERM, then wait()."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.wait(status, patience)

    def clean_up(self):
        """The end of a test: a marceld that nobody has judged yet is stopped and judged now."""
        for peer in self.peers:
            peer.close()
        if self.judged:
            return
        try:
            self.stop()
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
        if self.log == "json":
            for line in filter(None, self.err):
                assert line.startswith(b"{"), f"not a record: {line!r}"
                json.loads(line)


def run(*args, input=None, patience=None, **options):
    """Runs a command to its end, and gives the CompletedProcess with bytes."""
    return subprocess.run(list(map(os.fspath, args)), input=input, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=patience or PATIENCE, **options)


def check_config(file):
    """marceld --check-config with FILE: the CompletedProcess."""
    return run(MARCELD, "-c", file, "--check-config", env=dict(os.environ, LC_ALL="C.UTF-8"))


def effective(file):
    """The effective configuration of FILE as {(section, key): value}, from --check-config."""
    result = check_config(file)
    assert result.returncode == 0, result.stderr.decode()
    section, values = "", {}
    for line in result.stdout.decode().splitlines():
        if re.match(r"\s*([;#]|$)", line):
            continue
        if line.startswith("["):
            section = line.strip("[]")
            continue
        key, _, value = line.partition("=")
        values[section, key.strip()] = value.strip()
    return values
