# SPDX-License-Identifier: Apache-2.0
"""Messages of the process connector are read as the kernel wrote them, and nothing else is."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.connector_messages import message, recorded
from tetrapy.errors import FormatError
from tetrapy.sensors.connector.messages import Exec, Exit, Fork, Message, Name, Owner, parse


def test_real_messages() -> None:
    """A process of this kernel: forked, executed, renamed, another user, a thread, killed."""
    read = {}
    for number, (kind, data) in enumerate(recorded()):
        read[f"{kind}{number}"] = parse(data).record
    fork, sid, execute, comm, gid, uid, thread, thread_end, core, end = read.values()
    assert isinstance(fork, Fork)
    pid, parent = fork.pid, fork.parent
    assert fork.tid == pid != parent
    assert sid is gid is core is None
    assert isinstance(execute, Exec)
    assert execute[:1] == (pid,)
    assert execute.seen is None
    assert isinstance(comm, Name)
    assert comm[:3] == (pid, pid, b"caf\xe9 (1)")
    assert isinstance(uid, Owner)
    assert uid[:4] == (pid, pid, 1000, 1000)
    assert isinstance(thread, Fork)
    assert thread[::2] == (pid, parent)
    assert isinstance(thread_end, Exit)
    assert thread_end[:3] == (pid, thread.tid, 0)
    assert isinstance(end, Exit)
    assert end[:3] == (pid, pid, 6)
    times = [record.time for record in read.values() if record is not None]
    assert times == sorted(times)
    assert times[0] > 0


def test_numbers_of_a_cpu_follow_each_other() -> None:
    """The recorded messages were numbered by their CPU without a gap."""
    by_cpu: dict[int, list[int]] = {}
    for _, data in recorded():
        read = parse(data)
        by_cpu.setdefault(read.cpu, []).append(read.number)
    for numbers in by_cpu.values():
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


@given(st.binary(max_size=120))
def test_any_bytes(data: bytes) -> None:
    """Bytes are a message or a FormatError, never another exception."""
    with suppress(FormatError):
        assert isinstance(parse(data), Message)


@given(st.sampled_from(recorded()), st.data())
def test_damaged_message(real: tuple[str, bytes], data: st.DataObject) -> None:
    """A real message with some bytes changed, or cut, is read or refused."""
    damaged = bytearray(real[1])
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    del damaged[data.draw(st.integers(1, len(damaged))) :]
    try:
        parse(bytes(damaged))
    except FormatError:
        return
    assert len(damaged) == len(real[1])


def test_another_connector() -> None:
    """A message that is not of the process connector is refused."""
    with pytest.raises(FormatError, match=r"from connector 7\.1"):
        parse(message("fork", 1, 1, 2, 2, idx=7))


def test_unknown_kind() -> None:
    """A kind that is not used, or not known yet, counts for its number only."""
    assert parse(message("none", cpu=3, number=9)) == Message(3, 9, None)
