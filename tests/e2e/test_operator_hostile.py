"""What may be in the operator channel's way, or come by it: one event and one record say so, the
conversation goes on, others are answered all the while, and nothing else is touched."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from daemon_tools import FAREWELL, Peer, repeat, wait_until
from operator_tools import LINE_MAX, Channel, ask, fifo_config, join

QUIET = "[journal]\ntranscript = off\n"
MIB = 1 << 20

NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")


class Desk:
    """A marceld whose clients operators answer, and its channel."""

    def __init__(self, marceld, directory, **options):
        self.control = options.setdefault("control", directory.parent / "control")
        self.daemon = marceld(fifo_config(directory=directory) + QUIET, **options)
        self.channel = Channel(directory)
        self.peers = []

    def meet(self):
        """A client, and the number of its conversation."""
        peer = self.daemon.connect()
        self.peers.append(peer)
        record = self.daemon.wait_record("opened", len(self.peers))
        return peer, int(record["conversation"])

    def answer(self, peer, number, text, direct=True):
        """A message and its answer through a FIFO."""
        peer.send(f"asks {text}\n")
        self.channel.wait("message", number, text=f"asks {text}")
        line = text if direct else f"{number} {text}"
        join(self.channel.write_blocking(line.encode() + b"\n", number=number if direct else None))
        peer.expect(f"{text}\n")

    def troubles(self):
        return [record.message for record in self.daemon.records("trouble")]


@pytest.fixture(name="directory")
def directory_fixture(tmp_path):
    return tmp_path / "operator"


@pytest.fixture(name="desk")
def desk_fixture(marceld, directory):
    desk = Desk(marceld, directory)
    yield desk
    desk.channel.close()


def alien(kind, path, tmp_path):
    """Puts something that is no FIFO in the place of what is at PATH; gives a function that says
    whether it is untouched."""
    secret, new = tmp_path / "secret", tmp_path / "new"
    secret.write_text("secret\n")
    if kind == "directory":
        # It cannot be put there at once, and somebody may be quicker.
        while not path.is_dir():
            path.unlink(missing_ok=True)
            with contextlib.suppress(FileExistsError):
                path.mkdir()
        return lambda: os.listdir(path) == []
    if kind == "file":
        new.write_text("theirs\n")
        new.rename(path)
        return lambda: path.read_text() == "theirs\n"
    new.symlink_to(secret if kind == "link" else tmp_path / "nowhere")
    new.rename(path)
    return lambda: (path.is_symlink() and secret.read_text() == "secret\n"
                    and not (tmp_path / "nowhere").exists())


KINDS = ("file", "link", "dangling", "directory")
ALIENS = pytest.mark.parametrize("kind", KINDS)


@ALIENS
def test_the_common_fifo_is_replaced(desk, directory, tmp_path, kind):
    peer, number = desk.meet()
    held = desk.channel.open()
    path = desk.channel.fifo()
    untouched = alien(kind, path, tmp_path)
    desk.channel.wait("trouble")
    desk.daemon.wait_record("trouble")
    desk.answer(peer, number, "by its own")
    assert untouched()
    if kind == "directory":
        path.rmdir()
    else:
        path.unlink()
    wait_until(path.is_fifo, "there is one again")
    desk.answer(peer, number, "as before", direct=False)
    # Whoever had the old one open is heard, or told that nobody reads there.
    with contextlib.suppress(BrokenPipeError):
        os.write(held, b"%d late\n" % number)
        desk.channel.wait("sent", number, text="late")
        peer.expect("late\n")
    os.close(held)


@ALIENS
def test_a_conversations_fifo_is_replaced(desk, tmp_path, kind):
    peer, number = desk.meet()
    other, its = desk.meet()
    desk.answer(peer, number, "before")
    path = desk.channel.fifo(number)
    untouched = alien(kind, path, tmp_path)
    desk.channel.wait("trouble", number)
    desk.daemon.wait_record("trouble")
    desk.answer(other, its, "to the other")
    desk.answer(peer, number, "by the common one", direct=False)
    peer.send("fin\n").expect_end(FAREWELL).close()
    desk.channel.wait("closed", number)
    assert untouched()
    assert desk.channel.info(number)["ended"] == "end-word"
    assert len(desk.troubles()) == 1, desk.troubles()


# A directory is what the last two should be, and a file called events is written on.
@pytest.mark.parametrize("name, kind", [
    (name, kind) for name in ("in", "events", "conversations", "waiting") for kind in KINDS
    if (name, kind) not in (("conversations", "directory"), ("waiting", "directory"),
                            ("events", "file"))])
def test_something_was_there_before(marceld, directory, tmp_path, name, kind):
    directory.mkdir()
    untouched = alien(kind, directory / name, tmp_path)
    desk = Desk(marceld, directory)
    desk.daemon.wait_record("trouble")
    peer, number = desk.meet()
    # The control is another way.
    peer.send("a\n")
    ask(desk.control, "Say", "tts", number, 0, "by the bus")
    peer.expect("by the bus\n")
    if name not in ("conversations", "events"):
        desk.answer(peer, number, "by its own")
    if name != "in":
        desk.channel.write(f"{number} by the common one")
        peer.expect("by the common one\n")
    if name != "events":
        desk.channel.wait("trouble")
    peer.send("fin\n").expect_end(FAREWELL)
    assert untouched()


@pytest.mark.parametrize("kind", ["link", "dangling", "directory"])
def test_files_of_a_conversation_are_replaced(desk, tmp_path, kind):
    peer, number = desk.meet()
    desk.answer(peer, number, "before")
    untouched = [alien(kind, desk.channel.place(number, name), tmp_path)
                 for name in ("out", "info")]
    desk.answer(peer, number, "after")
    peer.send("fin\n").expect_end(FAREWELL).close()
    desk.channel.wait("closed", number)
    assert untouched[0]()
    assert (tmp_path / "secret").read_text() == "secret\n"
    assert not (tmp_path / "nowhere").exists()
    desk.channel.wait("trouble", number)
    desk.daemon.wait_record("trouble")


def test_everything_is_removed(desk, directory):
    peer, number = desk.meet()
    desk.answer(peer, number, "before")

    def remove():
        shutil.rmtree(directory, ignore_errors=True)  # somebody may put things there again
        return not directory.exists()
    wait_until(remove, "there is nothing")
    desk.daemon.wait_record("trouble")
    peer.send("a\n")
    ask(desk.control, "Say", "tts", number, 0, "by the bus")
    peer.expect("by the bus\n").send("fin\n").expect_end(FAREWELL)
    peer, number = desk.meet()
    peer.send("fin\n").expect_end(FAREWELL)


@pytest.fixture(name="small_disk")
def small_disk_fixture(tmp_path):
    """A directory on a disk of 256 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk],
                      stderr=subprocess.DEVNULL, check=False).returncode != 0:
        pytest.skip("tmpfs cannot be mounted here")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


@NEEDS_ROOT
def test_a_full_disk(marceld, small_disk):
    desk = Desk(marceld, small_disk / "operator")
    peer, number = desk.meet()
    desk.answer(peer, number, "before")
    filler = small_disk / "filler"
    with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    # What is in the files' last pages still fits.
    sent = 0
    while not any("Events" in text for text in desk.troubles()):
        peer.send(f"{sent} " + "x" * 500 + "\n")
        desk.channel.write(f"answer {sent}", number)
        peer.expect(f"answer {sent}\n")
        sent += 1
    desk.channel.write(f"{number} by the common one")
    peer.expect("by the common one\n")
    late, its = desk.meet()  # no directory can be made, perhaps
    ask(desk.control, "Say", "tts", its, 0, "by the bus")
    late.expect("by the bus\n")
    assert len(desk.troubles()) < 10, desk.troubles()
    filler.unlink()
    desk.answer(peer, number, "after")
    # The numbers have no gap: this event says how many there are missing.
    assert any("could not be written" in event.text for event in desk.channel.find("trouble"))
    assert desk.channel.out(number)[-1].text == "after"
    late.send("fin\n").expect_end(FAREWELL)
    peer.send("fin\n").expect_end(FAREWELL).close()
    desk.channel.wait("closed", number)
    desk.channel.close()


@pytest.fixture(name="open_place")
def open_place_fixture():
    """A place where others may go, too; and what makes root one of them."""
    parent = Path(tempfile.mkdtemp())
    parent.chmod(0o755)
    prefix = ()
    if os.geteuid() == 0:
        prefix = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all")
        if not shutil.which("setpriv"):
            pytest.skip("not installed: setpriv")
    (parent / "marcel.ini").write_text(fifo_config(directory=parent / "its" / "operator") + QUIET)
    (parent / "its").mkdir()
    yield parent, {"config_file": False, "args": ("-c", os.fspath(parent / "marcel.ini")),
                   "prefix": prefix}
    shutil.rmtree(parent)


def test_no_permission(open_place, marceld):
    parent, options = open_place
    directory = parent / "its" / "operator"
    directory.mkdir()
    directory.chmod(0o555)
    daemon = marceld(**options)
    assert "ermission" in daemon.wait_record("trouble").message
    peer = daemon.connect()
    peer.send("a\nfin\n").expect_end(FAREWELL)
    assert os.listdir(directory) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root goes where marceld may not")
@pytest.mark.parametrize("part", [".", "conversations", "conversations/1", "waiting"])
def test_permission_is_taken_away(open_place, marceld, part):
    parent, options = open_place
    os.chown(parent / "its", 65534, 65534)
    desk = Desk(marceld, parent / "its" / "operator", **options)
    peer, number = desk.meet()
    other, its = desk.meet()
    desk.answer(peer, number, "before")
    desk.answer(other, its, "before", direct=False)
    wait_until(lambda: desk.channel.waiting() == [], "nobody waits")
    taken = desk.channel.directory / part
    mode = taken.stat().st_mode
    taken.chmod(0)
    names = os.listdir(taken)
    for round_ in range(repeat(100)):
        for client, whose in ((peer, number), (other, its)):
            client.send("asks\n")
            desk.channel.write(f"by its own {round_}", whose)
            client.expect(f"by its own {round_}\n").send("asks\n")
            desk.channel.write(f"{whose} by the common one {round_}")
            client.expect(f"by the common one {round_}\n")
    late, third = desk.meet()
    late.send("asks\n")
    ask(desk.control, "Say", "tts", third, 0, "by the bus")
    late.expect("by the bus\n").send("fin\n").expect_end(FAREWELL)
    assert "ermission denied" in desk.daemon.wait_record("trouble").message
    # Nothing was put there, and nobody has helped himself.
    assert taken.stat().st_mode & 0o7777 == 0 and os.listdir(taken) == names
    taken.chmod(mode)
    for text, direct in (("again", True), ("and again", False)):
        # Whatever is still open is answered by it, too.
        desk.answer(peer, number, text, direct)
        desk.answer(other, its, text, direct)
    wait_until(lambda: [said.text for said in desk.channel.out(number)][-2:] == [
        "asks and again", "and again"], "it is in out")
    # One or two words about it, however much was said.
    assert len(desk.troubles()) < 5, desk.troubles()
    assert 0 < len(desk.channel.find("trouble")) < 5, desk.channel.find("trouble")
    newest, fourth = desk.meet()
    newest.send("asks\n")
    wait_until(lambda: desk.channel.waiting() == [fourth], "it is shown as waiting")
    desk.answer(newest, fourth, "to the next")
    for client, whose in ((peer, number), (other, its), (newest, fourth)):
        client.send("fin\n").expect_end(FAREWELL).close()
        desk.channel.wait("closed", whose)
        assert desk.channel.info(whose)["ended"] == "end-word"
        assert not desk.channel.fifo(whose).exists()
    assert desk.channel.waiting() == []
    desk.channel.close()


def test_a_second_marceld(marceld, desk, directory):
    peer, number = desk.meet()
    second = marceld(fifo_config(directory=directory) + QUIET,
                     control=directory.parent / "control-2")
    assert "Another marceld" in second.wait_record("trouble").message
    theirs = second.connect()
    theirs.send("a\n")
    ask(directory.parent / "control-2", "Say", "tts",
        second.wait_record("opened")["conversation"], 0, "by the bus")
    theirs.expect("by the bus\n").send("fin\n").expect_end(FAREWELL)
    desk.answer(peer, number, "to the first")
    second.stop()
    desk.answer(peer, number, "still", direct=False)
    assert [event.conversation for event in desk.channel.find("opened")] == [number]


@pytest.mark.parametrize("direct", [True, False])
@pytest.mark.parametrize("ends", [True, False])
def test_a_huge_line(desk, direct, ends):
    peer, number = desk.meet()
    other, its = desk.meet()
    begin, target = (b"", number) if direct else (b"%d " % number, None)
    for round_ in range(repeat(20, least=2)):
        writer = desk.channel.write_blocking(
            begin + b"x" * MIB + (b"\n" if ends else b""), number=target)
        desk.answer(other, its, f"meanwhile {round_}")
        join(writer)
        desk.channel.wait("refused", word="too-long", count=round_ + 1)
        if not ends:
            desk.channel.write("", target)
        desk.answer(peer, number, f"after {round_}", direct)
    assert len(desk.channel.find("refused")) == round_ + 1
    assert max(len(event.text) for event in desk.channel.all) <= 2 * LINE_MAX


@pytest.mark.parametrize("direct", [True, False])
def test_the_longest_line(desk, direct):
    peer, number = desk.meet()
    begin, target = ("", number) if direct else (f"{number} ", None)
    line = begin.ljust(LINE_MAX, "x")
    desk.channel.write(line, target)
    peer.expect(line[len(begin):] + "\n")
    desk.channel.write_bytes(line.encode() + b"y\n", target)
    desk.channel.wait("refused", word="too-long")
    desk.answer(peer, number, "after", direct)


@pytest.mark.parametrize("direct", [True, False])
def test_a_line_that_does_not_end(desk, direct):
    peer, number = desk.meet()
    other, its = desk.meet()
    fd = desk.channel.open(number if direct else None)
    try:
        begin = b"" if direct else b"%d " % number
        assert os.write(fd, begin + b"x" * 3000) == len(begin) + 3000
        desk.answer(other, its, "meanwhile")
        desk.channel.wait("refused", number, word="unfinished")
        # What comes soon would be taken for its rest.
        time.sleep(4)
        desk.answer(peer, number, "after", direct)
    finally:
        os.close(fd)


@pytest.mark.parametrize("live", [True, False])
def test_what_was_written_as_the_service_stops(desk, live):
    peer, number = desk.meet()
    if not live:
        peer.send("fin\n").expect_end(FAREWELL).close()
        desk.channel.wait("closed", number)
    fd = desk.channel.open()
    try:
        # Nobody reads it before it is to stop.
        desk.daemon.signal(signal.SIGSTOP)
        os.write(fd, b"%d whole\n%d un" % (number, number))
        desk.daemon.signal(signal.SIGTERM)
        desk.daemon.signal(signal.SIGCONT)
        desk.daemon.wait()
        desk.channel.wait("closed", number)
        # One that was carried out was not in vain.
        assert desk.channel.find("sent", number, text="whole") or desk.channel.find(
            "refused", number, word="no-conversation", text="whole")
        desk.channel.wait("refused", number, word="unfinished", text="un")
        with pytest.raises(BrokenPipeError):
            os.write(fd, b"late\n")
        assert desk.channel.fifo().is_fifo()
    finally:
        os.close(fd)


def test_operators_that_write_nothing(desk):
    peer, number = desk.meet()
    fds = [desk.channel.open(which) for which in (number, None) for _ in range(50)]
    try:
        desk.answer(peer, number, "for somebody else")
        desk.answer(peer, number, "again", direct=False)
        peer.send("fin\n").expect_end(FAREWELL).close()
        desk.channel.wait("closed", number)
        # Nobody reads what is written there any more, and whoever writes is told in the end.
        def is_told():
            try:
                os.write(fds[0], b"late\n")
            except BlockingIOError:
                pass
            except BrokenPipeError:
                return True
            return False

        wait_until(is_told, "the end of the FIFO")
        desk.channel.wait("refused", number, word="no-conversation", text="late")
        peer, number = desk.meet()
        desk.answer(peer, number, "to the next", direct=False)
    finally:
        for fd in fds:
            os.close(fd)


NASTY = [b"\x1b[31mred\x07", b"\xff\xfe\xc3\x28", b"caf\xc3\xa9 \xe2\x80\xae\xf0\x9f\x98\x80",
         b"\x01\x02\x7f\x0b", b"\xc2\x9b1m", b"back\\slash", b"%n%s%d", b"\ttab  ", b"\r\rcr"]


def test_nasty_bytes_both_ways(desk, directory):
    peer, number = desk.meet()
    for i, text in enumerate(NASTY):
        for direct in (True, False):
            desk.channel.write_bytes((b"" if direct else b"%d " % number) + text + b"\n",
                                     number if direct else None)
            peer.expect(text + b"\n")
        peer.send(text + b"\n")
        desk.channel.wait("message", number, i + 1)
    peer.send(b"nul\0here\n")
    desk.channel.wait("message", number, text=r"nul\x00here")
    for i, target in enumerate((number, None)):
        desk.channel.write_bytes((b"" if target else b"%d " % number) + b"a\0b\n", target)
        refused = desk.channel.wait("refused", count=i + 1)
        assert refused.word == "malformed" and r"a\x00b" in refused.text
    desk.answer(peer, number, "after")
    peer.send("fin\n").expect_end(FAREWELL).close()
    desk.channel.wait("closed", number)
    for path in (directory / "events", desk.channel.place(number, "out"),
                 desk.channel.place(number, "info")):
        text = path.read_bytes().decode()
        assert not any(c < " " and c != "\n" or c in "\x7f\x9b\u202e" for c in text), text
    out = [said.text for said in desk.channel.out(number) if said.who == "C"]
    assert out[:2] == [r"\e[31mred\x07", r"\xff\xfe\xc3("] and r"nul\x00here" in out


@pytest.mark.parametrize("direct", [True, False])
def test_a_client_that_does_not_read(marceld, directory, tmp_path, direct):
    path = tmp_path / "socket"
    desk = Desk(marceld, directory, listen=("127.0.0.1:0", os.fspath(path)))
    deaf = Peer(path)
    number = int(desk.daemon.wait_record("opened")["conversation"])
    other = desk.daemon.connect()
    its = int(desk.daemon.wait_record("opened", 2)["conversation"])
    writers = []
    for name in range(4):
        # More than there is room for, and not so much that events are rotated twice.
        lines = [b"%s%d-%d %s\n" % (b"" if direct else b"%d " % number, name, i, b"x" * 500)
                 for i in range(600)]
        writers.append(desk.channel.write_blocking(*lines, number=number if direct else None))
    for i in range(repeat(50)):
        desk.answer(other, its, f"meanwhile {i}", direct)
    join(*writers)
    desk.channel.wait("refused", number, word="full")
    # It is told in the end: what was accepted, in order.
    got = []
    deaf.line()  # the greeting
    deaf.send("fin\n")
    got = [line.split(b" ")[0].decode() for line in deaf.read_to_end().split(b"\n")[:-2]]
    deaf.close()
    desk.channel.wait("closed", number)
    assert got == [event.text.split(" ")[0] for event in desk.channel.find("sent", number)]
    assert got
    assert len(desk.channel.find("sent", number) + desk.channel.find("refused", number)) == 2400
    desk.channel.close()


def test_a_client_that_talks_without_end(desk, directory):
    # With nobody there: what is kept of it is bounded, and the numbers go on.
    peer, number = desk.meet()
    other, its = desk.meet()
    count = max(repeat(40_000), 10_000)
    for i in range(0, count, 500):
        peer.send(b"".join(b"%d %s\n" % (j, b"y" * 150) for j in range(i, i + 500)))
        desk.channel.wait("message", number, i + 500)
    desk.answer(other, its, "meanwhile")
    desk.channel.write("to all of it", number)
    peer.expect("to all of it\n").send("fin\n").expect_end(FAREWELL).close()
    desk.channel.wait("closed", number)
    for path in (directory, desk.channel.place(number)):
        sizes = {file.name: file.stat().st_size for file in path.iterdir() if file.is_file()}
        assert max(sizes.values()) <= MIB and sum(sizes.values()) > MIB, sizes
    assert desk.channel.waiting() == []
