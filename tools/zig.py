# SPDX-License-Identifier: Apache-2.0
"""The pinned C compiler: zig's clang out of its wheel, unpacked under the cache.

The wheel is checked by SHA-256 when it is unpacked; when a process first uses it the compiler is,
and the size of each file beside it. Headers and runtimes of other systems and of C++ stay packed: a
quarter of the files is enough for what is compiled here.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from tools.errors import BuildError
from tools.fetch import cache_dir, sha256_of
from tools.wheels import Wheel, locked

# Never looked at when the target is BPF, or Linux on the product's two architectures.
_LEFT_PACKED = re.compile(
    r"ziglang/(doc|lib/(docs|libcxx|libcxxabi|libtsan|libunwind|init"
    r"|libc/(mingw|wasi|freebsd|netbsd|openbsd|darwin)"
    r"|libc/include/(?!(any|x86|x86_64|aarch64)-linux|generic-(glibc|musl))[^/]+))/"
)


def wheel() -> Wheel:
    """The compiler's wheel for this machine. Raises BuildError when the lock has none."""
    machine = platform.machine()
    for candidate in locked("ziglang"):
        if candidate.machine == machine:
            return candidate
    raise BuildError(f"no compiler for {machine}: build on x86_64 or aarch64")


@functools.cache  # checking it takes as long as compiling a small file
def executable() -> Path:
    """The path of `zig`, unpacked if need be."""
    packed = wheel()
    chosen = hashlib.sha256((packed.sha256 + _LEFT_PACKED.pattern).encode()).hexdigest()
    home = cache_dir() / "zig" / f"{packed.version}-{chosen[:16]}"
    manifest = home / "manifest.json"
    if not _intact(home, manifest):
        archive = packed.path()
        home.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(home, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=home.parent) as scratch:
            fresh = Path(scratch) / "zig"
            _unpack(archive, fresh)
            fresh.rename(home)
    return home / "ziglang" / "zig"


def _unpack(archive: Path, home: Path) -> None:
    sizes = {}
    with zipfile.ZipFile(archive) as packed:
        for member in packed.infolist():
            if not member.is_dir() and not _LEFT_PACKED.match(member.filename):
                packed.extract(member, home)
                sizes[member.filename] = member.file_size
    zig = home / "ziglang" / "zig"
    zig.chmod(0o755)
    manifest = {"zig": sha256_of(zig), "sizes": sizes}
    (home / "manifest.json").write_text(json.dumps(manifest, indent=0, sort_keys=True))


def _intact(home: Path, manifest: Path) -> bool:
    if not manifest.is_file():
        return False
    recorded = json.loads(manifest.read_text())
    try:
        same_sizes = all((home / n).stat().st_size == s for n, s in recorded["sizes"].items())
        return same_sizes and sha256_of(home / "ziglang" / "zig") == recorded["zig"]
    except OSError:
        return False


def cc(arguments: Sequence[str], directory: Path, cache: Path) -> None:
    """Run zig's C compiler in `directory`; what it caches for itself goes below `cache`.

    Raises BuildError with what the compiler said.
    """
    environment = {
        "PATH": os.defpath,
        "LC_ALL": "C",
        "HOME": str(cache),
        "ZIG_GLOBAL_CACHE_DIR": str(cache / "global"),
        "ZIG_LOCAL_CACHE_DIR": str(cache / "local"),
    }
    command = [str(executable()), "cc", *arguments]
    done = subprocess.run(
        command, check=False, cwd=directory, env=environment, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise BuildError(f"the C compiler ended with {done.returncode}:\n{done.stderr.strip()}")
