# SPDX-License-Identifier: Apache-2.0
"""libbpf.so for each architecture: libbpf with libelf and zlib inside, needing nothing but glibc.

Which files belong to libbpf and to libelf is read from their own makefiles.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from tools import artifacts, fetch, shared_library
from tools.errors import BuildError

_CONFIG = Path(__file__).parent / "libbpf" / "config.h"

# libbpf reads compressed kernel configurations through gzopen(); libelf compresses sections.
_ZLIB = (
    "adler32 compress crc32 deflate gzclose gzlib gzread gzwrite inffast inflate inftrees trees"
    " uncompr zutil"
).split()

_BPF_HEADERS = (
    "bpf_core_read.h bpf_endian.h bpf_helper_defs.h bpf_helpers.h bpf_tracing.h usdt.bpf.h"
).split()

_FLAGS = (
    # Nothing is exported but what libbpf.map names.
    "-O2 -fvisibility=hidden"
    # Nothing about large files: off_t has 64 bits anyway, and musl lacks some names that end in 64.
    " -D_GNU_SOURCE"
    " -DHAVE_CONFIG_H -DHAVE_HIDDEN -DHAVE_UNISTD_H"
    " -Iconfig -Ielfutils/libelf -Ielfutils/lib -Izlib"
    " -Ilibbpf/src -Ilibbpf/include -Ilibbpf/include/uapi"
    " -Wl,-soname,libbpf.so.1 -Wl,--version-script=libbpf/src/libbpf.map"
).split()


def library(architecture: str) -> Path:
    """The path of libbpf.so for an architecture, built if need be. Raises BuildError."""
    return shared_library.library(RECIPE, architecture)


def headers() -> Path:
    """The include directory with <bpf/bpf_helpers.h> and its companions."""

    def make(out: Path) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            source = shared_library.unpacked("libbpf", Path(scratch)) / "src"
            (out / "bpf").mkdir()
            for name in _BPF_HEADERS:
                (out / "bpf" / name).write_bytes((source / name).read_bytes())

    key = artifacts.digest([repr(fetch.source_pins()["libbpf"]), *_BPF_HEADERS])
    return artifacts.built("bpf-headers", key, make)


def _prepare(tree: Path) -> list[str]:
    (tree / "config").mkdir()
    (tree / "config" / "config.h").write_bytes(_CONFIG.read_bytes())
    libelf = _words(tree / "elfutils/libelf/Makefile.am", "libelf_a_SOURCES", "=")
    libbpf = _words(tree / "libbpf/src/Makefile", "OBJS", ":=")
    return [
        *(f"zlib/{name}.c" for name in _ZLIB),
        *(f"elfutils/libelf/{name}" for name in libelf if name.endswith(".c")),
        # The search trees behind elf_getdata_rawchunk() live in elfutils' helper library.
        "elfutils/lib/eu-search.c",
        *(f"libbpf/src/{name.removesuffix('.o')}.c" for name in libbpf),
    ]


def _words(makefile: Path, variable: str, operator: str) -> list[str]:
    pattern = rf"^{variable}\s*{re.escape(operator)}((?:.*\\\n)*.*)$"
    found = re.search(pattern, makefile.read_text(), re.MULTILINE)
    if found is None:
        raise BuildError(f"{makefile.name} of {makefile.parent.name} defines no {variable}")
    return found.group(1).replace("\\\n", " ").split()


RECIPE = shared_library.Recipe(
    name="libbpf",
    archives=("libbpf", "elfutils", "zlib"),
    flags=tuple(_FLAGS),
    prepare=_prepare,
    made_by=(Path(__file__), _CONFIG),
)


if __name__ == "__main__":
    for wanted in sys.argv[1:] or shared_library.ARCHITECTURES:
        print(library(wanted))
    print(headers())
