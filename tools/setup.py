# SPDX-License-Identifier: Apache-2.0
"""What a fresh Debian 12 lacks to build and test tetrapy: Debian packages and development tools.

    python3 -m tools.setup build     what `make build` needs
    python3 -m tools.setup test      what `make build`, `make check` and `make test` need

Runs on the bare Python of Debian's python3 package: no pip, no venv. As root it installs what is
missing through apt-get; otherwise it prints the one command that does, and exits with 1.
The development tools come from PyPI by the digests in tools/lock/dev-requirements.txt into a
virtual environment in the cache, one per lock file and Python, so that every checkout shares it;
`.venv` in the checkout links to it.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Callable, List, NamedTuple

from tools.fetch import cache_dir

_ROOT = Path(__file__).resolve().parent.parent
_LOCK = _ROOT / "tools/lock/dev-requirements.txt"
_APT_LISTS = Path("/var/lib/apt/lists")


class SetupError(RuntimeError):
    """This machine cannot be made ready: the message says what is missing and what to do."""


class Need(NamedTuple):
    """A Debian package, and how to see that what it brings is here (from wherever it came)."""

    package: str
    present: Callable[[], bool]


def _command(name: str) -> Callable[[], bool]:
    return lambda: shutil.which(name) is not None


def _module(name: str) -> Callable[[], bool]:
    return lambda: importlib.util.find_spec(name) is not None


BUILD = [
    Need("python3-venv", _module("ensurepip")),  # pip fetches the pinned compiler and wheels
]
TEST = [
    *BUILD,
    # These build kernels of our own configuration (tools/guest/built_kernel.py).
    Need("bc", _command("bc")),
    Need("bison", _command("bison")),
    Need("dwarves", _command("pahole")),
    Need("flex", _command("flex")),
    Need("libelf-dev", lambda: Path("/usr/include/gelf.h").exists()),
    Need("bpftool", lambda: shutil.which("bpftool", path=_with_sbin()) is not None),
    Need("g++", _command("g++")),  # unpacks the corpus of kernel BTFs, builds loads and victims
    Need("libcap2-bin", lambda: shutil.which("setcap", path=_with_sbin()) is not None),
    Need("lz4", _command("lz4")),  # unpacks kernels; so does zstd
    Need("mmdebstrap", _command("mmdebstrap")),  # makes the root of a guest with systemd
    Need("openssl", _command("openssl")),  # verifies what a release signs
    Need("patch", _command("patch")),  # puts Debian's mends into what `make executable` builds
    Need("qemu-system-arm", _command("qemu-system-aarch64")),
    Need("qemu-system-x86", _command("qemu-system-x86_64")),
    Need("rpm", _command("rpmbuild")),  # makes a part of a release; so does dpkg-deb
    Need("shellcheck", _command("shellcheck")),  # judges the scripts of a release
    Need("strace", _command("strace")),  # tests what the agent opens
    Need("zstd", _command("zstd")),
]


def _with_sbin() -> str:
    """PATH with the directories that an ordinary user's lacks; bpftool lives there."""
    return f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"


def install_packages(queries: List[Need]) -> None:
    """Install the packages of what is missing; raises SetupError when not root or apt refuses."""
    missing = sorted(query.package for query in queries if not query.present())
    if not missing:
        return
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
    if shutil.which("apt-get") is None:
        raise SetupError(
            f"this machine has no apt-get; install what these Debian packages hold: "
            f"{' '.join(missing)}"
        )
    if os.geteuid() != 0:
        raise SetupError(
            f"some Debian packages are missing; run this as root, then try again:\n"
            f"    apt-get update && {' '.join(install)}"
        )
    print(f"setup: installing {' '.join(missing)}", flush=True)
    # Lists from another day name versions that the mirror no longer has: install is tried with the
    # lists at hand, then once more with new ones.
    if not (any(_APT_LISTS.glob("*_Packages*")) and _apt(install)):
        update = ["apt-get", "update"]
        for command in (update, install):
            if not _apt(command):
                raise SetupError(f"{' '.join(command)}: refused; its own words are above")
    importlib.invalidate_caches()
    still = sorted(query.package for query in queries if not query.present())
    if still:
        raise SetupError(f"installed, yet what they bring is not there: {' '.join(still)}")


def _apt(command: List[str]) -> bool:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    options = ["-q", "-o", "Dpkg::Use-Pty=0", "-o", "DPkg::Lock::Timeout=300"]
    quiet = [command[0], *options, *command[1:]]
    # What apt prints is kept away from standard output: `make run` prints events there.
    return not subprocess.run(
        quiet, check=False, env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr
    ).returncode


def development_tools() -> Path:
    """The virtual environment with exactly what the lock file names, made when it is absent."""
    # Security updates of the same Python keep the environment: it links to the interpreter.
    python = f"{sys.base_prefix} {sys.version_info[:2]} {platform.machine()}"
    key = hashlib.sha256(_LOCK.read_bytes() + python.encode()).hexdigest()[:16]
    place = cache_dir() / "venv" / key
    complete = place / "complete"
    place.parent.mkdir(exist_ok=True)
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            print("setup: installing the development tools", flush=True)
            shutil.rmtree(place, ignore_errors=True)
            _run([sys.executable, "-m", "venv", str(place)])
            options = ["-qq", "--disable-pip-version-check", "--require-virtualenv"]
            options += ["--require-hashes", "--only-binary=:all:", "--no-deps"]
            _run([f"{place}/bin/python", "-m", "pip", "install", *options, "-r", str(_LOCK)])
            complete.touch()
    return place


def _run(command: List[str]) -> None:
    code = subprocess.run(command, check=False, stdin=subprocess.DEVNULL).returncode
    if code:
        raise SetupError(f"{' '.join(command)}: exit code {code}; its own words are above")


def _link(place: Path) -> None:
    """Point `.venv` at the environment; somebody's own directory of that name is left alone."""
    link = _ROOT / ".venv"
    if link.is_symlink() and os.readlink(link) == str(place):
        return
    if link.exists() and not link.is_symlink():
        raise SetupError(f"{link} is not a link made by this command: move it away")
    aside = _ROOT / f".venv.{os.getpid()}"
    aside.symlink_to(place)
    aside.replace(link)


def main(arguments: List[str]) -> int:
    """Make this machine ready for what `arguments` name; the exit code."""
    stages = {"build": BUILD, "test": TEST}
    if len(arguments) != 1 or arguments[0] not in stages:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        install_packages(stages[arguments[0]])
        _link(development_tools())
    except SetupError as problem:
        print(f"setup: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
