"""Taking over at the operator's desk: from a script, giving back and to another one; drafts."""

from desk_tools import house_fixture, needs_tmux, scripted_fixture  # noqa: F401 (fixtures)

pytestmark = needs_tmux


def test_taking_over_from_a_script_and_giving_back(scripted):
    peer = scripted.daemon.connect(b"script here\n")
    peer.send("one\n").expect("script: one\n")
    desk = scripted.desk()
    desk.wait("C> #1 one", "S> script: one", "^T takes this conversation").wait_title("script")
    desk.type("hello").press("Enter").wait("script answers here").wait_input("S> hello")
    desk.press("C-t").wait("an operator answers from now on").wait_title("you answer, script")
    desk.press("Enter")
    peer.expect("hello\n").send("two\n")
    desk.wait("C> #2 two").type("two yourself").press("Enter")
    peer.expect("two yourself\n")
    desk.press("C-t").wait("you answer here already")
    desk.press("C-g").wait("Give to: script").press("Enter")
    desk.wait("script answers from now on").wait_title("script answers")
    peer.send("three\n").expect("script: three\n")
    desk.wait("S> script: three")


def test_giving_to_another_one(house):
    peer = house.connect("one")
    desk = house.desk()
    desk.wait("C> #1 one").press("C-g").wait("Give to: ").press("C-u").type("nobody")
    desk.press("Enter").wait("#1 is not answered; give all the same?").press("n")
    desk.wait_input("#1 S>").press("C-g").wait("Give to: ").press("C-u").type("nobody")
    desk.press("Enter").wait("all the same").press("y").wait("refused: ").press("C-g", "C-u").wait_input("Give to:")
    # There is one besides who answers.
    desk.press("Tab", "Tab").type("?").wait_input("Give to: echo?")
    desk.press("C-u").type("echo").press("Enter").wait("#1 is not answered").press("y")
    desk.wait_title("echo answers")
    peer.send("two\n").expect("two\n")


def test_a_script_hands_over(scripted):
    peer = scripted.daemon.connect(b"script here\n")
    desk = scripted.desk()
    desk.wait_title("script answers")
    peer.send("human please\n")
    desk.wait_title("you answer").wait("1 waiting", "C> #1 human please").wait_input("#1 S>")
    desk.type("at your service").press("Enter")
    peer.expect("at your service\n")


def test_drafts(scripted):
    peer = scripted.daemon.connect(b"script here\n")
    desk = scripted.desk()
    desk.wait_title("script answers")
    peer.send("draft one\n")
    desk.wait("-- draft for #1: about draft one", "#1 S> goes out at ",
              "; Enter sends the draft, Alt-e edits it")
    desk.press("Enter").wait("Send the draft?").press("Enter")
    peer.expect("about draft one\n").send("draft two\n")
    desk.wait("-- draft for #2: about draft two").press("M-e").wait_input("#2 S> about draft two")
    desk.type("!").press("Enter")
    peer.expect("about draft two!\n").send("three\n").expect("script: three\n")
    # One that was there before.
    peer.send("draft four\n")
    desk.wait("draft for #4: about draft four").press("C-c")
    scripted.desk().wait("draft for #4: about draft four")
