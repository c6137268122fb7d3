"""A service manager in small, for tests of restarts and crashes without systemd and without root.

    manager = ServiceManager(tmp_path, "[dialogue]\\n...")
    daemon = manager.start()          # a daemon_tools.Daemon with its sockets from the manager
    manager.restart()                 # SIGTERM, which means a handover here, and a new daemon
    manager.kill()                    # SIGKILL, and a new daemon

It listens on a TCP port and a unix socket, passes them as systemd does (LISTEN_FDS), and keeps what
the daemon puts into the store (FDSTORE=1, sd_pid_notify_with_fds(3)): by name in `store`, newest
first, to be looked at and tampered with between a daemon's end and the next start().
"""

import contextlib
import fcntl
import os
import resource
import signal
import socket
import threading

from daemon_tools import GREETING, MARCELD, PATIENCE, Daemon, Peer, wait_until
from table import Table

TABLES = ("marcel-table-a", "marcel-table-b")
VAULT_IN, VAULT_OUT = "marcel-vault-in", "marcel-vault-out"

FIRST_FD = 3
# Where the manager's own copies are, out of the way of the numbers that a daemon gets.
HIGH_FD = 500


class ServiceManager:
    """Runs one daemon after another. Ended by close()."""

    def __init__(self, directory, config="", program=MARCELD, limit=None, user=None,
                 **environment):
        self.directory = directory
        self.config = config
        self.program = program
        self.limit = limit  # RLIMIT_NOFILE, if not the usual one
        self.user = user  # the daemon's, if it is not to be root's
        self.environment = environment
        self.runtime = directory / "run"
        self.runtime.mkdir(exist_ok=True)
        self.control = self.runtime / "control"
        self.tcp = socket.create_server(("127.0.0.1", 0), backlog=1000)
        self.path = directory / "socket"
        self.unix = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.unix.bind(os.fspath(self.path))
        self.unix.listen(1000)
        self.port = self.tcp.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.store = []  # (name, descriptor), newest first
        self.messages = []
        self.rounds = 0
        self.listening = threading.Event()  # clear: nobody reads what daemons tell
        self.listening.set()
        self.daemon = None
        self.daemons = []
        self.peers = []
        self.news = threading.Condition()
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(os.fspath(directory / "notify"))
        if user:
            for path in (directory, self.runtime, directory / "notify"):
                os.chown(path, user, user)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    # What the daemon tells.

    def _read(self):
        while True:
            data, descriptors, _, _ = socket.recv_fds(self.notify, 65536, 16)
            message = dict(line.partition("=")[::2] for line in data.decode().splitlines())
            with self.news:
                if message.get("FDSTORE") == "1":
                    for descriptor in descriptors:
                        self._keep(message.get("FDNAME", "stored"), descriptor)
                elif message.get("FDSTOREREMOVE") == "1":
                    self._drop(message.get("FDNAME", "stored"))
                self.messages.append(message)
                self.news.notify_all()
            if message.get("MARCEL_TEST") == "end":
                return
            self.listening.wait()

    def _keep(self, name, descriptor):
        """As systemd does: what is there already is not kept twice."""
        file = os.fstat(descriptor)
        for _, kept in self.store:
            if os.path.sameopenfile(kept, descriptor) and os.fstat(kept).st_ino == file.st_ino:
                os.close(descriptor)
                return
        self.store.insert(0, (name, descriptor))

    def _drop(self, name):
        for entry in [entry for entry in self.store if entry[0] == name]:
            self.store.remove(entry)
            os.close(entry[1])

    def wait(self, variable, value="1", since=0):
        """Waits for a message that sets VARIABLE to VALUE, later than the first SINCE ones."""
        def seen():
            return any(message.get(variable) == value for message in self.messages[since:])
        with self.news:
            self.news.wait_for(lambda: seen() or self._is_gone(), PATIENCE)
        self._hear_out()
        with self.news:
            if seen():
                return
        raise AssertionError(f"no {variable}={value} since {self.messages[since:]}:\n"
                             f"{self.daemon.errors()[-4000:]}")

    def _is_gone(self):
        return self.daemon.process.poll() is not None

    def _tell_myself(self, text):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
            own.sendto(f"MARCEL_TEST={text}".encode(), self.notify.getsockname())

    def _hear_out(self):
        """Waits until everything that was sent so far has been read."""
        self.rounds += 1
        self._tell_myself(self.rounds)
        with self.news:
            assert self.news.wait_for(
                lambda: any(message.get("MARCEL_TEST") == str(self.rounds)
                            for message in self.messages), PATIENCE)

    def _drain(self):
        self._hear_out()
        self.messages.clear()

    @contextlib.contextmanager
    def deaf(self):
        """Takes nothing from daemons while the block runs: they block in sd_notify(3)."""
        self.listening.clear()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
            own.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    own.sendto(b"MARCEL_TEST=full", self.notify.getsockname())
        try:
            yield
        finally:
            self.listening.set()

    # The daemon.

    def start(self, ready=True):
        """Starts a daemon with the sockets and the store, and waits until it is READY."""
        names, sources = [], []
        for name, descriptor in [("marcel", self.tcp.fileno()), ("marcel", self.unix.fileno()),
                                 *self.store]:
            names.append(name)
            sources.append(descriptor)
        environment = {
            "NOTIFY_SOCKET": os.fspath(self.directory / "notify"),
            # Nobody can be asked what SIGTERM means, so it means a restart.
            "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={self.directory}/no-bus",
            "LISTEN_FDS": str(len(names)),
            "LISTEN_FDNAMES": ":".join(names),
            "RUNTIME_DIRECTORY": os.fspath(self.runtime),
            **self.environment,
        }
        high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, HIGH_FD)
                for descriptor in sources]
        limit, user = self.limit, self.user

        def place():
            for number, descriptor in enumerate(high):
                os.dup2(descriptor, FIRST_FD + number)
            if limit:
                resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
            if user:
                os.setgroups([])
                os.setresgid(user, user, user)
                os.setresuid(user, user, user)

        since = len(self.messages)
        # The shell knows its own id, which becomes the daemon's.
        self.daemon = Daemon(self.config, directory=self.directory, listen=(), env=environment,
                             program=self.program, preexec_fn=place, control=self.control,
                             prefix=("/bin/sh", "-c", 'export LISTEN_PID=$$; exec "$0" "$@"'),
                             pass_fds=range(FIRST_FD, FIRST_FD + len(names)))
        self.daemons.append(self.daemon)
        for descriptor in high:
            os.close(descriptor)
        if ready:
            self.daemon.wait_ready(2)
            self.wait("READY", since=since)
        return self.daemon

    def state_names(self):
        """The names in the store but for those of the operator channel."""
        return [name for name, _ in self.store if not name.startswith("marcel-keep-operator-")]

    def end(self, number=signal.SIGTERM, status=0):
        """Ends the daemon by a signal; the store is as it left it."""
        self.daemon.process.send_signal(number)
        self.daemon.wait(-number if number == signal.SIGKILL else status)
        self._drain()

    def is_at_rest(self):
        """Whether all threads of the daemon sleep at this moment."""
        tasks = f"/proc/{self.daemon.pid}/task"
        states = []
        for task in os.listdir(tasks):
            try:
                with open(f"{tasks}/{task}/stat", encoding="ascii") as file:
                    states.append(file.read().rpartition(")")[2].split()[0])
            except (FileNotFoundError, ProcessLookupError):
                return False  # a thread has just ended
        return set(states) == {"S"}

    def await_rest(self):
        """Waits until no thread of the daemon has anything to do."""
        # Twice: a segment may have been between two looks.
        for _ in range(2):
            wait_until(self.is_at_rest, "all threads sleep")

    def restart(self):
        """A restart; the new daemon."""
        self.end()
        return self.start()

    def kill(self):
        """SIGKILL, and what a service manager does then; the new daemon."""
        self.end(signal.SIGKILL)
        return self.start()

    def await_end(self, status):
        """Waits until the daemon has ended by itself, with STATUS (negative: a signal)."""
        self.daemon.wait(status)
        self._drain()

    def start_and_kill(self):
        """A daemon that has begun to resume is killed before it is READY."""
        with self.deaf():
            attempts = Table(self.table()).header["attempts"]
            daemon = self.start(ready=False)
            wait_until(lambda: Table(self.table()).header["attempts"] > attempts, "it resumes")
            daemon.wait_ready(2)  # said before the store is asked
            daemon.process.kill()
            daemon.wait(-signal.SIGKILL)
        self._drain()

    # The store.

    def kept(self, name):
        """The descriptor stored as NAME, or None."""
        return next((descriptor for own, descriptor in self.store if own == name), None)

    def table(self):
        """The descriptor of the table."""
        return next(filter(None, map(self.kept, TABLES)))

    def forget(self, *names):
        """Takes all descriptors with these names out of the store."""
        for name in names:
            self._drop(name)

    def put(self, name, descriptor):
        """Puts DESCRIPTOR, which becomes the manager's, into the store in place of what is there."""
        self._drop(name)
        self.store.insert(0, (name, descriptor))

    # Clients.

    def connect(self, greeting=GREETING, **options):
        """A client on TCP that has read GREETING (b"": nothing)."""
        return self._met(Peer(("127.0.0.1", self.port), **options), greeting)

    def connect_unix(self, greeting=GREETING):
        return self._met(Peer(self.path), greeting)

    def _met(self, peer, greeting):
        self.peers.append(peer)
        if greeting:
            peer.expect(greeting)
        return peer

    def close(self):
        """Ends everything; whatever the last daemon had to say against it fails the test."""
        for peer in self.peers:
            peer.close()
        try:
            # A handover without clients and without a successor.
            for daemon in self.daemons:
                daemon.clean_up()
        finally:
            self._tell_myself("end")
            self.reader.join(PATIENCE)
            for _, descriptor in self.store:
                os.close(descriptor)
            for one in (self.tcp, self.unix, self.notify):
                one.close()
