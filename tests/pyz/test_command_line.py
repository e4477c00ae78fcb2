# SPDX-License-Identifier: Apache-2.0
"""Flags, help and version of the built file."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.pyz.conftest import needs_root
from tests.support.agent import PYZ, Agent
from tetrapy.config.settings import SETTINGS
from tetrapy.version import __version__


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--nope"], "unknown flag: --nope"),
        (["--nope=1"], "unknown flag: --nope"),
        (["-x"], "unknown flag: -x"),
        (["--export"], "unknown flag: --export"),
        (["--export-file-name=x"], "did you mean --export-filename?"),
        (["--debug", "false"], "write --debug=false"),
        (["--config-dir=/nowhere"], "config-dir"),
        (["word"], "word"),
        (["--btf"], "--btf"),
        (["--rb-size", "much"], '"much"'),
        (["--rb-size", "4k"], '"4k"'),
        (["--rb-size", "-1"], "-1"),
        (["--rb-size-total", "4KB"], '"4KB"'),
        (["--rb-size", "1M", "--rb-size-total", "1M"], "--rb-size and --rb-size-total"),
        (["--log-level", "loud"], '"loud"'),
        (["--log-format", "xml"], '"xml"'),
        (["--export-file-rotation-interval=1d"], '"1d"'),
        (["--cgroup-rate=1000"], '"1000"'),
        (["--use-perf-ring-buffer=maybe"], '"maybe"'),
    ],
)
def test_wrong_use(run, flags: list[str], said: str) -> None:
    """Wrong use ends with exit code 1 and a line that names what is wrong."""
    done = run(PYZ, *flags)
    assert done.returncode == 1
    assert done.stdout == ""
    first, *_ = done.stderr.splitlines()
    assert first.startswith("Error: ")
    assert said in first
    assert "Traceback" not in done.stderr


def test_wrong_variable(run) -> None:
    """A value in the environment that does not parse is named with its variable."""
    done = run(PYZ, environment={"TETRAPY_RB_SIZE": "much"})
    assert done.returncode == 1
    assert "TETRAPY_RB_SIZE" in done.stderr.splitlines()[0]


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help(run, flag: str) -> None:
    """--help names every flag and ends with 0."""
    done = run(PYZ, flag)
    assert done.returncode == 0
    assert done.stderr == ""
    for setting in SETTINGS:
        assert f"--{setting.name}" in done.stdout


def test_version(run) -> None:
    """--version prints the version alone."""
    done = run(PYZ, "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{__version__}\n", "")


@needs_root
def test_variables(tmp_path: Path) -> None:
    """Variables set flags; a flag wins; an empty variable counts for nothing."""
    environment = {
        "TETRAPY_USE_PERF_RING_BUFFER": "true",
        "TETRAPY_RB_SIZE_TOTAL": "1M",
        "TETRAPY_BTF": "",
    }
    flags = ("--rb-size-total", "2M")
    with Agent(tmp_path, *flags, code=PYZ, environment=environment) as agent:
        agent.started()
        assert agent.stop() == 0
    assert 'msg="Perf buffer size (bytes)" total=2097152' in agent.log


@needs_root
@pytest.mark.parametrize("form", ["text", "text-ts", "json", "json-ts"])
def test_log_format(tmp_path: Path, form: str) -> None:
    """Log lines have Tetragon's forms."""
    with Agent(tmp_path, "--log-format", form, code=PYZ) as agent:
        agent.started()
        assert agent.stop() == 0
    lines = agent.log.splitlines()
    assert len(lines) > 5
    for line in lines:
        if form.startswith("json"):
            fields = json.loads(line)
            assert fields["level"] in {"info", "warn", "debug"}
            assert ("time" in fields) == (form == "json-ts")
        else:
            stamp = r"time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ " if form == "text-ts" else ""
            assert re.match(stamp + r'level=(info|warn|debug) msg=("[^"]+"|\w+)( |$)', line), line


@needs_root
@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({"NODE_NAME": "one"}, "one"),
        ({"HUBBLE_NODE_NAME": "two", "NODE_NAME": "one"}, "two"),
        ({"NODE_NAME": 'a "b" %s ü:1'}, 'a "b" %s ü:1'),
    ],
)
def test_node_name(tmp_path: Path, variables: dict[str, str], name: str) -> None:
    """The node's name comes from HUBBLE_NODE_NAME, else NODE_NAME, else the host's."""
    with Agent(tmp_path, code=PYZ, environment=variables) as agent:
        agent.started()
        subprocess.run(["/bin/true", "named"], check=True)
        assert agent.stop() == 0
    events = agent.events()
    assert {event.json["node_name"] for event in events} == {name}
