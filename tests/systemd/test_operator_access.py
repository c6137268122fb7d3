"""Who may see and answer conversations, tried by real users: a member of the group marcel-operator,
somebody else, and root; by the files and FIFOs, on the control socket, and on the system bus."""

import re
import stat

import pytest

from conftest import GREETING
from operators import (BUS, BUS_CALL, CONTROL, DIRECTORY, GROUP, INSIDER, NAME, OBJECT, OUTSIDER,
                       PEER_CALL, Listener, add_users, await_bus, bus_call, empty_directory,
                       events_of, listening, method, number_of, order, prepare_operators, run_as)

SECRET = "Le code est 4711"
MATCH = f"type='signal',sender='{NAME}'"
# What was written into nobody's FIFO: it must not be there afterwards.
FORBIDDEN = "Ne dites rien"

METHODS = [
    ("ListConversations",), ("GetConversation", "t", 0), ("GetPast", "t", 0),
    ("Say", "tts", 0, 0, FORBIDDEN), ("Take", "t", 0), ("Give", "ts", 0, "echo"), ("Close", "t", 0),
    ("Reload",), ("Subscribe",), ("Unsubscribe",), ("GetMetrics",),
]


@pytest.fixture(name="held")
def held_fixture(marcel, meet):
    """A conversation that an operator holds, and that waits for an answer: its client, number."""
    add_users(marcel)
    prepare_operators(marcel)
    peer = meet()
    peer.say(SECRET)
    number = number_of(marcel, peer)
    marcel.wait_for(lambda: marcel.output(f"ls {DIRECTORY}/waiting"), "it has its link")
    await_bus(marcel)
    # It is counted a moment later.
    marcel.wait_for(lambda: waiting_by_bus(marcel) == "t 1", "it is counted as waiting")
    return peer, number


def waiting_by_bus(marcel):
    return marcel.output([*BUS_CALL, "get-property", NAME, OBJECT, NAME, "Waiting"])


def with_number(call, number):
    """CALL of METHODS for conversation NUMBER: the first 0 stands for it."""
    arguments = list(call)
    if 0 in arguments:
        arguments[arguments.index(0)] = number
    return arguments


def unharmed(marcel, peer, number):
    """Nobody has touched the conversation: it still waits, and its client heard nothing."""
    told = [match["event"] for match in events_of(marcel) if match["conversation"] == str(number)]
    assert told == ["opened", "message"]
    assert FORBIDDEN not in marcel.read(f"{DIRECTORY}/events")
    order(marcel, "Merci", number)
    assert peer.line() == "Merci"


def test_owners_and_modes(marcel, held):
    number = held[1]
    base = f"{DIRECTORY}/conversations/{number}"
    paths = [CONTROL, DIRECTORY, f"{DIRECTORY}/in", f"{DIRECTORY}/events",
             f"{DIRECTORY}/conversations", f"{DIRECTORY}/waiting", base, f"{base}/in",
             f"{base}/out", f"{base}/info"]
    text = marcel.output(["stat", "--format=%n %A %U:%G", *paths])
    expected = {path: f"drwxr-s--- marcel:{GROUP}" for path in paths}
    for path in (f"{DIRECTORY}/in", f"{base}/in"):
        expected[path] = f"prw--w---- marcel:{GROUP}"
    for path in (f"{DIRECTORY}/events", f"{base}/out", f"{base}/info"):
        expected[path] = f"-rw-r----- marcel:{GROUP}"
    expected[CONTROL] = f"srw-rw---- marcel:{GROUP}"
    assert dict(line.split(" ", 1) for line in text.splitlines()) == expected
    # Nor is there anything that was forgotten here.
    assert marcel.output(f"find {DIRECTORY} {CONTROL} ! -type l -perm /007") == ""
    assert marcel.output(f"find {DIRECTORY} -type p -perm /051") == ""
    assert marcel.output(f"find {DIRECTORY} ! -type p ! -type l -perm /020") == ""
    links = marcel.output(f"ls {DIRECTORY}/waiting").split()
    assert len(links) == 1 and re.fullmatch(rf"\d{{10}}-{number}", links[0])
    assert marcel.output(f"readlink {DIRECTORY}/waiting/{links[0]}") == \
        f"../conversations/{number}"


def test_nobody_else_reads_or_writes_files(marcel, held):
    peer, number = held
    base = f"{DIRECTORY}/conversations/{number}"
    for name in (f"{DIRECTORY}/events", f"{base}/out", f"{base}/info"):
        result = run_as(marcel, OUTSIDER, ["cat", name])
        assert result.returncode and "Permission denied" in result.stderr, name
        assert result.stdout == ""
    for name in (f"{DIRECTORY}/in", f"{base}/in"):
        for line in (f"echo '{FORBIDDEN}' > {name}", f"cat {name}", f"rm -f {name}"):
            result = run_as(marcel, OUTSIDER, line)
            assert result.returncode and "ermission denied" in result.stderr, line
    for line in (f"ls {DIRECTORY}", f"ls {base}", f"touch {DIRECTORY}/new", f"mkdir {base}/new",
                 f"ln -s /etc/passwd {DIRECTORY}/waiting/0-0", f"cd {base}",
                 f"mv {DIRECTORY} /tmp/away", f"chmod 777 {DIRECTORY}", f"rm {CONTROL}",
                 "echo > /run/marcel/new"):
        result = run_as(marcel, OUTSIDER, line)
        assert result.returncode, line
        assert re.search("ermission denied|not permitted|can't cd", result.stderr), line
    unharmed(marcel, peer, number)


@pytest.mark.parametrize("where", ["bus", "socket"])
def test_nobody_else_calls_anything(marcel, held, where):
    peer, number = held
    before = PEER_CALL if where == "socket" else BUS_CALL
    calls = [method(*with_number(call, number)) for call in METHODS]
    calls += [["get-property", NAME, OBJECT, NAME, "Conversations"],
              ["introspect", NAME, OBJECT], ["tree", NAME],
              ["call", NAME, OBJECT, "org.freedesktop.DBus.Properties", "GetAll", "s", NAME],
              ["call", NAME, OBJECT, "org.freedesktop.DBus.Introspectable", "Introspect"],
              ["call", NAME, OBJECT, "org.freedesktop.DBus.Peer", "Ping"],
              ["call", NAME, OBJECT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects"]]
    owner = marcel.output([*BUS_CALL, "call", "org.freedesktop.DBus", "/org/freedesktop/DBus",
                           "org.freedesktop.DBus", "GetNameOwner", "s", NAME]).split('"')[1]
    # By the connection's own name, too, which no policy file can name.
    calls += [method(*with_number(call, number), service=owner) for call in METHODS]
    for call in calls:
        result = run_as(marcel, OUTSIDER, [*before, *call])
        assert result.returncode, call
        said = result.stdout + result.stderr
        assert re.search("ccess denied|ermission denied|AccessDenied|not permitted", said), \
            (call, said)
        assert call[0] == "tree" or result.stdout == "", call
    unharmed(marcel, peer, number)


def test_nobody_else_takes_the_name(marcel, held):
    marcel.run("systemctl stop marcel.socket marcel.service")
    for user in (OUTSIDER, INSIDER):
        result = run_as(marcel, user, [*BUS_CALL, "call", "org.freedesktop.DBus",
                                       "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                       "RequestName", "su", NAME, "0"])
        assert result.returncode and "denied" in result.stderr.lower(), (user, result)
    assert held


def test_nobody_else_hears_anything(marcel, held):
    peer, number = held
    with listening(marcel, INSIDER, BUS, "subscribe", MATCH) as insider, \
            listening(marcel, INSIDER, CONTROL, "subscribe") as beside, \
            listening(marcel, OUTSIDER, BUS, "subscribe", MATCH, "type='signal'",
                      "eavesdrop='true'", f"eavesdrop='true',{MATCH}") as outsider:
        peer.say("Et encore : " + SECRET)
        for listener in (insider, beside):
            listener.until("Et encore : " + SECRET)
        order(marcel, "Vu : " + SECRET, number)
        assert peer.line() == "Vu : " + SECRET
        for listener in (insider, beside):
            listener.until("Vu : " + SECRET)
        bus_call(marcel, "Close", "t", number)
        assert peer.rest() == ["fin"]
        insider.until("Closed")
        # A signal that everybody may get, sent after all of these.
        marcel.run([*BUS_CALL, "emit", "/org/example", "org.example.Fence", "Done", "s", "fence"])
        heard = "".join(outsider.until("org.example.Fence"))
    assert SECRET not in heard and "Vu :" not in heard, heard
    assert OBJECT not in heard, heard
    assert heard.count("AccessDenied") >= 1, heard
    # Nor may they be what sees everything.
    for command in (["busctl", "--system", "monitor"], [*PEER_CALL, "monitor"]):
        result = run_as(marcel, OUTSIDER, command)
        assert result.returncode and SECRET not in result.stdout, command


def test_nobody_else_connects_to_the_socket(marcel, held):
    assert held
    with Listener(marcel, OUTSIDER, CONTROL) as listener:
        with pytest.raises(AssertionError, match="Permission denied"):
            listener.until("listening")
    mode = marcel.path(CONTROL).lstat().st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o660


def test_operators_do_all_of_it_with_a_shell(marcel, held):
    peer, number = held
    base = f"{DIRECTORY}/conversations/{number}"

    def shell(line):
        result = run_as(marcel, INSIDER, line)
        assert (result.returncode, result.stderr) == (0, ""), (line, result)
        return result.stdout

    assert SECRET in shell(f"cat {DIRECTORY}/events")
    assert shell(f"cat {base}/out").splitlines()[-1].endswith(f"C> #1 {SECRET}")
    assert f"conversation={number}\n" in shell(f"cat {base}/info")
    shell(f"echo Bonjour > {base}/in")
    assert peer.line() == "Bonjour"
    shell(f"echo '{number} Bonsoir' > {DIRECTORY}/in")
    assert peer.line() == "Bonsoir"
    peer.say("et")
    shell(f"until ls {DIRECTORY}/waiting | grep -q -- '-{number}$'; do sleep 0.1; done")
    shell(f"first=$(ls {DIRECTORY}/waiting | head -n 1)\n"
          f"echo '#2 Oui ?' > {DIRECTORY}/waiting/$first/in")
    assert peer.line() == "Oui ?"
    shell(f"echo '* /close' > {DIRECTORY}/in")
    assert peer.rest() == ["fin"]


def test_operators_cannot_steal_or_replace(marcel, held):
    peer, number = held
    base = f"{DIRECTORY}/conversations/{number}"
    for line in (f"cat {DIRECTORY}/in", f"cat {base}/in", f"exec 3<> {base}/in",
                 f"rm -f {DIRECTORY}/in", f"rm -f {base}/in", f"rm -f {DIRECTORY}/events",
                 f"mv {base}/in {base}/in2", f"mkfifo {base}/more", f"touch {DIRECTORY}/more",
                 f"ln -s /etc/passwd {DIRECTORY}/waiting/0-0", f"mkdir {DIRECTORY}/more",
                 f"rm {DIRECTORY}/waiting/*", f"echo x >> {DIRECTORY}/events",
                 f"echo x > {base}/out", f": > {base}/info", f"chmod 777 {base}/in",
                 f"chmod 777 {DIRECTORY}", f"chgrp {INSIDER} {base}/out", f"rm {CONTROL}",
                 f"touch {DIRECTORY}/conversations/more", f"cat {DIRECTORY}/.lock"):
        result = run_as(marcel, INSIDER, line)
        assert result.returncode, line
        assert re.search("ermission denied|not permitted", result.stderr), (line, result.stderr)
    unharmed(marcel, peer, number)


@pytest.mark.parametrize("user", [INSIDER, "root"])
@pytest.mark.parametrize("where", ["bus", "socket"])
def test_operators_call_everything(marcel, held, user, where):
    peer, number = held
    before = PEER_CALL if where == "socket" else BUS_CALL

    def busctl(*command):
        result = run_as(marcel, user, [*before, *command])
        assert (result.returncode, result.stderr) == (0, ""), (command, result)
        return result.stdout

    assert busctl("get-property", NAME, OBJECT, NAME, "Waiting") == "t 1\n"
    for wanted in ("ListConversations", "Say", "Waiting", "OperatorDirectory", "Closed"):
        assert f".{wanted} " in busctl("introspect", NAME, OBJECT)
    assert OBJECT in busctl("tree", NAME)
    listed = busctl(*method("ListConversations"))
    assert f" {number} " in listed and '"fifo"' in listed
    assert f"{number}" in busctl(*method("GetConversation", "t", number))
    assert SECRET in busctl(*method("GetPast", "t", number))
    assert "marcel" in busctl(*method("GetMetrics"))
    busctl(*method("Say", "tts", number, 1, "Bonjour"))
    assert peer.line() == "Bonjour"
    refused = run_as(marcel, user, [*before, *method("Say", "tts", number, 1, "Bonjour")])
    assert refused.returncode and refused.stderr
    busctl(*method("Give", "ts", number, "echo"))
    assert peer.ask("encore") == "encore"
    busctl(*method("Take", "t", number))
    peer.say("et là ?")
    order(marcel, "Oui", number)
    assert peer.line() == "Oui"
    busctl(*method("Reload"))
    busctl(*method("Close", "t", number))
    assert peer.rest() == ["fin"]


def test_root_monitors_the_bus(marcel, held):
    peer, number = held
    with listening(marcel, INSIDER, BUS, "subscribe", MATCH):
        marcel.write("/run/monitored", "")
        with marcel.running(f"busctl --system monitor {NAME} > /run/monitored 2>&1"):
            marcel.wait_for(lambda: "Monitoring" in marcel.read("/run/monitored"), "it monitors")
            order(marcel, "Regardez", number)
            assert peer.line() == "Regardez"
            marcel.wait_for(lambda: "Regardez" in marcel.read("/run/monitored"), "root sees it")


def test_no_directory_means_nobody_but_root(marcel, meet):
    """Without the directory that tmpfiles makes nothing has the group, and nobody gets in."""
    add_users(marcel)
    prepare_operators(marcel)
    marcel.run(f"rm -rf {DIRECTORY}")
    try:
        peer = meet()
        number = number_of(marcel, peer)
        assert marcel.output(f"find {DIRECTORY} {CONTROL} ! -type l -perm /007") == ""
        for line in (f"cat {DIRECTORY}/events", f"echo no > {DIRECTORY}/in"):
            assert run_as(marcel, INSIDER, line).returncode, line
        assert run_as(marcel, INSIDER, [*PEER_CALL, *method("ListConversations")]).returncode
        marcel.run(f"echo '{number} Bonjour' > {DIRECTORY}/in")
        assert peer.line() == "Bonjour"
        assert marcel.run([*PEER_CALL, *method("ListConversations")]).stdout
    finally:
        marcel.run("systemctl stop marcel.socket marcel.service")
        empty_directory(marcel)


def test_marcelctl_names_the_group(marcel, held):
    assert held and GREETING
    for command in ("list", "status", f"show {held[1]}", f"say {held[1]} {FORBIDDEN!r}",
                    f"take {held[1]}", f"close {held[1]}", "follow", "reload", "metrics",
                    "desk --plain", "desk"):
        line = f"marcelctl {command}"
        if command == "desk":
            # It wants a terminal, where all that is said comes out as one.
            line = f"script -qec '{line}' /dev/null >&2"
        result = run_as(marcel, OUTSIDER, line)
        assert result.returncode, command
        assert GROUP in result.stderr, (command, result)
        assert SECRET not in result.stdout + result.stderr, (command, result)
        assert "adduser" in result.stderr or "usermod" in result.stderr, (command, result)
    unharmed(marcel, *held)


def test_marcelctl_works_for_operators(marcel, held):
    peer, number = held
    for user in (INSIDER, "root"):
        assert str(number) in run_as(marcel, user, "marcelctl list").stdout
        assert SECRET in run_as(marcel, user, f"marcelctl show {number}").stdout
    result = run_as(marcel, INSIDER, f"marcelctl say {number} 'Bonjour, vous'")
    assert result.returncode == 0, result
    assert peer.line() == "Bonjour, vous"
    assert run_as(marcel, INSIDER, f"marcelctl close {number}").returncode == 0
    assert peer.rest() == ["fin"]
