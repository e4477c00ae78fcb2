# SPDX-License-Identifier: Apache-2.0
"""Selectors that the kernel decides, beside the reference model: random policies, random calls.

A function of a test program is hooked by a uprobe, which this kernel has. The seed is in the test's
name; another one is tried with TETRAPY_POLICY_SEED.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.agent import Agent, until
from tests.support.compile import installed
from tetrapy.policy.model import Call, first_match
from tetrapy.policy.read import read_policy

POLICIES, CALLS = 16, 150
SEEDS = tuple(int(seed) for seed in os.environ.get("TETRAPY_POLICY_SEED", "1 2").split())

ARGUMENTS = [
    {"index": 0, "type": "int"},
    {"index": 1, "type": "uint8"},
    {"index": 2, "type": "int64", "label": "wide"},
    {"index": 3, "type": "string"},
    {"index": 4, "type": "uint64"},
]
TEXTS = ["", "/", "/tmp", "/tmp/a", "/tmp/ab", "/etc/passwd", "passwd", "x" * 200, "ä/ö", "\\"]
NUMBERS = [0, 1, 2, 7, 255, 127, 128, -1, -2, 1 << 31, -(1 << 31), (1 << 63) - 1, -(1 << 63), 4000]
LIMITS = {0: (-(1 << 31), (1 << 31) - 1), 1: (0, 255), 2: (-(1 << 63), (1 << 63) - 1)}
LIMITS[4] = (0, (1 << 64) - 1)


def within(rng: random.Random, index: int) -> int:
    """A number that the argument can be."""
    low, high = LIMITS[index]
    chosen = rng.choice([*NUMBERS, rng.randrange(low, high + 1), rng.randrange(0, 10)])
    return min(max(chosen, low), high)


def comparison(rng: random.Random) -> dict[str, Any]:
    """A filter of matchArgs."""
    index = rng.choice([0, 1, 2, 3, 3, 4])
    if index == 3:
        operator = rng.choice(["Equal", "NotEqual", "Prefix", "NotPrefix", "Postfix", "NotPostfix"])
        texts = [text for text in TEXTS if text or operator in {"Equal", "NotEqual"}]
        if operator.endswith("Postfix"):
            texts = [text for text in texts if len(text) < 128]
        values = rng.sample(texts, rng.randrange(1, 5))
        return {"index": index, "operator": operator, "values": values}
    operator = rng.choice(
        ["Equal", "NotEqual", "GT", "LT", "Mask", "InMap", "NotInMap", "InRange", "NotInRange"]
    )
    count = 1 if operator in {"GT", "LT"} else rng.randrange(1, 5)
    if operator in {"InMap", "NotInMap"}:
        count = rng.randrange(1, 12)
    numbers = [within(rng, index) for _ in range(count)]
    if operator == "Mask":
        numbers = [abs(number) & 0x7FFFFFFF for number in numbers]
    values = [str(number) for number in numbers]
    if operator in {"InRange", "NotInRange"} or (operator.endswith("InMap") and rng.random() < 0.3):
        values = [
            "{}:{}".format(*sorted((within(rng, index), within(rng, index)))) for _ in numbers
        ]
    return {"index": index, "operator": operator, "values": values}


def selector(rng: random.Random, binary: str) -> dict[str, Any]:
    """A selector of up to three filters."""
    made: dict[str, Any] = {
        "matchArgs": [comparison(rng) for _ in range(rng.choice([0, 1, 1, 2, 3]))]
    }
    if rng.random() < 0.3:
        operator = rng.choice(["In", "NotIn", "Prefix", "NotPrefix", "Postfix", "NotPostfix"])
        values = rng.sample([binary, binary[:9], binary[-5:], "/bin/sh"], 2)
        made["matchBinaries"] = [{"operator": operator, "values": values}]
    if rng.random() < 0.2:
        made["matchPIDs"] = [{"operator": rng.choice(["In", "NotIn"]), "values": [1, 2]}]
    if rng.random() < 0.2:
        made["matchActions"] = [{"action": "NoPost"}]
    return made


def policy(rng: random.Random, name: str, program: Path) -> dict[str, Any]:
    """One uprobe with up to five selectors."""
    hook = {
        "path": str(program),
        "symbols": ["called"],
        "args": ARGUMENTS,
        "selectors": [selector(rng, str(program)) for _ in range(rng.randrange(1, 6))],
    }
    return {
        "apiVersion": "cilium.io/v1alpha1",
        "kind": "TracingPolicy",
        "metadata": {"name": name},
        "spec": {"uprobes": [hook]},
    }


def calls(rng: random.Random) -> list[tuple[int, int, int, str | None, int]]:
    """What the function is called with; the last argument tells the calls apart.

    A text that is None is a pointer to nothing.
    """
    made = []
    for number in range(CALLS):
        text = rng.choice([*TEXTS, rng.choice(TEXTS) + rng.choice(TEXTS), "y" * 5000, None])
        made.append((within(rng, 0), within(rng, 1), within(rng, 2), text, number))
    return made


@pytest.mark.parametrize("seed", SEEDS)
def test_the_kernel_decides_as_the_model_does(tmp_path: Path, seed: int) -> None:
    """Sixteen policies at once, each beside the model; what is reported is what was called."""
    rng = random.Random(seed)
    program = installed("called", tmp_path)
    documents = {f"model-{n}": policy(rng, f"model-{n}", program) for n in range(POLICIES)}
    flags = []
    for name, document in documents.items():
        file = tmp_path / f"{name}.yaml"
        file.write_text(json.dumps(document))
        flags += ["--tracing-policy", str(file)]
    made = calls(rng)
    lines = "".join(
        f"{number} {small} {wide} {ident} {'-' if text is None else text.encode().hex()}\n"
        for number, small, wide, text, ident in made
    )
    with Agent(tmp_path / "agent", *flags) as agent:
        agent.started()
        ended = subprocess.run([program], input=lines, text=True, check=True, cwd="/")
        assert ended.returncode == 0
        subprocess.run(["/bin/true", f"over-{seed}-{agent.pid}"], check=True)
        until(lambda: f"over-{seed}-{agent.pid}" in agent.export.read_text(), "the last event")
        events = [json.loads(line) for line in agent.export.read_text().splitlines()]
    reported: dict[str, list[int]] = {name: [] for name in documents}
    for event in events:
        body = event.get("process_uprobe")
        if body and body["policy_name"] in reported:
            ident = int(body["args"][4]["size_arg"])
            number, small, wide, text, _ = made[ident]
            arguments = body["args"]
            assert arguments[0] == {"int_arg": number}
            assert arguments[1] == {"uint_arg": small}
            assert arguments[2] == {"long_arg": str(wide), "label": "wide"}
            unreadable = {"error_arg": {"Message": "Bad address for basic type"}}
            assert arguments[3] == (unreadable if text is None else {"string_arg": text[:4095]})
            reported[body["policy_name"]].append(ident)
    for name, document in documents.items():
        read = read_policy(json.dumps(document))
        hook = read.policy.spec.uprobes[0]
        expected = []
        for number, small, wide, text, ident in made:
            call = Call(
                (number, small, wide, (text or "").encode()[:4095], ident),
                binary=str(program).encode(),
                pid=-1,
            )
            match = first_match(hook.selectors, hook.args, call)
            quiet = match is not None and hook.selectors and hook.selectors[match].match_actions
            if match is not None and not quiet:
                expected.append(ident)
        assert reported[name] == expected, json.dumps(document["spec"], indent=1)
