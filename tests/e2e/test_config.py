"""The command line and marcel.ini: what is taken, what is refused, with which words and status."""

import os
import re
import socket

import pytest

from daemon_tools import (EXIT_CONFIG, EXIT_OSERR, EXIT_USAGE, FAREWELL, GREETING, GREETING_TEXT,
                          MARCELD, ROOT, check_config, effective, run, wait_until)

ENVIRONMENT = dict(os.environ, LC_ALL="C.UTF-8")


def marceld_fails(*args):
    """Runs marceld, which must end of itself, and gives its status and what it says."""
    result = run(MARCELD, *args, env=ENVIRONMENT)
    return result.returncode, result.stderr.decode()


# The command line


@pytest.mark.parametrize("args, word", [
    (["--no-such-option"], "no-such-option"),
    (["-x"], "x"),
    (["argument"], "argument"),
    (["-c"], "c"),
    (["-l"], "l"),
    (["--log=shout"], "shout"),
])
def test_bad_usage(args, word):
    status, said = marceld_fails(*args)
    assert status == EXIT_USAGE
    assert word in said and "--help" in said


@pytest.mark.parametrize("address", [
    "127.0.0.1:99999", "127.0.0.1", "300.0.0.1:1", "[::1]", "[::g]:1", "localhost:1", "", "x",
    "0x50", "-1", "127.0.0.1:", "vsock:x:1", "relative/path"])
def test_a_bad_address(ini, address):
    status, said = marceld_fails("-c", ini(""), "-l", address)
    assert status == EXIT_USAGE
    assert f"'{address}'" in said or address and address in said


def test_a_path_that_is_too_long(ini, tmp_path):
    status, said = marceld_fails("-c", ini(""), "-l", f"{tmp_path}/{'x' * 200}")
    assert status in (EXIT_USAGE, EXIT_OSERR)
    assert "long" in said


def test_an_unknown_responder(ini):
    status, said = marceld_fails("-c", ini(""), "-r", "ecco")
    assert status in (EXIT_USAGE, EXIT_CONFIG)
    assert "'ecco'" in said and "'echo'" in said


def test_help():
    result = run(MARCELD, "--help", env=ENVIRONMENT)
    assert result.returncode == 0 and result.stderr == b""
    for option in ("-c", "-l", "-r", "--check-config", "--log", "--version", "--help"):
        assert option in result.stdout.decode()


def test_version():
    result = run(MARCELD, "--version", env=ENVIRONMENT)
    assert result.returncode == 0
    assert re.match(r"marceld \d+\.\d+", result.stdout.decode())


def test_output_that_cannot_be_written(ini):
    for args in (["--help"], ["--version"], ["-c", str(ini("")), "--check-config"]):
        result = run("/bin/sh", "-c", 'exec "$@" >/dev/full', "sh", MARCELD, *args,
                     env=ENVIRONMENT)
        assert result.returncode != 0, args


def test_a_port_in_use(ini):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        status, said = marceld_fails("-c", ini(""), "-l", f"127.0.0.1:{port}")
    assert status == EXIT_OSERR
    assert f"127.0.0.1:{port}" in said and "in use" in said


def test_a_port_in_use_among_others(ini):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        status, said = marceld_fails("-c", ini(""), "-l", "127.0.0.1:0", "-l", f"127.0.0.1:{port}")
    assert status == EXIT_OSERR and str(port) in said


def test_an_address_of_another_host(ini):
    status, said = marceld_fails("-c", ini(""), "-l", "192.0.2.1:0")
    assert status == EXIT_OSERR and "192.0.2.1" in said


# Bad configurations

LONG = "x" * 2000

BAD = [
    # text, line, words that stand in the error
    ("[dialogue]\ngreating = x\n", 2, ["'greating'", "[dialogue]", "'greeting'"]),
    ("[dialogue]\nfoo = x\n", 2, ["'foo'", "[dialogue]"]),
    ("[dialog]\nfarewell = x\n", 1, ["dialog", "dialogue"]),
    ("[dialog]\n", 1, ["dialog"]),
    ("[]\n", 1, []),
    ("[dialogue\n", 1, ["]"]),
    ("[dialogue]\nfarewell = a\nfarewell = b\n", 3, ["farewell", "2"]),
    ("[dialogue]\nfarewell = a\n[limits]\n[dialogue]\nfarewell = b\n", 5, ["farewell", "2"]),
    ("[dialogue]\nidle_timeout = soon\n", 2, ["idle_timeout", "soon"]),
    ("[dialogue]\nidle_timeout = 5 minits\n", 2, ["idle_timeout", "5 minits"]),
    ("[dialogue]\nidle_timeout = -1s\n", 2, ["idle_timeout"]),
    ("[dialogue]\nidle_timeout =\n", 2, ["idle_timeout"]),
    ("[dialogue]\nidle_timeout = 99999999999999999999999y\n", 2, ["idle_timeout"]),
    ("[dialogue]\nraw_pause = x\n", 2, ["raw_pause"]),
    ("[dialogue]\nmessage_max = 0\n", 2, ["message_max"]),
    ("[dialogue]\nmessage_max = 64Q\n", 2, ["message_max", "64Q"]),
    ("[dialogue]\nmessage_max = 1T\n", 2, ["message_max"]),
    ("[dialogue]\nframing = lines\n", 2, ["framing", "lines", "line", "raw", "auto"]),
    ("[dialogue]\nend_on_empty = maybe\n", 2, ["end_on_empty", "maybe"]),
    ("[dialogue]\nresponder = ecco\n", 2, ["ecco", "'echo'"]),
    ("[dialogue]\nfarewell\n", 2, ["="]),
    ("farewell = x\n", 1, ["farewell"]),
    ("\n\n# fine\n[dialogue]\n; fine\nno equals sign\n", 6, ["="]),
    ("[dialogue]\nfarewell = a\0b\n", 2, ["NUL"]),
    ("[dialogue]\nfarewell = \xff\n".encode("latin-1"), 2, ["UTF-8"]),
    ("[dialogue]\nfarewell = a\x1b[2Jb\n", 2, []),
    ("[limits]\nconversations = many\n", 2, ["conversations", "many"]),
    ("[limits]\nconversations = -1\n", 2, ["conversations"]),
    ("[limits]\nconversations = 99999999999999999999999\n", 2, ["conversations"]),
    ("[journal]\ntranscript = some\n", 2, ["transcript", "some"]),
    ("[server]\nlisten = nowhere\n", 2, ["nowhere"]),
    ("[server]\nbacklog = 0x10\n", 2, ["backlog"]),
    ("[server]\nstop_timeout = never\n", 2, ["stop_timeout"]),
    ("[echo]\nloud = yes\n", 2, ["loud", "[echo]"]),
    (f"[dialogue]\n{LONG} = x\n", 2, []),
    (f"[{LONG}]\n", 1, []),
    ("[listener a]\nbacklog = 1\n", 2, ["backlog"]),
    ("[listener a]\ngreeting = x\n[listener a]\ngreeting = y\n", None, []),
    ("[listener]\n", 1, ["listener"]),
]


@pytest.mark.parametrize("text, line, words", BAD, ids=[repr(text[:40]) for text, _, _ in BAD])
def test_a_bad_configuration(ini, text, line, words):
    file = ini(text)
    for args in (["--check-config"], ["-l", "127.0.0.1:0"]):
        status, said = marceld_fails("-c", file, *args)
        assert status == EXIT_CONFIG, said
        assert (f"{file}:{line}: " if line else f"{file}:") in said
        first = next(text for text in said.splitlines() if str(file) in text)
        for word in words:
            assert word in first
        assert not re.search(r"[\0-\x09\x0b-\x1f\x7f]", said)


def test_all_faults_are_told_at_once(ini):
    file = ini("[dialogue]\nfoo = 1\nidle_timeout = soon\n[bar]\nx = 1\n"
               "[limits]\nconversations = x\n")
    status, said = marceld_fails("-c", file)
    assert status == EXIT_CONFIG
    for line in (2, 3, 4, 7):
        assert f"{file}:{line}: " in said


def test_a_missing_file(tmp_path):
    status, said = marceld_fails("-c", tmp_path / "none.ini")
    assert status == EXIT_CONFIG
    assert f"{tmp_path}/none.ini" in said and "No such file" in said


def test_a_directory_instead_of_a_file(tmp_path):
    status, said = marceld_fails("-c", tmp_path)
    assert status == EXIT_CONFIG
    assert str(tmp_path) in said and "directory" in said


def test_an_unreadable_file(ini):
    file = ini("")
    file.chmod(0)
    # Root may read everything, unless it drops that right.
    drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    result = run(*drop, MARCELD, "-c", file, env=ENVIRONMENT)
    assert result.returncode == EXIT_CONFIG
    assert str(file) in result.stderr.decode() and b"ermission denied" in result.stderr


# Good configurations


def test_defaults(ini):
    values = effective(ini(""))
    assert values["dialogue", "greeting"] == GREETING_TEXT
    assert values["dialogue", "farewell"] == "fin"
    assert values["dialogue", "end_words"] == "fin"
    assert values["dialogue", "end_on_empty"] == "yes"
    assert values["dialogue", "framing"] == "auto"
    assert values["dialogue", "raw_pause"] == "400ms"
    assert values["dialogue", "responder"] == "echo"
    assert values["journal", "transcript"] == "full"
    assert "50000" in values["server", "listen"]


def test_the_shipped_file_says_the_defaults(ini):
    shipped = ROOT / "etc" / "marcel.ini"
    if not shipped.exists():
        pytest.skip("etc/marcel.ini is not there")
    assert effective(shipped) == effective(ini(""))
    text = shipped.read_text()
    for (section, key), _ in effective(ini("")).items():
        assert re.search(rf"^[#;]?\s*{key}\s*=", text, re.M), f"{key} of [{section}] is not shown"


@pytest.mark.parametrize("text", [
    "",
    "[dialogue]\ngreeting =\nfarewell =\nend_words =\n",
    "[dialogue]\ngreeting = Bonjour ; ça va ? # très bien\n",
    f"[dialogue]\ngreeting = {'é' * 1000}\n",
    f"[dialogue]\ngreeting = {'x' * 250000}\n",
    "[dialogue]\ngreeting = a = b: \"c\" 'd' \\n \\\\ %s %d ${x} [y]\n",
    "[dialogue]\nidle_timeout = infinity\nraw_pause = 1s 30ms\nmessage_max = 1234\n",
    "[dialogue]\nend_words = a,b c, ÉTÉ\nend_on_empty = no\nframing = raw\n",
    "[limits]\nconversations = 7\nper_address = 0\nrefusal = plus de place ; désolé\n",
    "[journal]\ntranscript = sizes\ntranscript_max = 100\n",
    "[server]\nlisten = 127.0.0.1:1 [::1]:2 /run/x\nbacklog = 3\nstop_timeout = 2s\n",
    "[fifo]\ndirectory = /run/x\nabsent_after = infinity\nabsent_reply =\ngrace = 90s\n",
    "[listener a]\ngreeting = A\nidle_timeout = 1h\n"
    "[listener b c]\nfarewell = B\nconversations = 1\n",
    "\ufeff[dialogue]\r\ngreeting = windows\r\n",
], ids=lambda text: repr(text[:40]))
def test_check_config_prints_what_it_would_read_again(ini, text):
    first = check_config(ini(text))
    assert first.returncode == 0, first.stderr.decode()
    assert first.stderr == b""
    again = check_config(ini(first.stdout, "again.ini"))
    assert again.returncode == 0, again.stderr.decode()
    assert again.stdout == first.stdout


def test_check_config_tells_of_the_operator_channel(ini):
    assert effective(ini("[fifo]\nabsent_after = 90s\n")).items() >= {
        ("fifo", "absent_after"): "1min 30s",
        ("fifo", "absent_reply"): "Personne n'est là pour l'instant ; votre message est gardé.",
        ("fifo", "grace"): "10min",
    }.items()
    # Where it is depends on who starts the daemon, so it is not for reading again unless it was set.
    assert ("fifo", "directory") not in effective(ini(""))
    assert effective(ini("[fifo]\ndirectory = /run/x\n"))["fifo", "directory"] == "/run/x"


def test_values_are_carried_whole(marceld):
    for text in ("Bonjour ; ça va ?", "a # b", "é" * 1000, "x" * 100000, "\\n %s ${x} \"q\"",
                 "= =", "[x]"):
        server = marceld(f"[dialogue]\ngreeting = {text}\nfarewell = {text}\n")
        peer = server.connect(greeting=f"{text}\n".encode())
        peer.send("fin\n").expect_end(f"{text}\n".encode())


def test_check_config_binds_nothing(ini):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        file = ini(f"[server]\nlisten = 127.0.0.1:{other.getsockname()[1]}\n")
        assert check_config(file).returncode == 0


def test_check_config_shows_the_command_line(ini):
    result = run(MARCELD, "-c", ini(""), "-r", "echo", "--check-config", env=ENVIRONMENT)
    assert result.returncode == 0 and b"responder = echo" in result.stdout


@pytest.mark.skipif(os.path.exists("/etc/marcel.ini"), reason="/etc/marcel.ini exists here")
def test_no_configuration_at_all(marceld):
    server = marceld(config_file=False, log="text")
    server.connect().send("a\n").expect("a\n").send("fin\n").expect_end(FAREWELL)
    server.stop()
    # It runs on its defaults and says so.
    assert "/etc/marcel.ini" in server.errors()


def test_listen_from_the_file(marceld):
    server = marceld("[server]\nlisten = 127.0.0.1:0\n", listen=[])
    server.connect().send("a\n").expect("a\n").send("fin\n").expect_end(FAREWELL)


def test_the_command_line_wins_over_listen(marceld):
    server = marceld("[server]\nlisten = 192.0.2.1:1\n")
    server.connect().send("fin\n").expect_end(FAREWELL)


def test_defaults_hold_a_conversation(marceld):
    peer = marceld("").connect(greeting=b"")
    peer.send("a\nfin\n").expect_end(GREETING + b"a\n" + FAREWELL)


def test_closed_standard_streams(marceld):
    # A supervisor may start it without any; the first sockets must not become 0, 1 or 2 then, or
    # records would be sent to clients.
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = marceld("", listen=[f"127.0.0.1:{port}"], log="text", wait=False,
                     prefix=["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"])
    server.port = port

    def greeted():
        try:
            return server.connect()
        except ConnectionRefusedError:
            return None

    peers = [wait_until(greeted, "a greeting") for _ in range(4)]
    for peer in peers:
        peer.send("a\nfin\n").expect_end(b"a\n" + FAREWELL)
