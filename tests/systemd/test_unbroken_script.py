"""Conversations held by scripts go on through restarts and SIGKILL, as those by the echo do: crowds
that check every answer, and a few that stand in the middle of whatever takes a script time."""

import random
import time

import pytest

from conftest import Peer, repeat
from crowd import (TCP, TCP6, UNIX, await_ready, crowds, handovers, kill, kill_often, losses,
                   prepare, restarts, summary)

RESTARTS = repeat(20, least=3)
KILLS = repeat(100, least=8)
SEED = 20262
PATH = "/etc/marcel/scripts/unbroken.script"

# Whose state is not exactly that of the last answer is found out: odd lines and even ones have
# a state each, and nobody says the same line twice. Each has a variable, a list, a property, a
# timer; some answers take time.
CROWD = """marcel-script 1
end "fin"
let last = "nothing"
prop VOLT float 0..30 = 5  get 'VOLT?' set 'VOLT {}'

always
    on every 100ms                 add ticks "x"; shift ticks
    on "slow {line}*"              wait 1ms..5ms; say "${turn} ${message}"
    otherwise                      say "not ${message}, after ${last}"

state odd
    on /c\\d+ \\d*[13579]( |$)/ when ${last} != ${message}
                                   set last ${message}; say "${turn} ${message}"; goto even
state even
    on /c\\d+ \\d*[02468]( |$)/ when ${last} != ${message}
                                   set last ${message}; say "${turn} ${message}"; goto odd
"""

# Everything that takes time, one after another.
STEPS = """marcel-script 1
frame line crlf
end none
on connect                  say "220"; wait 10ms; say "ready"
on every 70ms when ${ticking} == "yes"
                            add ticks "t"; say "tick"
always
    on "SET {x}"            set kept ${x}; say "set"
    on 'GET'                say "${kept}"
    on 'BODY'               say "go"; collect body until "." unstuff
                            say "${body|length} ${body}"
    on "BYTES {n:int}"      collect part ${n} bytes; say "${part}"
    on 'WAIT'               wait 100ms; say "waited"
    on 'DRIP'               drip 2 every 5ms "abcdefghijkl"
    on 'TICK'               set ticking "yes"
    on 'QUIET'              set ticking "no"; say "quiet ${ticks|length}"; clear ticks
    on 'CYCLE'              cycle { say "a" } | { say "b" } | { say "c" }
    on 'QUIT'               say "bye"; close
"""


def prepare_script(marcel, text):
    marcel.write(PATH, text)
    prepare(marcel, config=f"[dialogue]\nresponder = script\n[script]\nfile = {PATH}\n")


def check_losses(marcel):
    assert not losses(marcel)
    assert all(one["lost"] == 0 for one in handovers(marcel))
    assert marcel.show("marcel.service", "ActiveState") == "active"


def report(record_property, name, count, figures):
    text = f"{count} times: {summary(*figures)}"
    record_property(name, text)
    print(f"{name}, {text}")


COUNTED = {"counted": True}


def everybody(marcel, *more):
    return crowds(marcel, (TCP, {**COUNTED, "clients": 60, "batch": 5}),
                  (TCP6, {**COUNTED, "clients": 40, "size": 3000}),
                  (TCP, {**COUNTED, "clients": 20, "command": "slow", "pause": 5}),
                  (TCP, {**COUNTED, "clients": 20, "churn": 5}), *more)


def test_crowds_through_restarts(marcel, record_property):
    prepare_script(marcel, CROWD)
    with everybody(marcel, (UNIX, {**COUNTED, "clients": 40, "batch": 3})) as all_of_them:
        for _ in range(RESTARTS):
            marcel.run("systemctl restart marcel.service")
            for crowd in all_of_them[:3]:
                crowd.figures()
            time.sleep(0.2)
        figures = [all_of_them[i].finish(early=i == 3) for i in range(len(all_of_them))]
    check_losses(marcel)
    report(record_property, "scripted crowds, restarts", RESTARTS, figures)


def test_crowds_through_kills(marcel, record_property):
    prepare_script(marcel, CROWD)
    with everybody(marcel) as all_of_them:
        kill_often(marcel, KILLS, random.Random(SEED))
        figures = [all_of_them[i].finish(early=i == 3) for i in range(len(all_of_them))]
    # The manager may count the last one only after kill_often() has looked: then there is one more.
    assert restarts(marcel) in (KILLS, KILLS + 1)
    check_losses(marcel)
    report(record_property, "scripted crowds, kills", KILLS, figures)


class Talker:
    """A client that goes through all steps, each begun before a restart or kill and ended after."""

    def __init__(self, marcel, number):
        self.peer = Peer(marcel)
        self.number = number
        self.round = 0
        self.expect("220\r\nready\r\n")

    def send(self, text):
        self.peer.socket.sendall(text.encode())

    def expect(self, text):
        wanted = text.encode()
        got = b""
        while len(got) < len(wanted):
            data = self.peer.socket.recv(len(wanted) - len(got))
            assert data, f"client {self.number}: end of file after {got}, wanted {wanted}"
            got += data
        assert got == wanted, (self.number, self.round)

    def begin(self):
        self.round += 1
        self.send(f"SET {self.number}-{self.round}\r\n")
        self.expect("set\r\n")
        step = (self.number + self.round) % 5
        self.send(("BODY\r\na\r\n..", "BYTES 12\r\na\r\nb", "WAIT\r\nCYC", "DRIP\r\nCYC",
                   "TICK\r\n")[step])
        return step

    def end(self, step):
        cycle = "abc"[self.cycles() % 3]
        if step == 0:
            self.send("b\r\n.\r\nGET\r\n")
            self.expect("go\r\n7 a\r\n.b\r\n\r\n")
        elif step == 1:
            self.send("\0cdefghijk"[:8] + "GET\r\n")
            self.expect("a\r\nb\0cdefghi"[:12] + "\r\n")
        elif step == 2:
            self.send("LE\r\nGET\r\n")
            self.expect(f"waited\r\n{cycle}\r\n")
        elif step == 3:
            self.send("LE\r\nGET\r\n")
            self.expect(f"abcdefghijkl\r\n{cycle}\r\n")
        else:
            self.expect("tick\r\ntick\r\n")
            self.send("QUIET\r\nGET\r\n")
            ticks = 2
            while (line := self.line()) == "tick":
                ticks += 1
            # "t, t, t": one letter a tick, and two bytes between.
            assert line == f"quiet {3 * ticks - 2}"
        self.expect(f"{self.number}-{self.round}\r\n")

    def cycles(self):
        """How often CYCLE was said before this round."""
        return sum((self.number + before) % 5 in (2, 3) for before in range(1, self.round))

    def line(self):
        got = b""
        while not got.endswith(b"\r\n"):
            data = self.peer.socket.recv(1)
            assert data, got
            got += data
        return got[:-2].decode()


@pytest.mark.parametrize("how", ["restart", "kill"])
def test_in_the_middle_of_everything(marcel, how):
    prepare_script(marcel, STEPS)
    talkers = [Talker(marcel, number) for number in range(20)]
    for _ in range(max(5, RESTARTS)):
        steps = [talker.begin() for talker in talkers]
        if how == "kill":
            kill(marcel)
        else:
            marcel.run("systemctl restart marcel.service")
        await_ready(marcel)
        for talker, step in zip(talkers, steps):
            talker.end(step)
    # A script that has changed meanwhile is for who comes now.
    marcel.write(PATH, STEPS.replace('"bye"', '"au revoir"').replace("CYCLE", "OTHER"))
    steps = [talker.begin() for talker in talkers]
    marcel.run("systemctl restart marcel.service")
    await_ready(marcel)
    newcomer = Talker(marcel, 100)
    newcomer.send("QUIT\r\n")
    newcomer.expect("au revoir\r\n")
    for talker, step in zip(talkers, steps):
        talker.end(step)
        talker.send("QUIT\r\n")
        talker.expect("bye\r\n")
    check_losses(marcel)
