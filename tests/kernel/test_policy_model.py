# SPDX-License-Identifier: Apache-2.0
"""Selectors that the kernel decides, beside the reference model: random policies, random calls.

Functions of a test program are hooked by uprobes, which this kernel has: `called`, with numbers and
a text, and `named`, which gets a text and its size, and returns it. The seed is in the test's name;
another one is tried with TETRAPY_POLICY_SEED.
"""

from __future__ import annotations

import base64
import json
import os
import platform
import random
import subprocess
from pathlib import Path
from typing import Any, Optional, Tuple

import pytest
import yaml

from tests.support.agent import Agent, until
from tests.support.compile import installed
from tests.support.expressions import NUMBERS, expression
from tetrapy.cli.policy.replay import REPORTED, Replay
from tetrapy.policy.model import Call, first_match
from tetrapy.policy.observing import observing
from tetrapy.policy.read import read_policy


def namespace(name: str) -> int:
    """The inode number of a namespace of this process."""
    return os.stat(f"/proc/self/ns/{name.lower()}").st_ino


def capabilities(line: str) -> int:
    """A set of this process's capabilities, by the name that procfs gives it."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{line}:")[1].split()[0], 16)


POLICIES, CALLS = 16, 150
NAMESPACES = {name: namespace(name) for name in ("Uts", "Mnt", "Net", "Pid", "User")}
CAPABILITIES = {
    kind: capabilities(line)
    for kind, line in (("Effective", "CapEff"), ("Permitted", "CapPrm"), ("Inheritable", "CapInh"))
}
_Call = Tuple[int, int, int, Optional[str], int]  # the arguments, of `called` in their order
SEEDS = tuple(int(seed) for seed in os.environ.get("TETRAPY_POLICY_SEED", "1 2").split())

ARGUMENTS = [
    {"index": 0, "type": "int"},
    {"index": 1, "type": "uint8"},
    {"index": 2, "type": "int64", "label": "wide"},
    {"index": 3, "type": "string"},
    {"index": 4, "type": "uint64"},
]
# Some policies read the third argument out of its register, in place of the second one: a hook has
# five values at most.
DATA = {
    "index": 0,
    "type": "int64",
    "source": "pt_regs",
    "resolve": "rdx" if platform.machine() == "x86_64" else "x2",
    "label": "register",
}
SMALL = 1
RECORDING = "all-recording"
NAMED = [
    {"index": 0, "type": "string"},
    {"index": 0, "type": "char_buf", "sizeArgIndex": 2},
    {"index": 2, "type": "uint64"},
]
RETURNED = {"called": {"index": 0, "type": "int64"}, "named": {"index": 0, "type": "string"}}
TEXTS = ["", "/", "/tmp", "/tmp/a", "/tmp/ab", "/etc/passwd", "passwd", "x" * 200, "ä/ö", "\\"]
TEXT_OPERATORS = (
    "Equal NotEqual Prefix NotPrefix Postfix NotPostfix SubString SubStringIgnCase".split()
)
LONG = ["x" * 255, "x" * 256, "x" * 300 + "/tmp/ab", "ab" * 300, "/tmp" * 250, "q" * 3000 + "Z"]
INSIDE = ["x", "tmp", "/A", "PASS", "ä", "xx/tmp", "Z", "ab/", "bab", "x" * 99]
LIMITS = {0: (-(1 << 31), (1 << 31) - 1), 1: (0, 255), 2: (-(1 << 63), (1 << 63) - 1)}
LIMITS[4] = (0, (1 << 64) - 1)


def within(rng: random.Random, index: int) -> int:
    """A number that the argument can be."""
    low, high = LIMITS[index]
    chosen = rng.choice([*NUMBERS, rng.randrange(low, high + 1), rng.randrange(0, 10)])
    return min(max(chosen, low), high)


def comparison(rng: random.Random) -> dict[str, Any]:
    """A filter of matchArgs on an argument of `called`."""
    if rng.random() < 0.1:
        return {"operator": "CelExpr", "values": [expression(rng, rng.randrange(3))]}
    index = rng.choice([0, 1, 2, 3, 3, 4])
    if index == 3:
        return {"index": index, **comparison_of_text(rng)}
    return {"index": index, **comparison_of_number(rng, index)}


def comparison_of_text(rng: random.Random) -> dict[str, Any]:
    """An operator and its values."""
    operator = rng.choice(TEXT_OPERATORS)
    texts = TEXTS
    if operator in {"Equal", "NotEqual"}:
        texts = TEXTS + LONG if rng.random() < 0.5 else TEXTS
    elif operator.startswith("Sub"):
        texts = INSIDE
    else:
        texts = [text for text in TEXTS if text and len(text) < 128]
    return {"operator": operator, "values": rng.sample(texts, rng.randrange(1, 5))}


def comparison_of_number(rng: random.Random, index: int) -> dict[str, Any]:
    """An operator and its values, for an argument of `called`."""
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
    return {"operator": operator, "values": values}


def of_return(rng: random.Random, function: str) -> dict[str, Any]:
    """A filter of matchReturnArgs."""
    if function == "named":
        return {"index": 0, **comparison_of_text(rng)}
    if rng.random() < 0.4:
        relation = rng.choice(["==", "<", ">="])
        return {"operator": "CelExpr", "values": [f"arg0 + 1 {relation} {rng.randrange(-3, 4)}"]}
    operator = rng.choice(["Equal", "NotEqual", "GT", "InMap"])
    values = [str(rng.randrange(-3, 4)) for _ in range(1 if operator == "GT" else 3)]
    return {"index": 0, "operator": operator, "values": values}


def selector(rng: random.Random, binary: str, function: str, returns: bool) -> dict[str, Any]:
    """A selector of up to three filters on arguments, and some on others."""
    made: dict[str, Any] = {}
    count = rng.choice([0, 1, 1, 2, 3])
    if function == "called":
        made["matchArgs"] = [comparison(rng) for _ in range(count)]
    else:
        made["matchArgs"] = [
            {"args": [rng.randrange(2)], **comparison_of_text(rng)} for _ in range(count)
        ]
    if returns and rng.random() < 0.7:
        made["matchReturnArgs"] = [of_return(rng, function) for _ in range(rng.choice([1, 1, 2]))]
    if rng.random() < 0.3:
        operator = rng.choice(["In", "NotIn", "Prefix", "NotPrefix", "Postfix", "NotPostfix"])
        values = rng.sample([binary, binary[:9], binary[-5:], "/bin/sh"], 2)
        made["matchBinaries"] = [{"operator": operator, "values": values}]
    if rng.random() < 0.2:
        made["matchPIDs"] = [{"operator": rng.choice(["In", "NotIn"]), "values": [1, 2]}]
    if rng.random() < 0.2:
        made["matchNamespaces"] = [of_namespace(rng)]
    if rng.random() < 0.2:
        made["matchCapabilities"] = [of_capabilities(rng)]
    if rng.random() < 0.2:
        made["matchActions"] = [{"action": "NoPost"}]
    return made


def with_data(rng: random.Random, selectors: list[dict[str, Any]]) -> None:
    """Filters on the argument that is not read become such on the register."""
    for made in selectors:
        kept = [one for one in made["matchArgs"] if one.get("index", SMALL) != SMALL]
        if len(kept) < len(made["matchArgs"]) or rng.random() < 0.5:
            operator = rng.choice(["GT", "LT", "Equal", "NotEqual"])
            values = [str(within(rng, 2))]
            made["matchData"] = [{"index": 0, "operator": operator, "values": values}]
        made["matchArgs"] = kept


def of_namespace(rng: random.Random) -> dict[str, Any]:
    """A filter on a namespace of the process, which is this one's."""
    name = rng.choice(list(NAMESPACES))
    values = rng.sample([str(NAMESPACES[name]), "1", "2"], 2)
    return {"namespace": name, "operator": rng.choice(["In", "NotIn"]), "values": values}


def of_capabilities(rng: random.Random) -> dict[str, Any]:
    """A filter on the capabilities of the process, which are this one's."""
    operator = rng.choice(["In", "NotIn"])
    values = rng.sample(["CAP_SYS_ADMIN", "CAP_CHOWN", "CAP_SYS_BOOT", "CAP_WAKE_ALARM"], 2)
    return {"type": rng.choice(list(CAPABILITIES)), "operator": operator, "values": values}


def policy(rng: random.Random, name: str, program: Path) -> dict[str, Any]:
    """A policy that hooks one of the functions."""
    function = rng.choice(["called", "called", "named"])
    returns = rng.random() < 0.4
    return of_hook(name, hook_of(rng, program, function, returns))


def hook_of(rng: random.Random, program: Path, function: str, returns: bool) -> dict[str, Any]:
    """One uprobe with up to five selectors."""
    hook = {
        "path": str(program),
        "symbols": [function],
        "args": ARGUMENTS if function == "called" else NAMED,
        "selectors": [
            selector(rng, str(program), function, returns) for _ in range(rng.randrange(1, 6))
        ],
    }
    if returns:
        hook.update({"return": True, "returnArg": RETURNED[function]})
    elif function == "called" and rng.random() < 0.3:
        hook["args"] = [one for one in ARGUMENTS if one["index"] != SMALL]
        hook["data"] = [DATA]
        with_data(rng, hook["selectors"])
    return hook


def of_hook(name: str, hook: dict[str, Any]) -> dict[str, Any]:
    """A policy."""
    return {
        "apiVersion": "cilium.io/v1alpha1",
        "kind": "TracingPolicy",
        "metadata": {"name": name},
        "spec": {"uprobes": [hook]},
    }


def calls(rng: random.Random) -> list[_Call]:
    """What the function is called with; the last argument tells the calls apart.

    A text that is None is a pointer to nothing.
    """
    made = []
    for number in range(CALLS):
        joined = rng.choice(TEXTS) + rng.choice(TEXTS)
        mixed = rng.choice(TEXTS) + rng.choice(INSIDE) + rng.choice(LONG)
        text = rng.choice([*TEXTS, joined, rng.choice(LONG), mixed, "y" * 5000, None])
        made.append((within(rng, 0), within(rng, 1), within(rng, 2), text, number))
    return made


@pytest.mark.parametrize("seed", SEEDS)
def test_the_kernel_decides_as_the_model_does(tmp_path: Path, seed: int) -> None:
    """Sixteen policies at once, each beside the model; what is reported is what was called.

    Of a recording `tetrapy policy test` says the same.
    """
    rng = random.Random(seed)
    program = installed("called", tmp_path)
    documents = {f"model-{n}": policy(rng, f"model-{n}", program) for n in range(POLICIES)}
    plain = of_hook("all", hook_of(random.Random(1), program, "called", returns=False))
    documents[RECORDING] = yaml.safe_load(observing(json.dumps(plain)))
    flags = ["--enable-process-ns", "--rb-size-total", "64M"]
    for name, document in documents.items():
        file = tmp_path / f"{name}.yaml"
        file.write_text(json.dumps(document))
        flags += ["--tracing-policy", str(file)]
    made = calls(rng)
    lines = "".join(
        f"{number} {small} {wide} {ident} {'-' if text is None else text.encode().hex()}\n"
        for number, small, wide, text, ident in made
    )
    # No call may be lost, however busy this machine is.
    with Agent(tmp_path / "agent", *flags) as agent:
        agent.started()
        subprocess.run([program], input=lines, text=True, check=True, cwd="/")
        subprocess.run(["/bin/true", f"over-{seed}-{agent.pid}"], check=True)
        until(lambda: f"over-{seed}-{agent.pid}" in agent.export.read_text(), "the last event")
        events = [json.loads(line) for line in agent.export.read_text().splitlines()]
    recorded = [one for one in events if RECORDING in str(one.get("process_uprobe"))]
    reported: dict[str, list[int]] = {name: [] for name in documents}
    for event in events:
        body = event.get("process_uprobe")
        if body and body["policy_name"] in reported:
            reported[body["policy_name"]].append(told(body, made))
    for name, document in documents.items():
        read = read_policy(json.dumps(document))
        hook = read.policy.spec.uprobes[0]
        expected = [one[-1] for one in made if matches(hook, one, str(program).encode())]
        assert reported[name] == expected, json.dumps(document["spec"], indent=1)
        if is_told_by_a_recording(hook):
            test = Replay(read.policy)
            outcomes = [test.report(event) for event in recorded]
            found = [at for at, one in enumerate(outcomes) if one and one["outcome"] == REPORTED]
            assert found == expected, json.dumps(document["spec"], indent=1)


def is_told_by_a_recording(hook: Any) -> bool:
    """Whether what the hook's filters look at is in the events of RECORDING."""
    if hook.symbols != ("called",) or hook.returns or hook.data:
        return False
    return not any(one.match_namespaces or one.match_capabilities for one in hook.selectors)


def told(body: dict[str, Any], made: list[_Call]) -> int:
    """The number of the call that an event tells; all of it is as it was called."""
    arguments = body["args"]
    is_named = body["symbol"] == "named"
    ident = int(arguments[2 if is_named else 3 if "data" in body else 4]["size_arg"])
    number, small, wide, text, _ = made[ident]
    if "data" in body:
        assert body["data"] == [{"long_arg": str(wide), "label": "register"}]
        arguments.insert(SMALL, {"uint_arg": small})
    unreadable = {"error_arg": {"Message": "Bad address for basic type"}}
    shown = unreadable if text is None else {"string_arg": text.encode()[:4096].decode()}
    if is_named:
        data = b"" if text is None else text.encode()
        content = {"bytes_arg": base64.b64encode(data[:4095]).decode()}
        if len(data) > 4095:
            content = {"truncated_bytes_arg": {**content, "orig_size": str(len(data))}}
        assert arguments[0] == shown
        assert arguments[1] == content
        assert arguments[3:] in ([], [shown])
    else:
        assert arguments[0] == {"int_arg": number}
        assert arguments[1] == {"uint_arg": small}
        assert arguments[2] == {"long_arg": str(wide), "label": "wide"}
        assert arguments[3] == shown
        assert arguments[5:] in ([], [{"long_arg": str(ident % 7 - 3)}])
    return ident


def matches(hook: Any, made: _Call, binary: bytes) -> bool:
    """Whether the model reports a call."""
    number, small, wide, text, ident = made
    data = (text or "").encode()
    known = (number, small, wide, data[:4096], ident)
    values: tuple[Any, ...] = tuple(known[one.index] for one in hook.args)
    returned: Any = ident % 7 - 3
    if hook.symbols == ("named",):
        values, returned = (data[:4096], data[:4095], ident), data[:4096]
    call = Call(
        values,
        data=(wide,),
        returned=returned,
        binary=binary,
        pid=-1,
        namespaces=NAMESPACES,
        capabilities=CAPABILITIES,
    )
    argument = hook.return_arg if hook.returns else None
    match = first_match(hook.selectors, hook.args, call, argument, data=hook.data)
    return match is not None and not (hook.selectors and hook.selectors[match].match_actions)
