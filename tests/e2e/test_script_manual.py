"""What marcel-script(5) says, tried at a socket, construct by construct."""

import subprocess

import pytest

from daemon_tools import EXIT_CONFIG, FAREWELL, GREETING, MARCELD, run
from script_tools import serve


@pytest.fixture
def script(marceld, tmp_path):
    """A marceld for the text of a script."""
    def start(text, **options):
        path = tmp_path / "test.script"
        path.write_text("marcel-script 1\n" + text)
        return serve(marceld, path, **options)

    return start


def test_plain_list(marceld, tmp_path):
    """The lines in turn, with the daemon's greeting and farewell; nothing in them is special."""
    path = tmp_path / "replies.txt"
    path.write_text("Bonjour\n${peer} \\n # 'x'\n")
    peer = serve(marceld, path).connect(GREETING)
    for reply in ("Bonjour", "${peer} \\n # 'x'", "Bonjour"):
        peer.send("a\n").expect(reply + "\n")
    peer.send("fin\n").expect_end(FAREWELL)


def test_greeting_and_end_of_the_daemon(script):
    """Without `on connect` and `end` those of the configuration hold."""
    daemon = script("on 'A' say \"a\"\notherwise ignore\n")
    daemon.connect(GREETING).send("A\n").expect("a\n").send("FIN\n").expect_end(FAREWELL)
    daemon.connect(GREETING).send("\n").expect_end(FAREWELL)


def test_end_words(script):
    daemon = script('end "bye", "quit"\non connect ignore\notherwise say "more"\n')
    daemon.connect(b"").send("fin\n\n").expect("more\nmore\n").send("Quit\n").expect_end(FAREWELL)
    daemon = script("end empty\non connect ignore\notherwise say \"more\"\n")
    daemon.connect(b"").send("fin\n").expect("more\n").send("\n").expect_end(FAREWELL)


def test_end_none(script):
    """No end words, and no farewell when the client hangs up or the daemon stops."""
    daemon = script("end none\non connect ignore\notherwise say \"more\"\n")
    peer = daemon.connect(b"").send("fin\n\n").expect("more\nmore\n")
    other = daemon.connect(b"").send("x\n").expect("more\n").half_close()
    other.expect_end()
    daemon.stop()
    peer.expect_end()


def test_early(script):
    daemon = script('frame line any\non connect wait 1h; say "220 hello"\non early say "554 too soon"; close\n')
    daemon.connect(b"").send("EHLO x\n").expect_end(b"554 too soon\r\n")


def test_early_goes_on(script):
    """If `on early` does not close, the greeting goes on, and then the message is answered."""
    daemon = script('on connect wait 300ms; say "hello"\non early log "early"\non \'A\' say "a"\n')
    daemon.connect(b"").send("A\n").expect("hello\na\n")
    assert daemon.wait_record("responder_log").message == "early"


def test_line_ends(script):
    """`frame line any`: as the client's, and CRLF before; without it, as configured."""
    daemon = script('frame line any\non connect say "a"\notherwise say "b"\n')
    daemon.connect(b"a\r\n").send("x\n").expect("b\n").send("x\r\n").expect("b\n")
    daemon.connect(b"a\r\n").send("x\r\n").expect("b\r\n")
    script('on connect say "a"\n').connect(b"a\n")


def test_idle(script):
    daemon = script('on connect ignore\non idle 50ms say "there?"\non idle 170ms say "bye"; close\n')
    # On a busy machine silences that are over at the same time are one.
    said = daemon.connect(b"").read_to_end().splitlines()
    assert said[-1] == b"bye" and said[:-1] == [b"there?"] * (len(said) - 1)
    assert 1 <= len(said) - 1 <= 3


def test_every(script):
    """Each timer for itself; the state's begins when it is entered."""
    daemon = script('on connect ignore\non every 20ms add ticks "x" when count(ticks) < 2\n'
                    'state a\n on "GO" say "go"; goto b\n'
                    'state b\n on every 30ms say "${ticks}" when count(ticks) == 2\n')
    daemon.connect(b"").send("GO\n").expect("go\nx, x\nx, x\nx, x\n")


def test_stop_and_eof(script):
    daemon = script('end none\non connect ignore\non stop say "421 closing"\n'
                    'on eof wait 1h; say "${turn} messages"\notherwise say "x"\n')
    daemon.connect(b"").send("a\nb\n").half_close().expect_end(b"x\nx\n2 messages\n")
    peer = daemon.connect(b"").send("a\r\n").expect("x\r\n")
    daemon.stop()
    peer.expect_end(b"421 closing\r\n")


def test_overflow(script):
    """Too long a message, too much collected, and too long a value: three times `on overflow`."""
    daemon = script('frame line max 5000\nend none\non connect ignore\non overflow say "too much"\n'
                    'on "SET {value}" say "${value|length}"\non "GET" say ${value}\n'
                    'on "DATA" collect body until "." max 10; say "${body|length}"\n')
    peer = daemon.connect(b"")
    peer.send(b"x" * 10000 + b"\nSET a\n").expect("too much\n1\n")
    peer.send("DATA\n0123456789\n.\n").expect("too much\n")
    peer.send("DATA\n012345678\n.\n").expect("10\n")
    peer.send("SET " + "x" * 4096 + "\n").expect("4096\n")
    peer.send("SET " + "x" * 4097 + "\nSET b\n").expect("too much\n1\n")


def test_overflow_without_a_rule(script):
    daemon = script('on connect ignore\non "SET {value}" say "${value}"\n')
    daemon.connect(b"").send("SET " + "x" * 4097 + "\n").expect_end(FAREWELL)
    daemon.wait_record("closed")


def test_collected_data_is_kept_in_part(script):
    """Its first 4096 bytes are the value, and its length is that of all."""
    daemon = script('on connect ignore\non "PUT {n:int}" collect data ${n} bytes; '
                    'say "${data|length}", ${data}\n')
    data = bytes(range(256)) * 40
    peer = daemon.connect(b"").send(b"PUT 10240\n" + data)
    peer.expect(b"10240\n" + data[:4096] + b"\n")
    peer.send(b"PUT 0\nPUT 3\n\n\n\n").expect(b"0\n\n3\n\n\n\n\n")


def test_collect_until(script):
    daemon = script('end none\non connect ignore\n'
                    'on "A" collect body until "END" unstuff; say "${body|length}", ${body}\n'
                    'on "B" collect body until empty; say "${body|length}", ${body}\n'
                    'on "fin" say "a message like others"\n')
    peer = daemon.connect(b"")
    peer.send("A\n..\n.x\nend\nfin\n\nEND\n").expect("13\n.\nx\nend\nfin\n\n\n")
    peer.send("B\nfin\nEND\n\nfin\n").expect("8\nfin\nEND\n\na message like others\n")


FRAMES = """frame line any split ";" join
end none
on connect ignore
on "*\\?"   say "${message|lower}"
on 'BINARY' say "go"; frame prefix 2 max 64K
on 'BLOCKS' say "go"; frame record 4
on 'LINES'  say "go"; frame line crlf
otherwise   say "<${message}>"
"""


def test_frames(script):
    peer = script(FRAMES).connect(b"")
    peer.send("A?;B?;C\n").expect("a?;b?;<C>\n")
    peer.send("BINARY\n").expect("go\n")
    peer.send(b"\0\2A?\0\0").expect(b"\0\2a?\0\2<>")
    peer.send(b"\0\6BLOCKS").expect(b"\0\2go")
    peer.send(b"AB").send(b"C?D\nE").expect(b"abc?").send(b"F").expect(b"<D\nEF>")


def test_split_follows_line_ends(script):
    peer = script(FRAMES).connect(b"")
    peer.send("A?;B?\r\n").expect("a?;b?\r\n").send("C?\r\n").expect("c?\r\n")


def test_hand(script):
    daemon = script('on connect ignore\non "SAY *" say "echo says:"; hand echo; say "done"\n'
                    'on "TALK" hand echo stay\notherwise say "what?"\n')
    peer = daemon.connect(b"")
    peer.send("SAY hi\n").expect("echo says:\nSAY hi\ndone\n").send("x\n").expect("what?\n")
    peer.send("TALK\nx\ny\n").expect("TALK\nx\ny\n")


def test_drip_reset_drop_strike(script):
    daemon = script('on connect ignore\non "DRIP" drip 2 every 10ms "12345"; say "done"\n'
                    'on "RESET" reset\non "DROP" say "no more"; drop\notherwise say "no"; strike 3\n')
    peer = daemon.connect(b"").send("DRIP\nx\n").expect("12345\ndone\nno\n")
    peer.send("x\nx\nx\n").expect_end(b"no\nno\n")
    with pytest.raises(ConnectionResetError):
        daemon.connect(b"").send("RESET\n").read_to_end()
    peer = daemon.connect(b"").send("DROP\nx\nfin\nx\n").expect("no more\n").half_close()
    peer.expect_end()


def test_secret(script):
    daemon = script('end none\non connect ignore\non "PASS *" secret; say "ok"\n'
                    'on "AUTH" say "go"; secret next\n'
                    'on "DATA" secret next; collect body until "."; say "${body|length}"\n'
                    'otherwise say "and?"\n')
    peer = daemon.connect(b"").send("PASS sesame1\nAUTH\nsesame2\nopen\n")
    peer.expect("ok\ngo\nand?\nand?\n").send("DATA\nsesame3\nsesame4\n.\nopen\n")
    peer.expect("16\nand?\n").close()
    daemon.wait_record("closed")
    daemon.stop()
    assert "sesame" not in daemon.errors()
    assert daemon.errors().count("C> open") == 2
    assert "(withheld)" in daemon.errors()


def test_nothing_is_expanded_twice(script):
    daemon = script('on connect ignore\non "SET {x}" set y "${x}"; say "${y}", ${x}\n')
    for value in ("${peer}", "$", "${", "\\n", "${x|upper}", "%s%n"):
        daemon.connect(b"").send(f"SET {value}\n").expect(f"{value}\n{value}\n")


def test_reload(script, tmp_path):
    """Who talks keeps the script; who comes gets the new one, unless that is wrong."""
    daemon = script('on connect ignore\notherwise say "old"\n')
    old = daemon.connect(b"").send("x\n").expect("old\n")
    path = tmp_path / "test.script"
    path.write_text('marcel-script 1\non connect ignore\notherwise say "new"\n')
    daemon.signal(1)
    daemon.wait_record("reloaded")
    daemon.connect(b"").send("x\n").expect("new\n")
    old.send("x\n").expect("old\n")
    path.write_text('marcel-script 1\non connect ignore\notherwise sya "newer"\n')
    daemon.signal(1)
    said = daemon.wait_record("reload_failed").message
    daemon.connect(b"").send("x\n").expect("new\n")
    old.send("x\n").expect("old\n")
    assert "sya" in said or "sya" in daemon.errors()


def test_wrong_script_at_start(tmp_path):
    path = tmp_path / "bad.script"
    path.write_text('marcel-script 1\non \'PING\'           sya "+ pong"\n')
    result = subprocess.run([MARCELD, "-c", "/dev/null", "-l", "127.0.0.1:0", "-s", path],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, timeout=60)
    assert result.returncode == EXIT_CONFIG
    assert b"bad.script:2:21: unknown action 'sya' (did you mean 'say'?)" in result.stderr


def test_missing_script(tmp_path):
    result = run(MARCELD, "-c", "/dev/null", "-l", "127.0.0.1:0", "-s", tmp_path / "none.script")
    assert result.returncode == EXIT_CONFIG
