"""curl and the shipped scripts http and gopher."""

import re

import pytest

from script_tools import needs, run_client, serve

HOME = (b"<!DOCTYPE html>\n<title>Marcel</title>\n"
        b"<p>Bonjour ! This page is said by a script.\n")


@pytest.fixture
def curl(marceld, tmp_path):
    """Runs curl with paths of the web server and options: {} in an option is the server's URL."""
    server = serve(marceld, "http")

    def run(*options, status=0):
        url = f"http://127.0.0.1:{server.port}"
        return run_client("curl", "-sSv", *[option.replace("{}", url) for option in options],
                          home=tmp_path, status=status)

    return run


@needs("curl")
def test_get(curl):
    result = curl("{}/")
    assert result.stdout == HOME
    assert b"< HTTP/1.1 200 OK\r\n" in result.stderr
    assert b"< Content-Length: %d\r\n" % len(HOME) in result.stderr


@needs("curl")
def test_head(curl):
    result = curl("-I", "{}/")
    assert result.stdout.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Content-Length: %d\r\n" % len(HOME) in result.stdout
    assert result.stdout.endswith(b"\r\n\r\n")


@needs("curl")
def test_nothing_there(curl):
    """22: CURLE_HTTP_RETURNED_ERROR, with -f."""
    result = curl("-f", "{}/nothing", status=22)
    assert b"< HTTP/1.1 404 Not Found\r\n" in result.stderr


@needs("curl")
@pytest.mark.parametrize("size", [0, 1, 2, 4096, 4097, 100000, 3 << 20])
def test_post(curl, tmp_path, size):
    """Bodies of all bytes, with line ends anywhere; for the last one curl wants to go on first."""
    body = tmp_path / "body"
    body.write_bytes((bytes(range(256)) + b"\r\n\n\r.\r\n") * (size // 263) + b"\n" * (size % 263))
    result = curl("--data-binary", f"@{body}", "{}/count")
    assert result.stdout == b"%d bytes\n" % size
    assert (b"< HTTP/1.1 100 Continue" in result.stderr) == (b"> Expect:" in result.stderr)


@needs("curl")
def test_keep_alive(curl):
    """Five requests of four methods, one connection."""
    result = curl("{}/", "{}/", "--next", "-sSv", "-d", "a=1&b=2", "{}/count",
                  "--next", "-sSv", "-I", "{}/", "--next", "-sSv", "{}/")
    assert result.stdout.startswith(HOME + HOME + b"7 bytes\nHTTP/1.1 200 OK\r\n")
    assert result.stdout.endswith(b"\r\n\r\n" + HOME)
    assert len(re.findall(rb"Re-using existing .*connection", result.stderr)) == 4


@needs("curl")
def test_close(curl):
    result = curl("-H", "Connection: close", "{}/", "{}/")
    assert result.stdout == HOME + HOME
    assert b"Re-using" not in result.stderr
    assert result.stderr.count(b"< Connection: close\r\n") == 2
    assert len(re.findall(rb"^\* (Closing|shutting down) connection", result.stderr, re.M)) == 2


@needs("curl")
def test_http_1_0(curl):
    result = curl("-0", "{}/")
    assert result.stdout == HOME
    assert b"< Connection: close\r\n" in result.stderr


@needs("curl")
def test_gopher(marceld, tmp_path):
    server = serve(marceld, "gopher")

    def curl(path):
        return run_client("curl", "-sS", f"gopher://127.0.0.1:{server.port}/{path}",
                          home=tmp_path).stdout

    menu = curl("")
    assert menu.startswith(b"iWelcome to Marcel's hole\t\tlocalhost\t70\r\n")
    assert menu.endswith(b"\r\n.\r\n")
    assert all(len(line.split(b"\t")) == 4 for line in menu.splitlines()[:-1])
    assert curl("1/") == menu
    assert curl("0/about") == (b"This hole is dug by a script.\r\n..\r\n"
                               b"Even a line that is but a dot arrives.\r\n.\r\n")
    assert b"Your address: 127.0.0.1\r\n" in curl("0/hours")
    assert curl("7/search%09server") == b"0About this server\t/about\tlocalhost\t70\r\n.\r\n"
    assert curl("0/none").startswith(b"3There is no /none\t")
