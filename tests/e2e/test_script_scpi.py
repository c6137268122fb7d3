"""An instrument: the shipped script scpi, as a program that measures talks to it."""

from script_tools import serve


class Instrument:
    """What a library for instruments has: write() and query()."""

    def __init__(self, peer, end=b"\n"):
        self.peer = peer
        self.end = end

    def write(self, command):
        self.peer.send(command.encode() + self.end)

    def query(self, command):
        self.write(command)
        line = self.peer.line()
        assert line.endswith(self.end), line
        return line[:-len(self.end)].decode()

    def errors(self):
        """Empties the error queue."""
        found = []
        while not (error := self.query("SYST:ERR?")).startswith("0,"):
            found.append(int(error.partition(",")[0]))
        return found


def test_dialogue(marceld):
    server = serve(marceld, "scpi")
    for end in (b"\n", b"\r\n"):
        supply = Instrument(server.connect(b""), end)
        assert supply.query("*IDN?") == "MARCEL,PS-30,0001,1.0"
        supply.write("*RST;*CLS")
        assert float(supply.query("VOLT?")) == 5
        for voltage in ("0", "30", "12.5", "1e1", " 7", "-0"):
            supply.write(f"VOLT {voltage}")
            assert supply.query("volt?") == "%+.6E" % float(voltage)
        supply.write("SOUR:CURR 2.5")
        assert float(supply.query("CURR?")) == 2.5
        assert supply.errors() == []


def test_error_queue(marceld):
    supply = Instrument(serve(marceld, "scpi").connect(b""))
    for command in ("VOLT 30.01", "VOLT -1", "VOLT", "CURR x", "OUTP 2", "NOSUCH?", "OUTP ON"):
        supply.write(command)
    assert supply.query("*STB?") == "4"
    assert supply.errors() == [-222, -222, -113, -222, -104, -113]
    assert float(supply.query("VOLT?")) == 5
    assert supply.query("OUTP?") == "1"
    supply.write("VOLT 99;*CLS")
    assert supply.query("*STB?") == "0"
    assert supply.errors() == []


def test_lists(marceld):
    """Several commands in a line are answered in a line (IEEE 488.2), and what only sets not."""
    supply = Instrument(serve(marceld, "scpi").connect(b""))
    assert supply.query("VOLT 3;CURR 1;VOLT?;CURR?;*OPC?") == "+3.000000E+00;+1.000000E+00;1"
    assert supply.query("OUTP ON;OUTP?") == "1"
    assert supply.query("  VOLT 4; CURR 2;; VOLT?") == "+4.000000E+00"
    assert supply.query("*RST;VOLT?;OUTP?;SYST:ERR?") == '+5.000000E+00;0;0,"No error"'
    supply.write("VOLT 1;VOLT 2")
    assert supply.query("VOLT?;") == "+2.000000E+00"


def test_many_lines_at_once(marceld):
    """A program that doesn't wait gets all answers in their order."""
    supply = Instrument(serve(marceld, "scpi").connect(b""))
    supply.peer.send(b"".join(b"VOLT %d;VOLT?;*OPC?\n" % (i % 31) for i in range(1000)))
    for i in range(1000):
        assert supply.peer.line() == b"%+.6E;1\n" % (i % 31)
