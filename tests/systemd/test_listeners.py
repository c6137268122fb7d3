"""Sockets of other units: faces by name, and what can't be served."""

from conftest import GREETING, configure, of_kind

OTHER = """[Socket]
ListenStream=50001
FileDescriptorName=other
Service=marcel.service
"""
PER_CONNECTION = """[Socket]
ListenStream=50002
Accept=yes
"""
PER_CONNECTION_SERVICE = """[Service]
ExecStart=/usr/sbin/marceld
"""


def test_a_listener_has_its_own_face(marcel, meet):
    configure(marcel, "[dialogue]\nfarewell = adieu\n[listener other]\ngreeting = Autre\n")
    marcel.write("/etc/systemd/system/marcel-other.socket", OTHER)
    marcel.run("systemctl daemon-reload && systemctl start marcel-other.socket")
    try:
        peer = meet(greeting="Autre", port=50001)
        assert peer.ask("a") == "a"
        peer.say("fin")
        assert peer.rest() == ["adieu"]
        assert meet(greeting=GREETING).ask("b") == "b"
        entry = marcel.await_journal(of_kind("CLOSED"), f"MARCEL_PEER={peer.address()}")[0]
        assert entry["MARCEL_LISTENER"] == "other"
    finally:
        marcel.run("systemctl stop marcel-other.socket marcel.service")


def test_a_socket_for_each_connection_is_refused_with_a_hint(marcel):
    marcel.write("/etc/systemd/system/marcel-each.socket", PER_CONNECTION)
    marcel.write("/etc/systemd/system/marcel-each@.service", PER_CONNECTION_SERVICE)
    marcel.run("systemctl daemon-reload && systemctl start marcel-each.socket")
    try:
        with marcel.connect(50002) as peer:
            assert peer.recv(1000) == b""
        entry = marcel.await_journal("SYSLOG_IDENTIFIER=marceld", since=marcel.start_of_test,
                                     accept=lambda entry: "Accept=" in entry["MESSAGE"])[0]
        assert "Accept=no" in entry["MESSAGE"]
    finally:
        marcel.run("systemctl stop marcel-each.socket")
