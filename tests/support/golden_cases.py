# SPDX-License-Identifier: Apache-2.0
"""The records behind tests/data/events/*.bin, said in words.

`PYTHONPATH=agent python -m tests.support.records` writes the .bin files from this; the .jsonl files
beside them were read by a person and say what the records must become.
"""

from __future__ import annotations

from tests.support.records import SECOND, Task, execute, exit_of, fork, long_exec

KERNEL = Task(0)
INIT = Task(1, SECOND)
SHELL = Task(700, 2 * SECOND)
CHILD = Task(701, 3 * SECOND)
CONTAINER = Task(702, 4 * SECOND)

_INIT = execute(
    INIT,
    KERNEL,
    path=b"/sbin/init",
    argv=(b"/sbin/init",),
    cwd=b"",
    flags=["EXEC_CWD_ROOT"],
    at=SECOND + 1_000_000,
)
_SHELL = [
    fork(SHELL, INIT, at=2 * SECOND + 100),
    execute(
        SHELL,
        INIT,
        path=b"/bin/sh",
        argv=(b"sh", b"-c", b'echo "hi"; ls'),
        at=2 * SECOND + 200,
        uid=1000,
        auid=1001,
    ),
]


def cases() -> dict[str, list[bytes]]:
    """File name without its end -> records."""
    return {
        "command": [
            _INIT,
            *_SHELL,
            fork(CHILD, SHELL, at=3 * SECOND + 1),
            execute(CHILD, SHELL, path=b"./ls", argv=(b"ls", b"-l", b""), at=3 * SECOND + 2_000),
            exit_of(CHILD, code=0x200, at=4 * SECOND),
        ],
        "subshell": [
            _INIT,
            *_SHELL,
            fork(CHILD, SHELL, at=3 * SECOND + 1),
            exit_of(CHILD, code=9, at=4 * SECOND),
            execute(
                SHELL, INIT, path=b"/bin/bash", argv=(b"bash",), at=5 * SECOND, uid=1000, auid=1001
            ),
            exit_of(SHELL, code=0x8B, at=6 * SECOND),
            exit_of(Task(99, 7 * SECOND), at=8 * SECOND),
        ],
        "container": [
            _INIT,
            fork(CONTAINER, INIT, at=4 * SECOND + 1, inner_pid=1),
            execute(
                CONTAINER,
                INIT,
                path=b"/caf\xc3\xa9\xff\xfe/run",
                argv=(b"run", b"\xe2\x80\xa8", b"a\tb\x01\x7f\\"),
                cwd=b"/srv/app",
                cgroup=b"docker-" + b"0123456789abcdef" * 4 + b".scope",
                at=4 * SECOND + 2,
                inner_pid=1,
            ),
            exit_of(CONTAINER, at=5 * SECOND),
        ],
        "long_arguments": [
            _INIT,
            *long_exec(INIT, KERNEL, [b"prog", b"x y", *[b"z" * 99] * 90], at=9 * SECOND),
        ],
    }
