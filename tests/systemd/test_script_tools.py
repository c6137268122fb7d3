"""marcelctl's scripts out of the journal: what was answered today is answered by a script
tomorrow."""

from conftest import GREETING, of_kind


def number_of(marcel, address):
    """The number of the conversation that ADDRESS held, once it is over."""
    closed = marcel.await_journal(of_kind("CLOSED"), f"MARCEL_PEER={address}")[0]
    return closed["MARCEL_CONVERSATION"], closed["MARCEL_CONVERSATION_ID"]


def hold_conversation(meet):
    peer = meet()
    for text in ("bonjour", "l'été \\ $x \"*\" \x1b[1m", "bonjour"):
        assert peer.ask(text) == text
    peer.say("fin")
    assert peer.rest() == ["fin"]
    return peer.address()


def test_an_echo_becomes_a_script(marcel, meet):
    number, long_id = number_of(marcel, hold_conversation(meet))
    for base, name in (("/run/by-number", number), ("/run/by-id", long_id)):
        marcel.run(f"marcelctl script from-journal --output {base} {name}")
        tested = marcel.run(f"marcelctl script test {base}.script {base}.transcript").stdout
        assert tested == "1 passed, 0 failed\n"
        assert "\x1b" not in marcel.run(f"cat {base}.script {base}.transcript").stdout
    transcript = marcel.run("cat /run/by-number.transcript").stdout.splitlines()
    assert [line for line in transcript if line[:2] in ("C>", "S>", "X>", "E>")] == [
        f"S> {GREETING}",
        "C> bonjour", "S> bonjour",
        "C> l'été \\\\ $x \"*\" \\e[1m", "S> l'été \\\\ $x \"*\" \\e[1m",
        "C> bonjour", "S> bonjour",
        "C> fin", "S> fin", "X>",
    ]


def test_the_script_answers_as_the_echo_did(marcel, meet):
    number, _ = number_of(marcel, hold_conversation(meet))
    marcel.run(f"marcelctl script from-journal --output /etc/marcel-copy {number}")
    marcel.run("systemctl stop marcel.socket marcel.service")
    marcel.write("/etc/marcel.ini", "[dialogue]\nresponder = script\n"
                                    "[script]\nfile = /etc/marcel-copy.script\n")
    marcel.run("systemctl start marcel.socket")
    hold_conversation(meet)


def test_a_conversation_that_nobody_held(marcel):
    result = marcel.run("marcelctl script from-journal --output /run/none 999999", check=False)
    assert result.returncode == 1
    assert "999999" in result.stderr
