# SPDX-License-Identifier: Apache-2.0
"""What a search for BTF is given; `discovery` says what is searched in which order."""

from __future__ import annotations

from typing import Any, Callable, ContextManager, Iterable, Optional

from tetrapy.btf.btf_paths import DEFAULT_PLACES, Places
from tetrapy.btf.host import Host
from tetrapy.named import NamedTuple

INFERENCE_AUTO, INFERENCE_ARCHIVE, INFERENCE_OFF = "auto", "archive", "off"

EMBEDDED = "embedded archive"

# log(level, message, **fields); names of fields may contain hyphens.
Log = Callable[..., None]


class Search(NamedTuple):
    """What a search is given.

    `read_archive` returns the bytes of the archive, `archive_name` is for people; `read_objects`
    returns the ELF objects that will be loaded.  `open_prober(queries, optional)` makes an
    `inference.LayoutProber` of the running kernel, for a `with`; without it nothing is compared
    with the running kernel, and nothing inferred.  `proven_only`: what is inferred or scanned goes
    without the optional queries that no check confirms.
    """

    host: Host
    read_archive: Callable[[], bytes]
    read_objects: Callable[[], Iterable[bytes]]
    log: Log
    open_prober: Optional[Callable[..., ContextManager[Any]]] = None
    places: Places = DEFAULT_PLACES
    inference: str = INFERENCE_AUTO
    check: bool = True
    archive_name: str = EMBEDDED
    proven_only: bool = False
