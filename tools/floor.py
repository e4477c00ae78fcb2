# SPDX-License-Identifier: Apache-2.0
"""Holds compiled BPF objects to what the oldest supported kernels accept.

    python3 -m tools.floor OBJECT...

The perf buffer's flavours (*-perf.bpf.o) are held to Linux 5.4, the small ones (*-4.19.bpf.o) to
4.19, the others to 5.8, where the ring buffer came; an optional program whose section has a version
behind the slash (`?kprobe/5.15`), to that. 5.10 is the oldest kernel that the guests of the tests
boot, so this check is what keeps the floor true. It sees forms, not flow: how many instructions a
verifier walks over only a kernel can tell, which the kernel tests ask (`verified_insns`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "agent"))

from tetrapy.abi import constants
from tetrapy.abi import elf as e
from tetrapy.abi import kinds as k
from tetrapy.abi.btf import Btf
from tetrapy.errors import TetrapyError
from tools import floor_rules as rules
from tools.floor_rules import RULES, Rules

_INSTRUCTION = Struct("<BBhi")
_RING_FLAVOURS = ("base.bpf.o", "policy.bpf.o")
_SMALL_FLAVOURS = "-4.19.bpf.o"


class Function(NamedTuple):
    """A function of the object; `start` and `count` are instructions of its section."""

    name: str
    section: e.Section
    start: int
    length: int
    shared: bool


class Instruction(NamedTuple):
    """An instruction; `at` is its index in the function, `target` the symbol it refers to."""

    at: int
    code: int
    source: int
    offset: int
    immediate: int
    target: e.Symbol | None


class Program(NamedTuple):
    """A program's name and section, and its length with the functions that it calls."""

    name: str
    section: str
    instructions: int


class Report(NamedTuple):
    """What an object holds, and why the kernel refuses it: one line a finding."""

    programs: list[Program]
    findings: list[str]


def check(data: bytes, accepted: Rules) -> Report:
    """Hold an ELF object to the rules of a kernel. Raises TetrapyError when it is no BPF object."""
    if not accepted.large:
        data = constants.put_in(data, {})
    return _Check(data, accepted).run()


def floor_of(path: Path) -> Rules:
    """The rules for an object of that name."""
    if path.name.endswith(_SMALL_FLAVOURS):
        return RULES["4.19"]
    return RULES["5.8"] if path.name in _RING_FLAVOURS else RULES["5.4"]


class _Check:
    def __init__(self, data: bytes, accepted: Rules) -> None:
        self._rules = accepted
        self._elf = e.Elf(data)
        self._symbols = self._elf.symbols()
        self._functions = {
            (found.section, found.value // 8): Function(
                found.name,
                self._elf.sections[found.section],
                found.value // 8,
                found.size // 8,
                found.binding == e.STB_GLOBAL and found.visibility != e.STV_HIDDEN,
            )
            for found in self._symbols
            if found.type == e.STT_FUNC and 0 < found.section < len(self._elf.sections)
        }
        self._code: dict[int, list[Instruction]] = {}
        self._findings: dict[str, None] = {}

    def run(self) -> Report:
        programs = []
        for function in self._functions.values():
            if function.section.name == ".text":
                continue
            # Optional programs are held to the rules too, but for types that came later: an
            # oldest kernel is not asked to load those.
            optional = function.section.name.startswith("?")
            if not optional or self._kind(function) is not None:
                programs.append(self._program(function))
        if not programs:
            raise TetrapyError("the object holds no programs")
        for finding in self._maps():
            self._findings[finding] = None
        return Report(programs, list(self._findings))

    def _kind(self, main: Function) -> str | None:
        """The type of a program; None if the rules do not know it."""
        return self._rules.types.get(main.section.name.removeprefix("?").partition("/")[0])

    def _program(self, main: Function) -> Program:
        """Check a program with all functions that it calls, each once."""
        kind = self._kind(main)
        if kind is None:
            self._refuse(main, main, None, f"programs of section {main.section.name} are not known")
        own = self._own(main)
        reached = {main.name: main}
        waiting = [main]
        helpers = set()
        while waiting:
            function = waiting.pop()
            for found in self._instructions(function):
                if found.code != rules.CALL:
                    problem = self._plain(found)
                    called = self._taken(found) if own.functions else None
                    if called is not None:
                        problem = self._function(called, found)
                        if called.name not in reached:
                            reached[called.name] = called
                            waiting.append(called)
                elif found.source == rules.CALL_HELPER:
                    helpers.add(found.immediate)
                    problem = self._helper(main, found.immediate, kind)
                elif found.source == rules.CALL_FUNCTION:
                    called = self._called(function, found)
                    problem = self._function(called, found)
                    if called and called.name not in reached:
                        reached[called.name] = called
                        waiting.append(called)
                else:
                    problem = "a kernel function is called: Linux 5.13"
                if problem:
                    self._refuse(main, function, found, problem)
            if not own.large and self._loops(function):
                self._refuse(main, function, None, "has a loop: Linux 5.3")
        length = sum(function.length for function in reached.values())
        if length > own.max_instructions:
            most = own.max_instructions
            self._refuse(main, main, None, f"{length} instructions, {most} are too many")
        if rules.TAIL_CALL in helpers and len(reached) > 1 and not own.functions:
            # Allowed together on x86_64 since 5.10, commit e411901c0b77.
            self._refuse(main, main, None, "calls functions and makes tail calls: Linux 5.10")
        return Program(main.name, main.section.name, length)

    def _plain(self, found: Instruction) -> str:
        target = found.target
        if found.code == rules.LD_IMM64 and target is not None:
            if not target.section:
                return f"the kernel's symbol {target.name} is used"
            if self._elf.sections[target.section].flags & e.SHF_EXECINSTR:
                return f"the address of the function {target.name} is taken: Linux 5.13"
            if not self._rules.large and self._elf.sections[target.section].name != ".maps":
                return f"the variable {target.name} is used: Linux 5.2"
        return rules.refused(
            found.code, found.source, found.offset, found.immediate, self._rules.large
        )

    def _loops(self, function: Function) -> bool:
        """Whether instructions of a function lead back to one that led to them: check_cfg() of
        kernel/bpf/verifier.c, whose walk is depth first, too.
        """
        following = {}
        for found in self._instructions(function):
            kind, operation = found.code & 7, found.code & 0xF0
            ahead = [found.at + (2 if found.code == rules.LD_IMM64 else 1)]
            if found.code == rules.EXIT:
                ahead = []
            elif kind in (rules.JMP, rules.JMP32) and found.code != rules.CALL:
                jump = found.at + 1 + found.offset
                ahead = [jump] if operation == rules.JA else [*ahead, jump]
            following[found.at] = ahead
        open_, done, path = {0}, set(), [(0, iter(following.get(0, ())))]
        while path:
            at, ahead_of = path[-1]
            target = next(ahead_of, None)
            if target is None:
                path.pop()
                open_.discard(at)
                done.add(at)
            elif target in open_:
                return True
            elif target not in done:
                open_.add(target)
                path.append((target, iter(following.get(target, ()))))
        return False

    def _helper(self, main: Function, number: int, kind: str | None) -> str:
        own = self._own(main)
        if kind is None or number in own.helpers[kind]:
            return ""
        name = rules.HELPER_NAMES.get(number, "unnamed")
        return f"helper {number} ({name}) is not for {kind} programs"

    def _function(self, called: Function | None, found: Instruction) -> str:
        if called is None:
            name = found.target.name if found.target else f"instruction {found.immediate:+}"
            return f"calls {name}, which is no function of the object"
        if called.shared:
            return (
                f"calls the global function {called.name}, known as such since 5.6; make it static"
            )
        return ""

    def _own(self, main: Function) -> Rules:
        """The rules of the kernels that a program is loaded on."""
        return RULES.get(main.section.name.partition("/")[2], self._rules)

    def _taken(self, found: Instruction) -> Function | None:
        """The function whose address an instruction takes (libbpf's RELO_SUBPROG_ADDR)."""
        if found.code != rules.LD_IMM64 or found.target is None:
            return None
        place = (found.target.value + found.immediate) // 8
        return self._functions.get((found.target.section, place))

    def _called(self, caller: Function, found: Instruction) -> Function | None:
        """The function that an instruction calls, the way libbpf computes it (RELO_CALL)."""
        if found.target is None:
            place = caller.start + found.at + found.immediate + 1
            return self._functions.get((caller.section.number, place))
        place = found.target.value // 8 + found.immediate + 1
        return self._functions.get((found.target.section, place))

    def _instructions(self, function: Function) -> Iterator[Instruction]:
        """A function's instructions; the second half of a 16-byte load is left out."""
        section = function.section
        if section.number not in self._code:
            self._code[section.number] = list(self._decode(section))
        end = function.start + function.length
        wide = False
        for found in self._code[section.number][function.start : end]:
            if not wide:
                yield found._replace(at=found.at - function.start)
            wide = not wide and found.code == rules.LD_IMM64

    def _decode(self, section: e.Section) -> Iterator[Instruction]:
        targets = {found.offset: found.symbol for found in self._elf.relocations(section)}
        data = self._elf.data(section)
        for index in range(len(data) // 8):
            code, registers, offset, immediate = _INSTRUCTION.unpack_from(data, 8 * index)
            symbol = targets.get(8 * index)
            if symbol is not None and symbol >= len(self._symbols):
                raise TetrapyError(f"section {section.name}: symbol {symbol} does not exist")
            target = None if symbol is None else self._symbols[symbol]
            yield Instruction(index, code, registers >> 4, offset, immediate, target)

    def _maps(self) -> Iterator[str]:
        """Findings about the maps of section .maps, whose BTF says what they are."""
        section = self._elf.section(".BTF")
        btf = Btf(self._elf.data(section)) if section else None
        maps = btf.find(".maps", k.KIND_DATASEC) if btf else None
        if btf is None or maps is None:
            return
        for variable in btf.variables(maps):
            numbers = {}
            for member in btf.members(btf.resolve(variable.type_id)):
                # __uint(name, value) of bpf_helpers.h declares int (*name)[value].
                pointer = btf.resolve(member.type_id)
                target = btf.resolve(pointer.ref) if pointer.kind == k.KIND_PTR else pointer
                if target.kind == k.KIND_ARRAY:
                    numbers[member.name] = btf.array(target).elements
            kind, flags = numbers.get("type", 0), numbers.get("map_flags", 0)
            if kind > self._rules.newest_map_type:
                yield self._refusal(f"map {variable.name}: type {kind} is not known")
            if flags & ~self._rules.map_flags:
                yield self._refusal(f"map {variable.name}: flags {flags:#x} are not known")
            if numbers.get("map_extra"):
                yield self._refusal(f"map {variable.name}: map_extra is not known")

    def _refuse(
        self, main: Function, function: Function, found: Instruction | None, problem: str
    ) -> None:
        where = f"program {main.name} ({main.section.name})"
        if function is not main:
            where += f", function {function.name} ({function.section.name})"
        if found is not None:
            where += f", instruction {found.at}"
        self._findings[self._refusal(f"{where}: {problem}")] = None

    def _refusal(self, text: str) -> str:
        return f"Linux {self._rules.version} refuses {text}"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns 1 if an object is refused."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("objects", type=Path, nargs="+", metavar="OBJECT")
    parser.add_argument("--floor", choices=RULES, help="kernel version, else by the object's name")
    options = parser.parse_args(arguments)
    refused = False
    for path in options.objects:
        accepted = RULES[options.floor] if options.floor else floor_of(path)
        try:
            report = check(path.read_bytes(), accepted)
        except (OSError, TetrapyError) as err:
            print(f"{path}: {err}", file=sys.stderr)
            return 1
        for finding in report.findings:
            print(f"{path}: {finding}", file=sys.stderr)
        refused = refused or bool(report.findings)
        sizes = ", ".join(f"{program.name} {program.instructions}" for program in report.programs)
        verdict = f"{len(report.findings)} findings" if report.findings else "accepted"
        print(f"{path.name}: Linux {accepted.version}: {verdict}; instructions: {sizes}")
    return int(refused)


if __name__ == "__main__":
    sys.exit(main())
