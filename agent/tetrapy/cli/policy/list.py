# SPDX-License-Identifier: Apache-2.0
"""`tetrapy policy list`: the policies of the running agent, out of its info file.

What hooks counted is read from the kernel when somebody asks: that the agent itself is asked for.
"""

from __future__ import annotations

import os
from typing import Any, Dict, List, Optional, Sequence

from tetrapy.cli.btf.output import warn
from tetrapy.cli.client.arguments import Values
from tetrapy.cli.client.info_file import NAME
from tetrapy.cli.config import write
from tetrapy.client.policy_table import counter_lines, throttled
from tetrapy.errors import TetrapyError
from tetrapy.json_codec import dumps, loads
from tetrapy.pidfile import RUN_DIRECTORY
from tetrapy.visible import printable

EXIT_NO_AGENT = 255
_COLUMNS = ("ID", "NAME", "STATE", "MODE", "SENSORS", "HOOKS", "KERNEL MEMORY", "NAMESPACE")
_MAX_FILE = 64 << 20  # bytes
_TIMEOUT = 30.0  # seconds
_MAX_REPLY = 64 << 20  # bytes

Policy = Dict[str, Any]


def run(options: Values, _arguments: List[str]) -> int:
    """Print the list; returns the exit code."""
    path = os.path.join(RUN_DIRECTORY, NAME)
    try:
        with open(path, "rb") as file:
            info = loads(file.read(_MAX_FILE))
        policies: List[Policy] = info["policies"]
        pid = int(info["pid"])
    except FileNotFoundError:
        return _no_agent(f"no agent runs here: there is no {path}")
    except OSError as err:
        return _no_agent(f"{path}: {err.strerror}")
    except (ValueError, KeyError, TypeError):
        return _no_agent(f"{path} is no info file of this version")
    if not os.path.exists(f"/proc/{pid}"):
        return _no_agent(f"no agent runs here: {path} is of process {pid}, which is gone")
    if options["counters"]:
        try:
            _add_counters(policies, str(info.get("server_address", "")))
        except TetrapyError as err:
            return _no_agent(f"the agent does not tell its counters: {err}")
    if options["json"] or options["output"] == "json":
        return write(dumps({"policies": policies}, indent=True).decode() + "\n")
    return write("".join(line + "\n" for line in _lines(policies)))


def _add_counters(policies: List[Policy], address: str) -> None:
    """Put what the agent says of their hooks to the policies. Raises TetrapyError."""
    # Late: the list alone needs none of it.
    from tetrapy.api.address import SOCKET
    from tetrapy.api.client import Channel
    from tetrapy.api.grpc import RpcError
    from tetrapy.cli.client.session import SENSORS, status_text

    if not address.startswith("unix:"):
        address = SOCKET  # is there beside an address of TCP
    try:
        with Channel(address, None, _TIMEOUT, _MAX_REPLY) as channel:
            reply = channel.unary(f"{SENSORS}/ListTracingPolicies", {}, _TIMEOUT)
    except RpcError as err:
        raise TetrapyError(status_text(err.status)) from None
    found = {
        int(one.get("id", 0)): one.get("stats", {}).get("hook_counters", [])
        for one in reply.get("policies", [])
    }
    for policy in policies:
        policy["hook_counters"] = found.get(policy["id"], [])


def _no_agent(why: str) -> int:
    warn(f"Error: {why}")
    return EXIT_NO_AGENT


def _lines(policies: List[Policy]) -> List[str]:
    if not policies:
        return ["no policies"]
    rows: List[Sequence[str]] = [_COLUMNS, *map(_row, policies)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(_COLUMNS))]
    lines = []
    for row, policy in zip(rows, [None, *policies]):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths))
        lines.append(line.rstrip())
        lines += _notes(policy)
        if policy is not None and policy.get("hook_counters"):
            lines += [f"    {printable(line)}" for line in counter_lines(policy["hook_counters"])]
    return lines


def _row(policy: Policy) -> Sequence[str]:
    return tuple(
        printable(str(cell) if cell not in ("", None) else "-")
        for cell in (
            policy["id"],
            policy["name"],
            policy["state"],
            policy["mode"],
            ",".join(policy["sensors"]),
            policy["hooks"],
            policy["kernel_memory_bytes"],
            policy["namespace"],
        )
    )


def _notes(policy: Optional[Policy]) -> List[str]:
    """What does not fit into a column: below the policy's line."""
    if policy is None:
        return []
    notes = [("left out", what) for what in policy["left_out"]]
    if policy["error"]:
        notes.append(("error", policy["error"]))
    if notes:
        notes.insert(0, ("file", policy["file"]))
    notes += [("calls not reported", throttled(one)) for one in policy["silent"]]
    return [printable(f"    {name}: {text}") for name, text in notes]
