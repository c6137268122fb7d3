"""marcelctl script record: between clients and servers, real ones and hostile ones."""

import os
import signal
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from client_tools import environment
from daemon_tools import PATIENCE, SANITIZER_REPORT, Peer
from marcelctl_tools import FAILED, ctl, write  # noqa: F401 (a fixture)
from script_tools import MARCELCTL, needs, run_client, serve

EXIM = "/usr/sbin/exim4"


class Recorder:
    """marcelctl script record, before a server."""

    def __init__(self, directory, *arguments):
        self.directory = directory
        self.process = subprocess.Popen(
            [MARCELCTL, "script", "record", *map(str, arguments)], cwd=directory,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
        line = self.process.stdout.readline().decode()
        assert line.startswith("ready on "), (line, self.process.communicate(timeout=PATIENCE))
        self.address = line[len("ready on "):].rstrip("\n")
        self.port = int(self.address.rpartition(":")[2])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def finish(self, status=0, stop=False):
        """Waits for its end (STOP: by SIGINT); what it wrote after the first line."""
        if stop:
            self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=PATIENCE)
        assert not SANITIZER_REPORT.search(err), err
        assert self.process.returncode == status, (self.process.returncode, out, err)
        assert status or not err, err
        return out.decode(), err.decode()


@pytest.fixture
def server():
    """server(dialogue): a server that holds DIALOGUE(peer) with each client; gives its port."""
    listeners, threads, faults = [], [], []

    def start(dialogue):
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def hold(connection):
            try:
                with Peer(connection) as peer:
                    dialogue(peer)
            except Exception as fault:  # told at the end of the test
                faults.append(fault)

        def accept():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threads.append(threading.Thread(target=hold, args=(connection,), daemon=True))
                threads[-1].start()

        threads.append(threading.Thread(target=accept, daemon=True))
        threads[-1].start()
        return listener.getsockname()[1]

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    for thread in threads:
        thread.join(PATIENCE)
    assert not faults, faults


def counting(peer):
    """Greets, and answers each line with the number of times it was said."""
    peer.send(b"hello\r\n")
    said = {}
    data = b""
    while b"\n" in (data := data + (peer.socket.recv(1000) or b"\n")):
        line, data = data.split(b"\n", 1)
        if not line:
            return
        said[line] = said.get(line, 0) + 1
        peer.send(line.rstrip(b"\r") + b" %d\r\n" % said[line])
        if line == b"quit\r":
            return


def ask(port, *lines):
    """Says LINES one by one to the server at PORT; all that it said."""
    with Peer(("127.0.0.1", port)) as peer:
        stream = peer.socket.makefile("rwb")
        said = [stream.readline()]
        for line in lines:
            stream.write(line)
            stream.flush()
            said.append(stream.readline())
        peer.socket.shutdown(socket.SHUT_WR)
        return said + [stream.read()]


def test_record_once(server, marceld, tmp_path):
    lines = [b"a\r\n", b"it's \x01 ${x} \"*\"\r\n", b"a\r\n", b"\xff\\\r\n", b"quit\r\n"]
    with Recorder(tmp_path, "--once", "--output", "once", server(counting)) as recorder:
        said = ask(recorder.port, *lines)
        assert recorder.finish()[0] == "once.script\nonce.transcript\n"
    assert said[1] == b"a 1\r\n" and said[3] == b"a 2\r\n" and said[-1] == b""
    script = tmp_path / "once.script"
    ctl("script", "check", "--strict", script)
    ctl("script", "test", script, tmp_path / "once.transcript")
    # The same client meets the same answers.
    assert ask(serve(marceld, script).port, *lines) == said


def test_record_several(server, tmp_path):
    with Recorder(tmp_path, "--listen", "127.0.0.1:0", "--output", "r",
                  f"127.0.0.1:{server(counting)}") as recorder:
        ask(recorder.port, b"first\r\n")
        ask(recorder.port, b"second\r\n")
        out, _ = recorder.finish(stop=True)
    assert sorted(out.split()) == ["r-1.script", "r-1.transcript", "r-2.script", "r-2.transcript"]
    assert "on 'first'" in (tmp_path / "r-1.script").read_text()
    assert "on 'second'" in (tmp_path / "r-2.script").read_text()


def test_record_what_is_going_on_at_the_end(server, tmp_path):
    with Recorder(tmp_path, "--output", "r", f"localhost:{server(counting)}") as recorder:
        with Peer(("127.0.0.1", recorder.port)) as peer:
            peer.expect(b"hello\r\n")
            peer.send(b"x\r\n")
            peer.expect(b"x 1\r\n")
            recorder.finish(stop=True)
    assert (tmp_path / "r-1.transcript").read_text().endswith("S> hello\n\nC> x\nS> x 1\n")


def test_record_a_reset(server, tmp_path):
    def dialogue(peer):
        peer.send(b"hello\n")
        peer.expect(b"x\n")
        peer.reset()

    with Recorder(tmp_path, "--once", "--output", "r", server(dialogue)) as recorder:
        with Peer(("127.0.0.1", recorder.port)) as peer:
            peer.expect(b"hello\n")
            peer.send(b"x\n")
            with pytest.raises(ConnectionResetError):
                peer.socket.recv(1)
        recorder.finish()
    assert (tmp_path / "r.transcript").read_text().endswith("C> x\nR>\n")


def test_record_passes_on_a_lot(server, tmp_path):
    """More than all buffers hold, both ways at once, arrives whole and in order."""
    much = bytes(range(1, 256)) * 20000

    def dialogue(peer):
        sender = threading.Thread(target=peer.socket.sendall, args=(much,))
        sender.start()
        peer.expect(much)
        sender.join()

    with Recorder(tmp_path, "--once", "--output", "r", server(dialogue)) as recorder:
        with Peer(("127.0.0.1", recorder.port)) as peer:
            sender = threading.Thread(target=peer.socket.sendall, args=(much,))
            sender.start()
            peer.expect(much)
            sender.join()
        # Such a script is too large for Marcel, and is told as such.
        recorder.finish(status=FAILED)


def test_record_without_a_server(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with Recorder(tmp_path, "--once", "--output", "r", port) as recorder:
        with Peer(("127.0.0.1", recorder.port)) as peer:
            assert peer.socket.recv(1) == b""
        assert "Connection refused" in recorder.finish(status=FAILED)[1]


@pytest.mark.parametrize("arguments, text", [
    (["--listen", "nowhere", "--output", "r", "1"], "is no address"),
    (["--listen", "192.0.2.1:0", "--output", "r", "1"], "Cannot assign"),
])
def test_record_cannot_listen(arguments, text):
    assert text in ctl("script", "record", *arguments, status=FAILED).err


@pytest.fixture
def exim():
    """A real mail server that takes any mail and keeps it; gives its port."""
    with tempfile.TemporaryDirectory(prefix="marcel-exim-", dir="/tmp") as directory:
        # It gives up its rights, and still writes here.
        os.chmod(directory, 0o777)
        with socket.create_server(("127.0.0.1", 0)) as unused:
            port = unused.getsockname()[1]
        config = Path(directory) / "conf"
        config.write_text(f"""
            spool_directory = {directory}/spool
            log_file_path = {directory}/%slog
            pid_file_path = {directory}/pid
            primary_hostname = mail.example.org
            keep_environment =
            tls_advertise_hosts =
            host_lookup =
            rfc1413_query_timeout = 0s
            queue_only
            acl_smtp_rcpt = accept_all
            acl_smtp_data = accept_all
            begin acl
            accept_all:
              accept
            begin routers
            begin transports
        """.replace("\n            ", "\n"))
        (Path(directory) / "spool").mkdir(mode=0o777)
        os.chmod(Path(directory) / "spool", 0o777)
        process = subprocess.Popen([EXIM, "-C", config, "-bdf", "-oX", f"127.0.0.1.{port}"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT)
        try:
            wait_for_port(port, process)
            yield port
        finally:
            process.terminate()
            process.communicate()


def wait_for_port(port, process):
    """Waits until a server that nobody hears listens at PORT."""
    from daemon_tools import wait_until

    def there():
        assert process.poll() is None, process.communicate()[0]
        with socket.socket() as attempt:
            return attempt.connect_ex(("127.0.0.1", port)) == 0

    wait_until(there, f"a server at port {port}")


@needs("swaks", EXIM)
@pytest.mark.parametrize("options", [[], ["--pipeline"], ["--ehlo", "client.example.org"]])
def test_record_a_mail_server(exim, marceld, tmp_path, options):
    def swaks(port, subject, options=options):
        command = ["swaks", "--server", f"127.0.0.1:{port}", "--from", "a@example.org",
                   "--to", "b@example.org,c@example.org", "--header", f"Subject: {subject}",
                   "--body", "one\n.two\n..\n", *options]
        return run_client(*command, home=tmp_path).stdout.decode()

    def answers(text):
        return [line for line in text.splitlines() if line.startswith("<")]

    with Recorder(tmp_path, "--once", "--output", "mail", f"127.0.0.1:{exim}") as recorder:
        recorded = swaks(recorder.port, "the first")
        recorder.finish()
    script = tmp_path / "mail.script"
    ctl("script", "check", "--strict", script)
    assert ctl("script", "test", script, tmp_path / "mail.transcript").out == \
        "1 passed, 0 failed\n"
    # swaks is satisfied by the recorded script alone, with another mail too.
    port = serve(marceld, script).port
    assert answers(swaks(port, "another, and longer")) == answers(recorded)
    if options == ["--pipeline"]:
        # So is one that waits for each reply.
        assert sorted(answers(swaks(port, "slowly", []))) == sorted(answers(recorded))
