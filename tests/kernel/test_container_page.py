# SPDX-License-Identifier: Apache-2.0
"""The commands of docs/containers.md do what the page says."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.kernel.events.test_container import ID, cgroup, enter
from tests.kernel.test_container_names import State, state  # noqa: F401 - a fixture
from tests.support.agent import ROOT, Agent
from tests.support.policy_agent import listed
from tests.unit.tools.release.release_tree import release_around
from tools.release import tree

if TYPE_CHECKING:
    from pathlib import Path

PAGE = (ROOT / "docs/containers.md").read_text()
(POLICY,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
# Those of the image are run by test_image.py, as far as Docker is not asked.
ALL = [
    line
    for block in BLOCKS
    for line in block.replace("\\\n", " ").splitlines()
    if not any(word in line for word in ("podman", "docker run", "tools.image"))
]
COMMANDS = [line for line in ALL if line.startswith("sudo ./tetrapy.pyz")]

# What the exec of a container `web` of the image nginx shows then; another is called `db`.
SHOWN = {
    "--container-directories /srv": {"web": ["tier"], "db": ["tier"]},
    "/home/someone": {"web": ["tier"], "db": ["tier"]},
    "--enable-container-labels=false": {"web": [], "db": []},
    "--enable-container-names=false": {"": []},
    "container_name_regex": {"web": ["tier"]},
    "image.name": {"web": ["tier"], "db": ["tier"]},
    "--tracing-policy": {"web": ["tier"], "db": ["tier"]},
}


def flags(command: str, directory: Path) -> list[str]:
    """Those of the page, with the directory of this test."""
    sudo, program, *words = shlex.split(command)
    assert (sudo, program) == ("sudo", "./tetrapy.pyz")
    at = words.index("--export-filename")
    words = words[:at] + words[at + 2 :]
    if "--tracing-policy" in words:
        path = directory / "web.yaml"
        path.write_text(POLICY)
        words[words.index("--tracing-policy") + 1] = str(path)
    if "--container-directories" not in words:
        return [*words, f"--container-directories={directory}"]
    words[words.index("--container-directories") + 1] = str(directory)
    return words


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command(command: str, state: State, actor: Path, tmp_path: Path) -> None:  # noqa: F811 - the fixture
    """Each is run, and two containers tell whether it does what it is there for."""
    (expected,) = [found for word, found in SHOWN.items() if word in command]
    other = "feedface" * 8
    state.add(ID, "web")
    state.add(other, "db")
    with Agent(tmp_path, *flags(command, state.directory)) as agent:
        agent.started()
        for id_ in (ID, other):
            with cgroup(f"docker-{id_}.scope") as group:
                subprocess.run([*enter(group), actor, "page", "exit", "3"], check=False)
        assert all(one["state"] == "enabled" for one in listed(agent))
        assert agent.stop() == 0
        events = [one for one in agent.events() if one.binary == str(actor)]
    containers = [one.process.get("pod", {}).get("container", {}) for one in events]
    assert {one.get("name", ""): list(one.get("labels", [])) for one in containers} == expected
    assert {one.kind for one in events} >= {"exec"}


def test_the_hook_of_the_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's command puts it where Podman looks, and it names what the release has."""
    (command,) = [line for line in ALL if "oci-hooks.d" in line]
    release_around(tmp_path, monkeypatch)
    files = tree.installed("tarball", "amd64")
    tree.write(files, tmp_path)
    there = tmp_path / "etc/containers/oci/hooks.d"
    there.mkdir(parents=True)
    words = [f"{tmp_path}{word}" if word[0] == "/" else word for word in shlex.split(command)]
    assert words.pop(0) == "sudo"
    subprocess.run(words, check=True)
    document = json.loads((there / "tetrapy.json").read_text())
    assert files[document["hook"]["path"]].mode == 0o755


def test_every_command_is_known() -> None:
    """The page has no command without an expectation."""
    assert len(COMMANDS) == len(SHOWN)
    assert len(ALL) == len(COMMANDS) + 1
