"""Random dialogues against a model of the framing, cut into random pieces at random times.

The model says what all the bytes that a client sends are answered with, whatever the pieces: it
knows nothing of them. Each case has a number; a failure prints the seed, the number and the
pieces. MARCEL_SEED=N repeats a run.
"""

import os
import random
import time

import pytest

from daemon_tools import GREETING, GREETING_TEXT, difference, repeat

SEED = int(os.environ.get("MARCEL_SEED") or int.from_bytes(os.urandom(4), "big"))
CASES = 2500  # of each kind, at full repetition


def answer_lines(stream):
    """What framing = line answers to STREAM and the end of input, the greeting left out."""
    lines = stream.split(b"\n")
    last = lines.pop()  # what stood behind the last LF
    line_end = b"\r\n" if lines and lines[0].endswith(b"\r") else b"\n"
    lines = [line[:-1] if line.endswith(b"\r") else line for line in lines]
    if last:
        lines.append(last)
    answer = b""
    for line in lines:
        if line == b"" or line.lower() == b"fin":
            break
        answer += line + line_end
    return answer + b"fin" + line_end


def random_line(random):
    kind = random.random()
    if kind < 0.02:
        return random.choice([b"fin", b"FIN", b"", b"fIn"])
    if kind < 0.1:
        return random.choice([b"fi", b"fin ", b"finn", b"\0", b"\r", b"\r\r", b"f\rin", b" "])
    if kind < 0.8:
        return random.randbytes(random.randrange(1, 20)).replace(b"\n", b"")
    if kind < 0.98:
        return b"x" * random.randrange(1, 2000)
    return random.randbytes(random.randrange(1, 20000)).replace(b"\n", b"")


def random_stream(random):
    ends = random.choice([[b"\n"], [b"\r\n"], [b"\n", b"\r\n"]])
    stream = b"".join(random_line(random) + random.choice(ends)
                      for _ in range(random.randrange(0, 40)))
    if random.random() < 0.3:
        stream += random_line(random)
    return stream


def random_pieces(random, stream):
    """Cuts STREAM: into single bytes, into a few pieces, at line ends, or not at all."""
    cuts = set()
    way = random.random()
    if way < 0.2 and len(stream) < 2000:
        cuts = set(range(1, len(stream)))
    elif way < 0.5:
        cuts = {random.randrange(len(stream) + 1) for _ in range(random.randrange(20))}
    elif way < 0.8:
        cuts = {i + random.choice([0, 1]) for i, byte in enumerate(stream) if byte in b"\r\n"}
    places = sorted({0, len(stream)} | cuts)
    return [stream[a:b] for a, b in zip(places, places[1:])]


def send_pieces(random, peer, pieces):
    pauses = {random.randrange(len(pieces)) for _ in range(random.randrange(10))} if pieces else ()
    for number, piece in enumerate(pieces):
        peer.send(piece)
        if number in pauses:
            # What the test is about: pieces at different times.
            time.sleep(random.choice([0.0001, 0.0005, 0.002]))


def run_cases(one, name):
    for number in range(repeat(CASES, least=20)):
        # Each case has a source of its own, so that one can be repeated alone.
        case = random.Random(f"{SEED} {name} {number}")
        try:
            one(case)
        except (AssertionError, OSError) as fault:
            raise AssertionError(f"MARCEL_SEED={SEED}, case {number}: {fault!r}") from fault


@pytest.mark.parametrize("framing", ["line", "auto"])
def test_lines(marceld, framing):
    server = marceld(f"[dialogue]\nframing = {framing}\nraw_pause = 1min\n"
                     "[journal]\ntranscript = off\n")

    def one(case):
        stream = random_stream(case)
        pieces = random_pieces(case, stream)
        with server.connect(greeting=b"") as peer:
            if case.random() < 0.5:
                peer.expect(GREETING)
                wanted = b""
            else:
                wanted = GREETING
            send_pieces(case, peer, pieces)
            peer.half_close()
            wanted += answer_lines(stream)
            got = peer.read_to_end()
            assert got == wanted, f"{difference(wanted, got)}; pieces: {pieces!r:.2000}"

    run_cases(one, framing)


def test_raw_keeps_every_byte(marceld):
    server = marceld("[dialogue]\nframing = raw\nend_words =\n[journal]\ntranscript = off\n")

    def one(case):
        stream = random_stream(case)
        pieces = random_pieces(case, stream)
        with server.connect(greeting=GREETING_TEXT.encode()) as peer:
            send_pieces(case, peer, pieces)
            peer.half_close().expect_end(stream + b"fin")

    run_cases(one, "raw")


def test_auto_keeps_every_byte_but_line_ends(marceld):
    # With a pause as short as the client's own, some messages are answered as raw and some not;
    # the LFs in the answers show which. All else must come back in order.
    server = marceld("[dialogue]\nraw_pause = 1ms\nend_words =\nend_on_empty = no\n"
                     "[journal]\ntranscript = off\n")

    def one(case):
        stream = random_stream(case).replace(b"\r", b"")
        pieces = random_pieces(case, stream)
        with server.connect() as peer:
            send_pieces(case, peer, pieces)
            got = peer.half_close().read_to_end().replace(b"\n", b"")
            wanted = stream.replace(b"\n", b"") + b"fin"
            assert got == wanted, f"{difference(wanted, got)}; pieces: {pieces!r:.2000}"

    run_cases(one, "auto-short")


def test_the_model_itself():
    assert answer_lines(b"a\nb\n") == b"a\nb\nfin\n"
    assert answer_lines(b"bonjour") == b"bonjour\nfin\n"
    assert answer_lines(b"a\r\nb\n") == b"a\r\nb\r\nfin\r\n"
    assert answer_lines(b"a\n\nb\n") == b"a\nfin\n"
    assert answer_lines(b"a\nFiN\nb\n") == b"a\nfin\n"
    assert answer_lines(b"") == b"fin\n"
    assert answer_lines(b"a\r") == b"a\r\nfin\n"
