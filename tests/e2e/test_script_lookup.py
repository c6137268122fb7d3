"""dict, curl, whois and finger, and the shipped scripts dict, whois and finger."""

import os
import shutil
import subprocess
import sys

import pytest

from script_tools import needs, run_client, serve

# In a network of its own, where port 79 is free: brings the loopback up and becomes the command.
LOOPBACK = """
import fcntl, os, socket, struct, sys
with socket.socket() as s:
    fcntl.ioctl(s, 0x8914, struct.pack("16sH14x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
def dictionary(marceld):
    return serve(marceld, "dict")


@needs("dict")
def test_dict(dictionary, tmp_path):
    def look(*options, status=0):
        result = run_client("dict", "-h", "127.0.0.1", "-p", str(dictionary.port), "-P", "-",
                            *options, home=tmp_path, status=status)
        return (result.stdout + result.stderr).decode()

    assert "1 definition found" in look("bonjour")
    assert "What one says in French before anything else." in look("Bonjour")
    assert "A shirt without sleeves." in look("-d", "fr", "marcel")
    assert "A little French" in look("-D")
    assert "Match beginnings of words" in look("-S")
    said = look("-m", "-s", "prefix", "m")
    assert "marcel" in said and "merci" in said
    assert "spoken by Marcel" in look("-i", "fr")
    assert "spoken by Marcel" in look("-I")
    # dict(1): 20: no matches found, 21: approximate matches found.
    assert "No definitions found" in look("bonsoir", status=20)
    assert "bonjour" in look("bo", status=21)


@needs("curl")
def test_curl_dict(dictionary, tmp_path):
    def curl(path):
        return run_client("curl", "-sS", f"dict://127.0.0.1:{dictionary.port}{path}",
                          home=tmp_path).stdout.decode()

    said = curl("/d:merci")
    assert said.startswith("220 marcel dict ")
    assert "after everything else.\r\n.\r\n250 ok\r\n221 bye\r\n" in said
    assert "552 no match" in curl("/d:bonsoir:fr")
    assert 'fr "marcel"\r\nfr "merci"\r\n' in curl("/m:m:*:prefix")
    assert 'fr "A little French"' in curl("/show:db")


@needs("whois")
def test_whois(marceld, tmp_path):
    server = serve(marceld, "whois")

    def whois(question):
        return run_client("whois", "-h", "127.0.0.1", "-p", str(server.port), question,
                          home=tmp_path).stdout.decode()

    assert "domain:      EXAMPLE.ORG" in whois("example.org")
    assert "holder:      Marcel's Examples" in whois("WWW.example.org")
    assert "netname:     TEST-NET-1" in whois("192.0.2.17")
    assert "% No match for example.net." in whois("example.net")


# Whoever is not root may make a network only as the root of a namespace of users.
ROOT = os.geteuid() == 0
UNSHARE = ("unshare", "--net", *(() if ROOT else ("--user", "--map-root-user")))
ENTER = ("nsenter", "--net", *(() if ROOT else ("--user", "--preserve-credentials")))


def can_have_a_network():
    return shutil.which("unshare") and shutil.which("nsenter") and subprocess.run(
        [*UNSHARE, "true"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


@needs("finger")
@pytest.mark.skipif(not can_have_a_network(), reason="no network namespace can be made here")
def test_finger(marceld, tmp_path):
    """finger knows port 79 alone, so it is let into a network where that is marceld's."""
    server = serve(marceld, "finger", listen=("127.0.0.1:79",),
                   prefix=(*UNSHARE, sys.executable, "-c", LOOPBACK))

    def finger(*who):
        return run_client(*ENTER, "--target", str(server.pid), "finger", *who,
                          home=tmp_path).stdout.decode()

    assert "anna      Anna Example      office 12" in finger("@127.0.0.1")
    assert "Office: 12, +1 555 0100" in finger("anna@127.0.0.1")
    assert "To answer the mail of last week." in finger("-l", "anna@127.0.0.1")
    assert "talks to 127.0.0.1" in finger("marcel@127.0.0.1")
    assert "bert: no such user." in finger("bert@127.0.0.1")


def test_finger_by_socket(marceld):
    """Everywhere: what finger sends, by a socket."""
    server = serve(marceld, "finger")
    assert b"Anna Example" in server.connect(b"").send(b"\r\n").read_to_end()
    assert server.connect(b"").send(b"/W bert\r\n").read_to_end() == b"bert: no such user.\r\n"
    assert server.connect(b"").send(b"anna\n").read_to_end().endswith(b"0100\n")
