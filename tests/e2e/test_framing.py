"""TCP has no messages: what framing = line, raw and auto make of bytes, at any pace.

Where a test has to be sure that marceld has seen something before the next bytes come, it waits
for the answer, or for a record.
"""

import time

import pytest

from daemon_tools import FAREWELL, GREETING, GREETING_TEXT, repeat

ALL_BYTES = bytes(byte for byte in range(256) if byte != 10)

# Lines are decided by their LF alone: no pause can make them raw.
LINE = "[dialogue]\nframing = line\n"
RAW = "[dialogue]\nframing = raw\n"
# In auto a pause of this length is never meant.
AUTO_SLOW = "[dialogue]\nframing = auto\nraw_pause = 1min\n"


@pytest.fixture(params=[LINE, AUTO_SLOW], ids=["line", "auto"])
def lines(request, marceld):
    """A server for clients that speak lines: the two framings must not differ to them."""
    return marceld(request.param)


def test_lines_are_answered_one_by_one(lines):
    peer = lines.connect()
    for text in ("a", "bonjour", "voilà", " spaces ", "x" * 5000):
        peer.send(text + "\n").expect(text + "\n")
    peer.send("fin\n").expect_end(FAREWELL)


def test_replies_end_as_the_first_line_did(lines):
    peer = lines.connect()
    peer.send("a\r\n").expect("a\r\n")
    peer.send("b\n").expect("b\r\n")
    peer.send("fin\n").expect_end(b"fin\r\n")
    peer = lines.connect()
    peer.send("a\n").expect("a\n")
    peer.send("b\r\n").expect("b\n")
    peer.send("fin\r\n").expect_end(b"fin\n")


def test_only_one_cr_belongs_to_the_line_end(lines):
    peer = lines.connect()
    peer.send(b"a\r\r\n").expect(b"a\r\r\n")
    peer.send(b"b\rc\r\n").expect(b"b\rc\r\n")
    peer.send(b"\r\r\n").expect(b"\r\r\n")


def test_byte_by_byte(lines):
    peer = lines.connect()
    for _ in range(repeat(50)):
        for byte in "né à 5 h\r\n".encode():
            peer.send(bytes([byte]))
        peer.expect("né à 5 h\r\n")


def test_a_line_takes_as_long_as_it_takes(marceld):
    # framing = line at any pace: far slower than raw_pause, and still one message.
    server = marceld(LINE + "raw_pause = 10ms\n")
    peer = server.connect()
    for byte in b"bonjour":
        peer.send(bytes([byte]))
        time.sleep(0.03)  # more than raw_pause; a slow machine only makes it longer
    assert not peer.has_data()
    peer.send(b"\n").expect(b"bonjour\n")


def test_ten_thousand_lines_in_one_segment(lines):
    text = "".join(f"{i}\n" for i in range(10000))
    assert len(text) < 65000  # the loopback's segments take that much
    peer = lines.connect()
    peer.send(text).expect(text)
    peer.send("fin\n").expect_end(FAREWELL)


def test_ten_thousand_lines_and_the_end_in_one_segment(lines):
    text = "".join(f"{i}\n" for i in range(10000))
    peer = lines.connect()
    peer.send(text).half_close().expect_end(text.encode() + FAREWELL)


def test_every_byte_passes_unharmed(lines):
    peer = lines.connect()
    for message in (ALL_BYTES, b"\0", b"\0" * 1000, b"\xff\xfe", b"\xc3", b"\xed\xa0\x80",
                    b"\xf8" * 9, b"a\0b", b"\xc3\x28\0", ALL_BYTES[::-1] * 3):
        peer.send(message + b"\n").expect(message + b"\n")


def test_bytes_without_a_line_end_are_the_last_message(lines):
    for last in (b"bonjour", b"\0", b"\xff", b"a b "):
        peer = lines.connect()
        peer.send(b"a\n" + last).half_close().expect_end(b"a\n" + last + b"\n" + FAREWELL)


def test_undecided_at_the_end_of_input_is_a_line(lines):
    peer = lines.connect()
    peer.send("bonjour").half_close().expect_end(b"bonjour\n" + FAREWELL)


def test_a_lone_cr_at_the_end_of_input_is_kept(lines):
    peer = lines.connect()
    peer.send(b"a\r").half_close().expect_end(b"a\r\n" + FAREWELL)


def test_nothing_but_the_end_of_input(lines):
    lines.connect().half_close().expect_end(FAREWELL)
    assert lines.wait_record("closed")["reason"] == "end-of-input"


def test_the_end_word_without_a_line_end(lines):
    lines.connect().send("fin").half_close().expect_end(FAREWELL)
    assert lines.wait_record("closed")["reason"] == "end-word"


# raw


def test_raw_has_no_line_ends_anywhere(marceld):
    server = marceld(RAW)
    peer = server.connect(greeting=GREETING_TEXT.encode())
    peer.send("bonjour").expect("bonjour")
    peer.send("fin").expect_end(b"fin")
    peer = server.connect(greeting=GREETING_TEXT.encode())
    peer.half_close().expect_end(b"fin")


def test_raw_gives_line_ends_no_meaning(marceld):
    peer = marceld(RAW).connect(greeting=GREETING_TEXT.encode())
    for message in (b"a\nb\n", b"\n", b"\r\n", b"fin\n", b"\n\n\n", ALL_BYTES + b"\n"):
        peer.send(message).expect(message)
    peer.send(b"fin").expect_end(b"fin")


def test_raw_carries_every_byte_of_a_long_stream(marceld):
    peer = marceld(RAW + "end_words =\n").connect(greeting=GREETING_TEXT.encode())
    data = (ALL_BYTES + b"\n") * 200
    peer.send(data).expect(data)
    peer.half_close().expect_end(b"fin")


def test_raw_messages_have_at_most_message_max(marceld):
    server = marceld(RAW + "message_max = 10\n")
    peer = server.connect(greeting=GREETING_TEXT.encode())
    peer.send(b"0123456789" * 5).expect(b"0123456789" * 5)
    peer.send(b"x").expect(b"x")
    server.wait_record("said", message="C> x")
    sizes = [len(record.message) - 3 for record in server.records("said")
             if record.message.startswith("C> ")]
    assert max(sizes) <= 10
    peer.send(b"fin").expect_end(b"fin")


# auto


def test_silence_after_bytes_without_lf_makes_it_raw(echo):
    peer = echo.connect()
    peer.send("bonjour").expect("bonjour")
    peer.send("salut").expect("salut")
    peer.half_close().expect_end(b"fin")


def test_the_pause_begins_anew_with_each_byte(marceld):
    peer = marceld("[dialogue]\nraw_pause = 1s\n").connect()
    for byte in b"bonjour":
        peer.send(bytes([byte]))
        time.sleep(0.01)
    peer.expect(b"bonjour")  # in one piece: no pause was long enough before


def test_the_first_lf_makes_it_line(echo):
    peer = echo.connect()
    peer.send("bonjour").expect("bonjour")
    peer.send("salut\n").expect("salut\n")
    # From here on lines, at any pace, and provisionally no more.
    peer.send("et")
    time.sleep(0.5)  # longer than raw_pause
    assert not peer.has_data()
    peer.send(" toi\n").expect("et toi\n")
    peer.send("fin\n").expect_end(FAREWELL)


def test_an_lf_after_several_raw_messages_makes_it_line(echo):
    peer = echo.connect()
    for message in ("un", "deux", "trois"):
        peer.send(message).expect(message)
    peer.send("quatre\ncinq\n").expect("quatre\ncinq\n")
    peer.half_close().expect_end(FAREWELL)


@pytest.mark.parametrize("late, line_end", [("\n", "\n"), ("\r\n", "\r\n")])
def test_the_late_line_end_of_a_raw_message_is_swallowed(echo, late, line_end):
    peer = echo.connect()
    peer.send("bonjour").expect("bonjour")
    peer.send(late)
    peer.send("salut" + late).expect("salut" + line_end)
    peer.send("fin" + late).expect_end(b"fin" + line_end.encode())
    assert echo.wait_record("closed")["reason"] == "end-word"


def test_a_late_line_end_in_two_pieces_is_swallowed(echo):
    peer = echo.connect()
    peer.send("bonjour").expect("bonjour")
    peer.send("\r")
    time.sleep(0.02)  # two segments, well within raw_pause
    peer.send("\nsalut\r\n").expect("salut\r\n")
    peer.send("fin\r\n").expect_end(b"fin\r\n")


def test_only_one_late_line_end_is_swallowed(echo):
    # The second one is an empty line, which ends the dialogue.
    peer = echo.connect()
    peer.send("bonjour").expect("bonjour")
    peer.send("\n\n").expect_end(FAREWELL)
    assert echo.wait_record("closed")["reason"] == "empty-message"


def test_a_late_line_end_is_swallowed_only_directly_after(echo):
    peer = echo.connect()
    peer.send("bonjour").expect("bonjour")
    peer.send("salut\n").expect("salut\n")
    peer.send("\n").expect_end(FAREWELL)


def test_the_end_of_input_after_a_swallowed_line_end(echo):
    peer = echo.connect()
    peer.send("bonjour").expect("bonjour")
    peer.send("\n").half_close().expect_end(FAREWELL)
    assert echo.wait_record("closed")["reason"] == "end-of-input"


def test_raw_carries_nul_and_invalid_bytes(echo):
    peer = echo.connect()
    for message in (b"\0", b"\xff\xfe\0", ALL_BYTES):
        peer.send(message).expect(message)


def test_an_unfinished_second_line_waits_in_auto(echo):
    # The first message has decided: lines it is, and no silence makes it raw again.
    peer = echo.connect()
    peer.send("a\nbon").expect("a\n")
    time.sleep(0.5)  # longer than raw_pause
    assert not peer.has_data()
    peer.send("jour\n").expect("bonjour\n")


def test_no_greeting_at_all(marceld):
    for framing in ("line", "raw", "auto"):
        server = marceld(f"[dialogue]\nframing = {framing}\ngreeting =\nfarewell =\n")
        peer = server.connect(greeting=b"")
        end = "" if framing == "raw" else "\n"
        peer.send("bonjour" + end).expect("bonjour" + end)
        peer.send("fin" + end).expect_end(b"")


def test_a_client_that_speaks_before_it_is_greeted(lines):
    peer = lines.connect(greeting=b"")
    peer.send("a\nb\nfin\n").expect_end(GREETING + b"a\nb\n" + FAREWELL)
