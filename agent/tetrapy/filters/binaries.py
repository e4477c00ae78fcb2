# SPDX-License-Identifier: Apache-2.0
"""Whether a condition on a binary holds for a process, whatever its caller wrote for a path.

Who executes chooses what `binary` says (tetrapy.events.executed). So a filter that denies holds
only where the path as it was written and that of the file itself both agree with it, and the file
is the host's; one that allows holds where either agrees. A filter with `written_path` means what
was written. A container has files of its own: a filter that names containers does not ask for the
host's.
"""

from __future__ import annotations

from typing import Callable

from tetrapy.events.executed import ExecutedFile
from tetrapy.events.process import Process
from tetrapy.filters.filter import TextTest
from tetrapy.named import NamedTuple

ProcessTest = Callable[[Process], bool]


class Belief(NamedTuple):
    """How a filter takes the path of a binary."""

    allows: bool  # whether it is in an allow list
    written: bool = False  # it means the path as it was written
    inside: bool = False  # it names containers

    def test(self, test: TextTest) -> ProcessTest:
        """A test of paths as one of processes."""
        if self.written:
            return lambda process: test(process.binary)
        holds = self._allows if self.allows else self._denies

        def look(process: Process) -> bool:
            if process.executed is None:
                return test(process.binary)
            return holds(test, process)

        return look

    def knows(self, file: ExecutedFile) -> bool:
        """Whether a file can be asked about, beside the path that was written."""
        return file.is_known and (self.allows or self.inside or not file.foreign)

    def _allows(self, test: TextTest, process: Process) -> bool:
        file = process.executed
        assert file is not None
        return not self.knows(file) or test(process.binary) or test(file.path)

    def _denies(self, test: TextTest, process: Process) -> bool:
        file = process.executed
        assert file is not None
        return self.knows(file) and test(process.binary) and test(file.path)


WRITTEN = Belief(allows=False, written=True)
