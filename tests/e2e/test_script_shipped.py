"""The shipped scripts and the manual page: all of it is right, and each script says what its
transcript says."""

import re

import pytest

from daemon_tools import run
from script_tools import MANUAL, MARCELCTL, SCRIPTS

NAMES = sorted(path.stem for path in SCRIPTS.glob("*.script"))
ESCAPES = {"\\e": "\\", "\\(aq": "'", "\\(ha": "^", "\\(ti": "~", "\\&": ""}


def check(path, *options):
    return run(MARCELCTL, "script", "check", *options, path)


def examples():
    """The scripts in the manual page: (line, text) of each display that is one."""
    lines = MANUAL.read_text().splitlines()
    for number, line in enumerate(lines, 1):
        if line == ".Bd -literal -offset indent":
            body = lines[number:lines.index(".Ed", number)]
            text = re.sub(r"\\(\(..|.)", lambda match: ESCAPES[match[0]], "\n".join(body) + "\n")
            whole = text.startswith("marcel-script 1\n")
            yield pytest.param(text if whole else "marcel-script 1\n" + text, whole,
                               id=f"line {number}")


def test_tutorial(tmp_path):
    """The transcript of the page's first part is that of its last script."""
    script = next(param.values[0] for param in examples() if '"TILL {till:int}"' in param.values[0])
    (tmp_path / "counter.script").write_text(script)
    text = re.search(r"^S> .*?^X>$", MANUAL.read_text(), re.M | re.S)[0]
    (tmp_path / "counter.transcript").write_text(text + "\n")
    result = run(MARCELCTL, "script", "test", tmp_path / "counter.script",
                 tmp_path / "counter.transcript")
    assert result.returncode == 0, (result.stdout + result.stderr).decode()


def test_all_are_there():
    assert NAMES == ["dict", "finger", "gopher", "greeting", "http", "imap", "pop3", "scpi", "smtp",
                     "whois"]


@pytest.mark.parametrize("name", NAMES)
def test_short(name):
    """Under 80 lines, none too wide to read; it says first what it is."""
    lines = (SCRIPTS / f"{name}.script").read_text().splitlines()
    assert len(lines) < 80
    assert lines[0] == "marcel-script 1" and lines[1].startswith("# ")
    assert not [line for line in lines if "\t" in line or line != line.rstrip()]


@pytest.mark.parametrize("name", NAMES)
def test_good(name):
    result = check(SCRIPTS / f"{name}.script", "--strict")
    assert result.returncode == 0, result.stdout.decode()


@pytest.mark.parametrize("transcript", sorted(path.stem for path in SCRIPTS.glob("*.transcript")))
def test_transcript(transcript):
    script = SCRIPTS / (transcript.partition("-")[0] + ".script")
    result = run(MARCELCTL, "script", "test", script, SCRIPTS / f"{transcript}.transcript")
    assert result.returncode == 0, (result.stdout + result.stderr).decode()


@pytest.mark.parametrize("name", NAMES)
def test_has_transcript(name):
    assert (SCRIPTS / f"{name}.transcript").exists()


@pytest.mark.parametrize("text, whole", examples())
def test_manual(tmp_path, text, whole):
    """Each example of the page is a good script; those that are complete have no warnings."""
    (tmp_path / "common.script").write_text("marcel-script 1\non 'COMMON' say \"common\"\n")
    path = tmp_path / "example.script"
    path.write_text(text)
    result = check(path, *(["--strict"] if whole else []))
    assert result.returncode == 0, text + result.stdout.decode()
