# SPDX-License-Identifier: Apache-2.0
"""The commands of docs/btf.md, one for each vendor, run with packages that are made here."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.support import harvest_builders as b
from tests.support.paths import ROOT

ROW = re.compile(r"^   \| (?P<vendor>[^|`]+) \| `(?P<command>[^`]+)`", re.MULTILINE)
COMMANDS = {
    row["vendor"]: row["command"] for row in ROW.finditer((ROOT / "docs/btf.md").read_text())
}


def image(banner: str) -> bytes:
    """A bzImage of a kernel with this banner."""
    text = f"Linux version {banner}\n".encode()
    return b.vmlinuz("gzip", b.vmlinux({".rodata": text, ".BTF": b.kernel_btf()}))


def rpm(release: str, place: str, builder: str, **fields: str) -> bytes:
    """An .rpm whose kernel tells who built it."""
    return b.rpm({place: image(f"{release} ({builder}) (gcc (GCC)) #1 SMP")}, "xz", **fields)


def packed(*parts: dict[str, bytes], form: str) -> bytes:
    """Tars, one packed behind the other; all but the last without an end, as in an .apk."""
    whole = b""
    for number, files in enumerate(parts, 1):
        data = b.tar(files)
        if number < len(parts):
            with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                last = archive.getmembers()[-1]
            data = data[: last.offset_data + -(-last.size // 512) * 512]
        whole += b.COMPRESSORS[form](data)
    return whole


EL, FC = "5.14.0-70.13.1.el9_0.x86_64", "6.8.5-301.fc40.x86_64"
AMZN, UEK = "6.1.61-85.141.amzn2023.x86_64", "5.15.0-200.131.27.el9uek.x86_64"
SUSE, ARCH = "5.14.21-150400.24.100-default", "6.9.1-arch1-1"
UBUNTU, ALPINE = "5.15.0-91-generic", "6.6.31-0-lts"
FLATCAR, BOTTLEROCKET, WSL = "6.6.30-flatcar", "6.1.90", "5.15.153.1-microsoft-standard-WSL2"

# Vendor -> the package's name, the package, the kernel that is found.
PACKAGES = {
    "Ubuntu": (
        f"linux-image-{UBUNTU}_5.15.0-91.101_amd64.deb",
        b.deb(
            {f"boot/vmlinuz-{UBUNTU}": image(
                f"{UBUNTU} (buildd@host) (gcc (Ubuntu 11.4.0-1ubuntu1~22.04)) #101-Ubuntu SMP"
            )},
            "zstd",
            Maintainer="Ubuntu Kernel Team <kernel-team@lists.ubuntu.com>",
        ),
        f"ubuntu/22.04/x86_64/{UBUNTU}",
    ),
    "RHEL, CentOS, Rocky, AlmaLinux": (
        f"kernel-core-{EL}.rpm",
        rpm(EL, f"lib/modules/{EL}/vmlinuz", "mockbuild@x.rockylinux.org", vendor="Rocky"),
        f"rocky/9/x86_64/{EL}",
    ),
    "Fedora": (
        f"kernel-core-{FC}.rpm",
        rpm(FC, f"lib/modules/{FC}/vmlinuz", "mockbuild@host", vendor="Fedora Project"),
        f"fedora/40/x86_64/{FC}",
    ),
    "Amazon Linux": (
        f"kernel-{AMZN}.rpm",
        rpm(AMZN, f"boot/vmlinuz-{AMZN}", "mockbuild@ip-10", vendor="Amazon Linux", name="kernel"),
        f"amzn/2023/x86_64/{AMZN}",
    ),
    "Oracle Linux": (
        f"kernel-uek-core-{UEK}.rpm",
        rpm(UEK, f"lib/modules/{UEK}/vmlinuz", "mockbuild@host", vendor="Oracle America"),
        f"ol/9/x86_64/{UEK}",
    ),
    "SUSE, openSUSE": (
        "kernel-default-5.14.21-150400.24.100.2.x86_64.rpm",
        rpm(SUSE, f"usr/lib/modules/{SUSE}/vmlinuz", "geeko@buildhost", vendor="SUSE LLC",
            distribution="SUSE Linux Enterprise 15 SP4", name="kernel-default"),
        f"sles/15.4/x86_64/{SUSE}",
    ),
    "Alpine": (
        "linux-lts-6.6.31-r0.apk",
        packed({".SIGN.RSA.x.pub": b"s"}, {".PKGINFO": b"pkgname = linux-lts"},
               {"boot/vmlinuz-lts": image(
                   f"{ALPINE} (buildozer@build-3-20-x86_64) (gcc (Alpine 13.2.1)) #1-Alpine SMP"
               )}, form="gzip"),
        f"alpine/3.20/x86_64/{ALPINE}",
    ),
    "Arch": (
        "linux-6.9.1.arch1-1-x86_64.pkg.tar.xz",
        packed({".PKGINFO": b"pkgname = linux", f"usr/lib/modules/{ARCH}/vmlinuz": image(
            f"{ARCH} (linux@archlinux) (gcc (GCC) 14.1.1) #1 SMP PREEMPT_DYNAMIC"
        )}, form="xz"),
        f"arch/_/x86_64/{ARCH}",
    ),
    "Flatcar": (
        "flatcar_production_pxe.vmlinuz",
        image(f"{FLATCAR} (build@pony-truck) (x86_64-cros-linux-gnu-gcc (Gentoo)) #1 SMP"),
        f"flatcar/_/x86_64/{FLATCAR}",
    ),
    "Bottlerocket": (
        "vmlinuz",
        image(f"{BOTTLEROCKET} (builder@buildkitsandbox) (x86_64-bottlerocket-linux-gnu-gcc) #1"),
        f"bottlerocket/_/x86_64/{BOTTLEROCKET}",
    ),
    "WSL": (
        "kernel",
        image(f"{WSL} (root@941d701f84f1) (gcc (GCC) 11.2.0) #1 SMP"),
        f"wsl/_/x86_64/{WSL}",
    ),
}  # fmt: skip


def test_each_vendor_has_a_command() -> None:
    """What the page lists is what is run here."""
    assert set(COMMANDS) == set(PACKAGES)


@pytest.mark.slow
@pytest.mark.parametrize("vendor", PACKAGES)
def test_a_command_reads_its_package(tmp_path: Path, vendor: str) -> None:
    """In a directory with the package it writes the kernel's BTF, under its distribution's name."""
    name, data, key = PACKAGES[vendor]
    (tmp_path / name).write_bytes(data)
    program = tmp_path / "tetrapy.pyz"
    start = "import sys; from tetrapy.cli.main import main; sys.exit(main())"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{start}" "$@"\n')
    program.chmod(0o755)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "agent")}
    done = subprocess.run(
        ["/bin/sh", "-ec", COMMANDS[vendor]],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    written = tmp_path / "btfs-full"
    found = [str(path.relative_to(written)) for path in written.rglob("*.btf")]
    assert found == [f"{key}.btf"]
