# SPDX-License-Identifier: Apache-2.0
"""Kernels for the tests of `tetrapy btf`: made-up answers, and BTF, files and archives of these."""

from __future__ import annotations

import contextlib
import functools
import lzma
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tetrapy.abi.core_minimal import minimal_btf
from tetrapy.abi.core_queries import Answers, CoreQueries
from tetrapy.btf.inference.prober import CheckResult
from tetrapy.btf.pack import pack
from tetrapy.btf.store import LocalStore, host_of
from tetrapy.cli.btf import commands

OBJECTS = ROOT / "build/bundle/bpf"
NAMES = ("base.bpf.o", "base-perf.bpf.o", "policy.bpf.o", "policy-perf.bpf.o")
# Of what may be a bit field.
DETAILS = {"bits": 0, "size": 2, "signed": 0}

ONE, TWO, THREE = (f"debian/12/x86_64/6.1.0-{number}-amd64" for number in (1, 2, 3))
ARM = "ubuntu/20.04/arm64/5.4.0-9-generic"
LOCAL = "debian/12/x86_64/5.15.0-own"


@functools.cache
def objects() -> tuple[bytes, ...]:
    """The objects of this release; skips where they are not built."""
    paths = [OBJECTS / name for name in NAMES]
    if not all(path.exists() for path in paths):
        pytest.skip("the BPF objects are not built: make build")
    return tuple(path.read_bytes() for path in paths)


@functools.cache
def queries() -> CoreQueries:
    return CoreQueries(objects())


def answers(number: int = 0, *absent: str) -> Answers:
    """A layout of its own for each number, without the needs in whose texts a word is.

    A kernel has one of the two forms of kernfs_node.id.
    """
    return tuple(
        None
        if any(word in query for word in ("kernfs_node___v54", *absent))
        else DETAILS.get(query.partition(" ")[0], 64 * (at + 1) + 64 * 200 * number)
        for at, query in enumerate(queries().names)
    )


def btf(number: int = 0, *absent: str) -> bytes:
    return minimal_btf(queries(), answers(number, *absent))


def archive(kernels: Mapping[str, Answers], path: Path) -> Path:
    path.write_bytes(pack(kernels, queries().names))
    return path


def tree(directory: Path, kernels: Mapping[str, bytes], suffix: str = ".btf") -> Path:
    """BTFs in BTFHub's layout."""
    for key, data in kernels.items():
        path = directory / (key + suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(lzma.compress(data) if suffix.endswith(".xz") else data)
    return directory


def foreign(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a file look as if another user owned it."""
    if os.geteuid() == 0:
        os.chown(path, 12345, 12345, follow_symlinks=False)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)


class Said:
    """What a command said and how it ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err
        assert "Traceback" not in err

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


@pytest.fixture
def btf_command(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Runs `tetrapy btf` with words in this process."""

    def run(*words: object) -> Said:
        capsys.readouterr()
        code = commands.run([str(word) for word in words])
        return Said(code, *capsys.readouterr())

    return run


@pytest.fixture
def flags(tmp_path: Path) -> list[str]:
    """An archive of three layouts, and a local store with a kernel that has another one."""
    kernels = {ONE: answers(), TWO: answers(), THREE: answers(1), ARM: answers(2)}
    LocalStore(str(tmp_path / "store")).add(host_of(LOCAL), btf(7))
    packed = archive(kernels, tmp_path / "archive.xz")
    return ["--archive", str(packed), "--dir", str(tmp_path / "store")]


def examined(monkeypatch: pytest.MonkeyPatch, *failed: str, error: Exception | None = None) -> None:
    """Let the running kernel contradict every layout in these answers, or not be readable."""

    class LayoutProber:
        def check(self, layout: Answers) -> CheckResult:
            return CheckResult(list(failed), [])

    @contextlib.contextmanager
    def open_prober(queries: CoreQueries, optional: frozenset[str]) -> Iterator[LayoutProber]:
        if error is not None:
            raise error
        yield LayoutProber()

    monkeypatch.setattr("tetrapy.daemon.btf.open_prober", open_prober)
