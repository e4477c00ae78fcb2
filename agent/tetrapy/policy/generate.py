# SPDX-License-Identifier: Apache-2.0
"""Policies that are written by programs: of hooks that nobody would want to type."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Tuple

import yaml

Document = Dict[str, Any]


def document(name: str) -> Document:
    """A policy without hooks."""
    return {
        "apiVersion": "cilium.io/v1alpha1",
        "kind": "TracingPolicy",
        "metadata": {"name": name},
        "spec": {},
    }


def system_calls(names: Iterable[str], binary: str) -> Document:
    """A kprobe for each system call, `sys_read` and the like; of one program if it is given."""
    policy = document("syscalls")
    policy["spec"]["kprobes"] = [
        {"call": name, "syscall": True, **_selectors(binary)} for name in names
    ]
    return policy


def list_of_system_calls(names: Iterable[str], binary: str) -> Document:
    """The same with a list, which has one hook."""
    policy = document("syscalls")
    policy["spec"]["lists"] = [{"name": "syscalls", "type": "syscalls", "values": list(names)}]
    policy["spec"]["kprobes"] = [{"call": "list:syscalls", "syscall": True, **_selectors(binary)}]
    return policy


def list_of_functions(names: Iterable[str], binary: str) -> Document:
    """A list of functions of the kernel, and a hook for it."""
    policy = document("ftrace")
    policy["spec"]["lists"] = [{"name": "ftrace", "values": list(names)}]
    policy["spec"]["kprobes"] = [{"call": "list:ftrace", "syscall": False, **_selectors(binary)}]
    return policy


def uprobes(path: str, symbols: Iterable[str]) -> Document:
    """A hook for the functions of a program or library."""
    policy = document("uprobes")
    policy["spec"]["uprobes"] = [{"path": path, "symbols": list(symbols)}]
    return policy


def static_probes(path: str, probes: Iterable[Tuple[str, str, List[str]]]) -> Document:
    """A hook for each static probe: provider, name, and its operands (`-4@%eax`)."""
    policy = document("usdts")
    policy["spec"]["usdts"] = [
        {
            "path": path,
            "provider": provider,
            "name": name,
            "args": [
                {"index": at, "type": _type_of(operand), "label": operand}
                for at, operand in enumerate(operands)
            ],
        }
        for provider, name, operands in probes
    ]
    return policy


def _type_of(operand: str) -> str:
    """The type of a number of an operand's size."""
    size = operand.partition("@")[0]
    bits = 8 * int(size.lstrip("-").rstrip("f"))
    return f"{'' if size.startswith('-') else 'u'}int{bits}"


def text_of(document: Document) -> str:
    """A policy, or what describes one, as YAML; no line is folded."""
    text = yaml.safe_dump(document, default_flow_style=False, allow_unicode=True, width=1 << 20)
    return str(text)


def _selectors(binary: str) -> Dict[str, List[Any]]:
    if not binary:
        return {}
    return {"selectors": [{"matchBinaries": [{"operator": "In", "values": [binary]}]}]}
