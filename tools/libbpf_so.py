"""libbpf.so for each architecture: libbpf with libelf and zlib inside, needing nothing but glibc.

One call of zig's clang per architecture compiles and links everything. The symbols come from
glibc 2.17 on purpose, so the file loads on every distribution that has a Python 3.8; a check of the
finished file keeps that true. Which files belong to libbpf and to libelf is read from their own
makefiles.
"""

from __future__ import annotations

import re
import sys
import tarfile
import tempfile
from pathlib import Path

from tools import artifacts, elf_check, fetch, zig
from tools.errors import BuildError

ARCHITECTURES = ("x86_64", "aarch64")
GLIBC = (2, 17)

# The dynamic linker stands for __tls_get_addr on x86_64; it is a part of glibc.
_ALLOWED_LIBRARIES = {
    "x86_64": frozenset({"libc.so.6", "ld-linux-x86-64.so.2"}),
    "aarch64": frozenset({"libc.so.6", "ld-linux-aarch64.so.1"}),
}

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
    # Code: position independent, nothing exported but what libbpf.map names, no sanitizers
    # (zig's default), no unwind tables (nothing unwinds through C here).
    "-O2 -fPIC -std=gnu99 -fvisibility=hidden -ffunction-sections -fdata-sections"
    " -fno-sanitize=all -fno-stack-protector -fno-unwind-tables -fno-asynchronous-unwind-tables"
    " -g0 -w"
    " -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -D_LARGEFILE64_SOURCE"
    " -DHAVE_CONFIG_H -DHAVE_HIDDEN -DHAVE_UNISTD_H"
    " -Iconfig -Ielfutils/libelf -Ielfutils/lib -Izlib"
    " -Ilibbpf/src -Ilibbpf/include -Ilibbpf/include/uapi"
    " -shared -s -Wl,-soname,libbpf.so.1 -Wl,--gc-sections -Wl,-z,relro -Wl,-z,now"
    " -Wl,--version-script=libbpf/src/libbpf.map"
).split()


def library(architecture: str) -> Path:
    """The path of libbpf.so for an architecture, built if need be.

    Raises BuildError when it cannot be built, or asks for more than glibc 2.17 has.
    """
    if architecture not in ARCHITECTURES:
        raise BuildError(f"no libbpf.so for {architecture}; there is {', '.join(ARCHITECTURES)}")
    key = _key(architecture)
    home = artifacts.built(f"libbpf-{architecture}", key, lambda out: _build(architecture, out))
    path = home / "libbpf.so"
    check(path.read_bytes(), architecture)
    return path


def headers() -> Path:
    """The include directory with <bpf/bpf_helpers.h> and its companions."""

    def make(out: Path) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            source = _unpacked("libbpf", Path(scratch)) / "src"
            (out / "bpf").mkdir()
            for name in _BPF_HEADERS:
                (out / "bpf" / name).write_bytes((source / name).read_bytes())

    key = artifacts.digest([repr(fetch.source_pins()["libbpf"]), *_BPF_HEADERS])
    return artifacts.built("bpf-headers", key, make)


def check(image: bytes, architecture: str) -> None:
    """Raise BuildError unless the library is for the architecture and needs glibc 2.17 at most."""
    found = elf_check.needs(image)
    if found.machine != architecture:
        raise BuildError(f"libbpf.so is for {found.machine}, not {architecture}")
    if extra := found.libraries - _ALLOWED_LIBRARIES[architecture]:
        raise BuildError(f"libbpf.so for {architecture} needs {', '.join(sorted(extra))}")
    if found.newest_glibc() > GLIBC:
        newer = ".".join(map(str, found.newest_glibc()))
        raise BuildError(f"libbpf.so for {architecture} needs glibc {newer}; 2.17 is the limit")


def _key(architecture: str) -> str:
    ingredients: list[str | bytes] = [architecture, zig.wheel().version, repr(fetch.source_pins())]
    ingredients += [Path(__file__).read_bytes(), _CONFIG.read_bytes()]
    return artifacts.digest(ingredients)


def _build(architecture: str, out: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch) / "tree"
        tree.mkdir()
        for name in ("libbpf", "elfutils", "zlib"):
            _unpacked(name, tree)
        (tree / "config").mkdir()
        (tree / "config" / "config.h").write_bytes(_CONFIG.read_bytes())
        target = f"{architecture}-linux-gnu.{GLIBC[0]}.{GLIBC[1]}"
        arguments = ["-target", target, *_FLAGS, f"-ffile-prefix-map={tree}=."]
        arguments += ["-o", "libbpf.so", *_sources(tree)]
        zig.cc(arguments, tree, Path(scratch) / "zig")
        (out / "libbpf.so").write_bytes((tree / "libbpf.so").read_bytes())


def _sources(tree: Path) -> list[str]:
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


def _unpacked(name: str, parent: Path) -> Path:
    """Unpack a source archive to parent/name, without the versioned directory inside it."""
    directory = parent / name
    with tarfile.open(fetch.source(name)) as archive:
        for member in archive:
            _, _, inner = member.name.removeprefix("./").partition("/")
            content = archive.extractfile(member) if member.isfile() and inner else None
            # Debian 12's tarfile has no extraction filters: nothing may lead out of the directory.
            if content is not None and ".." not in Path(inner).parts:
                path = directory / inner
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.read())
    return directory


if __name__ == "__main__":
    for wanted in sys.argv[1:] or ARCHITECTURES:
        print(library(wanted))
    print(headers())
