# SPDX-License-Identifier: Apache-2.0
"""Where the agent takes the kernel's types from in each session, and what it refuses."""

from __future__ import annotations

import re

from tests.vm.guests import Session
from tests.vm.ways import INFERRED, SCANNED, SOURCES, UNKNOWN


def expected(session: Session) -> str:
    """The source that the session must have used."""
    if session.way.source != UNKNOWN:
        return session.way.source
    return INFERRED if session.known.twins() else SCANNED


def test_source(running: Session) -> None:
    """The source that the way asks for is stated in the log, and no other."""
    stated = [name for name, pattern in SOURCES.items() if pattern.search(running.log)]
    assert stated == [expected(running)], running.log


def test_inferred_from_a_kernel_of_the_same_layout(running: Session) -> None:
    """The kernel that is named as the model has, by its full BTF, the same answers as this one."""
    named = SOURCES[INFERRED].search(running.log)
    if expected(running) != INFERRED:
        assert named is None, running.log
        return
    assert named, running.log
    assert named["kernel"] in {*running.known.twins(), running.known.made_up}


def test_what_is_unproven_is_reported(running: Session) -> None:
    """Who may prepare any task proves all queries; without capabilities some stay open, and
    told.
    """
    reported = re.search(
        r"BTF discovery: inferred from .* unproven=(.*)$", running.log, re.MULTILINE
    )
    if expected(running) not in {INFERRED, SCANNED}:
        assert reported is None
        return
    assert reported, running.log
    unproven = [need for need in reported[1].strip('"').split("; ") if need]
    if running.way.situation == "confined":
        # No pid namespace can be made without CAP_SYS_ADMIN.
        assert "offset struct pid.level int" in unproven
    else:
        assert unproven == []


def test_nothing_is_used_unchecked(session: Session) -> None:
    """Where the kernel could not be examined the agent would say so, and prove nothing."""
    assert "used unchecked" not in session.log


def test_commands_before(session: Session) -> None:
    """Commands that prepare a session end as they must."""
    prepared = session.record["prepared"]
    assert [done["code"] for done in prepared] == [code for code, _ in session.way.before], prepared


def test_buffer(running: Session) -> None:
    """Events come through the ring buffer, which all these kernels have, or the buffer forced."""
    forced = "--use-perf-ring-buffer" in running.way.options
    assert ("Perf buffer size" if forced else "BPF ring buffer size") in running.log


def test_refusal(refused: Session) -> None:
    """One clear error with what was tried, exit code 255, no event."""
    assert not refused.record["listened"]
    assert refused.record["code"] == 255, refused.log
    assert "Traceback" not in refused.log
    error = refused.log.splitlines()[-1]
    assert "level=error" in error
    for text in refused.way.refusal:
        assert text in error
    assert refused.events == []
