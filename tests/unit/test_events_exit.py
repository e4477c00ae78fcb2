"""How an exit code becomes status and signal."""

from __future__ import annotations

import pytest

from tetrapy.events.exit import ProcessExit
from tetrapy.events.process import Process

# signal(7) on x86_64 and arm64; the names that Go's unix.SignalName gives.
NAMES = dict(
    enumerate(
        "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT"
        " STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS".split(),
        start=1,
    )
)


def event(code: int) -> ProcessExit:
    return ProcessExit(Process(b"node", 1, 0, 0), None, code, "")


def test_status_is_the_high_byte_for_all_codes() -> None:
    """status = code >> 8 for each of the 65,536 codes."""
    assert all(event(code).status == code >> 8 for code in range(0x10000))


def test_signal_follows_tetragons_rule_for_all_codes() -> None:
    """The low byte names the signal; with the core bit set its low seven bits do."""
    for code in range(0x10000):
        number = code & 0xFF
        if number & 0x80:
            number &= 0x7F
        expected = "SIG" + NAMES[number] if number in NAMES else ""
        assert event(code).signal == expected, hex(code)


@pytest.mark.parametrize("number", range(32, 65))
@pytest.mark.parametrize("core", [0, 0x80])
def test_real_time_signals_have_no_name(number: int, core: int) -> None:
    """32 to 64 are real-time signals, which Tetragon leaves out."""
    assert event(number | core).signal == ""


@pytest.mark.parametrize(
    ("code", "status", "signal"),
    [
        (0, 0, ""),
        (0x100, 1, ""),
        (0x7F00, 127, ""),
        (0xFF00, 255, ""),
        (9, 0, "SIGKILL"),
        (15, 0, "SIGTERM"),
        (11 | 0x80, 0, "SIGSEGV"),
        (6 | 0x80, 0, "SIGABRT"),
        (16, 0, "SIGSTKFLT"),
        (0x80, 0, ""),
    ],
)
def test_usual_codes(code: int, status: int, signal: str) -> None:
    """What wait(2) reports for usual ends reads as usual."""
    assert (event(code).status, event(code).signal) == (status, signal)


def test_a_code_of_more_than_16_bits_keeps_its_status_a_byte() -> None:
    """Bits above the status, which the kernel does not set, are not shown."""
    assert event(0xABCD0100).status == 1
