# SPDX-License-Identifier: Apache-2.0
"""`tetrapy policy record`: all calls of a policy's hooks, into a file."""

from __future__ import annotations

import os
import tempfile
from typing import List

from tetrapy.cli.btf.output import warn
from tetrapy.cli.client.arguments import Values
from tetrapy.cli.config import write
from tetrapy.daemon.policy_library import policy_text
from tetrapy.errors import PolicyError
from tetrapy.json_codec import dumps
from tetrapy.policy.observing import observing
from tetrapy.policy.read import read_policy

EXIT_OK, EXIT_FOUND, EXIT_TROUBLE = 0, 1, 2
_EVENTS = ("PROCESS_KPROBE", "PROCESS_TRACEPOINT", "PROCESS_UPROBE", "PROCESS_LSM", "PROCESS_USDT")
_MAX_MEGABYTES = 256  # then it is rotated
_KINDS = "base,kprobe,tracepoint,uprobe,lsm,usdt"


def run(options: Values, arguments: List[str]) -> int:
    """Print the observing copy, or run an agent with it; returns the exit code."""
    path = arguments[0]
    text = policy_text(path, standard_input=True)
    try:
        read_policy(text)
    except PolicyError as err:
        warn("\n".join(f"{path}:{problem}" for problem in err.problems))
        return EXIT_FOUND
    copy = observing(text)
    if not options["to"]:
        return write(copy)
    return _record(copy, options["to"])


def _record(copy: str, target: str) -> int:
    """An agent of its own, with nothing but the copy, until it is stopped."""
    # Imported late: it starts an agent.
    from tetrapy.cli.main import main

    with tempfile.TemporaryDirectory(prefix="tetrapy-record-") as directory:
        file = os.path.join(directory, "policy.yaml")
        with open(file, "w", encoding="utf-8") as written:
            written.write(copy)
        none = os.path.join(directory, "none")  # in place of the directory of other policies
        os.mkdir(none)
        allowed = dumps({"event_set": list(_EVENTS)}).decode()
        flags = {
            "tracing-policy": file,
            "tracing-policy-dir": none,
            "tracing-policy-strict": "true",
            "export-filename": target,
            "export-file-max-size-mb": str(_MAX_MEGABYTES),
            "export-file-max-backups": "1",
            "export-allowlist": allowed,
            "export-denylist": "",
            "export-rate-limit": "-1",
            "field-filters": "",
            "enable-container-names": "true",
            "enable-container-labels": "true",
            "enable-process-cred": "true",
            "enable-process-ns": "true",
            "enable-ancestors": _KINDS,
            "sensor": "ebpf",
        }
        return main([f"--{name}={value}" for name, value in flags.items()])
