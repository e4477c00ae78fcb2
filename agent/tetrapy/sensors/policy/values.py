# SPDX-License-Identifier: Apache-2.0
"""The values of a hook: arguments of a policy -> how the kernel side reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, List, Mapping, Optional, Sequence, Set, Tuple

from tetrapy.abi.tracepoint_format import Field
from tetrapy.errors import PolicyUnsupportedError
from tetrapy.named import NamedTuple
from tetrapy.policy import names
from tetrapy.policy.types import Argument
from tetrapy.sensors.policy.hook import HookValue
from tetrapy.sensors.policy.member_path import KernelTypes
from tetrapy.sensors.policy.operands import placed
from tetrapy.sensors.policy.tables import HookWriter, Value

if TYPE_CHECKING:
    from tetrapy.abi.static_probes import Operand  # of USDTs: most policies have none

# Type of an argument -> how it is read; numbers are not listed.
_KINDS: Mapping[str, str] = {
    "string": "VALUE_STRING",
    "char_buf": "VALUE_BYTES",
    "file": "VALUE_FILE",
    "path": "VALUE_PATH",
    "dentry": "VALUE_DENTRY",
    "linux_binprm": "VALUE_BINPRM",
    "fd": "VALUE_FD",
    "nop": "VALUE_NONE",
    "sock": "VALUE_SOCK",
    "socket": "VALUE_SOCKET",
    "sockaddr": "VALUE_SOCKADDR",
    "sockaddr_un": "VALUE_SOCKADDR_UN",
    "kiocb": "VALUE_KIOCB",
    "filename": "VALUE_FILENAME",
    "net_device": "VALUE_NET_DEVICE",
    "skb": "VALUE_PACKET",
    "cred": "VALUE_CREDENTIALS",
    "user_namespace": "VALUE_USER_NAMESPACE",
    "bpf_attr": "VALUE_BPF_ATTRIBUTES",
    "bpf_prog": "VALUE_BPF_PROGRAM",
    "bpf_map": "VALUE_BPF_MAP",
    "perf_event": "VALUE_PERF_EVENT",
    "module": "VALUE_MODULE",
    "load_info": "VALUE_LOAD_INFO",
    "char_iovec": "VALUE_IOVEC",
    "iov_iter": "VALUE_IOV_ITER",
    "const_buf": "VALUE_BYTES",
}
SOCKETS = frozenset({"sock", "socket", "sockaddr", "sockaddr_un", "skb"})
_NO_POINTERS = frozenset({*names.INTEGERS, "capability", "fd", "nop"})
_NUMBERS = {**names.INTEGERS, "capability": (32, True)}
# The steps of bpf/call.h that only some types need.
_STEPS: Mapping[str, Tuple[str, ...]] = {
    **dict.fromkeys(
        (
            "filename net_device cred user_namespace bpf_attr bpf_prog bpf_map perf_event module"
            " load_info"
        ).split(),
        ("STEP_STRUCTURE",),
    ),
    "skb": ("STEP_PACKET", "STEP_STRUCTURE"),
    "char_iovec": ("STEP_VECTOR",),
    "iov_iter": ("STEP_VECTOR",),
}
PATHS = tuple(
    f"VALUE_{one}" for one in "FILE PATH DENTRY BINPRM FD BINARY HOSTS_BINARY KIOCB".split()
)
"""Kinds of values that are read by walking up a path."""
DYNAMIC = "data_loc"
"""The type of a tracepoint's field whose bytes are elsewhere in the record."""
_CAPABILITY_BYTES = 8
SET_BYTES = 4
"""Of an argument that the action Set writes."""

_X86_64 = "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss"
# Offsets in struct pt_regs (x86_64) and struct user_pt_regs (arm64), in bytes.
REGISTERS: Mapping[str, Mapping[str, int]] = {
    "x86_64": {name: 8 * number for number, name in enumerate(_X86_64.split())},
    "aarch64": {
        **{f"x{number}": 8 * number for number in range(31)},
        "sp": 8 * 31,
        "pc": 8 * 32,
        "pstate": 8 * 33,
    },
}


class Source(NamedTuple):
    """Where the values of a hook come from."""

    machine: str  # as uname tells it
    fields: Optional[Sequence[Field]] = None  # of a tracepoint's record, the common ones first
    # The kernel's types, which `resolve` needs: may raise PolicyUnsupportedError.
    types: Optional[Callable[[], KernelTypes]] = None
    prototype: Optional[Callable[[KernelTypes], Sequence[int]]] = None  # types of the arguments
    operands: Sequence[Operand] = ()  # of a static probe: where its arguments are, in their order
    program_types: Optional[Callable[[], KernelTypes]] = None  # of a program that is hooked
    shows_stacks: bool = False  # events of the hook have a place for them
    of_user: bool = False  # a process chooses what it is called with, and what it returns
    can_override: bool = False  # its programs may keep the function from running
    only_refuses: bool = False  # ... by an error alone: an LSM hook
    overrides_later: bool = False  # ... which is done by one behind the others
    overrides_program: bool = False  # ... that goes by the number of the selector
    can_hash: bool = False  # it has a file that IMA may hash
    policy: int = 0  # its number
    tracks: bool = False  # the policy tracks sockets
    returned: str = ""  # TrackSock, UntrackSock: what is done with a socket that is returned
    written_path: bool = False  # the policy leaves out whatever is at a path


class HookValues:
    """The values of one hook, in the order in which they are added."""

    def __init__(self, writer: HookWriter, source: Source) -> None:
        self._writer = writer
        self._source = source
        self.values: List[Value] = []
        self.reported: List[HookValue] = []
        self.sockets: List[int] = []  # indexes of sockets, their addresses, packets
        self.settable: Set[int] = set()  # indexes of numbers that Set may write
        self.bulk: Optional[int] = None  # the value that may be larger than a record
        self.steps: Set[str] = set()  # of bpf/call.h, beside those that all hooks need

    def add(self, argument: Argument, role: str) -> int:
        """Returns the index of the value. Raises PolicyUnsupportedError."""
        value = self._value(argument)
        if self._source.operands:
            operand = self._source.operands[len(self.values)]
            registers = REGISTERS.get(self._source.machine, {})
            value = placed(value, operand, self._writer, registers)
            if operand.is_memory and operand.size == SET_BYTES and not argument.resolve:
                self.settable.add(len(self.values))
        if role == "return":
            flags = value.flags | self._writer.value_flags["VALUE_AT_RETURN"]
            source = self._writer.sources["SOURCE_RETURN"]
            value = value._replace(source=source, place=0, flags=flags)
        is_pointer = bool(argument.resolve) or argument.type not in _NO_POINTERS
        if self._source.of_user and role != "data" and is_pointer:
            value = value._replace(flags=value.flags | self._writer.value_flags["VALUE_OF_USER"])
        self.values.append(value)
        self.reported.append(HookValue(argument.type, argument.label, role, value.size))
        return len(self.values) - 1

    def add_binary(self, of_host: bool) -> int:
        """The executable of the process, which only filters ask for; its index.

        `of_host`: negated filters hold where it is another file for the host.
        """
        kind = self._writer.kinds["VALUE_HOSTS_BINARY" if of_host else "VALUE_BINARY"]
        self.values.append(Value(kind, self._writer.sources["SOURCE_ARGUMENT"]))
        self.reported.append(HookValue("file", role="hidden"))
        return len(self.values) - 1

    def read_first(self, index: int) -> None:
        """A filter asks for a value that is no number."""
        value = self.values[index]
        flags = value.flags | self._writer.value_flags["VALUE_FILTERED"]
        self.values[index] = value._replace(flags=flags)

    def filtered(self) -> Tuple[int, int]:
        """Of the values that filters ask for when the function is called: one more than the first

        one, where that is a path, else 0; and one more than the last.
        """
        mask = self._writer.value_flags["VALUE_FILTERED"]
        found = [
            number
            for number, value in enumerate(self.values, 1)
            if value.flags & mask and not self.is_at_return(number - 1)
        ]
        if not found:
            return 0, 0
        is_path = self.values[found[0] - 1].kind in {self._writer.kinds[one] for one in PATHS}
        return found[0] if is_path else 0, found[-1]

    def is_at_return(self, index: int) -> bool:
        """Whether the value is read when the function returns."""
        return bool(self.values[index].flags & self._writer.value_flags["VALUE_AT_RETURN"])

    def _value(self, argument: Argument) -> Value:
        if argument.source == names.REGISTERS:
            return self._register(argument)
        if argument.resolve:
            return self._resolved(argument)
        return self._as_type(argument)

    def _as_type(self, argument: Argument) -> Value:
        """An argument or a field, read as its type says."""
        kinds, sources = self._writer.kinds, self._writer.sources
        source, place, size, flags = sources["SOURCE_ARGUMENT"], argument.index, 8, 0
        fields = self._source.fields
        if fields is not None:
            if argument.index >= len(fields):
                raise PolicyUnsupportedError(
                    f"args: index {argument.index}: the tracepoint has {len(fields)} fields"
                )
            field = fields[argument.index]
            source, place, size = sources["SOURCE_FIELD"], field.offset, field.size
        if argument.return_copy:
            flags |= self._writer.value_flags["VALUE_AT_RETURN"]
        self.steps.update(_STEPS.get(argument.type, ()))
        if argument.type in _NUMBERS:
            bits, is_signed = _NUMBERS[argument.type]
            if is_signed:
                flags |= self._writer.value_flags["VALUE_SIGNED"]
            return Value(kinds["VALUE_NUMBER"], source, place, min(size, bits // 8), flags)
        if argument.type in names.CAPABILITY_SETS:
            kind = kinds["VALUE_POINTED"]
            return Value(kind, source, place, _CAPABILITY_BYTES, flags)
        if argument.type == DYNAMIC and fields is not None:
            return Value(kinds["VALUE_DATA_LOC"], source, place, size, flags)
        if argument.type not in _KINDS or (fields is not None and argument.size_arg_index):
            raise PolicyUnsupportedError(f"args: type {argument.type}")
        kind = kinds[_KINDS[argument.type]]
        if argument.type in SOCKETS:
            self.sockets.append(len(self.values))
            return Value(kind, source, place, 0, flags, len(self.sockets) - 1)
        if argument.max_data and argument.size_arg_index and not argument.return_copy:
            if self.bulk is not None:
                raise PolicyUnsupportedError("args: maxData of more than one argument")
            self.bulk = len(self.values)
            self.steps.add("STEP_BULK")
        return Value(kind, source, place, 0, flags, argument.size_arg_index)

    def _resolved(self, argument: Argument) -> Value:
        """A member of a structure that the argument, or the current task, points to."""
        if self._source.types is None:
            raise PolicyUnsupportedError("resolve of this kind of hook")
        sources = self._writer.sources
        source, place = sources["SOURCE_ARGUMENT"], argument.index
        is_task = argument.source == names.CURRENT_TASK
        types = ((not is_task and self._source.program_types) or self._source.types)()
        if is_task:
            start, source, place = types.structure("task_struct"), sources["SOURCE_TASK"], 0
        elif argument.btf_type:
            if argument.btf_type_module:
                types = types.of_module(argument.btf_type_module)
            start = types.structure(argument.btf_type)
        else:
            parameters = self._source.prototype(types) if self._source.prototype else ()
            if argument.index >= len(parameters):
                raise PolicyUnsupportedError(f"resolve: the hook has {len(parameters)} arguments")
            start = parameters[argument.index]
        found = types.resolve(start, argument.resolve)
        value = self._as_type(argument)
        kind, size, kinds = value.kind, value.size, self._writer.kinds
        if kind == kinds["VALUE_NUMBER"] and not found.is_pointer:
            kind, size = kinds["VALUE_POINTED"], min(size, found.size or size)
        flags = value.flags | self._writer.value_flags["VALUE_RESOLVED"]
        return value._replace(
            kind=kind, source=source, place=place, size=size, flags=flags, path=found.path
        )

    def _register(self, argument: Argument) -> Value:
        offset = REGISTERS.get(self._source.machine, {}).get(argument.resolve)
        if offset is None:
            raise PolicyUnsupportedError(
                f"source {names.REGISTERS}: register {argument.resolve} of {self._source.machine}"
            )
        value = self._as_type(argument)
        return value._replace(source=self._writer.sources["SOURCE_REGISTERS"], place=offset)
