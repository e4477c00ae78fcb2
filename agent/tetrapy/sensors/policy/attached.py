# SPDX-License-Identifier: Apache-2.0
"""What one hook of a policy has in the kernel."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING, Callable, Iterator, List, Optional, Tuple

from tetrapy.errors import KernelError
from tetrapy.kernel import links
from tetrapy.kernel.bpf_object import BpfObject
from tetrapy.kernel.programs import program_info
from tetrapy.kernel.waits import call_all
from tetrapy.sensors.policy.attachment import Attach
from tetrapy.sensors.policy.counts import HookCounts
from tetrapy.sensors.policy.exits import Taken
from tetrapy.sensors.policy.place import Place
from tetrapy.sensors.policy.slots import Slot
from tetrapy.sensors.policy.tables import HookTable

if TYPE_CHECKING:
    from tetrapy.sensors.policy.programs import Programs


_NOT_PERMITTED = frozenset((errno.EPERM, errno.EACCES))


def _nothing() -> None:
    """There is nothing to be said."""


@contextlib.contextmanager
def explained(explain: Callable[[], None]) -> Iterator[None]:
    """Ask why the kernel refuses a hook. Raises what `explain` does, or else KernelError."""
    try:
        yield
    except KernelError as err:
        if err.errno not in _NOT_PERMITTED:
            explain()
        raise


class AttachedHook:
    """A hook whose table and programs are in the kernel; `close` takes it out."""

    def __init__(self, programs: Programs) -> None:
        self._programs = programs
        self._hooks: List[int] = []
        self._sets: List[int] = []
        # Slots, file descriptors of what is in them, and the tables of those that act.
        self._tables: List[Tuple[int, int, Optional[HookTable]]] = []
        self.acts = False
        self.attachments: List[Attach] = []  # that are still to be done
        self.opened: List[links.Event] = []  # ... and what is open for them
        self.explain = _nothing  # says why the kernel refuses to, as that of Plan does
        self.links: List[links.Link] = []
        self.arrays: List[int] = []  # file descriptors of the arrays of programs that these run
        self.objects: List[BpfObject] = []  # until it is attached: each is a megabyte
        self._kept: List[int] = []  # file descriptors
        self.programs: List[Tuple[Place, int]] = []  # of this hook alone, by file descriptor
        self.tracepoints: List[Tuple[str, ...]] = []
        self.taken: Taken = []  # functions
        self.kernel_memory = 0  # bytes of what only this hook has

    def own(self, place: Place, loaded: BpfObject, program: str) -> None:
        """An object is of this hook alone; its program will be attached at the place."""
        self.objects.append(loaded)
        self.programs.append((place, self.keep(loaded.program_fds()[program])))
        self.kernel_memory += loaded.kernel_memory()

    def add(self, attachment: Attach) -> None:
        """Something is to be attached, behind what is to be so already."""
        self.attachments.append(attachment)

    def attach(self) -> None:
        """Have the programs run. Raises KernelError; what is attached then goes with `close`."""
        with explained(self.explain):
            while self.attachments:
                self.links.append(self.attachments.pop(0)())
        self.explain = _nothing  # it has all of the policy
        while self.objects:
            self.objects.pop().close()

    def keep(self, fd: int) -> int:
        """A file descriptor of the hook's own, of what an object has."""
        self._kept.append(os.dup(fd))
        return self._kept[-1]

    def put_table(self, table: HookTable) -> int:
        """The slot of the table. Raises KernelError."""
        for one in table.filters:
            if one.members:
                placed = self._programs.slots.put_set(one.members, one.says)
                self._sets.append(self._counted(placed))
        self._programs.slots.make_maps(table)
        data = self._programs.writer.written(table, self._sets)
        fd = self._programs.slots.make_hook(data)
        self._kept.append(fd)
        self.acts = self._programs.writer.acts(table)
        slot = self._counted(self._programs.slots.put_made_hook(fd))
        self._hooks.append(slot)
        self._tables.append((slot, fd, table if self.acts else None))
        self._programs.slots.start_counts(slot)
        return slot

    def silence(self, yes: bool) -> None:
        """Have calls be told to nobody, and go on acting; or not: from `settle` of the slots on.

        A hook that only tells looks at no call then. Raises KernelError.
        """
        slots, writer = self._programs.slots, self._programs.writer
        posts = writer.action_flags["ACTION_POST"]
        for slot, fd, table in self._tables:
            if not yes:
                slots.replace_hook(slot, fd)
            elif table is None:
                slots.empty_hook(slot)
            else:
                actions = tuple(one._replace(flags=one.flags & ~posts) for one in table.actions)
                quiet = writer.written(table._replace(actions=actions), self._sets)
                silent = slots.make_hook(quiet)
                try:
                    slots.replace_hook(slot, silent)
                finally:
                    os.close(silent)  # it is in the slot

    def counts(self) -> Optional[HookCounts]:
        """What the kernel side counted since it was loaded; None for an enforcer, which has no
        table. Raises KernelError.
        """
        return self._programs.slots.counts(self._hooks[0]) if self._hooks else None

    def missed_by_links(self) -> int:
        """Calls that kprobes of this hook missed."""
        return sum(link.missed() for link in list(self.links))

    def missed_by_programs(self) -> int:
        """Runs of programs of this hook alone that the kernel skipped. Raises KernelError."""
        return sum(program_info(fd).misses for _, fd in list(self.programs))

    def _counted(self, slot: Slot) -> int:
        self.kernel_memory += slot.kernel_memory
        return slot.number

    def detach(self) -> None:
        """Stop the programs; safe to call twice."""
        call_all(self.ends())

    def ends(self) -> List[Callable[[], None]]:
        """What stops the programs, for the caller to call, in any order; it is no longer ours."""
        ends = [link.close for link in self.links] + [one.close for one in self.opened]
        self.attachments, self.links, self.opened = [], [], []
        return ends

    def close(self) -> None:
        """Detach, then forget the table."""
        self.detach()
        for loaded in self.objects:
            loaded.close()
        while self._kept:
            os.close(self._kept.pop())
        self._programs.slots.give_back(self._hooks, self._sets)
        self._programs.give_back(self.tracepoints, self.taken)
        self.objects, self.programs, self.tracepoints, self.arrays = [], [], [], []
        self._hooks, self._sets, self._tables = [], [], []
