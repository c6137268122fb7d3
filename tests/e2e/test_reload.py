"""SIGHUP: a good configuration holds for new conversations; a bad one changes nothing."""

import os
import signal

import pytest

from daemon_tools import repeat

GOOD = "[dialogue]\ngreeting = un\nfarewell = adieu\n"


def reload(server, text, kind="reloaded"):
    """Gives SERVER another configuration and waits for what it says to it."""
    before = len(server.records(kind))
    server.configure(text)
    server.signal(signal.SIGHUP)
    return server.wait_record(kind, count=before + 1)


def test_a_good_configuration_holds_from_now_on(marceld):
    server = marceld(GOOD)
    old = server.connect(greeting=b"un\n")
    reload(server, "[dialogue]\ngreeting = deux\nfarewell = bye\nend_words = stop\n")
    new = server.connect(greeting=b"deux\n")
    # Nothing changes in the middle of a dialogue.
    old.send("stop\n").expect("stop\n").send("fin\n").expect_end(b"adieu\n")
    new.send("fin\n").expect("fin\n").send("stop\n").expect_end(b"bye\n")


def test_the_daemon_s_own_settings(marceld):
    server = marceld("[journal]\ntranscript = full\n")
    peer = server.connect().send("a\n").expect("a\n")
    server.wait_record("said", message="S> a")
    reload(server, "[journal]\ntranscript = off\n[limits]\nconversations = 1\nrefusal = non\n")
    said = len(server.records("said"))
    peer.send("b\n").expect("b\n")
    server.connect(greeting=b"").expect_end(b"non\n")
    server.wait_record("refused")
    assert len(server.records("said")) == said


BAD = [
    ("[dialogue]\ngreeting = deux\ngreating = x\n", 3),
    ("[dialogue]\ngreeting = deux\n\nidle_timeout = soon\n", 4),
    ("[dialogue]\ngreeting = deux\ngreeting = trois\n", 3),
    ("[dialogue]\ngreeting = deux\n[dialog]\n", 3),
    ("[dialogue]\ngreeting = deux\nno equals sign\n", 3),
    ("[dialogue]\ngreeting = deux\nfarewell = a\0b\n", 3),
]


@pytest.mark.parametrize("text, line", BAD)
def test_a_bad_configuration_changes_nothing(marceld, text, line):
    server = marceld(GOOD)
    record = reload(server, text, "reload_failed")
    assert f"{server.config_file}:{line}" in record.message
    server.connect(greeting=b"un\n").send("fin\n").expect_end(b"adieu\n")
    assert not server.records("reloaded")
    # And the next good one is taken.
    reload(server, "[dialogue]\ngreeting = quatre\n")
    server.connect(greeting=b"quatre\n")


def test_a_file_that_is_gone(marceld):
    server = marceld(GOOD)
    server.config_file.unlink()
    server.signal(signal.SIGHUP)
    assert str(server.config_file) in server.wait_record("reload_failed").message
    server.connect(greeting=b"un\n")


def test_a_directory_instead_of_the_file(marceld):
    server = marceld(GOOD)
    server.config_file.unlink()
    server.config_file.mkdir()
    server.signal(signal.SIGHUP)
    assert str(server.config_file) in server.wait_record("reload_failed").message
    server.connect(greeting=b"un\n")
    server.config_file.rmdir()


def test_the_command_line_still_wins_after_a_reload(marceld):
    server = marceld(GOOD, args=["-r", "echo"])
    reload(server, GOOD.replace("un", "deux"))
    server.connect(greeting=b"deux\n").send("a\n").expect("a\n")


def test_many_reloads_under_conversations(marceld):
    server = marceld(GOOD)
    talking = server.connect(greeting=b"un\n")
    fds = None
    for number in range(repeat(200)):
        reload(server, f"[dialogue]\ngreeting = {number}\nfarewell = adieu {number}\n")
        talking.send("a\n").expect("a\n")
        with server.connect(greeting=f"{number}\n".encode()) as peer:
            peer.send("fin\n").expect_end(f"adieu {number}\n".encode())
        if fds is None:
            server.wait_record("closed", count=1)
            fds = server.fds()
    talking.send("fin\n").expect_end(b"adieu\n")
    assert server.fds() <= fds + 2


def test_signals_in_a_burst(marceld):
    server = marceld(GOOD)
    server.configure("[dialogue]\ngreeting = deux\n")
    for _ in range(100):
        os.kill(server.pid, signal.SIGHUP)
    server.wait_record("reloaded")
    server.connect(greeting=b"deux\n").send("a\n").expect("a\n")


def test_a_stop_right_after_a_reload(marceld):
    server = marceld(GOOD)
    server.signal(signal.SIGHUP)
    server.stop()
