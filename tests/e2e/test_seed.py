"""The seed's client against marceld with its built-in defaults.

The client of the book chapter, in all that matters on the wire: what one recv(1024) returns is a
message, nothing ends a message, and it is over when one of them is "fin" in any case, or empty.
"""

import subprocess
import sys
import time

from daemon_tools import FAREWELL, GREETING_TEXT, PATIENCE

CLIENT = r"""
import socket, sys

there = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
try:
    there.connect(("127.0.0.1", int(sys.argv[1])))
except socket.error:
    print("La connexion a échoué.")
    sys.exit()
print("Connexion établie avec le serveur.")
heard = there.recv(1024).decode("Utf8")
while 1:
    if heard.upper() == "FIN" or heard == "":
        break
    print("S>", heard)
    said = input("C> ")
    there.send(said.encode("Utf8"))
    heard = there.recv(1024).decode("Utf8")
print("Connexion interrompue.")
there.close()
"""


def dialogue(port, lines):
    """Runs the client, types LINES, and returns what stood on its screen."""
    run = subprocess.run([sys.executable, "-X", "utf8", "-c", CLIENT, str(port)],
                         input="".join(line + "\n" for line in lines).encode(),
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE)
    assert run.stderr == b"" and run.returncode == 0, run.stderr.decode()
    return run.stdout.decode()


def screen(*answers):
    """What the screen shows when the server answered ANSWERS; the typed text is not echoed."""
    shown = f"Connexion établie avec le serveur.\nS> {GREETING_TEXT}\n\nC> "
    return shown + "".join(f"S> {answer}\nC> " for answer in answers) + "Connexion interrompue.\n"


def test_a_whole_dialogue(echo):
    lines = ["Bonjour Marcel", "Comment ça va ? Très bien, j'espère…", "Où êtes-vous né ?", "fin"]
    assert dialogue(echo.port, lines) == screen(*lines[:-1])
    closed = echo.wait_record("closed")
    assert closed["reason"] == "end-word"
    said = [record.message for record in echo.records("said")]
    assert [text for text in said if text.startswith("C> ")] == [f"C> {line}" for line in lines]
    assert f"S> {lines[1]}" in said and said[-1] == "S> fin"


def test_any_case_ends_it(echo):
    for word in ("fin", "FIN", "Fin", "fIn"):
        assert dialogue(echo.port, ["bonjour", word]) == screen("bonjour")


def test_the_end_word_alone(echo):
    assert dialogue(echo.port, ["fin"]) == screen()


def test_many_messages(echo):
    lines = [f"message numéro {i} " + "é" * (i * 5) for i in range(40)]
    assert dialogue(echo.port, lines + ["FIN"]) == screen(*lines)


def test_several_clients_at_once(echo):
    clients = []
    for number in range(8):
        client = subprocess.Popen([sys.executable, "-X", "utf8", "-c", CLIENT, str(echo.port)],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        client.stdin.write(f"je suis le numéro {number}\n".encode())
        client.stdin.flush()
        clients.append(client)
    for number, client in enumerate(clients):
        out, _ = client.communicate("à bientôt\nfin\n".encode(), timeout=PATIENCE)
        assert out.decode() == screen(f"je suis le numéro {number}", "à bientôt")


def test_an_empty_message_sends_nothing_and_idling_ends_it(marceld):
    # send(b"") puts nothing on the wire, so both sides wait for the other, as in the seed. Here
    # the idle timeout has mercy, and its farewell is the seed's own.
    server = marceld("[dialogue]\nidle_timeout = 1s\n")
    assert dialogue(server.port, ["bonjour", ""]) == screen("bonjour")
    assert server.wait_record("closed")["reason"] == "idle"


def test_closing_means_an_empty_message(echo):
    # What the seed's server sees as "": the client's end of input.
    peer = echo.connect()
    peer.send("bonjour").expect("bonjour")
    peer.half_close().expect_end(b"fin")
    assert echo.wait_record("closed")["reason"] == "end-of-input"


def test_each_answer_arrives_in_one_recv(echo):
    peer = echo.connect()
    for message in ("un", "d" * 1000, "trois accents éèà"):
        peer.send(message)
        assert peer.recv(1024).decode() == message
    peer.send("FIN")
    assert peer.recv(1024) == b"fin"
    peer.expect_end()


def test_a_message_follows_the_one_before_without_waiting_for_its_answer(echo):
    # Two messages in two segments before the pause is over are one to a server that can't know;
    # none of their bytes is lost.
    peer = echo.connect()
    peer.send("un")
    time.sleep(0.02)  # so that they are two segments; the test holds either way
    peer.send("deux").expect("undeux")


def test_the_farewell_of_the_seed_in_lines(echo):
    # The same server to a client of lines: it ends its farewell as it ends its lines.
    peer = echo.connect()
    peer.send("bonjour\n").expect("bonjour\n").send("fin\n").expect_end(FAREWELL)
