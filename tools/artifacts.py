# SPDX-License-Identifier: Apache-2.0
"""Built files kept in the cache under a digest of everything that goes into them.

An entry is a directory of files beside a list of their digests (`SHA256SUMS`, as sha256sum writes
it), which is checked each time the entry is used.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from tools.fetch import cache_dir, sha256_of

_SUMS = "SHA256SUMS"


def digest(parts: Iterable[str | bytes]) -> str:
    """One digest for a sequence of ingredients, each counted in with its length."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(b"%d:" % len(data))
        total.update(data)
    return total.hexdigest()


def built(kind: str, key: str, make: Callable[[Path], None]) -> Path:
    """The directory of the entry `key`; `make(directory)` fills it when it is absent or damaged.

    The entry appears by one rename, so two builds at once do not see each other's halves.
    """
    home = cache_dir() / "built" / f"{kind}-{key[:24]}"
    if _intact(home):
        return home
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent) as scratch:
        fresh = Path(scratch) / "entry"
        fresh.mkdir()
        make(fresh)
        files = sorted(p for p in fresh.rglob("*") if p.is_file())
        sums = (f"{sha256_of(path)}  {path.relative_to(fresh)}\n" for path in files)
        (fresh / _SUMS).write_text("".join(sums))
        shutil.rmtree(home, ignore_errors=True)
        try:
            fresh.rename(home)
        except OSError:
            if not _intact(home):
                raise
    return home


def _intact(home: Path) -> bool:
    sums = home / _SUMS
    if not sums.is_file():
        return False
    lines = (line.split("  ", 1) for line in sums.read_text().splitlines())
    return all((home / n).is_file() and sha256_of(home / n) == digest for digest, n in lines)
