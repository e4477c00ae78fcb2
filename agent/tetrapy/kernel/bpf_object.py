# SPDX-License-Identifier: Apache-2.0
"""One BPF object: opened from bytes, configured, loaded, attached, closed."""

from __future__ import annotations

import ctypes
import errno
import os
from ctypes import byref, c_size_t
from typing import Any, Dict, Iterable, List, Optional, Tuple, Type

from tetrapy.errors import KernelError, NotLoadedError
from tetrapy.kernel import fdinfo
from tetrapy.kernel.libbpf import ObjectOpenOptions, error_text, last_errno, libbpf
from tetrapy.kernel.libbpf_log import collected
from tetrapy.kernel.shared_memory import at_address
from tetrapy.named import NamedTuple

# What says why: the verifier's log, after libbpf's editing, of a structure that the BTF does not
# have, and libbpf of BTF that it does not understand.
_REASONS = (
    "failed to resolve CO-RE relocation",
    "failed to read kernel BTF",
    "failed to parse target BTF",
    "failed to find valid kernel BTF",
)
_LOG_BEGINS, _LOG_ENDS = "-- BEGIN PROG LOAD LOG --", "-- END PROG LOAD LOG --"
_STATISTICS = "processed "  # the last line of a verifier's log: instructions, states
# Not for what was loaded: other BTF would not help.
_NO_ROOM = frozenset((errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOSPC))

MULTI_KPROBE, MULTI_UPROBE = 42, 48
"""BPF_TRACE_KPROBE_MULTI and the like of enum bpf_attach_type (include/uapi/linux/bpf.h)."""
_MMAPABLE = 1 << 10  # BPF_F_MMAPABLE (include/uapi/linux/bpf.h)


class Aim(NamedTuple):
    """A way to run a program at a function of the kernel (include/uapi/linux/bpf.h)."""

    name: str
    program_type: int  # enum bpf_prog_type
    attach_type: int  # enum bpf_attach_type
    flags: int = 0  # of BPF_PROG_LOAD


FENTRY = Aim("fentry", 26, 24)
FEXIT = Aim("fexit", 26, 25)
MODIFY_RETURN = Aim("fmod_ret", 26, 26)
LSM_HOOK = Aim("LSM hook", 29, 27)
SLEEPING_LSM_HOOK = LSM_HOOK._replace(flags=1 << 4)  # BPF_F_SLEEPABLE


class BpfObject:
    """The owner of a bpf_object and its links; `close` gives everything back to the kernel."""

    def __init__(self, data: bytes, name: str, btf_path: Optional[str] = None) -> None:
        """Open the ELF object `data`; `btf_path` replaces the kernel's own BTF.

        Raises KernelError when libbpf refuses the object.
        """
        self.name = name
        self.messages: List[str] = []
        self._links: Dict[str, Any] = {}
        self._programs: Dict[str, int] = {}  # file descriptors, when it is settled
        self._maps: Dict[str, int] = {}
        self._initial: Dict[str, Tuple[int, int]] = {}  # sections before they are loaded
        self._lib = libbpf()
        self._data = data  # libbpf reads from it until the object is loaded
        self._options = ObjectOpenOptions(
            size=ctypes.sizeof(ObjectOpenOptions),
            object_name=name.encode(),
            btf_custom_path=os.fsencode(btf_path) if btf_path else None,
        )
        with collected(self.messages):
            self._object = self._lib.bpf_object__open_mem(data, len(data), byref(self._options))
        if not self._object:
            raise self._error(f"BPF object {name}: not accepted by libbpf", last_errno())

    def _error(self, what: str, number: int, kind: Type[KernelError] = KernelError) -> KernelError:
        log = "\n".join(self.messages)
        reason = refusal_reason(log)
        text = f"{what}: {error_text(number)}"
        return kind(f"{text}: {reason}" if reason else text, abs(number), log)

    # --- before loading -----------------------------------------------------------------

    def set_max_entries(self, map_name: str, entries: int) -> None:
        """Give a map its size."""
        with collected(self.messages):
            error = self._lib.bpf_map__set_max_entries(self._map(map_name), entries)
        if error:
            raise self._error(f"map {map_name}: size {entries}", error)

    def leave_out(self, map_name: str) -> None:
        """Do not create a map: no program that is loaded uses it."""
        self._lib.bpf_map__set_autocreate(self._map(map_name), False)

    def share_maps(self, other: BpfObject, names: Iterable[str]) -> None:
        """Use maps of a loaded object in place of own ones of the same names."""
        for name in names:
            self.share_map(name, other.map_fd(name))

    def share_map(self, name: str, fd: int) -> None:
        """Use the map of a file descriptor, which stays its owner's, in place of an own one."""
        with collected(self.messages):
            error = self._lib.bpf_map__reuse_fd(self._map(name), fd)
        if error:
            raise self._error(f"map {name}: not shared", error)

    def set_constant(self, section: str, offset: int, value: bytes) -> None:
        """Write `value` into the initial contents of a data section, e.g. `.rodata`."""
        if section not in self._initial:
            self._initial[section] = self._section(section)
        address, size = self._initial[section]
        if offset + len(value) > size:
            raise KernelError(f"section {section} of {self.name} has {size} bytes, not {offset}")
        ctypes.memmove(address + offset, value, len(value))

    def ask_for(self, program_name: str) -> None:
        """Have `load` load an optional program too, which it passes over otherwise.

        Such a program has a question mark before the name of its section; where it is passed over
        its relocations do not matter.
        """
        self._lib.bpf_program__set_autoload(self.program(program_name), True)

    def use_attach_type(self, number: int) -> None:
        """Make all programs, which are of kprobes, ones for MULTI_KPROBE or MULTI_UPROBE.

        All, since such programs call no others.
        """
        program = self._lib.bpf_object__next_program(self._object, None)
        while program:
            self._lib.bpf_program__set_expected_attach_type(program, number)
            program = self._lib.bpf_object__next_program(self._object, program)

    def aim(self, program_name: str, how: Aim, function: str) -> None:
        """Make an optional program one for a function of the kernel. Raises KernelError.

        `function` is looked up in the kernel's own BTF.
        """
        program = self.program(program_name)
        lib = self._lib
        with collected(self.messages):
            error = (
                lib.bpf_program__set_type(program, how.program_type)
                or lib.bpf_program__set_expected_attach_type(program, how.attach_type)
                or lib.bpf_program__set_attach_target(program, 0, function.encode())
                or (lib.bpf_program__set_flags(program, how.flags) if how.flags else 0)
            )
        if error:
            raise self._error(f"{how.name} {function}", error)

    def load(self) -> None:
        """Have the kernel verify and take maps and programs.

        Raises NotLoadedError, with libbpf's messages and the verifier's log as `log`; KernelError
        when there is no room for it.
        """
        with collected(self.messages):
            error = self._lib.bpf_object__load(self._object)
        self._data = b""
        if error:
            kind = KernelError if abs(error) in _NO_ROOM else NotLoadedError
            raise self._error(f"BPF object {self.name}: not accepted by the kernel", error, kind)

    # --- after loading ------------------------------------------------------------------

    def attach(self, program_name: str) -> None:
        """Attach one program to the hook that its section names.

        Raises KernelError when there is no such program, or the kernel refuses it.
        """
        program = self.program(program_name)
        with collected(self.messages):
            link = self._lib.bpf_program__attach(program)
        if not link:
            raise self._error(f"BPF program {program_name}: not attached", last_errno())
        self._links[program_name] = link

    def iterate(self, program_name: str) -> bytes:
        """What an iterator writes, run once. Raises KernelError when the kernel refuses it."""
        program = self.program(program_name)
        with collected(self.messages):
            link = self._lib.bpf_program__attach_iter(program, None)
        if not link:
            raise self._error(f"BPF program {program_name}: not attached", last_errno())
        try:
            fd = self._lib.bpf_iter_create(self._lib.bpf_link__fd(link))
            if fd < 0:
                raise self._error(f"BPF program {program_name}: not run", fd)
            with open(fd, "rb") as file:
                return file.read()
        except OSError as err:
            raise self._error(f"BPF program {program_name}: not read", err.errno or 0) from err
        finally:
            self._lib.bpf_link__destroy(link)

    def settle(self) -> None:
        """Keep file descriptors alone of what is loaded: libbpf has a megabyte of a large object.

        Its programs are attached by `links.Event` then; nothing else can be asked of it.
        """
        self._programs = {name: os.dup(fd) for name, fd in self.program_fds().items()}
        found = self._lib.bpf_object__next_map(self._object, None)
        while found:
            fd = int(self._lib.bpf_map__fd(found))
            if fd >= 0:
                self._maps[self._lib.bpf_map__name(found).decode()] = os.dup(fd)
            found = self._lib.bpf_object__next_map(self._object, found)
        self._lib.bpf_object__close(self._object)
        self._object = None

    @property
    def is_settled(self) -> bool:
        """Whether it is file descriptors alone."""
        return bool(self._programs or self._maps)

    def map_fd(self, map_name: str) -> int:
        """The file descriptor of a loaded map; it belongs to this object."""
        if self.is_settled:
            return self._maps[map_name]
        return int(self._lib.bpf_map__fd(self._map(map_name)))

    def program_fds(self) -> Dict[str, int]:
        """Loaded programs: name -> file descriptor; they belong to this object."""
        if self.is_settled:
            return self._programs
        fds = {}
        program = self._lib.bpf_object__next_program(self._object, None)
        while program:
            name = self._lib.bpf_program__name(program).decode()
            fd = int(self._lib.bpf_program__fd(program))
            if fd >= 0:
                fds[name] = fd
            program = self._lib.bpf_object__next_program(self._object, program)
        return fds

    def kernel_memory(self) -> int:
        """Bytes of kernel memory of its programs; 0 where procfs does not tell."""
        return sum(map(fdinfo.kernel_memory, self.program_fds().values()))

    def contents(self, section: str) -> Tuple[memoryview, bool]:
        """The contents of a writable section, and whether the running programs share that memory.

        They do not where the kernel cannot map an array (before Linux 5.5); then it is a buffer of
        the right size for the map that `map_fd(section)` stands for.
        """
        address, size = self._section(section)
        flags = self._lib.bpf_map__map_flags(self._map(section))
        return at_address(address, size), bool(flags & _MMAPABLE)

    def detach(self, program_name: Optional[str] = None) -> None:
        """Take one program off its hook, or all, the last one first; maps stay readable."""
        for name in list(reversed(self._links)) if program_name is None else [program_name]:
            self._lib.bpf_link__destroy(self._links.pop(name))

    def close(self) -> None:
        """Detach and give maps and programs back; safe to call twice."""
        self.detach()
        if self._object:
            self._lib.bpf_object__close(self._object)
            self._object = None
        for fds in (self._programs, self._maps):
            while fds:
                os.close(fds.popitem()[1])

    def program(self, name: str) -> Any:
        """libbpf's handle of a program. Raises KernelError when the object has none."""
        found = self._lib.bpf_object__find_program_by_name(self._object, name.encode())
        if not found:
            raise KernelError(f"BPF object {self.name} has no program {name}")
        return found

    def _map(self, name: str) -> Any:
        found = self._lib.bpf_object__find_map_by_name(self._object, name.encode())
        if not found:
            raise KernelError(f"BPF object {self.name} has no map {name}")
        return found

    def _section(self, section: str) -> Any:
        """Address and size of a data section's contents; libbpf names its map <object><section>."""
        found = self._lib.bpf_object__next_map(self._object, None)
        while found:
            if self._lib.bpf_map__name(found).decode().endswith(section):
                size = c_size_t()
                address = self._lib.bpf_map__initial_value(found, byref(size))
                if address:
                    return address, size.value
            found = self._lib.bpf_object__next_map(self._object, found)
        raise KernelError(f"BPF object {self.name} has no section {section}")


def refusal_reason(log: str) -> str:
    """The line of libbpf's messages that says why an object was refused; empty when none does.

    That is the relocation that could not be resolved, the BTF that could not be read, or else what
    the verifier said last.
    """
    lines = [line.strip() for line in log.splitlines()]
    for line in lines:
        if any(reason in line for reason in _REASONS):
            return line
    if _LOG_ENDS not in lines:
        return ""
    end = lines.index(_LOG_ENDS)
    begin = max((at for at in range(end) if _LOG_BEGINS in lines[at]), default=end)
    said = [line for line in lines[begin + 1 : end] if line and not line.startswith(_STATISTICS)]
    return said[-1] if said else ""
