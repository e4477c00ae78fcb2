# SPDX-License-Identifier: Apache-2.0
"""Roots of guests with systemd: a small Debian 12 in an ext4 image, without a network.

mmdebstrap installs packages that apt has verified, from the mirrors of this system's apt, once per
recipe; the image is kept in the cache and checked at every use. Making it needs root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from tools import artifacts, debian
from tools.errors import BuildError

SUITE = "bookworm"
_FORMAT = "3"  # change when the code below changes what the image holds
_HERE = Path(__file__).parent
_FILES = {
    "/usr/lib/systemd/system/guest-test.service": (_HERE / "guest-test.service", 0o644),
    "/usr/lib/guest-test": (_HERE / "guest-test", 0o755),
}
# What no guest needs, and what its emulated boot would wait for.
_UNWANTED = ("doc", "info", "locale", "man", "lintian", "perl", "perl5")
_MASKED = (
    "dev-hugepages.mount dev-mqueue.mount dpkg-db-backup.timer fstrim.timer getty.target "
    "kmod-static-nodes.service ldconfig.service serial-getty@ttyS0.service "
    "sys-fs-fuse-connections.mount sys-kernel-config.mount systemd-ask-password-console.path "
    "systemd-ask-password-wall.path systemd-binfmt.service systemd-firstboot.service "
    "systemd-journal-flush.service systemd-logind.service systemd-machine-id-commit.service "
    "systemd-modules-load.service systemd-pstore.service systemd-random-seed.service "
    "systemd-tmpfiles-clean.timer systemd-udev-trigger.service systemd-udevd.service "
    "systemd-update-utmp.service systemd-update-utmp-runlevel.service"
).split()
_MACHINE_ID = "0123456789abcdef0123456789abcdef\n"


class Recipe(NamedTuple):
    """What a root has beside Debian's essential packages."""

    packages: tuple[str, ...]
    size: str  # of the image, as mke2fs reads it; sparse: costs what is in it
    wanted: frozenset[str] = frozenset()  # units that run here, though no other guest needs them


PLAIN = Recipe(("python3", "rpm", "sudo", "systemd", "systemd-sysv"), "512M")
RUNTIMES = Recipe(
    (
        *("python3", "systemd", "systemd-sysv", "systemd-container", "busybox-static"),
        *("dbus-user-session", "libpam-systemd", "uidmap"),  # for users' own containers
        *("apparmor", "containerd", "crun", "docker.io", "lxc", "podman", "runc"),
    ),
    "2G",
    frozenset(("systemd-logind.service",)),
)


def build(recipe: Recipe = PLAIN) -> Path:
    """Path of the image in the cache. Raises BuildError when it cannot be made."""
    parts = [_FORMAT, SUITE, *recipe.packages, recipe.size, *_UNWANTED, *_masked(recipe)]
    parts += [_MACHINE_ID, *(path.read_text() for path, _ in _FILES.values())]

    def make(directory: Path) -> None:
        _make(recipe, directory)

    return artifacts.built("systemd-root", artifacts.digest(parts), make) / "root.ext4"


def _masked(recipe: Recipe) -> list[str]:
    return [unit for unit in _MASKED if unit not in recipe.wanted]


def _make(recipe: Recipe, directory: Path) -> None:
    if os.geteuid() != 0:
        raise BuildError("the root of a guest with systemd is made by root: run this once as root")
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".systemd-root-") as scratch:
        root = Path(scratch, "root")
        _bootstrap(recipe, root)
        _furnish(recipe, root)
        image = directory / "root.ext4"
        mke2fs = shutil.which("mke2fs", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        options = [
            "-q",
            "-t",
            "ext4",
            "-O",
            "^has_journal",
            "-d",
            str(root),
            str(image),
            recipe.size,
        ]
        _run([mke2fs or "mke2fs", *options])


def _bootstrap(recipe: Recipe, root: Path) -> None:
    sites = debian.mirrors()
    sources = [
        f"deb {sites['main']} {SUITE} main",
        f"deb {sites['security']} {SUITE}-security main",
    ]
    options = [
        "--quiet",
        "--mode=root",
        "--variant=essential",
        f"--include={','.join(recipe.packages)}",
    ]
    options += [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _UNWANTED[:4]]
    _run(["mmdebstrap", *options, SUITE, str(root), *sources])


def _furnish(recipe: Recipe, root: Path) -> None:
    for name in (*(f"usr/share/{name}" for name in _UNWANTED), "var/cache", "var/lib/apt"):
        shutil.rmtree(root / name, ignore_errors=True)
    for name in ("result", "test", "usr/share/man/man8", "var/cache"):
        (root / name).mkdir(parents=True, exist_ok=True)
    # What is left out above is not left out of packages that a test installs.
    for path in (root / "etc/dpkg/dpkg.cfg.d").iterdir():
        path.unlink()
    (root / "etc/machine-id").write_text(_MACHINE_ID)
    (root / "etc/hostname").write_text("guest\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost guest\n")
    for name, (source, mode) in _FILES.items():
        target = root / name.lstrip("/")
        target.write_bytes(source.read_bytes())
        target.chmod(mode)
    units = root / "etc/systemd/system"
    for unit in _masked(recipe):
        (units / unit).symlink_to("/dev/null")
    # What packages have start at boot, a test starts.
    for path in units.glob("*.target.wants/*"):
        path.unlink()
    wanted = units / "multi-user.target.wants"
    wanted.mkdir(exist_ok=True)
    (wanted / "guest-test.service").symlink_to("/usr/lib/systemd/system/guest-test.service")


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
    except FileNotFoundError as err:
        raise BuildError(f"{command[0]} is not here: make setup") from err
    if done.returncode:
        words = done.stderr.strip().splitlines()[-5:]
        raise BuildError(f"{command[0]}: exit code {done.returncode}: {'; '.join(words)}")
