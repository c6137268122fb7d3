"""The screen of the operator's desk: its characters, its panes and colours, on terminals of all
sizes and kinds."""

import re

import pytest

from daemon_tools import wait_until
from desk_tools import house_fixture, needs_tmux  # noqa: F401 (a fixture)
from marcelctl_tools import FAILED, ctl

pytestmark = needs_tmux


def test_characters(house):
    peer = house.connect("Été 漢字 \U0001f600 e\u0301 fin.")
    desk = house.desk()
    desk.wait("C> #1 Été 漢字 \U0001f600 e\u0301 fin.")
    desk.type("où 漢字x").wait_input("#1 S> où 漢字x").press("BSpace", "BSpace")
    desk.wait_input("#1 S> où 漢").type("\U0001f600e\u0301!").press("Left", "Left", "Left", "BSpace")
    desk.wait_input("#1 S> où \U0001f600e\u0301!").press("C-e", "Enter")
    peer.expect("où \U0001f600e\u0301!\n")
    desk.wait("S> où \U0001f600e\u0301!")


def test_nothing_of_the_clients_reaches_the_terminal_raw(house):
    peer = house.connect()
    peer.send(b"a\x1b[2Jb\x07c\xffd\xc2\x9be\n")
    desk = house.desk()
    desk.wait(r"C> #1 a\e[2Jb\x07c\xffd")
    desk.wait_input("#1 S>")


def test_long_lines_are_broken_between_words(house):
    house.connect("premier deuxième troisième quatrième cinquième sixième")
    desk = house.desk()
    desk.wait("sixième")
    # The greeting takes two.
    rows = [line.split("│")[1].rstrip() for line in desk.lines()[3:6]]
    assert rows[0].endswith("C> #1 premier deuxième troisième"), rows
    assert rows[1] == 17 * " " + "quatrième cinquième sixième", rows


def test_windows_of_all_sizes(house):
    peer = house.connect("Bonjour à vous, ça va bien ? 漢字")
    house.connect("two")
    desk = house.desk()
    desk.wait_list(1, 2).wait("C> #1 Bonjour à vous").type("half")
    # One pane at a time.
    desk.resize(40, 10).wait("C> #1 Bonjour", "#1 S> half").wait_gone("Conversations", "│")
    desk.press("F2").wait("Conversations: 2").wait_list(1, 2).press("Down").press("Enter")
    desk.wait("C> #1 two").press("F2").wait("Conversations").press("Home", "Escape")
    desk.wait("C> #1 Bonjour")
    for columns, rows in ((20, 5), (8, 2), (1, 1), (24, 6), (23, 10)):
        desk.resize(columns, rows)
        if columns >= 9 and (columns < 24 or rows < 6):
            desk.wait("too small")
    desk.resize(200, 50).wait_list(1, 2).wait("C> #1 Bonjour à vous, ça va bien ? 漢字", "│")
    desk.resize(80, 24).wait_list(1, 2).wait_input("#1 S> half").press("Enter")
    peer.expect("half\n")


def test_help_and_questions_in_a_small_window(house):
    house.connect("one")
    desk = house.desk(columns=40, rows=10)
    desk.wait("C> #1 one").press("F1").wait("The keys of the desk", "Enter")
    desk.press("NPage").wait("Alt-1").press("x").wait("C> #1 one")
    desk.press("C-x").wait("Close conversation 1? (y/n)").press("Escape").wait_input("#1 S>")


def test_scrolling(house):
    desk = house.desk()
    desk.wait("nobody is here yet")
    peer = house.connect("\n".join(f"line {i}." for i in range(1, 61)))
    desk.wait("line 60.").press("PPage").wait("▼ more", "line 41.").wait_gone("line 60.")
    peer.send("line 61.\n")
    desk.wait("▼ new lines: 1", "line 41.").wait_gone("line 61.")
    # The hint has a row of its own, and what is above is told, too.
    assert desk.lines()[-4].split("│")[1].split() == ["▼", "new", "lines:", "1"]
    desk.wait_title("▲").press("PPage", "PPage", "PPage", "PPage", "PPage").wait("#1 line 1.")
    assert "▲" not in desk.lines()[0]
    desk.press("NPage").wait_gone(" line 1.").press("M->").wait("line 61.").wait_gone("▼")


def test_searching(house):
    desk = house.desk()
    desk.wait("nobody is here yet")
    house.connect("\n".join(f"{'Épine' if i in (7, 20) else 'rose'} {i}." for i in range(1, 61)))
    desk.wait("rose 60.").press("C-f").wait("Search:").type("épine").press("Enter")
    desk.wait("Épine 20.", "▼").press("C-f").wait("Search:").press("Enter").wait("Épine 7.")
    desk.press("C-f").wait("Search:").press("Enter").wait("not found: épine")


@pytest.mark.parametrize("term, env", [("screen", {"NO_COLOR": "1"}), ("vt100", {})])
def test_without_colours(house, term, env):
    house.connect("one")
    desk = house.desk(term=term, env=env)
    desk.wait("C> #1 one", "1 waiting")
    drawn = desk.text("-e")
    codes = {code for found in re.findall(r"\x1b\[([\d;]*)m", drawn) for code in found.split(";")}
    assert not codes & {str(code) for code in (*range(30, 39), *range(40, 49))}, codes
    # Bold and reverse are there.
    assert {"1", "7"} <= codes


def test_colours(house):
    house.connect("one")
    desk = house.desk()
    desk.wait("C> #1 one")
    assert "\x1b[33m" in desk.text("-e")


def test_more_conversations_than_rows(house):
    for i in range(9):
        house.connect(f"text {i + 1}")
    desk = house.desk(columns=80, rows=10)
    desk.wait_list(*range(1, 7)).wait_title("Conversations: 9", "▼ 3").wait("9 waiting, longest ")
    # Who waits longest stays in sight, whoever is open.
    desk.press("M-8").wait("C> #1 text 8").wait_list(*range(1, 7))
    desk.press("Escape").wait_list(*range(3, 9)).wait_title("▲ 2 ▼ 1")
    desk.press("End").wait_list(*range(4, 10)).wait_title("▲ 3").press("Escape")
    desk.wait_list(*range(1, 7)).wait_title("▼ 3")


def test_the_host_is_shown_before_the_port(house):
    peer = house.connect("one")
    desk = house.desk(columns=62)
    desk.wait("C> #1 one").wait("1 127.0.0.…")
    desk.resize(80, 24).wait(f"1 {peer.address()[:14]}")


def test_the_list_shows_that_it_has_the_keys_and_is_searched(house):
    for text in ("one", "two", "three"):
        house.connect(text)
    desk = house.desk()
    desk.wait("C> #1 one", "3 waiting").press("Escape").wait("/ search")
    desk.press("Down").wait("C> #1 two")
    # A bar is above the list, not above the dialogue, and another one is where one is.
    head, *entries = desk.lines("-e")[:4]
    assert re.search(r"\x1b\[7m Conversations: 3 +\x1b\[0m.*2  127", head), head
    marked = [line for line in entries if re.search(r"\x1b\[(0;)?7m", line)]
    assert len(marked) == 1 and "▸" in marked[0], marked
    desk.press("/").wait("Search the list:").type("THREE").press("Enter").wait("C> #1 three")
    desk.press("/").wait("Search the list:").type("2").press("Enter").wait("C> #1 two")
    desk.press("/").wait("Search the list:").type("six").press("Enter").wait("not found: six")


def test_no_terminal(tmp_path):
    result = ctl("desk", f"--control={tmp_path}/control", status=FAILED)
    assert result.err == ("marcelctl: the desk wants a terminal; without one there is desk "
                          "--plain\n")


def test_a_terminal_that_can_do_nothing(house):
    desk = house.desk(term="dumb")
    desk.end(FAILED)
    wait_until(lambda: b"this terminal can't show the desk" in desk.errors(), "a word about it")
