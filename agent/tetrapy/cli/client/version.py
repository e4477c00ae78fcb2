# SPDX-License-Identifier: Apache-2.0
"""`version`: of this program, of what runs it, and of the agent that answers."""

from __future__ import annotations

import platform
from typing import List

from tetrapy.cli.client.arguments import Values
from tetrapy.cli.config import write
from tetrapy.version import __version__


def run(options: Values, _arguments: List[str]) -> int:
    """Print it; returns the exit code."""
    lines = [f"CLI version: {__version__}"]
    if options["server"]:
        from tetrapy.cli.client.session import SENSORS, call

        # What is known already is reported even when nobody answers.
        written = write(lines.pop() + "\n")
        if written:
            return written
        reply = call(options, "retrieve server version", f"{SENSORS}/GetVersion")
        lines.append(f"Server version: {reply.get('version', '')}")
    if options["build"]:
        from tetrapy.kernel.libbpf import libbpf

        lines.append(f"PythonVersion: {platform.python_version()}")
        lines.append(f"LibbpfVersion: {libbpf().libbpf_version_string().decode()}")
    return write("\n".join(lines) + "\n")
