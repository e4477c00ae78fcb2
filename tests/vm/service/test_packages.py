# SPDX-License-Identifier: Apache-2.0
"""What the installer refuses, the packages, and the service's life, on a host with BTF."""

from __future__ import annotations

import json
import re

import pytest

from tests.vm.service.conftest import Host
from tests.vm.service.test_lifecycle import exposure
from tools.release import tree

pytestmark = [pytest.mark.root, pytest.mark.matrix]

EXPOSURE = 3.8
# CAP_DAC_READ_SEARCH, NET_ADMIN, SYS_PTRACE, SYS_NICE, SYS_RESOURCE, SYSLOG, PERFMON, BPF; and
# SYS_ADMIN by the generator: kernel.perf_event_paranoid is 3.
CAPABILITIES = sum(1 << bit for bit in (2, 12, 19, 23, 24, 34, 38, 39, 21))

REFUSALS = {
    "damaged": "files differ from SHA256SUMS (usr/local/bin/tetrapy): download",
    "nobody": "tetrapy is installed by root: sudo ./install.sh",
    "architecture": "this release is for another architecture than x86_64",
    "lacking": "/usr/bin/python3 lacks a part of its library: ",
    "no-systemd": "systemd does not run here",
    "read-only": "/usr/lib/systemd/system is no directory that can be written",
    "foreign": "tetrapy.conf.d/log-level is there already and no install.sh put it there",
}


@pytest.mark.parametrize("why", REFUSALS)
def test_refusal(packages: Host, why: str) -> None:
    """One sentence that says what is wrong, and exit code 1."""
    reported = dict(line.split(": ", 1) for line in packages.said("refusals").splitlines())
    assert set(reported) == set(REFUSALS)
    assert reported[why].startswith("1 install.sh: ")
    assert REFUSALS[why] in reported[why]


def test_refusals_change_nothing(packages: Host) -> None:
    """After all of them the host has the files it had."""
    assert packages.listed("refused") == packages.listed("before")


def test_pythons_that_do_not_serve(packages: Host) -> None:
    """install.sh says that the executable is what runs, and why; so it does."""
    lines = packages.said("pythons").splitlines()
    own = "tetrapy runs by a Python of its own: /usr/bin/python3"
    assert lines[0] == f"{own} is Python 3.6.15, older than 3.8"
    assert lines[5].startswith(f"{own} does not serve (")
    assert "ctypes" in lines[5]
    rest = lines[1:5], lines[6:]
    assert (
        rest[0]
        == rest[1]
        == [
            "not started: systemctl enable --now tetrapy",
            "tetrapy installed successfully!",
            tree.version(),
            "tetrapy removed.",
        ]
    )


def test_debian_package(packages: Host) -> None:
    """Installed it is enabled and runs; an upgrade restarts; the tarball's installer keeps off."""
    said = packages.said("deb")
    assert "enabled\nactive\n" in said
    assert "missing" not in said
    assert "another process\n" in said
    assert "install.sh: tetrapy is installed from a package; remove it first" in said
    assert said.endswith("/usr/lib/tetrapy/tetrapy\nan event without Python\n")


def test_least_rights(packages: Host) -> None:
    """With BTF: the drop-in for perf events, few capabilities, no way to more, a ceiling."""
    said = packages.said("deb")
    assert exposure(said) <= EXPOSURE
    for name in ("CapEff", "CapBnd"):
        held = re.search(rf"^{name}:\s([0-9a-f]+)$", said, re.MULTILINE)
        assert held
        # The agent may have given up some of them.
        assert int(held[1], 16) & ~CAPABILITIES == 0
    assert re.search(r"^NoNewPrivs:\s1$", said, re.MULTILINE)
    assert re.search(r"^Seccomp:\s2$", said, re.MULTILINE)
    assert "more-rights.conf" not in said
    assert "perf-events.conf" in said


def test_policies(packages: Host) -> None:
    """Those of the directory are loaded while the service runs, with the rights that it has."""
    said = packages.said("policy")
    line = json.loads(next(line for line in said.splitlines() if line.startswith("{")))
    kprobe = line["process_kprobe"]
    assert kprobe["process"]["binary"].startswith("/usr/bin/python3")
    symbols = [frame.get("symbol", "") for frame in kprobe["kernel_stack_trace"]]
    assert any("getpgid" in symbol for symbol in symbols)
    assert said.count(" enabled ") == 3


def test_removed_debian_package(packages: Host) -> None:
    """Removing keeps settings and events, purging leaves nothing."""
    said = packages.said("deb_remove")
    assert "/etc/tetrapy\n/var/log/tetrapy\n" in said
    assert packages.listed("deb") == packages.listed("before")


def test_rpm(packages: Host) -> None:
    """It runs when enabled, an upgrade restarts it, and removed it leaves nothing."""
    said = packages.said("rpm")
    assert "\nactive\n" in said
    assert "another process\n" in said
    assert packages.listed("rpm") == packages.listed("before")


def test_installation_without_a_start(packages: Host) -> None:
    """--no-start neither enables nor starts; packages keep off an installation of the tarball."""
    said = packages.said("watchdog")
    assert said.startswith(
        "tetrapy runs by /usr/bin/python3, Python 3.11.2\n"
        "not started: systemctl enable --now tetrapy\n"
    )
    assert "disabled\ninactive\n" in said
    assert said.count("tetrapy was installed from a tarball; remove that first") == 2


def test_watchdog(packages: Host) -> None:
    """A main loop that turns is left alone beyond the interval; one that stands is restarted."""
    last = packages.said("watchdog").splitlines()[-3:]
    assert last == ["same process", "another process", "the watchdog did it"]


def test_connector_within_the_unit(packages: Host) -> None:
    """The process connector has what it needs, and the status names it."""
    said = packages.said("connector")
    assert re.search(r"^connector; \d+\.\d events/s, 0 lost; exporting to ", said, re.MULTILINE)


def test_a_kernel_that_nobody_knows(packages: Host) -> None:
    """Without BTF and in no archive: the generator's rights suffice to find and prove all."""
    said = packages.said("scanned")
    assert re.search(r"^ebpf, BTF scanned; ", said, re.MULTILINE)
    assert "\nscanned\n" in said
    assert "/run/systemd/generator/tetrapy.service.d/more-rights.conf" in said


def test_another_directory(packages: Host) -> None:
    """Events go where the settings say once the unit lets the service write there."""
    assert "\nevents.json\n" in packages.said("elsewhere")


def test_a_group_that_may_read(packages: Host) -> None:
    """`Group=` of the unit and export-file-perm let others read events, without more rights."""
    assert packages.said("elsewhere").splitlines()[-2:] == [
        "750 root:adm /var/log/tetrapy",
        "640 root:adm /var/log/tetrapy/tetrapy.log",
    ]


def test_an_installation_that_does_not_start(packages: Host) -> None:
    """The installer fails, shows the agent's own words, and says what to do."""
    said = packages.said("does_not_start")
    assert 'log-level is "loud", not one of trace, debug, info' in said
    assert "is installed, but it does not start" in said
    assert "tetrapy installed successfully!" not in said
    assert said.endswith("exit code 1\nactive\n")  # when the mistake is mended


def test_nothing_is_left(packages: Host) -> None:
    """After the copy of uninstall.sh that was installed has purged."""
    assert packages.said("remove_all") == "tetrapy removed.\n"
    assert packages.listed("after") == packages.listed("before")
