# SPDX-License-Identifier: Apache-2.0
"""Pinned downloads: a file is used only when its bytes have the digest that the lock states.

Everything is kept under `cache_dir()` and its SHA-256 is checked each time it is used, so a damaged
cache is fetched again instead of built into the product. No mirror is named here: Debian's comes
from apt's own configuration, upstream release addresses from the lock.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import tomllib
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tools.errors import BuildError

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "tools" / "lock"
APT_HELPER = "/usr/lib/apt/apt-helper"


def cache_dir() -> Path:
    """The directory of downloads and built libraries: $TETRAPY_CACHE, else ~/.cache/tetrapy."""
    override = os.environ.get("TETRAPY_CACHE")
    path = Path(override) if override else Path.home() / ".cache" / "tetrapy"
    path.mkdir(parents=True, exist_ok=True)
    return path


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pinned(name: str, sha256: str, download: Callable[[Path], None]) -> Path:
    """The cached file with this digest; `download(path)` is called to make it when it is absent.

    The digest is part of the file's place, so two pins of one name do not fight.
    Raises BuildError when what was downloaded has another digest.
    """
    path = cache_dir() / "downloads" / sha256[:16] / name
    if path.is_file() and sha256_of(path) == sha256:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    # apt's helper drops its privileges when it can, so the new file's directory is its own.
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        fresh = Path(scratch) / name
        download(fresh)
        found = sha256_of(fresh) if fresh.is_file() else "nothing"
        if found != sha256:
            raise BuildError(f"{name}: the lock wants SHA-256 {sha256}, downloaded: {found}")
        fresh.replace(path)
    return path


def debian_mirrors() -> list[str]:
    """The addresses of Debian's main archive that apt is configured with, each ending in a slash.

    Release files may not be there yet (a container before its first `apt-get update`), so an
    archive is identified by its address. The security archive holds few packages and is tried last.
    """
    command = [
        "apt-get",
        "indextargets",
        "--no-release-info",
        "--format",
        "$(REPO_URI) $(COMPONENT)",
    ]
    try:
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as err:
        raise BuildError(f"apt does not tell its mirrors ({' '.join(command)}): {err}") from err
    addresses = {line.split()[0] for line in answer.splitlines() if line.endswith(" main")}
    debian = {a for a in addresses if a.rstrip("/").rpartition("/")[2].startswith("debian")}
    return sorted(debian or addresses, key=lambda a: ("security" in a, a))


def from_debian_pool(pool_path: str, sha256: str) -> Path:
    """A file of Debian's pool, such as `main/z/zlib/zlib_1.3.orig.tar.gz`, from a mirror of apt's.

    The pool holds the packages of all suites, so no suite has to be configured for it. A package
    leaves the pool when no suite lists it any more. Raises BuildError naming each address tried.
    """

    def download(path: Path) -> None:
        tried = []
        for mirror in debian_mirrors():
            address = f"{mirror}pool/{pool_path}"
            command = [APT_HELPER, "download-file", address, str(path), f"SHA256:{sha256}"]
            done = subprocess.run(command, check=False, capture_output=True, text=True)
            if done.returncode == 0:
                return
            reasons = [line for line in done.stderr.splitlines() if line.startswith("E:")]
            tried.append(f"{address}: {' '.join(reasons) or f'exit {done.returncode}'}")
        raise BuildError("; ".join(tried) or "apt is configured with no Debian mirror")

    return pinned(pool_path.rpartition("/")[2], sha256, download)


def from_address(address: str, sha256: str) -> Path:
    """A file of an upstream release address. Raises BuildError when it does not answer."""

    def download(path: Path) -> None:
        try:
            with urllib.request.urlopen(address, timeout=60) as answer, path.open("wb") as file:
                shutil.copyfileobj(answer, file)
        except OSError as err:
            raise BuildError(f"{address}: {err}") from err

    return pinned(address.rpartition("/")[2], sha256, download)


def source_pins() -> dict[str, dict[str, str]]:
    """The lock of source archives: name -> version, pool, sha256.

    And upstream with upstream_sha256, where it is not Debian's own.
    """
    return tomllib.loads((LOCK / "sources.toml").read_text())


def source(name: str) -> Path:
    """The source archive that the lock names: from Debian's pool, else from its release address."""
    pin = source_pins()[name]
    try:
        return from_debian_pool(pin["pool"], pin["sha256"])
    except BuildError as debian:
        if "upstream" not in pin:
            raise
        try:
            return from_address(pin["upstream"], pin["upstream_sha256"])
        except BuildError as upstream:
            message = (
                f"the source of {name} {pin['version']} is not to be had: {debian}; {upstream}"
            )
            raise BuildError(message) from upstream
