"""The main job: `systemctl start marcel.socket`, and whoever connects holds a conversation."""

import pytest
from conftest import GREETING, PORT, Peer

HOSTS = ["127.0.0.1", "::1"]


def test_the_socket_waits_and_the_first_connection_starts_the_service(marcel):
    assert marcel.show("marcel.socket", "ActiveState", "UnitFileState") == ["active", "enabled"]
    assert marcel.show("marcel.service", "ActiveState") == "inactive"
    with Peer(marcel) as peer:
        assert peer.line() == GREETING
        assert marcel.show("marcel.service", "ActiveState", "SubState") == ["active", "running"]
        assert peer.ask("bonjour") == "bonjour"


def test_many_connect_before_the_service_runs(marcel):
    peers = [Peer(marcel) for _ in range(100)]
    for number, peer in enumerate(peers):
        with peer:
            assert peer.line() == GREETING
            assert peer.ask(f"n° {number}") == f"n° {number}"
    assert marcel.show("marcel.service", "NRestarts") == "0"


@pytest.mark.parametrize("host", HOSTS)
def test_nc(marcel, host):
    printed = marcel.run(f"printf 'a\\nb\\n' | nc -N {host} {PORT}").stdout
    assert printed == f"{GREETING}\na\nb\nfin\n"


def test_nc_without_a_line_end(marcel):
    assert marcel.run(f"printf bonjour | nc -N ::1 {PORT}").stdout == f"{GREETING}\nbonjour\nfin\n"


@pytest.mark.parametrize("host", HOSTS)
def test_telnet(marcel, host):
    # telnet leaves at the end of its input, so the input stays open until the dialogue is over.
    # It has no terminal here and ends lines with LF; e2e/ types on one.
    script = f"""
        mkfifo /run/telnet-input
        telnet {host} {PORT} </run/telnet-input &
        exec 3>/run/telnet-input
        printf 'bonjour à tous\\nfin\\n' >&3
        wait $!
        rm /run/telnet-input
    """
    printed = marcel.run(script, check=False).stdout.replace("\r", "")
    assert printed[printed.index(GREETING):] == f"{GREETING}\nbonjour à tous\nfin\n"


@pytest.mark.parametrize("arguments", ["", "localhost", "127.0.0.1 50000", "::1"])
def test_the_bundled_client(marcel, arguments):
    result = marcel.run(f"printf 'a\\névident\\n' | marcel {arguments}")
    assert result.stdout == f"{GREETING}\na\névident\nfin\n"
    assert result.stderr == ""


# A program as the seed's client is: a recv() is a message, none is terminated, "fin" ends it all.
SEED_CLIENT = f"""
import socket
there = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
there.connect(("127.0.0.1", {PORT}))
heard = there.recv(1024).decode("Utf8")
while heard.upper() != "FIN" and heard != "":
    print("S>", heard)
    there.send(input().encode("Utf8"))
    heard = there.recv(1024).decode("Utf8")
print("Connexion interrompue.")
"""


def test_a_program_like_the_seeds_client(marcel):
    said = ["Bonjour à vous", "ça va ?", "Où êtes-vous né ?"]
    screen = marcel.run(["python3", "-c", SEED_CLIENT], input="\n".join([*said, "FIN"]) + "\n").stdout
    assert screen == "".join(f"S> {line}\n" for line in [GREETING + "\n", *said]) + \
        "Connexion interrompue.\n"


def text_with(marcel, word):
    """The service's status line if it has WORD."""
    text = marcel.show("marcel.service", "StatusText")
    return text if word in text.split() else None


def test_the_status_line_says_what_goes_on(marcel, meet):
    meet()
    meet()
    # It follows within a second, and nobody tells when.
    text = marcel.wait_for(lambda: text_with(marcel, "2"), "a status line with 2 conversations")
    assert text in marcel.run("systemctl status marcel.service").stdout


def test_a_unix_socket_beside_the_port(marcel):
    with marcel.drop_in("marcel.socket", "[Socket]\nListenStream=/run/marcel/socket\n"):
        marcel.run("systemctl restart marcel.socket")
        printed = marcel.run("printf 'a\\n' | nc -N -U /run/marcel/socket").stdout
        assert printed == f"{GREETING}\na\nfin\n"
        marcel.run("systemctl stop marcel.socket")
