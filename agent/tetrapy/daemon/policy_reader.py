# SPDX-License-Identifier: Apache-2.0
"""Texts of policies are read by a process of their own, which ends when loading is over.

So the YAML library, the schema, the rules and what a document takes never are in the agent, and a
text that takes too much ends that process alone. Each way goes a line of JSON for each text.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import time
from typing import Callable, List, Tuple

from tetrapy.errors import KernelError, PolicyError, PolicyReaderError
from tetrapy.kernel import capabilities
from tetrapy.kernel.child import Child, killer, limit_memory, limit_time, stand_alone
from tetrapy.named import NamedTuple
from tetrapy.policy.plain import plain, policy_of
from tetrapy.policy.types import Policy
from tetrapy.uncaught import defect

MEMORY = 128 << 20  # bytes that reading may take
SECONDS = 20  # of processor time for a text
PATIENCE = 25.0  # seconds until it is given up, on whatever it waits: the agent waits meanwhile
MAX_REPLY = 16 << 20  # bytes of a policy, with all that aliases repeat

_PIECE = 1 << 16


class Read(NamedTuple):
    """A policy that keeps all rules, and what in it is probably not meant."""

    policy: Policy
    warnings: Tuple[str, ...]


class PolicyReader:
    """Starts the process for the first text, and anew after a text that was too much for it."""

    def __init__(self, between: Callable[[], None]) -> None:
        """`between` is called several times a second while a text is read; it may raise."""
        self._between = between
        self._child = Child()
        self._acquired = contextlib.ExitStack()
        self._requests = self._replies = -1

    def read(self, text: str) -> Read:
        """The policy in a text. Raises PolicyError with all mistakes; PolicyReaderError."""
        with contextlib.ExitStack() as failed:
            failed.callback(self.close)  # else the next text would get what is left of the answer
            try:
                if not self._child.pid:
                    self._start()
                reply = json.loads(self._exchanged(json.dumps(text).encode() + b"\n"))
            except OSError as err:
                what = f"there is no process that would read it: {err.strerror}"
                raise PolicyReaderError(what) from err
            failed.pop_all()
        if "defect" in reply:
            raise PolicyReaderError(reply["defect"])
        if "problems" in reply:
            raise PolicyError(reply["problems"])
        return Read(policy_of(reply["policy"]), tuple(reply["warnings"]))

    def close(self) -> None:
        """End the process; the next text starts another."""
        self._acquired.close()

    def _start(self) -> None:
        # What the agent needs as well is there before the fork, so that it is imported once.
        from tetrapy.policy import conditions, functions  # noqa: F401

        with contextlib.ExitStack() as theirs:
            requests, self._requests = os.pipe2(os.O_CLOEXEC)
            theirs.callback(os.close, requests)
            self._acquired.callback(os.close, self._requests)
            self._replies, replies = os.pipe2(os.O_CLOEXEC)
            theirs.callback(os.close, replies)
            self._acquired.callback(os.close, self._replies)
            os.set_blocking(self._requests, False)
            self._acquired.callback(self._child.kill)
            self._child.start(lambda: _serve(requests, replies))

    def _exchanged(self, request: bytes) -> bytes:
        """The answer to a line. Raises PolicyReaderError, OSError, and what `between` does."""
        poll = select.poll()
        poll.register(self._requests, select.POLLOUT)
        poll.register(self._replies, select.POLLIN)
        reply = bytearray()
        until = time.monotonic() + PATIENCE
        while not reply.endswith(b"\n"):
            ready = dict(poll.poll(200))
            self._between()
            if self._replies in ready:
                piece = os.read(self._replies, _PIECE)
                if not piece:
                    raise PolicyReaderError(f"the process that reads it was ended {self._end()}")
                reply += piece
                if len(reply) > MAX_REPLY:
                    raise PolicyReaderError(f"the process that reads it wrote {len(reply)} bytes")
            elif self._requests in ready:
                request = request[os.write(self._requests, request[:_PIECE]) :]
                if not request:
                    poll.unregister(self._requests)
            if time.monotonic() > until:
                raise PolicyReaderError(f"the process that reads it was silent {PATIENCE:.0f} s")
        return bytes(reply)

    def _end(self) -> str:
        status = self._child.wait() or 0
        if os.WIFSIGNALED(status):
            return f"by {killer(os.WTERMSIG(status))}"
        return f"with exit code {os.WEXITSTATUS(status)}"


def _serve(requests: int, replies: int) -> None:
    """The process: a line for each text, until there are no more."""
    stand_alone(requests, replies)
    limit_memory(MEMORY)
    with contextlib.suppress(KernelError):  # a seccomp filter forbids it
        capabilities.drop_all_but(())
    with open(requests, "rb") as texts:
        for line in texts:
            limit_time(SECONDS)
            reply = _answer(json.loads(line)) + b"\n"
            while reply:
                reply = reply[os.write(replies, reply[:_PIECE]) :]


def _answer(text: str) -> bytes:
    """What a text is, as JSON of ASCII."""
    try:
        from tetrapy.policy.read import read_policy  # here alone: the agent has none of it

        found = read_policy(text)
        warnings = [str(warning) for warning in found.warnings]
        reply = json.dumps({"policy": plain(found.policy), "warnings": warnings}).encode()
    except PolicyError as err:
        return _problems([str(problem) for problem in err.problems])
    except MemoryError:
        return _problems([f"reading it takes more than {MEMORY >> 20} MiB of memory"])
    except Exception as err:  # noqa: BLE001 - reported as the agent's own
        return json.dumps({"defect": defect(err)}).encode()
    if len(reply) >= MAX_REPLY:
        return _problems([f"has more than {MAX_REPLY >> 20} MiB, with all that aliases repeat"])
    return reply


def _problems(problems: List[str]) -> bytes:
    return json.dumps({"problems": problems}).encode()
