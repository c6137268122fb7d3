"""Completion of marcelctl for bash, asked as bash asks it."""

import os
import subprocess

import pytest

from client_tools import environment
from daemon_tools import PATIENCE, ROOT
from marcelctl_tools import fake  # noqa: F401 (a fixture)
from script_tools import MARCELCTL

LIBRARY = "/usr/share/bash-completion/bash_completion"
pytestmark = pytest.mark.skipif(not os.path.exists(LIBRARY), reason="not installed: bash-completion")

# "$1" and what follows are the words of the command line, the last of which is completed.
ASK = f"""
source {LIBRARY}
source {ROOT}/src/marcelctl/marcelctl.bash
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
COMP_LINE="$*"
COMP_LINE=${{COMP_LINE// = /=}}
COMP_POINT=${{#COMP_LINE}}
COMP_TYPE=9
complete -p marcelctl > /dev/null || exit 1
_marcelctl marcelctl "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD - 1]}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def offered(*words, cwd=None):
    """What is offered in the place of the last of WORDS. '--x=y' is three words, as bash has it."""
    result = subprocess.run(
        ["bash", "--norc", "--noprofile", "-c", ASK, "bash", MARCELCTL, *map(os.fspath, words)],
        env=environment(), cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        timeout=PATIENCE)
    assert (result.returncode, result.stderr) == (0, b"")
    return result.stdout.decode().split()


def test_verbs():
    assert {"status", "list", "desk", "script", "--help"} <= set(offered(""))
    assert offered("st") == ["status"]
    assert set(offered("script", "")) == {"check", "try", "test", "from-journal", "record"}
    assert offered("script", "ch") == ["check"]


def test_every_verb_of_the_program_is_known():
    text = subprocess.run([MARCELCTL, "--help"], env=environment(), stdout=subprocess.PIPE,
                          timeout=PATIENCE).stdout.decode()
    verbs = [line.split() for line in text.splitlines()
             if line.startswith("  ") and line[2].isalpha()]
    assert len(verbs) > 10
    for words in verbs:
        if words[0] == "script":
            assert words[1] in offered("script", "")
            words = words[:2]
        else:
            assert words[0] in offered("")
            words = words[:1]
        # Each option that its help shows is offered.
        line = next(line for line in text.splitlines() if line.split()[:len(words)] == words)
        for word in line.replace("[", " ").replace("]", " ").split():
            if word.startswith("--"):
                assert word in offered(*words, "-"), (words, word)


def test_options():
    assert set(offered("list", "--")) == {"--waiting", "--json", "--control", "--bus", "--help"}
    assert offered("say", "--t") == ["--turn"]
    assert offered("script", "test", "-") == ["--tap", "--help"]


def test_numbers_and_responders(fake):  # noqa: F811
    fake("open 17 127.0.0.1:4711 marcel echo", "open 18 127.0.0.1:4712 marcel echo",
         "open 9 127.0.0.1:4713 marcel echo")
    way = ["--control", fake.path]
    for verb in ("show", "follow", "say", "close", "take", "give"):
        assert offered(verb, *way, "") == ["9", "17", "18"], verb
        assert offered(verb, *way, "1") == ["17", "18"]
        assert offered(verb, "--control", "=", fake.path, "1") == ["17", "18"]
    assert offered("close", *way, "17", "1") == ["17", "18"]
    assert offered("give", *way, "17", "") == ["echo", "script", "fifo"]
    assert offered("give", *way, "17", "f") == ["fifo"]
    assert offered("give", *way, "17", "echo", "") == []
    assert offered("show", *way, "17", "") == []
    assert offered("say", *way, "--turn", "3", "") == ["9", "17", "18"]


def test_general_options_before_the_verb(fake):  # noqa: F811
    fake("open 17 127.0.0.1:4711 marcel echo")
    assert set(offered("--")) == {"--help", "--version", "--control", "--bus"}
    for way in (["--control", fake.path], ["--control", "=", fake.path]):
        assert offered(*way, "sta") == ["status"]
        assert offered(*way, "--b") == ["--bus"]
        assert offered(*way, "show", "") == ["17"]
        assert offered(*way, "say", "--t") == ["--turn"]
        assert offered("--bus", *way, "script", "ch") == ["check"]
        assert offered(*way, "script", "check", "--s") == ["--strict"]


def test_nobody_there(tmp_path):
    assert offered("show", "--control", tmp_path / "control", "") == []


def test_files(tmp_path):
    for name in ("a.script", "b.script", "c.transcript", "d.txt"):
        (tmp_path / name).write_text("")
    assert sorted(offered("script", "check", "", cwd=tmp_path)) == ["a.script", "b.script"]
    assert offered("script", "test", "a.script", "", cwd=tmp_path) == ["c.transcript"]
    assert offered("metrics", "--textfile", "d", cwd=tmp_path) == ["d.txt"]
    assert offered("list", "--control", "=", "d", cwd=tmp_path) == ["d.txt"]
    assert offered("--control", "=", "d", cwd=tmp_path) == ["d.txt"]
    assert offered("--control", "d", cwd=tmp_path) == ["d.txt"]
