# SPDX-License-Identifier: Apache-2.0
"""Finds the BTF of the running kernel.

The order is Tetragon's, then libbpf's, then what tetrapy brings along:

1. the file that the user names (`--btf`); it must be there,
2. the kernel's own, `/sys/kernel/btf/vmlinux`,
3. `<bpf-lib>/metadata/vmlinux-<release>`, also with the release cut at its first "-",
4. `<bpf-lib>/btf`,
5. kernel images and BTF files where libbpf looks for them,
6. the operator's own, put into the local store by `tetrapy btf add`,
7. the archive: the exact kernel, or the only layout with this architecture and release,
8. inferred: the only layout of the archive that the running kernel agrees with,
9. scanned: offsets found in the running kernel's memory.

Whatever is not the kernel's own is compared with the running kernel before it is used
(`validation`): the BTF of another build loads without complaint and gives wrong data. What does not
serve, also because the kernel or libbpf does not take it, leads to the next one.
"""

from __future__ import annotations

import contextlib
import os
from typing import Generator, List, Optional, Tuple

from tetrapy.btf.btf_paths import KERNEL_BTF, inspect
from tetrapy.btf.search import Search
from tetrapy.btf.source import KIND_KERNEL, BtfSource


def sources(
    search: Search, user_path: str, tried: List[Tuple[str, str]]
) -> Generator[BtfSource, None, None]:
    """The sources in the order above, each looked for when it is asked for.

    Places that were tried in vain are added to `tried`, with what was found there; who asks for
    another source has added why the last one does not serve. Raises BtfNotFoundError with all of
    that when there are no more.
    """
    own = os.path.join(search.places.root, KERNEL_BTF)
    finding = ""
    if not user_path:
        finding = inspect(own)
        if not finding:
            search.log("info", "BTF discovery: default kernel btf file found", **{"btf-file": own})
            yield BtfSource(KIND_KERNEL, own)
    # Most kernels have BTF: their hosts need not pay for what follows.
    from tetrapy.btf.fallbacks import elsewhere

    yield from elsewhere(search, user_path, own, finding, tried)


def find_btf(
    search: Search, user_path: str = "", tried: Optional[List[Tuple[str, str]]] = None
) -> BtfSource:
    """The first source that can be read, or BtfNotFoundError with all that was tried.

    The kernel's own, which libbpf reads by itself, is read here too.
    """
    known = [] if tried is None else tried
    with contextlib.closing(sources(search, user_path, known)) as found:
        first = next(found)
        if first.kind != KIND_KERNEL:
            return first
        from tetrapy.btf.fallbacks import understood

        finding = understood(first.origin)
        if not finding:
            return first
        refuse(search, first, finding, known)
        return next(found)


def refuse(search: Search, source: BtfSource, finding: str, tried: List[Tuple[str, str]]) -> None:
    """Say that a source does not serve after all, and why, before the next one is asked for."""
    text = f"BTF discovery: {source.kind} btf is not usable"
    search.log("warning", text, btf=source.origin, error=finding)
    tried.append((source.origin, finding))
