# SPDX-License-Identifier: Apache-2.0
"""Types for more objects than those for which a source of BTF was found.

A source holds what the base sensor reads.  Who loads other programs later, as policies do, has the
search made again with these: by the same comparisons, and at their cost, where the kernel has no
BTF of its own.
"""

from __future__ import annotations

import contextlib
from typing import Optional

from tetrapy.btf.btf_file import read_btf
from tetrapy.btf.fallbacks import elsewhere
from tetrapy.btf.search import Search
from tetrapy.btf.source import KIND_FILE, KIND_METADATA, KIND_STORE, KIND_USER, BtfSource
from tetrapy.btf.store import LocalStore


def more(search: Search, user_path: str = "") -> BtfSource:
    """The first source that serves all objects of a search, but for the kernel's own.

    Raises BtfNotFoundError with all that was tried.
    """
    found = elsewhere(search, user_path, "", "", [])
    with contextlib.closing(found):
        return next(found)


def whole(search: Search, source: BtfSource) -> Optional[bytes]:
    """The full BTF that a source was made of; None where there is none, such as of the archive.

    Raises OSError or TetrapyError when it cannot be read any more.
    """
    if source.kind in (KIND_USER, KIND_METADATA, KIND_FILE):
        return read_btf(source.origin)
    if source.kind == KIND_STORE:
        return LocalStore(search.places.store).find(search.host)
    return None
