"""marcelctl script: check, try, test, record and from-journal, each with good and bad input."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from client_tools import EXIT_USAGE, Terminal, environment, french  # noqa: F401 (a fixture)
from daemon_tools import PATIENCE, SANITIZER_REPORT, Peer
from script_tools import MARCELCTL, needs, run_client, serve

FAILED = 1
EXIM = "/usr/sbin/exim4"
JOURNAL_REMOTE = next((path for path in ("/lib/systemd/systemd-journal-remote",
                                         "/usr/lib/systemd/systemd-journal-remote")
                       if os.path.exists(path)), None)

MAIL = """marcel-script 1
frame line crlf
end none
on connect say "220 hello"
on idle 5min say "421 timeout"; close
on eof say "221 gone"
on stop say "421 stop"
always
    on 'QUIT' say "221 bye"; close
    on 'BREAK' reset
    on "WAIT" say "one"; wait 1h; say "two"
state start
    on "HELO {name}" say "250 hello ${name}"; goto ready
state ready
    on "MAIL {who}" when ${who} != "nobody" say "250 ok ${random 10}"
    on 'DATA' say "354 go"; collect body until "." unstuff; say "250 ${body|length}"
"""


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


# The command line.

@pytest.mark.parametrize("arguments, text", [
    ([], "which verb?"),
    (["frob"], "unknown verb 'frob'"),
    (["scrip"], "did you mean 'script'?"),
    (["script"], "'script' wants a verb behind it"),
    (["script", "chek"], "did you mean 'check'?"),
    (["--frob"], "unknown option '--frob'"),
    (["script", "check"], "'check' wants more arguments"),
    (["script", "check", "--frob", "x"], "unknown option '--frob'"),
    (["script", "check", "-x", "x"], "unknown option '-x'"),
    (["script", "check", "--strict=1", "x"], "takes no value"),
    (["script", "try", "a", "b"], "too many arguments: 'b'"),
    (["script", "test", "a"], "'test' wants more arguments"),
    (["script", "record", "--output"], "'--output': this option wants a value"),
    (["script", "record", "127.0.0.1:1"], "where to?"),
    (["script", "from-journal"], "'from-journal' wants more arguments"),
    (["script", "\x1b[31m"], "unknown verb '\\e[31m'"),
])
def test_bad_usage(arguments, text):
    result = ctl(*arguments, status=EXIT_USAGE)
    assert text in result.err
    assert "\x1b" not in result.err
    assert result.err.endswith("Try 'marcelctl --help' for more information.\n")


def test_help_and_version():
    for arguments in (["--help"], ["-h"], ["script", "--help"], ["script", "test", "--help"]):
        out = ctl(*arguments).out
        for verb in ("check", "try", "test", "from-journal", "record"):
            assert f"script {verb} " in out
    assert re.fullmatch(r"marcelctl \d+(\.\d+)+\n", ctl("--version").out)


def test_french(french):  # noqa: F811
    assert ctl("--help", env=french).out.startswith("Usage\u00a0: marcelctl VERBE")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_is_a_failure(write):
    script = write("mail.script", MAIL)
    with open("/dev/full", "wb") as full:
        process = subprocess.run([MARCELCTL, "script", "check", script], stdout=full,
                                 stderr=subprocess.PIPE, timeout=PATIENCE, env=environment())
    assert process.returncode == FAILED
    assert process.stderr == b"marcelctl: standard output: No space left on device\n"


# check

def test_check_good(write):
    mail, replies = write("mail.script", MAIL), write("list", "a\nb\n")
    assert ctl("script", "check", mail, replies).out == (
        f"{mail}: ok (2 states, 10 rules)\n{replies}: ok (a list of 2 replies)\n")


def test_check_bad(write):
    good = write("good.script", MAIL)
    bad = write("bad.script", 'marcel-script 1\non "a" sya "b"\non "b" goto nowhere\n')
    result = ctl("script", "check", bad, good, status=FAILED)
    assert f"{bad}:2:8: " in result.out and f"{bad}:3:" in result.out
    assert '| on "a" sya "b"' in result.out and "nowhere" in result.out
    assert result.out.endswith(f"{good}: ok (2 states, 10 rules)\n")


def test_check_warns(write):
    shadowed = write("w.script", 'marcel-script 1\non "*" say "a"\non "b" say "c"\n')
    result = ctl("script", "check", shadowed)
    assert f"{shadowed}:3:" in result.out and "ok (0 states, 2 rules), 1 warning" in result.out
    ctl("script", "check", "--strict", shadowed, status=FAILED)


def test_check_a_file_that_is_not_there():
    assert "/nonexistent" in ctl("script", "check", "/nonexistent", status=FAILED).out


# try

def test_try_as_a_filter(write):
    result = ctl("script", "try", "--fast", write("mail.script", MAIL),
                 input=b"HELO \x1b[1m\xff\nWAIT\nDATA\na\n..b\n.\nlast")
    assert result.out == (
        "S> 220 hello\nC> HELO \\e[1m\\xff\nS> 250 hello \\e[1m\\xff\nC> WAIT\nS> one\nS> two\n"
        "C> DATA\nS> 354 go\nC> a\nC> ..b\nC> .\nS> 250 7\nC> last\n# nobody answers this\n"
        "E>\nS> 221 gone\nX>\n")


def test_what_was_tried_is_a_transcript(write):
    script = write("mail.script", MAIL)
    tried = ctl("script", "try", "--fast", script, input=b"HELO me\nWAIT\nQUIT\n").out
    ctl("script", "test", script, write("tried.transcript", tried))


def test_try_explains(write):
    result = ctl("script", "try", "--explain", write("mail.script", MAIL),
                 input=b"HELO me\nMAIL nobody\nMA\nBREAK\n")
    assert result.out.split("\n") == [
        "S> 220 hello",
        "# state start",
        "C> HELO me",
        "S> 250 hello me",
        '# mail.script:13: on "HELO {name}": answers',
        '# state ready; name = "me"',
        "C> MAIL nobody",
        "# nobody answers this",
        '# mail.script:15: on "MAIL {who}": matches, but its condition does not hold',
        "# mail.script:16: on 'DATA': does not match",
        "# no rule answers",
        '# state ready; name = "me"',
        "C> MA",
        "# nobody answers this",
        '# mail.script:15: on "MAIL {who}": does not match',
        "# mail.script:16: on 'DATA': does not match",
        "# no rule answers",
        '# state ready; name = "me"',
        "C> BREAK",
        "# mail.script:10: on 'BREAK': answers",
        '# state ready; name = "me"',
        "R>",
        "",
    ]


def test_try_says_what_an_earlier_rule_hides(write):
    script = write("a.script", 'marcel-script 1\non "a" say "1"\non "a*" say "2"\notherwise ignore\n')
    out = ctl("script", "try", "--explain", script, input=b"a\nx\n").out
    assert '# a.script:2: on "a": answers\n# a.script:3: on "a*": would match, too' in out
    assert "# a.script:4: on otherwise: answers\n" in out


def test_waits_and_timers_take_their_time(write):
    script = write("t.script", """marcel-script 1
        on connect say "a"; wait 200ms; say "b"
        on idle 300ms say "still there?"; close
    """)
    process = subprocess.Popen([MARCELCTL, "script", "try", script], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, env=environment())
    try:
        # Nothing is typed: only time ends it.
        out = process.stdout.read()
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.communicate()
    assert out == b"S> a\nS> b\nT> 300ms\nS> still there?\nX>\n"


def test_try_on_a_terminal(write, tmp_path):
    pytest.importorskip("pyte")
    script = write("t.script", """marcel-script 1
        end none
        on connect say "hello"
        on every 500ms say "tick"
        on "caf\u00e9 {x}" say "<${x}>"
        on "quit" say "bye"; close
    """)
    run = ("sh", "-c", f'exec "{MARCELCTL}" script try "$1"')
    with Terminal([os.fspath(script)], tmp_path, rows=40, prefix=run) as terminal:
        terminal.wait_until(lambda: "S> hello" in terminal.lines(), "the greeting")
        terminal.type("caf\u00e9 cr")
        ticks = terminal.lines().count("S> tick")
        # What is being typed survives a timer.
        terminal.wait_until(lambda: terminal.lines().count("S> tick") > ticks and
                            terminal.lines()[-1] == "C> caf\u00e9 cr", "a tick above the line")
        terminal.type("\u00e8me\n")
        terminal.wait_until(lambda: "S> <cr\u00e8me>" in terminal.lines(), "the answer")
        terminal.type("quit\n")
        terminal.wait()
        assert terminal.lines()[-2:] == ["S> bye", "X>"]


def test_try_ends_at_control_d(write, tmp_path):
    pytest.importorskip("pyte")
    run = ("sh", "-c", f'exec "{MARCELCTL}" script try "$1"')
    with Terminal([os.fspath(write("mail.script", MAIL))], tmp_path, prefix=run) as terminal:
        terminal.wait_for("S> 220 hello", "C> ")
        terminal.type("\x04")
        terminal.wait()
        assert terminal.lines()[-2:] == ["S> 221 gone", "X>"]


# test

GOOD = """# all kinds of steps
S> 220 hello
C> HELO me
S~ 250 hello {who:word}
C> WAIT
S> one
S> two
C| DATA\\r\\nx\\r\\n.\\r\\n
S> 354 go
S| 250 3\\r\\n
C> QUIT
S> 221 bye
X>
"""


def test_test_passes(write):
    script = write("mail.script", MAIL)
    files = [write("good.transcript", GOOD),
             write("idle.transcript", "S> 220 hello\nT> 5min\nS> 421 timeout\n"),
             write("stop.transcript", "S> 220 hello\nQ>\nS> 421 stop\nX>\n"),
             write("eof.transcript", "S> 220 hello\nE>\nS> 221 gone\nX>\n"),
             write("reset.transcript", "S> 220 hello\nC> BREAK\nR>\n")]
    assert ctl("script", "test", script, *files).out == "5 passed, 0 failed\n"


def test_test_fails(write):
    script = write("mail.script", MAIL)
    bad = write("bad.transcript", GOOD.replace("S> two\n", "S> three\n").replace("250 3", "250 4"))
    early = write("early.transcript", GOOD + "C> one more\n")
    good = write("good.transcript", GOOD)
    result = ctl("script", "test", script, bad, good, early, status=FAILED)
    assert result.out == (
        f"{bad}:6: not what is expected (answered by mail.script:11)\n"
        "   5   C> WAIT\n"
        "   6   S> one\n"
        "   7 - S> three\n"
        "     + S> two\n"
        f"{bad}:9: not what is expected (answered by mail.script:16)\n"
        "   8   C| DATA\\r\\nx\\r\\n.\\r\\n\n"
        "   9   S> 354 go\n"
        "  10 - S| 250 4\\r\\n\n"
        "     + S> 250 3\n"
        f"{early}:14: the connection is closed before this\n"
        "1 passed, 2 failed\n")


@pytest.mark.parametrize("transcript, shown", [
    ("S> 220 hello\nC> HELO me\n", "+ S> 250 hello me"),   # not expected
    ("S> 220 hello\nC> nothing\nS> x\n", "- S> x"),        # missing
    ("C> HELO me\n", "+ S> 220 hello"),                    # at the very beginning
    ("S> 220 hello\nX>\n", "- X>"),
    ("S> 220 hello\nC> BREAK\nX>\n", "+ R>"),
    ("S> 220 hello\nC> \x1b[1m\nS> x\n", "C> \\e[1m"),
])
def test_differences(write, transcript, shown):
    out = ctl("script", "test", write("mail.script", MAIL), write("t", transcript),
              status=FAILED).out
    assert shown in out and "\x1b" not in out


def test_tap(write):
    script = write("mail.script", MAIL)
    good, bad = write("good.transcript", GOOD), write("bad.transcript", "S> 221\n")
    result = ctl("script", "test", "--tap", script, good, bad, "/nonexistent", status=FAILED)
    assert result.out == (
        f"TAP version 13\n1..3\nok 1 - {good}\nnot ok 2 - {bad}\n"
        f"# {bad}:1: not what is expected (answered by mail.script:4)\n"
        "#   1 - S> 221\n#     + S> 220 hello\n"
        "not ok 3 - /nonexistent\n# /nonexistent: No such file or directory\n")


def test_a_script_with_errors_is_not_played(write):
    result = ctl("script", "test", write("bad.script", "marcel-script 1\nfrob\n"),
                 write("t", "C> a\n"), status=FAILED)
    assert "bad.script:2:1: " in result.err and result.out == ""


def test_a_transcript_with_errors(write):
    bad = write("bad.transcript", "hello\nC> \\q\n")
    out = ctl("script", "test", write("mail.script", MAIL), bad, status=FAILED).out
    assert f"{bad}:1: a line begins with" in out and f"{bad}:2: unknown escape" in out
    assert out.endswith("0 passed, 1 failed\n")


# record

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


# from-journal

def export(records, path):
    """Makes the journal file PATH of marceld's JSON records, sent by process `pid` (1)."""
    entries = []
    for record in records:
        fields = {"MESSAGE": record["message"], "MESSAGE_ID": record["message_id"],
                  "MARCEL_TIMESTAMP": record["timestamp"], "_PID": record.pop("pid", 1)}
        fields.update({f"MARCEL_{name.upper()}": value for name, value in record.items()
                       if name not in ("message", "message_id", "timestamp", "kind", "priority")})
        entries.append(f"__REALTIME_TIMESTAMP={record['timestamp']}\n"
                       f"__MONOTONIC_TIMESTAMP={record['timestamp']}\n"
                       f"_BOOT_ID={'1' * 32}\n" +
                       "".join(f"{name}={value}\n" for name, value in fields.items()))
    subprocess.run([JOURNAL_REMOTE, "-o", path, "-"], input="\n".join(entries + [""]).encode(),
                   stderr=subprocess.DEVNULL, check=True, timeout=PATIENCE)


@pytest.fixture
def journal(marceld, tmp_path):
    """journal(bytes..., config=): conversations with an echo that a journal file holds."""
    if JOURNAL_REMOTE is None:
        pytest.skip("systemd-journal-remote is not installed")

    def hold(*conversations, config="", change=lambda records: records):
        daemon = marceld(config)
        for number, said in enumerate(conversations, 1):
            with Peer(("127.0.0.1", daemon.port)) as peer:
                peer.send(said)
                peer.socket.shutdown(socket.SHUT_WR)
                while peer.socket.recv(65536):
                    pass
            daemon.wait_record("closed", conversation=number)
        path = tmp_path / "test.journal"
        export(change(json.loads(json.dumps(daemon.records()))), path)
        return path

    return hold


def from_journal(path, number, tmp_path, **options):
    return ctl("script", "from-journal", "--file", path, "--output", tmp_path / f"c{number}",
               str(number), **options)


def test_from_journal(journal, tmp_path):
    said = [b"bonjour\nl'\xc3\xa9t\xc3\xa9 \\ $x \"${y}\" * ?\nfin\n", b"a\nb\na", b"",
            b"\x00\xff\x1b[1m\r\n\xe2\x80\xae\n\n"]
    path = journal(*said)
    for number in range(1, len(said) + 1):
        from_journal(path, number, tmp_path)
        script, transcript = tmp_path / f"c{number}.script", tmp_path / f"c{number}.transcript"
        ctl("script", "check", "--strict", script)
        ctl("script", "test", script, transcript)
        assert "\x1b" not in script.read_text() + transcript.read_text()
    assert (tmp_path / "c2.transcript").read_text() == """\
# Made by marcelctl script from-journal of conversation 2.
S> Vous êtes connecté au serveur Marcel. Envoyez vos messages.

C> a
S> a

C> b
S> b

C> a
S> a
E>
S> fin
X>
"""


def test_from_journal_other_answers_at_other_times(journal, tmp_path):
    def answer_by_hand(records):
        count = 0
        for record in records:
            if record["message"] == "S> a":
                count += 1
                record["message"], record["size"] = f"S> {count}", 1
        return records

    from_journal(journal(b"a\na\na\nfin\n", change=answer_by_hand), 1, tmp_path)
    assert "on 'a' cycle {" in (tmp_path / "c1.script").read_text()
    ctl("script", "test", tmp_path / "c1.script", tmp_path / "c1.transcript")


def test_from_journal_counts_what_was_sent_again_once(journal, tmp_path):
    """What a process that was killed had sent, the next one may send again."""
    def send_again(records):
        return records + [dict(record, pid=2) for record in records[-8:]]

    from_journal(journal(b"a\na\na\nfin\n", change=send_again), 1, tmp_path)
    assert (tmp_path / "c1.transcript").read_text().count("C> a\n") == 3


@pytest.mark.parametrize("said, config, text", [
    (b"a" * 5000 + b"\n", "[journal]\ntranscript_max = 100\n", "does not have all 5000 bytes"),
    (b"a\n", "[journal]\ntranscript = sizes\n", "does not have all"),
    (b"a\n", "[journal]\ntranscript = off\n", "no transcript of conversation 1"),
])
def test_from_journal_with_less_than_all(journal, tmp_path, said, config, text):
    result = from_journal(journal(said, config=config), 1, tmp_path, status=FAILED)
    assert text in result.err
    assert not (tmp_path / "c1.script").exists()


def test_from_journal_with_a_secret(journal, tmp_path):
    def keep_secret(records):
        for record in records:
            if record["message"] == "C> a":
                record["message"] = "C> (withheld)"
                del record["size"]
        return records

    result = from_journal(journal(b"a\n", change=keep_secret), 1, tmp_path, status=FAILED)
    assert "in turn 1 was kept secret" in result.err


def test_from_journal_by_id(journal, tmp_path):
    ids = []

    def two_of_one_number(records):
        again = [dict(record) for record in records if record.get("conversation") == 1]
        for record in again:
            record["conversation_id"] = "f" * 32
        ids.extend({record["conversation_id"] for record in records
                    if record.get("conversation") == 1})
        return records + again

    path = journal(b"a\n", change=two_of_one_number)
    result = from_journal(path, 1, tmp_path, status=FAILED)
    assert "several conversations had the number 1" in result.err
    assert ids[0] in result.err and "f" * 32 in result.err
    from_journal(path, ids[0], tmp_path)


@pytest.mark.parametrize("arguments, text", [
    (["frob"], "is neither a conversation's number nor its id"),
    (["--file", "/nonexistent", "1"], "No such file"),
])
def test_from_journal_of_nothing(arguments, text):
    assert text in ctl("script", "from-journal", *arguments, status=FAILED).err


def test_from_journal_of_an_unknown_conversation(journal, tmp_path):
    assert "no transcript of conversation 99" in \
        from_journal(journal(b"a\n"), 99, tmp_path, status=FAILED).err
