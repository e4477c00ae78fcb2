# SPDX-License-Identifier: Apache-2.0
"""Functions of the kernel that BPF programs may call: their numbers, put into an object.

libbpf would do it by names in the object, and then refuse the object where the kernel does not show
its types. So there is an instruction in the place of each call, which does nothing (bpf/preempt.h).
"""

from __future__ import annotations

from struct import Struct
from typing import Dict, Optional

from tetrapy.kernel.libbpf import libbpf

# Name -> the number that the instruction in its place has.
PREEMPTION = {
    "bpf_preempt_disable": 0x7E740001,  # Linux 6.10
    "bpf_preempt_enable": 0x7E740002,
    "bpf_local_irq_save": 0x7E740003,  # Linux 6.14
    "bpf_local_irq_restore": 0x7E740004,
}

_KIND_FUNCTION = 12  # BTF_KIND_FUNC (include/uapi/linux/btf.h)
_INSTRUCTION = Struct("=BBhi")
_MOVE = 0xB7  # BPF_ALU64 | BPF_MOV | BPF_K; into register 0
_CALL, _OF_KFUNC = 0x85, 0x20  # BPF_JMP | BPF_CALL; BPF_PSEUDO_KFUNC_CALL as source register


def find(names: Dict[str, int]) -> Optional[Dict[int, int]]:
    """Number in the object -> number of that function in the kernel's types; None if one lacks."""
    library = libbpf()
    types = library.btf__load_vmlinux_btf()
    if not types:
        return None
    try:
        found = {
            place: int(library.btf__find_by_name_kind(types, name.encode(), _KIND_FUNCTION))
            for name, place in names.items()
        }
    finally:
        library.btf__free(types)
    return found if min(found.values()) > 0 else None


def put_in(data: bytes, numbers: Dict[int, int]) -> bytes:
    """The object `data` with calls in those places."""
    for place, number in numbers.items():
        call = _INSTRUCTION.pack(_CALL, _OF_KFUNC, 0, number)
        data = data.replace(_INSTRUCTION.pack(_MOVE, 0, 0, place), call)
    return data
