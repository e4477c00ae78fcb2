# SPDX-License-Identifier: Apache-2.0
"""What the bill of materials takes for the contents of a packed file, and what it refuses."""

from __future__ import annotations

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.errors import BuildError
from tools.sbom import components, texts
from tools.sbom.members import members
from tools.zip_writer import zip_bytes

FIRST_LINE = b"#!/usr/bin/env python3\n"
FILES = {"__main__.py": b"print()\n", "a/b.py": b"x" * 5000, "a/c": b""}

names = st.text("abc/", min_size=1, max_size=8).filter(lambda name: all(name.split("/")))


def packed(files: dict[str, bytes]) -> bytes:
    return zip_bytes(files, FIRST_LINE.decode().rstrip("\n"))


@given(st.dictionaries(names, st.binary(max_size=300), min_size=1, max_size=6))
def test_every_file_is_reported(files: dict[str, bytes]) -> None:
    """What our writer packs is what is read back, byte for byte."""
    assert members(packed(files), FIRST_LINE) == files


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data + b"tail",
        lambda data: b"#!/bin/sh\n" + data,
        lambda data: data[: len(FIRST_LINE)] + b"import evil\n" + data[len(FIRST_LINE) :],
        lambda data: data[:-2] + b"\x04\x00" + b"note",
        lambda data: FIRST_LINE + b"no zip at all",
    ],
    ids=["appended", "prepended", "after the first line", "comment", "no zip"],
)
def test_bytes_that_no_file_has_are_refused(change) -> None:
    """A list of files would not show them."""
    with pytest.raises(BuildError):
        members(change(packed(FILES)), FIRST_LINE)


def test_a_gap_between_files_is_refused() -> None:
    """A member that the directory does not list lies between two that it does."""
    whole = io.BytesIO(FIRST_LINE)
    whole.seek(0, io.SEEK_END)
    with zipfile.ZipFile(whole, "a") as archive:
        for name in ("a", "hidden", "z"):
            archive.writestr(name, name * 100)
        archive.infolist()
        archive.filelist.remove(archive.getinfo("hidden"))
    with pytest.raises(BuildError, match="belong to no file before z"):
        members(whole.getvalue(), FIRST_LINE)


def test_a_name_that_is_there_twice_is_refused() -> None:
    """Readers of zip files do not agree which of the two counts."""
    whole = io.BytesIO(FIRST_LINE)
    whole.seek(0, io.SEEK_END)
    with zipfile.ZipFile(whole, "a") as archive:
        archive.writestr("a", "one")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a", "two")
    with pytest.raises(BuildError, match="a name twice"):
        members(whole.getvalue(), FIRST_LINE)


def test_each_source_is_in_a_library_of_ours() -> None:
    """It names the package that it is compiled into, and the release's own address."""
    own = {component.key for component in components.own("1.2.3")}
    for source in components.sources():
        assert set(source.part_of) <= own
        assert source.location.startswith("https://")
        assert len(source.sha256) == 64
    assert {name for names in components.LIBRARIES.values() for name in names} == {
        source.name for source in components.sources()
    }


def test_the_bpf_programs_are_gpl() -> None:
    """The kernel demands it, so no bill may say otherwise."""
    (bpf,) = (c for c in components.own("1.2.3") if c.key == "tetrapy-bpf")
    assert bpf.licence == "GPL-2.0-only"


def test_the_agent_states_its_licence() -> None:
    """The bill says what LICENSE says."""
    (agent,) = (c for c in components.own("1.2.3") if c.key == "tetrapy")
    assert agent.licence == "Apache-2.0"
    assert "Apache License" in (components.ROOT / "LICENSE").read_text()
    assert "GNU GENERAL PUBLIC LICENSE" in (components.ROOT / "bpf/LICENSE").read_text()


@pytest.mark.slow
def test_each_wheel_and_source_has_its_licence_text() -> None:
    """Equal texts stand once, below the names of all that they are of."""
    found = texts.texts()
    assert "\ntetrapy: LICENSE\n" in found
    assert "\nBPF programs of tetrapy: bpf/LICENSE\n" in found
    for component in (*components.sources(), *components.packages().values()):
        assert f"\n{component.name} {component.version}: " in found
    assert found.count("Everyone is permitted to copy and distribute verbatim copies") >= 2
