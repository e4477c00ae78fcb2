# SPDX-License-Identifier: Apache-2.0
"""Whether what a policy hooks and reads is there on a kernel, which need not run here."""

from __future__ import annotations

import re
from typing import AbstractSet, Any, Iterator, List, Optional, Sequence, Tuple

from tetrapy.cli.policy.kernel import Kernel
from tetrapy.cli.policy.prototypes import Prototype, c_name, misfit, registers
from tetrapy.errors import PolicyError, PolicyUnsupportedError
from tetrapy.named import NamedTuple
from tetrapy.policy import names
from tetrapy.policy.functions import functions, symbol
from tetrapy.policy.problems import Problem, Problems, quoted
from tetrapy.policy.read import Read
from tetrapy.policy.types import Argument, KprobeHook, LsmHook, Spec, Tracepoint, Uprobe
from tetrapy.policy.values import UnfitError
from tetrapy.sensors.policy.member_path import KernelTypes
from tetrapy.sensors.policy.values import REGISTERS

_SYSTEM_CALLS = "syscalls"  # the subsystem whose tracepoints are made of system calls
_SYSTEM_CALL_EVENT = re.compile(r"sys_(?:enter|exit)_(\w+)\Z", re.ASCII)
_OVERRIDING = frozenset({"Override", "NotifyEnforcer"})


class Findings(NamedTuple):
    """What there is to say of a policy on a kernel."""

    errors: Tuple[Problem, ...]
    warnings: Tuple[Problem, ...]
    unanswered: Tuple[Problem, ...]  # questions that what is known of the kernel does not answer


def examine(read: Read, kernel: Kernel) -> Findings:
    """Ask a kernel for all hooks of a checked policy, up to a bound of mistakes."""
    examiner = _Examiner(read, kernel)
    try:
        examiner.all()
    except PolicyError as err:
        return examiner.findings(err.problems)
    return examiner.findings(examiner.problems.errors)


class _Examiner:
    def __init__(self, read: Read, kernel: Kernel) -> None:
        self.problems = Problems()
        self._open = Problems()
        self.problems.marks = self._open.marks = dict(read.marks)
        self._spec: Spec = read.policy.spec
        self._kernel = kernel
        self._types = KernelTypes(kernel.btf)

    def findings(self, errors: Sequence[Problem]) -> Findings:
        return Findings(
            tuple(sorted(errors, key=lambda one: (one.line, one.column))),
            tuple(self.problems.warnings),
            tuple(self._open.warnings),
        )

    def all(self) -> None:
        """Raises PolicyError when there are too many mistakes."""
        spec = self._spec
        for section, examine_hook in (
            ("kprobes", self._kprobe),
            ("fentries", self._fentry),
            ("lsmhooks", self._lsm),
            ("tracepoints", self._tracepoint),
            ("uprobes", self._uprobe),
        ):
            for number, hook in enumerate(getattr(spec, section)):
                examine_hook(hook, f"spec.{section}[{number}]")
        for section in ("uprobes", "usdts"):
            if getattr(spec, section) and self._kernel.lacks("uprobe_mmap"):
                self._error(f"spec.{section}", "the kernel has no uprobes (CONFIG_UPROBE_EVENTS)")
        if (spec.kprobes or spec.loader) and self._kernel.lacks("register_kprobe"):
            path = "spec.kprobes" if spec.kprobes else "spec.loader"
            self._error(path, "the kernel has no kprobes (CONFIG_KPROBES); hook a tracepoint")

    def _error(self, path: str, message: str) -> None:
        self.problems.error(path, message)

    def _ask(self, path: str, question: str) -> None:
        self._open.warn(path, question)

    # --- functions --------------------------------------------------------------------------

    def _kprobe(self, hook: KprobeHook, path: str) -> None:
        for name in self._functions(hook, path):
            prototype = self._kernel.prototype(name)
            if prototype is None:
                self._without_prototype(hook, name, path)
            elif not hook.syscall and not self._is_system_call(name):
                self._arguments(hook, prototype, path, name)
            else:
                self._no_resolve(hook, path)
        self._overrides(hook, path)

    def _fentry(self, hook: KprobeHook, path: str) -> None:
        if self._kernel.has_enumerator("bpf_attach_type", "BPF_TRACE_FENTRY") is False:
            self._error(path, "the kernel has no fentry programs (Linux 5.5); hook it by a kprobe")
            return
        for name in self._functions(hook, path):
            prototype = self._kernel.prototype(name)
            if prototype is None:
                self._not_typed(hook, name, path)
            elif hook.syscall or self._is_system_call(name):
                self._no_resolve(hook, path)
            else:
                if hook.returns and not prototype.returned:
                    self._error(f"{path}.return", f"function {name} returns nothing; leave it out")
                self._arguments(hook, prototype, path, name)

    def _functions(self, hook: KprobeHook, path: str) -> Tuple[str, ...]:
        """What `call` stands for; nothing of lists that only a running kernel fills."""
        machine = self._kernel.machine
        lists = self._spec.lists
        try:
            found = functions(hook.call, syscall=hook.syscall, lists=lists, machine=machine)
        except UnfitError as err:
            self._error(f"{path}.call", f"{quoted(hook.call)} {err}")
            return ()
        if found.generated == names.TRACEABLE_FUNCTIONS:
            self._pattern(found.pattern, path)
        return found.symbols

    def _pattern(self, pattern: str, path: str) -> None:
        try:
            wanted = re.compile(pattern)
        except re.error as err:
            self._error(f"{path}.call", f"the list's pattern {quoted(pattern)}: {err}")
            return
        if self._kernel.is_partial:
            self._ask(f"{path}.call", f"whether a function fits the pattern {quoted(pattern)}")
        elif not any(wanted.search(one) for one in self._kernel.functions()):
            self._error(f"{path}.call", f"no function fits the pattern {quoted(pattern)}")

    def _without_prototype(self, hook: KprobeHook, name: str, path: str) -> None:
        """A function that BTF does not have: it may be there all the same."""
        is_there = self._kernel.has_function(name)
        if is_there:
            if hook.args or hook.returns:
                self._ask(f"{path}.args", f"what function {name} is called with: it has no types")
            return
        if is_there is None and self._kernel.is_partial:
            self._ask(f"{path}.call", f"whether there is a function {name}, and its arguments")
            return
        self._missing(hook, name, path, is_sure=is_there is not None)

    def _not_typed(self, hook: KprobeHook, name: str, path: str) -> None:
        if self._kernel.is_partial:
            self._ask(f"{path}.call", f"whether fentry can hook {name}: which functions have types")
        elif self._kernel.has_function(name):
            what = f"function {name} is not in the kernel's BTF, so that fentry cannot hook it"
            self._report_missing(hook, f"{what}; hook it by a kprobe", path)
        else:
            self._missing(hook, name, path, is_sure=self._kernel.has_function(name) is not None)

    def _missing(self, hook: KprobeHook, name: str, path: str, *, is_sure: bool) -> None:
        as_call = symbol(name, self._kernel.machine) if name.startswith("sys_") else ""
        if as_call and self._kernel.prototype(as_call):
            what = f"there is no function {name}, but {as_call}: write syscall: true"
        elif hook.syscall and not self._is_system_call(name) and "sys_" not in hook.call:
            what = f"there is no function {name}: for what is no system call write syscall: false"
        elif is_sure:
            what = f"there is no function {name}"
        else:
            what = (
                f"the kernel's BTF has no function {name}: there is none, the compiler changed it,"
                " or a module has it"
            )
        self._report_missing(hook, what, path)

    def _report_missing(self, hook: KprobeHook, what: str, path: str) -> None:
        where = f"{path}.call"
        if hook.ignore and hook.ignore.call_not_found:
            self.problems.warn(where, f"{what}; the hook is left out (callNotFound)")
        else:
            self._error(where, what)

    def _is_system_call(self, name: str) -> bool:
        return name.startswith(("__x64_sys_", "__ia32_sys_", "__arm64_sys_"))

    def _overrides(self, hook: KprobeHook, path: str) -> None:
        """Overriding a system call needs what few kernels have: see sensors/policy/overrides.py."""
        ways = "within_error_injection_list", "bpf_override_return"
        if hook.syscall and self._kernel.lacks(*ways):
            for where, action in _actions(hook, path, _OVERRIDING):
                self._error(where, f"{action} of a system call needs a kernel with error"
                            " injection (CONFIG_FUNCTION_ERROR_INJECTION)")  # fmt: skip

    def _uprobe(self, hook: Uprobe, path: str) -> None:
        """The member is the kernel's note of a program that changes registers."""
        if self._kernel.lacks_member("bpf_prog_aux", "kprobe_write_ctx"):
            for where, action in _actions(hook, path, frozenset({"Override"})):
                self._error(where, f"{action} of a uprobe needs Linux 6.18")

    # --- other hooks ------------------------------------------------------------------------

    def _lsm(self, hook: LsmHook, path: str) -> None:
        where = f"{path}.hook"
        prototype = self._kernel.lsm_hook(hook.hook)
        if prototype is not None:
            self._arguments(hook, prototype, path, f"the hook {hook.hook}")
        elif self._kernel.is_partial:
            self._ask(where, f"whether there is an LSM hook {hook.hook}, and its arguments")
        elif self._kernel.lacks("bpf_lsm_file_open"):
            what = "the kernel has no programs at LSM hooks (CONFIG_BPF_LSM, Linux 5.7)"
            self._error(where, f"{what}; hook security_{hook.hook} by a kprobe")
        else:
            self._error(where, f"there is no LSM hook {hook.hook}: BTF has no bpf_lsm_{hook.hook}")

    def _tracepoint(self, hook: Tracepoint, path: str) -> None:
        where = f"{path}.event"
        call = _SYSTEM_CALL_EVENT.match(hook.event) if hook.subsystem == _SYSTEM_CALLS else None
        if call and not hook.raw:
            # BTF has no tracepoints of single system calls: they are made of these functions.
            function = symbol(f"sys_{call[1]}", self._kernel.machine)
            is_there = self._kernel.has_function(function)
            if self._kernel.is_partial:
                self._ask(where, f"whether there is a system call {call[1]}")
            elif not is_there and not self._kernel.fields(hook.subsystem, hook.event):
                self._error(where, f"there is no system call {call[1]}: BTF has no {function}")
        elif self._kernel.has_tracepoint(hook.event) is None:
            self._ask(where, f"whether there is a tracepoint {hook.event}, and its arguments")
        elif not self._kernel.has_tracepoint(hook.event):
            self._error(where, f"there is no tracepoint {hook.event}")
        if hook.raw:
            prototype = self._kernel.raw_arguments(hook.event)
            if prototype is not None:
                self._arguments(hook, prototype, path, f"the raw tracepoint {hook.event}")
            return
        self._fields(hook, path)

    def _fields(self, hook: Tracepoint, path: str) -> None:
        fields = self._kernel.fields(hook.subsystem, hook.event)
        if fields is None:
            if hook.args:
                self._ask(f"{path}.args", "which fields its record has (its format is not known)")
            return
        for number, argument in enumerate(hook.args):
            where = f"{path}.args[{number}]"
            if argument.index >= len(fields):
                last = len(fields) - 1
                self._error(f"{where}.index", f"the tracepoint has the fields 0 to {last}")
                continue
            field = fields[argument.index]
            is_dynamic = field.name.startswith("__data_loc") or "__data_loc" in field.type
            if (argument.type == "data_loc") != is_dynamic:
                what = f"field {argument.index}, {field.name}, is {'' if is_dynamic else 'not '}"
                what += "a text elsewhere in the record (data_loc)"
                if argument.type in names.TEXTS | {names.AUTO}:
                    self._error(f"{where}.type", what)

    # --- arguments --------------------------------------------------------------------------

    def _arguments(self, hook: Any, prototype: Prototype, path: str, what: str) -> None:
        held = registers(self._kernel.btf, prototype)
        for number, argument in enumerate(hook.args):
            self._argument(argument, held, f"{path}.args[{number}]", what)
        for number, argument in enumerate(getattr(hook, "data", ())):
            self._datum(argument, f"{path}.data[{number}]")
        if getattr(hook, "returns", False) and hook.return_arg is not None:
            self._returned(hook.return_arg, prototype, path, what)

    def _argument(
        self, argument: Argument, held: List[Tuple[str, int]], path: str, what: str
    ) -> None:
        count = f"{what} has {len(held)} argument{'' if len(held) == 1 else 's'}"
        if argument.size_arg_index > len(held):
            self._error(f"{path}.sizeArgIndex", f"{count}; sizeArgIndex counts from 1")
        if argument.index >= len(held):
            self._error(f"{path}.index", f"{count}; index counts from 0")
            return
        name, kind = held[argument.index]
        if argument.resolve:
            self._resolve(argument, kind, path)
            return
        self._fits(argument, kind, path, f"argument {argument.index} of {what}, {name},")

    def _returned(self, argument: Argument, prototype: Prototype, path: str, what: str) -> None:
        if not prototype.returned:
            self.problems.warn(f"{path}.return", f"{what} returns nothing")
            return
        self._fits(argument, prototype.returned, f"{path}.returnArg", f"what {what} returns")

    def _fits(self, argument: Argument, kind: int, path: str, subject: str) -> None:
        found = misfit(self._kernel.btf, argument.type, kind)
        if found is None:
            return
        report = self._error if found.is_sure else self.problems.warn
        report(f"{path}.type", f"{subject} {found.message}")

    def _datum(self, argument: Argument, path: str) -> None:
        if argument.source == names.CURRENT_TASK:
            self._resolve(argument, None, path)
        elif argument.source == names.REGISTERS:
            known = REGISTERS[self._kernel.machine]
            if argument.resolve not in known:
                what = f"{self._kernel.machine} has no register {quoted(argument.resolve)}"
                self._error(f"{path}.resolve", f"{what}: {', '.join(known)}")

    def _resolve(self, argument: Argument, start: Optional[int], path: str) -> None:
        try:
            if argument.source == names.CURRENT_TASK:
                start = self._types.structure("task_struct")
            elif argument.btf_type:
                start = self._types.structure(argument.btf_type)
            assert start is not None
            self._types.resolve(start, argument.resolve)
        except PolicyUnsupportedError as err:
            if self._kernel.is_partial:
                self._ask(f"{path}.resolve", f"whether there is {argument.resolve}")
            else:
                shown = f" (of {c_name(self._kernel.btf, start)})" if start else ""
                self._error(f"{path}.resolve", f"{err}{shown}")

    def _no_resolve(self, hook: Any, path: str) -> None:
        for number, argument in enumerate(hook.args):
            if argument.resolve:
                what = "a system call's argument is in user space; hook a function behind it"
                self._error(f"{path}.args[{number}].resolve", what)
        for number, argument in enumerate(getattr(hook, "data", ())):
            self._datum(argument, f"{path}.data[{number}]")


def _actions(hook: Any, path: str, wanted: AbstractSet[str]) -> Iterator[Tuple[str, str]]:
    """Where a hook has some actions, and their names."""
    for number, selector in enumerate(hook.selectors):
        for at, action in enumerate(selector.match_actions):
            if action.action in wanted:
                yield f"{path}.selectors[{number}].matchActions[{at}].action", action.action
