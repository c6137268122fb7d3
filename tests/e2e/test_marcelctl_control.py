"""marcelctl's verbs for a running marceld: against one in small, whose every answer is known, and
against the real one."""

import json
import os
import re
import signal
import socket
import stat
import struct
import subprocess
import threading

import pytest

from client_tools import EXIT_USAGE, environment, french  # noqa: F401 (a fixture)
from daemon_tools import FAREWELL, PATIENCE, wait_until
from marcelctl_tools import FAILED, NOT_RUNNING, Running, ctl, fake  # noqa: F401 (a fixture)
from script_tools import MARCELCTL

GREETING = "Vous êtes connecté au serveur Marcel. Envoyez vos messages."
UTC = {"TZ": "UTC"}


def call(where, *arguments, **options):
    """Runs marcelctl with --control behind its verb."""
    path = getattr(where, "path", where)
    return ctl(arguments[0], "--control", path, *arguments[1:], **{"env": UTC, **options})


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
])
def test_bad_usage(arguments, text):
    result = ctl(*arguments, status=EXIT_USAGE)
    assert text in result.err
    assert result.err.endswith("Try 'marcelctl --help' for more information.\n")


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
        "listeners": ["0.0.0.0:50000", "/run/marcel/socket"],
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
        "last": "2026-11-22T18:30:04.000000+00:00"}
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
18:30:02 C> Bonjour à vous
18:30:03 S> Bonjour à vous
18:30:04 C> a\\nb
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
        "marcelctl: marceld does not understand this order: there is no such order\n")
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


def test_french(fake, french):  # noqa: F811
    fake("open 17 127.0.0.1:4711 marcel echo")
    result = call(fake, "say", "17", "x", status=FAILED, env={**UTC, **french})
    assert result.err == ("marcelctl: aucun opérateur ne tient cette conversation\u00a0; prenez-la "
                          "d’abord\u00a0: marcelctl take 17\n")
    assert "NUMÉRO" in call(fake, "list", env={**UTC, **french}).out


# following.

def test_follow_one(fake):  # noqa: F811
    fake("open 17 127.0.0.1:4711 marcel echo", "open 18 127.0.0.1:4712 marcel echo", "said 17 un")
    with Running("follow", "--control", fake.path, "17") as follow:
        follow.expect(f"S> {GREETING}", "C> un", "S> un")
        fake("said 18 autre", "switch 17 fifo", r"said 17 a\tb", "refused 17 12 #12 not-open: trop",
             "close 18 end-word", "close 17 end-word")
        follow.expect("-- answers now: fifo", r"C> a\tb", "-- refused: #12 not-open: trop",
                      "-- over: end-word")
        follow.end()
    result = call(fake, "follow", "17", status=FAILED)
    assert "there is no conversation 17" in result.err


def test_follow_all(fake):  # noqa: F811
    fake("open 17 127.0.0.1:4711 marcel fifo", "said 17 avant")
    with Running("follow", "--control", fake.path, env=UTC) as follow:
        fake.wait_call("Subscribe")
        fake("open 18 127.0.0.1:4712 desk echo", "said 17 après", "close 17 reset")
        clock = r"\d\d:\d\d:\d\d "
        for wanted in (clock + "18 -- begins: 127.0.0.1:4712, desk, echo",
                       f"18:30:03 18 S> {GREETING}", "18:30:04 17 C> après",
                       clock + "17 -- over: reset"):
            line = follow.lines.next()
            assert re.fullmatch(wanted, line), line
        follow.signal(signal.SIGINT)
        follow.end()


def test_follow_json(fake):  # noqa: F811
    with Running("follow", "--json", "--control", fake.path, env=UTC) as follow:
        fake.wait_call("Subscribe")
        fake("open 17 127.0.0.1:4711 marcel fifo", 'said 17 "x"', "refused 17 3 y", "switch 17 echo",
             "lost 2", "close 17 end-word")
        events = [json.loads(follow.lines.next()) for _ in range(9)]
        for event in events:
            assert event.pop("time")
        assert events == [
            {"event": "opened", "conversation": 17, "peer": "127.0.0.1:4711", "listener": "marcel",
             "responder": "fifo"},
            {"event": "message", "conversation": 17, "direction": "S", "turn": 0,
             "text": GREETING},
            {"event": "message", "conversation": 17, "direction": "C", "turn": 1, "text": '"x"'},
            {"event": "waiting", "conversation": 17, "turn": 1},
            {"event": "refused", "conversation": 17, "turn": 3, "text": "y"},
            {"event": "switched", "conversation": 17, "responder": "echo"},
            {"event": "waiting", "conversation": 17, "turn": 0},
            {"event": "lost", "count": 2},
            {"event": "closed", "conversation": 17, "reason": "end-word"}]
        follow.signal(signal.SIGTERM)
        follow.end()


def test_follow_when_signals_were_lost(fake):  # noqa: F811
    """What the past still has is shown, and that a conversation is over is noticed."""
    fake("open 17 127.0.0.1:4711 marcel echo")
    with Running("follow", "--control", fake.path, "17") as follow:
        follow.expect(f"S> {GREETING}")
        fake("past 17 1795372260000000 C 1 perdu", "lost 1")
        follow.expect("-- 1 events were lost: marcelctl was too slow", "C> perdu")
        fake("said 17 dernier")


def test_follow_ends_with_its_reader(fake):  # noqa: F811
    """At once, and not with the next line."""
    with Running("follow", "--control", fake.path) as follow:
        fake.wait_call("Subscribe")
        follow.process.stdout.close()
        assert follow.process.wait(PATIENCE) == 0
        assert follow.process.stderr.read() == b""


@pytest.mark.parametrize("way", ["drop", "restart", "moved"])
def test_follow_through_a_restart(fake, tmp_path, way):  # noqa: F811
    """What was said while there was no link comes from the past, once."""
    fake("open 17 127.0.0.1:4711 marcel echo", "said 17 un")
    with Running("follow", "--control", fake.path, "17") as follow:
        follow.expect(f"S> {GREETING}", "C> un", "S> un")
        if way == "drop":
            fake("drop")
        else:
            if way == "moved":
                fake.path.unlink()
            fake.stop()
        follow.expect("-- marceld is gone; waiting for the next one (conversations go on there)")
        if way == "restart":
            fake.start()
        elif way == "moved":
            path, fake.path = fake.path, tmp_path / "new"
            fake.start()
            fake("open 17 127.0.0.1:4711 marcel echo")
            os.rename(fake.path, path)
        if way == "restart":
            # It came back before the conversation did, here: that is over.
            follow.expect("-- marceld is back", "-- over: -")
            follow.end()
            return
        follow.expect("-- marceld is back")
        fake.wait_call("GetPast 17")
        fake("said 17 deux" if way == "drop" else "past 17 1795372200000000 C 1 vieux")
        if way == "drop":
            follow.expect("C> deux", "S> deux")
        fake("close 17 end-word")
        follow.expect("-- over: end-word")
        follow.end()


def test_follow_sleeps(fake):  # noqa: F811
    """Nothing happens while nothing happens."""
    fake("open 17 127.0.0.1:4711 marcel echo")
    with Running("follow", "--control", fake.path, "17") as follow:
        follow.expect(f"S> {GREETING}")
        status = f"/proc/{follow.process.pid}/status"

        def switches():
            text = open(status).read()
            return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", text, re.M)[1])

        def sleeps():
            before = switches()
            # Whoever looks again and again does so within the life of a few other programs.
            for _ in range(10):
                call(fake, "status")
            return switches() == before

        wait_until(sleeps, "a follow that sleeps")


# The real one.

FIFO = """[dialogue]
responder = fifo
[fifo]
directory = {}
absent_after = infinity
"""


class Real:
    """A marceld with an operator channel and a control socket."""

    def __init__(self, marceld, directory, config=FIFO, **options):
        self.path = directory / "control"
        self.daemon = marceld(config.format(directory / "operator"), control=self.path, **options)

    def list(self, *arguments):
        return json.loads(call(self, "list", "--json", *arguments).out)

    def connect(self):
        """A client and its number."""
        before = {one["number"] for one in self.list()}
        peer = self.daemon.connect()
        return peer, *({one["number"] for one in self.list()} - before)


@pytest.fixture
def real(marceld, tmp_path):
    return Real(marceld, tmp_path)


def test_real_status(real):
    status = json.loads(call(real, "status", "--json").out)
    assert status["running"] and status["listeners"] == real.daemon.addresses
    assert status["configuration"] == os.fspath(real.daemon.config_file)
    assert {"echo", "fifo"} <= set(status["responders"])
    assert status["operator_directory"] == os.fspath(real.path.parent / "operator")
    assert (status["conversations"], status["waiting"]) == (0, 0)
    assert call(real, "status").out.startswith(f"marceld {status['version']} runs since ")
    real.connect()
    assert json.loads(call(real, "status", "--json").out)["conversations"] == 1


def test_real_dialogue(real):
    peer, number = real.connect()
    peer.send("Bonjour\n")
    with Running("follow", "--control", real.path, number) as follow:
        follow.wait_for("C> Bonjour")
        call(real, "say", "--turn", "1", number, "Bonjour", "à", "vous")
        peer.expect("Bonjour à vous\n")
        result = call(real, "say", "--turn", "1", number, "encore", status=FAILED)
        assert f"'marcelctl show {number}'" in result.err
        peer.send(b"\x1b[31m\xff\n")
        follow.expect("S> Bonjour à vous")
        follow.wait_for(r"C> \e[31m\xff")
        call(real, "give", number, "echo")
        follow.wait_for("-- answers now: echo")
        peer.expect(b"") and peer.send("deux\n").expect("deux\n")
        result = call(real, "say", number, "x", status=FAILED)
        assert f"marcelctl take {number}" in result.err
        call(real, "take", number)
        assert real.list()[0]["suspended"] == "echo"
        peer.send("trois\n")
        wait_until(lambda: real.list("--waiting"), "a message that waits")
        assert "an operator holds" in call(real, "take", number, status=FAILED).err
        call(real, "say", number, "-", input=b"un\n\nquatre")
        peer.expect("un\n\nquatre\n")
        call(real, "give", number)
        assert real.list()[0]["responder"] == "echo"
        result = call(real, "give", number, "ecko", status=FAILED)
        assert "(did you mean 'echo'?)" in result.err
        call(real, "close", number)
        peer.expect_end(FAREWELL)
        peer.close()
        follow.wait_for("-- over: operator")
        follow.end()
    wait_until(lambda: not real.list(), "an end of the conversation")
    for arguments in (["show"], ["close"], ["take"], ["give", number, "echo"], ["say", number, "x"]):
        arguments = arguments if len(arguments) > 1 else [*arguments, number]
        result = call(real, *arguments, status=FAILED)
        assert f"there is no conversation {number}" in result.err


def test_real_show(real):
    peer, number = real.connect()
    peer.send("Bonjour\n")
    wait_until(lambda: real.list("--waiting"), "a message that waits")
    shown = json.loads(call(real, "show", "--json", number).out)
    assert shown["peer"] == peer.address() and shown["waiting"] == 1 and shown["bytes_in"] == 8
    # Nobody is the wiser for the greeting, which is not kept.
    assert [(said["direction"], said["turn"], said["text"]) for said in shown["past"]] == [
        ("C", 1, "Bonjour")]
    assert re.search(r"^\d\d:\d\d:\d\d C> Bonjour$", call(real, "show", number).out, re.M)


def test_real_follow_in_the_middle(marceld, tmp_path):
    """What comes by the past and what comes by signals meet without a gap, and nothing twice."""
    real = Real(marceld, tmp_path, config="")
    peer, number = real.connect()
    over = threading.Event()

    def talk():
        for i in range(100000):
            peer.send(f"{i}\n").expect(f"{i}\n")
            if over.is_set():
                return

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        for _ in range(5):
            with Running("follow", "--control", real.path, number) as follow:
                follow.wait_for("C> ")
                first = int(follow.wait_for("C> ")[3:])
                for i in range(first, first + 300):
                    follow.expect(f"S> {i}", f"C> {i + 1}")
    finally:
        over.set()
        thread.join(PATIENCE)


def test_real_reload(real):
    call(real, "reload")
    real.daemon.configure("[dialogue]\ngreating = x\nresponder = nobody\n")
    result = call(real, "reload", status=FAILED)
    lines = result.err.splitlines()
    assert lines[0] == ("marcelctl: the configuration is bad, and the one before stays in force:")
    assert re.search(r"marcel\.ini:2: .*'greating'.*did you mean 'greeting'", lines[1])


def test_real_metrics(real):
    real.connect()
    text = call(real, "metrics").out
    assert re.search(r"^marcel_conversations 1$", text, re.M)
    for line in text.splitlines():
        assert re.fullmatch(r"# (HELP|TYPE) \w+ .+|\w+(\{.*\})? [0-9.]+", line), line


def test_real_restart(manager, tmp_path):
    """Conversations go on, and so does who follows them."""
    manager.config = FIFO.format(tmp_path / "operator")
    manager.start()
    peer = manager.connect()
    number = json.loads(call(manager.control, "list", "--json").out)[0]["number"]
    peer.send("avant\n")
    with Running("follow", "--control", manager.control, number) as follow:
        follow.wait_for("C> avant")
        manager.restart()
        follow.wait_for("-- marceld is back")
        call(manager.control, "say", number, "après")
        peer.expect("après\n")
        follow.wait_for("S> après")
        call(manager.control, "close", number)
        peer.expect_end(FAREWELL)
        peer.close()
        follow.wait_for("-- over: operator")
        follow.end()


def test_no_bus(tmp_path):
    result = ctl("list", "--bus", env={"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={tmp_path}/bus"},
                 status=FAILED)
    assert result.err == (
        "marcelctl: the system bus can't be reached: No such file or directory\n"
        "marcelctl: without --bus, marcelctl uses marceld's control socket\n")
