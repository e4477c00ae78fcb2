# SPDX-License-Identifier: Apache-2.0
"""Debian packages of any suite and architecture, without touching the system's apt.

Each (suite, architecture) has a private apt state under the cache; its source list is written at
run time from the mirrors that the system's own apt is configured for, so no file names a mirror.
apt checks signatures with the system's keys; every file is checked by SHA-256 at every use.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Optional

from tools.errors import BuildError
from tools.fetch import cache_dir, sha256_of

# A lookup that finds nothing asks the mirror again, but not more often than this (seconds).
_REFRESH_AFTER = 600.0


class DebianError(BuildError):
    """A package could not be had: the message says what was asked, what was found, what to do."""


class PackageGone(DebianError):
    """The mirror no longer has (or never had) the asked version of a package."""

    def __init__(
        self, package: str, version: Optional[str], suite: str, arch: str, found: Sequence[str]
    ) -> None:
        self.package, self.version, self.suite, self.arch = package, version, suite, arch
        self.found = list(found)
        wanted = package if version is None else f"{package} {version}"
        has = f"has {', '.join(found)}" if found else "has no version of it"
        super().__init__(f"{wanted} ({arch}) is not on the mirror: {suite} {has}")


class Deb(NamedTuple):
    """One version of a binary package as the signed index of its suite lists it."""

    package: str
    version: str
    arch: str
    sha256: str
    size: int

    @property
    def filename(self) -> str:
        """The name apt gives the downloaded file (an epoch's colon becomes %3a)."""
        return f"{self.package}_{self.version.replace(':', '%3a')}_{self.arch}.deb"


def versions(package: str, suite: str, arch: str = "amd64") -> list[Deb]:
    """All versions of a package in a suite, as its index lists them; empty when there is none."""
    apt = _Apt(suite, arch)
    with apt.locked():
        return _with_refresh(apt, lambda: _show(apt, [package]))


def names(pattern: str, suite: str, arch: str = "amd64") -> list[str]:
    """Names of the suite's packages that match a regular expression (POSIX extended, searched)."""
    apt = _Apt(suite, arch)
    with apt.locked():
        apt.ensure_lists()
        found = apt.run("apt-cache", "search", "--names-only", pattern).stdout
    return sorted(line.split(" ", 1)[0] for line in found.splitlines())


def listed(pattern: str, suite: str, arch: str = "amd64") -> list[Deb]:
    """All versions of the packages that `names` finds."""
    found = names(pattern, suite, arch)
    apt = _Apt(suite, arch)
    with apt.locked():
        return _show(apt, found) if found else []


def download(package: str, version: str, suite: str, arch: str, sha256: str) -> Path:
    """Path of one pinned version of a package in the cache, fetched when absent, always verified.

    Raises PackageGone when the mirror lacks that version, DebianError when the bytes are wrong.
    """
    for file_arch in (arch, "all"):
        path = _store() / Deb(package, version, file_arch, sha256, 0).filename
        if path.exists() and sha256_of(path) == sha256:
            return path
    apt = _Apt(suite, arch)
    with apt.locked():
        found = _with_refresh(apt, lambda: _match(_show(apt, [package]), version))
        if not found:
            others = [deb.version for deb in _show(apt, [package])]
            raise PackageGone(package, version, suite, arch, others)
        if found[0].sha256 != sha256:
            raise DebianError(
                f"{package} {version} ({arch}, {suite}): pinned sha256 {sha256}, "
                f"but the mirror's signed index says {found[0].sha256}"
            )
        return _cached(apt, found[0])


def newest(packages: Sequence[str], suite: str, arch: str) -> list[Path]:
    """Paths of the newest version of each package in the cache, in order.

    "Newest" is by the package lists at hand, which are fetched again only when they name a file
    that the mirror has replaced. Verified by the digests in the signed index. Raises as `download`.
    """
    apt = _Apt(suite, arch)
    with apt.locked():
        for last_try in (False, True):
            listed: dict[str, Deb] = {}
            for deb in _with_refresh(apt, lambda: _show(apt, packages)):
                listed.setdefault(deb.package, deb)  # apt-cache lists the newest first
            try:
                for name in packages:
                    if name not in listed:
                        raise PackageGone(name, None, suite, arch, [])
                return [_cached(apt, listed[name]) for name in packages]
            except DebianError:
                if last_try or not apt.lists_are_older_than(_REFRESH_AFTER):
                    raise
                apt.update()
    raise AssertionError("the last try returns or raises")


def mirrors() -> dict[str, str]:
    """{"main": URI, "security": URI} of the Debian mirrors that the system's apt uses."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE)"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    found: dict[str, str] = {}
    for line in listed.splitlines():
        site, release = line.rsplit(" ", 1)
        found.setdefault("security" if "security" in release else "main", site)
    if "main" not in found:
        raise DebianError("apt-get indextargets lists no Debian mirror: configure apt's sources")
    # A system without a security source: Debian's mirrors carry it beside the main archive.
    found.setdefault("security", found["main"].rstrip("/") + "-security")
    return found


class _Apt:
    """apt with a private state for one suite and architecture."""

    def __init__(self, suite: str, arch: str) -> None:
        self.suite, self.arch = suite, arch
        self.dir = cache_dir() / "apt" / f"{suite}-{arch}"
        self.stamp = self.dir / "updated"
        (self.dir / "state/lists/partial").mkdir(parents=True, exist_ok=True)
        (self.dir / "cache/archives/partial").mkdir(parents=True, exist_ok=True)
        (self.dir / "state/status").touch()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold this state's lock: apt itself gives up where another apt holds the lists."""
        with (self.dir / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def run(
        self, program: str, *arguments: str, cwd: Optional[str] = None
    ) -> subprocess.CompletedProcess[str]:
        """Run an apt program on the private state; the caller looks at the return code."""
        options = {
            "Dir::State": f"{self.dir}/state",
            "Dir::State::status": f"{self.dir}/state/status",
            "Dir::Cache": f"{self.dir}/cache",
            "Dir::Etc::sourcelist": f"{self.dir}/sources.list",
            "Dir::Etc::sourceparts": "-",
            "Dir::Etc::preferences": "-",
            "Dir::Etc::preferencesparts": "-",
            "APT::Sandbox::User": "root",  # the _apt user cannot enter a private cache directory
            "APT::Architecture": self.arch,
            "APT::Architectures": self.arch,
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
            # sid's Release on a mirror snapshot may be past its date; its signature still counts.
            "Acquire::Check-Valid-Until": "false",
        }
        command = [program]
        for name, value in options.items():
            command += ["-o", f"{name}={value}"]
        return subprocess.run(
            [*command, *arguments],
            check=False,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={**os.environ, "LC_ALL": "C"},
        )

    def ensure_lists(self) -> None:
        """Fetch the package lists when this state has none yet."""
        if not self.stamp.exists():
            self.update()

    def lists_are_older_than(self, seconds: float) -> bool:
        """Whether a second look at the mirror could tell something new."""
        return time.time() - self.stamp.stat().st_mtime > seconds

    def update(self) -> None:
        """Fetch the suite's package lists; raises DebianError with apt's own words."""
        site = mirrors()["security" if self.suite.endswith("-security") else "main"]
        (self.dir / "sources.list").write_text(f"deb [arch={self.arch}] {site} {self.suite} main\n")
        result = self.run("apt-get", "-q", "--error-on=any", "update")
        if result.returncode:
            raise DebianError(
                f"package lists of {self.suite} ({self.arch}) from {site}: {_last_words(result)}"
            )
        self.stamp.touch()


def _last_words(result: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in result.stderr.splitlines() if line.startswith(("E:", "W:", "Err"))]
    return "; ".join(lines[-3:]) or f"exit code {result.returncode}"


def _with_refresh(apt: _Apt, look: Callable[[], list[Deb]]) -> list[Deb]:
    apt.ensure_lists()
    found = look()
    if not found and apt.lists_are_older_than(_REFRESH_AFTER):
        apt.update()
        found = look()
    return found


def _match(debs: Sequence[Deb], version: str) -> list[Deb]:
    return [deb for deb in debs if deb.version == version]


def _show(apt: _Apt, packages: Sequence[str]) -> list[Deb]:
    result = apt.run("apt-cache", "show", *packages)
    found = []
    for stanza in result.stdout.split("\n\n"):
        field = dict(re.findall(r"^(\S+): ?(.*)$", stanza, re.MULTILINE))
        if field.get("Package") in packages and "SHA256" in field:
            name, version, arch = field["Package"], field["Version"], field["Architecture"]
            found.append(Deb(name, version, arch, field["SHA256"], int(field["Size"])))
    return found


def _store() -> Path:
    path = cache_dir() / "debs"
    path.mkdir(exist_ok=True)
    return path


def _cached(apt: _Apt, deb: Deb) -> Path:
    path = _store() / deb.filename
    if not (path.exists() and sha256_of(path) == deb.sha256):
        _fetch(apt, deb, path)
    return path


def _fetch(apt: _Apt, deb: Deb, path: Path) -> None:
    """Download one package in a scratch directory and move the verified file to `path`."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".fetch-") as scratch:
        result = apt.run("apt-get", "-q", "download", f"{deb.package}={deb.version}", cwd=scratch)
        if result.returncode:
            raise DebianError(
                f"{deb.package} {deb.version} from {apt.suite}: {_last_words(result)}"
            )
        fresh = Path(scratch, deb.filename)
        if not fresh.exists():
            got = ", ".join(sorted(os.listdir(scratch))) or "nothing"
            raise DebianError(f"{deb.package} from {apt.suite}: wanted {deb.filename}, got {got}")
        actual = sha256_of(fresh)
        if actual != deb.sha256:
            raise DebianError(f"{deb.filename}: sha256 is {actual}, the index says {deb.sha256}")
        shutil.move(fresh, path)
