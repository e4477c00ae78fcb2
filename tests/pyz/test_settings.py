# SPDX-License-Identifier: Apache-2.0
"""Settings of the built file: from files in /etc, and as `tetrapy config` shows them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.pyz.conftest import needs_root
from tests.pyz.test_hosts import GOOD, PYTHONS
from tests.support.agent import PYZ, Agent
from tetrapy.config.settings import SETTINGS

# An /etc of the test's own, in the mount namespace where it runs.
OWN_ETC = """
cp -a /etc /run/etc
mount --bind /run/etc /etc
mkdir -p /etc/tetrapy/tetrapy.conf.d
cd /etc/tetrapy
"""
DROP_IN = "/etc/tetrapy/tetrapy.conf.d"


def changed(done: subprocess.CompletedProcess) -> dict[str, tuple[str, str]]:
    """Name -> value and source, of `config --changed -o json`."""
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["settings"]
    return {row["name"]: (row["value"], row["source"]) for row in rows}


@needs_root
def test_a_start_reads_etc(tmp_path: Path) -> None:
    """YAML, drop-ins that beat it, and a warning for what has no effect and what is mistyped."""
    prepare = OWN_ETC + (
        "echo 'log-format: json' > tetrapy.yaml; echo 'rb-size-total: 1M' >> tetrapy.yaml;"
        "echo true > tetrapy.conf.d/use-perf-ring-buffer;"
        "echo 2M > tetrapy.conf.d/rb-size-total;"
        "echo true > tetrapy.conf.d/enable-k8s-api;"
        "echo true > tetrapy.conf.d/debug.conf;"
        "cd /"
    )
    with Agent(tmp_path, code=PYZ, prepare=prepare) as agent:
        agent.started()
        assert agent.stop() == 0
    lines = [json.loads(line) for line in agent.log.splitlines()]
    sizes = [line["total"] for line in lines if line["msg"] == "Perf buffer size (bytes)"]
    assert sizes == [2 << 20]
    warnings = [line["msg"] for line in lines if line["level"] == "warn"]
    assert warnings[:2] == [
        "Unknown setting is ignored; did you mean debug?",
        "--enable-k8s-api has no effect yet: Kubernetes support comes later",
    ]


@needs_root
@pytest.mark.parametrize("version", GOOD)
def test_yaml_on_every_python(run, version: str) -> None:
    """The YAML reader of the bundle serves each CPython that runs the agent."""
    prepare = OWN_ETC + "printf 'debug: yes\\nenable-ancestors: [base]\\n' > tetrapy.yaml; cd /"
    command = (PYTHONS[version], PYZ, "config", "--changed", "-o", "json")
    assert changed(run(*command, prepare=prepare)) == {
        "debug": ("true", "/etc/tetrapy/tetrapy.yaml:1"),
        "enable-ancestors": ("base", "/etc/tetrapy/tetrapy.yaml:2"),
    }


@needs_root
@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        ("echo huge > tetrapy.conf.d/rb-size", f'{DROP_IN}/rb-size: rb-size is "huge"'),
        ("echo 'rb-size: huge' > tetrapy.yaml", 'tetrapy.yaml:1: rb-size is "huge"'),
        ("echo '{' > tetrapy.yaml", "tetrapy.yaml:2: no YAML"),
        ("echo /no > tetrapy.conf.d/config-dir", f'{DROP_IN}/config-dir: config-dir is "/no"'),
    ],
)
def test_a_file_that_is_refused(run, prepare: str, said: str) -> None:
    """The start ends with exit code 1 and a line that names the file."""
    done = run(PYZ, prepare=OWN_ETC + prepare)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr.splitlines()[0]
    assert "Traceback" not in done.stderr


def test_config_shows_every_setting(run) -> None:
    """With what set it: a flag, a variable, nothing."""
    done = run(PYZ, "config", "-o", "json", "-d", environment={"TETRAPY_RB_SIZE": "1M"})
    rows = {row["name"]: row for row in json.loads(done.stdout)["settings"]}
    assert list(rows) == [setting.name for setting in SETTINGS]
    assert rows["debug"]["source"] == "--debug"
    assert (rows["rb-size"]["value"], rows["rb-size"]["source"]) == ("1048576", "TETRAPY_RB_SIZE")
    assert rows["procfs"]["source"] == "default"


@needs_root
def test_config_needs_no_rights(run, everyones: Path) -> None:
    """An ordinary user sees what he may read, and is told of what he may not."""
    prepare = OWN_ETC + (
        "echo /x > tetrapy.conf.d/btf; echo /y > tetrapy.conf.d/procfs;"
        "chmod 600 tetrapy.conf.d/procfs; cd /"
    )
    user = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    command = (*user, "/usr/bin/python3", everyones, "config", "--changed", "-o", "json")
    done = run(*command, prepare=prepare, cwd="/")
    assert changed(done) == {"btf": ("/x", f"{DROP_IN}/btf")}
    assert f"{DROP_IN}/procfs, error: Permission denied" in done.stderr


@pytest.mark.parametrize("words", [("--help",), ("config",), ("--version",), ("--generate-docs",)])
def test_nobody_reads(words: tuple[str, ...]) -> None:
    """A reader that is gone is no error to tell of; the code is a shell's for SIGPIPE."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([PYZ, *words], stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("words", [("--help",), ("config",)])
def test_nowhere_to_write(words: tuple[str, ...]) -> None:
    """A full disk is reported in one line."""
    with open("/dev/full", "wb") as full:
        done = subprocess.run([PYZ, *words], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 255
    assert done.stderr == b"Error: standard output: no space left on device\n"


def test_its_own_path_as_an_argument(run) -> None:
    """As in commands for containers whose image starts it already."""
    done = run(PYZ, PYZ, "config", "--changed")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0].split() == ["SETTING", "VALUE", "SET", "BY"]
