"""Many conversations that operators hold, where the limit of descriptors leaves little room: what is
in flight counts for the user, over both vaults, and not for root at all."""

import os
import random
import shutil
import tempfile
from pathlib import Path

import pytest

from daemon_tools import FAREWELL, repeat, wait_until
from manager import ServiceManager
from operator_tools import Channel, fifo_config

LIMIT = 2000
CONVERSATIONS = 720
CHURNS = repeat(10000, least=1000)
AT_ONCE = 8
# One that hardly anybody is.
USER = 64000 + os.getpid() % 500


@pytest.fixture(name="crowded")
def crowded_fixture():
    """A manager whose daemon is not root's, and has few descriptors."""
    directory = Path(tempfile.mkdtemp(prefix="marcel-"))
    user = USER if os.geteuid() == 0 else None
    made = ServiceManager(directory, fifo_config(grace="0s"), limit=LIMIT, user=user)
    yield made
    made.close()
    shutil.rmtree(directory)


def come_and_go(manager, peers, many):
    """MANY clients, AT_ONCE at a time, leave their places to others."""
    chance = random.Random(many)
    for _ in range(many // AT_ONCE):
        for place in chance.sample(range(len(peers)), AT_ONCE):
            peers[place].send("fin\n").expect_end(FAREWELL)
            peers[place].close()
            manager.peers.remove(peers[place])
            peers[place] = manager.connect()


def open_descriptors(manager):
    return len(os.listdir(f"/proc/{manager.daemon.pid}/fd"))


def test_none_is_lost(crowded):
    """After many have come and gone, all outlive SIGKILL, with what operators wrote meanwhile.
    Where all want to do something at once, nobody lacks a descriptor for it."""
    crowded.start()
    peers = [crowded.connect() for _ in range(CONVERSATIONS)]
    for _ in range(2):
        come_and_go(crowded, peers, CHURNS)
        # What has ended is let go, though the limit is near.
        wait_until(lambda: open_descriptors(crowded) < LIMIT - LIMIT // 10, "descriptors to spare")
        # An order to all is for those who have a place, and the last have just come.
        places = crowded.runtime / "operator/conversations"
        wait_until(lambda: len(list(places.glob("*/in"))) == CONVERSATIONS, "a place for each")
        with Channel(crowded.runtime / "operator") as channel:
            # Of the life before, `events` may have let go.
            before = len(channel.find("resumed"))
            crowded.kill()
            assert crowded.daemon.records("not_carried") == []
            channel.write("* encore là")
            for peer in peers:
                peer.expect("encore là\n")
            channel.wait("resumed", count=before + CONVERSATIONS)
        assert not [record for daemon in crowded.daemons for record in daemon.records("trouble")]
