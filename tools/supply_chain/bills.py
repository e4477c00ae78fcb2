# SPDX-License-Identifier: Apache-2.0
"""Bills of materials and licences beside a .pyz."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from tools.errors import BuildError
from tools.sbom import inventory
from tools.sbom.texts import texts
from tools.zip_writer import replace_file

_SUFFIXES = (".spdx.json", ".cdx.json", ".licenses.txt")
_FIXED = 315532800  # 1980-01-01, the date of all files in the .pyz


def write(pyz: Path) -> list[Path]:
    """Write SPDX, CycloneDX and the licence texts for a .pyz beside it; returns their paths.

    The same .pyz gives the same bytes; $SOURCE_DATE_EPOCH, if set, is their date. Raises BuildError
    when the file holds what is not accounted for.
    """
    documents = make(pyz)
    for suffix in _SUFFIXES:
        # Those of an older version would be summed up as if they were of this one.
        for old in pyz.parent.glob(f"{pyz.stem}-*{suffix}"):
            old.unlink()
    for path, data in documents.items():
        replace_file(path, data, 0o644)
    return list(documents)


def make(pyz: Path) -> dict[Path, bytes]:
    """The documents by the paths they belong to. Raises BuildError."""
    try:
        from tools.sbom import cyclonedx, spdx
    except ImportError as err:
        raise BuildError(f"{err}: run `make setup`, and this with .venv/bin/python") from err
    packed = pyz.read_bytes()
    taken = inventory.take(packed)
    stem = f"{pyz.stem}-{taken.version}"
    created = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", _FIXED)), UTC)
    return {
        pyz.with_name(f"{stem}{suffix}"): data
        for suffix, data in zip(
            _SUFFIXES,
            (
                spdx.document(taken, packed, created),
                cyclonedx.document(taken, packed, created),
                texts().encode(),
            ),
            strict=True,
        )
    }
