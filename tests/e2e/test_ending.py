"""How a dialogue ends: end words, empty messages, silence, messages that are too long; and that
nothing sent is lost then, on either side."""

import socket
import threading
import time

import pytest

from daemon_tools import (DEAF, FAREWELL, GREETING, PATIENCE, difference, effective, repeat,
                          sanitizer, wait_until)

MEGABYTE = 1 << 20


# End words


@pytest.mark.parametrize("word", ["fin", "FIN", "Fin", "fIN"])
def test_the_default_end_word_in_any_case(echo, word):
    echo.connect().send(word + "\n").expect_end(FAREWELL)
    assert echo.wait_record("closed")["reason"] == "end-word"


@pytest.mark.parametrize("word", ["fi", "finn", "fin.", " fin", "fin ", "la fin", "f\0in", "fin\0"])
def test_what_only_looks_like_an_end_word(echo, word):
    peer = echo.connect().send(word + "\n").expect(word + "\n")
    peer.send("fin\n").expect_end(FAREWELL)


def test_end_words_of_one_s_own(marceld):
    server = marceld("[dialogue]\nend_words = quit, ÉTÉ,straße , Ωμέγα\n")
    for word in ("quit", "QUIT", "été", "Été", "ÉTÉ", "STRAßE", "straße", "ωμέγα", "ΩΜΈΓΑ"):
        server.connect().send(word + "\n").expect_end(FAREWELL)
    peer = server.connect()
    for word in ("fin", "FIN", "ete", "\u0130"):
        peer.send(word + "\n").expect(word + "\n")


def test_no_end_words(marceld):
    peer = marceld("[dialogue]\nend_words =\n").connect()
    peer.send("fin\nFIN\n").expect("fin\nFIN\n").send("\n").expect_end(FAREWELL)


# Empty messages


@pytest.mark.parametrize("empty", ["\n", "\r\n"])
def test_an_empty_message_ends_it(echo, empty):
    peer = echo.connect().send("a" + empty).expect("a" + empty)
    peer.send(empty).expect_end(b"fin" + empty.encode())
    assert echo.wait_record("closed")["reason"] == "empty-message"


def test_an_empty_message_first(echo):
    echo.connect().send("\n").expect_end(FAREWELL)
    echo.connect().send("\r\n").expect_end(b"fin\r\n")


def test_end_on_empty_off(marceld):
    peer = marceld("[dialogue]\nend_on_empty = no\n").connect()
    peer.send("\n\na\n\n").expect("\n\na\n\n").send("fin\n").expect_end(FAREWELL)


def test_a_farewell_of_one_s_own(marceld):
    server = marceld("[dialogue]\nfarewell = Au revoir ; à bientôt !\n")
    server.connect().send("fin\n").expect_end("Au revoir ; à bientôt !\n".encode())
    server.connect().half_close().expect_end("Au revoir ; à bientôt !\n".encode())


# Silence


def test_a_silent_client_gets_the_farewell(marceld):
    server = marceld("[dialogue]\nidle_timeout = 300ms\n")
    server.connect().expect_end(FAREWELL)
    assert server.wait_record("closed")["reason"] == "idle"


def test_silence_after_a_message(marceld):
    server = marceld("[dialogue]\nidle_timeout = 300ms\n")
    server.connect().send("a\r\n").expect("a\r\n").expect_end(b"fin\r\n")
    server.wait_record("closed", reason="idle")


def test_silence_in_the_middle_of_a_message(marceld):
    server = marceld("[dialogue]\nidle_timeout = 300ms\nframing = line\n")
    server.connect().send("a\nbon").expect("a\n").expect_end(FAREWELL)
    server.wait_record("closed", reason="idle")


def test_silence_in_raw(marceld):
    server = marceld("[dialogue]\nidle_timeout = 300ms\nraw_pause = 10ms\n")
    server.connect().send("a").expect("a").expect_end(b"fin")


def test_who_speaks_in_time_is_not_idle(marceld):
    server = marceld("[dialogue]\nidle_timeout = 2s\n")
    talking, silent = server.connect(), server.connect()
    while not silent.has_data():
        talking.send("a\n").expect("a\n")
    silent.expect_end(FAREWELL)
    talking.send("b\n").expect("b\n")
    assert len(server.records("closed")) <= 1


def test_a_client_that_never_reads_is_ended_and_harms_nobody(marceld):
    server = marceld(f"[dialogue]\nidle_timeout = 1s\n{DEAF}[journal]\ntranscript = off\n")
    deaf = server.connect_deaf()
    # While its thread waits in send(), the others are served.
    other = server.connect()
    for i in range(repeat(1000)):
        other.send(f"{i}\n").expect(f"{i}\n")
    server.wait_record("closed", reason="unread", peer=deaf.address())
    deaf.close()


def test_a_client_that_reads_slowly_is_not_ended(marceld):
    # In all it takes far longer than idle_timeout, but never so long without reading something.
    server = marceld("[dialogue]\nidle_timeout = 1s\n[journal]\ntranscript = off\n")
    peer = server.connect(receive_buffer=4096)
    data = b"".join(b"%d\n" % i for i in range(400000))
    sender = threading.Thread(target=lambda: peer.send(data).half_close())
    sender.start()
    got = bytearray()
    for _ in range(30):
        time.sleep(0.1)  # its slowness is what the test is about
        piece = peer.recv(16384)
        assert piece, f"ended after {len(got)} bytes: {server.records('closed')}"
        got += piece
    got += peer.read_to_end()
    sender.join(PATIENCE)
    assert bytes(got) == data + FAREWELL, difference(data + FAREWELL, bytes(got))


# Half-close


def test_replies_due_before_a_half_close_are_all_delivered(echo):
    text = "".join(f"ligne {i}\n" for i in range(10000))
    peer = echo.connect().send(text).half_close()
    peer.expect_end(text.encode() + FAREWELL)
    assert echo.wait_record("closed")["reason"] == "end-of-input"


def test_replies_due_to_a_client_that_reads_late(echo):
    # More than fits into the sockets' buffers waits for it, in bounded memory.
    peer = echo.connect(receive_buffer=4096)
    line = b"x" * 9999 + b"\n"
    count = 300
    sender = threading.Thread(target=lambda: peer.send(line * count).half_close())
    sender.start()
    sender.join(1)  # either all was taken, or the sender waits until we read: both are fine
    peer.expect_end(line * count + FAREWELL)
    sender.join(PATIENCE)


# Lingering close


@pytest.mark.parametrize("after", [1, 1000, 100 * 1000, 5 * MEGABYTE])
def test_what_a_client_sends_behind_the_end_costs_it_nothing(echo, after):
    # Unread data at close() would become a reset, which destroys what the client has not read.
    peer = echo.connect(greeting=b"")
    peer.send(b"a\nfin\n" + b"z" * after).half_close()
    peer.expect_end(GREETING + b"a\n" + FAREWELL)


def test_sending_on_and_on_around_the_end(echo):
    for number in range(repeat(100)):
        peer = echo.connect(greeting=b"")
        lines = b"".join(b"%d\n" % i for i in range(number * 10))
        stop = threading.Event()

        def send():
            peer.send(lines)
            peer.send(b"fin\n")
            while not stop.is_set():
                peer.send(b"encore\n" * 100)
            peer.half_close()

        sender = threading.Thread(target=send)
        sender.start()
        try:
            peer.expect(GREETING + lines + FAREWELL)
        finally:
            stop.set()
            sender.join(PATIENCE)
        peer.expect_end()
        peer.close()


def test_the_end_reaches_a_client_that_still_has_unsent_data(echo):
    # The end of file comes right after the farewell, without waiting for the client to finish.
    peer = echo.connect()
    peer.send("fin\n").expect_end(FAREWELL)
    peer.send("un mot encore\n").half_close()


def test_a_client_that_never_closes_is_not_waited_for_forever(marceld):
    server = marceld("[dialogue]\nidle_timeout = 1s\n")
    threads = server.threads()
    for _ in range(20):
        server.connect().send("fin\n").expect_end(FAREWELL)
    server.wait_record("closed", count=20)
    wait_until(lambda: server.threads() <= threads, "the end of their threads")


def test_a_client_that_closes_without_reading(echo):
    for _ in range(20):
        echo.connect(greeting=b"").send("a\nb\nfin\n").close()
    echo.wait_record("closed", count=20)


# Too long


def limited(marceld, ini, extra=""):
    """A server with message_max = 10, and its too_long reply."""
    text = f"[dialogue]\nmessage_max = 10\n{extra}"
    reply = effective(ini(text))["dialogue", "too_long"]
    assert reply
    return marceld(text), reply.encode()


def test_a_message_of_exactly_message_max(marceld, ini):
    server, _ = limited(marceld, ini)
    for line_end in ("\n", "\r\n"):
        peer = server.connect()
        peer.send("0123456789" + line_end).expect("0123456789" + line_end)
        peer.send("abcdefghij" + line_end).expect("abcdefghij" + line_end)
        peer.send("fin" + line_end).expect_end(b"fin" + line_end.encode())
    server.connect().send("0123456789").half_close().expect_end(b"0123456789\n" + FAREWELL)


@pytest.mark.parametrize("text", [
    "0123456789a\n", "0123456789a\r\n", "0123456789a", "x" * 1000 + "\n",
    "a\n" + "x" * 11 + "\nb\n"])
def test_a_message_that_is_too_long(marceld, ini, text):
    server, reply = limited(marceld, ini, "framing = line\n")
    peer = server.connect().send(text).half_close()
    got = peer.read_to_end()
    line_end = b"\r\n" if "\r" in text else b"\n"
    before = b"a\n" if text.startswith("a\n") else b""
    assert got.startswith(before + reply + line_end), got
    assert b"b\n" not in got[len(before + reply):]
    closed = server.wait_record("closed")
    assert closed["reason"] == "too-long"


def test_too_long_by_one_byte_without_its_line_end(marceld, ini):
    # It is too long as soon as it is: no line end has to come.
    server, reply = limited(marceld, ini, "framing = line\n")
    peer = server.connect().send("0123456789a")
    assert peer.read_to_end().startswith(reply + b"\n")


def test_too_long_in_auto_before_it_is_decided(marceld, ini):
    server, reply = limited(marceld, ini, "framing = auto\nraw_pause = 1min\n")
    peer = server.connect().send("0123456789a")
    assert peer.read_to_end().startswith(reply)


@pytest.mark.parametrize("message_max", ["1K", "1M"])
def test_a_message_without_end_takes_bounded_memory(marceld, ini, message_max):
    text = f"[dialogue]\nmessage_max = {message_max}\nframing = line\n"
    reply = effective(ini(text))["dialogue", "too_long"].encode()
    server = marceld(text)
    server.connect().send("bonjour\n").expect("bonjour\n")
    before = server.resident()
    peak = before
    for _ in range(5):
        peer = server.connect()
        chunk = b"x" * 65536
        try:
            for _ in range(repeat(1600)):  # 100 MB in all
                peer.send(chunk)
                peak = max(peak, server.resident())
            peer.half_close()
        except (BrokenPipeError, ConnectionResetError):
            continue  # so much more than allowed that marceld may lose patience
        assert peer.read_to_end().startswith(reply + b"\n")
    server.wait_record("closed", count=5, reason="too-long")
    if not sanitizer():
        assert peak - before < 16 * MEGABYTE


def test_the_longest_message_there_can_be(marceld):
    server = marceld("[dialogue]\nmessage_max = 1M\n[journal]\ntranscript = off\n")
    message = bytes(range(11, 256)) * (MEGABYTE // 245)
    message += b"x" * (MEGABYTE - len(message)) + b"\n"
    peer = server.connect()
    for _ in range(3):
        sender = threading.Thread(target=peer.send, args=(message,))
        sender.start()
        peer.expect(message)
        sender.join(PATIENCE)
    peer.send("fin\n").expect_end(FAREWELL)


# A broken connection


def test_a_reset_ends_it(echo):
    threads = echo.threads()
    peer = echo.connect()
    echo.wait_record("opened")
    peer.reset()
    assert echo.wait_record("closed")["reason"] == "reset"
    wait_until(lambda: echo.threads() <= threads, "the end of its thread")


def test_urgent_data_is_data(echo):
    # Out-of-band bytes are no way past the framing: they are part of the stream.
    peer = echo.connect()
    peer.send("a")
    peer.socket.send(b"b", socket.MSG_OOB)
    peer.send("c\n").expect("abc\n")
