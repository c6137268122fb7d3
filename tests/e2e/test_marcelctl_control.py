"""marcelctl's verbs for a running marceld, against one in small, whose every answer is known."""

import json
import os
import re
import socket
import stat
import struct
import subprocess
import threading

import pytest

from client_tools import EXIT_USAGE, environment, french, latin  # noqa: F401 (fixtures)
from daemon_tools import PATIENCE
from marcelctl_tools import (FAILED, NOT_RUNNING, UTC, Running, call, ctl,
                             fake)  # noqa: F401 (a fixture)
from script_tools import MARCELCTL

GREETING = "Vous êtes connecté au serveur Marcel. Envoyez vos messages."

# The command line.

@pytest.mark.parametrize("arguments, text", [
    (["status", "now"], "too many arguments: 'now'"),
    (["status", "--waiting"], "unknown option '--waiting'"),
    (["list", "17"], "too many arguments: '17'"),
    (["lst"], "did you mean 'list'?"),
    (["show"], "'show' wants more arguments"),
    (["show", "x"], "'x': a conversation is named by its number"),
    (["show", "-1"], "unknown option '-1'"),
    (["show", "0"], "'0': a conversation is named by its number"),
    (["show", "18446744073709551616"], "a conversation is named by its number"),
    (["show", "1", "2"], "too many arguments: '2'"),
    (["follow", "1", "2"], "too many arguments: '2'"),
    (["say"], "'say' wants more arguments"),
    (["say", "17"], "'say' wants more arguments"),
    (["say", "Bonjour", "17"], "'Bonjour': a conversation is named by its number"),
    (["say", "--turn", "x", "17", "Bonjour"], "'x': a message is named by its number"),
    (["say", "--turn", "1", "17", "-"], "--turn answers one message with one line"),
    (["say", "--turn", "1", "17", "a\nb"], "--turn answers one message with one line"),
    (["say", "17", "-x"], "unknown option '-x'"),
    (["close"], "'close' wants more arguments"),
    (["close", "17", "x"], "'x': a conversation is named by its number"),
    (["take", "--json", "17"], "unknown option '--json'"),
    (["give", "17", "fifo", "x"], "too many arguments: 'x'"),
    (["reload", "x"], "too many arguments: 'x'"),
    (["metrics", "--textfile"], "this option wants a value"),
    (["status", "--control"], "this option wants a value"),
    (["--control"], "'--control': this option wants a value"),
    (["--control", "x"], "which verb?"),
    (["--bus", "--control=x", "lst"], "did you mean 'list'?"),
    (["--contrl=x", "list"], "unknown option '--contrl=x' (did you mean '--control'?)"),
    (["list", "--jsno"], "unknown option '--jsno' (did you mean '--json'?)"),
    (["list", "--frobnicate"], "unknown option '--frobnicate'\n"),
    (["--bus", "script", "check", "x"], "unknown option '--bus'"),
    (["status", "--control", ""], "--control wants the path of a socket"),
    (["--control=", "status"], "--control wants the path of a socket"),
    (["say", "17"], "\nUsage: marcelctl say [--turn N] ID TEXT...\n"),
    (["say", "--turn", "x", "17", "x"], "as in 'marcelctl show ID'"),
    (["script", "check"], "\nUsage: marcelctl script check [--strict] FILE...\n"),
])
def test_bad_usage(arguments, text):
    result = ctl(*arguments, status=EXIT_USAGE)
    assert text in result.err
    assert result.err.endswith("Try 'marcelctl --help' for more information.\n")


def test_help_of_one_verb():
    for arguments in (["say", "--help"], ["say", "-h"], ["help", "say"], ["say", "17", "--help"],
                      ["say", "--control", "x", "17", "--help"],
                      ["--control", "x", "say", "--help"], ["--bus", "help", "say"]):
        out = ctl(*arguments).out
        assert out.startswith("Usage: marcelctl say [--turn N] ID TEXT...\n"), arguments
        assert "standard input" in out and "script" not in out
    assert ctl("help", "script", "test").out.startswith("Usage: marcelctl script test [--tap] ")
    whole = ctl("--help").out
    for arguments in (["help"], ["help", "script"], ["--bus", "help"], ["script", "-h"]):
        assert ctl(*arguments).out == whole
    assert "did you mean 'say'?" in ctl("help", "sya", status=EXIT_USAGE).err


def test_general_options_before_the_verb(fake):  # noqa: F811
    fake("open 17 127.0.0.1:4711 marcel fifo")
    for way in (["--control", fake.path], [f"--control={fake.path}"]):
        assert len(json.loads(ctl(*way, "list", "--json").out)) == 1
    ctl("--control", fake.path, "say", "17", "Bonjour", "--bus")
    fake("lost 1")
    assert "Say 17 0 Bonjour --bus" in fake.calls


def test_help_names_every_verb():
    text = ctl("--help").out
    for verb in ("status", "reload", "metrics", "list", "show", "follow", "take", "say", "give",
                 "close", "desk", "script check"):
        assert re.search(rf"^  {verb}\b", text, re.M), verb
    assert not re.search(r" $", text, re.M)
    assert max(map(len, text.splitlines())) <= 100


# Nobody there, or nobody for us.

VERBS = [["status"], ["list"], ["show", "1"], ["follow"], ["say", "1", "x"], ["close", "1"],
         ["take", "1"], ["give", "1", "echo"], ["reload"], ["metrics"]]


@pytest.mark.parametrize("arguments", VERBS, ids=lambda arguments: arguments[0])
def test_nobody_there(tmp_path, arguments):
    path = tmp_path / "control"
    result = call(path, *arguments, status=NOT_RUNNING if arguments == ["status"] else FAILED)
    assert result.out == ""
    assert result.err == (
        f"marcelctl: {path}: there is no such socket\n"
        "marcelctl: is marceld running? start it with 'systemctl start marcel.socket', or name its "
        "socket with --control\n")


def test_nobody_listens(tmp_path):
    path = tmp_path / "control"
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(os.fspath(path))
    result = call(path, "status", "--json", status=NOT_RUNNING)
    assert json.loads(result.out) == {"running": False}
    assert f"{path}: no marceld listens there" in result.err


def test_not_a_control_socket(tmp_path):
    (tmp_path / "file").write_text("")
    assert "this is not a socket" in call(tmp_path / "file", "list", status=FAILED).err

    path = tmp_path / "other"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(path))
        listener.listen()

        def greet():
            client, _ = listener.accept()
            with client:
                client.sendall(b"220 somebody else\r\n")
                client.recv(65536)

        thread = threading.Thread(target=greet)
        thread.start()
        result = call(path, "status", status=FAILED)
        thread.join(PATIENCE)
    assert f"{path}: this is not the control socket of a marceld" in result.err


def let_others_in(directory):
    """Others may look for files in DIRECTORY, and run marcelctl; or the test is left out."""
    for one in (directory, *directory.parents):
        if one.name.startswith(("pytest-", "test_")):
            one.chmod(0o755)
    if subprocess.run([MARCELCTL, "--version"], user="nobody", stdout=subprocess.DEVNULL,
                      stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("others can't run what was built")


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user: wants root")
@pytest.mark.parametrize("mode, text", [
    (0o660, "permission denied: only root and the group games may control marceld\n"
            "marcelctl: an administrator lets you with 'usermod -aG games nobody'; then log in "
            "again\n"),
    (0o600, "permission denied: only its owner may control this marceld\n"),
])
def test_no_permission(fake, tmp_path, mode, text):  # noqa: F811
    import grp
    os.chown(fake.path, -1, grp.getgrnam("games").gr_gid)
    os.chmod(fake.path, mode)
    let_others_in(tmp_path)
    result = call(fake, "status", status=FAILED, user="nobody")
    assert result.err == f"marcelctl: {fake.path}: {text}"


@pytest.mark.skipif(os.path.exists("/run/marcel/control"), reason="there is /run/marcel/control")
def test_default_path_of_a_user(fake, tmp_path):  # noqa: F811
    (tmp_path / "marcel").mkdir()
    path = tmp_path / "marcel" / "control"
    os.rename(fake.path, path)
    options = {"env": {"XDG_RUNTIME_DIR": os.fspath(tmp_path)}}
    if os.geteuid() == 0:
        let_others_in(tmp_path)
        path.chmod(0o666)
        assert "/run/marcel/control: there is no such" in ctl("list", status=FAILED, **options).err
        options["user"] = "nobody"
    assert ctl("status", **options).out.startswith("marceld ")


# What it shows.

def test_status(fake):  # noqa: F811
    fake("open 17 127.0.0.1:4711 marcel fifo", "open 18 127.0.0.1:4712 marcel echo", "said 17 x",
         "close 18 end-word")
    text = call(fake, "status").out
    assert re.fullmatch(r"""marceld 0\.1\.0 runs since 2026-11-22 18:30:00 \(\w+( \w+)?\)
  listens on     0\.0\.0\.0:50000, /run/marcel/socket
  configuration  /etc/marcel\.ini
  responders     echo, script, fifo
  conversations  1 now, 2 since it runs
  waiting        1 for an operator's answer
  operators      /run/marcel/operator
""", text), text
    assert json.loads(call(fake, "status", "--json").out) == {
        "running": True, "version": "0.1.0", "started": "2026-11-22T18:30:00.000000+00:00",
        "configuration": "/etc/marcel.ini", "operator_directory": "/run/marcel/operator",
        "listeners": ["0.0.0.0:50000", "/run/marcel/socket"], "listener_names": [],
        "responders": ["echo", "script", "fifo"], "conversations": 1, "conversations_total": 2,
        "waiting": 1}


def rows(text):
    return [re.split(r"  +", line.strip()) for line in text.splitlines()]


def test_list(fake):  # noqa: F811
    assert rows(call(fake, "list").out) == [
        ["NUMBER", "AGE", "CLIENT", "LISTENER", "ANSWERS", "TURNS", "WAITING"]]
    assert json.loads(call(fake, "list", "--json").out) == []
    fake("open 18 [::1]:4712 desk echo", "open 9 127.0.0.1:4711 marcel fifo",
         "open 100 @日本 marcel fifo", "said 100 x", "said 9 x", "said 9 y")
    call(fake, "take", "18")
    lines = call(fake, "list").out.splitlines()
    assert [line[:6] for line in lines] == ["NUMBER", "     9", "    18", "   100"]
    cells = rows("\n".join(lines))
    assert cells[1][2:6] == ["127.0.0.1:4711", "marcel", "fifo", "2"]
    assert cells[1][6].endswith("(#1)")
    assert cells[2][2:] == ["[::1]:4712", "desk", "fifo (echo)", "0"]
    # Wide characters take two columns.
    assert lines[3].index("marcel") == lines[1].index("marcel") - 2
    assert not any(line.endswith(" ") for line in lines)

    assert [c["number"] for c in json.loads(call(fake, "list", "--json").out)] == [9, 18, 100]
    waiting = json.loads(call(fake, "list", "--json", "--waiting").out)
    assert [c["number"] for c in waiting] == [100, 9]
    assert waiting[0] == {
        "number": 100, "id": "%032x" % 100, "peer": "@日本", "listener": "marcel",
        "responder": "fifo", "speaker": None, "suspended": None,
        "opened": "2026-11-22T18:30:02.000000+00:00", "turns": 1, "waiting": 1,
        "waiting_since": "2026-11-22T18:30:04.000000+00:00",
        "last": "2026-11-22T18:30:04.000000+00:00", "closing": False}
    assert [row[0] for row in rows(call(fake, "list", "--waiting").out)] == ["NUMBER", "100", "9"]


def test_list_as_wide_as_the_terminal(fake):  # noqa: F811
    fake(f"open 17 [2001:db8:1234:5678:9abc:def0:1234:5678]:47110 {'listener' * 5} fifo",
         "open 18 日本日本日本日本日本日本日本 marcel fifo")
    for width in (200, 60, 40, 10):
        ours, theirs = os.openpty()
        import fcntl
        import termios
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
        subprocess.run([MARCELCTL, "list", "--control", fake.path], stdout=theirs, check=True,
                       env=environment(), timeout=PATIENCE)
        lines = os.read(ours, 65536).decode().split("\r\n")
        os.close(ours)
        os.close(theirs)
        wide = [sum(2 if ord(c) > 0x3000 else 1 for c in line) for line in lines]
        assert len(lines) == 4 and max(wide) <= width, (width, lines)
        assert width == 10 or ("…" in lines[1]) == (width < 200)


def test_show(fake):  # noqa: F811
    fake("open 17 127.0.0.1:4711 marcel script", "said 17 Bonjour à vous")
    call(fake, "take", "17")
    fake(r"said 17 a\nb")
    text = call(fake, "show", "17").out
    assert re.fullmatch(rf"""conversation 17
  client    127\.0\.0\.1:4711
  listener  marcel
  answers   fifo, taken from script
  since     2026-11-22 18:30:00 \(\w+( \w+)?\)
  messages  2
  waiting   for an answer to #2, for \w+( \w+)?
  bytes     120 received, 4567 sent
  id        {17:032x}

18:30:01 S> {GREETING}
18:30:02 C> #1 Bonjour à vous
18:30:03 S> Bonjour à vous
18:30:04 C> #2 a\\nb
""", text), text
    shown = json.loads(call(fake, "show", "--json", "17").out)
    assert shown["suspended"] == "script" and shown["bytes_out"] == 4567
    assert shown["past"][-1] == {"time": "2026-11-22T18:30:04.000000+00:00", "direction": "C",
                                 "turn": 2, "text": r"a\nb"}
    assert len(shown["past"]) == 4
    result = call(fake, "show", "18", status=FAILED)
    assert result.err == ("marcelctl: there is no conversation 18, or not any more; "
                          "'marcelctl list' shows those there are\n")


def test_nothing_does_anything_to_the_terminal(fake):  # noqa: F811
    """Whatever a daemon that escapes nothing says."""
    evil = "\x1b[2J\x07\u202e\x9b"
    fake(f"open 17 peer{evil} listener{evil} resp{evil}", f"said 17 text{evil}")
    for arguments in (["list"], ["list", "--json"], ["show", "17"], ["show", "--json", "17"]):
        out = call(fake, *arguments).out
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", out), out
    assert json.loads(call(fake, "list", "--json").out)[0]["peer"] == "peer" + evil
    with Running("follow", "--control", fake.path, "17") as follow:
        follow.expect(f"S> {GREETING}", r"C> text\e[2J\x07\xe2\x80\xae\xc2\x9b")


def test_metrics(fake, tmp_path):  # noqa: F811
    text = call(fake, "metrics").out
    assert text.endswith("marcel_conversations 2\n")
    directory = tmp_path / "textfiles"
    directory.mkdir()
    file = directory / "marcel.prom"
    file.write_text("old")
    before = file.stat().st_ino
    os.umask(os.umask(0o077) and 0o077)
    assert call(fake, "metrics", "--textfile", file).out == ""
    assert file.read_text() == text and os.listdir(directory) == ["marcel.prom"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o644 and file.stat().st_ino != before
    file.unlink()
    file.mkdir()
    result = call(fake, "metrics", "--textfile", file, status=FAILED)
    assert result.err == f"marcelctl: {file}: Is a directory\n"
    assert os.listdir(directory) == ["marcel.prom"]


def test_output_that_cannot_be_written(fake):  # noqa: F811
    with open("/dev/full", "w") as full:
        result = subprocess.run([MARCELCTL, "status", "--control", fake.path], stdout=full,
                                stderr=subprocess.PIPE, env=environment(), timeout=PATIENCE)
    assert result.returncode == FAILED
    assert b"No space left on device" in result.stderr


# What it does.

def test_say(fake):  # noqa: F811
    fake("open 17 127.0.0.1:4711 marcel fifo", "said 17 x")
    call(fake, "say", "17", "Bonjour", "à  vous")
    call(fake, "say", "17", "--", "--turn", "-")
    call(fake, "say", "17", "")
    call(fake, "say", "17", "a\nb")
    call(fake, "say", "17", "-", input="un\n\n-\nfin sans fin".encode())
    fake("said 17 y")
    call(fake, "say", "--turn", "2", "17", "z")
    result = call(fake, "say", "17", "z", "--turn")
    fake("held 17 0")
    assert [line for line in fake.calls if line.startswith("Say")] == [
        "Say 17 0 Bonjour à  vous", "Say 17 0 --turn -", "Say 17 0 ", "Say 17 0 a", "Say 17 0 b",
        "Say 17 0 un", "Say 17 0 ", "Say 17 0 -", "Say 17 0 fin sans fin", "Say 17 2 z",
        "Say 17 0 z --turn"]
    assert (result.out, result.err) == ("", "")


def test_say_is_refused(fake):  # noqa: F811
    fake("open 17 127.0.0.1:4711 marcel echo")
    assert call(fake, "say", "17", "x", status=FAILED).err == (
        "marcelctl: no operator holds this conversation; take it first: marcelctl take 17\n")
    assert "there is no conversation 19" in call(fake, "say", "19", "x", status=FAILED).err
    call(fake, "take", "17")
    assert "'marcelctl show 17'" in call(fake, "say", "--turn", "3", "17", "x", status=FAILED).err
    assert call(fake, "say", "17", "/juggle", status=FAILED).err == (
        "marcelctl: marceld does not understand this order: an order is one line of text, or /done, "
        "/close, /reset, /give NAME, /note TEXT\n")
    assert "not UTF-8" in call(fake, "say", "17", b"\xff", status=FAILED).err
    assert "not UTF-8" in call(fake, "say", "17", "-", input=b"a\0b\n", status=FAILED).err
    # What comes behind a line that is refused is not said.
    fake("fail Say Busy full")
    call(fake, "say", "17", "-", input=b"1\n2\n", status=FAILED)
    fake("well Say")
    assert [line for line in fake.calls if line.startswith("Say")][-1] == "Say 17 0 1"


def test_say_to_one_that_does_not_read(fake):  # noqa: F811
    fake("open 17 127.0.0.1:4711 marcel fifo", "mute Say")
    assert call(fake, "say", "17", "x", status=FAILED).err == (
        "marcelctl: conversation 17: its client does not read; the order waits and will be carried "
        "out when it does\n")


def test_take_give_close(fake):  # noqa: F811
    fake("open 17 127.0.0.1:4711 marcel script", "open 18 127.0.0.1:4712 marcel echo")
    assert call(fake, "take", "17", "18").err == ""
    # One that fails keeps nobody from the others.
    fake("switch 18 echo")
    result = call(fake, "take", "17", "99", "18", status=FAILED)
    assert result.err.splitlines() == [
        "marcelctl: an operator holds conversation 17 already",
        "marcelctl: there is no conversation 99, or not any more; 'marcelctl list' shows those "
        "there are"]
    call(fake, "give", "17")
    result = call(fake, "give", "17", status=FAILED)
    assert result.err == ("marcelctl: conversation 17 was taken from nobody: to whom is it to be "
                          "given?\n")
    call(fake, "give", "18", "script")
    result = call(fake, "give", "18", "scrip", status=FAILED)
    assert result.err == ("marcelctl: marceld has no responder 'scrip' (did you mean 'script'?); it "
                          "has: echo, script, fifo\n")
    result = call(fake, "give", "18", "zzz", status=FAILED)
    assert result.err == "marcelctl: marceld has no responder 'zzz'; it has: echo, script, fifo\n"
    call(fake, "close", "18", "17")
    fake("open 20 a b echo")
    assert [line for line in fake.calls if line.split()[0] in ("Take", "Give", "Close")] == [
        "Take 17", "Take 18", "Take 17", "Take 99", "Take 18", "Give 17 script", "Give 18 script",
        "Give 18 scrip", "Give 18 zzz", "Close 18", "Close 17"]


def test_reload(fake):  # noqa: F811
    assert (result := call(fake, "reload")).out == result.err == ""
    fake("fail Reload BadConfiguration /etc/marcel.ini:12: unknown key 'x'")
    assert call(fake, "reload", status=FAILED).err == (
        "marcelctl: the configuration is bad, and the one before stays in force:\n"
        "marcelctl: /etc/marcel.ini:12: unknown key 'x'\n")


def test_an_older_marceld(fake):  # noqa: F811
    fake("fail GetMetrics org.freedesktop.DBus.Error.UnknownMethod no method GetMetrics")
    assert call(fake, "metrics", status=FAILED).err == (
        "marcelctl: this marceld is older than marcelctl and can't do that (no method "
        "GetMetrics)\n")


def test_the_connection_breaks_off_in_the_middle(fake):  # noqa: F811
    fake("mute Reload")
    with Running("reload", "--control", fake.path) as reload:
        fake.wait_call("Reload")
        fake("drop")
        reload.end(FAILED, "marcelctl: the connection to marceld broke off; conversations outlive "
                           "its restart: try again\n")


def test_each_shortage_is_told_as_what_it_is(fake):  # noqa: F811
    for error, text in (
            ("TooManyAnswers", "the system bus has not taken marceld's answers yet: try again later"),
            ("NoMemory", "marceld is short of memory: it may have done this, or not")):
        fake("open 17 127.0.0.1:4711 marcel fifo", f"fail GetPast {error} x")
        assert call(fake, "show", "17", status=FAILED).err == f"marcelctl: {text}\n"
        fake("well GetPast")
    fake("fail Subscribe TooManySubscribers x")
    assert call(fake, "follow", status=FAILED).err == (
        "marcelctl: too many programs follow marceld already\n")
    fake("fail Reload TooManyOrders x")
    assert call(fake, "reload", status=FAILED).err == (
        "marcelctl: too many of your orders wait to be carried out: try again later\n")


def test_french(fake, french):  # noqa: F811
    fake("open 17 127.0.0.1:4711 marcel echo")
    result = call(fake, "say", "17", "x", status=FAILED, env={**UTC, **french})
    assert result.err == ("marcelctl: aucun opérateur ne tient cette conversation\u00a0; prenez-la "
                          "d’abord\u00a0: marcelctl take 17\n")
    assert "NUMÉRO" in call(fake, "list", env={**UTC, **french}).out
    fake("fail Say BadOrder in English")
    assert call(fake, "say", "17", "/x", status=FAILED, env={**UTC, **french}).err == (
        "marcelctl: marceld ne comprend pas cet ordre\u00a0: un ordre est une ligne de texte, ou /done, "
        "/close, /reset, /give NOM, /note TEXTE\n")


def test_characters_of_the_locale(fake, latin):  # noqa: F811
    fake("open 17 127.0.0.1:4711 marcel fifo", "said 17 Ça coûte 5 € à 日本, n’est-ce pas ?")

    def said(*arguments):
        result = subprocess.run([MARCELCTL, arguments[0], "--control", fake.path, *arguments[1:]],
                                env=environment(**UTC, **latin), timeout=PATIENCE,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return result.stdout, result.stderr

    assert said("list")[0].decode("latin-1").startswith("NUMÉRO ")
    assert "répondeurs" in said("status")[0].decode("latin-1")
    # What there is no character for is one like it, or a question mark for each.
    assert "Ça coûte 5 EUR à ??, n'est-ce pas ?\n" in said("show", "17")[0].decode("latin-1")
    assert "Ça coûte 5 € à 日本" in json.loads(said("show", "--json", "17")[0])["past"][-1]["text"]
    assert "répond" in said("say", "--help")[0].decode("latin-1")
    assert "numéro" in said("say", "x", "x")[1].decode("latin-1")
    assert b"\xc3" not in said("say", "18", "x")[1] + said("list", "--help")[0]
    # Characters are whole, wherever the pieces of a long text end.
    fake("said 17 " + "é" * 1000 + "-" + "é" * 1000)
    assert "é" * 1000 + "-" + "é" * 1000 in said("show", "17")[0].decode("latin-1")


def test_no_bus(tmp_path):
    result = ctl("list", "--bus", env={"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={tmp_path}/bus"},
                 status=FAILED)
    assert result.err == (
        "marcelctl: the system bus can't be reached: No such file or directory\n"
        "marcelctl: without --bus, marcelctl uses marceld's control socket\n")
