# SPDX-License-Identifier: Apache-2.0
"""Functions in the kernel's own BTF, by libbpf: the same as our own reader finds."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tetrapy.abi import kinds as k
from tetrapy.abi.btf import Btf
from tetrapy.kernel.kernel_btf import KernelBtf
from tetrapy.kernel.named_types import PATH

pytestmark = pytest.mark.skipif(not Path(PATH).exists(), reason="this kernel has no BTF")


def test_prototypes() -> None:
    """Registers of the arguments and whether something is returned, of many functions."""
    btf = Btf(Path(PATH).read_bytes())
    functions = [one for one in btf if one.kind == k.KIND_FUNC]
    own = KernelBtf()
    for function in random.Random(1).sample(functions, 300):
        first = btf.find(function.name, k.KIND_FUNC)
        assert first is not None
        prototype = btf.type(first.ref)
        sizes = [btf.size_of(kind) for _, kind in btf.parameters(prototype) if kind]
        found = own.prototype(function.name)
        assert found is not None
        assert found.registers == sum((max(size, 1) + 7) // 8 for size in sizes)
        assert found.returns == (prototype.ref != 0)
    assert own.prototype("no_such_function_at_all") is None
    own.close()
    assert own.prototype(functions[0].name) is not None
    own.close()
