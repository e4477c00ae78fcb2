# SPDX-License-Identifier: Apache-2.0
"""BPF objects of the tests, made as those of the bundle are, and kept under the cache."""

from __future__ import annotations

import hashlib
import tempfile
from typing import TYPE_CHECKING

from tools import bpf_objects, libbpf_so, zig
from tools.fetch import ROOT, cache_dir

if TYPE_CHECKING:
    from pathlib import Path


def bpf_object(source: Path, *options: str) -> bytes:
    """The ELF object of one C file, linked by libbpf; headers beside the file are found."""
    headers = libbpf_so.headers()
    parts = [source, *sorted(source.parent.glob("*.h"))]
    content = repr((options, bpf_objects._FLAGS, headers.name, zig.wheel().version)).encode()
    digest = hashlib.sha256(content + b"".join(part.read_bytes() for part in parts)).hexdigest()
    made = cache_dir() / "tests" / f"{source.name}-{digest[:16]}.o"
    if not made.exists():
        made.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=made.parent) as scratch:
            compiled, linked = f"{scratch}/compiled.o", f"{scratch}/linked.o"
            arguments = [*bpf_objects._FLAGS, *options, "-isystem", str(headers)]
            arguments += ["-c", str(source), "-o", compiled]
            zig.cc(arguments, ROOT, cache_dir() / "zig-cache")
            bpf_objects.link(type(made)(linked), [type(made)(compiled)])
            type(made)(linked).replace(made)
    return made.read_bytes()
