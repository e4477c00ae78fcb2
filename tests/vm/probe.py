# SPDX-License-Identifier: Apache-2.0
"""Runs in a guest: which layouts the kernel's own memory confirms, asked of the agent's modules.

    python3 -m tests.vm.probe PYZ < QUESTION > ANSWER

QUESTION has the kernel's name, `queries`, `optional`, and `layouts`: answers by made-up kernel
names, of which `right` are the kernel's.  The answer says which of them pass and what a scan
finds.
"""

from __future__ import annotations

import contextlib
import functools
import json
import sys
from types import SimpleNamespace
from typing import Any


def probe(question: dict[str, Any]) -> dict[str, Any]:
    """Put all layouts to one prepared task, and look for the layout without any."""
    from tetrapy.btf.host import Host
    from tetrapy.btf.inference import candidates
    from tetrapy.btf.inference.prober import LayoutProber
    from tetrapy.kernel.kernel_memory import KernelMemory
    from tetrapy.kernel.reference_process import prepared

    queries, optional = tuple(question["needs"]), frozenset(question["optional"])
    host = Host(*question["kernel"].split("/"))
    layouts = {name: tuple(answers) for name, answers in question["layouts"].items()}
    known = SimpleNamespace(
        queries=queries,
        layouts=list(layouts.values()),
        kernels={name: number for number, name in enumerate(layouts)},
    )
    with contextlib.closing(KernelMemory()) as memory:
        with prepared(memory) as reference:
            limits = reference.limits
            found = candidates.infer(known, host, reference, optional)
        prober = LayoutProber(queries, optional, functools.partial(prepared, memory))
        check = prober.check(layouts[question["right"]])
        scan = prober.scan()
    # As before Linux 5.5 and 5.10: attached to a tracepoint, the answers copied.
    with contextlib.closing(KernelMemory(attached=True, mapped=False)) as memory:
        prober = LayoutProber(queries, optional, functools.partial(prepared, memory))
        old_way = prober.check(layouts[question["right"]])
    return {
        "old_way": old_way._asdict(),
        "limits": limits,
        "failed": check.failed,
        "doubtful": check.doubtful,
        "unproven": check.unproven,
        "tested": found.tested,
        "passed": found.passed,
        "scan": scan._asdict(),
    }


def main() -> None:
    sys.path.insert(0, sys.argv[1])
    json.dump(probe(json.load(sys.stdin)), sys.stdout)


if __name__ == "__main__":
    main()
