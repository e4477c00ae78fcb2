# SPDX-License-Identifier: Apache-2.0
"""What the search for a kernel's BTF ends with."""

from __future__ import annotations

from typing import Optional, Tuple

from tetrapy.named import NamedTuple

KIND_USER = "user"
KIND_KERNEL = "kernel"
KIND_METADATA = "metadata"
KIND_FILE = "file"
KIND_STORE = "store"
KIND_ARCHIVE = "archive"
KIND_INFERRED = "inferred"
KIND_SCANNED = "scanned"
KIND_NONE = "none"


class BtfSource(NamedTuple):
    """The BTF to use: the bytes `data`, or the kernel's own where that is None.

    `kind` is one of the KIND_ constants, `origin` says for people where it comes from.
    `disabled_programs` names the optional programs (`requirements.Programs`) that must not be
    loaded with `data`, since it lacks what they read.
    """

    kind: str
    origin: str
    data: Optional[bytes] = None
    disabled_programs: Tuple[str, ...] = ()

    @property
    def description(self) -> str:
        """One line for logs, the info file and metrics."""
        if self.kind in (KIND_INFERRED, KIND_SCANNED):
            return self.origin
        return f"{self.kind}: {self.origin}"
