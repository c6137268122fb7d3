"""marcelctl script from-journal: conversations in the journal become scripts."""

import json
import os
import socket
import subprocess

import pytest

from daemon_tools import PATIENCE, Peer
from marcelctl_tools import FAILED, ctl

JOURNAL_REMOTE = next((path for path in ("/lib/systemd/systemd-journal-remote",
                                         "/usr/lib/systemd/systemd-journal-remote")
                       if os.path.exists(path)), None)


def export(records, path):
    """Makes the journal file PATH of marceld's JSON records, sent by process `pid` (1)."""
    entries = []
    for record in records:
        fields = {"MESSAGE": record["message"], "MESSAGE_ID": record["message_id"],
                  "MARCEL_TIMESTAMP": record["timestamp"], "_PID": record.pop("pid", 1)}
        fields.update({f"MARCEL_{name.upper()}": value for name, value in record.items()
                       if name not in ("message", "message_id", "timestamp", "kind", "priority")})
        entries.append(f"__REALTIME_TIMESTAMP={record['timestamp']}\n"
                       f"__MONOTONIC_TIMESTAMP={record['timestamp']}\n"
                       f"_BOOT_ID={'1' * 32}\n" +
                       "".join(f"{name}={value}\n" for name, value in fields.items()))
    subprocess.run([JOURNAL_REMOTE, "-o", path, "-"], input="\n".join(entries + [""]).encode(),
                   stderr=subprocess.DEVNULL, check=True, timeout=PATIENCE)


@pytest.fixture
def journal(marceld, tmp_path):
    """journal(bytes..., config=): conversations with an echo that a journal file holds."""
    if JOURNAL_REMOTE is None:
        pytest.skip("systemd-journal-remote is not installed")

    def hold(*conversations, config="", change=lambda records: records):
        daemon = marceld(config)
        for number, said in enumerate(conversations, 1):
            with Peer(("127.0.0.1", daemon.port)) as peer:
                peer.send(said)
                peer.socket.shutdown(socket.SHUT_WR)
                while peer.socket.recv(65536):
                    pass
            daemon.wait_record("closed", conversation=number)
        path = tmp_path / "test.journal"
        export(change(json.loads(json.dumps(daemon.records()))), path)
        return path

    return hold


def from_journal(path, number, tmp_path, **options):
    return ctl("script", "from-journal", "--file", path, "--output", tmp_path / f"c{number}",
               str(number), **options)


def test_from_journal(journal, tmp_path):
    said = [b"bonjour\nl'\xc3\xa9t\xc3\xa9 \\ $x \"${y}\" * ?\nfin\n", b"a\nb\na", b"",
            b"\x00\xff\x1b[1m\r\n\xe2\x80\xae\n\n"]
    path = journal(*said)
    for number in range(1, len(said) + 1):
        from_journal(path, number, tmp_path)
        script, transcript = tmp_path / f"c{number}.script", tmp_path / f"c{number}.transcript"
        ctl("script", "check", "--strict", script)
        ctl("script", "test", script, transcript)
        assert "\x1b" not in script.read_text() + transcript.read_text()
    assert (tmp_path / "c2.transcript").read_text() == """\
# Made by marcelctl script from-journal of conversation 2.
S> Vous êtes connecté au serveur Marcel. Envoyez vos messages.

C> a
S> a

C> b
S> b

C> a
S> a
E>
S> fin
X>
"""


def test_from_journal_other_answers_at_other_times(journal, tmp_path):
    def answer_by_hand(records):
        count = 0
        for record in records:
            if record["message"] == "S> a":
                count += 1
                record["message"], record["size"] = f"S> {count}", 1
        return records

    from_journal(journal(b"a\na\na\nfin\n", change=answer_by_hand), 1, tmp_path)
    assert "on 'a' cycle {" in (tmp_path / "c1.script").read_text()
    ctl("script", "test", tmp_path / "c1.script", tmp_path / "c1.transcript")


def test_from_journal_counts_what_was_sent_again_once(journal, tmp_path):
    """What a process that was killed had sent, the next one may send again."""
    def send_again(records):
        return records + [dict(record, pid=2) for record in records[-8:]]

    from_journal(journal(b"a\na\na\nfin\n", change=send_again), 1, tmp_path)
    assert (tmp_path / "c1.transcript").read_text().count("C> a\n") == 3


@pytest.mark.parametrize("said, config, text", [
    (b"a" * 5000 + b"\n", "[journal]\ntranscript_max = 100\n", "does not have all 5000 bytes"),
    (b"a\n", "[journal]\ntranscript = sizes\n", "does not have all"),
    (b"a\n", "[journal]\ntranscript = off\n", "no transcript of conversation 1"),
])
def test_from_journal_with_less_than_all(journal, tmp_path, said, config, text):
    result = from_journal(journal(said, config=config), 1, tmp_path, status=FAILED)
    assert text in result.err
    assert not (tmp_path / "c1.script").exists()


def test_from_journal_with_a_secret(journal, tmp_path):
    def keep_secret(records):
        for record in records:
            if record["message"] == "C> a":
                record["message"] = "C> (withheld)"
                del record["size"]
        return records

    result = from_journal(journal(b"a\n", change=keep_secret), 1, tmp_path, status=FAILED)
    assert "in turn 1 was kept secret" in result.err


def test_from_journal_by_id(journal, tmp_path):
    ids = []

    def two_of_one_number(records):
        again = [dict(record) for record in records if record.get("conversation") == 1]
        for record in again:
            record["conversation_id"] = "f" * 32
        ids.extend({record["conversation_id"] for record in records
                    if record.get("conversation") == 1})
        return records + again

    path = journal(b"a\n", change=two_of_one_number)
    result = from_journal(path, 1, tmp_path, status=FAILED)
    assert "several conversations had the number 1" in result.err
    assert ids[0] in result.err and "f" * 32 in result.err
    from_journal(path, ids[0], tmp_path)


@pytest.mark.parametrize("arguments, text", [
    (["frob"], "is neither a conversation's number nor its id"),
    (["--file", "/nonexistent", "1"], "No such file"),
])
def test_from_journal_of_nothing(arguments, text):
    assert text in ctl("script", "from-journal", *arguments, status=FAILED).err


def test_from_journal_of_an_unknown_conversation(journal, tmp_path):
    assert "no transcript of conversation 99" in \
        from_journal(journal(b"a\n"), 99, tmp_path, status=FAILED).err
