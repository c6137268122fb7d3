"""Conversations that operators hold go on in the next process: orders that wait, wherever they wait,
open turns, unfinished lines, drafts, and the script that one was taken from."""

import collections
import os
import random
import signal
import threading

import pytest

from daemon_tools import BUILD, FAREWELL, GREETING, PATIENCE, repeat, wait_until
from operator_tools import LINE_MAX, NOT_WRITTEN, Channel, ask, fifo_config

PATIENT = BUILD / "tests/responders/marceld-patient"
QUIET = "[journal]\ntranscript = off\n"

SCRIPT = """marcel-script 1
frame line lf
end none
on connect              say "hello"
always
    on "SET {x}"        set kept ${x}; say "set"
    on 'GET'            say "${kept}"
    on 'NEXT'           say "to second"; goto second
    on 'ASK'            hand fifo; say "back"
    on 'STAY'           hand fifo stay
    on "DRAFT {x}"      hand fifo draft "draft ${x}" for 1h; say "back"
    on 'SOON'           hand fifo draft "soon" for 300ms; say "back"
    otherwise           say "?"
state first
    on 'WHERE'          say "first"
state second
    on 'WHERE'          say "second"
"""


@pytest.fixture(name="channel")
def channel_fixture(manager):
    with Channel(manager.runtime / "operator") as channel:
        yield channel


@pytest.fixture(name="held")
def held_fixture(manager):
    """A manager whose conversations operators hold."""
    manager.config = fifo_config() + QUIET
    manager.start()
    return manager


@pytest.fixture(name="scripted")
def scripted_fixture(manager, tmp_path):
    path = tmp_path / "test.script"
    path.write_text(SCRIPT)
    manager.config = (f"[dialogue]\nresponder = script\n[script]\nfile = {path}\n[fifo]\n"
                      f"absent_after = infinity\ngrace = 1h\n{QUIET}")
    manager.start()
    return manager


# After SIGKILL the last reply may come twice to a client on a unix socket: test_carry_over.py.
@pytest.fixture(name="way", params=["restart-tcp", "kill-tcp", "restart-unix"])
def way_fixture(request):
    return request.param.split("-")


@pytest.fixture(name="again")
def again_fixture(way):
    """again(manager): the next daemon, once this one has nothing to do."""
    def make(manager):
        manager.await_rest()
        return getattr(manager, way[0])()
    return make


@pytest.fixture(name="end")
def end_fixture(way):
    """end(manager): there is no daemon, until manager.start()."""
    def make(manager):
        manager.await_rest()
        manager.end(signal.SIGTERM if way[0] == "restart" else signal.SIGKILL)
    return make


@pytest.fixture(name="meet")
def meet_fixture(way):
    def meet(manager, greeting=GREETING):
        return (manager.connect if way[1] == "tcp" else manager.connect_unix)(greeting)
    return meet


def newest(channel, count=1):
    """The number of the COUNTth conversation."""
    return channel.wait("opened", count=count).conversation


def test_orders_that_nobody_has_read(held, channel, end, meet):
    peers = [meet(held) for _ in range(3)]
    numbers = [newest(channel, i + 1) for i in range(3)]
    for round_ in range(repeat(20, least=3)):
        end(held)
        # What came by one way keeps its order; those by two ways meet anyhow.
        for number in numbers:
            for i in range(20):
                channel.write(f"{round_} {i}", number)
        held.start()
        for number, peer in zip(numbers, peers):
            for i in range(20):
                peer.expect(f"{round_} {i}\n")
            channel.wait("resumed", number, round_ + 1)
        end(held)
        for i in range(20):
            for number in numbers:
                channel.write(f"{number} {round_} {i} to {number}")
        channel.write("* to all")
        channel.write(f"nonsense {round_}")
        channel.write(f"999 nobody {round_}")
        held.start()
        for number, peer in zip(numbers, peers):
            for i in range(20):
                peer.expect(f"{round_} {i} to {number}\n")
            peer.expect("to all\n")
        channel.wait("refused", None, word="malformed", text=f"nonsense {round_}")
        channel.wait("refused", 999, word="no-conversation", text=f"nobody {round_}")
    for number, peer in zip(numbers, peers):
        peer.send("fin\n").expect_end(FAREWELL)
        assert len(channel.find("sent", number)) == 41 * (round_ + 1)
    assert not channel.find("trouble")


def fill(manager, channel, number, name):
    """Gives orders for a client that doesn't read until one finds no room, which the daemon says.
    Returns the texts of all; which found none is in the events, at the latest once a later order
    was carried out."""
    texts = []
    refused = len(channel.find("refused", number))
    while len(channel.find("refused", number)) == refused:
        # Such a line is what one read gives, and refused or taken as a whole.
        texts.append(f"{name} {len(texts)} ".ljust(LINE_MAX, "x"))
        channel.write(texts[-1], number)
        before = len(channel.all)
        while len(channel.read()) == before and not manager.is_at_rest():
            os.sched_yield()
    return texts


def test_the_name_is_gone_meanwhile(held, channel, end, meet):
    """What was written to DIRECTORY/in before that is passed on all the same."""
    peer = meet(held)
    number = newest(channel)
    for round_ in range(2):
        end(held)
        channel.write(f"{number} {round_} to one")
        channel.write(f"* {round_} to all")
        os.unlink(channel.fifo())
        held.start()
        peer.expect(f"{round_} to one\n{round_} to all\n")
        wait_until(channel.fifo().exists, "a new FIFO")
        channel.write(f"{number} {round_} again")
        peer.expect(f"{round_} again\n")


def test_orders_for_a_client_that_does_not_read(held, channel, again, way):
    peer = held.connect(receive_buffer=4096) if way[1] == "tcp" else held.connect_unix()
    number = newest(channel)
    other = held.connect()
    its = newest(channel, 2)
    texts, rounds = [], repeat(20, least=3)
    for round_ in range(rounds):
        texts += fill(held, channel, number, round_)
        again(held)
        channel.write(f"{round_}", its)
        other.expect(f"{round_}\n")
    got = []

    def read():
        while peer.has_data():
            got.append(peer.line().decode())
        channel.read()
        return len(got) + len(channel.find("refused", number)) == len(texts)

    wait_until(read, "each order is carried out or refused")
    # There is room again.
    channel.write("end", number)
    peer.expect("end\n").send("fin\n").expect_end(FAREWELL)
    refused = [event.text for event in channel.find("refused", number)]
    assert got == [text + "\n" for text in texts if text not in refused]
    assert rounds <= len(refused) == len(set(refused)) < len(texts)
    assert {event.word for event in channel.find("refused")} == {"full"}


def test_open_turns(held, channel, again, meet):
    peers = [meet(held) for _ in range(4)]
    numbers = [newest(channel, i + 1) for i in range(4)]
    order = [2, 0, 3]
    for i in order:
        peers[i].send("one\ntwo\nthree\n")
        channel.wait("message", numbers[i], 3)
    links = sorted(os.listdir(channel.directory / "waiting"))
    assert channel.waiting() == [numbers[i] for i in order]
    for round_ in range(repeat(20, least=3)):
        again(held)
        channel.wait("resumed", numbers[3], round_ + 1)
        assert sorted(os.listdir(channel.directory / "waiting")) == links
        wait_until(lambda: channel.info(numbers[0])["waiting"] == "1", "the first turn waits")
        assert channel.info(numbers[0])["turn"] == "3"
        assert channel.info(numbers[1])["waiting"] == "0"
    channel.write("#2 to two", numbers[0])
    peers[0].expect("to two\n")
    channel.wait("sent", numbers[0], turn=2, text="to two")
    again(held)
    channel.write("#2 again", numbers[0])
    channel.wait("refused", numbers[0], turn=2, word="not-open", text="again")
    channel.write("#1 to one", numbers[0])
    peers[0].expect("to one\n")
    wait_until(lambda: channel.info(numbers[0])["waiting"] == "3", "the third waits")
    again(held)
    channel.write("to all", numbers[0])
    peers[0].expect("to all\n")
    wait_until(lambda: channel.waiting() == [numbers[2], numbers[3]], "two wait still")
    again(held)
    peers[0].send("four\n")
    channel.wait("message", numbers[0], turn=4)
    wait_until(lambda: channel.waiting() == [numbers[2], numbers[3], numbers[0]], "it waits last")


@pytest.mark.parametrize("direct", [True, False])
def test_unfinished_lines(manager, channel, again, meet, direct):
    manager.program = PATIENT
    manager.config = fifo_config() + QUIET
    manager.start()
    peer = meet(manager)
    number = newest(channel)
    begin, target = ("", number) if direct else (f"{number} ", None)
    for round_ in range(repeat(20, least=3)):
        channel.write_bytes(f"{begin}half {round_}".encode(), target)
        again(manager)
        channel.write_bytes(b" and", target)
        again(manager)
        channel.write_bytes(f" whole\n{begin}next {round_}\n".encode(), target)
        peer.expect(f"half {round_} and whole\nnext {round_}\n")
    assert not channel.find("refused")


def test_a_line_that_is_too_long(held, channel, again, meet):
    peer = meet(held)
    number = newest(channel)
    for target, begin in ((number, b""), (None, b"%d " % number)):
        before = len(channel.find("refused", word="too-long"))
        channel.write_bytes(begin + b"a" * 30_000, target)
        channel.wait("refused", word="too-long", count=before + 1)
        again(held)
        channel.write_bytes(b"b" * 30_000 + b"\n" + begin + b"c\n", target)
        peer.expect("c\n")
        assert len(channel.find("refused")) == before + 1


def test_a_draft(scripted, channel, again, meet):
    peer = meet(scripted, b"hello\n")
    peer.send("SET x\n").expect("set\n")
    for round_ in range(repeat(20, least=2)):
        peer.send(f"DRAFT {round_}\n")
        number = channel.wait("draft", text=f"draft {round_}").conversation
        again(scripted)
        again(scripted)
        channel.write("", number)
        peer.expect(f"draft {round_}\nback\n")
        channel.wait("left", number, 2 * round_ + 1)
        peer.send(f"DRAFT {round_}+\n")
        channel.wait("draft", text=f"draft {round_}+")
        again(scripted)
        channel.write(f"edited {round_}", number)
        peer.expect(f"edited {round_}\nback\n")
        again(scripted)
        peer.send("GET\n").expect("x\n")
    peer.send("SOON\n")
    again(scripted)
    peer.expect("soon\nback\n")


def test_a_script_that_hands_over(scripted, channel, again, meet):
    peer = meet(scripted, b"hello\n")
    for round_ in range(repeat(20, least=2)):
        peer.send(f"SET {round_}\nNEXT\nASK\n").expect("set\nto second\n")
        number = channel.wait("message", count=round_ + 1, text="ASK").conversation
        again(scripted)
        assert channel.info(number)["responder"] == "script"
        channel.write(f"{number} here")
        peer.expect("here\nback\n")
        channel.wait("left", number, round_ + 1)
        again(scripted)
        peer.send("GET\nWHERE\n").expect(f"{round_}\nsecond\n")
    assert not channel.find("trouble")
    peer.send("STAY\n")
    channel.wait("message", text="STAY")
    for round_ in range(repeat(20, least=2)):
        again(scripted)
        channel.write(f"{round_}", number)
        peer.expect(f"{round_}\n").send(f"to {round_}\n")
        channel.wait("message", number, text=f"to {round_}")


def test_taken_from_a_script(scripted, channel, again, meet):
    peer = meet(scripted, b"hello\n")
    peer.send("NEXT\n").expect("to second\n")
    number = scripted.daemon.wait_record("opened")["conversation"]
    for round_ in range(repeat(20, least=2)):
        peer.send(f"SET {round_} é\n").expect("set\n")
        again(scripted)
        ask(scripted.control, "Take", "t", number)
        peer.send("WHERE\n")
        channel.wait("message", int(number), round_ + 1, text="WHERE")
        again(scripted)
        peer.send("GET\n")
        channel.wait("message", int(number), round_ + 1, text="GET")
        again(scripted)
        channel.write(f"somebody {round_}", number)
        peer.expect(f"somebody {round_}\n")
        if round_ % 2:
            again(scripted)
            channel.write("/give script", number)
            channel.wait("left", int(number), round_ + 1, text="script")
        else:
            ask(scripted.control, "Give", "ts", number, "script")
        peer.send("GET\nWHERE\n").expect(f"{round_} é\nsecond\n")
        again(scripted)
        peer.send("GET\n").expect(f"{round_} é\n")


def test_who_is_away_is_said_once(manager, channel, again, meet):
    manager.config = fifo_config(absent_after="300ms", absent_reply="nobody") + QUIET
    manager.start()
    peer = meet(manager)
    number = newest(channel)
    peer.send("a\n")
    channel.wait("message", number)
    # It goes by a clock that goes on.
    again(manager)
    peer.expect("nobody\n")
    for _ in range(repeat(20, least=2)):
        again(manager)
        channel.wait("resumed", number)
    assert len(channel.find("absent", number)) <= 2  # killed in the middle it is told again
    channel.write("#1 late", number)
    peer.expect("late\n").send("fin\n").expect_end(FAREWELL)


def test_a_client_that_left_meanwhile(held, channel, end, meet):
    gone, stays = meet(held), meet(held)
    number, its = newest(channel), newest(channel, 2)
    end(held)
    channel.write("never seen", number)
    channel.write(f"{number} nor this")
    gone.close()
    held.start()
    channel.wait("closed", number)
    for text in ("never seen", "nor this"):
        wait_until(lambda: [event for event in channel.find(conversation=number, text=text)
                            if event.kind in ("sent", "refused")], "it has an event")
    wait_until(lambda: not channel.fifo(number).exists(), "its FIFO goes")
    channel.write(f"{number} too late")
    channel.wait("refused", number, word="no-conversation", text="too late")
    channel.write("here", its)
    stays.expect("here\n")
    # Its number is nobody else's.
    meet(held)
    assert newest(channel, 3) > its > number


def test_an_end_is_told_once(held, channel, again, meet):
    """Its client holds the connection open for a while; who waits for it meanwhile tells nothing of
    the end, nor of what was refused then, again."""
    peers = [meet(held) for _ in range(3)]
    numbers = [newest(channel, i + 1) for i in range(3)]
    for number, peer in zip(numbers, peers):
        channel.write("on", number)
        peer.expect("on\n")
        channel.write_bytes(b"/close\nleft\n", number)
        peer.expect_end(FAREWELL)
        channel.wait("closed", number)
    again(held)
    # When this is there, the conversations before have begun, and are looked after by somebody.
    other = meet(held)
    channel.wait("opened", count=4)
    for peer in peers:
        peer.close()
    other.send("fin\n").expect_end(FAREWELL).close()
    held.await_rest()
    for number in numbers:
        assert [event.kind for event in channel.find(conversation=number)].count("closed") == 1
        assert [event.text for event in channel.find("refused", number)] == ["left"]
        assert not channel.fifo(number).exists()


def test_directories_go_after_a_restart(held, channel, again, meet):
    held.config = fifo_config(grace="2s") + QUIET
    again(held)
    peer = meet(held)
    number = newest(channel)
    peer.send("fin\n").expect_end(FAREWELL).close()
    channel.wait("closed", number)
    again(held)
    wait_until(lambda: not channel.place(number).exists(), "its directory goes")
    assert channel.fifo().exists()


def test_the_store_has_lost_the_fifos(held, channel, end, meet):
    # What was unread is lost, and nothing else.
    peer = meet(held)
    number = newest(channel)
    peer.send("a\n")
    channel.wait("message", number)
    end(held)
    held.forget(*{name for name, _ in held.store if name.startswith("marcel-keep-operator")})
    held.start()
    channel.wait("trouble", number, text="its FIFO was lost, with the orders in it")
    wait_until(lambda: channel.waiting() == [number], "it is shown as waiting")
    for i, target in enumerate((number, None)):
        channel.write(f"{number} b{i}" if target is None else f"b{i}", target)
        peer.expect(f"b{i}\n")
    end(held)
    channel.write("c", number)
    held.start()
    peer.expect("c\n")
    assert len(channel.find("trouble", number)) == 1


def test_nothing_is_left_over(held, channel, again, meet):
    meet(held).send("fin\n").expect_end(FAREWELL).close()
    channel.wait("closed")
    daemon = again(held)
    before, kept = daemon.fds(), len(held.store)
    for _ in range(3):
        peers = [meet(held) for _ in range(30)]
        daemon = again(held)
        for peer in peers:
            peer.send("fin\n").expect_end(FAREWELL)
            peer.close()
    daemon = again(held)
    # The control may look for the bus by then, which takes some; clients would be many.
    wait_until(lambda: daemon.fds() <= before + 4, f"no more than {before} descriptors")
    wait_until(lambda: len(held.store) == kept, f"{kept} descriptors in the store")


def test_names_are_watched_by_the_same_instance(held, channel, again, meet):
    # Closing it for good may take many seconds, so it never is.
    meet(held)
    number, name = newest(channel), "marcel-keep-operator-inotify"
    for round_ in range(3):
        kept = held.kept(name)
        with open(f"/proc/self/fdinfo/{kept}", encoding="ascii") as file:
            assert file.read().count("inotify wd:") == 2 + round_
        again(held)
        channel.wait("resumed", number, round_ + 1)
        meet(held)
        newest(channel, round_ + 2)
        assert held.kept(name) == kept
    os.rename(channel.fifo(number), channel.place(number, "away"))
    channel.wait("trouble", number)
    os.unlink(channel.fifo())
    channel.wait("trouble", text="in was removed: No such file or directory")
    held.forget(name)
    again(held)
    assert held.kept(name)


class Writer(threading.Thread):
    """An operator who writes as long as others are served, whatever becomes of the daemon."""

    def __init__(self, name, channel, numbers, stop):
        super().__init__(daemon=True)
        self.mark = name
        self.channel = channel
        self.numbers = numbers
        self.stop = stop
        self.random = random.Random(name)
        self.written = []  # (mark, conversation, direct)
        self.answered = 0  # of these
        self.fault = None

    def run(self):
        try:
            while not self.stop.is_set():
                # No conversation is to have so many that they find no room.
                if len(self.written) - self.answered < 200:
                    self.write_one()
                else:
                    self.stop.wait(0.001)
        except BaseException as fault:  # pylint: disable=broad-except
            self.fault = fault

    def write_one(self):
        number = self.random.choice(self.numbers)
        direct = self.random.random() < 0.5
        mark = f"{self.mark}-{len(self.written)}"
        text = f"{mark} " + "y" * self.random.choice((0, 10, 100))
        try:
            self.channel.write(text if direct else f"{number} {text}", number if direct else None)
        except OSError as error:
            assert error.errno in NOT_WRITTEN, error
            self.stop.wait(0.001)  # there is no room
            return
        self.written.append((mark, number, direct))
        if self.random.random() < 0.1:
            self.stop.wait(0.002)


def unanswered(channel, writers):
    """The marks of lines that have no event so far."""
    answered = {event.text.partition(" ")[0] for event in channel.read()
                if event.kind in ("sent", "refused")}
    left = set()
    for writer in writers:
        mine = {mark for mark, _, _ in writer.written} - answered
        writer.answered = len(writer.written) - len(mine)
        left |= mine
        assert writer.fault is None, writer.fault
    return left


@pytest.mark.parametrize("way_", ["restart", "kill"])
def test_operators_write_all_the_while(held, channel, way_):
    count, rounds = 20, repeat(100, least=5)
    tcp = [held.connect() for _ in range(count // 2)]
    numbers = [newest(channel, i + 1) for i in range(count // 2)]
    unix = [held.connect_unix() for _ in range(count // 2)]
    numbers += [newest(channel, i + 1) for i in range(count // 2, count)]
    stop = threading.Event()
    writers = [Writer(f"w{i}", channel, numbers, stop) for i in range(4)]
    got = {number: [] for number in numbers}
    peers = dict(zip(numbers, tcp + unix))

    def read():
        for number, peer in peers.items():
            while peer.has_data():
                line = peer.line().decode()
                assert line, (f"conversation {number} has ended: "
                              f"{[e for e in channel.read() if e.kind == 'closed']}, "
                              f"{[d.records('not_carried') for d in held.daemons]}")
                got[number].append(line)

    def all_served(since):
        # Who is killed in the same turn again and again is not carried on: the second answer shows
        # that the turn of the first one is over.
        read()
        unanswered(channel, writers)
        served = collections.Counter(event.conversation for event in channel.read()[since:]
                                     if event.kind == "sent")
        return all(served[number] >= 2 for number in numbers)

    def all_answered():
        read()
        return not unanswered(channel, writers)

    for writer in writers:
        writer.start()
    for _ in range(rounds):
        since = len(channel.read())
        wait_until(lambda: all_served(since), "everybody is served")  # pylint: disable=W0640
        getattr(held, way_)()
    stop.set()
    for writer in writers:
        writer.join(PATIENCE)
        assert not writer.is_alive()
    for number in numbers:
        channel.wait("resumed", number)
    wait_until(all_answered, "all is answered")
    for number, peer in peers.items():
        peer.send("fin\n")
        data = peer.read_to_end()
        got[number] += [line + "\n" for line in data.decode().split("\n")[:-1]]
        assert got[number].pop() == "fin\n"
    judge(channel, writers, got, rounds if way_ == "kill" else 0, set(numbers[:count // 2]))


def judge(channel, writers, got, kills, tcp):
    """Every line that was written reached its client once, but for what kills may cost."""
    events = collections.defaultdict(collections.Counter)
    for event in channel.read():
        if event.kind in ("sent", "refused"):
            assert event.word in ("", "no-conversation"), event
            events[event.conversation][event.kind, event.text.split()[0]] += 1
    written = {mark: (number, direct)
               for writer in writers for mark, number, direct in writer.written}
    cost = collections.Counter()
    for number, lines in got.items():
        seen = collections.Counter(line.split()[0] for line in lines)
        for mark in seen:
            assert written[mark][0] == number, f"{number} got {mark}"
        mine = [mark for mark, (its, _) in written.items() if its == number]
        for mark in mine:
            direct = written[mark][1]
            sent, refused = (events[number][kind, mark] for kind in ("sent", "refused"))
            assert sent + refused >= 1, f"{mark} has no event"
            odd = abs(seen[mark] - 1) if not refused else seen[mark]
            odd += sent + refused > 1
            if direct and number in tcp:
                assert seen[mark] <= 1, f"{mark} reached {number} {seen[mark]} times"
            if odd:
                print(f"{mark}: {number} got it {seen[mark]} times, sent {sent}, refused {refused}"
                      f"{', direct' if direct else ''}")
                cost[number] += 1
        # By each way, and from each writer, in order.
        for way in (True, False):
            for writer in writers:
                marks = [line.split()[0] for line in lines]
                order = [int(mark.split("-")[1]) for mark in marks
                         if mark.startswith(writer.mark) and written[mark][1] == way]
                assert order == sorted(order), (number, writer.mark, order)
    print(f"{len(written)} lines, {kills} kills; odd: {dict(cost)}")
    assert all(odd <= kills for odd in cost.values()), cost
