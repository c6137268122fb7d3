"""What the tests of the script responder share: the shipped scripts, real clients, and a relay that
knows what went over the wire."""

import os
import re
import shutil
import socket
import threading
from pathlib import Path

import pytest

import daemon_tools
from daemon_tools import BUILD, PATIENCE, ROOT

SCRIPTS = ROOT / "etc" / "scripts"
MANUAL = ROOT / "src" / "respond" / "script" / "marcel-script.5"
MARCELCTL = BUILD / "src" / "marcelctl" / "marcelctl"


def needs(*programs):
    """A mark: the test is left out, with the reason, where a client is not installed."""
    missing = [program for program in programs if not shutil.which(program)]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def serve(marceld, script, **options):
    """A marceld that answers as SCRIPT says: a shipped one by its name, or a path."""
    path = script if isinstance(script, Path) else SCRIPTS / f"{script}.script"
    return marceld(args=("-r", "script", "-s", os.fspath(path)), **options)


def run_client(*command, home, status=0, patience=None, **options):
    """
    Runs a client to its end, which must be STATUS (one, or one of several), in an empty HOME, and
    gives the CompletedProcess with bytes.
    """
    environment = {"PATH": os.environ["PATH"], "HOME": os.fspath(home), "LC_ALL": "C.UTF-8",
                   "LOGNAME": "marcel", "USER": "marcel"}
    if "input" not in options:
        options["input"] = b""
    result = daemon_tools.run(*command, env=environment, patience=patience or 3 * PATIENCE,
                              **options)
    wanted = status if isinstance(status, tuple) else (status,)
    assert result.returncode in wanted, (
        f"{command[0]} ended with {result.returncode}:\n{result.stdout.decode(errors='replace')}\n"
        f"{result.stderr.decode(errors='replace')[-4000:]}")
    return result


class Relay:
    """Stands before a server on 127.0.0.1 and keeps what each client sends."""

    def __init__(self, port):
        self.target = ("127.0.0.1", port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.sent = []  # a bytearray for each client
        self.threads = []
        self._start(self._accept)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join(PATIENCE)

    def _start(self, function, *args):
        self.threads.append(threading.Thread(target=function, args=args, daemon=True))
        self.threads[-1].start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.target)
            self.sent.append(bytearray())
            self._start(self._pass, client, server, self.sent[-1])
            self._start(self._pass, server, client, bytearray())

    @staticmethod
    def _pass(source, target, kept):
        try:
            while data := source.recv(65536):
                kept += data
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def mail_data(sent):
    """The mail in the bytes an SMTP client SENT: from DATA to the dot, and dots undoubled."""
    data = bytes(sent).split(b"\r\nDATA\r\n", 1)[1]
    data = b"" if data.startswith(b".\r\n") else data[:data.index(b"\r\n.\r\n") + 2]
    return re.sub(rb"(?m)^\.", b"", data)
