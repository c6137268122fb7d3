"""The table in a memfd, for tests that look at it or spoil it: src/converse/table.h, slot.h.

Only what the tests need, and of the present version; marceld itself reads every released one.
"""

import os
import struct

# The beginning that is the same in every version, then what is of this one.
HEADER = struct.Struct("<QIIQIIQ" + "IIQ" + 10 * "Q")
FIELDS = ("magic", "version", "header_size", "generation", "complete", "attempts", "handed_over_at",
          "capacity", "used", "size", "ring_offset", "ring_size", "heads_offset", "head_size",
          "near_offset", "near_size", "states_offset", "states_size", "far_offset", "far_size")
VERSION, GENERATION, COMPLETE, SIZE = 8, 16, 24, 48  # their offsets
# A slot's head begins with its sequence, its stage, its crashes and its socket's cookie.
HEAD = struct.Struct("<QIIQ")
COOKIE = 16
IN_READ = 56
TURNS, TURN_SIZE, TURN_FLAGS = 80, 80, 51  # its two halves, and where one has its flags
TURN_HOLDS = 0x40
STAGE_LIVE = 1


class Table:
    """The table behind the descriptor FD, which stays its owner's."""

    def __init__(self, fd):
        self.fd = fd
        self.header = dict(zip(FIELDS, HEADER.unpack(os.pread(fd, HEADER.size, 0))))

    def write(self, offset, data):
        assert os.pwrite(self.fd, data, offset) == len(data)

    def set_version(self, version):
        self.write(VERSION, struct.pack("<I", version))

    def set_complete(self, complete):
        self.write(COMPLETE, struct.pack("<I", complete))

    def drop_past(self):
        """Makes it one of the first, which end before what was said last."""
        size = self.header["far_offset"] + self.header["capacity"] * self.header["far_size"]
        assert size < self.header["size"]
        self.write(SIZE, struct.pack("<Q", size))
        os.ftruncate(self.fd, size)

    def head_offset(self, index):
        return self.header["heads_offset"] + index * self.header["head_size"]

    def heads(self):
        """The slots that hold conversations."""
        def stage(index):
            return HEAD.unpack(os.pread(self.fd, HEAD.size, self.head_offset(index)))[1]
        return [index for index in range(self.header["used"]) if stage(index) == STAGE_LIVE]
