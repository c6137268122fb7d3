"""A marceld whose script proposes answers to operators: what the client says tells whether, and when,
the draft goes out by itself.

    peer.send("DRAFT tea\\n")      # "about tea", in an hour, which is never in a test
    peer.send("LATER tea\\n")      # in two days
    peer.send("LINES tea\\n")      # in an hour; it has two lines
    peer.send("STAY tea\\n")       # never, and the operator stays
    peer.send("MOMENT tea\\n")     # in some seconds: time enough for a program, not for a person
    peer.send("SOON tea\\n")       # at once, nearly: nothing is done before it

But for STAY, the script is "back" when it has gone out or is dropped.
"""

import time

import pytest

SCRIPT = """marcel-script 1
frame line lf
end none
on connect              say "hello"
always
    on "DRAFT {x}"      hand fifo draft "about ${x}" for 1h; say "back"
    on "LATER {x}"      hand fifo draft "about ${x}" for 2d; say "back"
    on "STAY {x}"       hand fifo draft "about ${x}" stay; say "back"
    on "LINES {x}"      hand fifo draft "about ${x}\\nand more" for 1h; say "back"
    on "MOMENT {x}"     hand fifo draft "about ${x}" for 3s; say "back"
    on "SOON {x}"       hand fifo draft "about ${x}" for 300ms; say "back"
    otherwise           say "? ${message}"
"""


@pytest.fixture(name="scripted")
def scripted_fixture(manager, tmp_path):
    (tmp_path / "test.script").write_text(SCRIPT)
    manager.config = (f"[dialogue]\nresponder = script\n[script]\nfile = {tmp_path}/test.script\n"
                      "[fifo]\nabsent_after = infinity\n")
    manager.start()
    return manager


def clock(until, form="%H:%M:%S"):
    """As marcelctl shows a time, in UTC."""
    return time.strftime(form, time.gmtime(until // 1000000))
