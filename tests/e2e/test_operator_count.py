"""Nothing lost, nothing misdelivered: many conversations, operators who write at random through both
kinds of FIFO, clients and operators that vanish and come back. And every line is accounted for.

Each line has a text of its own. What is written is remembered by its writer, what arrives by its
reader; the events must join the two, and `out` must agree with both.
"""

import collections
import contextlib
import os
import random
import re
import select
import socket
import threading
import time

import pytest

from daemon_tools import GREETING_TEXT, PATIENCE, Daemon, repeat, wait_until
from operator_tools import NOT_WRITTEN, Channel, fifo_config, lines_of

CONVERSATIONS = 200
OPERATORS = 4
SECONDS = 60  # in the full run; in others it is so many orders:
ORDERS = 100000
DIRECTORIES = 1000  # of conversations that are over stay, in marcel-operator(7); the oldest go

# Lines that are written and not answered yet: more would let `events` be rotated twice at once.
AHEAD = 4000

MARK = re.compile(r"o\d+-\d+(?= )")  # an operator's line has one somewhere
QUIET = "[journal]\ntranscript = off\n[limits]\nper_address = 4096\n"


def is_lasting(name):
    """Whether a client of this name means to stay until the end."""
    return int(name[1:]) <= CONVERSATIONS // 2


class Client:
    """A client that remembers all it sent and all it got; never blocks."""

    def __init__(self, target, name, reads):
        self.name = name
        self.reads = reads  # False: only at the end
        self.lasts = is_lasting(name)
        self.sent = []
        self.got = b""
        self.ended = False  # the server has closed
        self.left = False  # it went away itself: it may not have read all
        family = socket.AF_UNIX if isinstance(target, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.connect(target)
        # By this the conversation is found: only TCP has addresses.
        self.say(f"{name} hello")
        self.socket.setblocking(False)

    def say(self, text):
        with contextlib.suppress(BlockingIOError, ConnectionError):
            data = text.encode() + b"\n"
            assert self.socket.send(data) == len(data)
            self.sent.append(text)

    def read(self):
        """Takes what there is; returns whether there was something."""
        try:
            data = self.socket.recv(1 << 16)
        except BlockingIOError:
            return False
        except ConnectionError:
            self.left = True  # ended with our bytes unread: what was on the way may be lost
            data = b""
        self.got += data
        self.ended = not data
        return bool(data)

    def vanish(self, rng):
        """Goes away in one of the ways that there are; what is on the way to it is lost."""
        way = rng.randrange(3)
        self.left = True
        if way == 0 and self.socket.family == socket.AF_INET:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        elif way == 1:
            # What it reads until then it has read.
            while self.read():
                pass
        self.socket.close()

    def lines(self):
        return self.got.decode().split("\n")[:-1]

    def got_first(self, sent):
        """Whether it got of SENT the first or all, between the greeting and a farewell."""
        got = self.lines()[1:]
        if got[-1:] == ["fin"]:
            got.pop()
        return got == sent[:len(got)]


class Crowd(threading.Thread):
    """All clients, in one thread: they talk, read, go away, and others come in their place."""

    def __init__(self, targets, seed):
        super().__init__(daemon=True)
        self.targets = targets
        self.random = random.Random(seed)
        self.clients = []
        self.gone = []
        self.made = 0
        self.stop = threading.Event()
        self.fault = None
        for i in range(CONVERSATIONS):
            self.clients.append(self.make(reads=i % 20 != 1))

    def make(self, reads):
        self.made += 1
        return Client(self.targets[self.made % len(self.targets)], f"c{self.made}", reads)

    def run(self):
        try:
            while not self.stop.is_set():
                self.turn()
        except BaseException as fault:  # pylint: disable=broad-except
            self.fault = fault

    def turn(self):
        # Others want the processor, too: this one has something to do all the time.
        readable = select.select([c.socket for c in self.clients if c.reads], [], [], 0.01)[0]
        for i, client in enumerate(self.clients):
            if client.socket in readable:
                client.read()
            if client.ended:
                client.socket.close()
                self.replace(i)
        for _ in range(4):
            i = self.random.randrange(len(self.clients))
            client = self.clients[i]
            what = self.random.random()
            if not client.reads:
                continue
            if what < 0.6 or client.lasts:
                client.say(f"{client.name} says {len(client.sent)}")
            elif what < 0.8:
                client.say("fin")  # and reads to the end
            else:
                client.vanish(self.random)
                self.replace(i)

    def replace(self, i):
        self.gone.append(self.clients[i])
        self.clients[i] = self.make(self.clients[i].reads)

    def finish(self):
        """Everybody reads what there is and says goodbye. In the caller's thread."""
        self.stop.set()
        self.join(PATIENCE)
        if self.fault:
            raise self.fault

    def read_on(self):
        """All read. Returns whether somebody got something."""
        return any([client.read() for client in self.clients if not client.ended])

    def say_goodbye(self):
        for client in self.clients:
            client.socket.settimeout(PATIENCE)
            if not client.ended:
                client.say("fin")
            while client.read():
                pass
            assert client.ended
            client.socket.close()
        self.gone += self.clients
        self.clients = []


def is_cut(event):
    """Of an order that finds no room only the beginning may be known: less than its mark."""
    return event.word == "full" and not MARK.search(event.text)


class Follower(threading.Thread):
    """Follows `events`, and counts which lines have been answered."""

    def __init__(self, channel):
        super().__init__(daemon=True)
        self.channel = channel
        self.counted = 0
        self.marks = set()  # of all lines that have been answered
        self.cut = 0  # answers that don't show it
        self.places = {}  # conversation: whether it is open
        self.mortal = set()  # conversations whose clients may be dismissed
        self.open_turns = collections.deque(maxlen=2000)
        self.stop = threading.Event()
        self.fault = None

    def run(self):
        try:
            while not self.stop.wait(0.005):
                self.look()
        except BaseException as fault:  # pylint: disable=broad-except
            self.fault = fault

    def look(self):
        events = self.channel.read()
        for event in events[self.counted:]:
            self.counted += 1
            if event.kind in ("sent", "refused"):
                self.marks.update(MARK.findall(event.text))
                self.cut += is_cut(event)
            elif event.kind == "opened":
                self.places[event.conversation] = True
            elif event.kind == "closed":
                self.places[event.conversation] = False
            elif event.kind == "message":
                self.open_turns.append((event.conversation, event.turn))
                if not is_lasting(event.text.split()[0]):
                    self.mortal.add(event.conversation)

    def finish(self):
        self.stop.set()
        self.join(PATIENCE)
        if self.fault:
            raise self.fault
        self.look()


class Operator(threading.Thread):
    """Writes orders at random, and remembers those that it could write."""

    def __init__(self, number, channel, follower, goes_on):
        super().__init__(daemon=True)
        self.number = number
        self.channel = channel
        self.follower = follower
        self.goes_on = goes_on
        self.random = random.Random(number)
        self.made = 0
        self.written = 0
        self.orders = []  # (mark, conversation or "*", text, by its own FIFO)
        self.orders_to_end = collections.Counter()  # "/close" has no mark: by conversation
        self.refusals = collections.Counter()  # lines that could not be written, by errno
        self.fds = collections.OrderedDict()  # FIFOs that it has open, by conversation
        self.fault = None

    def run(self):
        try:
            while self.goes_on(self):
                if self.written - len(self.follower.marks) / OPERATORS > AHEAD:
                    assert self.follower.fault is None
                    time.sleep(0.001)  # as fast as they are answered
                    continue
                self.write_one()
            self.vanish()
        except BaseException as fault:  # pylint: disable=broad-except
            self.fault = fault

    def vanish(self):
        for fd in self.fds.values():
            os.close(fd)
        self.fds.clear()

    def fd(self, number):
        """An open FIFO; some stay open for long, also when their conversation is over."""
        if number in self.fds:
            return self.fds[number]
        fd = self.channel.open(number)
        self.fds[number] = fd
        if len(self.fds) > 40:
            os.close(self.fds.popitem(last=False)[1])
        return fd

    def choose(self):
        """A conversation and a turn of it, or 0: any."""
        turns = self.follower.open_turns
        if self.random.random() < 0.4 and turns:
            return turns[self.random.randrange(len(turns))]
        places = self.follower.places
        number = self.random.randrange(1, len(places) + 2)
        if not places.get(number) and self.random.random() < 0.8:
            # Seldom to one that is over, or is not there yet.
            live = [n for n, is_open in list(places.items()) if is_open]
            number = self.random.choice(live) if live else number
        return number, 0

    def write_one(self):
        self.made += 1
        number, turn = self.choose()
        mark = f"o{self.number}-{self.made}"
        text = f"{mark} é" + "x" * self.random.choice((0, 3, 30, 300))
        what = self.random.random()
        direct = self.random.random() < 0.5
        if what < 0.001:
            number, direct = "*", False
        elif what < 0.004 and number in self.follower.mortal:
            text = "/close"
        elif turn:
            text = f"#{turn} {text}"
        line = text if direct else f"{number} {text}"
        try:
            fd = self.fd(number if direct else None)
            assert os.write(fd, line.encode() + b"\n") == len(line.encode()) + 1
        except OSError as error:
            assert error.errno in NOT_WRITTEN, error
            self.refusals[error.errno] += 1
            old = self.fds.pop(number if direct else None, None)
            if old is not None:
                os.close(old)
            return
        if text == "/close":
            self.orders_to_end[number] += 1
        else:
            self.written += 1
            self.orders.append((mark, number, text, direct))
        if self.random.random() < 0.001:
            self.vanish()


@pytest.fixture(name="server", params=["alone", "kept"])
def server_fixture(request, tmp_path):
    """A daemon on TCP and a unix socket, without and with somebody who keeps its FIFOs: (the two
    addresses, its channel, stop())."""
    directory = tmp_path / "operator"
    config = fifo_config(directory=directory) + QUIET
    if request.param == "kept":
        manager = request.getfixturevalue("manager")
        manager.config = config
        daemon = manager.start()
        targets = [("127.0.0.1", manager.port), os.fspath(manager.path)]
        stop = manager.end
    else:
        path = tmp_path / "socket"
        daemon = Daemon(config, listen=("127.0.0.1:0", os.fspath(path)), directory=tmp_path)
        request.addfinalizer(daemon.clean_up)
        daemon.wait_ready(2)
        targets = [("127.0.0.1", daemon.port), os.fspath(path)]
        stop = daemon.stop
    with Channel(directory) as channel:
        yield targets, channel, stop


def play(targets, channel):
    """The whole of it; gives the clients, and the operators with what they wrote."""
    full = repeat(100) >= 100
    until = time.monotonic() + SECONDS
    count = repeat(ORDERS) // OPERATORS

    def goes_on(operator):
        if crowd.fault or any(o.fault for o in operators):
            return False
        return time.monotonic() < until if full else operator.made < count

    crowd = Crowd(targets, seed=1)
    follower = Follower(channel)
    operators = [Operator(i, channel, follower, goes_on) for i in range(OPERATORS)]
    follower.start()
    wait_until(lambda: len(follower.places) == CONVERSATIONS or follower.fault, "they are open")
    for thread in (crowd, *operators):
        thread.start()
    for operator in operators:
        operator.join(SECONDS + 10 * PATIENCE)
        assert not operator.is_alive()
        if operator.fault:
            raise operator.fault
    crowd.finish()
    # Until everything that was written has been answered: those who didn't read do so now.
    marks = {order[0] for operator in operators for order in operator.orders}

    def answered():
        crowd.read_on()
        return len(marks - follower.marks) <= follower.cut or follower.fault
    try:
        wait_until(answered, "all is answered", 3 * PATIENCE)
    except AssertionError:
        lost = sorted(marks - follower.marks)
        raise AssertionError(f"lines without an event: {len(lost)}, {lost[:20]}") from None
    crowd.say_goodbye()

    def closed():
        if not any(follower.places.values()) or follower.fault:
            return True
        # Some went away while they waited for an answer, and it shows only when there is one.
        channel.write("* over")
        return False
    wait_until(closed, "all are closed")
    follower.finish()
    return crowd.gone, operators


def judge_orders(operators, events, lasting):
    """Every line that was written has its event: one; to all, at most one each."""
    answers = collections.defaultdict(list)
    ends = collections.Counter()
    for event in events:
        if event.kind in ("sent", "refused"):
            if found := MARK.search(event.text):
                answers[found[0]].append(event)
        if event.kind in ("done", "refused") and event.text == "/close":
            ends[event.conversation] += 1
    cut = [event for event in events if is_cut(event)]
    for mark, number, text, _ in [order for operator in operators for order in operator.orders]:
        got = answers.pop(mark, None)
        if got is None:
            hidden = next((event for event in cut if event.conversation == number
                           and text.startswith(event.text)), None)
            assert hidden, f"{mark} has no event"
            cut.remove(hidden)
        elif number == "*":
            reached = collections.Counter(event.conversation for event in got)
            assert max(reached.values()) == 1, got
            assert lasting <= set(reached) or None in reached, (mark, lasting - set(reached))
        else:
            assert len(got) == 1, f"{mark} has {len(got)} events: {got}"
            assert got[0].conversation == number, f"{mark} was for {number}: {got}"
            # Refused on its way it is shown as it was written.
            turned = f"#{got[0].turn} {got[0].text}" if got[0].turn else got[0].text
            assert turned == text or (got[0].word == "full" and text.startswith(turned)), got
    assert not answers, f"nobody wrote {sorted(answers)[:20]}"
    assert ends == sum((operator.orders_to_end for operator in operators), collections.Counter())


def judge_order(operators, events):
    """What one operator writes for one conversation by one FIFO is answered in its order; by two
    FIFOs it need not be."""
    direct = {mark: own for operator in operators for mark, _, _, own in operator.orders}
    ways = collections.defaultdict(list)
    for event in events:
        found = MARK.search(event.text)
        # What finds no room is told at once; so is, of the common FIFO, what comes when it is over.
        if found is None or event.kind not in ("sent", "refused"):
            continue
        late = event.word == "no-conversation" and not direct[found[0]]
        if event.word != "full" and not late:
            who, made = found[0].split("-")
            ways[event.conversation, who, direct[found[0]]].append(int(made))
    for way, made in ways.items():
        assert made == sorted(made), (way, made)
    for way in (True, False):
        assert max(len(made) for key, made in ways.items() if key[2] == way) > 2


def judge_turns(events):
    """A turn is answered alone while it is open, and never twice."""
    open_turns = collections.defaultdict(set)
    last = collections.Counter()
    for event in events:
        turns = open_turns[event.conversation]
        if event.kind == "message":
            assert event.turn == last[event.conversation] + 1, event
            last[event.conversation] = event.turn
            turns.add(event.turn)
        elif event.kind == "sent" and event.turn:
            assert event.turn in turns, f"{event} answers what is not open"
            turns.remove(event.turn)
        elif event.kind == "sent":
            turns.clear()
        elif event.word == "not-open":
            assert event.turn not in turns, f"{event}: but it was open"


def judge_client(client, messages, sent):
    """What CLIENT saw is what was accepted for it, in order; and it was heard."""
    got = client.lines()
    assert got[:1] in ([], [GREETING_TEXT]), got[:1]
    if client.left:
        assert client.got_first(sent), client.name
        assert messages == client.sent[:len(messages)], client.name
        return
    assert got[-1] == "fin", (client.name, got[-3:])
    assert got[1:-1] == sent, client.name
    ends = [i for i, text in enumerate(client.sent) if text == "fin"]
    heard = client.sent[:ends[0]] if ends else client.sent
    # Who is dismissed by an order may still say something.
    assert messages == heard[:len(messages)], client.name
    assert messages == heard or "/close" in client.ended_by, client.name


def judge_out(channel, number, messages, sent):
    """`out` has what was said: the greeting, all, the farewell if there was one, and the end."""
    said = channel.out(number)
    if said and said[0].turn == 0:
        assert said.pop(0).text == GREETING_TEXT
    assert said.pop().who == "--", (number, said)
    for who in "SC":  # neither an end word nor the farewell is a turn that one answers
        if said and said[-1].who == who and said[-1].text == "fin":
            said.pop()
    assert [one.text for one in said if one.who == "C"] == messages, number
    assert [one.text for one in said if one.who == "S"] == sent, number


def choose_kept(channel, closed):
    """Those of CLOSED, in the order of their ends, whose directories are still there."""
    kept = [number for number in closed if channel.place(number).exists()]
    assert len(kept) == min(DIRECTORIES, len(closed))
    # The events of those who end at once need not come in the order in which they went.
    surely = DIRECTORIES - CONVERSATIONS
    assert set(closed[-surely:]) <= set(kept)
    return kept


def test_every_line_is_accounted_for(server):
    targets, channel, stop = server
    clients, operators = play(targets, channel)
    stop()
    events = channel.read()
    messages, sent = collections.defaultdict(list), collections.defaultdict(list)
    ended = collections.defaultdict(set)
    for event in events:
        if event.kind == "message":
            messages[event.conversation].append(event.text)
        elif event.kind == "sent":
            sent[event.conversation].append(event.text)
        elif event.kind == "done":
            ended[event.conversation].add(event.text)
        assert event.kind in ("opened", "message", "sent", "refused", "done", "closed"), event
    opened = [event.conversation for event in events if event.kind == "opened"]
    closed = [event.conversation for event in events if event.kind == "closed"]
    assert sorted(opened) == sorted(closed)
    assert len(set(opened)) == len(opened)
    # Whose conversation it is shows in the first thing that was said.
    mine = {texts[0].split()[0]: number for number, texts in messages.items()}
    lasting = {mine[client.name] for client in clients if client.lasts}

    judge_orders(operators, events, lasting)
    judge_order(operators, events)
    judge_turns(events)
    unheard = [number for number in opened if not messages[number]]
    for client in clients:
        number = mine.get(client.name)
        if number is None:
            # Its reset took its first words along, though orders had come through.
            assert client.left, f"{client.name} was not heard"
            if not client.got:
                continue
            number = next((n for n in unheard if client.got_first(sent[n])), None)
            assert number, f"nobody was told what {client.name} got"
        client.ended_by = ended[number]
        judge_client(client, messages[number], sent[number])
    for number in choose_kept(channel, closed):
        judge_out(channel, number, messages[number], sent[number])
        assert channel.info(number)["ended"] and not channel.fifo(number).exists()
    assert channel.waiting() == []
    written = sum(operator.written for operator in operators)
    kinds = collections.Counter(event.word or event.kind for event in events)
    print(f"{written} lines were written, {len(clients)} clients came: {dict(kinds)}; not written: "
          f"{sum((o.refusals for o in operators), collections.Counter())}")
    assert kinds["sent"] > written // 4 and kinds["not-open"] and kinds["no-conversation"]
    assert lines_of(channel.path)
