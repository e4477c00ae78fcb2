# SPDX-License-Identifier: Apache-2.0
"""What the parts of a scan share: the memory, the reference process, and what has been found."""

from __future__ import annotations

from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    List,
    Mapping,
    Sequence,
    Tuple,
    TypeVar,
)

from tetrapy.btf.inference.memory import Memory, Unreadable
from tetrapy.btf.inference.reference_process import ReferenceProcess

# More than the task_struct of any configuration, in bytes; CPU masks for 8192 CPUs and the buffers
# of batched TLB flushes, of 1 KiB each, included.  The FPU's state is behind what is looked for.
TASK_SIZE = 16384

_Place = TypeVar("_Place")
# Question -> all places that answer it.
Places = Mapping[str, Sequence[Any]]


class Undecided(Exception):
    """Something is found nowhere, or in several places."""


class Unreached(Undecided):
    """What this starts from was not found: of what went wrong, a consequence."""


class Finder:
    """`found` maps short names of queries to offsets in bytes, sizes or values.

    `places` are all for each question to which there is one answer, `is_ambiguous` whether some had
    several. `words` are the first words of the thread's, the leader's and the parent's task_struct;
    of each at least `end` bytes can be read.
    """

    def __init__(self, reference: ReferenceProcess, earlier: Places) -> None:
        """`earlier`: what other scans of this kernel found."""
        self.reference = reference
        self._earlier = earlier
        self.places: Dict[str, Sequence[Any]] = {}
        self.is_ambiguous = False
        self.memory = Memory(reference.read)
        self.found: Dict[str, int] = {}
        self.words: List[List[int]] = []
        self.end = 0

    def read_tasks(self) -> None:
        """Read as much of the three tasks as there is."""
        known = (self.reference.thread, self.reference.leader, self.reference.parent)
        count = TASK_SIZE // 8
        self.words = [self.memory.some_words(task.address, count) for task in known]
        self.end = 8 * min(map(len, self.words))

    def task(self, name: str) -> int:
        """The offset of a field of task_struct that has been found, else Unreached."""
        return self.place(f"task_struct.{name}")

    def place(self, name: str) -> int:
        """What has been found for a short name, else Unreached."""
        if name not in self.found:
            raise Unreached(f"{name}, from which the way goes on, was not found")
        return self.found[name]

    def search(self, what: str, places: Iterable[_Place], fits: Callable[[_Place], bool]) -> _Place:
        """The only one of these places that fits, which no unreadable one does; else Undecided."""
        return self.only(what, [place for place in places if self.holds(fits, place)])

    def first(self, what: str, found: Sequence[Tuple[Any, ...]]) -> Tuple[Any, ...]:
        """The only candidate among those behind the pointers of a task; Undecided otherwise.

        Each starts with the pointer's offset and the place in what it leads to, places of one
        pointer ascending.  Only its first place counts: behind a structure stand others of its
        kind, dead ones too, with the values of the reference process's relatives and forerunners.
        """
        pointers: Dict[int, Tuple[Any, ...]] = {}
        for one in found:
            pointers.setdefault(one[0], one)
        return self.only(what, list(pointers.values()))

    def only(self, what: str, places: Sequence[_Place]) -> _Place:
        """The only one of these places, or of those that an earlier scan found too; else Undecided.

        What is somewhere by chance is elsewhere in the next process.
        """
        left = [place for place in places if place in self._earlier.get(what, places)]
        self.places[what] = left or places
        if len(places) == 1 or len(left) == 1:
            return (left or places)[0]
        self.is_ambiguous = self.is_ambiguous or bool(places)
        listed = ", ".join(map(str, places[:4]))
        where = f"in {len(places)} places ({listed})" if places else "not"
        raise Undecided(f"{what} was {where} found")

    def holds(self, fits: Callable[[_Place], bool], place: _Place) -> bool:
        """Whether a place fits."""
        try:
            return fits(place)
        except Unreadable:
            return False
