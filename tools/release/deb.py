# SPDX-License-Identifier: Apache-2.0
"""The Debian package, by dpkg-deb."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from tools.release import tree
from tools.release.command import run
from tools.release.tree import File

HERE = Path(__file__).parent
_SCRIPTS = ("preinst", "postinst", "prerm", "postrm")


def build(arch: str) -> tuple[str, bytes]:
    """File name and content of the package for Debian's architecture `arch`."""
    name = f"tetrapy_{tree.version()}_{arch}.deb"
    files = tree.installed("deb", arch)
    control = {"control": File(_control(arch, files)), "md5sums": File(_md5sums(files))}
    control |= {script: File((HERE / "deb" / script).read_bytes(), 0o755) for script in _SCRIPTS}
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch, "root")
        tree.write(files | {f"/DEBIAN/{key}": file for key, file in control.items()}, root)
        for directory in ("etc/tetrapy/tetrapy.conf.d", "."):
            (root / directory).mkdir(parents=True, exist_ok=True)
        for path in (root, *(path for path in root.rglob("*") if path.is_dir())):
            path.chmod(0o755)
        package = Path(scratch, name)
        # xz with one thread: the threads' number would be seen in the bytes.
        options = ["--root-owner-group", "-Zxz", "--threads-max=1"]
        run(["dpkg-deb", *options, "--build", str(root), str(package)])
        return name, package.read_bytes()


def _control(arch: str, files: dict[str, File]) -> bytes:
    size = sum(len(file.content) for file in files.values())
    return f"""\
Package: tetrapy
Version: {tree.version()}
Architecture: {arch}
Maintainer: The authors of tetrapy <root@localhost>
Installed-Size: {(size + 1023) // 1024}
Recommends: python3 (>= 3.8), systemd
Section: admin
Priority: optional
Description: {tree.DESCRIPTION}
 An agent that reports every exec and exit of this machine as JSON, with eBPF
 or, where that cannot be used, the kernel's process connector. Kernels without
 BTF are supported.
""".encode()


def _md5sums(files: dict[str, File]) -> bytes:
    lines = (
        f"{hashlib.md5(file.content, usedforsecurity=False).hexdigest()}  {path.lstrip('/')}\n"
        for path, file in sorted(files.items())
    )
    return "".join(lines).encode()
