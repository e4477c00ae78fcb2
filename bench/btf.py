# SPDX-License-Identifier: Apache-2.0
"""What finding a kernel's types costs: the archive, the choice among layouts, the scan.

    python3 -m bench.btf [--full BTF]        root for what asks this kernel

Times are of this machine, each the least of several runs; sizes are exact.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "agent"))

from tetrapy.abi.btf import Btf  # noqa: E402 - after the path is set
from tetrapy.abi.core_minimal import minimal_btf  # noqa: E402 - likewise
from tetrapy.abi.core_queries import CoreQueries  # noqa: E402 - likewise
from tetrapy.btf import host  # noqa: E402 - likewise
from tetrapy.btf.archive import Archive  # noqa: E402 - likewise

if TYPE_CHECKING:
    from collections.abc import Callable

RUNS = 7
BTFHUB = 4306  # kernels in the listing of BTFHub's archive
BTFHUB_LAYOUTS = (350, 700)  # estimated from those of Datadog's tables, see docs/btf.md


def best(work: Callable[[], Any]) -> tuple[float, Any]:
    """The least time of several runs, in milliseconds, and the last result."""
    times = []
    result = None
    for _ in range(RUNS):
        start = time.perf_counter()
        result = work()
        times.append((time.perf_counter() - start) * 1e3)
    return min(times), result


def row(name: str, value: str, remark: str = "") -> None:
    """Print one figure."""
    print(f"{name:52} {value:>12}  {remark}")


def sizes(packed: bytes, archive: Archive) -> None:
    """How large the archive is, and would be with all kernels of BTFHub."""
    from tetrapy.btf.pack import pack

    kernels, layouts = len(archive.kernels), len(archive.layouts)
    row("archive", f"{len(packed):,} B", f"{kernels} kernels, {layouts} layouts")
    row("archive, per kernel", f"{len(packed) / kernels:.1f} B", "floor 30")
    # Half of the layouts, and half of the names, tell what one more of each costs.
    rows = {name: archive.layouts[number] for name, number in archive.kernels.items()}
    one = dict.fromkeys(rows, archive.layouts[0])
    names = len(pack(one, archive.queries))
    base = len(pack(dict([next(iter(one.items()))]), archive.queries))
    per_name, per_layout = (names - base) / kernels, (len(packed) - names) / layouts
    few, many = ((base + BTFHUB * per_name + count * per_layout) / 1024 for count in BTFHUB_LAYOUTS)
    remark = f"{per_name:.1f} B a name, {per_layout:.1f} B a layout; floor 100"
    row(f"projected, {BTFHUB:,} kernels", f"{few:.0f} to {many:.0f} KiB", remark)


def look_up(packed: bytes, queries: CoreQueries) -> None:
    """From the archive's bytes to the BTF of one kernel."""

    def find() -> bytes:
        archive = Archive(packed).select(queries.names)
        return minimal_btf(queries, archive.layouts[archive.find(max(archive.kernels)) or 0])

    spent, btf = best(find)
    row("open, find and unpack one kernel", f"{spent:.1f} ms", f"floor 20; {len(btf):,} B of BTF")


def full(path: Path, queries: CoreQueries) -> None:
    """The answers of a full BTF."""
    data = path.read_bytes()
    spent, _answers_of = best(lambda: queries.answers(Btf(data)))
    remark = f"{1e3 / spent:.0f} kernels a second and core"
    row(f"facts of a full BTF of {len(data) / 1e6:.1f} MB", f"{spent:.0f} ms", remark)


def live(archive: Archive, queries: CoreQueries, objects: list[bytes]) -> None:
    """What this kernel is asked."""
    from tetrapy.btf import requirements
    from tetrapy.daemon.btf import open_prober

    optional = requirements.optional(queries.names, requirements.optional_accesses(objects))
    with contextlib.ExitStack() as stack:
        loading, prober = best(lambda: stack.enter_context(open_prober(queries, optional)))
        row("load the program that reads memory", f"{loading:.1f} ms")
        here = host.current()
        spent, found = best(lambda: prober.infer(archive, here))
        row(f"infer among {found.tested} layouts", f"{spent:.0f} ms", found.kernel or found.reason)
        spent, found = best(prober.scan)
        row("scan and prove", f"{spent:.0f} ms", found.reason or f"{found.proven} needs proven")
        if found.answers is not None:
            spent, _check = best(lambda: prober.check(found.answers))
            row("check one layout", f"{spent:.0f} ms")


def main() -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", type=Path, default=Path("/sys/kernel/btf/vmlinux"))
    options = parser.parse_args()
    objects = [path.read_bytes() for path in sorted(ROOT.glob("build/bundle/bpf/base*.bpf.o"))]
    if not objects:
        print("bench.btf: no BPF objects in build/bundle/bpf: make build", file=sys.stderr)
        return 2
    packed = (ROOT / "btfs/archive.xz").read_bytes()
    queries, archive = CoreQueries(objects), Archive(packed)
    sizes(packed, archive)
    look_up(packed, queries)
    if options.full.is_file():
        full(options.full, queries)
    if os.geteuid() == 0:
        live(archive.select(queries.names), queries, objects)
    return 0


if __name__ == "__main__":
    sys.exit(main())
