# SPDX-License-Identifier: Apache-2.0
"""What is known of containers: each is asked for once, by a thread, so that no event waits for a
runtime longer than it is told to (tetrapy.process.pending).

Made when the first process in a container shows up; a host without containers has nothing of it.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from typing import Callable, Deque, Dict, List, Optional, Sequence, Tuple

from tetrapy.containers.cgroup import ContainerRef
from tetrapy.containers.known import weight
from tetrapy.containers.questions import Questions
from tetrapy.events.container import Container, Membership, Pod

MAX_BYTES = 4 << 20  # of what is remembered of containers
MAX_ASKED = 4096  # containers that wait to be asked for
_REFRESH = 30.0  # seconds after which a new process has its container asked for again: names change
_FIXED = 900  # bytes of an entry beside its texts

# Which runtimes a source knows, and what asks it: None where it does not know the container.
Ask = Callable[[ContainerRef], Optional[Pod]]
Source = Tuple[Sequence[str], Ask]


class _Entry:
    """A container that was asked for."""

    __slots__ = ("asked", "is_asked", "membership", "ref", "size")

    def __init__(self, ref: ContainerRef, membership: Membership) -> None:
        self.ref = ref
        self.membership = membership
        self.asked = 0.0  # when, by the monotonic clock
        self.is_asked = False  # whether the answer is still to come
        self.size = 0  # bytes, as far as they are counted


class Containers:
    """Remembers containers, those that were used last, in so many bytes."""

    def __init__(
        self,
        sources: Callable[[], Sequence[Source]],
        with_labels: bool = True,
        max_bytes: int = MAX_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`sources` is called once, by the thread that asks them, in their order."""
        self._sources = sources
        self._with_labels = with_labels
        self._max_bytes = max_bytes
        self._clock = clock
        self._entries: OrderedDict[ContainerRef, _Entry] = OrderedDict()
        self._questions: Questions[_Entry] = Questions(MAX_ASKED)
        self._answers: Deque[Tuple[_Entry, Optional[Pod]]] = deque()
        self._thread: Optional[threading.Thread] = None
        self._new: List[Membership] = []
        # Told of containers of which something else is known.
        self.changed: Callable[[List[Tuple[ContainerRef, Membership]]], None] = lambda _: None
        self.bytes = 0
        self.unanswered = 0
        # By outcome: questions to runtimes; `refused` were not asked, as too many waited already.
        self.lookups: Dict[str, int] = {"found": 0, "unknown": 0, "refused": 0}

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, ref: ContainerRef) -> Membership:
        """What is known of the container; asked for at the first time, and now and then."""
        entry = self._entries.get(ref)
        if entry is None:
            return self._add(ref)
        self._entries.move_to_end(ref)
        if ref.docker and not entry.is_asked and self._clock() - entry.asked >= _REFRESH:
            self._ask(entry)
        return entry.membership

    def _add(self, ref: ContainerRef) -> Membership:
        entry = _Entry(ref, Membership())
        if ref.docker:
            entry.membership.waits = self._ask(entry)
            if entry.membership.waits:
                self._new.append(entry.membership)
        else:  # its cgroup has said all
            entry.membership.pod = Pod(Container(f"{ref.runtime}://{ref.id}", ref.id))
        self._entries[ref] = entry
        self._weigh(entry)
        return entry.membership

    def _ask(self, entry: _Entry) -> bool:
        entry.asked = self._clock()
        if not self._questions.put(entry.ref.maker, entry):
            self.lookups["refused"] += 1
            return False
        if self._thread is None:
            self._thread = threading.Thread(target=self._answer, name="containers", daemon=True)
            self._thread.start()
        entry.is_asked = True
        self.unanswered += 1
        return True

    def _weigh(self, entry: _Entry) -> None:
        """Its size has changed, or it is new: the ones that were not used for longest go."""
        size = _FIXED + weight(entry.membership.pod)
        self.bytes += size - entry.size
        entry.size = size
        while self.bytes > self._max_bytes and len(self._entries) > 1:
            self.bytes -= self._entries.popitem(last=False)[1].size

    def take_new(self) -> List[Membership]:
        """Those whose events are to wait, since the last call."""
        new, self._new = self._new, []
        return new

    def settle(self) -> List[Membership]:
        """Take in what was answered; returns those of which something else is known now."""
        changed, named = [], []
        while self._answers:
            entry, pod = self._answers.popleft()
            self.unanswered -= 1
            entry.is_asked = False
            membership = entry.membership
            membership.waits = False
            self.lookups["unknown" if pod is None else "found"] += 1
            if pod is not None:
                membership.pod = pod
                if self._entries.get(entry.ref) is entry:
                    self._weigh(entry)
            changed.append(membership)
            named.append((entry.ref, membership))
        if named:
            self.changed(named)
        return changed

    def close(self) -> None:
        """The thread ends when it has its answer."""
        if self._thread is not None:
            self._questions.close()

    # --- in the thread ----------------------------------------------------------------------

    def _answer(self) -> None:
        sources = self._sources()
        while True:
            entry = self._questions.take()
            if entry is None:
                return
            pod = _found(sources, entry.ref)
            if pod is not None and not self._with_labels:
                pod.container.labels.clear()
            self._answers.append((entry, pod))


def _found(sources: Sequence[Source], ref: ContainerRef) -> Optional[Pod]:
    """What is known of the container, or else of the outermost one that it is in.

    Who may make cgroups in a container could leave it for one that nobody knows.
    """
    pod = _asked(sources, ref)
    if pod is None and ref.outer is not None:
        return _asked(sources, ref.outer)
    return pod


def _asked(sources: Sequence[Source], ref: ContainerRef) -> Optional[Pod]:
    """The first answer; sources that know the runtime are asked first."""
    ordered = sorted(sources, key=lambda source: bool(ref.runtime) and ref.runtime not in source[0])
    for _, ask in ordered:
        try:
            pod = ask(ref)
        # What others wrote, or answered, must not end the thread, whatever it is. Events that go
        # without a name because of it are counted where they wait.
        except Exception:  # noqa: S112, BLE001 - the next source may know it
            continue
        if pod is not None:
            return pod
    return None
