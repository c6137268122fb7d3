"""marcel as a filter: dialects, bytes, ends, and what it says when something is wrong."""

import ctypes
import fcntl
import os
import socket
import subprocess
import threading

import pytest

from client_tools import (EXIT_BROKE, EXIT_NOT_CONNECTED, EXIT_USAGE, MARCEL, Server, environment,
                          finish, french, read_exactly, run, start)
from daemon_tools import PATIENCE, repeat

SEED_GREETING = "Vous êtes connecté au serveur Marcel. Envoyez vos messages."


def seed_server(replies, heard):
    """
    The dialogue of the seed's server, in all that matters on the wire: REPLIES stand for what its
    operator types, HEARD gets each message.
    """
    def dialogue(peer):
        typed = iter(replies)
        connection = peer.socket
        connection.send(SEED_GREETING.encode("Utf8"))
        message = connection.recv(1024).decode("Utf8")
        while 1:
            heard.append(message)
            if message.upper() == "FIN" or message == "":
                break
            connection.send(next(typed).encode("Utf8"))
            message = connection.recv(1024).decode("Utf8")
        connection.send("fin".encode("Utf8"))

    return dialogue


def line_server(greeting, wanted, answer=b"", farewell=b""):
    """Says GREETING, expects exactly WANTED and then the end, answers, takes its leave."""
    def dialogue(peer):
        peer.send(greeting)
        assert peer.read_to_end() == wanted
        peer.send(answer + farewell)

    return dialogue


def echo(greeting=b""):
    """Sends back each piece as it comes, and at the end of file ends."""
    def dialogue(peer):
        peer.send(greeting)
        while data := peer.recv():
            peer.send(data)

    return dialogue


# The seed's server: raw.

def test_the_seeds_server_to_fin():
    said = ["Bonjour, ça va ?", "Où êtes-vous né ?", "fin"]
    replies = ["Très bien, et vous ?", "À Liège, près du marché…"]
    heard = []
    with Server(seed_server(replies, heard)) as server:
        ended = run(server.target, "".join(line + "\n" for line in said).encode())
    ended.expect((SEED_GREETING + "".join(replies) + "fin").encode())
    assert heard == said


def test_the_seeds_server_and_the_end_of_input():
    heard = []
    with Server(seed_server(["un", "deux"], heard)) as server:
        run(server.target, b"premier\nsecond").expect(f"{SEED_GREETING}undeuxfin".encode())
    assert heard == ["premier", "second", ""]


def test_empty_lines_are_no_raw_messages():
    heard = []
    with Server(seed_server(["un", "deux"], heard)) as server:
        run(server.target, b"\n\npremier\r\n\n\r\nsecond\n\n").expect(
            f"{SEED_GREETING}undeuxfin".encode())
    assert heard == ["premier", "second", ""]


@pytest.mark.parametrize("word", ["fin", "FIN", "Fin"])
def test_a_server_that_says_fin_ends_a_raw_dialogue(word):
    def dialogue(peer):
        peer.send(SEED_GREETING)
        peer.expect("bonjour")
        peer.send(word)
        # The seed's server would wait here for a message: it is the client that closes.
        peer.expect_end()

    with Server(dialogue) as server:
        run(server.target, b"bonjour\nencore\n").expect((SEED_GREETING + word).encode())


def test_one_raw_message_for_each_reply():
    """However many lines wait, a message goes only when the last one was answered."""
    def dialogue(peer):
        peer.send(SEED_GREETING)
        for number in range(50):
            assert peer.recv() == b"message %d" % number
            assert not peer.has_data()
            peer.send(f"réponse {number}")
        peer.expect_end()

    lines = b"".join(b"message %d\n" % number for number in range(50))
    with Server(dialogue) as server:
        run(server.target, lines).expect(
            (SEED_GREETING + "".join(f"réponse {number}" for number in range(50))).encode())


# Lines.

@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_lines_end_as_the_greeting_does(end):
    greeting = b"220 ready" + end
    answer = b"250 a" + end + b"250 b" + end
    with Server(line_server(greeting, b"a" + end + b"b" + end, answer)) as server:
        run(server.target, b"a\nb\n").expect(greeting + answer)


def test_a_line_that_has_its_crlf_gets_no_second_cr():
    with Server(line_server(b"hello\r\n", b"a\r\nb\r\n")) as server:
        run(server.target, b"a\r\nb\n").expect(b"hello\r\n")


def test_the_last_line_needs_no_end():
    with Server(line_server(b"hello\n", b"a\nb\n")) as server:
        run(server.target, b"a\nb").expect(b"hello\n")


def test_no_input_at_all():
    with Server(line_server(b"hello\n", b"", b"bye\n")) as server:
        run(server.target).expect(b"hello\nbye\n")


def test_a_server_that_waits_to_be_asked():
    """As whois does: no greeting, one line, the answer, the end."""
    def dialogue(peer):
        assert peer.line() == b"marcel.example\n"
        peer.send(b"domain: marcel.example\r\n")

    with Server(dialogue) as server:
        run(server.target, b"marcel.example\n").expect(b"domain: marcel.example\r\n")


def test_a_greeting_byte_by_byte():
    greeting = "Bonjour à tous\r\n".encode()

    def dialogue(peer):
        for byte in greeting:
            peer.send(bytes([byte]))
        assert peer.read_to_end() == b"a\r\n"

    with Server(dialogue) as server:
        client = start(server.target)
        read_exactly(client.stdout, greeting)
        finish(client, b"a\n").expect()


def test_a_greeting_of_several_lines():
    greeting = b"220-one\r\n220-two\r\n220 three\r\n"
    with Server(line_server(greeting, b"quit\r\n")) as server:
        run(server.target, b"quit\n").expect(greeting)


@pytest.mark.parametrize("option, sent", [("--line", b"a\nb\n"), ("--crlf", b"a\r\nb\r\n")])
def test_the_user_knows_better(option, sent):
    for greeting in (b"hello\r\n", b"hello\n", b"hello", b""):
        with Server(line_server(greeting, sent)) as server:
            run([option, *server.target], b"a\nb\n").expect(greeting)


def test_raw_because_the_user_says_so():
    def dialogue(peer):
        peer.send(b"hello\n")
        for message in (b"a", b"b"):
            assert peer.recv() == message
            peer.send(b"yes\n")
        peer.expect_end()

    with Server(dialogue) as server:
        run(["--raw", *server.target], b"a\nb\n").expect(b"hello\nyes\nyes\n")


def test_raw_without_a_greeting():
    def dialogue(peer):
        assert peer.recv() == b"a"
        peer.send(b"yes")
        peer.expect_end()

    with Server(dialogue) as server:
        run(["--raw", *server.target], b"a\n").expect(b"yes")


# Bytes.

def test_every_byte_passes():
    text = bytes(range(256)) * 3 + b"\xff\xfe\n\x00\n\xc3\n\r\r\n" + b"\x80" * 5000 + b"\n"
    with Server(echo(b"hello\n")) as server:
        run(server.target, text).expect(b"hello\n" + text)


def test_very_many_lines():
    text = b"".join(b"ligne %d\n" % number for number in range(100_000))
    with Server(echo(b"hello\n")) as server:
        run(server.target, text).expect(b"hello\n" + text)


def test_very_many_lines_with_crlf():
    lines = [b"ligne %d" % number for number in range(100_000)]
    with Server(echo(b"hello\r\n")) as server:
        run(server.target, b"\n".join(lines)).expect(
            b"hello\r\n" + b"".join(line + b"\r\n" for line in lines))


def test_a_very_long_line():
    text = os.urandom(8_000_000).replace(b"\n", b"\0") + b"\n"
    with Server(echo(b"hello\n")) as server:
        run(server.target, text).expect(b"hello\n" + text)


def test_a_long_raw_message():
    text = b"x" * 300_000

    def dialogue(peer):
        peer.send(b"hello")
        peer.expect(text)
        peer.send(text)
        # The whole long reply is heard before the next message is said.
        assert peer.recv() == b"next"
        peer.send(b"FIN")

    with Server(dialogue) as server:
        run(server.target, text + b"\nnext\n").expect(b"hello" + text + b"FIN")


def test_both_sides_may_speak_at_once():
    """A server that reads nothing before it has said everything."""
    text = b"0123456789abcde\n" * 500_000

    def dialogue(peer):
        peer.send(b"hello\n" + text)
        peer.expect_end(text)

    with Server(dialogue) as server:
        run(server.target, text).expect(b"hello\n" + text)


def test_an_output_that_is_full_does_not_stop_the_input():
    """Nobody reads what comes, and still what is said goes out."""
    full = threading.Event()
    sent = []

    def dialogue(peer):
        peer.send(b"hello\n")
        sent.append(peer.send_until_blocked(b"0123456789abcde\n"))
        full.set()
        assert peer.line() == b"stop\n"
        peer.expect_end()

    output, client_output = os.pipe()
    fcntl.fcntl(client_output, fcntl.F_SETPIPE_SZ, 8192)
    with Server(dialogue) as server:
        client = start(server.target, bufsize=0, stdout=client_output)
        os.close(client_output)
        assert full.wait(PATIENCE)
        client.stdin.write(b"stop\n")
        client.stdin.close()
        server.thread.join(PATIENCE)
        assert not server.thread.is_alive(), "the client waits for somebody to read"
    with open(output, "rb") as rest:
        text = rest.read()
    assert text == b"hello\n" + (b"0123456789abcde\n" * (sent[0] // 16 + 1))[:sent[0]]
    assert client.wait(PATIENCE) == 0
    assert client.stderr.read() == b""


def test_a_line_is_sent_when_it_is_whole():
    """Half a line, and then silence, must not look like a raw message."""
    def dialogue(peer):
        peer.send(b"hello\n")
        assert peer.recv() == b"first\n"
        peer.send(b"yes\n")
        assert peer.recv() == b"second half\n"

    with Server(dialogue) as server:
        client = start(server.target, bufsize=0)
        client.stdin.write(b"first\nsecond ")
        read_exactly(client.stdout, b"hello\nyes\n")
        finish(client, b"half\n").expect()


# Ends.

def test_the_server_has_the_last_word():
    with Server(line_server(b"hello\n", b"a\n", b"A\n", b"fin\n")) as server:
        run(server.target, b"a\n").expect(b"hello\nA\nfin\n")


def test_a_server_that_has_heard_enough():
    def dialogue(peer):
        peer.send(b"hello\n")
        assert peer.line() == b"quit\n"
        peer.send(b"bye\n").half_close()
        peer.read_to_end()

    with Server(dialogue) as server:
        client = start(server.target, bufsize=0)
        client.stdin.write(b"quit\nmore\nand more\n")
        # Standard input stays open: it is the server that ends it.
        read_exactly(client.stdout, b"hello\nbye\n")
        assert client.wait(PATIENCE) == 0
        finish(client).expect()


def test_a_broken_connection():
    def dialogue(peer):
        peer.send(b"hello\n")
        assert peer.line() == b"a\n"
        peer.reset()

    with Server(dialogue) as server:
        run(server.target, b"a\n").expect(
            b"hello\n", EXIT_BROKE, "marcel: the connection broke: Connection reset by peer\n")


def test_a_connection_broken_in_full_flight():
    """Whoever notices, the sender or the receiver, a reset is never a proper end."""
    def dialogue(peer):
        peer.send(b"hello\n")
        peer.expect(b"x" * 4095 + b"\n")
        peer.reset()

    for _ in range(repeat(100, 10)):
        with Server(dialogue) as server:
            run(server.target, (b"x" * 4095 + b"\n") * 2000).expect(
                b"hello\n", EXIT_BROKE, "marcel: the connection broke: Connection reset by peer\n")


def test_nobody_reads_the_output_any_more():
    closed = threading.Event()

    def dialogue(peer):
        peer.send(b"hello\n")
        assert closed.wait(PATIENCE)
        # Not a word more: the client must notice by itself.
        peer.expect_end()

    with Server(dialogue) as server:
        client = start(server.target)
        read_exactly(client.stdout, b"hello\n")
        client.stdout.close()
        closed.set()
        assert client.wait(PATIENCE) == 0
        assert client.stderr.read() == b""


def test_head_takes_one_line():
    def dialogue(peer):
        try:
            while True:
                peer.send(b"one more line\n")
        except OSError:
            pass

    with Server(dialogue) as server:
        client = start(server.target)
        head = subprocess.run(["head", "-n", "1"], stdin=client.stdout, stdout=subprocess.PIPE,
                              timeout=PATIENCE)
        client.stdout.close()
        assert head.stdout == b"one more line\n"
        assert client.wait(PATIENCE) == 0
        assert client.stderr.read() == b""


def test_a_full_disk():
    with Server(line_server(b"hello\n", b"")) as server:
        with open("/dev/full", "wb") as full:
            ended = run(server.target, stdout=full)
    assert (ended.status, ended.err) == (
        EXIT_BROKE, "marcel: standard output: No space left on device\n")


def test_an_input_that_cannot_be_read(tmp_path):
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        with Server(line_server(b"hello\n", b"", b"bye\n")) as server:
            client = start(server.target, stdin=directory)
            out, err = client.communicate(timeout=PATIENCE)
    finally:
        os.close(directory)
    assert (client.returncode, out, err) == (
        EXIT_BROKE, b"hello\nbye\n", b"marcel: standard input: Is a directory\n")


def test_descriptors_that_nobody_gave():
    """Were 0 free, the socket would become it, and the dialogue its own input."""
    with Server(line_server(b"hello\n", b"", b"bye\n")) as server:
        shell = subprocess.run(["sh", "-c", '"$0" "$@" <&-', MARCEL, *server.target],
                               env=environment(), stdout=subprocess.PIPE, timeout=PATIENCE)
    assert (shell.returncode, shell.stdout) == (0, b"hello\nbye\n")
    with Server(line_server(b"hello\n", b"a\n")) as server:
        shell = subprocess.run(["sh", "-c", 'echo a | "$0" "$@" >&- 2>&-', MARCEL,
                                *server.target], env=environment(), timeout=PATIENCE)
    assert shell.returncode == 0


# Whom to call.

def test_addresses(tmp_path):
    path = tmp_path / "marcel.sock"
    for options in ({"path": path}, {"path": f"\0marcel-test-{os.getpid()}"}, {"host": "::1"}):
        with Server(line_server(b"hello\n", b"a\n"), **options) as server:
            run(server.target, b"a\n").expect(b"hello\n")


def test_host_and_port_in_one_word():
    for host, form in (("127.0.0.1", "127.0.0.1:%d"), ("127.0.0.1", "localhost:%d"),
                       ("::1", "[::1]:%d")):
        with Server(line_server(b"hello\n", b"a\n"), host=host) as server:
            run([form % server.port], b"a\n").expect(b"hello\n")


@pytest.fixture
def three_addresses(tmp_path):
    """A command that starts a program for which marcel.test has three addresses."""
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.2 marcel.test\n127.0.0.1 marcel.test\n::1 marcel.test\n")
    prefix = ["unshare", "--map-root-user", "--mount", "sh", "-c",
              'mount --bind "$0" /etc/hosts && exec "$@"', hosts]
    probe = subprocess.run([*prefix, "true"], stderr=subprocess.PIPE, timeout=PATIENCE)
    if probe.returncode != 0:
        pytest.skip(f"no name may be given here: {probe.stderr}")
    return prefix


def test_all_addresses_of_a_name_are_tried(three_addresses):
    for host in ("127.0.0.1", "127.0.0.2", "::1"):
        with Server(line_server(b"hello\n", b"a\n"), host=host) as server:
            run(["marcel.test", str(server.port)], b"a\n", prefix=three_addresses).expect(b"hello\n")


def test_each_address_has_its_reason(three_addresses):
    port = free_port()
    ended = run(["marcel.test", str(port)], prefix=three_addresses)
    assert ended.status == EXIT_NOT_CONNECTED and ended.out == b""
    first, *reasons = ended.err.splitlines()
    assert first == "The connection could not be made."
    assert sorted(reasons) == [f"marcel: {host}:{port}: Connection refused"
                               for host in ("127.0.0.1", "127.0.0.2", "[::1]")]


def test_only_one_family(three_addresses):
    with Server(line_server(b"hello\n", b"a\n")) as server:
        there = ["marcel.test", str(server.port)]
        ended = run(["-6", *there], prefix=three_addresses)
        assert ended.status == EXIT_NOT_CONNECTED
        assert "[::1]" in ended.err and "127.0.0" not in ended.err
        run(["-4", *there], b"a\n", prefix=three_addresses).expect(b"hello\n")


def test_vsock():
    vsock_local, any_port = 1, 0xffffffff
    try:
        listener = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        listener.bind((vsock_local, any_port))
        probe = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        listener.listen(2)
        probe.connect(listener.getsockname())
    except OSError as fault:
        pytest.skip(f"this kernel has no vsock loopback: {fault}")
    listener.accept()[0].close()
    client = start([f"vsock:1:{listener.getsockname()[1]}"])
    connection, _ = listener.accept()
    connection.sendall(b"hello\n")
    connection.close()
    finish(client).expect(b"hello\n")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as unused:
        return unused.getsockname()[1]


def test_refused():
    port = free_port()
    run(["127.0.0.1", str(port)]).expect(
        b"", EXIT_NOT_CONNECTED, "The connection could not be made.\n"
        f"marcel: 127.0.0.1:{port}: Connection refused\n")


def test_no_such_socket(tmp_path):
    run([tmp_path / "none"]).expect(
        b"", EXIT_NOT_CONNECTED, "The connection could not be made.\n"
        f"marcel: {tmp_path}/none: No such file or directory\n")


def test_no_such_name():
    # Longer than a label of a name may be: no resolver need be asked.
    name = "x" * 64
    run([name, "50001"]).expect(
        b"", EXIT_NOT_CONNECTED, "The connection could not be made.\n"
        f"marcel: {name}:50001: Name or service not known\n")


def test_the_socket_is_tuned():
    """Small messages go at once; a peer that is gone is noticed."""
    with Server(line_server(b"hello\n", b"a\n")) as server:
        client = start(server.target)
        read_exactly(client.stdout, b"hello\n")
        with client_socket(client.pid) as there:
            assert there.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
            assert there.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0
            assert there.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60
        finish(client, b"a\n").expect()


def client_socket(pid):
    """A duplicate of the one socket that process PID has."""
    pidfd_getfd = 438
    number, = (int(fd) for fd in os.listdir(f"/proc/{pid}/fd")
               if os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket:"))
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(pid)
    try:
        fd = libc.syscall(pidfd_getfd, pidfd, number, 0)
        if fd < 0:
            pytest.skip(f"not allowed here: pidfd_getfd: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(pidfd)
    return socket.socket(fileno=fd)


# The command line.

HINT = "Try 'marcel --help' for more information.\n"


@pytest.mark.parametrize("arguments, fault", [
    (["--what"], "unknown option '--what'"),
    (["-x"], "unknown option '-x'"),
    (["-4x"], "unknown option '-x'"),
    (["--line=1"], "'--line=1': this option takes no value"),
    (["host", "0"], "'0': a port is a number from 1 to 65535 or the name of a service"),
    (["host", "65536"], "'65536': a port is a number from 1 to 65535 or the name of a service"),
    (["host", ""], "'': a port is a number from 1 to 65535 or the name of a service"),
    (["host:99999"], "'99999': a port is a number from 1 to 65535 or the name of a service"),
    (["50000"], "'50000' is a port; write: marcel localhost 50000"),
    (["/run/x", "50000"], "no port goes with the address '/run/x'"),
    (["vsock:x:5"], "'vsock:x:5' is no address: a CID is a number of at most 32 bits"),
    (["/" + "x" * 108], None),
    (["a", "b", "c\x1b"], "too many arguments: 'c\\e'"),
    ([""], "the host is an empty word"),
])
def test_bad_usage(arguments, fault):
    ended = run(arguments)
    assert (ended.status, ended.out) == (EXIT_USAGE, b"")
    assert ended.err.endswith(HINT) and ended.err.startswith("marcel: ")
    if fault is not None:
        assert ended.err == f"marcel: {fault}\n{HINT}"


def test_help_and_version():
    ended = run(["--help"])
    assert ended.status == 0 and ended.out.startswith(b"Usage: marcel ") and ended.err == ""
    assert run(["-h"]).out == ended.out
    ended = run(["--version"])
    assert ended.status == 0 and ended.out.startswith(b"marcel ") and ended.out.count(b"\n") == 1
    with open("/dev/full", "wb") as full:
        assert run(["--help"], stdout=full).status == EXIT_BROKE


def test_french(french):
    port = free_port()
    ended = run(["127.0.0.1", str(port)], env=french)
    assert ended.status == EXIT_NOT_CONNECTED
    assert ended.err.startswith(f"La connexion a échoué.\nmarcel: 127.0.0.1:{port}: ")
    assert run(["--help"], env=french).out.startswith("Utilisation\u00a0: marcel ".encode())
    assert run(["--what"], env=french).err.startswith("marcel: option inconnue «\u00a0--what\u00a0»\n")
