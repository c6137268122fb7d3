"""The message catalogs say something about every kind of record, in both languages, and journald's
own tool reads them."""

import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
CATALOGS = {"en": ROOT / "systemd/marcel.catalog", "fr": ROOT / "systemd/marcel.fr.catalog"}

KIND = re.compile(r'X\(([A-Z_]+), ([a-z_]+), "([0-9a-f]{32})", (LOG_[A-Z]+), ([A-Z]+)\)')
FIELD = re.compile(r"@([A-Z_]+)@")


def kinds():
    """The rows of RECORD_KINDS: name, name in lower case, message id, priority, class."""
    rows = KIND.findall((ROOT / "src/record/kinds.h").read_text())
    assert len(rows) >= 15
    return rows


def entries(path):
    """The entries of a catalog: a list of (message id, headers, body)."""
    text = path.read_text(encoding="utf-8")
    parts = re.split(r"^-- ([0-9a-f]{32})$", text, flags=re.MULTILINE)
    assert all(line.startswith("#") or not line for line in parts[0].splitlines())
    found = []
    for message_id, entry in zip(parts[1::2], parts[2::2]):
        headers, _, body = entry.strip("\n").partition("\n\n")
        found.append((message_id, headers.splitlines(), body))
    return found


def test_kinds_have_ids_and_names_of_their_own():
    rows = kinds()
    assert len({row[2] for row in rows}) == len(rows)
    assert all(name.lower() == lower for name, lower, *_ in rows)


@pytest.mark.parametrize("language", CATALOGS)
def test_every_kind_has_its_entry(language):
    assert sorted(message_id for message_id, _, _ in entries(CATALOGS[language])) \
        == sorted(row[2] for row in kinds())


@pytest.mark.parametrize("language", CATALOGS)
def test_entries_are_complete(language):
    for message_id, headers, body in entries(CATALOGS[language]):
        keys = [header.partition(": ")[0] for header in headers]
        assert keys[:2] == ["Subject", "Defined-By"], message_id
        assert set(keys[2:]) == {"Documentation"}, message_id
        assert "Defined-By: Marcel" in headers
        assert all(header.partition(": ")[2].strip() for header in headers), message_id
        assert len(body) > 40, message_id
        assert max(len(line) for line in headers + body.splitlines()) <= 80, message_id


def test_both_languages_say_the_same():
    english, french = (entries(CATALOGS[language]) for language in ("en", "fr"))
    assert [entry[0] for entry in english] == [entry[0] for entry in french]
    for (message_id, headers, body), (_, other_headers, other_body) in zip(english, french):
        assert headers[1:] == other_headers[1:], message_id
        assert headers[0] != other_headers[0] and body != other_body, message_id
        assert sorted(set(FIELD.findall(headers[0] + body))) \
            == sorted(set(FIELD.findall(other_headers[0] + other_body))), message_id
        commands = [line for line in body.splitlines() if line.startswith("\tjournalctl")]
        assert commands == [line for line in other_body.splitlines()
                            if line.startswith("\tjournalctl")], message_id


def test_the_fields_exist():
    sources = "".join(path.read_text() for path in (ROOT / "src").rglob("*.c"))
    for path in CATALOGS.values():
        for _, headers, body in entries(path):
            for field in FIELD.findall(headers[0] + body):
                assert re.search(rf'"{field}[="]', sources), field


@pytest.mark.skipif(shutil.which("journalctl") is None, reason="no journalctl here")
def test_journalctl_reads_them(tmp_path):
    directory = tmp_path / "usr/lib/systemd/catalog"
    directory.mkdir(parents=True)
    for path in CATALOGS.values():
        shutil.copy(path, directory)
    made = subprocess.run(["journalctl", f"--root={tmp_path}", "--update-catalog"],
                          capture_output=True, text=True, timeout=60, check=False)
    assert made.returncode == 0 and not made.stderr, made.stderr
    listed = subprocess.run(["journalctl", f"--root={tmp_path}", "--list-catalog"],
                            capture_output=True, text=True, timeout=60, check=True)
    for _, _, message_id, _, _ in kinds():
        assert re.search(rf"^{message_id} Marcel: \S", listed.stdout, re.MULTILINE), message_id
