# SPDX-License-Identifier: Apache-2.0
"""Bills of materials and licences beside the .pyz and the executables."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from tools.contents import EXECUTABLES, PYZ
from tools.errors import BuildError
from tools.sbom import inventory
from tools.sbom.texts import texts
from tools.zip_writer import replace_file

_SUFFIXES = (".spdx.json", ".cdx.json", ".licenses.txt")
_FIXED = 315532800  # 1980-01-01, the date of all files in the .pyz


def write(directory: Path) -> list[Path]:
    """Write SPDX, CycloneDX and the licence texts of the .pyz and of executables beside them.

    Returns their paths. The same files give the same bytes; $SOURCE_DATE_EPOCH, if set, is their
    date. Raises BuildError when a file holds what is not accounted for.
    """
    documents = {
        path: data
        for name in (PYZ, *EXECUTABLES.values())
        if name == PYZ or (directory / name).exists()
        for path, data in make(directory / name).items()
    }
    for suffix in _SUFFIXES:
        # Those of an older version would be summed up as if they were of this one.
        for old in directory.glob(f"tetrapy-*{suffix}"):
            old.unlink()
    for path, data in documents.items():
        replace_file(path, data, 0o644)
    return list(documents)


def make(whole: Path) -> dict[Path, bytes]:
    """The documents of one file by the paths they belong to. Raises BuildError."""
    try:
        from tools.sbom import cyclonedx, spdx
    except ImportError as err:
        raise BuildError(f"{err}: run `make setup`, and this with .venv/bin/python") from err
    data = whole.read_bytes()
    taken = inventory.take(data, whole.name)
    created = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", _FIXED)), UTC)
    return {
        whole.with_name(f"{taken.title}{suffix}"): document
        for suffix, document in zip(
            _SUFFIXES,
            (
                spdx.document(taken, data, created),
                cyclonedx.document(taken, data, created),
                texts(whole.name in EXECUTABLES.values()).encode(),
            ),
            strict=True,
        )
    }
