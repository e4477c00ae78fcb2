# SPDX-License-Identifier: Apache-2.0
"""Policies for some containers, without Kubernetes: decided by cgroups, before a record is made."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

from tests.kernel.events.test_container import ID, cgroup, enter
from tests.kernel.test_container_names import State, state  # noqa: F401 - a fixture
from tests.support.agent import Agent, until
from tests.support.policy_agent import drained, listed, opened, policy, started
from tetrapy.cli.policy.replay import REPORTED, Replay
from tetrapy.policy.read import read_policy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OTHER = "feedface" * 8
TIMES = 20_000  # more than anything else on the machine does meanwhile
_OPENS = 'exec 3<&0; read go <&3; i=0; while [ $i -lt {} ]; do : < "$0"; i=$((i+1)); done'
_MOVES = 'mkdir -p "$1"; echo $$ > "$1"/cgroup.procs; : < "$0"'

SELECTORS: dict[str, dict[str, Any]] = {
    "by-name": {"containerSelector": {"matchLabels": {"name": "web"}}},
    "by-repo": {
        "containerSelector": {
            "matchExpressions": [{"key": "repo", "operator": "In", "values": ["nginx"]}]
        }
    },
    "not-web": {
        "containerSelector": {
            "matchExpressions": [{"key": "name", "operator": "NotIn", "values": ["web"]}]
        }
    },
    "by-label": {"podSelector": {"matchLabels": {"tier": "front"}}},
    "no-label": {"podSelector": {"matchLabels": {"tier": "back"}}},
    "host": {"hostSelector": {}},
    "web-and-host": {"hostSelector": {}, "containerSelector": {"matchLabels": {"name": "web"}}},
}
EXPECTED = {
    "by-name": {"web"},
    "by-repo": {"web", "db"},
    "not-web": {"db"},
    "by-label": {"web", "db"},
    "no-label": set(),
    "host": {"host"},
    "web-and-host": {"web", "host"},
}


@contextlib.contextmanager
def containers() -> Iterator[tuple[Path, Path]]:
    """The cgroups of `web` and `db`."""
    with cgroup(f"docker-{ID}.scope") as web:
        db = web.parent / f"docker-{OTHER}.scope"
        db.mkdir()
        try:
            yield web, db
        finally:
            db.rmdir()


def opener(*before: str, path: Path, times: int = 1) -> subprocess.Popen[bytes]:
    """A shell that opens the file so often, when it is told to."""
    command = [*before, "/bin/sh", "-c", _OPENS.format(times), str(path)]
    return subprocess.Popen(command, stdin=subprocess.PIPE)


def go(process: subprocess.Popen[bytes]) -> None:
    """Have it open the file, and wait until it has."""
    process.communicate(b"go\n")
    assert process.returncode == 0


def seen(agent: Agent, file: Path) -> dict[str, list[str]]:
    """By policy the containers (or host) whose opening of the file was told."""
    found: dict[str, list[str]] = {name: [] for name in SELECTORS}
    for line in agent.lines():
        if b'"process_tracepoint"' not in line or str(file).encode() not in line:
            continue
        event = json.loads(line)["process_tracepoint"]
        container = event["process"].get("pod", {}).get("container", {})
        if event["policy_name"] in found:
            found[event["policy_name"]].append(container.get("name", "host"))
    return found


def replayed(agent: Agent, file: Path, texts: dict[str, str]) -> dict[str, list[str]]:
    """The same as the model says, of the policy `all`; with its name."""
    found: dict[str, list[str]] = {name: [] for name in SELECTORS}
    tests = {name: Replay(read_policy(text).policy) for name, text in texts.items()}
    for line in agent.lines():
        if b'"process_tracepoint"' not in line or str(file).encode() not in line:
            continue
        event = json.loads(line)
        body = event["process_tracepoint"]
        if body["policy_name"] != "all":
            continue
        container = body["process"].get("pod", {}).get("container", {})
        for name, test in tests.items():
            report = test.report(event)
            if report and report["outcome"] == REPORTED:
                found[name].append(container.get("name", "host"))
    return found


def test_by_container(state: State, tmp_path: Path) -> None:  # noqa: F811 - the fixture
    """By name, image and labels, of containers that were there and of those that come.

    Of a recording of all `tetrapy policy test` says the same.
    """
    files = [tmp_path / "elder", tmp_path / "younger"]
    for file in files:
        file.touch()
    state.add(ID, "web")
    state.add(OTHER, "db")
    hook = opened(str(tmp_path))
    texts = {
        name: policy(name, {"tracepoints": [hook], **selectors})
        for name, selectors in SELECTORS.items()
    }
    recording = {"all": policy("all", {"tracepoints": [hook]})}
    with containers() as (web, db):
        elders = [
            opener(*enter(web), path=files[0]),
            opener(*enter(db), path=files[0]),
            opener(path=files[0]),
        ]
        with started(tmp_path / "agent", *state.flags, **texts, **recording) as agent:
            agent.started()
            drained(agent, "listening")
            for one in elders:
                go(one)
            for one in (enter(web), enter(db), []):
                go(opener(*one, path=files[1]))
            drained(agent, "done")
            assert agent.stop() == 0
            found = [seen(agent, file) for file in files]
            found += [replayed(agent, file, texts) for file in files]
    for one in found:
        assert {name: set(who) for name, who in one.items()} == EXPECTED
        assert all(len(who) == len(set(who)) for who in one.values()), one


def test_in_the_kernel(state: State, tmp_path: Path) -> None:  # noqa: F811 - the fixture
    """No record is made of a container that is known and not selected, in cgroups below it too."""
    file = tmp_path / "file"
    file.touch()
    state.add(ID, "web")
    state.add(OTHER, "db")
    text = policy("web", {"tracepoints": [opened(str(tmp_path))], **SELECTORS["by-name"]})
    with containers() as (web, db):
        elder = opener(*enter(db), path=file, times=TIMES)
        with started(tmp_path / "agent", *state.flags, web=text) as agent:
            agent.started()
            drained(agent, "listening")
            go(elder)
            go(opener(*enter(db), path=file, times=TIMES))
            go(opener(path=file, times=TIMES))
            # A process of the container that moves into a cgroup of its own.
            for group in (web, db):
                below = group / "below"
                words = [*enter(group), "/bin/sh", "-c", _MOVES, str(file), str(below)]
                subprocess.run(words, check=True)
                below.rmdir()
            drained(agent, "done")
            assert agent.stop() == 0
            names = [
                json.loads(line)["process_tracepoint"]["process"]["pod"]["container"]["name"]
                for line in agent.lines()
                if b'"process_tracepoint"' in line
            ]
            received = int(re.search(r"statistics: (\d+) received", agent.log)[1])
    assert names == ["web"]
    assert received < len(agent.lines()) + TIMES


def test_one_that_is_made_up_in_a_container(state: State, tmp_path: Path) -> None:  # noqa: F811 - the fixture
    """Who may make cgroups in a container is not out of it in one that is called as another's."""
    file = tmp_path / "file"
    file.touch()
    state.add(ID, "web")
    state.add(OTHER, "db")
    text = policy("web", {"tracepoints": [opened(str(tmp_path))], **SELECTORS["by-name"]})
    with containers() as groups, started(tmp_path / "a", *state.flags, web=text) as agent:
        agent.started()
        drained(agent, "listening")
        for group in groups:
            below = group / f"docker-{'f' * 64}.scope"
            below.mkdir()
            go(opener(*enter(below), path=file))
            below.rmdir()
        drained(agent, "done")
        assert agent.stop() == 0
        told = [line for line in agent.lines() if b'"process_tracepoint"' in line]
    (process,) = [json.loads(line)["process_tracepoint"]["process"] for line in told]
    assert process["pod"]["container"]["name"] == "web"
    assert process["docker"] == "f" * 31


def test_cgroups_that_are_not_known(state: State, tmp_path: Path) -> None:  # noqa: F811 - the fixture
    """What a process makes and moves to is decided in the kernel, so that policies act there too:
    as the one above it where its name may be no container's, and where it is too deep as wanted.
    """
    file = tmp_path / "file"
    file.touch()
    state.add(ID, "web")
    state.add(OTHER, "db")
    hook = opened(str(tmp_path))
    texts = {
        name: policy(name, {"tracepoints": [hook], **SELECTORS[name]})
        for name in ("host", "by-name")
    }

    def matched(agent: Agent) -> dict[str, int]:
        found = listed(agent, "--counters")
        counters = {one["name"]: one["hook_counters"][0]["selectors"][0] for one in found}
        return {name: int(one.get("matched", 0)) for name, one in counters.items()}

    with containers() as (web, db):
        group = web.parent
        with started(tmp_path / "agent", *state.flags, **texts) as agent:
            agent.started()
            drained(agent, "listening")
            decided = []
            for start, below in (
                (group, "mine"),
                (group, "x" * 63),
                (group, ID),
                (group, "lxc.payload.mine"),
                (db, "/".join(["deep"] * 40)),
            ):
                before = matched(agent)
                path = start / below
                words = [*enter(start), "/bin/sh", "-c", _MOVES, str(file), str(path)]
                subprocess.run(words, check=True)
                after = matched(agent)
                decided.append({name for name in after if after[name] > before[name]})
                while path != start:
                    path.rmdir()
                    path = path.parent
            assert agent.stop() == 0
    assert decided == [{"host"}, {"host"}, set(), set(), {"host", "by-name"}]


def test_a_selector_for_a_container(state: State, tmp_path: Path) -> None:  # noqa: F811 - the fixture
    """matchWorkloads is for one selector; the next one still matches for the others."""
    state.add(ID, "web")
    hook = opened(str(tmp_path))
    match = hook["selectors"][0]
    hook["selectors"] = [
        {**match, "label": "one", "matchWorkloads": SELECTORS["by-name"]},
        {**match, "matchWorkloads": SELECTORS["host"], "matchActions": [{"action": "NoPost"}]},
        {**match, "matchWorkloads": SELECTORS["not-web"]},
    ]
    file = tmp_path / "file"
    file.touch()
    state.add(OTHER, "db")
    text = policy("by-name", {"tracepoints": [hook]})
    with started(tmp_path / "agent", *state.flags, selectors=text) as agent:
        agent.started()
        with containers() as (web, db):
            for one in (enter(web), enter(db), []):
                go(opener(*one, path=file))
        drained(agent, "done")
        assert agent.stop() == 0
        assert sorted(seen(agent, file)["by-name"]) == ["db", "web"]


def test_refused_without_names(state: State, tmp_path: Path) -> None:  # noqa: F811 - the fixture
    """Where names are switched off the policy says which setting it needs."""
    text = policy("web", {"tracepoints": [opened("/x")], **SELECTORS["by-name"]})
    with started(tmp_path, "--enable-container-names=false", web=text) as agent:
        agent.started()
        (found,) = until(lambda: listed(agent), "the list")
        assert found["state"] == "load_error"
        assert "--enable-container-names" in found["error"]
