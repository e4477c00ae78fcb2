# SPDX-License-Identifier: Apache-2.0
"""What policies cost, in instructions of the deterministic guest, beside Tetragon and the aims.

    python3 -m bench.policies           the figures as a table and in build/bench-policies.json

Exit codes: 0, 1 when a matching call is not reported, 2 when nothing was measured.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bench import programs
from bench.guest import KERNEL, MEMORY, PYZ
from bench.policy_driver import BURST, BURSTS
from tools.errors import BuildError
from tools.fetch import ROOT
from tools.guest import kernels, qemu

HERE = Path(__file__).resolve().parent
OUTPUT = ROOT / "build/bench-policies.json"
COUNT = 20_000  # calls of a load


class Row(NamedTuple):
    """One figure: its title, its value, what is to be reached, what Tetragon has."""

    title: str
    value: float
    unit: str
    aim: float
    tetragon: str


def measure(count: int) -> dict[str, Any]:
    """The driver's record. Raises BuildError when the guest brings nothing back."""
    if not PYZ.exists():
        raise BuildError("there is no dist/tetrapy.pyz: make build")
    with tempfile.TemporaryDirectory(prefix="tetrapy-bench-") as scratch:
        files: dict[str, qemu.Content] = {
            "/test/tetrapy.pyz": PYZ,
            "/test/calls": programs.build_with_libc(Path(scratch), "calls"),
        }
        files["/test/bench/__init__.py"] = b""
        for name in ("driver.py", "policy_driver.py"):
            files[f"/test/bench/{name}"] = HERE / name
        script = f"cd /test && exec python3 -m bench.policy_driver {count}"
        result = qemu.run(kernels.get(KERNEL), script, files, memory=MEMORY, deterministic=True)
    if result.exit_code:
        raise qemu.GuestError(f"the driver ended with {result.exit_code}", result.output)
    record: dict[str, Any] = json.loads(result.files["policies.json"])
    for name in ("prefix", "files", "number", "matching"):
        (policy,) = record[name]["policies"]
        if policy["error"]:
            raise BuildError(f"policy {name}: {policy['error']}")
    return record


def verified(descriptors: list[Mapping[str, str]]) -> int:
    """Instructions that the verifier went through for all programs."""
    return sum(int(fields.get("verified_insns", 0)) for fields in descriptors)


def rows(record: Mapping[str, Any]) -> list[Row]:
    """The figures of a record."""
    none, files, count = record["none"], record["files"], record["count"]
    calls = BURST * BURSTS
    bursts = record["matching"]["bursts"]
    pread, getpgid = record["pread"] / count, record["getpgid"] / count
    agent = sum(one["cpu"] for one in bursts) / calls
    kernel = sum(one["wall"] - one["during"] for one in bursts) / calls - pread
    return [
        Row(
            "three file kprobes with return: start to events",
            files["start"] / 1e9,
            "G",
            1.0,
            "16.7",
        ),
        Row("- of that, the policy", (files["start"] - none["start"]) / 1e9, "G", 1.0, ""),
        Row(
            "- verified instructions",
            (verified(files["descriptors"]) - verified(none["descriptors"])) / 1e3,
            "k",
            250,
            "4280",
        ),
        Row("- kernel memory", _kernel_memory(files), "kB", 300, "1280"),
        Row("- RSS", (files["memory"]["rss"] - none["memory"]["rss"]) / 1e6, "MB", 3, "27 to 40"),
        Row("one hook: kernel memory", _kernel_memory(record["prefix"]), "kB", 80, "315"),
        Row(
            "pread that one Prefix does not match",
            record["prefix"]["calls"] / count - pread,
            "",
            2500,
            "8695",
        ),
        Row("pread with the three kprobes", files["calls"] / count - pread, "", 4000, "13158"),
        Row(
            "getpgid that one Equal does not match",
            record["number"]["calls"] / count - getpgid,
            "",
            1000,
            "4916",
        ),
        Row("a call that matches: in the kernel", kernel / 1e3, "k", 8, "22"),
        Row("- agent to the written line", agent / 1e3, "k", 60, "245"),
        Row(
            f"lost of {calls} in bursts of {BURST}",
            calls - record["matching"]["lines"],
            "",
            0,
            "871",
        ),
    ]


def _kernel_memory(life: Mapping[str, Any]) -> float:
    return float(life["policies"][0]["kernel_memory_bytes"]) / 1e3


def table(found: list[Row]) -> str:
    """The figures beside the aims and Tetragon's."""
    lines = [f"{'':50} {'now':>10}    {'aim':>6} {'Tetragon':>9}"]
    lines += [
        f"{row.title:50} {row.value:10.2f} {row.unit:2} {row.aim:6g} {row.tetragon:>9}"
        for row in found
    ]
    return "\n".join(lines)


def main() -> int:
    """Exit code."""
    parser = argparse.ArgumentParser(
        prog="python3 -m bench.policies",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--count", type=int, default=COUNT, metavar="CALLS", help="of a load")
    try:
        record = measure(parser.parse_args().count)
    except (BuildError, OSError) as err:
        print(f"bench.policies: {err}", file=sys.stderr)
        return 2
    found = rows(record)
    print(table(found))
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps({row.title: row.value for row in found}, indent=2) + "\n")
    return 1 if found[-1].value else 0


if __name__ == "__main__":
    sys.exit(main())
