# SPDX-License-Identifier: Apache-2.0
"""The directory of policies is followed while the agent runs."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.agent import Agent, until
from tests.support.policy_agent import count, drained, listed, opened, policy

if TYPE_CHECKING:
    from collections.abc import Iterator


class Watched:
    """An agent, and its directory of policies."""

    def __init__(self, agent: Agent, home: Path) -> None:
        self.agent = agent
        self.home = home

    def states(self) -> dict[str, str]:
        """By file."""
        found = listed(self.agent)
        return {os.path.relpath(one["file"], self.home): one["state"] for one in found}

    def entry(self, name: str) -> dict[str, Any]:
        (found,) = [one for one in listed(self.agent) if one["name"] == name]
        return found

    def change(self, name: str, file: Path, text: str) -> None:
        """Write another text into a policy's file, and return when it has taken effect."""
        number = self.entry(name)["id"]
        file.write_text(text)
        until(lambda: self.entry(name)["id"] > number, f"a change of {name}")

    def log_of(self, text: str) -> int:
        return self.agent.log.count(text)


def opens(name: str, path: Path) -> str:
    return policy(name, {"tracepoints": [opened(str(path))]})


@pytest.fixture(scope="module", name="watched")
def fixture_watched() -> Iterator[Watched]:
    """One agent for all tests; its directory comes after its start."""
    with tempfile.TemporaryDirectory(prefix="tdir-") as directory:
        home = Path(directory) / "policies"
        agent = Agent(Path(directory) / "agent", "--tracing-policy-dir", str(home))
        with agent:
            agent.started()
            home.mkdir()
            yield Watched(agent, home)


def test_a_file_comes_changes_and_goes(watched: Watched, tmp_path: Path) -> None:
    """Each takes effect; while it changes, one of the two versions observes at any time."""
    agent, path = watched.agent, watched.home / "opens.yaml"
    wanted = tmp_path / "wanted"
    path.write_text(opens("comes", wanted))
    until(lambda: watched.states() == {"opens.yaml": "enabled"}, "the policy")
    with subprocess.Popen(
        ["sh", "-c", 'i=0; while [ $i -lt 3000 ]; do read x < "$0"; i=$((i+1)); done', wanted],
        stderr=subprocess.DEVNULL,
    ) as process:
        for spaces in range(5):
            watched.change("comes", path, opens("comes", wanted) + " " * (spaces + 1))
        process.wait()
    drained(agent, "changed")
    assert count(agent, "process_tracepoint", "comes") >= 3000
    path.unlink()
    until(lambda: not watched.states(), "its end")
    before = count(agent, "process_tracepoint", "comes")
    subprocess.run(["cat", wanted], check=False, stderr=subprocess.DEVNULL)
    drained(agent, "gone")
    assert count(agent, "process_tracepoint", "comes") == before


def test_a_bad_file_hurts_nobody(watched: Watched, tmp_path: Path) -> None:
    """Neither others nor what it was before it was spoilt, which goes on and says so."""
    good, spoilt = watched.home / "good.yaml", watched.home / "spoilt.yaml"
    good.write_text(opens("good", tmp_path / "a"))
    spoilt.write_text(opens("spoilt", tmp_path / "b"))
    until(lambda: set(watched.states().values()) == {"enabled"}, "both")
    until(lambda: len(watched.states()) == 2, "both")
    number = watched.entry("spoilt")["id"]
    spoilt.write_text("spec: [")
    until(lambda: "is not loaded as it is now" in watched.entry("spoilt")["error"], "the error")
    assert watched.entry("spoilt")["state"] == "enabled"
    subprocess.run(["cat", tmp_path / "b"], check=False, stderr=subprocess.DEVNULL)
    drained(watched.agent, "spoilt")
    assert count(watched.agent, "process_tracepoint", "spoilt") == 1
    spoilt.write_text(opens("spoilt", tmp_path / "c"))
    until(lambda: watched.entry("spoilt")["id"] > number, "the mended one")
    assert watched.entry("spoilt")["error"] == ""
    (watched.home / "never.yaml").write_text("nothing: true")
    until(lambda: watched.states().get("never.yaml") == "load_error", "the refused one")
    assert watched.states()["good.yaml"] == "enabled"
    for path in watched.home.iterdir():
        path.unlink()
    until(lambda: not watched.states(), "the end of all")


def test_renamed_files_and_names(watched: Watched, tmp_path: Path) -> None:
    """A renamed file costs no reload; a name that becomes free goes to who waits for it."""
    one, two = watched.home / "one", watched.home / "two"
    one.write_text(opens("named", tmp_path / "a"))
    until(lambda: watched.states() == {"one": "enabled"}, "the first")
    number = watched.entry("named")["id"]
    one.rename(watched.home / "sub")
    until(lambda: watched.states() == {"sub": "enabled"}, "the new name")
    assert watched.entry("named")["id"] == number
    two.write_text(opens("named", tmp_path / "b"))
    until(lambda: watched.states() == {"sub": "enabled", "two": "load_error"}, "the second")
    (watched.home / "sub").unlink()
    until(lambda: watched.states() == {"two": "enabled"}, "the second in its place")
    two.unlink()
    until(lambda: not watched.states(), "the end of all")


def test_a_mounted_config_map(watched: Watched, tmp_path: Path) -> None:
    """Its files are links into a directory that a link is swapped to."""
    home = watched.home / "map"
    (home / "..1").mkdir(parents=True)
    (home / "..1/a.yaml").write_text(opens("mapped", tmp_path / "a"))
    (home / "..data").symlink_to("..1")
    (home / "a.yaml").symlink_to("..data/a.yaml")
    until(lambda: watched.states() == {"map/a.yaml": "enabled"}, "the policy")
    number = watched.entry("mapped")["id"]
    (home / "..2").mkdir()
    (home / "..2/a.yaml").write_text(opens("mapped", tmp_path / "b"))
    (home / "..new").symlink_to("..2")
    (home / "..new").rename(home / "..data")
    began = time.monotonic()
    until(lambda: watched.entry("mapped")["id"] > number, "the change")
    print(f"{time.monotonic() - began:.2f} s until the list shows it")
    subprocess.run(["rm", "-r", home], check=True)
    until(lambda: not watched.states(), "its end")
    assert watched.log_of("unexpected") == 0
