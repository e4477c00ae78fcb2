# SPDX-License-Identifier: Apache-2.0
"""Which distribution built a kernel: os-release's ID and VERSION_ID out of what the kernel tells.

Nothing is guessed: where the kernel and its package do not say, the answer is "".  The names are
those of BTFHub where it has the distribution: major versions for RHEL and those built from it.
A rolling distribution, and one whose kernels do not tell its version, has `NO_VERSION`: a host
finds such a kernel by its release.
"""

from __future__ import annotations

import re
from typing import Tuple

from tetrapy.btf.store import NO_VERSION
from tetrapy.named import NamedTuple

# Each Debian is compiled by one gcc, and its kernels carry that one's version.
_DEBIAN_BY_GCC = {"6": "9", "8": "10", "10": "11", "12": "12", "14": "13"}
# The kernels that Ubuntu's releases were made with; later ones for a release carry its number.
_UBUNTU_BY_SERIES = {
    "3.13": "14.04",
    "4.4": "16.04",
    "4.15": "18.04",
    "4.18": "18.10",
    "5.0": "19.04",
    "5.3": "19.10",
    "5.4": "20.04",
    "5.8": "20.10",
    "5.11": "21.04",
    "5.13": "21.10",
    "5.15": "22.04",
    "5.19": "22.10",
    "6.2": "23.04",
    "6.5": "23.10",
    "6.8": "24.04",
    "6.11": "24.10",
    "6.14": "25.04",
    "6.17": "25.10",
}
# Those for vendors' machines are of a series of their own, for the LTS before.
_UBUNTU_OEM = {
    "4.15": "18.04",
    "5.0": "18.04",
    "5.6": "20.04",
    "5.10": "20.04",
    "5.13": "20.04",
    "5.14": "20.04",
    "5.17": "22.04",
    "6.0": "22.04",
    "6.1": "22.04",
    "6.5": "22.04",
    "6.8": "24.04",
    "6.11": "24.04",
    "6.14": "24.04",
    "6.17": "24.04",
}
_AMAZON = {"1": "2018.03"}
# The kernels of Alibaba Cloud Linux 2 and 3 are named by what they are compatible with.
_ALIBABA = {"7": "2", "8": "3"}
# IDs by what the release has in it, and by words of the builder or the compiler, of those whose
# kernels do not tell the version.
_ID_BY_RELEASE = (
    (re.compile(r"-flatcar$"), "flatcar"),
    (re.compile(r"-coreos(?:-r\d+)?$"), "coreos"),
    (re.compile(r"-microsoft-standard"), "wsl"),
    (re.compile(r"-linuxkit$"), "linuxkit"),
    (re.compile(r"-MANJARO$"), "manjaro"),
    (re.compile(r"-arch\d+-\d+$"), "arch"),
)
_ID_BY_WORD = (
    ("@archlinux", "arch"),
    ("@manjaro", "manjaro"),
    ("@kali.org", "kali"),
    ("nixbld@", "nixos"),
    ("voidbuilder@", "void"),
    ("-bottlerocket-linux-", "bottlerocket"),
    ("chromium os", "cos"),
)
_WITH_ZERO = {"azl": "azurelinux", "cm": "mariner", "ph": "photon"}
# Builders of what is versioned as Enterprise Linux, in lower case; the last is in all their
# compilers' versions, so only the builder and the package's tags are looked at.
_ENTERPRISE = (
    ("stream.rdu2.redhat", "centos"),
    ("cloudlinux", "cloudlinux"),
    ("oracle", "ol"),
    ("rocky", "rocky"),
    ("almalinux", "almalinux"),
    ("centos", "centos"),
    ("red hat", "rhel"),
    ("redhat", "rhel"),
)
# linux_banner: "Linux version RELEASE (BUILDER) (COMPILER) #1 SMP ..."
_BANNER = re.compile(r"Linux version (?P<release>\S+) \((?P<builder>[^)]*)\)(?P<rest>.*)")


class Banner(NamedTuple):
    """The parts of "Linux version ..."; "" where there is no banner."""

    release: str = ""
    builder: str = ""
    rest: str = ""


def split_banner(banner: str) -> Banner:
    """The parts of a banner."""
    found = _BANNER.match(banner)
    return Banner(**found.groupdict()) if found else Banner()


def distribution_of(banner: Banner, release: str, version: str, maker: str) -> Tuple[str, str]:
    """ID and VERSION_ID, "" where unknown, of a kernel of a release.

    `version` is its package's, `maker` the package's maintainer, vendor and distribution.
    """
    named = f"{maker} {banner.builder}".lower()
    if "ubuntu" in named or "-Ubuntu" in banner.rest:
        return "ubuntu", _ubuntu(release, f"{version} {banner.rest}")
    # A kernel of Debian's; those who build on Debian have their own builder.
    if "debian-kernel@" in named or re.search(r" Debian \d", banner.rest):
        return "debian", _debian(release, version, banner.rest)
    if release.endswith("-pve"):
        # Proxmox VE says in os-release that it is the Debian that it is built on.
        return "debian", _debian(release, version, banner.rest)
    for found in (_by_suffix(release, named), _suse(release, maker), _alpine(banner)):
        if found != ("", ""):
            return found
    return _by_word(release, f"{named} {banner.rest.lower()}")


def _by_word(release: str, text: str) -> Tuple[str, str]:
    """The distributions whose version is not in their kernels."""
    for pattern, name in _ID_BY_RELEASE:
        if pattern.search(release):
            return name, NO_VERSION
    return next(((name, NO_VERSION) for word, name in _ID_BY_WORD if word in text), ("", ""))


def _alpine(banner: Banner) -> Tuple[str, str]:
    """By the builder, which is called after the branch: buildozer@build-3-20-x86_64."""
    if not banner.builder.startswith("buildozer@") and "-Alpine" not in banner.rest:
        return "", ""
    found = re.search(r"@build-(\d+)-(\d+)-", banner.builder)
    return "alpine", ".".join(found.groups()) if found else NO_VERSION


def _debian(release: str, version: str, rest: str) -> str:
    uname_version = rest.rpartition("#")[2]
    for text in (release, version, uname_version):
        found = re.search(r"[+~.]deb(\d+)", text) or re.search(r"~bpo(\d+)\+", text)
        if found:
            return found.group(1)
    compiler = re.search(r"\(Debian (\d+)\.", rest)
    return _DEBIAN_BY_GCC.get(compiler.group(1), "") if compiler else ""


def _ubuntu(release: str, text: str) -> str:
    found = re.search(r"~(\d\d\.\d\d)", text)
    if found:
        return found.group(1)
    series = _UBUNTU_OEM if "-oem" in release else _UBUNTU_BY_SERIES
    return series.get(".".join(release.split(".")[:2]), "")


def _by_suffix(release: str, named: str) -> Tuple[str, str]:
    """By the suffix that these give to the release of each package: 4.18.0-477.el8.x86_64."""
    found = re.search(r"[.-](fc|amzn|el|oe|azl|cm|an|al|ph|tl)(\d+)(?:\D|$)", release)
    if not found:
        return "", ""
    suffix, number = found.groups()
    if suffix == "fc":
        return "fedora", number
    if suffix == "amzn":
        return "amzn", _AMAZON.get(number, number)
    if suffix == "oe":
        # oe1 is 20.03 LTS.
        return "openEuler", f"{number[:2]}.{number[2:]}" if len(number) == 4 else "20.03"
    if suffix in _WITH_ZERO:
        return _WITH_ZERO[suffix], f"{number}.0"
    if suffix == "al":
        return "alinux", _ALIBABA.get(number, number)
    if suffix in ("an", "tl"):
        return ("anolis" if suffix == "an" else "tencentos"), number
    if "uek" in release:
        return "ol", number
    return next((name for word, name in _ENTERPRISE if word in named), ""), number


def _suse(release: str, maker: str) -> Tuple[str, str]:
    """By the Distribution tag, or the release: 5.14.21-150400.24.100-default is of 15.4."""
    found = re.search(r"openSUSE Leap (\d+\.\d+)", maker)
    if found:
        return "opensuse-leap", found.group(1)
    if "openSUSE Tumbleweed" in maker:
        return "opensuse-tumbleweed", NO_VERSION
    found = re.search(r"SUSE Linux Enterprise (?:Server )?(\d+)(?:[ -]SP(\d))?", maker)
    if found:
        return "sles", ".".join(filter(None, found.groups()))
    found = re.search(r"-lp(\d\d)(\d)\.", release)
    if found:
        return "opensuse-leap", ".".join(found.groups())
    found = re.search(r"-(1\d)0(\d)00\.\S*-[a-z]\w*$", release)
    return ("sles", ".".join(found.groups())) if found else ("", "")
