"""What the journal keeps of a conversation: fields, transcript, catalog."""

import re

from conftest import GREETING, KINDS, of_kind

TRANSCRIPT = [
    (f"S> {GREETING}", "0"), ("C> a", "1"), ("S> a", "1"), ("C> élève ; zèle", "2"),
    ("S> élève ; zèle", "2"), ("C> fin", "3"), ("S> fin", "3"),
]


def hold_conversation(meet):
    """A short conversation to its end; the peer's address."""
    peer = meet()
    for text in ("a", "élève ; zèle"):
        assert peer.ask(text) == text
    peer.say("fin")
    assert peer.rest() == ["fin"]
    return peer.address()


def closed_record(marcel, address):
    """The record of the end of the conversation that ADDRESS held."""
    return marcel.await_journal(of_kind("CLOSED"), f"MARCEL_PEER={address}")[0]


def test_one_conversation_is_one_match(marcel, meet):
    number = closed_record(marcel, hold_conversation(meet))["MARCEL_CONVERSATION"]
    hold_conversation(meet)
    entries = marcel.journal(f"MARCEL_CONVERSATION={number}")
    said = [entry for entry in entries if entry["MESSAGE_ID"] == KINDS["SAID"]]
    assert [entry["MESSAGE"] for entry in said] == [text for text, _ in TRANSCRIPT]
    assert [entry["MARCEL_TURN"] for entry in said] == [turn for _, turn in TRANSCRIPT]
    assert [entry["MESSAGE_ID"] for entry in entries if entry not in said] == \
        [KINDS["OPENED"], KINDS["CLOSED"]]
    # The order is the one in which things happened.
    assert entries[0]["MESSAGE_ID"] == KINDS["OPENED"]
    assert entries[-1]["MESSAGE_ID"] == KINDS["CLOSED"]


def test_every_record_says_which_conversation_it_is_about(marcel, meet):
    address = hold_conversation(meet)
    number = closed_record(marcel, address)["MARCEL_CONVERSATION"]
    assert re.fullmatch(r"[1-9][0-9]*", number)
    entries = marcel.journal(f"MARCEL_CONVERSATION={number}")
    for entry in entries:
        assert entry["MARCEL_PEER"] == address
        assert entry["MARCEL_LISTENER"] == "marcel"
        assert re.fullmatch(r"[0-9a-f]{32}", entry["MARCEL_CONVERSATION_ID"])
        assert entry["_SYSTEMD_UNIT"] == "marcel.service"
        assert entry["SYSLOG_IDENTIFIER"] == "marceld"
    assert len({entry["MARCEL_CONVERSATION_ID"] for entry in entries}) == 1
    assert entries[-1]["MARCEL_REASON"] == "end-word"


def test_numbers_are_never_used_again(marcel, meet):
    numbers = []
    for _ in range(2):
        for _ in range(3):
            record = closed_record(marcel, hold_conversation(meet))
            numbers.append((int(record["MARCEL_CONVERSATION"]), record["MARCEL_CONVERSATION_ID"]))
        marcel.run("systemctl restart marcel.service")
    assert [number for number, _ in numbers] == sorted({number for number, _ in numbers})
    assert len({identity for _, identity in numbers}) == len(numbers)


def test_reasons(marcel, meet):
    peer = meet()
    peer.say("")
    assert peer.rest() == ["fin"]
    assert closed_record(marcel, peer.address())["MARCEL_REASON"] == "empty-message"
    peer = meet()
    peer.socket.shutdown(1)
    assert peer.rest() == ["fin"]
    assert closed_record(marcel, peer.address())["MARCEL_REASON"] == "end-of-input"


def test_control_characters_reach_no_terminal(marcel, meet):
    peer = meet()
    assert peer.ask("\x1b[31mrouge\x07") == "\x1b[31mrouge\x07"
    peer.say("fin")
    number = closed_record(marcel, peer.address())["MARCEL_CONVERSATION"]
    printed = marcel.run(f"journalctl -o cat MARCEL_CONVERSATION={number}").stdout
    assert "rouge" in printed
    assert "\x1b" not in printed and "\x07" not in printed


def explained(marcel, language, *matches):
    return marcel.run(["journalctl", "-x", "-q", "--no-hostname", *matches],
                      environment={"LANG": language}).stdout


def test_the_catalog_explains(marcel, meet):
    number = closed_record(marcel, hold_conversation(meet))["MARCEL_CONVERSATION"]
    match = f"MARCEL_CONVERSATION={number}"
    english = explained(marcel, "C.UTF-8", of_kind("CLOSED"), match)
    assert "░░ Subject: " in english
    assert "@" not in re.sub(r"^[^░].*$", "", english, flags=re.MULTILINE)  # all filled in
    french = explained(marcel, "fr_FR.UTF-8", of_kind("CLOSED"), match)
    assert "░░ Subject: " in french
    assert french != english


def test_every_kind_is_in_the_catalog(marcel):
    for language in ("C.UTF-8", "fr_FR.UTF-8"):
        listed = marcel.run("journalctl --list-catalog", environment={"LANG": language}).stdout
        for name, message_id in KINDS.items():
            assert re.search(rf"^{message_id} \S+: \S", listed, re.MULTILINE), (language, name)


def test_a_long_transcript_is_kept_whole_or_counted(marcel, meet):
    # journald's own rate limit would begin to drop after 30,000 records, and tell nobody.
    peer = meet()
    burst = "".join(f"{number}\n" for number in range(1000))
    rounds = 40
    for _ in range(rounds):
        peer.socket.sendall(burst.encode())
        for number in range(1000):
            assert peer.line() == str(number)
    peer.say("fin")
    assert peer.rest() == ["fin"]
    closed_record(marcel, peer.address())
    kept = len(marcel.journal(of_kind("SAID"), since=marcel.start_of_test))
    told = marcel.journal(of_kind("DROPPED"), since=marcel.start_of_test)
    dropped = sum(int(entry["MARCEL_DROPPED_TRANSCRIPT"]) for entry in told)
    assert kept + dropped == 2 * 1000 * rounds + 3
