# SPDX-License-Identifier: Apache-2.0
"""Functions of the running kernel: which there are, and which may be hooked."""

from __future__ import annotations

from typing import Collection, Dict, FrozenSet, Iterator, List, Optional

from tetrapy.errors import KernelError
from tetrapy.kernel.tracefs import KernelFiles

_KALLSYMS = "/proc/kallsyms"
_CODE = frozenset(b"tTwW")  # what nm(1) calls the text section, and weak symbols


class Symbols:
    """Asks /proc/kallsyms for names (addresses are hidden from many, names from nobody)."""

    def __init__(self, files: KernelFiles, kallsyms: str = _KALLSYMS) -> None:
        self._files = files
        self._kallsyms = kallsyms
        self._blacklist: Optional[FrozenSet[str]] = None

    def functions(self, names: Collection[str]) -> FrozenSet[str]:
        """Those of the names that are functions of the kernel or of a module.

        Raises KernelError when the kernel does not list its symbols.
        """
        wanted = {name.encode("utf-8", "surrogateescape"): name for name in names}
        return frozenset(wanted[name] for name in self._walk() if name in wanted)

    def apart(self, names: Collection[str]) -> FrozenSet[str]:
        """Those of the names that are one function of the kernel itself, and no other of them is.

        So not names that are there more than once, as static functions may be; nor two names of one
        function; nor functions of modules. None where addresses are hidden, or all symbols.
        """
        wanted = {name.encode("utf-8", "surrogateescape") for name in names}
        found: Dict[bytes, int] = {}  # 0: more than one, or of a module
        try:
            for words in self._symbols():
                if words[2] in wanted:
                    is_one = len(words) == 3 and words[1][0] in _CODE and words[2] not in found
                    found[words[2]] = int(words[0], 16) if is_one else 0
        except KernelError:
            return frozenset()
        by_address: Dict[int, List[bytes]] = {}
        for name, address in found.items():
            by_address.setdefault(address, []).append(name)
        alone = (names[0] for at, names in by_address.items() if at and len(names) == 1)
        return frozenset(name.decode("utf-8", "surrogateescape") for name in alone)

    def starting(self, prefix: str) -> List[str]:
        """The functions whose names begin so, each once, in order."""
        start = prefix.encode()
        found = {name for name in self._walk() if name.startswith(start)}
        return sorted(name.decode("utf-8", "surrogateescape") for name in found)

    def traceable(self) -> List[str]:
        """The functions that ftrace can trace. Raises KernelError when it does not tell."""
        try:
            text = self._files.tracing("available_filter_functions")
        except OSError as err:
            raise KernelError(
                f"the functions that ftrace can trace are not listed ({err.strerror}): this kernel"
                " was built without CONFIG_FUNCTION_TRACER",
                err.errno or 0,
            ) from err
        return [line.split(b" ", 1)[0].decode("utf-8", "replace") for line in text.splitlines()]

    def is_blacklisted(self, name: str) -> bool:
        """Whether the kernel lets nobody hook this function; False where it does not tell."""
        if self._blacklist is None:
            self._blacklist = frozenset(self._blacklisted())
        return name in self._blacklist

    def _blacklisted(self) -> Iterator[str]:
        try:
            text = self._files.debugging("kprobes/blacklist")
        except (OSError, KernelError):
            return  # the kernel refuses the hook itself then
        for line in text.splitlines():  # 0xaddress-0xaddress<tab>name
            words = line.split()
            if len(words) >= 2:
                yield words[1].decode("utf-8", "replace")

    def _walk(self) -> Iterator[bytes]:
        return (words[2] for words in self._symbols() if words[1][0] in _CODE)

    def _symbols(self) -> Iterator[List[bytes]]:
        """Address, type, name, and of a module's symbol its name. Raises KernelError."""
        is_empty = True
        try:
            with open(self._kallsyms, "rb") as file:
                for line in file:
                    is_empty = False
                    words = line.split(None, 3)
                    if len(words) >= 3:
                        yield words
        except OSError as err:
            raise KernelError(
                f"{self._kallsyms}: {err.strerror}: the kernel's functions are not known",
                err.errno or 0,
            ) from err
        if is_empty:
            raise KernelError(
                f"{self._kallsyms} is empty: the kernel's functions are hidden from this process"
                " (by ProtectKernelTunables= of a systemd unit?)"
            )
