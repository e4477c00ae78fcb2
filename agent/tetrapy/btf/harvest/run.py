# SPDX-License-Identifier: Apache-2.0
"""A harvest from beginning to end: inputs in, BTFs in BTFHub's layout out."""

from __future__ import annotations

import os
from contextlib import closing
from typing import Callable, Dict, List, Sequence, Union

from tetrapy.btf.harvest import pool, task
from tetrapy.btf.harvest.extract import NoKernelError
from tetrapy.btf.harvest.identity import checked_options
from tetrapy.btf.harvest.journal import Entry, stamp_of
from tetrapy.btf.harvest.options import Options, Unpackers
from tetrapy.btf.harvest.output_tree import OutputTree, Owner
from tetrapy.btf.harvest.result import (
    ALREADY_THERE,
    DAMAGED,
    DONE,
    SKIPPED,
    Outcome,
    Progress,
    Result,
    reason,
)
from tetrapy.btf.harvest.sources import Source, expand
from tetrapy.errors import HarvestError, SettingsError
from tetrapy.visible import printable


def harvest(
    inputs: Sequence[str],
    output: str,
    options: Options,
    unpackers: Unpackers,
    progress: Callable[[Progress], None],
) -> Result:
    """Write the BTF of every kernel in the inputs to `output`/ID/VERSION_ID/arch/<release>.btf.

    An input is a path: a kernel image, a raw BTF, a .deb, an .rpm, a BTFHub file, a symbol file of
    Volatility 3, a directory of these, `@FILE` (or FILE.list, FILE.txt) with one input a line, or
    /sys/kernel/btf.  What was done by an earlier run and has not changed is kept.  `progress` is
    called in this process, when an input is begun and when one is finished.

    HarvestError: nothing can be done at all (a list of inputs cannot be read, the output directory
    cannot be written or another harvest is at it); SettingsError: impossible options.  What is
    wrong with one input is in its Outcome.
    """
    options = checked_options(options)
    sources = expand(inputs, output, options.root)
    if options.release and len(sources) > 1:
        raise SettingsError(f"--release names one kernel, and there are {len(sources)} inputs")
    with closing(OutputTree(output)) as place:
        return _Harvest(sources, place, options, unpackers, progress).run()


class _Harvest:
    """One run: outcomes by the number of the source, filled in any order."""

    def __init__(
        self,
        sources: List[Source],
        place: OutputTree,
        options: Options,
        unpackers: Unpackers,
        progress: Callable[[Progress], None],
    ) -> None:
        self._sources = sources
        self._place = place
        self._options = options
        self._unpackers = unpackers
        self._progress = progress
        self._outcomes: Dict[int, Outcome] = {}
        self._size = 0

    def run(self) -> Result:
        """All inputs, those that are done already first."""
        open_numbers = [number for number in range(len(self._sources)) if not self._settled(number)]
        jobs = self._options.jobs or len(os.sched_getaffinity(0))
        events = pool.run(self._work, open_numbers, min(jobs, len(open_numbers)))
        try:
            for event in events:
                if isinstance(event, pool.Finished):
                    self._outcomes[event.number] = self._ended(event)
                    self._place.discard(event.number)
                self._show(self._sources[event.number].path)
        finally:
            # Now, not when the garbage is collected: workers are stopped by it.
            events.close()
        return Result([self._outcomes[number] for number in range(len(self._sources))])

    def _settled(self, number: int) -> bool:
        """Whether an input needs no work; its outcome is noted then."""
        source = self._sources[number]
        if source.error:
            self._outcomes[number] = Outcome(source.path, DAMAGED, error=source.error)
        elif not self._options.force:
            entry = self._place.journal.entries.get(os.path.abspath(source.path))
            if entry and self._unchanged(entry) and self._place.holds(entry):
                self._outcomes[number] = Outcome(
                    source.path, ALREADY_THERE, entry.key, notes=tuple(entry.notes)
                )
        return number in self._outcomes

    def _unchanged(self, entry: Entry) -> bool:
        try:
            return entry.stamp == stamp_of(entry.path) and entry.names == self._names()
        except OSError:
            return False

    def _names(self) -> List[str]:
        options = self._options
        modules = "modules" if options.modules else ""
        return [options.id, options.version_id, options.arch, options.release, modules]

    def _work(self, number: int) -> Union[task.Made, task.NoRoom, str]:
        """In a worker: what was made, or why the input has no kernel and need not have one."""
        source = self._sources[number]
        scratch = self._place.scratch(number)
        try:
            os.mkdir(scratch)
            return task.make(source.path, scratch, self._options, self._unpackers)
        except NoKernelError as err:
            if source.named:
                raise
            return str(err)
        except OSError as err:
            if err.errno not in task.NO_ROOM:
                raise
            return task.NoRoom(reason(err))

    def _ended(self, event: pool.Finished) -> Outcome:
        path = self._sources[event.number].path
        if event.error:
            own = f" ({path})"  # is reported with the outcome
            error = event.error[: -len(own)] if event.error.endswith(own) else event.error
            return Outcome(path, DAMAGED, error=printable(error))
        if isinstance(event.result, task.NoRoom):
            raise HarvestError(
                f"the output directory {self._place.directory} cannot be written to:"
                f" {event.result.reason}; {len(self._sources) - len(self._outcomes)} inputs are"
                " left. What was done is kept: the same command goes on when there is room"
            )
        if isinstance(event.result, str):
            return Outcome(path, SKIPPED, error=printable(event.result))
        return self._placed(event.number, event.result)

    def _placed(self, number: int, made: task.Made) -> Outcome:
        """Put a BTF in its place, unless another input's is there that has precedence."""
        path = self._sources[number].path
        place = os.path.abspath(path)
        notes = [printable(note) for note in made.notes]
        entry = Entry(
            place, made.stamp, self._names(), made.key, place, made.size, made.digest, notes
        )
        owner = self._place.owner(made.key)
        if owner and owner.entry.path != place:
            same = owner.entry.digest == made.digest
            if same or not self._goes_first(number, owner):
                return self._kept(path, entry, owner.entry)
            if owner.number >= 0:
                # It was faster, but named later.
                late = self._outcomes[owner.number]
                self._size -= late.size
                self._outcomes[owner.number] = self._kept(late.name, owner.entry, entry)
        self._place.take(number, made)
        self._place.own(number, entry)
        self._size += made.size
        return Outcome(path, DONE, made.key, made.size, tuple(notes))

    def _kept(self, path: str, entry: Entry, other: Entry) -> Outcome:
        """The outcome of an input whose kernel's BTF is there from another one."""
        if entry.digest != other.digest:
            note = f"is not taken: another BTF of this kernel is there, from {other.path}"
            entry = entry._replace(notes=[*entry.notes, note])
        # What is there is what a later run has to find there.
        self._place.journal.add(
            entry._replace(source=other.path, size=other.size, digest=other.digest)
        )
        return Outcome(path, ALREADY_THERE, entry.key, notes=tuple(entry.notes))

    def _goes_first(self, number: int, owner: Owner) -> bool:
        """Whether an input takes the place of another's BTF: it was named before, or by force."""
        return self._options.force if owner.number < 0 else number < owner.number

    def _show(self, name: str) -> None:
        self._progress(Progress(len(self._outcomes), len(self._sources), self._size, name))
