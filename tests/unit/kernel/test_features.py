# SPDX-License-Identifier: Apache-2.0
"""What the kernel can do: whether it preempts tracepoint programs, and what a refusal says."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from tetrapy.errors import KernelError
from tetrapy.kernel import features
from tetrapy.kernel.features import preempts_programs

if TYPE_CHECKING:
    from pathlib import Path

GUARD = b"\0class_srcu_fast_notrace_t\0"
STRUCTURE = b"\0tracepoint_srcu_srcu_data\0"
OTHERS = b"\0name" * 300_000

BTF = {
    "7.x": (STRUCTURE + OTHERS + GUARD, True),
    "7.x, the other way round": (GUARD + STRUCTURE, True),
    "6.12: the structure, for another use": (STRUCTURE, False),
    "6.18: neither": (OTHERS + b"\0", False),
    "the guard only": (GUARD, False),
    "a longer name": (STRUCTURE + b"\0my_class_srcu_fast_notrace_t\0", False),
    "a longer name, too": (STRUCTURE + b"\0my_class_srcu_fast_notrace_t" + GUARD, True),
    "a name that goes on": (STRUCTURE + b"\0class_srcu_fast_notrace_t_\0", False),
    "empty": (b"", False),
}


@pytest.mark.parametrize(("btf", "expected"), BTF.values(), ids=BTF)
def test_the_kernels_types_tell(tmp_path: Path, btf: bytes, expected: bool) -> None:
    """Where the kernel shows its types nothing else is asked."""
    types = tmp_path / "btf"
    types.write_bytes(btf)
    assert preempts_programs(GUARD + STRUCTURE, str(types)) is expected


@pytest.mark.parametrize(("btf", "expected"), BTF.values(), ids=BTF)
def test_other_types_tell(tmp_path: Path, btf: bytes, expected: bool) -> None:
    """Where it does not, types that were found elsewhere."""
    none = str(tmp_path / "none")
    assert preempts_programs(btf, none, none) is expected


def test_types_that_cannot_be_mapped() -> None:
    """An old kernel is not read through."""
    assert not preempts_programs(GUARD + STRUCTURE, "/proc/self/status")


def test_nothing_to_ask(tmp_path: Path) -> None:
    """A kernel that shows nothing is not known to preempt programs."""
    none = str(tmp_path / "none")
    assert not preempts_programs(None, none, none)


SYMBOL = b"ffffffff81446800 T init_srcu_struct_fast\n"
FILLING = b"ffffffff81446800 t function_of_a_kernel\n" * 20_000
KALLSYMS = {
    "7.x": (FILLING + SYMBOL + FILLING, True),
    "the last one": (FILLING + SYMBOL, True),
    "6.18: no such function": (FILLING, False),
    "a longer name": (FILLING + b"ffffffff81446800 T init_srcu_struct_fast_updown\n", False),
    "one that ends so": (FILLING + b"ffffffff81446800 T __pfx_init_srcu_struct_fast\n", False),
    "empty": (b"", False),
}


@pytest.mark.parametrize(("symbols", "expected"), KALLSYMS.values(), ids=KALLSYMS)
def test_symbols_tell(tmp_path: Path, symbols: bytes, expected: bool) -> None:
    """Where no types tell: those of the archive and of inference have only what is read."""
    kallsyms = tmp_path / "kallsyms"
    kallsyms.write_bytes(symbols)
    none = str(tmp_path / "none")
    assert preempts_programs(None, none, str(kallsyms)) is expected
    assert preempts_programs(OTHERS, none, str(kallsyms)) is expected


def test_a_symbol_between_two_reads(tmp_path: Path) -> None:
    """Wherever the file is cut into blocks."""
    kallsyms = tmp_path / "kallsyms"
    for before in range((1 << 18) - len(SYMBOL) - 1, (1 << 18) + 2):
        kallsyms.write_bytes(b"x" * (before - 1) + b"\n" + SYMBOL)
        assert preempts_programs(None, str(tmp_path / "none"), str(kallsyms))


@pytest.mark.parametrize(
    ("refused", "is_there"),
    [(errno.EINVAL, False), (errno.EPERM, True), (errno.ENOMEM, True)],
)
def test_only_what_is_invalid_is_lacking(
    monkeypatch: pytest.MonkeyPatch, refused: int, is_there: bool
) -> None:
    """Without rights or memory, small programs would be taken where the kernel needs none."""

    def refuse(*_: object) -> int:
        raise KernelError("refused", refused)

    class Library:
        @staticmethod
        def bpf_prog_load(*_: object) -> int:
            return -refused

    monkeypatch.setattr(features, "create_map", refuse)
    monkeypatch.setattr(features, "libbpf", Library)
    assert features.GLOBAL_DATA.is_there == is_there
    assert features.BOUNDED_LOOPS.is_there == is_there
