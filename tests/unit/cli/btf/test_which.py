# SPDX-License-Identifier: Apache-2.0
"""`tetrapy btf which`: what is used here, and for other kernels."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import btf_kernels
from tests.support.btf_kernels import (
    LOCAL,
    ONE,
    THREE,
    TWO,
    answers,
    archive,
    btf,
    objects,
)
from tetrapy.btf.btf_paths import Places
from tetrapy.btf.discovery import Search
from tetrapy.btf.store import host_of
from tetrapy.config.settings import Settings
from tetrapy.daemon import btf as agent_btf

btf_command, flags = btf_kernels.btf_command, btf_kernels.flags


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root directory of a system whose kernel is LOCAL and cannot be examined."""

    def search(settings: Settings, log: Callable[..., None]) -> Search:
        host, places = host_of(LOCAL), Places(settings.bpf_lib, str(tmp_path / "root"))
        packed = Path(settings.btf_archive).read_bytes
        return Search(host, packed, objects, log, places=places, inference=settings.btf_inference)

    monkeypatch.setattr(agent_btf, "search", search)
    for name in [name for name in os.environ if name.startswith("TETRAPY_")]:
        monkeypatch.delenv(name)
    return tmp_path / "root"


@pytest.mark.slow
def test_which_here_is_the_store(btf_command, flags: list[str], system: Path) -> None:
    """Without BTF of the kernel's own, the local store is used; the places before it are
    reported.
    """
    done = btf_command("which", *flags)
    assert (done.code, done.err) == (0, "")
    assert done.lines[0] == f"kernel {LOCAL}"
    words = done.out.split()
    answer = json.loads(btf_command("which", "--json", *flags).out)
    assert answer["kind"] == "store"
    assert answer["tried"][0] == [str(system / "sys/kernel/btf/vmlinux"), "does not exist"]
    assert len(answer["tried"]) > 5
    places = [words.index(place) for place, _finding in answer["tried"]]
    assert places == sorted(places)


def test_which_here_is_the_kernels_own(btf_command, flags: list[str], system: Path) -> None:
    """The kernel's own BTF is used before all else."""
    own = system / "sys/kernel/btf/vmlinux"
    own.parent.mkdir(parents=True)
    own.write_bytes(btf())
    assert btf_command("which", *flags).lines[-1] == f"used: kernel, {own}"


@pytest.mark.slow
def test_which_here_takes_the_agents_flags(btf_command, flags, system: Path, tmp_path) -> None:
    """--btf is the agent's flag, and TETRAPY_BTF its variable; what they name must be there."""
    path = tmp_path / "own.btf"
    path.write_bytes(btf())
    assert btf_command("which", "--btf", path, *flags).lines[-1] == f"used: user, {path}"
    done = btf_command("which", "--btf", tmp_path / "none", *flags)
    assert done.code == 1
    assert "does not exist" in done.err
    done = btf_command("which", "--btf-inference", "perhaps", *flags)
    assert done.code == 1
    assert "auto, archive, off" in done.err


@pytest.mark.slow
def test_which_here_is_nothing(btf_command, flags: list[str], system: Path, tmp_path) -> None:
    """Where nothing is found, each place has its finding, and what helps is an error."""
    done = btf_command("which", *flags[:2], "--dir", tmp_path / "empty")
    assert done.code == 1
    assert f"has no {LOCAL} among 4 kernels" in done.out
    assert "tetrapy btf add" in done.err
    assert "the embedded archive" in done.out


def test_which_of_another_kernel(btf_command, flags: list[str], tmp_path: Path) -> None:
    """For a kernel in the archive, its entry is the answer."""
    system = tmp_path / "os-release"
    system.write_text('ID=debian\nVERSION_ID="12"\n')
    words = ["--os-release", system, "--release", "6.1.0-3-amd64", "--arch", "x86_64"]
    done = btf_command("which", *words, *flags)
    assert (done.code, done.err) == (0, "")
    assert done.lines[-1] == f"used: archive, {THREE}"


def test_which_by_release_alone(btf_command, flags: list[str], tmp_path: Path) -> None:
    """A rebranded distribution is found by its release."""
    system = tmp_path / "os-release"
    system.write_text("ID=mine\n")
    words = ["--os-release", system, "--release", "6.1.0-3-amd64", "--arch", "amd64", "--json"]
    answer = json.loads(btf_command("which", *words, *flags).out)
    assert answer["host"] == "mine//x86_64/6.1.0-3-amd64"
    assert answer["kind"] == "archive"
    assert answer["origin"].startswith(f"{THREE} (by release alone")


def test_which_would_be_inferred(btf_command, flags: list[str], tmp_path: Path) -> None:
    """For an unknown kernel the candidates are reported, the nearest first."""
    system = tmp_path / "os-release"
    system.write_text("ID=debian\nVERSION_ID=12\n")
    words = ["--os-release", system, "--release", "6.1.0-4-amd64", "--arch", "x86_64", "--json"]
    answer = json.loads(btf_command("which", *words, *flags).out)
    assert answer["kind"] == "inferred"
    assert "2 layouts" in answer["origin"]
    assert answer["candidates"] == [THREE, TWO]
    assert answer["tried"][0][1].startswith("has no debian/12/x86_64/6.1.0-4-amd64")


def test_which_without_candidates(btf_command, tmp_path: Path) -> None:
    """Where no kernel of the architecture is known, there is no answer, 1."""
    path = archive({ONE: answers()}, tmp_path / "archive.xz")
    words = ["--release", "5.4.0", "--arch", "arm64", "--archive", path, "--dir", tmp_path / "none"]
    done = btf_command("which", *words)
    assert done.code == 1
    assert "no kernel of arm64 is known" in done.err


def test_which_with_an_os_release_that_is_none(btf_command, flags, tmp_path: Path) -> None:
    """An os-release that is not there is wrong use."""
    done = btf_command("which", "--os-release", tmp_path / "none", *flags)
    assert (done.code, done.out) == (1, "")
