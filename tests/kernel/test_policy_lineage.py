# SPDX-License-Identifier: Apache-2.0
"""Selectors that ask who a process descends from, and what changed since it began, on this kernel.

Random families of processes beside the reference model; the seed is in the test's name, another one
is tried with TETRAPY_POLICY_SEED.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.agent import Agent, until
from tests.support.compile import installed
from tests.support.policy_agent import drained, listed, policy, started
from tetrapy.named import NamedTuple
from tetrapy.policy.model import Call, first_match
from tetrapy.policy.read import read_policy

POLICIES, FAMILIES = 12, 24
SEEDS = tuple(int(seed) for seed in os.environ.get("TETRAPY_POLICY_SEED", "1").split())
BASE = 1 << 24  # of the numbers that tell calls apart; no such process is there


class State(NamedTuple):
    """A process of a family, as the model sees it."""

    binary: bytes
    lineage: frozenset[bytes]
    parent_binary: bytes
    parent_lineage: frozenset[bytes]
    is_forked: bool


def forked(state: State) -> State:
    """A child."""
    return State(state.binary, state.lineage, state.binary, state.lineage, True)


def executed(state: State, binary: bytes) -> State:
    """The same process in another program; what it ran counts as its parent's, as in Tetragon."""
    lineage = state.lineage | {binary}
    if state.is_forked:
        return state._replace(binary=binary, lineage=lineage, is_forked=False)
    return State(binary, lineage, state.binary, state.lineage, False)


def hook(*selectors: dict[str, Any]) -> dict[str, Any]:
    """The system call that families make, with these selectors."""
    numbers = {"index": 5, "operator": "GT", "values": [str(BASE)]}
    return {
        "subsystem": "syscalls",
        "event": "sys_enter_getpgid",
        "args": [{"index": 5, "type": "int"}],
        "selectors": [{**one, "matchArgs": [numbers]} for one in selectors],
    }


def reported(agent: Agent, name: str) -> list[int]:
    """The numbers of the calls that a policy reported."""
    found = []
    for line in agent.export.read_text().splitlines():
        body = json.loads(line).get("process_tracepoint")
        if body and body["policy_name"] == name:
            found.append(body["args"][0]["int_arg"] - BASE)
    return found


def directory(path: Path) -> tuple[list[str], Path]:
    """Flags for a directory of policies, and the directory."""
    path.mkdir()
    return ["--tracing-policy-dir", str(path)], path


def add(agent: Agent, into: Path, texts: dict[str, str]) -> None:
    """Put policies into the directory, and return when they observe."""
    for name, text in texts.items():
        (into / name).write_text(text)

    def are_there() -> bool:
        return {one["name"] for one in listed(agent) if one["state"] == "enabled"} >= set(texts)

    until(are_there, lambda: f"{set(texts)} among {listed(agent)}")


def binaries(rng: random.Random, programs: list[Path], is_parent: bool) -> dict[str, Any]:
    """A filter on binaries, with what only this part of the kernel side can decide."""
    follows = rng.random() < (0.5 if is_parent else 1)
    operators = ["In", "NotIn"]
    if not follows:
        operators += ["Prefix", "NotPrefix", "Postfix", "NotPostfix"]
    operator = rng.choice(operators)
    texts = [str(one) for one in programs]
    if operator.endswith("Prefix"):
        texts = [one[: rng.randrange(len(one) - 2, len(one) + 1)] for one in texts]
    elif operator.endswith("Postfix"):
        texts = [one[-rng.randrange(1, 9) :] for one in texts]
    values = rng.sample(texts, rng.randrange(1, 3))
    return {"operator": operator, "values": values, "followChildren": follows}


def selector(rng: random.Random, programs: list[Path]) -> dict[str, Any]:
    """One or two such filters."""
    made = {}
    kinds = ["matchBinaries", "matchParentBinaries"]
    for kind in rng.sample(kinds, rng.randrange(1, 3)):
        made[kind] = [binaries(rng, programs, kind == "matchParentBinaries")]
    return made


def family(
    rng: random.Random, programs: list[Path], first: State, number: int
) -> tuple[list[str], list[tuple[int, State]]]:
    """The words that one is started with, and the calls that it makes."""
    words, calls, state = [], [], executed(forked(first), bytes(programs[0]))
    for _ in range(rng.randrange(4, 12)):
        what = rng.choice(["call", "call", "fork", "orphan", "exec"])
        if what == "call":
            number += 1
            words += ["call", str(BASE + number)]
            calls.append((number, state))
        elif what == "exec":
            program = rng.choice(programs)
            words += ["exec", str(program)]
            state = executed(state, bytes(program))
        else:
            words.append(what)
            state = forked(state)
    return words, calls


def programs_in(directory: Path) -> list[Path]:
    """Three copies of the program; one path is the beginning of another."""
    first = installed("family", directory)
    copies = [directory / "fam", directory / "b" / "familyx"]
    copies[1].parent.mkdir()
    return [first, *(Path(shutil.copy2(first, copy)) for copy in copies)]


@pytest.mark.parametrize("seed", SEEDS)
def test_who_descends_from_whom(tmp_path: Path, seed: int) -> None:
    """Forks, execs with and without them, parents that are gone: each policy as the model says."""
    rng = random.Random(seed)
    programs = programs_in(tmp_path)
    documents = {
        f"lineage-{n}": hook(*(selector(rng, programs) for _ in range(rng.randrange(1, 4))))
        for n in range(POLICIES)
    }
    texts = {name: policy(name, {"tracepoints": [one]}) for name, one in documents.items()}
    python = bytes(Path("/proc/self/exe").resolve())
    first = State(python, frozenset({python}), b"", frozenset(), False)
    calls: list[tuple[int, State]] = []
    # The second half comes while the agent runs.
    flags, late = directory(tmp_path / "late")
    first_half = dict(list(texts.items())[: POLICIES // 2])
    with started(tmp_path / "agent", *flags, **first_half) as agent:
        agent.started()
        add(agent, late, {name: texts[name] for name in set(texts) - set(first_half)})
        for _ in range(FAMILIES):
            words, made = family(rng, programs, first, len(calls))
            calls += made
            subprocess.run([programs[0], *words], check=True)
        until(lambda: _is_over(tmp_path), "the last orphan")
        drained(agent, f"lineage-{seed}")
        found = {name: sorted(reported(agent, name)) for name in documents}
    for name, text in texts.items():
        (one,) = read_policy(text).policy.spec.tracepoints
        expected = []
        for number, state in calls:
            call = Call(
                (BASE + number,),
                binary=state.binary,
                lineage=tuple(state.lineage),
                parent_binary=state.parent_binary,
                parent_lineage=tuple(state.parent_lineage),
            )
            if first_match(one.selectors, one.args, call) is not None:
                expected.append(number)
        assert found[name] == expected, text


def _is_over(directory: Path) -> bool:
    """Whether no process of a family is there any more."""
    for link in Path("/proc").glob("[0-9]*/exe"):
        try:
            if os.readlink(link).startswith(f"{directory}/"):
                return False
        except OSError:
            continue
    return True


@pytest.mark.parametrize("when", ["start", "later"])
def test_processes_that_are_older_than_the_policies(tmp_path: Path, when: str) -> None:
    """Tetragon's followChildren does not hold for all of these; pids are followed likewise.

    Policies that come later find marks of others, some of which have gone meanwhile.
    """
    programs = programs_in(tmp_path)
    go = tmp_path / "go"
    words = ["fork", "exec", str(programs[1]), "wait", str(go), "call", str(BASE + 1)]
    words += [
        "fork",
        "exec",
        str(programs[2]),
        "call",
        str(BASE + 2),
        "fork",
        "call",
        str(BASE + 3),
    ]
    elder = subprocess.Popen([programs[0], *words])
    until(lambda: _children(elder.pid, programs[1]), "the child")
    other = subprocess.Popen([programs[1], "wait", str(go), "call", str(BASE + 9)])
    follows = {"operator": "In", "values": [str(programs[0])], "followChildren": True}
    child = _children(elder.pid, programs[1])[0]
    texts = {
        "followed": hook({"matchBinaries": [follows]}),
        "parents": hook({"matchParentBinaries": [{**follows, "followChildren": False}]}),
        "not": hook({"matchBinaries": [{**follows, "operator": "NotIn"}]}),
        "forks": hook({"matchPIDs": [{"operator": "In", "values": [child], "followForks": True}]}),
    }
    documents = {name: policy(name, {"tracepoints": [one]}) for name, one in texts.items()}
    flags, late = directory(tmp_path / "late")
    others = {
        name: policy(
            name, {"tracepoints": [hook({"matchBinaries": [{**follows, "values": [of]}]})]}
        )
        for name, of in (("stays", "/bin/sh"), ("goes", str(programs[1])))
    }
    with started(tmp_path / "agent", *flags, **(documents if when == "start" else {})) as agent:
        agent.started()
        if when == "later":
            add(agent, late, others)
            (late / "goes").unlink()
            add(agent, late, documents)
        go.touch()
        assert elder.wait(30) == 0
        assert other.wait(30) == 0
        drained(agent, "older")
        found = {name: sorted(reported(agent, name)) for name in texts}
    assert found == {"followed": [1, 2, 3], "parents": [1], "not": [9], "forks": [1, 2, 3]}


def _children(pid: int, program: Path) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(one) for one in children if os.readlink(f"/proc/{one}/exe") == str(program)]


CHANGES: dict[str, tuple[dict[str, Any], list[int]]] = {
    "uts": ({"matchNamespaceChanges": [{"operator": "In", "values": ["Uts", "Mnt"]}]}, [2]),
    "others": ({"matchNamespaceChanges": [{"operator": "NotIn", "values": ["Uts"]}]}, [4]),
    "admin": ({"matchCapabilityChanges": [{"operator": "In", "values": ["CAP_SYS_ADMIN"]}]}, [6]),
    "unlisted": (
        {"matchCapabilityChanges": [{"operator": "NotIn", "values": ["CAP_NET_ADMIN"]}]},
        [6, 8],
    ),
    "namespaced": (
        {
            "matchCapabilityChanges": [
                {"operator": "In", "values": ["CAP_SYS_ADMIN"], "isNamespaceCapability": True}
            ]
        },
        [],
    ),
    "permitted": (
        {
            "matchCapabilityChanges": [
                {"type": "Permitted", "operator": "In", "values": ["CAP_SYS_ADMIN"]}
            ]
        },
        [],
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_changes_are_told_once(tmp_path: Path, name: str) -> None:
    """Of namespaces and capabilities: the first call after a change; a fork begins anew."""
    program = installed("family", tmp_path)
    wanted, expected = CHANGES[name]
    words = "call 1 uts call 2 call 3 net call 4 call 5 drop 21 call 6 call 7 drop 22 call 8 call 9"
    words += " fork call 10"
    given = [str(BASE + int(word)) if word.isdigit() else word for word in words.split()]
    for number in ("21", "22"):
        given[given.index(str(BASE + int(number)))] = number
    text = policy(name, {"tracepoints": [hook(wanted)]})
    with started(tmp_path / "agent", **{name: text}) as agent:
        agent.started()
        subprocess.run([program, *given], check=True)
        drained(agent, name)
        assert reported(agent, name) == expected
