"""Scripts and clients that mean no good: what is secret stays secret whatever happens in between, a
hand may begin anywhere, and no message keeps a thread busy."""

import pytest

from script_tools import serve

HEAD = "marcel-script 1\nframe line crlf\nend none\non connect say \"hi\"\n"
SECRET = "geheim-4711"


@pytest.fixture(name="play")
def play_fixture(marceld, tmp_path):
    def play(rules, config="", head=HEAD, greeting=b"hi\r\n"):
        path = tmp_path / "hostile.script"
        path.write_text(head + rules)
        daemon = serve(marceld, path, config=config)
        return daemon, daemon.connect(greeting)
    return play


# A hand that no message has begun gets the next one.

@pytest.mark.parametrize("rule, sent, heard", [
    ("on 'GO' wait 10ms; hand echo; say \"after\"\n", "GO\r\n", ""),
    ("on 'GO' drip 1 every 1ms \"xy\"; hand echo; say \"after\"\n", "GO\r\n", "xy\r\n"),
    ("on 'GO' collect a until \".\"; hand echo; say \"after\"\n", "GO\r\na\r\n.\r\n", ""),
    ("on 'GO' hand echo; hand echo; say \"after\"\n", "GO\r\n", "GO\r\n"),
    ("on idle 10ms when count(done) == 0 set done \"yes\"; say \"idle\"; hand echo; say \"after\"\n",
     "", "idle\r\n"),
])
def test_a_hand_without_a_message(play, rule, sent, heard):
    daemon, peer = play(rule + "otherwise say \"script ${message}\"\n")
    peer.send(sent).expect(heard)
    peer.send("one\r\ntwo\r\n").expect("one\r\nafter\r\nscript two\r\n")
    assert not daemon.records("trouble")


def test_a_hand_on_connect(play):
    _, peer = play("", head="marcel-script 1\nframe line crlf\nend none\n"
                            "on connect say \"hi\"; hand echo; say \"after\"\n"
                            "on \"*\" say \"script ${message}\"\n")
    peer.send("one\r\ntwo\r\n").expect("one\r\nafter\r\nscript two\r\n")


def test_a_hand_within_a_hand(play):
    _, peer = play("on overflow say \"long\"; hand echo; say \"inner\"\n"
                   "on 'GO' hand echo stay else say \"never\"\n",
                   head=HEAD.replace("crlf", "crlf max 10"))
    peer.send("GO\r\n" + 30 * "x" + "\r\none\r\ntwo\r\n")
    peer.expect("GO\r\nlong\r\none\r\ninner\r\ntwo\r\n")


# Secrets.

@pytest.mark.parametrize("rules, lines", [
    ("on 'AUTH' secret next; say \"334\"; drop\n", ["AUTH", SECRET]),
    ("on idle 20ms when ${a|length} == 0 say \"idle\"; drop\n"
     "on 'AUTH' secret next; say \"334\"; collect a until \".\"\n", ["AUTH", SECRET, "."]),
    ("on /(a|aa)+[bc]/u secret; say \"334\"\notherwise say \"334\"\n", [60000 * "a" + SECRET]),
])
def test_a_secret(play, rules, lines):
    daemon, peer = play(rules, "[journal]\ntranscript_max = 1M\n")
    peer.send(lines[0] + "\r\n").expect("334\r\n")
    if "idle" in rules:
        peer.expect("idle\r\n")
    for line in lines[1:]:
        peer.send(line + "\r\n")
    peer.half_close().read_to_end()
    daemon.wait_record("closed")
    assert SECRET not in daemon.errors()


def test_a_secret_that_goes_to_another_responder(play):
    daemon, peer = play("on 'AUTH' secret next; say \"334\"; wait 1ms; hand echo\n")
    peer.send("AUTH\r\n").expect("334\r\n")
    peer.send(SECRET + "\r\n").expect(SECRET + "\r\n")
    daemon.wait_record("said", message="S> " + SECRET)
    assert not daemon.records("said", message="C> " + SECRET)


def test_a_secret_is_no_end_word(play):
    daemon, peer = play("on 'AUTH' secret next; say \"334\"\non \"*\" say \"got ${message|length}\"\n",
                        f"[dialogue]\nend_words = {SECRET}\n",
                        head="marcel-script 1\nframe line crlf\non connect say \"hi\"\n")
    peer.send(f"AUTH\r\n{SECRET}\r\nAUTH\r\n\r\n{SECRET}\r\n")
    peer.expect_end("334\r\ngot 11\r\n334\r\ngot 0\r\nfin\r\n".encode())
    daemon.wait_record("closed", reason="end-word")
    assert len(daemon.records("said", message="C> " + SECRET)) == 1


# Many patterns that each take a while.

def test_a_message_has_its_time(play):
    rules = "".join(f"on \"*{24 * 'a'}b{i:03}*\" secret; say \"{i}\"\n" for i in range(1000))
    daemon, peer = play(rules + "otherwise say \"other\"\n",
                        "[dialogue]\nmessage_max = 1M\n[journal]\ntranscript_max = 1M\n",
                        head=HEAD.replace("end none", "end none\nmatch nocase")
                                 .replace("crlf", "crlf max 1M"))
    peer.send(SECRET + 900000 * "a" + "\r\n").expect("other\r\n")
    assert daemon.wait_record("rule_stopped")["rule"].startswith("hostile.script:")
    # One of those that were not compared would have kept it.
    assert SECRET not in daemon.errors()
    peer.send(24 * "A" + "b999\r\n").expect("999\r\n")


# Framings that change in the middle of a line.

def test_what_is_framed_otherwise_joins_nothing(play):
    _, peer = play("on 'c' collect a until \".\"; say \"c${a|length}\"\n"
                   "on 'f' frame line lf; say \"f\"\n"
                   "otherwise say \"m${message}\"\n",
                   head=HEAD.replace("crlf", "lf split \";\" join"), greeting=b"hi\n")
    peer.send("a;c;x;y\n.\nz;q\n").expect("ma\nc4\nmz;mq\n")
    peer.send("a;f;b;c\nd\n").expect("ma;f\nmb;c\nmd\n")


@pytest.mark.parametrize("framing, sent, heard", [
    ("prefix 2", "\0\3abc\0\4abcd", "\0\4mabc\0\5mabcd"),
    ("record 3", "abcdef", "mabcmdef"),
    ("raw", "abc", "mabc"),
    ("line lf", "abc\nd\n", "mabc\nmd\n"),
])
def test_the_rest_of_a_line_that_is_too_long_is_skipped(play, framing, sent, heard):
    _, peer = play(f"on overflow say \"long\"; frame {framing}\notherwise say \"m${{message}}\"\n",
                   head=HEAD.replace("crlf", "crlf max 10"))
    peer.send(30 * "a").expect("long\r\n")
    peer.send("bcd\r\n" + sent).expect(heard)


def test_what_cannot_be_skipped_ends_the_conversation(play):
    daemon, peer = play("on overflow say \"long\"; frame line\notherwise say \"m\"\n",
                        head=HEAD.replace("line crlf", "prefix 4 max 10"), greeting=b"\0\0\0\2hi")
    peer.send("\0\0\0\x1e" + 10 * "a\n").read_to_end()
    assert daemon.wait_record("trouble")
    assert not daemon.records("said", message="S> m")
