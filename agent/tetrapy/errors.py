# SPDX-License-Identifier: Apache-2.0
"""Every exception that tetrapy raises on purpose; one class per mistake.

The text of an exception is written for the operator: what was tried, what was found, what to do.
It never starts with "error" or "failed to"; the command line adds its own prefix once.
"""

from __future__ import annotations

from errno import EOPNOTSUPP
from typing import Any, Sequence


class TetrapyError(Exception):
    """The base of all errors that are reported without a traceback."""


# --- abi: bytes of ELF and BTF -------------------------------------------------------------


class FormatError(TetrapyError):
    """Bytes that should follow a binary format do not."""


class ElfError(FormatError):
    """An ELF file is cut short or not of the kind that is read here."""


class BtfError(FormatError):
    """BTF bytes are damaged or of an unknown version."""


class LayoutError(TetrapyError):
    """A structure of the BPF object is not what the Python side expects."""


# --- btf: which BTF for this kernel ---------------------------------------------------------


class BtfNotFoundError(TetrapyError):
    """No place holds the BTF of the running kernel."""


class ArchiveError(TetrapyError):
    """The archive of minimized BTFs is damaged or was made for other BPF objects."""


class HarvestError(TetrapyError):
    """A harvest of BTFs cannot go on: its inputs cannot be listed, or nothing can be written."""


class StoreError(TetrapyError):
    """The directory of the operator's own BTFs, or a file in it, cannot be trusted or used."""


# --- kernel: the running system -------------------------------------------------------------


class KernelError(TetrapyError):
    """The kernel refused a request; `errno` tells why (0 when there is none)."""

    def __init__(self, message: str, errno: int = 0, log: str = "") -> None:
        super().__init__(message)
        self.errno = errno
        self.log = log


class NotLoadedError(KernelError):
    """The kernel, or libbpf before it, did not take a BPF object: its BTF may be the reason."""


class NotPermittedError(KernelError):
    """The process lacks a privilege that it needs."""


class UnsupportedFeatureError(KernelError):
    """The kernel lacks a feature; `name` says which, `since` the first Linux that has it.

    `option` is what a kernel is built with to have it, if it is one that some are built without.
    """

    def __init__(self, name: str, since: str, log: str = "", option: str = "") -> None:
        text = f"this kernel lacks {name}, which Linux has since {since}; boot a newer one"
        text += f", or one that was built with {option}" if option else ""
        super().__init__(text, EOPNOTSUPP, log)
        self.name = name
        self.since = since


class BundleError(TetrapyError):
    """A file that every build of tetrapy carries is not there."""


class NativeCodeError(TetrapyError):
    """A shared library of the bundle cannot be loaded on this host."""


class DecompressError(TetrapyError):
    """Compressed data is damaged, of another format, or larger than it may become."""


# --- settings, policies, files and processes ------------------------------------------------


class SettingsError(TetrapyError):
    """A setting is unknown or its value does not parse."""


class YamlError(TetrapyError):
    """A text is no YAML; `line` and `column` count from 1."""

    def __init__(self, problem: str, line: int, column: int) -> None:
        super().__init__(f"{line}:{column}: {problem}")
        self.problem = problem
        self.line = line
        self.column = column


class PolicyError(TetrapyError):
    """A TracingPolicy is refused; `problems` are what its text must change, each with its place."""

    def __init__(self, problems: Sequence[Any]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


class PolicyUnsupportedError(TetrapyError):
    """A policy uses a feature of Tetragon that this agent does not have."""


class PolicyReaderError(TetrapyError):
    """The process that reads policies has ended, or a text is a defect of it."""


class AgentEndsError(TetrapyError):
    """A signal has the agent end, and what it is about is given up."""


class PolicyFileError(TetrapyError):
    """A policy was not loaded, and the settings want the start to end then."""


class NameTakenError(PolicyFileError):
    """Another policy of the same domain has the name."""


class ExportError(TetrapyError):
    """The export target cannot be written."""


class MetricsError(TetrapyError):
    """Metrics cannot be served at the address that the settings name."""


class ReadOnlyError(TetrapyError):
    """A file of the agent's own would lie on a read-only file system."""


class AlreadyRunningError(TetrapyError):
    """Another instance holds the pid file."""
