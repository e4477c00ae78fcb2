# SPDX-License-Identifier: Apache-2.0
"""Work in processes of its own, so that no input can take the harvest down with it.

multiprocessing.Pool waits forever for a worker that was killed, and concurrent.futures gives up
all work; here the input that a worker died of is known, and the rest goes on in a new one.
"""

from __future__ import annotations

import multiprocessing
import resource
import signal
import sys
import time
from collections import deque
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any, Callable, Deque, Dict, Generator, Iterable, List, NoReturn, Tuple, Union

from tetrapy.btf.harvest import limits
from tetrapy.errors import FormatError, TetrapyError
from tetrapy.named import NamedTuple

_STOP_SECONDS = 10
# What stops a harvest; handled by the process that started it.
_PARENTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# The worker's own alarm comes first; this is for a worker that does not hear it.
_DEADLINE = limits.SECONDS + limits.PAHOLE_SECONDS + 60


class Started(NamedTuple):
    """The work of that number was begun."""

    number: int


class Finished(NamedTuple):
    """The work of that number gave a result, or raised: `error` is "" or the reason."""

    number: int
    result: Any
    error: str


class _Worker(NamedTuple):
    process: Any
    connection: Connection


class _Busy(NamedTuple):
    worker: _Worker
    number: int
    deadline: float


def run(
    work: Callable[[int], Any], numbers: Iterable[int], jobs: int
) -> Generator[Union[Started, Finished], None, None]:
    """Call `work` with each number, at most `jobs` at a time; what it returns must be picklable.

    A worker that is killed, or takes too long or too much memory, ends its number with an error.
    """
    waiting: Deque[int] = deque(numbers)
    idle: List[_Worker] = []
    busy: Dict[Connection, _Busy] = {}
    try:
        while waiting or busy:
            while waiting and len(busy) < jobs:
                others = [worker.connection for worker in idle] + list(busy)
                worker = idle.pop() if idle else _start(work, others)
                number = waiting.popleft()
                busy[worker.connection] = _Busy(worker, number, time.monotonic() + _DEADLINE)
                # A worker that was killed while it was idle: its connection ends, as wait() sees.
                with suppress(OSError):
                    worker.connection.send(number)
                yield Started(number)
            first = min(entry.deadline for entry in busy.values())
            ready = wait(list(busy), max(0.0, first - time.monotonic()))
            for connection in [found for found in busy if found in ready]:
                ended = _answer(busy[connection])
                worker = busy.pop(connection).worker
                if worker.process.is_alive():
                    idle.append(worker)
                yield ended
            for entry in busy.values():
                if entry.deadline <= time.monotonic():
                    # Its connection ends with it, which is seen in the next turn.
                    entry.worker.process.kill()
    finally:
        _stop(idle + [entry.worker for entry in busy.values()])


def _start(work: Callable[[int], Any], others: List[Connection]) -> _Worker:
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(work, theirs, [ours, *others]), daemon=True)
    # Until the worker has handlers of its own: the parent's would run in it.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _PARENTS)
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    theirs.close()
    return _Worker(process, ours)


def _answer(entry: _Busy) -> Finished:
    try:
        result, error = entry.worker.connection.recv()
    except (EOFError, OSError):
        entry.worker.connection.close()
        entry.worker.process.join()
        code = entry.worker.process.exitcode
        how = f"killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return Finished(entry.number, None, f"the process that read it was {how}")
    return Finished(entry.number, result, error)


def _stop(workers: List[_Worker]) -> None:
    for worker in workers:
        worker.process.terminate()
    for worker in workers:
        worker.process.join(_STOP_SECONDS)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.connection.close()


def _serve(work: Callable[[int], Any], connection: Connection, others: List[Connection]) -> None:
    """A worker's life: numbers in, results out, until the connection ends."""
    # What the terminal sends is the parent's; it ends the workers, which clean up behind them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _terminated)
    signal.signal(signal.SIGALRM, _overdue)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _PARENTS)
    # A copy of the parent's end would keep this end alive when the parent is gone.
    for other in others:
        other.close()
    _soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    space = limits.ADDRESS_SPACE
    resource.setrlimit(
        resource.RLIMIT_AS, (space if hard == resource.RLIM_INFINITY else min(space, hard), hard)
    )
    while True:
        try:
            number = connection.recv()
        except EOFError:
            return
        # A parent that was killed has no use for it.
        with suppress(BrokenPipeError):
            connection.send(_guarded(work, number))


def _guarded(work: Callable[[int], Any], number: int) -> Tuple[Any, str]:
    signal.alarm(limits.SECONDS)
    try:
        return work(number), ""
    except TetrapyError as err:
        return None, str(err)
    except OSError as err:
        place = f" ({err.filename})" if err.filename else ""
        return None, (err.strerror or str(err)).lower() + place
    except MemoryError:
        return None, f"reading it takes more than {limits.ADDRESS_SPACE >> 30} GiB of memory"
    except Exception as err:  # noqa: BLE001  one input's oddity must not end the others' work
        return None, f"reading it failed in an unforeseen way: {type(err).__name__}: {err}"
    finally:
        signal.alarm(0)


def _terminated(_signal: int, _frame: Any) -> NoReturn:
    sys.exit(1)


def _overdue(_signal: int, _frame: Any) -> NoReturn:
    raise FormatError(f"reading it takes more than {limits.SECONDS} s")
