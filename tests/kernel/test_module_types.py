# SPDX-License-Identifier: Apache-2.0
"""Members of structures of a kernel module, which policies name by `btfTypeModule`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import split_btf
from tetrapy.abi.btf import Btf
from tetrapy.daemon.policy_loader import _module_types
from tetrapy.errors import PolicyUnsupportedError
from tetrapy.sensors.policy.member_path import KernelTypes

KERNEL = Path("/sys/kernel/btf/vmlinux")

pytestmark = pytest.mark.skipif(not KERNEL.exists(), reason="needs a kernel with BTF")


@pytest.fixture(scope="module")
def kernel() -> KernelTypes:
    split = {"thing": split_btf.module(KERNEL), "damaged": b"\x9f\xeb\x01\0"}
    return KernelTypes(Btf(KERNEL.read_bytes()), split.__getitem__)


def test_a_structure_of_a_module(kernel: KernelTypes) -> None:
    """Its members, and through them those of the kernel's structures."""
    with pytest.raises(PolicyUnsupportedError, match="has no struct module_thing"):
        kernel.structure("module_thing")
    types = kernel.of_module("thing")
    thing = types.structure("module_thing")
    assert types.resolve(thing, "list").path == ((), 64)
    deep = types.resolve(thing, "pid.tgid")
    own = kernel.resolve(kernel.structure("task_struct"), "tgid")
    assert deep.path.steps == (0,)
    assert (deep.path.last, deep.size) == (own.path.last, 4)


def test_a_name_that_the_kernel_has_too(kernel: KernelTypes) -> None:
    """The module's own counts; what only the kernel has is the kernel's."""
    types = kernel.of_module("thing")
    assert types.resolve(types.structure("task_struct"), "module_only").size == 4
    assert types.structure("inode") == kernel.structure("inode")


def test_what_cannot_be_read(kernel: KernelTypes) -> None:
    """Damaged BTF, a module that is not there, a path: each says so."""
    with pytest.raises(PolicyUnsupportedError, match="btfTypeModule: BTF of module damaged: "):
        kernel.of_module("damaged")
    with pytest.raises(PolicyUnsupportedError, match=r"no-such: No such file .*loaded"):
        _module_types("no-such")
    with pytest.raises(PolicyUnsupportedError, match="is no name of a module"):
        _module_types("../vmlinux")
    with pytest.raises(PolicyUnsupportedError, match="own BTF"):
        KernelTypes(Btf(KERNEL.read_bytes())).of_module("thing")
