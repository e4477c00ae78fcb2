# SPDX-License-Identifier: Apache-2.0
"""The hook by which runtimes tell of containers before anything is executed in them."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import grpc
import pytest

from tests.kernel.events.test_container import ID, cgroup, enter
from tests.kernel.test_container_names import State, pod, state  # noqa: F401 - a fixture
from tests.support import runtimes
from tests.support.agent import ROOT, Agent
from tests.support.policy_agent import opened, policy, started
from tests.support.runtimes import ACTOR, Containerd, Podman
from tools import oci_hook

if TYPE_CHECKING:
    from pathlib import Path

HOOK = oci_hook.program({"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine])
HOOKS = json.loads((ROOT / "deploy/oci-hook/tetrapy.json").read_text())
NO_WAIT = "--container-wait=1ms"  # what is not known when it happens is told without


def socket(agent: Agent) -> str:
    """The agent's, in its own mount namespace."""
    return f"/proc/{agent.pid}/root/run/tetrapy/tetrapy.sock"


def hook(*words: str, pid: int = 0, text: str = "") -> subprocess.CompletedProcess[str]:
    """The hook's run, as a runtime runs it for a container with this process."""
    given = text or json.dumps({"ociVersion": "1.0.2", "id": ID, "pid": pid, "bundle": "/"})
    return subprocess.run(
        [HOOK, *words], env={}, input=given, capture_output=True, text=True, check=False
    )


def test_the_first_exec(state: State, actor: Path, tmp_path: Path) -> None:  # noqa: F811 - the fixture
    """After the hook the kernel decides about the container, and the first exec has its name."""
    state.add(ID, "web")
    file = tmp_path / "file"
    text = policy(
        "others",
        {
            "tracepoints": [opened(str(file))],
            "containerSelector": {
                "matchExpressions": [{"key": "name", "operator": "NotIn", "values": ["web"]}]
            },
        },
    )
    with (
        started(tmp_path / "agent", *state.flags, NO_WAIT, others=text) as agent,
        cgroup(f"docker-{ID}.scope") as group,
    ):
        agent.started()
        script = f'read go; i=0; while [ $i -lt 50 ]; do : < "{file}"; i=$((i+1)); done; exec "$@"'
        file.touch()
        command = [*enter(group), "/bin/sh", "-c", script, "sh", actor, "first", "exit", "3"]
        pipes = {"stdin": subprocess.PIPE}
        with subprocess.Popen(command, **pipes) as process:
            done = hook("--timeout", "30", "--socket", socket(agent), pid=process.pid)
            assert (done.returncode, done.stderr) == (0, "")
            process.communicate(b"go\n")
        events = [one for one in agent.tagged("first") if one.binary == str(actor)]
        assert agent.stop() == 0
        assert not any(b'"process_tracepoint"' in line for line in agent.lines())
    assert [one.process["pod"] for one in events] == [pod(ID, "web")] * 2


def test_without_an_agent(tmp_path: Path) -> None:
    """The container starts all the same, or not: as the hook's arguments say."""
    nobody = ("--socket", str(tmp_path / "none"))
    done = hook(*nobody)
    assert done.returncode == 0
    assert "No such file" in done.stderr
    assert "starts without it" in done.stderr
    done = hook(*nobody, "--fail-closed")
    assert done.returncode == 1
    assert "is not started" in done.stderr


@pytest.mark.parametrize(
    "words", [["--what"], ["--timeout", "x"], ["--timeout", "nan"], ["--socket"]]
)
def test_options_that_make_no_sense(words: list[str]) -> None:
    """They are told as an agent that does not answer is: who fails open goes on doing so."""
    done = hook(*words)
    assert done.returncode == 0
    assert words[0] in done.stderr
    assert "starts without it" in done.stderr
    assert hook(*words, "--fail-closed").returncode == 1


def test_states_of_any_kind(tmp_path: Path) -> None:
    """What a runtime gives may be long, or make no sense: the agent answers, and goes on."""
    with Agent(tmp_path, "--sensor=ebpf", "--log-level=debug") as agent:
        agent.started()
        for text in (
            "{}",
            "nonsense",
            "[1]",
            '{"pid": 999999999}',
            json.dumps({"a": "b" * 900_000}),
        ):
            assert (
                hook(
                    "--timeout", "30", "--socket", socket(agent), "--fail-closed", text=text
                ).returncode
                == 0
            )
        assert agent.stop() == 0


class Hooked(Podman):
    """Podman with a directory of hooks."""

    def command(self, *words: str) -> list[str]:
        found = super().command(*words)
        at = found.index("--root")
        return [*found[:at], "--hooks-dir", str(self.directory / "hooks"), *found[at:]]

    def hook(self, *words: str) -> None:
        """Have containers that are made from now on tell, by the file of the release."""
        (self.directory / "hooks").mkdir(exist_ok=True)
        document = {**HOOKS, "hook": {**HOOKS["hook"], "path": str(HOOK)}}
        document["hook"]["args"] = [*HOOKS["hook"]["args"], *words]
        (self.directory / "hooks/tetrapy.json").write_text(json.dumps(document))


def test_podman(actor: Path, tmp_path: Path, place: Path) -> None:
    """Podman and runc call it; where the agent has to be there they start no container without."""
    missing = runtimes.missing(*Podman.needs)
    if missing:
        pytest.skip(f"needs {missing}: see tests/support/runtimes.py")
    tar = runtimes.image(actor, tmp_path)
    with Hooked(place / "hooked", tar) as podman:
        flags = ("--container-sockets=", f"--container-directories={podman.root}", NO_WAIT)
        with Agent(tmp_path / "agent", "--sensor=ebpf", *flags) as agent:
            agent.started()
            podman.hook("--fail-closed", "--timeout", "30", "--socket", socket(agent))
            id_ = podman.start("web", "wordhook", "exit", "3")
            podman.run("wait", "web")
            podman.run("rm", "web")
            events = [one for one in agent.tagged("wordhook") if one.binary == ACTOR]
            assert agent.stop() == 0
            assert f"container={id_}" in agent.log
        assert [one.process["pod"]["container"]["name"] for one in events] == ["web"] * 2
        with pytest.raises(AssertionError, match="hook"):
            podman.start("late", "wordlate", "exit", "3")


class HookedContainerd(Containerd):
    """containerd whose containers begin with a specification that has the hook."""

    def more_configuration(self) -> str:
        """What names the specification, as the page says; containerd reads it at its start."""
        found = subprocess.run(
            ["ctr", "oci", "spec"],
            env=runtimes.environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        self.agent = self.directory / "agent.sock"
        hook = {**HOOKS["hook"], "path": str(HOOK)}
        hook["args"] = [*hook["args"], "--fail-closed", "--timeout", "30"]
        hook["args"] += ["--socket", str(self.agent)]
        document = {**json.loads(found.stdout), "hooks": {"createRuntime": [hook]}}
        (self.directory / "base.json").write_text(json.dumps(document))
        runc = 'plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc'
        return (
            f'[{runc}]\nruntime_type = "io.containerd.runc.v2"\n'
            f'base_runtime_spec = "{self.directory}/base.json"\n'
        )


def test_containerd(actor: Path, tmp_path: Path, place: Path) -> None:
    """It has runc call the hook, by the file that `base_runtime_spec` names."""
    missing = runtimes.missing(*Containerd.needs)
    if missing:
        pytest.skip(f"needs {missing}: see tests/support/runtimes.py")
    tar = runtimes.image(actor, tmp_path)
    with HookedContainerd(place / "hooked-cri", tar) as containerd:
        flags = ("--container-sockets=", f"--container-directories={containerd.root}", NO_WAIT)
        with Agent(tmp_path / "agent", "--sensor=ebpf", *flags) as agent:
            agent.started()
            containerd.agent.symlink_to(socket(agent))
            containerd.start("web", "wordcri", "exit", "3")
            events = [one for one in agent.tagged("wordcri") if one.binary == ACTOR]
            containerd.remove()
            assert agent.stop() == 0
        assert [one.process["pod"]["container"]["name"] for one in events] == ["web"] * 2
        with pytest.raises(grpc.RpcError, match="hook"):
            containerd.start("late", "wordlate", "exit", "3")
