"""Conversations that operators hold go on through restarts, SIGKILL and upgrades, with the orders
that wait and the turns that are open; and so does a script they were taken from."""

import fcntl
import os
import random
import struct
import termios
import time

import pytest

from conftest import GREETING, Peer, of_kind, repeat
from crowd import (QUIET, TCP, TCP6, Crowd, await_ready, crowds, handovers, kill, kill_often, losses,
                   restarts, summary)
from operators import (CONFIG, DIRECTORY, await_bus, bus_call, check_numbers, events_of, number_of,
                       numbers_by_address, order, prepare_operators)
from robot import robots
from test_unbroken_upgrade import install

RESTARTS = repeat(20, least=3)
KILLS = repeat(100, least=8)
ROUNDS = repeat(50, least=5)
SEED = 20265
PATH = "/etc/marcel/scripts/unbroken.script"

# What an operator may step into the middle of.
SCRIPT = """marcel-script 1
end "fin"
let kept = "nothing"
on 'HELP'               hand fifo
on 'DRAFT'              hand fifo draft "so be it"
on 'STAY'               hand fifo stay
on "SET {x}"            set kept ${x}; say "set"
on 'GET'                say "${kept}"
on 'CYCLE'              cycle { say "a" } | { say "b" } | { say "c" }
"""
SCRIPTED = (f"[dialogue]\nresponder = script\n[script]\nfile = {PATH}\n"
            "[fifo]\nabsent_after = infinity\n")


def check_well(marcel):
    assert not losses(marcel)
    assert all(one["lost"] == 0 for one in handovers(marcel))
    assert marcel.show("marcel.service", "ActiveState") == "active"
    check_numbers(marcel)
    assert "trouble" not in {match["event"] for match in events_of(marcel)}


def disturb(marcel, how):
    """One restart or SIGKILL, and the service runs again."""
    if how == "kill":
        kill(marcel)
    else:
        marcel.run("systemctl restart marcel.service")
    await_ready(marcel)


def report(record_property, name, count, figures, operators):
    text = (f"{count} times: {summary(*figures)}, {operators[0].answered} messages, "
            f"given again: {sum(one.resent for one in operators)}")
    record_property(name, text)
    print(f"{name}, {text}")


def everybody(marcel):
    counted = {"counted": True, "pause": 20}
    return crowds(marcel, (TCP, {**counted, "clients": 40, "batch": 3}),
                  (TCP6, {**counted, "clients": 20, "size": 1000}),
                  (TCP, {**counted, "clients": 10, "churn": 5}))


# Two operators answer every message, so each answer is refused once, and its client gets it once.

def test_crowds_through_restarts(marcel, record_property):
    prepare_operators(marcel, CONFIG + QUIET)
    with robots(marcel, 2) as operators, everybody(marcel) as all_of_them:
        for _ in range(RESTARTS):
            marcel.run("systemctl restart marcel.service")
            for crowd in all_of_them[:2]:
                crowd.ask()
                crowd.figures()
            time.sleep(0.3)
        figures = [all_of_them[i].finish(early=i == 2) for i in range(len(all_of_them))]
    check_well(marcel)
    # In good order nothing is ever lost.
    assert not marcel.output(f"ls {DIRECTORY}/waiting")
    report(record_property, "crowds of operators, restarts", RESTARTS, figures, operators)


def test_crowds_through_kills(marcel, record_property):
    prepare_operators(marcel, CONFIG + QUIET)
    with robots(marcel, 2) as operators, everybody(marcel) as all_of_them:
        kill_often(marcel, KILLS, random.Random(SEED))
        figures = [all_of_them[i].finish(early=i == 2) for i in range(len(all_of_them))]
    # The manager may count the last one only after kill_often() has looked: then there is one more.
    assert restarts(marcel) in (KILLS, KILLS + 1)
    check_well(marcel)
    assert not marcel.output(f"ls {DIRECTORY}/waiting")
    report(record_property, "crowds of operators, kills", KILLS, figures, operators)


class Pushed:
    """A client to whom an operator says numbered lines, unasked; it must get each once, in order."""

    def __init__(self, marcel):
        self.marcel = marcel
        self.peer = Peer(marcel)
        assert self.peer.line() == GREETING
        self.number = number_of(marcel, self.peer)
        self.said = 0

    def push(self, count):
        """Says COUNT lines by the conversation's own FIFO, as one writer."""
        descriptor = os.open(self.marcel.path(f"{DIRECTORY}/conversations/{self.number}/in"),
                             os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            for _ in range(count):
                self.said += 1
                assert os.write(descriptor, f"line {self.said}\n".encode())
        finally:
            os.close(descriptor)

    def check(self):
        order(self.marcel, "the end", self.number)
        heard = []
        while (line := self.peer.line()) != "the end":
            heard.append(line)
        return heard


@pytest.mark.parametrize("how", ["restart", "kill"])
def test_lines_that_nobody_asked_for(marcel, how, record_property):
    prepare_operators(marcel)
    clients = [Pushed(marcel) for _ in range(20)]
    dice = random.Random(SEED)
    for _ in range(ROUNDS):
        for client in clients:
            client.push(dice.randrange(5))
        if how == "kill":
            kill(marcel)
        else:
            marcel.run("systemctl restart --no-block marcel.service")
        for client in clients:
            client.push(dice.randrange(5))
        await_ready(marcel)
    odd = sum(judge(client, how) for client in clients)
    check_well(marcel)
    text = f"{sum(client.said for client in clients)} lines, {odd} repeated or lost"
    record_property(f"lines, {how}", text)
    print(f"lines, {how}: {text}")


def judge(client, how):
    """Whether what was lost or repeated of CLIENT's lines is no more than kills may cost; how many
    there are."""
    heard = client.check()
    wanted = [f"line {i + 1}" for i in range(client.said)]
    if how == "restart":
        assert heard == wanted
    assert sorted(set(heard), key=heard.index) == [line for line in wanted if line in heard]
    # At most one is repeated or lost by each kill, so hardly two in a row.
    times = [heard.count(line) for line in wanted]
    odd = [number for number, count in enumerate(times) if count != 1]
    assert max(times, default=0) <= 2 and len(odd) <= ROUNDS, (client.number, odd)
    assert all(after > before + 1 for before, after in zip(odd, odd[1:])), (client.number, odd)
    # Each has its event, or two.
    told = [match["rest"] for match in events_of(client.marcel) if match["event"] == "sent"
            and match["conversation"] == str(client.number)]
    assert set(wanted) <= set(told), sorted(set(wanted) - set(told))
    assert how == "kill" or told == [*wanted, "the end"]
    return len(odd)


def await_taken(marcel, number):
    """Waits until the daemon has read what was written to the conversation's FIFO."""
    descriptor = os.open(marcel.path(f"{DIRECTORY}/conversations/{number}/in"),
                         os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        marcel.wait_for(lambda: struct.unpack("i", fcntl.ioctl(descriptor, termios.FIONREAD,
                                                                b"\0" * 4))[0] == 0,
                        "the FIFO is empty", interval=0.001)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("how", ["restart", "kill"])
def test_half_an_order(marcel, meet, how):
    prepare_operators(marcel)
    peer = meet()
    number = number_of(marcel, peer)
    with open(marcel.path(f"{DIRECTORY}/conversations/{number}/in"), "wb", buffering=0) as fifo:
        for i in range(ROUNDS):
            fifo.write(f"half {i} and ".encode())
            await_taken(marcel, number)
            if how == "kill":
                kill(marcel)
            else:
                marcel.run("systemctl restart --no-block marcel.service")
            fifo.write(b"half\n")
            await_ready(marcel)
            assert peer.line() == f"half {i} and half"
    check_well(marcel)


@pytest.mark.parametrize("how", ["restart", "kill"])
def test_orders_that_nobody_has_read(marcel, meet, how):
    """They lie in both FIFOs while the daemon stands still, and turns are open."""
    prepare_operators(marcel)
    peers = [meet() for _ in range(5)]
    numbers = [number_of(marcel, peer) for peer in peers]
    for i in range(ROUNDS):
        for peer in peers:
            peer.say(f"first {i}")
            peer.say(f"second {i}")
        turn = 2 * i + 2
        told = {f"{number} #{turn}" for number in numbers}

        def are_open():
            return told <= {f"{match['conversation']} #{match['turn']}"
                            for match in events_of(marcel) if match["event"] == "message"}
        marcel.wait_for(are_open, "all turns are open")
        pid = marcel.main_pid("marcel.service")
        marcel.kill(pid, "STOP")
        for number in numbers:
            order(marcel, f"#{turn} to the second", number)
            order(marcel, f"#{turn} too late", number)
            order(marcel, f"{number} /note {i} by the other FIFO")
            order(marcel, f"#{turn - 1} to the first", number)
            order(marcel, "and to all", number)
        if how == "kill":
            kill(marcel)
        else:
            # systemd lets it go on, in order to stop it.
            marcel.run("systemctl restart --no-block marcel.service")
        await_ready(marcel)
        for peer in peers:
            assert [peer.line() for _ in range(3)] == ["to the second", "to the first",
                                                       "and to all"], i
    for number in numbers:
        assert "waiting=0\n" in marcel.read(f"{DIRECTORY}/conversations/{number}/info")
    check_notes(marcel, [(str(number), f"{i} by the other FIFO")
                         for i in range(ROUNDS) for number in numbers], how)
    refused = [match["rest"] for match in events_of(marcel) if match["event"] == "refused"]
    assert set(refused) == {"not-open: too late"}
    # Events may be told twice when the daemon dies, and are never missing.
    assert len(refused) >= ROUNDS * len(peers)
    if how == "restart":
        assert len(refused) == ROUNDS * len(peers)
    check_well(marcel)


def check_notes(marcel, wanted, how):
    """Each note, a pair of the conversation and the text, is in the journal, and has its event."""
    def told():
        return [(match["conversation"], match["rest"]) for match in events_of(marcel)
                if match["event"] == "done"]
    marcel.wait_for(lambda: {(number, f"/note {text}") for number, text in wanted} <= set(told()),
                    "all notes are done")

    def noted():
        return [(entry["MARCEL_CONVERSATION"], entry["MESSAGE"])
                for entry in marcel.journal(of_kind("RESPONDER_LOG"), since=marcel.start_of_test)]
    marcel.wait_for(lambda: set(wanted) <= set(noted()), "all notes are in the journal")
    # In good order they are not told twice.
    assert how == "kill" or len(told()) == len(noted()) == len(wanted)


class Talker:
    """A client of the script that operators step in for; each step is begun before a restart or
    kill, and ended after it."""

    STEPS = ("help", "draft", "stay", "take", "take and answer")

    def __init__(self, marcel, number):
        self.marcel = marcel
        self.peer = Peer(marcel)
        self.name = number
        self.round = 0
        self.turn = 0
        self.cycles = 0
        self.conversation = None

    def ask(self, text):
        self.turn += 1
        return self.peer.ask(text)

    def say(self, text):
        self.turn += 1
        self.peer.say(text)

    def await_event(self, *events):
        """Waits until one of EVENTS was told of this turn."""
        def told():
            return any(match["event"] in events and match["conversation"] == str(self.conversation)
                       and match["turn"] == str(self.turn) for match in events_of(self.marcel))
        self.marcel.wait_for(told, f"{events} of #{self.turn} of {self.conversation}", interval=0.02)

    def begin(self):
        self.round += 1
        assert self.ask(f"SET {self.name}-{self.round}") == "set"
        step = self.STEPS[(self.name + self.round) % len(self.STEPS)]
        if step in ("help", "draft", "stay"):
            self.say(step.upper())
            self.await_event("draft" if step == "draft" else "message")
        else:
            bus_call(self.marcel, "Take", "t", self.conversation)
            self.say("hello")
            if step == "take and answer":
                order(self.marcel, "at once", self.conversation)
                order(self.marcel, "and again", self.conversation)
        return step

    def end(self, step):
        if step in ("help", "take", "stay"):
            self.await_event("message")
            order(self.marcel, f"#{self.turn} answer {self.round}", self.conversation)
            assert self.peer.line() == f"answer {self.round}"
        elif step == "draft":
            order(self.marcel, "", self.conversation)
            assert self.peer.line() == "so be it"
        else:
            assert [self.peer.line(), self.peer.line()] == ["at once", "and again"]
        if step == "stay":
            self.say("more")
            order(self.marcel, "of course", self.conversation)
            assert self.peer.line() == "of course"
        if step in ("stay", "take", "take and answer"):
            order(self.marcel, "/give script", self.conversation)
            self.marcel.wait_for(self.is_given, "the script has it again", interval=0.02)
        # The script has not forgotten anything.
        assert self.ask("GET") == f"{self.name}-{self.round}"
        assert self.ask("CYCLE") == "abc"[self.cycles % 3]
        self.cycles += 1

    def is_given(self):
        mine = [match["event"] for match in events_of(self.marcel)
                if match["conversation"] == str(self.conversation)]
        return mine[-1] == "left"


@pytest.mark.parametrize("how", ["restart", "kill"])
def test_scripts_that_operators_step_in_for(marcel, how):
    marcel.write(PATH, SCRIPT)
    prepare_operators(marcel, SCRIPTED)
    talkers = [Talker(marcel, number) for number in range(10)]
    assert [talker.peer.line() for talker in talkers] == [GREETING] * len(talkers)
    await_bus(marcel)
    numbers = numbers_by_address(marcel)
    for talker in talkers:
        talker.conversation = numbers[talker.peer.address()]
    for _ in range(ROUNDS):
        await_bus(marcel)
        steps = [talker.begin() for talker in talkers]
        disturb(marcel, how)
        for talker, step in zip(talkers, steps):
            talker.end(step)
    check_well(marcel)


def test_an_upgrade_under_operators(marcel, record_property):
    prepare_operators(marcel, CONFIG + QUIET)
    quiet = Pushed(marcel)
    with robots(marcel, 2) as operators, \
            Crowd(marcel, TCP, counted=True, clients=40, pause=50) as crowd:
        install(marcel, "+next")
        quiet.push(3)
        install(marcel, "", "--allow-downgrades")
        figures = crowd.finish()
    assert quiet.check() == ["line 1", "line 2", "line 3"]
    assert len(handovers(marcel)) == 2
    assert restarts(marcel) == 0
    check_well(marcel)
    report(record_property, "upgrade under operators", 2, [figures], operators)


def test_a_stop_ends_them_and_numbers_go_on(marcel, meet):
    prepare_operators(marcel)
    peers = [meet() for _ in range(3)]
    numbers = [number_of(marcel, peer) for peer in peers]
    peers[0].say("Bonjour")
    marcel.wait_for(lambda: marcel.output(f"ls {DIRECTORY}/waiting"), "somebody waits")
    before = marcel.path(f"{DIRECTORY}/in").stat().st_ino
    marcel.run("systemctl stop marcel.socket marcel.service")
    for peer, number in zip(peers, numbers):
        assert peer.rest() == ["fin"]
        assert not marcel.exists(f"{DIRECTORY}/conversations/{number}/in")
        assert "ended=stop\n" in marcel.read(f"{DIRECTORY}/conversations/{number}/info")
    assert marcel.show("marcel.service", "NFileDescriptorStore") == "0"
    assert not marcel.output(f"ls {DIRECTORY}/waiting")
    told = len(events_of(marcel))
    marcel.run("systemctl start marcel.socket")
    peer = meet()
    number = number_of(marcel, peer)
    assert number > max(numbers)
    assert marcel.path(f"{DIRECTORY}/in").stat().st_ino == before
    order(marcel, f"{numbers[0]} is not you")
    order(marcel, f"{number} is")
    assert peer.line() == "is"
    after = [match for match in events_of(marcel)[told:] if match["event"] == "refused"]
    assert [match["rest"] for match in after] == ["no-conversation: is not you"]
    check_numbers(marcel)


def test_the_store_stays_small(marcel):
    """A conversation's FIFO lies in a vault: hundreds of them cost the store no descriptor."""
    prepare_operators(marcel, CONFIG + QUIET)
    with robots(marcel, 1), Crowd(marcel, TCP, counted=True, clients=300, pause=100) as crowd:
        held = int(marcel.show("marcel.service", "NFileDescriptorStore"))
        marcel.run("systemctl restart marcel.service")
        crowd.finish()
    assert held <= 8
    check_well(marcel)
