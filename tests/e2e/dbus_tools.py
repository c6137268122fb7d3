"""D-Bus as a test needs it: a connection, calls, replies and signals, byte by byte.

Unlike libraries it can stop reading, and shows what lies there. See the D-Bus specification, "Message
Protocol". A bus for tests is TestBus.
"""

import os
import shutil
import socket
import stat
import struct
import subprocess

from daemon_tools import PATIENCE, wait_until

NAME = "org.marceld.Marcel1"
OBJECT = "/org/marceld/Marcel1"
DRIVER = "org.freedesktop.DBus"

CALL, RETURN, ERROR, SIGNAL = 1, 2, 3, 4
PATH, INTERFACE, MEMBER, ERROR_NAME, REPLY_SERIAL, DESTINATION, SENDER, SIGNATURE = range(1, 9)

SIZES = {"y": 1, "n": 2, "q": 2, "i": 4, "u": 4, "b": 4, "x": 8, "t": 8, "d": 8, "s": 4, "o": 4,
         "g": 1, "a": 4, "(": 8, "{": 8, "v": 1}
NUMBERS = {"y": "B", "n": "h", "q": "H", "i": "i", "u": "I", "b": "I", "x": "q", "t": "Q", "d": "d"}


class Failure(Exception):
    """An error reply: its name behind NAME.Error., and its text."""

    def __init__(self, name, text):
        super().__init__(f"{name}: {text}")
        self.name = name.removeprefix(NAME + ".Error.")
        self.text = text


def split(signature):
    """The complete types that SIGNATURE has, one after the other."""
    while signature:
        end = 1
        if signature[0] == "a":
            end += len(next(split(signature[1:])))
        elif signature[0] in "({":
            depth = 1
            while depth:
                depth += {"(": 1, "{": 1, ")": -1, "}": -1}.get(signature[end], 0)
                end += 1
        yield signature[:end]
        signature = signature[end:]


class Reader:
    """Values out of the bytes of a little-endian message."""

    def __init__(self, data, at=0):
        self.data = data
        self.at = at

    def read(self, kind):
        code = kind[0]
        self.at += -self.at % SIZES[code]
        if code in NUMBERS:
            value, = struct.unpack_from("<" + NUMBERS[code], self.data, self.at)
            self.at += SIZES[code]
            return bool(value) if code == "b" else value
        if code in "sog":
            length = self.read("y" if code == "g" else "u")
            self.at += length + 1
            return self.data[self.at - length - 1:self.at - 1].decode()
        if code == "v":
            return self.read(self.read("g"))
        if code in "({":
            return tuple(self.read(one) for one in split(kind[1:-1]))
        end = self.read("u")
        self.at += -self.at % SIZES[kind[1]]
        end += self.at
        values = []
        while self.at < end:
            values.append(self.read(kind[1:]))
        return dict(values) if kind[1] == "{" else values


def written(kind, value, at):
    """VALUE as KIND, of the simple ones, behind AT bytes."""
    padding = bytes(-at % SIZES[kind])
    if kind in "so":
        return padding + struct.pack("<I", len(value.encode())) + value.encode() + b"\0"
    if kind == "g":
        return bytes([len(value)]) + value.encode() + b"\0"
    return padding + struct.pack("<" + NUMBERS[kind], value)


def marshal(signature, values):
    data = b""
    for kind, value in zip(signature, values, strict=True):
        data += written(kind, value, len(data))
    return data


class Message:
    """A message that came."""

    def __init__(self, header, fields, body):
        self.type = header[1]
        self.fields = fields
        reader = Reader(body)
        self.values = [reader.read(kind) for kind in split(fields.get(SIGNATURE, ""))]

    @property
    def member(self):
        return self.fields.get(MEMBER)


class Connection:
    """A client of a socket. BUS: there is a bus behind it, which is said hello to."""

    def __init__(self, path, bus=False, receive_buffer=None):
        self.socket = socket.socket(socket.AF_UNIX)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        # Waits for room in the backlog, which a socket with a time limit does not.
        self.socket.connect(os.fspath(path))
        self.socket.settimeout(PATIENCE)
        self.serial = 0
        self.data = b""
        self.signals = []
        uid = str(os.geteuid()).encode().hex().encode()
        self.socket.sendall(b"\0AUTH EXTERNAL " + uid + b"\r\n")
        self._fill(b"\r\n")
        assert self.data.startswith(b"OK "), self.data
        self.data = self.data.partition(b"\r\n")[2]
        self.socket.sendall(b"BEGIN\r\n")
        if bus:
            self.name, = self.call("Hello", destination=DRIVER, path="/org/freedesktop/DBus",
                                   interface=DRIVER)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def _fill(self, until):
        """Reads until there are UNTIL bytes, or these bytes."""
        while until not in self.data if isinstance(until, bytes) else len(self.data) < until:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError
            self.data += data

    def send(self, member, signature="", *values, destination=NAME, path=OBJECT, interface=NAME):
        """Sends a call; gives its serial."""
        self.serial += 1
        body = marshal(signature, values)
        fields = b""
        for code, kind, value in ((PATH, "o", path), (INTERFACE, "s", interface),
                                  (MEMBER, "s", member), (DESTINATION, "s", destination),
                                  (SIGNATURE, "g", signature)):
            fields += bytes(-len(fields) % 8) + bytes([code]) + written("g", kind, 0)
            fields += written(kind, value, len(fields))
        header = struct.pack("<cBBBIII", b"l", CALL, 0, 1, len(body), self.serial, len(fields))
        self.socket.sendall(header + fields + bytes(-len(fields) % 8) + body)
        return self.serial

    def next(self):
        """The next message."""
        self._fill(16)
        header = struct.unpack_from("<cBBBIII", self.data)
        start = 16 + header[6] + -header[6] % 8
        self._fill(start + header[4])
        fields = dict(Reader(self.data, 12).read("a(yv)"))
        message = Message(header, fields, self.data[start:start + header[4]])
        self.data = self.data[start + header[4]:]
        return message

    def reply(self, serial):
        """Waits for the reply to call SERIAL: its values. Signals are kept meanwhile."""
        while True:
            message = self.next()
            if message.type == SIGNAL:
                self.signals.append(message)
            elif message.fields.get(REPLY_SERIAL) == serial:
                if message.type == ERROR:
                    raise Failure(message.fields[ERROR_NAME], *message.values[:1])
                return message.values

    def call(self, member, signature="", *values, **where):
        return self.reply(self.send(member, signature, *values, **where))

    def get(self, name):
        """The property NAME."""
        return self.call("Get", "ss", NAME, name, interface="org.freedesktop.DBus.Properties")[0]

    def signal(self, member=None):
        """Waits for the next signal of Marcel (called MEMBER): [member, value, ...]."""
        while True:
            message = self.signals.pop(0) if self.signals else self.next()
            ours = message.type == SIGNAL and message.fields.get(INTERFACE) == NAME
            if ours and member in (None, message.member):
                return [message.member, *message.values]


class TestBus:
    """A dbus-daemon with Marcel's policy, in which GROUP stands for marcel-operator."""

    __test__ = False

    def __init__(self, directory, policy, group=None):
        self.path = directory / "bus"
        self.address = f"unix:path={self.path}"
        rules = policy.read_text()
        if group is not None:
            rules = rules.replace('group="marcel-operator"', f'group="{group}"')
        (directory / "org.marceld.Marcel1.conf").write_text(rules)
        # As in Debian's system.conf; everybody who may connect here is somebody.
        (directory / "bus.conf").write_text(f"""<!DOCTYPE busconfig PUBLIC
 "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>{self.address}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"/>
  </policy>
  <policy user="root">
    <allow send_destination="org.freedesktop.DBus"
           send_interface="org.freedesktop.DBus.Monitoring"/>
  </policy>
  <include>{directory}/org.marceld.Marcel1.conf</include>
</busconfig>
""")
        self.config = directory / "bus.conf"
        self.process = None

    @staticmethod
    def missing():
        """Why there can be no bus; or nothing."""
        return None if shutil.which("dbus-daemon") else "no dbus-daemon"

    def start(self):
        self.process = subprocess.Popen(
            ["dbus-daemon", f"--config-file={self.config}", "--nofork", "--nopidfile"],
            stdin=subprocess.DEVNULL)
        wait_until(self.is_there, "the bus")
        return self

    def is_there(self):
        """Whether everybody can connect: between its bind() and its listen() nobody can, and before
        its chmod() only root."""
        try:
            self.connect().close()
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        return stat.S_IMODE(self.path.stat().st_mode) == 0o777

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.path.unlink(missing_ok=True)

    def connect(self):
        return Connection(self.path, bus=True)

    def has_marcel(self):
        """Whether somebody has the name."""
        with self.connect() as client:
            return client.call("NameHasOwner", "s", NAME, destination=DRIVER,
                               path="/org/freedesktop/DBus", interface=DRIVER)[0]

    def wait_marcel(self):
        wait_until(self.has_marcel, "Marcel on the bus")
