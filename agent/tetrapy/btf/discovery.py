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

Whatever is not the kernel's own is compared with the running kernel before it is used (`judge`):
the BTF of another build loads without complaint and gives wrong data.
"""

from __future__ import annotations

import os
from typing import List, Optional, Tuple

from tetrapy.btf.places import KERNEL_BTF, inspect
from tetrapy.btf.search import Search
from tetrapy.btf.source import KIND_KERNEL, BtfSource


def find_btf(
    search: Search, user_path: str = "", tried: Optional[List[Tuple[str, str]]] = None
) -> BtfSource:
    """The first source in the order above, or BtfNotFoundError with all that was tried.

    Places that were tried in vain are added to `tried`, with what was found there.
    """
    own = os.path.join(search.places.root, KERNEL_BTF)
    finding = ""
    if not user_path:
        finding = inspect(own)
        if not finding:
            search.log("info", "BTF discovery: default kernel btf file found", **{"btf-file": own})
            return BtfSource(KIND_KERNEL, own)
    # Most kernels have BTF: their hosts need not pay for what follows.
    from tetrapy.btf.fallbacks import find_elsewhere

    return find_elsewhere(search, user_path, own, finding, [] if tried is None else tried)
