# SPDX-License-Identifier: Apache-2.0
"""The file that a process executes, where it is not what `binary` says.

`binary` is Tetragon's: the path as the caller wrote it, made absolute as text. The caller chooses
what that path means to him, by links, another root directory, or mounts of his own; so a filter
that goes by `binary` has to ask here too (tetrapy.filters.binaries).
"""

from __future__ import annotations

from tetrapy.named import NamedTuple


class ExecutedFile(NamedTuple):
    """What the kernel says of the file; in a script's case that of its interpreter.

    Events show it as the messages `FileProperties` and, tetrapy's own, `ExecutedFile`.
    """

    path: str  # from the host's root if it can be reached from there, else from its own
    inode: int  # 0: nothing is known but that it is not what `binary` says
    links: int
    device: int  # major number << 20 | minor number; 0 if it is not known
    deleted: bool = False  # it has no name any more
    foreign: bool = False  # the host's first process would find another file at the path
    interpreter: bool = False  # `binary` is a script
    partial: bool = False  # the path lacks its front, or was cut
    is_sure: bool = True  # the process cannot have named another file than the one it executed
    reported: bool = True  # by the event of the exec

    def of(self, binary: str, docker: str, wanted: bool) -> ExecutedFile:
        """The same as the file of a process; `wanted`: whether events are to tell of files.

        That another file is at the same path for the host is nothing new of a container.
        """
        news = self.deleted or self.partial or self.path != binary
        news = news or (not docker and (self.foreign or self.interpreter))
        return self._replace(reported=wanted and news and self.inode != 0)

    @property
    def is_known(self) -> bool:
        """Whether the path is all of it, and that of the file that was executed."""
        return self.inode != 0 and not self.partial and self.is_sure

    @property
    def device_text(self) -> str:
        """`major:minor`; empty if it is not known."""
        return f"{self.device >> 20}:{self.device & 0xFFFFF}" if self.device else ""


UNREPORTED = ExecutedFile("", 0, 0, 0, partial=True, reported=False)
"""Of an image that was suppressed and is reported after all."""
