# SPDX-License-Identifier: Apache-2.0
"""Which kernel a BTF is of: ID/VERSION_ID/arch/<uname -r>, out of all that an input tells."""

from __future__ import annotations

import re
from typing import List, Optional, Tuple

from tetrapy.btf.harvest.distributions import distribution_of, split_banner
from tetrapy.btf.harvest.options import Options
from tetrapy.btf.host import ARCHITECTURES, Host
from tetrapy.btf.store import NO_VERSION
from tetrapy.errors import FormatError, SettingsError
from tetrapy.named import NamedTuple

# A part of a path: nothing that leads out of it, hides it, or takes another file's name.
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+~-]{0,127}")
# In BTFHub's paths VERSION_ID is a number, with few exceptions (Kylin's V10).
_HUB_VERSION = re.compile(r"[vV]?\d[A-Za-z0-9._+~-]*|sid|experimental|_")
_HUB_ID = re.compile(r"[a-z][A-Za-z0-9._-]*")
_TEXT_SUFFIX = re.compile(r"\.(?:json|h)(?:\.(?:gz|bz2|xz|zst))?$")
_HUB_SUFFIX = re.compile(r"\.btf(?:\.tar)?(?:\.(?:gz|bz2|xz|zst))?$")
_IMAGE_PREFIX = re.compile(r"(?:vmlinu[xz]|[zb]*Image|config|btf)-(?=\d)")


class Evidence(NamedTuple):
    """What is known about a kernel; "" where nothing is.

    `path`: of the input; `release`: by the path inside a package; `arch`: by the image;
    `btf_arch`: by the types; `package_arch`, `version`, `maker`: by the package; `banner`: "Linux
    version ..." of the image; `host`: it is the running kernel.
    """

    path: str
    release: str = ""
    arch: str = ""
    btf_arch: str = ""
    package_arch: str = ""
    version: str = ""
    maker: str = ""
    banner: str = ""
    host: Optional[Host] = None


def identify(evidence: Evidence, options: Options) -> Tuple[Host, List[str]]:
    """The kernel, and what the operator should know about how it was found.

    FormatError: something is unknown, and no option tells it; or what is known contradicts itself;
    or a name cannot be part of a path.
    """
    notes: List[str] = []
    hub = evidence.host or _by_path(evidence.path)
    banner = split_banner(evidence.banner)
    name = evidence.release or (hub.release if hub else _release_of(evidence.path))
    release = options.release or banner.release or name
    if banner.release and name and name != banner.release and not options.release:
        notes.append(f"its path says {name}, the kernel itself {banner.release}: that is taken")
    arch = _arch(evidence, options, hub, release)
    built = distribution_of(banner, release, evidence.version, evidence.maker)
    named = (hub.id, hub.version_id or NO_VERSION) if hub else built
    kernel = Host(options.id or named[0], options.version_id or named[1], arch, release)
    _check(kernel)
    return kernel, notes


def checked_options(options: Options) -> Options:
    """The options with the architecture in BTFHub's words; SettingsError for an impossible one."""
    for name in ("id", "version_id", "release"):
        value = getattr(options, name)
        if value and not _PART.fullmatch(value):
            raise SettingsError(f"{value!r} for {_flag(name)}: letters, digits and . _ + ~ - only")
    if options.arch and options.arch not in ARCHITECTURES:
        known = ", ".join(sorted(set(ARCHITECTURES.values())))
        raise SettingsError(f"{options.arch!r} for --arch: {known}")
    return options._replace(arch=ARCHITECTURES.get(options.arch, ""))


def is_part(name: str) -> bool:
    """Whether a name out of an input may be a part of an output's path."""
    return _PART.fullmatch(name) is not None


def _by_path(path: str) -> Optional[Host]:
    """BTFHub's ID/VERSION_ID/arch/<release>.btf, packed or not, at the end of a path."""
    parts = path.split("/")[-4:]
    if len(parts) < 4 or not _HUB_SUFFIX.search(parts[3]):
        return None
    arch = ARCHITECTURES.get(parts[2], "")
    if not (arch and _HUB_VERSION.fullmatch(parts[1]) and _HUB_ID.fullmatch(parts[0])):
        return None
    return Host(parts[0], parts[1], arch, _HUB_SUFFIX.sub("", parts[3]))


def _release_of(path: str) -> str:
    """The release that a file's name tells: vmlinuz-6.1.0-50-amd64, 5.4.0-42-generic.btf."""
    name = path.rpartition("/")[2]
    stem = _TEXT_SUFFIX.sub("", _HUB_SUFFIX.sub("", name))
    if stem != name and stem[:1].isdigit():
        return stem
    bare = _IMAGE_PREFIX.sub("", stem)
    if bare == stem:
        return ""
    return re.sub(r"\.(?:gz|bz2|xz|lzma|lzo|lz4|zst|debug)$", "", bare)


def _arch(evidence: Evidence, options: Options, hub: Optional[Host], release: str) -> str:
    package = ARCHITECTURES.get(evidence.package_arch, "")
    suffix = re.search(r"[-.](x86_64|amd64|aarch64|arm64)$", release)
    reported = {
        "the image is": evidence.arch,
        "its types are": evidence.btf_arch,
        "its package is": package,
        "its path says": hub.arch if hub else "",
        "its release says": ARCHITECTURES[suffix.group(1)] if suffix else "",
        "--arch says": options.arch,
    }
    reported = {who: arch for who, arch in reported.items() if arch}
    if len(set(reported.values())) > 1:
        listed = ", ".join(f"{who} {arch}" for who, arch in reported.items())
        raise FormatError(f"its architecture is contradictory: {listed}")
    return next(iter(reported.values()), "")


def _check(kernel: Host) -> None:
    missing = [field for field, value in zip(Host._fields, kernel) if not value]
    if missing:
        known = ", ".join(f"{field} {value}" for field, value in kernel._asdict().items() if value)
        raise FormatError(
            f"nothing tells the kernel's {', '.join(missing)} (known: {known or 'nothing'}):"
            f" give {' '.join(map(_flag, missing))}"
        )
    for field, value in zip(Host._fields, kernel):
        if not _PART.fullmatch(value):
            raise FormatError(f"{value!r} cannot be the {field} of a kernel: give {_flag(field)}")


def _flag(field: str) -> str:
    return "--" + field.replace("_", "-")
