# SPDX-License-Identifier: Apache-2.0
"""Harvesting the real packages of the guests' kernels; nothing is booted for it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.support.harvest_builders import collect, only
from tools.guest import kernels
from tools.guest.kernels import Kernel

INDEX = Path(__file__).resolve().parents[2] / "btfs/INDEX.tsv"
ARCHITECTURES = {"amd64": "x86_64", "arm64": "arm64"}


def digests() -> dict[str, str]:
    """The SHA-256 of the full BTF of each kernel of the archive, by its key."""
    rows = [line.split("\t") for line in INDEX.read_text().splitlines()]
    return {row[0]: row[rows[0].index("full_sha256")] for row in rows[1:]}


def known() -> list[tuple[Kernel, str]]:
    """The stock kernels of the list that the archive has, with their keys."""
    return [
        (kernel, key)
        for kernel in kernels.load()
        for key in digests()
        if kernel.btf and key.split("/")[2:] == [ARCHITECTURES[kernel.arch], kernel.release]
    ]


@pytest.mark.parametrize(
    ("kernel", "key"),
    [
        pytest.param(kernel, key, id=kernel.name, marks=() if kernel.short else pytest.mark.matrix)
        for kernel, key in known()
    ],
)
def test_a_package_gives_the_btf_that_the_archive_was_made_of(
    tmp_path: Path, kernel: Kernel, key: str
) -> None:
    """Package in, and without any option the right name and every byte of the full BTF out."""
    outcome = only(collect(tmp_path, kernel.package_file()))
    assert (outcome.key, outcome.notes, outcome.error) == (key, (), "")
    data = (tmp_path / "out" / f"{key}.btf").read_bytes()
    assert hashlib.sha256(data).hexdigest() == digests()[key]


def test_the_short_selection_has_known_kernels() -> None:
    """The test above is not empty, in `make test` either."""
    assert any(kernel.short for kernel, _key in known())
    assert len(known()) > 4
