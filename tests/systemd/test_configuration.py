"""Reloading and starting with configurations, good and bad."""

import pytest
from conftest import CONFIG, GREETING, PORT, Peer, configure, of_kind

BAD = "[dialogue]\n\ngreating = Salut\n"
BAD_WHERE = f"{CONFIG}:3: "


def reload_and_wait(marcel, kind):
    since = marcel.now()
    marcel.run("systemctl reload marcel.service")
    return marcel.await_journal(of_kind(kind), since=since)[0]


def test_a_good_configuration_is_for_the_next_conversation(marcel, meet):
    before = meet()
    pid = marcel.main_pid("marcel.service")
    configure(marcel, "[dialogue]\ngreeting = Salut ; ça va ?\nfarewell = adieu\n")
    reload_and_wait(marcel, "RELOADED")
    after = meet(greeting="Salut ; ça va ?")
    assert (before.ask("a"), after.ask("b")) == ("a", "b")
    before.say("fin")
    after.say("fin")
    assert (before.rest(), after.rest()) == (["fin"], ["adieu"])
    assert marcel.main_pid("marcel.service") == pid
    assert marcel.show("marcel.service", "ActiveState") == "active"


def test_a_bad_configuration_changes_nothing(marcel, meet):
    before = meet()
    pid = marcel.main_pid("marcel.service")
    configure(marcel, BAD)
    entry = reload_and_wait(marcel, "RELOAD_FAILED")
    assert BAD_WHERE in entry["MESSAGE"] and "'greeting'" in entry["MESSAGE"]
    assert before.ask("a") == "a"
    assert meet(greeting=GREETING).ask("b") == "b"
    assert marcel.main_pid("marcel.service") == pid
    # And a good one afterwards is taken.
    configure(marcel, "[dialogue]\ngreeting = Salut\n")
    reload_and_wait(marcel, "RELOADED")
    assert meet(greeting="Salut").ask("c") == "c"


@pytest.mark.parametrize("damage", ["rm {}", "rm {} && mkdir {}", "printf '[dialogue]\\n\\0' >{}"])
def test_what_is_no_configuration_changes_nothing(marcel, meet, damage):
    before = meet()
    marcel.run(damage.replace("{}", CONFIG))
    try:
        entry = reload_and_wait(marcel, "RELOAD_FAILED")
        assert CONFIG in entry["MESSAGE"]
        assert before.ask("a") == "a"
        assert meet(greeting=GREETING).ask("b") == "b"
    finally:
        marcel.run(f"rm -rf {CONFIG}")


def test_a_bad_configuration_at_start_is_no_restart_loop(marcel):
    configure(marcel, BAD)
    result = marcel.run("systemctl start marcel.service", check=False)
    assert result.returncode != 0
    state, status, restarts = marcel.show("marcel.service", "ActiveState", "ExecMainStatus",
                                          "NRestarts")
    assert (state, status, restarts) == ("failed", "78", "0")
    said = [entry["MESSAGE"] for entry in marcel.journal("_SYSTEMD_UNIT=marcel.service",
                                                         since=marcel.start_of_test)]
    assert any(BAD_WHERE in message for message in said), said
    assert marcel.run("marceld --check-config", check=False).returncode == 78
    # With the fault gone it starts.
    configure(marcel, "")
    marcel.run("systemctl start marcel.service")
    with Peer(marcel) as peer:
        assert peer.line() == GREETING


def test_a_client_of_a_service_that_cannot_start_is_no_start_loop_either(marcel):
    # A connection that waits triggers the service; one that nobody takes triggers it again.
    configure(marcel, BAD)
    peer = marcel.connect(PORT)
    marcel.await_journal("UNIT=marcel.service", since=marcel.start_of_test,
                         accept=lambda entry: "78" in entry["MESSAGE"])
    # The client learns that nobody will answer.
    try:
        assert peer.recv(1000) == b""
    except ConnectionResetError:
        pass
    peer.close()
    failures = [entry for entry in marcel.journal("UNIT=marcel.service", since=marcel.start_of_test)
                if "78" in entry["MESSAGE"]]
    assert len(failures) <= 5
    # The socket still listens for when the fault is gone.
    assert marcel.show("marcel.socket", "ActiveState") == "active"
    configure(marcel, "")
    with Peer(marcel) as peer:
        assert peer.line() == GREETING


def test_check_config_prints_what_is_read_again(marcel):
    configure(marcel, "[dialogue]\ngreeting = Salut ; ça va ?\n[listener other]\nframing = line\n")
    printed = marcel.run("marceld --check-config").stdout
    assert "Salut ; ça va ?" in printed
    marcel.write("/run/again.ini", printed)
    assert marcel.run("marceld -c /run/again.ini --check-config").stdout == printed
