# SPDX-License-Identifier: Apache-2.0
"""How an exit code becomes status and signal."""

from __future__ import annotations

import signal

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
    return ProcessExit(Process(b"node", 1, 0, 0), None, code, 0)


def test_status_is_the_high_byte_for_all_codes() -> None:
    """status = code >> 8 for each of the 65,536 codes."""
    assert all(event(code).status == code >> 8 for code in range(0x10000))


def test_the_low_seven_bits_name_the_signal_for_all_codes() -> None:
    """Whether a core was dumped or not; a signal without a name shows its number."""
    for code in range(0x10000):
        number = code & 0x7F
        if number == 0x7F or code & 0xFF == 0x80:
            expected = f"code {code:#x}"
        elif number in NAMES:
            expected = "SIG" + NAMES[number]
        elif 34 <= number <= 64:
            expected = "SIGRTMIN" + (f"+{number - 34}" if number > 34 else "")
        else:
            expected = f"SIG{number}" if number else ""
        assert event(code).signal == expected, hex(code)


@pytest.mark.parametrize("number", range(int(signal.SIGRTMIN), int(signal.SIGRTMAX) + 1))
@pytest.mark.parametrize("core", [0, 0x80])
def test_real_time_signals_count_from_what_programs_call_sigrtmin(number: int, core: int) -> None:
    """libc keeps 32 and 33 for itself, and kill(1) counts from 34."""
    shown = event(number | core).signal
    name, _, offset = shown.partition("+")
    assert (name, signal.SIGRTMIN + int(offset or 0)) == ("SIGRTMIN", number)


def test_no_two_ends_look_alike() -> None:
    """But for the core, every code that the kernel can report differs in status or signal."""
    ends = [status << 8 for status in range(256)] + list(range(1, 0x7F))
    assert len({(event(code).status, event(code).signal) for code in ends}) == len(ends)


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
        (32, 0, "SIG32"),
        (34, 0, "SIGRTMIN"),
        (37 | 0x80, 0, "SIGRTMIN+3"),
        (64, 0, "SIGRTMIN+30"),
        (65, 0, "SIG65"),
        (0x80, 0, "code 0x80"),  # a core, and no signal
        (0x137F, 0x13, "code 0x137f"),  # stopped
        (0xFFFF, 0xFF, "code 0xffff"),  # goes on
        (0xFFFFFFFB, 0xFF, "code 0xfffffffb"),  # a kernel thread that returned -EIO
    ],
)
def test_usual_codes(code: int, status: int, signal: str) -> None:
    """What wait(2) reports for usual ends reads as usual."""
    assert (event(code).status, event(code).signal) == (status, signal)


def test_a_code_of_more_than_16_bits_keeps_its_status_a_byte() -> None:
    """Bits above the status, which the kernel does not set, are not shown."""
    assert event(0xABCD0100).status == 1
