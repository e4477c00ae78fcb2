# SPDX-License-Identifier: Apache-2.0
"""New pins for tests/vm/kernels.toml: versions that the mirror has.

Of a kernel with an entry in the BTF archive such a version is taken, of the others one without.
"""

from __future__ import annotations

import lzma
import re
from pathlib import Path

from tools import debian
from tools.guest import kernels
from tools.guest.kernels import Kernel, KernelError

_ROOT = Path(__file__).resolve().parents[2]
_ARCHIVE = _ROOT / "btfs/archive.xz"


def update(newest: bool = False, path: Path = kernels.LIST) -> list[str]:
    """Rewrite the pins that have left the mirror (all of them with `newest`); what was changed.

    A kernel stays in its flavour and its series, which its name begins with. KernelError when the
    mirror has none that the archive knows, or, where `known` is false, none that it does not.
    """
    text = path.read_text()
    changes = []
    for kernel in kernels.load(path):
        if not newest and _on_mirror(kernel):
            continue
        replacement = _choose(kernel)
        if replacement != (kernel.package, kernel.version, kernel.suite, kernel.sha256):
            text = _rewrite(text, kernel, replacement)
            changes.append(f"{kernel.name}: {kernel.version} -> {replacement[1]}")
    path.write_text(text)
    return changes


def known_releases() -> set[str]:
    """The kernels (uname -r) in btfs/archive.xz; its text is described in tetrapy.btf.archive."""
    text = lzma.decompress(_ARCHIVE.read_bytes()).decode()
    return set(re.findall(r"^kernel \d+ \S+/(\S+)$", text, re.MULTILINE))


def _on_mirror(kernel: Kernel) -> bool:
    found = debian.versions(kernel.package, kernel.suite, kernel.arch)
    return any((deb.version, deb.sha256) == (kernel.version, kernel.sha256) for deb in found)


def _choose(kernel: Kernel) -> tuple[str, str, str, str]:
    """(package, version, suite, sha256) of the best release of the kernel's series."""
    series = kernel.name.partition("-")[0]
    flavour = "rt" if "-rt-" in kernel.release else "cloud"
    pattern = rf"^linux-(image|binary)-{re.escape(series)}\..*-{flavour}-{kernel.arch}$"
    suites = [kernel.suite]
    if not kernel.suite.endswith(("-security", "-backports")) and kernel.suite != "sid":
        suites.append(f"{kernel.suite}-security")
    known = known_releases()
    found = []
    for suite in suites:
        for package in debian.names(pattern, suite, kernel.arch):
            for deb in debian.versions(package, suite, kernel.arch):
                # From 6.19 on linux-image-* is empty: the kernel is in linux-binary-*.
                if deb.size > 1 << 20:
                    fits = (_release(package) in known) == kernel.known
                    rank = (fits, _ordered(deb.version))
                    found.append((rank, (package, deb.version, suite, deb.sha256)))
    if not found:
        raise KernelError(f"{kernel.name}: no package {pattern} in {', '.join(suites)}")
    # Of equal ones the first: the suite that is pinned already.
    (fits, _), choice = max(found, key=lambda entry: entry[0])
    if not fits:
        releases = ", ".join(sorted(_release(package) for _, (package, *_) in found))
        raise KernelError(
            f"{kernel.name}: of the releases that the mirror has ({releases}) the archive knows "
            + (f"none: refresh {_ARCHIVE.relative_to(_ROOT)} first" if kernel.known else "all")
        )
    return choice


def _release(package: str) -> str:
    return package.partition("-")[2].partition("-")[2]


def _ordered(version: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", version)]


def _rewrite(text: str, kernel: Kernel, replacement: tuple[str, str, str, str]) -> str:
    """The list with the entry of this kernel changed, its comments and order kept."""
    package, version, suite, sha256 = replacement
    values = {"release": _release(package), "package": package, "version": version}
    values.update({"suite": suite, "sha256": sha256})
    head, entry = text.split(f'name = "{kernel.name}"\n', 1)
    entry, mark, rest = entry.partition("[[kernel]]")
    for field, value in values.items():
        entry = re.sub(rf'^{field} = ".*"$', f'{field} = "{value}"', entry, flags=re.MULTILINE)
    return f'{head}name = "{kernel.name}"\n{entry}{mark}{rest}'
