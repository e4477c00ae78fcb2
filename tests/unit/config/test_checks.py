# SPDX-License-Identifier: Apache-2.0
"""Settings that do not go together."""

from __future__ import annotations

from pathlib import Path

import pytest

from tetrapy.config.settings import not_yet
from tetrapy.config.sources import read
from tetrapy.errors import SettingsError

CERTIFICATE = ["--server-tls-cert-file=/c", "--server-tls-key-file=/k"]
DEMAND = "--server-tls-require-client-cert"
CA = "--server-tls-client-ca-files"


def complaint(*flags: str, **variables: str) -> str:
    with pytest.raises(SettingsError) as caught:
        read(list(flags), variables, "/nowhere")
    return str(caught.value)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--rb-size=1M", "--rb-size-total=1M"],
            "Can't specify --rb-size and --rb-size-total together",
        ),
        (
            ["--execve-map-entries=1", "--execve-map-size=1K"],
            "Can't specify --execve-map-entries and --execve-map-size together",
        ),
        (
            ["--parents-map-entries=1", "--parents-map-size=1K"],
            "Can't specify --parents-map-entries and --parents-map-size together",
        ),
        (
            ["--force-small-progs", "--force-large-progs"],
            "Can't specify --force-small-progs and --force-large-progs together",
        ),
        (
            ["--enable-ancestors=base", "--disable-process-cache"],
            "--enable-ancestors cannot be used together with --disable-process-cache",
        ),
        (
            ["--tracing-policy-dir=policies"],
            "path specified by --tracing-policy-dir 'policies' is not absolute",
        ),
        (
            ["--process-cache-gc-interval=0"],
            "--process-cache-gc-interval is 0s, but must be more than 0",
        ),
        (
            ["--export-aggregation-window-size=-1s"],
            "--export-aggregation-window-size is -1s, but must be more than 0",
        ),
        (
            ["--export-file-rotation-interval=-1m"],
            "frequency '-1m' at which to rotate JSON export files is negative",
        ),
        (
            ["--export-file-max-age=-1h"],
            "age '-1h' at which to delete JSON export files is negative",
        ),
        (["--process-cache-size=0"], "--process-cache-size must be at least 1"),
        (["--policy-cpu-share=101"], "--policy-cpu-share is a percentage, at most 100"),
        (["--export-file-user-share=101"], "--export-file-user-share is a percentage, at most 100"),
        (
            ["--k8s-controlplane-retry=0"],
            "--k8s-controlplane-retry must not be 0: give -1 to try without end",
        ),
        (
            CERTIFICATE[:1],
            "--server-tls-cert-file and --server-tls-key-file must be set together",
        ),
        (
            CERTIFICATE[1:],
            "--server-tls-cert-file and --server-tls-key-file must be set together",
        ),
        (
            [DEMAND],
            f"{DEMAND} requires --server-tls-cert-file and --server-tls-key-file",
        ),
        ([*CERTIFICATE, DEMAND], f"{DEMAND} requires at least one {CA} entry"),
        ([f"{CA}=/ca"], f"{CA} only takes effect when {DEMAND} is true"),
        (
            [*CERTIFICATE, "--server-address=unix:///x"],
            '--server-tls-cert-file requires --server-address to be a TCP address, not "unix:///x"',
        ),
        (
            [*CERTIFICATE, "--server-address="],
            '--server-tls-cert-file requires --server-address to be a TCP address, not ""',
        ),
    ],
)
def test_what_is_refused(flags: list[str], message: str) -> None:
    """In Tetragon's words where it has some."""
    assert complaint(*flags) == message


@pytest.mark.parametrize(
    "flags",
    [
        ["--rb-size=1M", "--rb-size-total=0"],
        ["--force-small-progs", "--force-large-progs=false"],
        ["--enable-ancestors=kprobe", "--disable-process-cache"],
        ["--tracing-policy-dir=/policies"],
        ["--process-cache-gc-interval=1ms"],
        ["--k8s-controlplane-retry=-1"],
        [*CERTIFICATE, "--server-address=localhost:54321"],
        [*CERTIFICATE, "--server-address=:1", DEMAND, f"{CA}=/ca"],
    ],
)
def test_what_goes_together(flags: list[str]) -> None:
    """The same settings with other values are taken, without a warning."""
    assert read(flags, {}, "/nowhere").notes == ()


def test_a_message_names_the_sources(tmp_path: Path) -> None:
    """Where a flag is not to blame, the message tells what set it."""
    path = tmp_path / "etc/tetrapy/tetrapy.conf.d/rb-size-total"
    path.parent.mkdir(parents=True)
    path.write_text("1M")
    with pytest.raises(SettingsError) as caught:
        read(["--rb-size=1M"], {}, str(tmp_path))
    assert str(caught.value) == (
        f"Can't specify --rb-size and --rb-size-total together (set: --rb-size-total by {path})"
    )


def test_nanoseconds_are_warned_of() -> None:
    """30 without a unit is hardly what was meant."""
    (note,) = read(["--export-file-rotation-interval=30"], {}, "/nowhere").notes
    assert note.level == "warn"
    assert note.message == (
        "--export-file-rotation-interval is less than a millisecond:"
        " a number without a unit is nanoseconds"
    )
    assert note.fields == {"value": "30ns", "source": "--export-file-rotation-interval"}


def test_what_is_kept_is_removed_at_the_next_start() -> None:
    """Tetragon only warns, and so does tetrapy."""
    (note,) = read(["--keep-sensors-on-exit"], {}, "/nowhere").notes
    assert "the next start removes what is kept" in note.message
    assert (
        read(["--keep-sensors-on-exit", "--release-pinned-bpf=false"], {}, "/nowhere").notes == ()
    )


# What Tetragon's chart writes into its ConfigMap with default values; file -> content.
CHART = {
    "cluster-name": "",
    "procfs": "/procRoot",
    "debug": "false",
    "enable-process-cred": "false",
    "enable-process-ns": "false",
    "enable-ancestors": "",
    "process-cache-size": "65536",
    "deleted-pod-cache-size": "1024",
    "export-filename": "/var/run/cilium/tetragon/tetragon.log",
    "export-file-perm": "600",
    "export-file-max-size-mb": "10",
    "export-file-max-backups": "5",
    "export-file-compress": "false",
    "export-allowlist": '{"event_set":["PROCESS_EXEC", "PROCESS_EXIT"]}',
    "export-denylist": '{"health_check":true}\n{"namespace":["", "cilium", "kube-system"]}',
    "field-filters": "",
    "redaction-filters": "",
    "export-rate-limit": "-1",
    "metrics-server": ":2112",
    "metrics-label-filter": "namespace,workload,pod,binary",
    "server-address": "localhost:54321",
    "health-server-address": ":6789",
    "health-server-interval": "10",
    "enable-pod-info": "false",
    "enable-tracing-policy-crd": "true",
    "event-cache-retries": "15",
    "event-cache-retry-delay": "2",
    "process-cache-gc-interval": "30s",
    "enable-cri": "false",
    "enable-cgidmap": "false",
    "enable-pod-annotations": "false",
    "use-perf-ring-buffer": "false",
}


def test_the_configuration_of_tetragons_chart_is_taken(tmp_path: Path) -> None:
    """Its ConfigMap with default values, mounted as a directory, is read without a warning."""
    for name, content in CHART.items():
        (tmp_path / name).write_text(content)
    settings = read(["--config-dir", str(tmp_path)], {}, "/nowhere")
    assert [note.level for note in settings.notes] == ["info"]
    assert not_yet(settings) == []
    assert {settings.source(name) for name in CHART} == {str(tmp_path / name) for name in CHART}
