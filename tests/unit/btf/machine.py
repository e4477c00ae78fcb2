# SPDX-License-Identifier: Apache-2.0
"""A machine whose kernel has no BTF: a root directory, an archive, and perhaps an examiner."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.support.builders import EXIT, BtfBuilder, Symbol, elf
from tests.unit.abi.test_core_relocs import extension
from tetrapy.abi.btf import Btf
from tetrapy.abi.core_queries import Answers, CoreQueries
from tetrapy.btf import btf_paths, search
from tetrapy.btf.archive import Archive
from tetrapy.btf.btf_paths import Places
from tetrapy.btf.discovery import find_btf
from tetrapy.btf.host import Host
from tetrapy.btf.inference.prober import CheckResult, InferenceResult
from tetrapy.btf.pack import pack
from tetrapy.btf.search import Search
from tetrapy.btf.source import BtfSource

RELEASE = "6.1.0-50-cloud-amd64"
HERE = Host("debian", "12", "x86_64", RELEASE)
NEED = "offset struct s.a int"

# The places after the kernel's own, in order, below the root or the library's directory.
FILES = [
    f"lib-dir/metadata/vmlinux-{RELEASE}",
    "lib-dir/metadata/vmlinux-6.1.0",
    "lib-dir/btf",
    *(place.format(RELEASE) for place in btf_paths.LIBBPF_PLACES),
]


def kernel(offset: int = 0) -> bytes:
    """The BTF of a kernel that has `a` in struct s, at an offset in bits."""
    b = BtfBuilder()
    b.composite("s", 64, [("a", b.integer("int", 4), offset)])
    return b.build()


def asking() -> bytes:
    """A BPF object that reads `a` of struct s."""
    b = BtfBuilder()
    s = b.composite("s", 4, [("a", b.integer("int", 4), 0)])
    sections = {"prog": EXIT, ".BTF": b.build(), ".BTF.ext": extension(b, [(0, s, "0:0", 0)])}
    # The names of the extension are in the builder's strings by now.
    sections[".BTF"] = b.build()
    return elf(sections, [Symbol("f", "prog", 0, 8)])


OBJECT = asking()
KERNEL = kernel()


class Log:
    """Collects log lines."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, str]]] = []

    def __call__(self, level: str, message: str, **fields: str) -> None:
        self.lines.append((level, message, fields))


class Truth:
    """An examiner that knows the running kernel's layout."""

    def __init__(self, offset: int) -> None:
        self.answers = (offset,)
        self.found: InferenceResult | None = None
        self.scanned: InferenceResult | None = None

    def check(self, answers: Answers) -> CheckResult:
        return CheckResult([] if answers == self.answers else ["a is not ours"], [])

    def infer(self, archive: Archive, host: Host) -> InferenceResult:
        return self.found or NOTHING

    def scan(self) -> InferenceResult:
        return self.scanned or NOTHING


NOTHING = InferenceResult(None, "none of 0 layouts fits")


class Machine:
    """A root directory with nothing in it, an archive, and perhaps a kernel to be examined."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.places = Places(str(root / "lib-dir"), str(root), str(root / "store"))
        self.archive = pack({}, [NEED])
        self.log = Log()
        self.truth: Truth | None = None
        self.inference = search.INFERENCE_AUTO
        self.closed = 0

    def put(self, place: str, data: bytes = KERNEL) -> str:
        """Write a file, and return its path."""
        path = self.root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return str(path)

    @contextlib.contextmanager
    def open_prober(self, queries: CoreQueries, optional: frozenset[str]) -> Iterator[Truth]:
        """The examiner of this machine's kernel."""
        assert self.truth
        try:
            yield self.truth
        finally:
            self.closed += 1

    def find(self, host: Host = HERE, user_path: str = "", *, check: bool = True) -> BtfSource:
        """What discovery finds on this machine."""
        return find_btf(self.search(host, check=check), user_path)

    def search(self, host: Host = HERE, *, check: bool = True) -> Search:
        """What a search on this machine is given."""
        return Search(
            host,
            lambda: self.archive,
            lambda: [OBJECT],
            self.log,
            self.open_prober if self.truth else None,
            self.places,
            self.inference,
            check,
        )

    def messages(self, level: str) -> list[str]:
        """The log's lines of a level, without their fields."""
        return [message for found, message, _fields in self.log.lines if found == level]


def facts_of(source: BtfSource) -> Answers:
    """What the BTF that was found answers."""
    assert source.data is not None
    return CoreQueries([OBJECT]).answers(Btf(source.data))
