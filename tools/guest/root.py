# SPDX-License-Identifier: Apache-2.0
"""The root file system of every guest: one uncompressed cpio, busybox and a trimmed Debian python3.

Built from packages by Python alone, once per set of packages, and kept in the cache under a digest
of all that went into it. It needs no module, disk or network, so one file boots every kernel.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import re
import subprocess
import tempfile
from pathlib import Path

from tools import debian
from tools.fetch import cache_dir, sha256_of
from tools.guest import deb
from tools.guest.cpio import CpioWriter

SUITE = "bookworm"
PACKAGES = (
    "busybox-static",
    "libbz2-1.0",
    "libc6",
    "libcrypt1",
    "libexpat1",
    "libffi8",
    "liblzma5",
    "libpython3.11-minimal",
    "libpython3.11-stdlib",
    "libuuid1",
    "python3.11-minimal",
    "zlib1g",
)
APPLETS = (
    "awk base64 basename cat chmod chown cmp cp cut date dd df dirname dmesg du echo env expr "
    "false find free grep gzip head hostname id ip kill killall ln losetup ls md5sum mkdir "
    "mkfifo mknod mktemp more mount mv nice nohup od pgrep pidof pkill poweroff printf ps pwd "
    "readlink reboot rm rmdir sed seq setsid sh sha256sum sleep sort stat stty sync sysctl tail "
    "tar taskset tee test timeout touch tr true truncate umount uname uniq unshare usleep vi wc "
    "which xargs zcat"
).split()
_INIT = Path(__file__).with_name("init")
_FORMAT = "5"  # change when the code below changes what the root holds

# What no guest needs, and what would double its size.
_UNWANTED = re.compile(
    r"/usr/(share|include)/|/etc/(?!ld)|/usr/lib/python3.11/"
    r"(test|idlelib|tkinter|turtledemo|lib2to3|ensurepip|pydoc_data|distutils|config-.*|unittest|"
    r"sqlite3|dbm|curses|wsgiref|xmlrpc|venv|msilib|__phello__|turtle.py|pydoc.py|doctest.py)(/|$)|"
    r"/gconv/(?!UTF|gconv)|/usr/sbin/|/usr/bin/(?!python3|busybox)|/lib/systemd/|/var/|"
    r"\.(a|o|pyc)$|_(codecs_(jp|kr|cn|tw|hk|iso2022)|test\w*)\.cpython-"
)
_Tree = dict[str, tuple[int, "bytes | str"]]  # path -> (mode, content), or (0, link target)


@functools.cache
def build(arch: str) -> Path:
    """Path of the architecture's root cpio in the cache (arch: amd64 or arm64)."""
    packages = debian.newest(PACKAGES, SUITE, arch)
    digest = hashlib.sha256((_FORMAT + " ".join(APPLETS) + _UNWANTED.pattern).encode())
    for content in [_INIT.read_bytes()] + [sha256_of(path).encode() for path in packages]:
        digest.update(content)
    store = cache_dir() / "roots"
    store.mkdir(exist_ok=True)
    path = store / f"{arch}-{digest.hexdigest()[:16]}.cpio"
    if not path.exists():
        tree = _unpack(packages)
        tree.update(_compiled(tree if arch == _host_arch() else _host_tree()))
        with tempfile.NamedTemporaryFile(dir=store, prefix=".new-", delete=False) as file:
            _write(CpioWriter(file), tree)
        os.replace(file.name, path)
    return path


def _host_arch() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]


def _host_tree() -> _Tree:
    return _unpack(debian.newest(PACKAGES, SUITE, _host_arch()))


def _unpack(packages: list[Path]) -> _Tree:
    tree: _Tree = {}
    for package in packages:
        for name, info, content in deb.entries(package):
            # One /usr for all: guests have /bin, /lib, /lib64 and /sbin as links into it.
            path = f"/usr{name}" if re.match(r"/(bin|sbin|lib|lib64)/", name) else name
            if _UNWANTED.search(path):
                continue
            if info.issym():
                tree[path] = (0, info.linkname)
            elif info.islnk():
                tree[path] = tree["/" + info.linkname.lstrip("./")]
            elif info.isreg():
                tree[path] = (info.mode, content)
    return tree


def _compiled(tree: _Tree) -> _Tree:
    """The .pyc files of all modules, by the very Python of the tree run through its own loader.

    They depend on Python's version only, so one architecture's serve the other. Without them a
    guest spends a second and more of each start compiling.
    """
    library = "/usr/lib/python3.11"
    with tempfile.TemporaryDirectory(dir=cache_dir(), prefix=".compile-") as scratch:
        for path, (mode, content) in tree.items():
            target = Path(scratch + path)
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                target.symlink_to(content)
            else:
                target.write_bytes(content)
                target.chmod(mode)
        libraries = [f"{scratch}/usr/lib/{name}" for name in os.listdir(f"{scratch}/usr/lib")]
        loader = next(
            str(path) for path in Path(scratch).rglob("ld-linux-*.so.*") if not path.is_symlink()
        )
        python = [loader, "--library-path", ":".join(libraries), f"{scratch}/usr/bin/python3.11"]
        compileall = [
            "-I",
            "-B",
            "-m",
            "compileall",
            "-qq",
            "--invalidation-mode",
            "unchecked-hash",
        ]
        subprocess.run(
            [*python, *compileall, "-s", scratch, "-p", "/", scratch + library],
            check=True,
            env={"PYTHONHOME": f"{scratch}/usr"},
        )
        return {
            str(path)[len(scratch) :]: (0o644, path.read_bytes())
            for path in Path(scratch + library).rglob("*.pyc")
        }


def _write(cpio: CpioWriter, tree: _Tree) -> None:
    for name in ("bin", "sbin", "lib", "lib64"):
        cpio.symlink(name, f"usr/{name}")
    for name in ("proc", "sys", "dev", "run", "tmp", "root", "result", "test", "var/lib"):
        cpio.directory(name)
    cpio.symlink("/var/run", "../run")
    cpio.character_device("/dev/console", 5, 1)
    cpio.character_device("/dev/null", 1, 3, 0o666)
    cpio.file("/init", _INIT.read_bytes(), 0o755)
    cpio.file("/etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n")
    cpio.file("/etc/os-release", b'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n')
    cpio.file("/etc/group", b"root:x:0:\nnogroup:x:65534:\n")
    for applet in APPLETS:
        cpio.symlink(f"/usr/bin/{applet}", "busybox")
    cpio.symlink("/usr/bin/python3", "python3.11")
    for path in sorted(tree):
        mode, content = tree[path]
        if isinstance(content, str):
            cpio.symlink(path, content)
        else:
            cpio.file(path, content, mode & 0o777)
    cpio.close()
