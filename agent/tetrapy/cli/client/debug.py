# SPDX-License-Identifier: Apache-2.0
"""`debug progs`, `maps`, `enable-stats`: the agent's BPF programs and maps, as the kernel tells.

Tetragon's client finds them where Tetragon pins them. Those of tetrapy are held by its process, so
that nothing stays behind when that ends: they are found by its descriptors, in procfs.
"""

from __future__ import annotations

import os
import sys
import time
from datetime import datetime, timezone
from typing import Any, Dict, Iterator, List, Sequence, Tuple

from tetrapy.cli.client.arguments import Values
from tetrapy.cli.client.info_file import read_info
from tetrapy.cli.config import write
from tetrapy.client.policy_table import bytes_text
from tetrapy.errors import KernelError, TetrapyError
from tetrapy.json_codec import dumps
from tetrapy.kernel.programs import NamedProgram, named_program, program_ids, statistics
from tetrapy.visible import printable

_TAB = 8
_CLEAR = "\033[2J\033[H"
_HOUR = 3600.0
_MAP_TYPES = (
    "Unspecified Hash Array ProgramArray PerfEventArray PerCPUHash PerCPUArray StackTrace"
    " CGroupArray LRUHash LRUCPUHash LPMTrie ArrayOfMaps HashOfMaps DevMap SockMap CPUMap XSKMap"
    " SockHash CGroupStorage ReusePortSockArray PerCPUCGroupStorage Queue Stack SkStorage"
    " DevMapHash StructOpsMap RingBuf InodeStorage TaskStorage BloomFilter"
).split()


def enable_stats(_options: Values, _arguments: List[str]) -> int:
    """`debug enable-stats`: the kernel measures programs while this runs."""
    with statistics():
        while True:
            time.sleep(_HOUR)


def progs(options: Values, _arguments: List[str]) -> int:
    """`debug progs`: what programs took, in an interval or again and again."""
    interval, is_once = max(options["timeout"], 1), options["once"]
    with statistics():
        before = dict(_programs(options["all"]))
        while True:
            time.sleep(interval)
            now = dict(_programs(options["all"]))
            clear = "" if is_once or options["no-clear"] else _CLEAR
            most = None if is_once or options["no-clear"] else _terminal_lines() - 4
            code = write(clear + _overheads(before, now, interval, most))
            if is_once or code:
                return code
            sys.stdout.flush()
            before = now


def _programs(every: bool) -> Iterator[Tuple[int, NamedProgram]]:
    for number in program_ids() if every else sorted({row["prog_id"] for row in _held("prog_id")}):
        try:
            yield number, named_program(number)
        except KernelError:
            continue  # it went meanwhile


def _overheads(
    before: Dict[int, NamedProgram], now: Dict[int, NamedProgram], interval: int, most: Any
) -> str:
    whole = interval * 1_000_000_000 * (os.cpu_count() or 1)
    rows = []
    for number, one in now.items():
        if number not in before:
            continue
        spent = one.run_time_ns - before[number].run_time_ns
        runs = one.runs - before[number].runs
        rows.append((100 * spent / whole, number, runs, spent, printable(one.name)))
    rows.sort(key=lambda row: -row[0])
    cells = [("Ovh(%)", "Id", "Cnt", "Time", "Name", "Pin")]
    cells += [
        (f"{share:6.2f}", str(number), str(runs), str(spent), name, "-")
        for share, number, runs, spent, name in rows[:most]
    ]
    clock = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f +0000 UTC")
    return f"{clock}\n\n{_tabbed(cells)}"


def _terminal_lines() -> int:
    try:
        return max(os.get_terminal_size(0).lines, 5)
    except OSError:
        return 24


def _tabbed(rows: Sequence[Sequence[str]]) -> str:
    """Columns whose cells are filled up with tabs."""
    widths = [max(map(len, column)) // _TAB + 1 for column in zip(*rows)]
    lines = []
    for row in rows:
        cells = [cell + "\t" * (width - len(cell) // _TAB) for cell, width in zip(row[:-1], widths)]
        lines.append("".join(cells) + row[-1] + "\n")
    return "".join(lines)


def maps(options: Values, _arguments: List[str]) -> int:
    """`debug maps`: the memory of the agent's maps."""
    found: Dict[int, Dict[str, int]] = {}
    for row in _held("map_id"):
        found[row["map_id"]] = row
    total = sum(row.get("memlock", 0) for row in found.values())
    kinds: Dict[Tuple[int, ...], List[int]] = {}
    for row in found.values():
        key = tuple(row.get(name, 0) for name in _MAP_FIELDS)
        kinds.setdefault(key, []).append(row.get("memlock", 0))
    rows: List[Dict[str, Any]] = [
        {
            "type": _MAP_TYPES[key[0]] if key[0] < len(_MAP_TYPES) else str(key[0]),
            "key_size": key[1],
            "value_size": key[2],
            "max_entries": key[3],
            "count": len(sizes),
            "memlock": max(sizes),
            "total_memlock": sum(sizes),
            "percent_of_total": 100 * sum(sizes) / total if total else 0.0,
        }
        for key, sizes in kinds.items()
    ]
    rows.sort(key=lambda row: -row["total_memlock"])
    if options["output"] == "json":
        document = {"total_memlock_bytes": total, "maps": len(found), "aggregated_maps": rows}
        return write(dumps(document).decode() + "\n")
    lines = options["lines"] or None
    head = f"{len(found)} maps, {bytes_text(total)}\n\n"
    return write(head + "".join(line + "\n" for line in _map_table(rows[:lines])))


_MAP_FIELDS = ("map_type", "key_size", "value_size", "max_entries")
_MAP_COLUMNS = "Type KeySize ValueSize MaxEntries Count Memlock TotalMemlock PercentOfTotal".split()


def _map_table(rows: Sequence[Dict[str, Any]]) -> List[str]:
    cells = [_MAP_COLUMNS]
    for row in rows:
        *first, memlock, total, percent = row.values()
        shown = [bytes_text(memlock), bytes_text(total), f"{percent:.1f}%"]
        cells.append([*map(str, first), *shown])
    widths = [max(map(len, column)) + 3 for column in zip(*cells)]
    return ["".join(map(str.ljust, row, widths)).rstrip() for row in cells]


def _held(wanted: str) -> Iterator[Dict[str, int]]:
    """What procfs tells of the agent's descriptors that have such a number. Raises TetrapyError."""
    try:
        pid = int(read_info()["pid"])
        directory = f"/proc/{pid}/fdinfo"
        names = os.listdir(directory)
    except FileNotFoundError:
        raise TetrapyError(
            "no agent runs here: its info file, or its process, is not there"
        ) from None
    except (OSError, KeyError, TypeError, ValueError) as err:
        raise TetrapyError(f"the agent's descriptors cannot be read: {err}") from None
    for name in names:
        try:
            with open(f"{directory}/{name}", encoding="ascii", errors="replace") as file:
                rows = [line.split() for line in file]
        except OSError:
            continue  # closed meanwhile
        numbers = {
            row[0][:-1]: int(row[1], 0) for row in rows if len(row) == 2 and _is_number(row[1])
        }
        if wanted in numbers:
            yield numbers


def _is_number(text: str) -> bool:
    try:
        int(text, 0)
    except ValueError:
        return False
    return True
