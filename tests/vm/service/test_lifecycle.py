# SPDX-License-Identifier: Apache-2.0
"""From the tarball to nothing, on a host with systemd, without network and without BTF."""

from __future__ import annotations

import json
import re

import pytest

from tests.vm.service.conftest import Host
from tools.release import tree

# The root of the guest is made by root.
pytestmark = pytest.mark.root

LOG = "/var/log/tetrapy/tetrapy.log"
# systemd-analyze's, from 0 (safe) to 10. On kernels without BTF the agent examines the kernel.
EXPOSURE_WITHOUT_BTF = 4.8


def test_installation(lifecycle: Host) -> None:
    """The seed's commands, and its last line."""
    said = lifecycle.said("install")
    assert said.splitlines() == [
        f"tetrapy-{tree.version()}-amd64.tar.gz: OK",
        "tetrapy runs by /usr/bin/python3, Python 3.11.2",
        "tetrapy installed successfully!",
    ]


def test_it_is_enabled_and_runs(lifecycle: Host) -> None:
    """`systemctl status`: active, what sees, how much, what is lost, and where it goes."""
    status, _, _, rest = lifecycle.said("status").split("@@\n")
    assert "tetrapy.service; enabled;" in status
    assert "Active: active (running)" in status
    assert re.search(
        rf'Status: "ebpf, BTF archive; \d+\.\d events/s, 0 lost; exporting to {LOG}"', status
    )
    assert rest.splitlines()[0] == "enabled"


def test_events_are_in_the_file(lifecycle: Host) -> None:
    """Those of the installation's first process, of commands, and each line is an event."""
    arguments = {
        event["process_exec"]["process"].get("arguments")
        for event in lifecycle.events()
        if "process_exec" in event
    }
    assert {"marked-by-the-test", "with-credentials", "after-the-upgrade"} <= arguments
    assert {"after-the-kill", "without-python"} <= arguments


def test_nothing_is_readable_by_others(lifecycle: Host) -> None:
    """Modes of the directories and of what the agent wrote there."""
    reported = dict(
        reversed(line.rsplit(" ", 1))
        for line in lifecycle.said("status").splitlines()
        if re.match(r"\d{3} root:root /", line)
    )
    assert reported == {
        "/run/tetrapy": "755 root:root",
        "/run/tetrapy/tetrapy-info.json": "600 root:root",
        "/run/tetrapy/tetrapy.pid": "600 root:root",
        "/run/tetrapy/tetrapy.sock": "660 root:root",
        "/var/log/tetrapy": "750 root:root",
        LOG: "600 root:root",
        "/var/lib/tetrapy": "750 root:root",
    }


def test_rights_without_btf(lifecycle: Host) -> None:
    """The generator gave more rights; the exposure stays below its ceiling, the filter in force."""
    said = lifecycle.said("status")
    assert "/run/systemd/generator/tetrapy.service.d/more-rights.conf" in said
    assert exposure(said) <= EXPOSURE_WITHOUT_BTF
    assert re.search(r"^Seccomp:\s2$", said, re.MULTILINE)


def test_the_kernel_was_examined_in_full(lifecycle: Host) -> None:
    """With those rights nothing keeps the agent from comparing what it knows with the kernel."""
    journal = lifecycle.said("status").split("@@\n")[2]
    assert 'msg="Listening for events..."' in journal
    assert "level=warn" not in journal
    assert "level=error" not in journal


def test_a_changed_setting(lifecycle: Host) -> None:
    """A drop-in in /etc counts after a restart, and `tetrapy config` names it."""
    rows = [line.split() for line in lifecycle.said("settings").splitlines()]
    assert [
        "enable-process-cred",
        "true",
        "/etc/tetrapy/tetrapy.conf.d/enable-process-cred",
    ] in rows
    assert ["export-filename", LOG, "/usr/local/lib/tetrapy/tetrapy.conf.d/export-filename"] in rows
    (process,) = [
        event["process_exec"]["process"]
        for event in lifecycle.events()
        if event.get("process_exec", {}).get("process", {}).get("arguments") == "with-credentials"
    ]
    assert "cap" in process
    assert process["user"] == {"name": "root"}  # of the drop-in that was there before


def test_reload(lifecycle: Host) -> None:
    """`systemctl reload` succeeds, has settings read again, and keeps the process."""
    assert lifecycle.said("reload").splitlines() == ["debug", "same process", "active"]


def test_what_there_is_to_look_at(lifecycle: Host) -> None:
    """The commands of docs/troubleshooting.md tell what they are said to tell."""
    _, which, info, _ = lifecycle.said("look").split("@@\n")
    assert "archive" in which
    reported = json.loads(info)
    assert (reported["btf_kind"], reported["export_fname"], reported["sensor"]) == (
        "archive",
        LOG,
        "ebpf",
    )


def test_upgrade(lifecycle: Host) -> None:
    """Over a running service: restarted, files and defaults are new, /etc is as it was."""
    said = lifecycle.said("upgrade")
    assert "tetrapy installed successfully!\nanother process\n" in said
    rows = [line.split() for line in said.splitlines()]
    assert [
        "enable-process-cred",
        "true",
        "/etc/tetrapy/tetrapy.conf.d/enable-process-cred",
    ] in rows
    for name, value in (("log-level", "warn"), ("export-file-max-size-mb", "20")):
        assert [name, value, f"/usr/local/lib/tetrapy/tetrapy.conf.d/{name}"] in rows
    assert "_tetrapy" not in said


def test_events_around_the_upgrade(lifecycle: Host) -> None:
    """Load went on meanwhile: events of before and after, and every line is whole."""
    started = [
        event["process_exec"]["process"]["start_time"]
        for event in lifecycle.events()
        if event.get("process_exec", {}).get("process", {}).get("arguments") == "under-load"
    ]
    assert len(started) > 3
    assert started == sorted(started)


def test_killed(lifecycle: Host) -> None:
    """After kill -9 systemd starts it again."""
    assert lifecycle.said("killed").splitlines() == ["another process", "1"]


def test_without_python(lifecycle: Host) -> None:
    """A start that finds no python3 takes the executable, in the same unit."""
    before, without, status, after = lifecycle.said("without_python").splitlines()
    assert before == after == "/usr/bin/python3.11"
    assert without == "/usr/local/lib/tetrapy/tetrapy"
    assert re.match(r"ebpf, BTF archive; \d+\.\d events/s, 0 lost; exporting to ", status)


def test_removal_keeps_settings_and_events(lifecycle: Host) -> None:
    """All that was installed is gone; a second removal finds nothing."""
    said = lifecycle.said("uninstall", code=1)
    assert said.startswith("kept: /etc/tetrapy\nkept: /var/log/tetrapy\ntetrapy removed.\n")
    assert "Unit tetrapy.service could not be found." in said
    assert "install.sh has installed nothing here" in said
    left = {line.split()[3] for line in lifecycle.listed("kept") - lifecycle.listed("before")}
    kept = {line.split()[-1] for line in lifecycle.listed("kept") - lifecycle.listed("before")}
    assert {path for path in left | kept if path.startswith("/")} == {
        "/etc/tetrapy",
        "/etc/tetrapy/tetrapy.conf.d",
        "/etc/tetrapy/tetrapy.conf.d/enable-process-cred",
        "/etc/tetrapy/tetrapy.conf.d/username-metadata",
        "/var/log/tetrapy",
        LOG,
    }


def test_purge_leaves_nothing(lifecycle: Host) -> None:
    """The host's files are those of before, byte for byte in size, mode and owner."""
    assert lifecycle.said("purge", code=2).startswith("tetrapy removed.\nls: cannot access")
    assert len(lifecycle.listed("before")) > 1000
    assert lifecycle.listed("installed") > lifecycle.listed("before")
    assert lifecycle.listed("after") == lifecycle.listed("before")


def exposure(said: str) -> float:
    """The number that systemd-analyze gives."""
    found = re.search(r"Overall exposure level for tetrapy.service: (\d+\.\d)", said)
    assert found, said
    return float(found[1])
