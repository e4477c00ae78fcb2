# SPDX-License-Identifier: Apache-2.0
"""What follows where the kernel's own BTF is there and does not serve."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from tests.kernel.test_btf import EBPF, KERNEL, PLACES, RELEASE, fails, works
from tests.support.agent import Agent

pytestmark = pytest.mark.skipif(not KERNEL.exists(), reason="needs a kernel with BTF")


# A kernel's own BTF as a later kernel may have it: a type of a kind that nobody here knows.
REFUSED = {
    "of an unknown kind": lambda whole: with_type(whole, 20),
    "of libbpf's kinds, but not the kernel's": lambda whole: whole[:24] + b"\xff" * 64 + whole[88:],
}


def with_type(whole: bytes, kind: int) -> bytes:
    """The same BTF with one type more, without a name and of no further words."""
    header = list(struct.unpack_from("<HBBIIIII", whole))
    start, size, strings, strings_size = header[3] + header[4], header[5], *header[6:]
    more = struct.pack("<III", 0, kind << 24, 0)
    types = whole[start : start + size] + more
    strings += header[3]
    header[3:] = 24, 0, len(types), len(types), strings_size
    names = whole[strings : strings + strings_size]
    return struct.pack("<HBBIIIII", *header) + types + names


@pytest.mark.parametrize("what", REFUSED)
def test_own_that_is_not_taken_leads_to_the_next(tmp_path: Path, actor: Path, what: str) -> None:
    """Not to the process connector; what was found is compared with the running kernel."""
    path = tmp_path / "new.btf"
    path.write_bytes(REFUSED[what](KERNEL.read_bytes()))
    agent = Agent(tmp_path, EBPF, prepare=f"mount --bind {path} {KERNEL}")
    works(agent, actor)
    said = f'msg="BTF discovery: kernel btf is not usable" btf={KERNEL} error='
    assert said in agent.log
    assert "failed to read kernel BTF" in agent.log.partition(said)[2].splitlines()[0]
    assert any(one in agent.log for one in ("embedded archive has this kernel", "inferred from"))


def test_the_connector_comes_after_all_sources(tmp_path: Path) -> None:
    """And the log says what became of each."""
    path = tmp_path / "new.btf"
    path.write_bytes(with_type(KERNEL.read_bytes(), 20))
    nothing = tmp_path / "empty.xz"
    nothing.write_bytes(b"")
    agent = Agent(
        tmp_path,
        "--btf-archive",
        str(nothing),
        prepare=f"mount --bind {path} {KERNEL}",
    )
    with agent:
        agent.started()
        assert agent.stop() == 0
    (line,) = [one for one in agent.log.splitlines() if "Events come from the process con" in one]
    chain = [str(KERNEL), *(place.format(RELEASE) for place in PLACES), "archive", "scan of kernel"]
    found = [line.find(one) for one in chain]
    assert -1 not in found
    assert found == sorted(found)
    assert "failed to read kernel BTF" in line


def test_btf_that_was_named_and_is_not_understood_stays_an_error(tmp_path: Path) -> None:
    """Nothing else is tried: the operator is told what the file is."""
    path = tmp_path / "new.btf"
    path.write_bytes(with_type(KERNEL.read_bytes(), 20))
    last = fails(Agent(tmp_path, "--btf", str(path)))
    assert f"user specified BTF {path}: type " in last
    assert "unknown kind" in last
