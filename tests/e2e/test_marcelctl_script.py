"""marcelctl script: check, try and test, each with good and bad input."""

import os
import re
import subprocess

import pytest

from client_tools import (EXIT_USAGE, Terminal, environment, french,  # noqa: F401 (fixtures)
                          latin)
from daemon_tools import PATIENCE
from marcelctl_tools import FAILED, ctl, write  # noqa: F401 (a fixture)
from script_tools import MARCELCTL

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


CAFE = """marcel-script 1
on connect say "prêt"
on "café" say "ça coûte 5 €"
otherwise say "à 日本"
"""


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
    for arguments in (["--help"], ["-h"], ["script", "--help"]):
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


def test_check_in_the_characters_of_the_locale(write, latin):  # noqa: F811
    good, bad = write("good", CAFE), write("bad", 'marcel-script 1\non "café à 日本" sya "5 €"\n')
    result = ctl("script", "check", good, bad, status=FAILED, env=latin, encoding="latin-1")
    assert f"{good}\u00a0: bon (0 états, 3 règles)\n" in result.out
    assert '| on "café à ??" sya "5 EUR"\n' in result.out
    # What stops another verb goes to standard errors, in the same characters.
    result = ctl("script", "test", bad, good, status=FAILED, env=latin, encoding="latin-1")
    assert '| on "café à ??" sya "5 EUR"\n' in result.err


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


def test_test_in_the_characters_of_the_locale(write, latin):  # noqa: F811
    script = write("cafe.script", CAFE)
    bad = write("bad.transcript", "S> prêt\nC> café\nS> ça coûte 6 €\nC> \u65e5\nS> à 日本\n")
    result = ctl("script", "test", script, bad, status=FAILED, env=latin, encoding="latin-1")
    assert result.out == (
        f"{bad}:3: ce n'est pas ce qui est attendu (répondu par cafe.script:3)\n"
        "  2   C> café\n"
        "  3 - S> ça coûte 6 EUR\n"
        "    + S> ça coûte 5 EUR\n"
        "0 réussis, 1 échoués\n")
    # What programs read is UTF-8.
    tap = ctl("script", "test", "--tap", script, bad, status=FAILED, env=latin).out
    assert "#   3 - S> ça coûte 6 €\n" in tap
