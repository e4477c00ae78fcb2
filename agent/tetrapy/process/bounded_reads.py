# SPDX-License-Identifier: Apache-2.0
"""Reads about a process that somebody can keep from ending, with a deadline.

Whoever holds the lock of his process's memory keeps all waiting who read its arguments, environment
or mappings; a mapped file of a FUSE that never answers is enough, which any user may have. A path
may lead into such a file system, too. No signal ends that wait but one that ends the whole reader.

So a helper, a thread, makes these reads. When it does not get on it is left where it waits, and
another one goes on. What cannot be read is made up for by the same read without what may wait. Who
has left helpers waiting is not waited for again for a while, and there are never many of them.
"""

from __future__ import annotations

import time
from _thread import allocate_lock, get_native_id, start_new_thread
from collections import Counter
from typing import Any, Callable, Dict, Hashable, List, Optional, Sequence, Tuple, TypeVar

T = TypeVar("T")
Read = Callable[[int, bool], T]
"""Reads about a pid; the second argument says whether it may wait for others."""

DEADLINE = 0.1  # seconds without an answer after which a helper is left
PATIENCE = 10  # deadlines that the machine's root gets: his processes are slow, not hostile
WINDOW = 10.0  # seconds for which it is remembered who did not answer
MOST_OF_OWNER, MOST = 2, 8  # reads without an answer that are remembered, of one owner and of all


class BoundedReads:
    """Reads of one procfs. Threads that ask wait for one another."""

    def __init__(
        self, owner_of: Callable[[int], Hashable], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`owner_of` tells, without waiting, who answers for a pid; 0 is the machine's root."""
        self._owner_of = owner_of
        self._clock = clock
        self._asking = allocate_lock()
        self._helper: Optional[_Helper] = None
        self._waiting: Dict[_Helper, Tuple[int, Hashable]] = {}  # left, for a pid of an owner
        self._failures: Counter[Hashable] = Counter()
        self._forget_at = 0.0
        self.unanswered = 0  # reads that were given up
        self.refused = 0  # reads that were not tried, after others of their owner
        self.owner: Hashable = None  # of the last one that was given up

    @property
    def waiting(self) -> int:
        """Helpers that were left and wait still."""
        return len(self._waiting)

    def one(self, pid: int, read: Read[T], deadline: float = DEADLINE) -> T:
        """What is read about a pid, by `read(pid, False)` if there is no answer in time."""
        return self.each((pid,), read, deadline=deadline)[0]

    def each(
        self,
        pids: Sequence[int],
        read: Read[T],
        alive: Callable[[], object] = lambda: None,
        deadline: float = DEADLINE,
    ) -> List[T]:
        """The same of many, in their order; `alive` is called now and then while it lasts.

        Raises what `read` raises.
        """
        with self._asking:
            return self._each(pids, read, alive, deadline)

    def _each(
        self,
        pids: Sequence[int],
        read: Read[T],
        alive: Callable[[], object],
        deadline: float,
    ) -> List[T]:
        answers: List[T] = []
        while len(answers) < len(pids):
            batch = _Batch(pids[len(answers) :], read, self._admits)
            try:
                helper = self._helper = self._helper or _Helper(self._waiting)
            except RuntimeError:  # there are no more threads to be had
                self.refused += len(batch.pids)
                return answers + [read(pid, False) for pid in batch.pids]
            helper.take(batch)
            seen = waited = 0
            while not batch.ended.acquire(timeout=deadline):
                alive()
                waited = waited + 1 if len(batch.answers) == seen else 0
                if waited and self._leave(helper, batch, waited):
                    break
                seen = len(batch.answers)
            answers += batch.answers
            if batch.is_left:
                answers.append(read(pids[len(answers)], False))
            elif batch.error is not None:
                raise batch.error
        return answers

    def rest(self) -> None:
        """Have the helper end: it has the rights that this thread had when the first read was
        asked for, and the next one those of then.
        """
        with self._asking:
            if self._helper is not None:
                self._helper.take(None)
                self._helper = None

    def _leave(self, helper: _Helper, batch: _Batch, waited: int) -> bool:
        """Leave the helper where it has waited for so many deadlines, unless it gets on."""
        seen = len(batch.answers)
        if helper.is_running() or seen == len(batch.pids):
            return False
        pid = batch.pids[seen]
        owner = self._owner_of(pid)
        if owner == 0 and waited < PATIENCE:
            return False
        self._waiting[helper] = (pid, owner)
        if not batch.leave(seen):
            del self._waiting[helper]
            return False
        self._helper = None
        if not self._failures:
            self._forget_at = self._clock() + WINDOW
        self._failures[owner] += 1
        self.owner = owner
        self.unanswered += 1
        return True

    def _admits(self, pid: int) -> bool:
        """Whether a read about `pid` may wait."""
        if not self._failures:
            return True
        waiting = list(self._waiting.values())
        if self._clock() >= self._forget_at:
            self._forget_at = self._clock() + WINDOW
            self._failures = Counter(owner for _, owner in waiting)
        if (
            sum(self._failures.values()) < MOST
            and self._failures[self._owner_of(pid)] < MOST_OF_OWNER
            and all(pid != unanswered for unanswered, _ in waiting)
        ):
            return True
        self.refused += 1
        return False


class _Helper:
    """A thread that makes reads until it has been left.

    It is not one of `threading`, by whose count others decide whether they may fork: it holds
    nothing while it has nothing to do.
    """

    def __init__(self, waiting: Dict[_Helper, Tuple[int, Hashable]]) -> None:
        """`waiting` has it as long as it waits after it was left. Raises RuntimeError."""
        self._waiting = waiting
        self._batch: Optional[_Batch] = None
        self._thread = 0
        self._wake = allocate_lock()
        self._wake.acquire()
        start_new_thread(self._run, ())

    def take(self, batch: Optional[_Batch]) -> None:
        """Have it make these reads, or end; it has none to make."""
        self._batch = batch
        self._wake.release()

    def is_running(self) -> bool:
        """Whether it has, or wants, a processor: it is slow then, and does not wait for others."""
        if not self._thread:
            return True
        try:
            with open(f"/proc/self/task/{self._thread}/stat", "rb", buffering=0) as file:
                stat = file.read()
        except OSError:
            return False
        return stat[stat.rfind(b")") + 2 :][:1] == b"R"

    def _run(self) -> None:
        self._thread = get_native_id()
        is_left = False
        while not is_left:
            self._wake.acquire()
            batch, self._batch = self._batch, None
            if batch is None:
                return
            batch.run()
            is_left = batch.is_left
        del self._waiting[self]


class _Batch:
    """Reads one after the other."""

    def __init__(self, pids: Sequence[int], read: Read[Any], admits: Callable[[int], bool]) -> None:
        self.pids = pids
        self._read = read
        self._admits = admits
        self._lock = allocate_lock()
        self.answers: List[Any] = []
        self.error: Optional[BaseException] = None
        self.is_left = False
        self.ended = allocate_lock()
        self.ended.acquire()

    def run(self) -> None:
        """Make them, until nobody waits for them any more."""
        try:
            for pid in self.pids:
                answer = self._read(pid, self._admits(pid))
                with self._lock:
                    if self.is_left:
                        return
                    self.answers.append(answer)
        except BaseException as err:  # noqa: BLE001 - who asked raises it
            self.error = err
        self.ended.release()

    def leave(self, seen: int) -> bool:
        """Take no more answers, if there are only those that were seen."""
        with self._lock:
            self.is_left = len(self.answers) == seen and self.error is None
            return self.is_left
