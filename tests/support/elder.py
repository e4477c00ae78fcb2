# SPDX-License-Identifier: Apache-2.0
"""A process that is older than the agent."""

from __future__ import annotations

import subprocess

from tests.support.agent import TIMEOUT


class Elder:
    """A process that is older than the agent and goes on when it is told to."""

    def __init__(self, argv: list[str | bytes], **options) -> None:
        self.tag = argv[1]
        self.process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options
        )
        assert self.process.stdout.readline() == b"here\n"
        self.pid = self.process.pid

    def go_on(self) -> int:
        """Let it go on to its end; the exit status."""
        self.process.stdin.close()
        return self.process.wait(timeout=TIMEOUT)

    def close(self) -> None:
        with self.process as process:
            process.kill()
