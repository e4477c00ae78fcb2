# SPDX-License-Identifier: Apache-2.0
"""The client's commands of the built file."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from pathlib import Path

from tests.support.agent import PYZ
from tetrapy.version import __version__

EVENT = {"process_exec": {"process": {"binary": "/bin/ls"}}, "node_name": "n"}


def tetra(
    directory: Path, *words: str, given: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    """The built file under the name that Tetragon's client has, with environment variables."""
    link = directory / "tetra"
    if not link.exists():
        link.symlink_to(PYZ)
    return subprocess.run(
        [link, *words],
        input=given,
        capture_output=True,
        text=True,
        check=False,
        cwd=directory,
        env={**os.environ, **variables},
    )


def test_by_the_name_of_tetragons_client(tmp_path: Path) -> None:
    """Its commands are all there is; those of the agent's own name are not known."""
    done = tetra(tmp_path, "version")
    assert (done.returncode, done.stdout) == (0, f"CLI version: {__version__}\n")
    done = tetra(tmp_path, "getevents", "-o", "compact", given=json.dumps(EVENT))
    assert (done.returncode, done.stdout) == (0, "🚀 process n /bin/ls \n")
    done = tetra(tmp_path, "btf")
    assert (done.returncode, done.stdout) == (1, "")
    assert 'unknown command "btf" for "tetra"' in done.stderr
    assert "getevents" in tetra(tmp_path).stdout


def test_probe(run) -> None:
    """One `key: value` a line, or a document; hooks that lack something say what."""
    text = run(PYZ, "probe")
    assert text.returncode == 0
    lines = dict(line.split(": ", 1) for line in text.stdout.splitlines())
    assert text.stdout.startswith("override_return: ")
    assert lines["hook_exec"] == "true" or lines["hook_exec"].startswith("missing: ")
    document = json.loads(run(PYZ, "probe", "-o", "json").stdout)
    assert set(document) == {"features", "kernel", "missing"}
    assert [f"{key}: {str(value).lower()}" for key, value in document["features"].items()] == (
        text.stdout.splitlines()[: len(document["features"])]
    )


def test_build(run) -> None:
    """What the program is made of."""
    done = run(PYZ, "version", "--build")
    assert done.stdout.startswith(f"CLI version: {__version__}\nPythonVersion: 3.")
    assert "LibbpfVersion: v" in done.stdout


def test_bugtool(tmp_path: Path) -> None:
    """An archive for its owner alone, that says what it could not have; it may be made again."""
    for _ in range(2):
        done = tetra(tmp_path, "bugtool")
        assert (done.returncode, done.stderr) == (0, "")
    path = tmp_path / "tetragon-bugtool.tar.gz"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir() if one.name != "tetra"] == [path.name]
    with tarfile.open(path) as archive:
        names = archive.getnames()
        assert all(name.startswith("tetrapy-bugtool/") for name in names)
        for name in ("version", "probe.json", "host/cmdline", "bugtool.log", "config.json"):
            assert f"tetrapy-bugtool/{name}" in names
        note = archive.extractfile("tetrapy-bugtool/bugtool.log")
        assert note is not None
        assert b"probe.json: " in note.read()


def test_bugtool_in_a_container(tmp_path: Path) -> None:
    """The distribution is the machine's, not that of the container's image."""
    release = tmp_path / "proc/1/root/etc/os-release"
    release.parent.mkdir(parents=True)
    release.write_text("ID=fedora\n")
    done = tetra(tmp_path, "bugtool", TETRAPY_PROCFS=str(tmp_path / "proc"))
    assert (done.returncode, done.stderr) == (0, "")
    with tarfile.open(tmp_path / "tetragon-bugtool.tar.gz") as archive:
        found = archive.extractfile("tetrapy-bugtool/host/os-release")
        assert found is not None
        assert found.read() == b"ID=fedora\n"
