"""Taking conversations when that is not to be: a script that asks for a secret, a client that has said
all it had to say; and clients that don't read, who are to be got rid of all the same."""

import pytest

from daemon_tools import DEAF
from dbus_tools import Connection, Failure

SCRIPT = """marcel-script 1
frame line lf
end none
on connect            say "hello"
state open
    on 'LOGIN'        say "password?"; secret next
    on 'KEY'          say "key?"; collect key until "."; secret; say "kept"
    on 'LATER'        wait 5s; say "late"
    otherwise         say "open ${message|length}"
"""


@pytest.fixture(name="server")
def server_fixture(marceld, tmp_path):
    (tmp_path / "secret.script").write_text(SCRIPT)
    return marceld("[dialogue]\nresponder = script\n"
                   f"[script]\nfile = {tmp_path}/secret.script\n"
                   f"[fifo]\ndirectory = {tmp_path}/operator\n",
                   control=tmp_path / "control")


@pytest.fixture(name="control")
def control_fixture(server, tmp_path):
    assert server
    with Connection(tmp_path / "control") as connection:
        yield connection


def refusal(control, *call):
    with pytest.raises(Failure) as caught:
        control.call(*call)
    return str(caught.value)


def test_a_secret_is_left_to_who_asks_for_it(server, control):
    with server.connect(b"hello\n") as peer:
        peer.send("LOGIN\n").expect("password?\n")
        assert "NotNow" in refusal(control, "Take", "t", 1)
        peer.send("hunter2\n").expect("open 7\n")
        control.call("Take", "t", 1)
        peer.send("and this is none\n")
        server.wait_record("said", conversation=1, message="C> and this is none")
        control.call("Give", "ts", 1, "script")
        peer.send("xy\n").expect("open 2\n")
    assert "hunter2" not in server.errors()


def test_who_has_said_all_waits_for_what_is_due(server, control):
    with server.connect(b"hello\n") as peer:
        peer.send("LATER\n").half_close()
        server.wait_record("said", conversation=1, message="C> LATER")
        # It is taken while the script waits; nobody asks the operator anything, so it goes back.
        control.call("Take", "t", 1)
        peer.expect_end(b"late\n")
    closed = server.wait_record("closed", conversation=1)
    assert closed["reason"] == "end-of-input"


def test_who_does_not_read_can_be_closed(marceld, tmp_path):
    server = marceld("[dialogue]\n" + DEAF, control=tmp_path / "control")
    peer = server.connect_deaf()
    with Connection(tmp_path / "control") as control:
        control.call("Close", "t", 1)
    assert server.wait_record("closed", conversation=1)["reason"] == "operator"
    peer.close()
