# SPDX-License-Identifier: Apache-2.0
"""Which kernel a BTF is of, distinguished from banners, packages and paths."""

from __future__ import annotations

from typing import Any

import pytest

from tetrapy.btf.harvest.identity import Evidence, checked_options, identify
from tetrapy.btf.harvest.options import Options
from tetrapy.btf.host import Host
from tetrapy.errors import FormatError, SettingsError

DEB = "debian-kernel@lists.debian.org"


def key(evidence: Evidence, **options: Any) -> str:
    return str(identify(evidence._replace(arch=evidence.arch or "x86_64"), Options(**options))[0])


@pytest.mark.parametrize(
    ("banner", "expected"),
    [
        (
            (
                f"5.10.0-46-amd64 ({DEB}) (gcc-10 (Debian 10.2.1-6) 10.2.1 20210110, GNU ld) "
                "#1 SMP Debian 5.10.262-1 (2026-07-31)"
            ),
            "debian/11/x86_64/5.10.0-46-amd64",
        ),
        (
            f"6.1.0-0.deb11.50-amd64 ({DEB}) (gcc-10 (Debian 10.2.1-6)) #1 SMP Debian 6.1.1-1",
            "debian/11/x86_64/6.1.0-0.deb11.50-amd64",
        ),
        (
            (
                f"4.19.0-0.bpo.19-amd64 ({DEB}) (gcc version 6.3.0 (Debian 6.3.0-18+deb9u1)) "
                "#1 SMP Debian 4.19.232-1~deb9u1 (2022-04-12)"
            ),
            "debian/9/x86_64/4.19.0-0.bpo.19-amd64",
        ),
        (
            (
                f"6.1.0-50-amd64 ({DEB}) (gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0, GNU ld) "
                "# SMP PREEMPT_DYNAMIC Debian 6.1.176-1 (2026-07-02)"
            ),
            "debian/12/x86_64/6.1.0-50-amd64",
        ),
        (
            (
                f"7.3.4+deb13-cloud-amd64 ({DEB}) (x86_64-linux-gnu-gcc-14 (Debian 14.2.0-19)) "
                "# SMP PREEMPT_DYNAMIC Debian 7.3.4-1~bpo13+1 (2026-11-15)"
            ),
            "debian/13/x86_64/7.3.4+deb13-cloud-amd64",
        ),
        (
            (
                "5.4.0-42-generic (buildd@host) (gcc version 9.3.0 (Ubuntu 9.3.0-10ubuntu2)) "
                "#46-Ubuntu SMP Fri Jul 10 00:24:02 UTC 2020"
            ),
            "ubuntu/20.04/x86_64/5.4.0-42-generic",
        ),
        (
            (
                "5.4.0-42-generic (buildd@host) (gcc version 7.5.0 (Ubuntu 7.5.0-3ubuntu1~18.04)) "
                "#46~18.04.1-Ubuntu SMP Fri Jul 10 07:21:24 UTC 2020"
            ),
            "ubuntu/18.04/x86_64/5.4.0-42-generic",
        ),
        (
            (
                "4.18.0-348.7.1.el8_5.x86_64 (mockbuild@kbuilder.centos) "
                "(gcc version 8.5.0 20210514 (Red Hat 8.5.0-4) (GCC)) #1 SMP Wed Dec 22 2021"
            ),
            "centos/8/x86_64/4.18.0-348.7.1.el8_5.x86_64",
        ),
        (
            (
                "3.10.0-1160.el7.x86_64 (mockbuild@build.redhat) (gcc version "
                "4.8.5 (Red Hat 4.8.5-44) (GCC) ) #1 SMP"
            ),
            "rhel/7/x86_64/3.10.0-1160.el7.x86_64",
        ),
        (
            (
                "5.4.17-2102.201.3.el8uek.x86_64 (mockbuild@builder) (gcc version 8.3.1 "
                "20190507 (Red Hat 8.3.1-4) (GCC)) #2 SMP"
            ),
            "ol/8/x86_64/5.4.17-2102.201.3.el8uek.x86_64",
        ),
        (
            "6.8.5-301.fc40.x86_64 (mockbuild@host) (gcc (GCC) 14.0.1, GNU ld) #1 SMP",
            "fedora/40/x86_64/6.8.5-301.fc40.x86_64",
        ),
        (
            "4.14.301-224.520.amzn2.x86_64 (mockbuild@ip-10-0-32-244) (gcc version 7.3.1) #1 SMP",
            "amzn/2/x86_64/4.14.301-224.520.amzn2.x86_64",
        ),
        (
            "4.14.336-180.566.amzn1.x86_64 (mockbuild@x) (gcc) #1 SMP",
            "amzn/2018.03/x86_64/4.14.336-180.566.amzn1.x86_64",
        ),
        (
            "6.1.61-85.141.amzn2023.x86_64 (mockbuild@x) (gcc) #1 SMP",
            "amzn/2023/x86_64/6.1.61-85.141.amzn2023.x86_64",
        ),
        (
            "5.10.0-60.18.0.50.oe2203.x86_64 (abuild@x) (gcc_old) #1 SMP",
            "openEuler/22.03/x86_64/5.10.0-60.18.0.50.oe2203.x86_64",
        ),
        (
            "5.14.21-150400.24.100-default (geeko@buildhost) (gcc (SUSE Linux) 7.5.0) #1 SMP",
            "sles/15.4/x86_64/5.14.21-150400.24.100-default",
        ),
    ],
)
def test_banners_tell_the_distribution(banner: str, expected: str) -> None:
    """The banner alone names the kernels of the common distributions."""
    assert key(Evidence("vmlinux", banner=f"Linux version {banner}")) == expected


@pytest.mark.parametrize(
    ("banner", "expected"),
    [
        # Ubuntu: clouds and vendors' machines.
        ("5.4.0-1045-aws (buildd@x) (gcc version 9.3.0 (Ubuntu 9.3.0-17)) #47-Ubuntu SMP",
         "ubuntu/20.04"),
        ("6.1.0-1035-oem (buildd@x) (x86_64-linux-gnu-gcc-11 (Ubuntu 11.4.0)) #35-Ubuntu SMP",
         "ubuntu/22.04"),
        ("6.5.0-1009-oem (buildd@x) (gcc-12 (Ubuntu 12.3.0)) #10-Ubuntu SMP", "ubuntu/22.04"),
        ("6.5.0-9-generic (buildd@x) (gcc-13 (Ubuntu 13.2.0)) #9-Ubuntu SMP", "ubuntu/23.10"),
        ("3.13.0-24-generic (buildd@x) (gcc version 4.8.2 (Ubuntu 4.8.2)) #47-Ubuntu SMP",
         "ubuntu/14.04"),
        # RHEL and its rebuilds.
        ("5.14.0-503.el9.x86_64 (mockbuild@x86-05.stream.rdu2.redhat.com) (gcc (GCC)) #1 SMP",
         "centos/9"),
        ("5.14.0-427.13.1.el9_4.aarch64 (mockbuild@iad1-prod-build001.rockylinux.org) (gcc) #1",
         "rocky/9"),
        ("6.12.0-55.9.1.el10_0.x86_64 (mockbuild@x64-builder02.almalinux.org) (gcc (GCC)) #1",
         "almalinux/10"),
        ("4.18.0-553.lve.el8.x86_64 (mockbuild@buildfarm.corp.cloudlinux.com) (gcc) #1",
         "cloudlinux/8"),
        ("5.15.0-200.131.27.el9uek.x86_64 (mockbuild@host) (gcc (GCC)) #2 SMP", "ol/9"),
        # Others with a suffix.
        ("6.12.20-23.97.amzn2023.aarch64 (mockbuild@ip-10) (gcc) #1 SMP", "amzn/2023"),
        ("6.6.29.1-4.azl3 (root@CBL-Mariner) (gcc (GCC)) #1 SMP", "azurelinux/3.0"),
        ("5.10.134-13.an8.x86_64 (mockbuild@anolis) (gcc) #1 SMP", "anolis/8"),
        ("5.10.134-16.3.al8.x86_64 (mockbuild@x) (gcc) #1 SMP", "alinux/3"),
        ("5.10.214-3.ph4 (root@photon) (gcc (GCC)) #1-photon SMP", "photon/4.0"),
        ("6.15.3-200.fc42.x86_64 (mockbuild@x) (gcc (GCC)) #1 SMP", "fedora/42"),
        # SUSE's flavours.
        ("5.14.21-150500.33.3-azure (geeko@buildhost) (gcc (SUSE Linux)) #1 SMP", "sles/15.5"),
        ("6.12.0-160000.5-default (geeko@buildhost) (gcc (SUSE Linux)) #1 SMP", "sles/16.0"),
        ("5.3.18-lp152.20.7-preempt (geeko@buildhost) (gcc (SUSE Linux)) #1 SMP",
         "opensuse-leap/15.2"),
        # The version is the builder's, or nowhere.
        ("6.6.31-0-lts (buildozer@build-3-20-x86_64) (gcc (Alpine 13.2.1_git20240309)) #1-Alpine",
         "alpine/3.20"),
        ("6.12.1-0-lts (buildozer@build-edge-aarch64) (gcc (Alpine 14.2.0)) #1-Alpine", "alpine/_"),
        ("6.9.1-arch1-1 (linux@archlinux) (gcc (GCC) 14.1.1) #1 SMP PREEMPT_DYNAMIC", "arch/_"),
        ("6.6.30-1-lts (linux-lts@archlinux) (gcc (GCC) 13.2.1) #1 SMP", "arch/_"),
        ("6.6.30-2-MANJARO (linux66@manjaro) (gcc (GCC)) #1 SMP", "manjaro/_"),
        ("6.6.30-flatcar (build@pony-truck) (x86_64-cros-linux-gnu-gcc (Gentoo)) #1", "flatcar/_"),
        ("6.1.90 (builder@buildkitsandbox) (x86_64-bottlerocket-linux-gnu-gcc.br_real) #1 SMP",
         "bottlerocket/_"),
        ("5.15.153.1-microsoft-standard-WSL2 (root@941d701f84f1) (gcc (GCC) 11.2.0) #1", "wsl/_"),
        ("5.15.133+ (builder@localhost) (Chromium OS 15.0_pre458507 clang version) #1", "cos/_"),
        ("6.6.31-linuxkit (root@buildkitsandbox) (gcc (Alpine 13.2.1)) #1 SMP", "linuxkit/_"),
        ("6.8.4-2-pve (build@proxmox) (gcc (Debian 12.2.0-14) 12.2.0) #1 SMP PMX 6.8.4-2",
         "debian/12"),
        ("6.6.31+rpt-rpi-v8 (serge@raspberrypi.com) (gcc-12 (Debian 12.2.0-14)) #1 SMP Debian 1:6",
         "debian/12"),
        ("6.6.9-amd64 (devel@kali.org) (gcc-13 (Debian 13.2.0-9)) #1 SMP Kali 6.6.9-1kali1",
         "kali/_"),
    ],
)  # fmt: skip
def test_banners_of_other_vendors(banner: str, expected: str) -> None:
    """Every vendor's form of `uname -r` and of the builder is known; rolling ones have "_"."""
    release = banner.partition(" ")[0]
    arch = "arm64" if release.endswith("aarch64") else "x86_64"
    evidence = Evidence("vmlinux", arch=arch, banner=f"Linux version {banner}")
    assert key(evidence) == f"{expected}/{arch}/{release}"


@pytest.mark.parametrize(
    ("maker", "release", "expected"),
    [
        ("Rocky Enterprise Software Foundation ", "5.14.0-1.el9_4.x86_64", "rocky/9"),
        ("AlmaLinux ", "5.14.0-1.el9_4.x86_64", "almalinux/9"),
        ("Red Hat, Inc. ", "4.18.0-477.el8.x86_64", "rhel/8"),
        ("Oracle America ", "4.18.0-477.el8.x86_64", "ol/8"),
        ("SUSE LLC SUSE Linux Enterprise 15 SP3", "5.3.18-59.5-default", "sles/15.3"),
        ("openSUSE openSUSE Tumbleweed", "6.9.1-1-default", "opensuse-tumbleweed/_"),
        ("openSUSE openSUSE Leap 15.2", "5.3.18-lp152.20-default", "opensuse-leap/15.2"),
    ],
)
def test_the_tags_of_a_package_tell_the_distribution(
    maker: str, release: str, expected: str
) -> None:
    """Where the release's suffix is common to several, Vendor or Distribution decides."""
    evidence = Evidence("a.rpm", release, maker=maker)
    assert key(evidence) == f"{expected}/x86_64/{release}"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (
            "hub/ubuntu/18.04/x86_64/5.4.0-42-generic.btf.tar.xz",
            "ubuntu/18.04/x86_64/5.4.0-42-generic",
        ),
        ("centos/8/aarch64/4.18.0-147.btf", "centos/8/arm64/4.18.0-147"),
        ("debian/sid/arm64/7.2.13+deb14-arm64.btf", "debian/sid/arm64/7.2.13+deb14-arm64"),
        ("arch/_/x86_64/6.9.1-arch1-1.btf", "arch/_/x86_64/6.9.1-arch1-1"),
    ],
)
def test_a_path_of_btfhub_tells_all(path: str, expected: str) -> None:
    """ID/VERSION_ID/arch/<uname -r>.btf is believed, with either name of an architecture."""
    assert str(identify(Evidence(path), Options())[0]) == expected


def test_options_win() -> None:
    """What the operator states is taken before what the input says."""
    evidence = Evidence("debian/12/x86_64/6.1.0-1-amd64.btf")
    assert key(evidence, id="kali", version_id="2026.1") == "kali/2026.1/x86_64/6.1.0-1-amd64"
    assert key(evidence, release="6.1.0-2-amd64") == "debian/12/x86_64/6.1.0-2-amd64"


def test_a_system_without_version_has_an_underscore() -> None:
    """The host's VERSION_ID may be missing; then the path has what the local store has there."""
    evidence = Evidence("/sys/kernel/btf/vmlinux", host=Host("arch", "", "x86_64", "6.9.1-arch1-1"))
    assert key(evidence) == "arch/_/x86_64/6.9.1-arch1-1"


@pytest.mark.parametrize(
    ("evidence", "text"),
    [
        (
            Evidence("vmlinux.btf"),
            r"nothing tells the kernel's id, version_id, release \(known: arch",
        ),
        (Evidence("5.4.0-1-x.btf"), "give --id --version-id$"),
        (
            Evidence("a.deb", "6.5.0-1-amd64", maker=DEB),
            "version_id .*id debian.*give --version-id",
        ),
        (Evidence("a", "1.2-arm64"), "contradictory: the image is x86_64, its release says arm64"),
        (Evidence("a", "1.2", btf_arch="arm64"), "the image is x86_64, its types are arm64"),
    ],
)
def test_what_is_not_known_is_refused(evidence: Evidence, text: str) -> None:
    """Nothing is guessed: what is missing is named with the option that tells it."""
    with pytest.raises(FormatError, match=text):
        key(evidence)


def test_an_option_does_not_make_an_arm_of_an_x86() -> None:
    """--arch is for what does not tell its architecture, not against what does."""
    with pytest.raises(FormatError, match="--arch says arm64"):
        key(Evidence("debian/12/x86_64/6.1.0-1.btf"), arch="arm64")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (Options(arch="sparc"), "'sparc' for --arch: arm64, x86_64"),
        (Options(id="../x"), "'../x' for --id"),
        (Options(version_id="1/2"), "for --version-id"),
        (Options(release=".."), "for --release"),
    ],
)
def test_impossible_options_are_refused(options: Options, text: str) -> None:
    """An option that cannot be part of a path is wrong use."""
    with pytest.raises(SettingsError, match=text):
        checked_options(options)


def test_options_take_either_name_of_an_architecture() -> None:
    """aarch64 and amd64 are what uname and Debian say for arm64 and x86_64."""
    assert checked_options(Options(arch="aarch64")).arch == "arm64"
