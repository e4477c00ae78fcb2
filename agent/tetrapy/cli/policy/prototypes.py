# SPDX-License-Identifier: Apache-2.0
"""What a kernel function is called with, by BTF, and which types of policies fit that."""

from __future__ import annotations

from typing import List, Mapping, Optional, Sequence, Tuple

from tetrapy.abi import kinds as k
from tetrapy.abi.btf import Btf
from tetrapy.abi.btf_types import Type
from tetrapy.named import NamedTuple
from tetrapy.policy import names

_REGISTER = 8  # bytes
_DEEPEST = 8  # structures that begin with one another

# Type of a policy -> the structures that it reads; a name that ends in * is the beginning of some.
_STRUCTURES: Mapping[str, Tuple[str, ...]] = {
    "file": ("file",),
    "path": ("path",),
    "dentry": ("dentry",),
    "kiocb": ("kiocb",),
    "linux_binprm": ("linux_binprm",),
    "filename": ("filename",),
    "sock": ("sock",),
    "socket": ("socket",),
    "sockaddr": ("sockaddr*", "__kernel_sockaddr_storage"),
    "sockaddr_un": ("sockaddr*",),
    "skb": ("sk_buff",),
    "net_device": ("net_device",),
    "cred": ("cred",),
    "user_namespace": ("user_namespace",),
    "bpf_attr": ("bpf_attr",),
    "bpf_prog": ("bpf_prog",),
    "bpf_map": ("bpf_map",),
    "perf_event": ("perf_event",),
    "module": ("module",),
    "load_info": ("load_info",),
    "char_iovec": ("iovec",),
    "iov_iter": ("iov_iter",),
    **dict.fromkeys(names.CAPABILITY_SETS, ("kernel_cap_t", "kernel_cap_struct")),
}
_TEXTS = frozenset({"string", "char_buf", "const_buf"})
_NUMBERS: Mapping[str, int] = {
    **{kind: bits // 8 for kind, (bits, _) in names.INTEGERS.items()},
    "capability": 4,
    "fd": 4,
}
_NAMED_STRUCTURES = (k.KIND_STRUCT, k.KIND_UNION, k.KIND_FWD)


class Misfit(NamedTuple):
    """Why a type of a policy does not fit; `is_sure` if what is read would be something else."""

    message: str
    is_sure: bool


class Prototype(NamedTuple):
    """A function's parameters, names and type ids, and the type that it returns (0: void)."""

    parameters: Tuple[Tuple[str, int], ...]
    returned: int = 0


def function(btf: Btf, name: str) -> Optional[Prototype]:
    """Of a function that BTF has; None where it has none of that name."""
    found = btf.find(name, k.KIND_FUNC)
    if found is None:
        return None
    kind = btf.type(found.ref)
    # A last parameter that is void stands for `...`.
    parameters = tuple((word, number) for word, number in btf.parameters(kind) if number)
    return Prototype(parameters, kind.ref)


def registers(btf: Btf, prototype: Prototype) -> List[Tuple[str, int]]:
    """What each register has that holds an argument: a structure may take two of them."""
    held: List[Tuple[str, int]] = []
    for one in prototype.parameters:
        size = max(btf.size_of(one[1]), 1)
        held += [one] * -(-size // _REGISTER)
    return held


def misfit(btf: Btf, kind: str, type_id: int) -> Optional[Misfit]:
    """Why an argument with this type in C cannot be read as a type of policies; None if it can."""
    found = btf.resolve(type_id)
    shown = c_name(btf, type_id)
    if kind in _STRUCTURES:
        return _structure_misfit(btf, kind, found, shown)
    if kind in _TEXTS:
        return _text_misfit(btf, kind, found, shown)
    if kind in _NUMBERS:
        return _number_misfit(btf, kind, found, shown)
    return None


def _structure_misfit(btf: Btf, kind: str, found: Type, shown: str) -> Optional[Misfit]:
    wanted = _STRUCTURES[kind]
    if found.kind == k.KIND_PTR:
        if btf.resolve(found.ref).kind == k.KIND_VOID:
            return None
        if any(_is_wanted(name, wanted) for name in _names_of(btf, found.ref)):
            return None
    word = "pointer to a " + " or ".join(wanted)
    return Misfit(f"is {shown}, and the type {kind} is for a {word}", is_sure=True)


def _is_wanted(name: str, wanted: Sequence[str]) -> bool:
    return any(name.startswith(one[:-1]) if one.endswith("*") else name == one for one in wanted)


def _names_of(btf: Btf, type_id: int) -> List[str]:
    """What a structure is called, by typedef and itself, and the structures that it begins with."""
    found = []
    for _ in range(_DEEPEST):
        kind = btf.type(type_id)
        found.append(kind.name)
        if kind.kind not in _NAMED_STRUCTURES:
            if kind.kind in (k.KIND_TYPEDEF, k.KIND_CONST, k.KIND_VOLATILE, k.KIND_TYPE_TAG):
                type_id = kind.ref
                continue
            return found
        members = btf.members(kind) if kind.kind == k.KIND_STRUCT else ()
        if not members:
            return found
        type_id = members[0].type_id
    return found


def _text_misfit(btf: Btf, kind: str, found: Type, shown: str) -> Optional[Misfit]:
    if found.kind != k.KIND_PTR:
        is_address = found.kind == k.KIND_INT and found.ref == _REGISTER
        what = f"is {shown}, no address: the type {kind} is for a pointer to text or bytes"
        return None if is_address else Misfit(what, is_sure=True)
    target = btf.resolve(found.ref)
    if target.kind in (k.KIND_STRUCT, k.KIND_UNION) and kind == "string":
        return Misfit(f"is {shown}, which is no text", is_sure=True)
    return None


def _number_misfit(btf: Btf, kind: str, found: Type, shown: str) -> Optional[Misfit]:
    size = _NUMBERS[kind]
    if found.kind == k.KIND_PTR:
        what = f"is {shown}: as {kind} its address is reported, and no value of it"
        return Misfit(what, is_sure=size < _REGISTER)
    if found.kind in (k.KIND_STRUCT, k.KIND_UNION):
        return Misfit(f"is {shown}, which is no number", is_sure=True)
    if found.kind not in (k.KIND_INT, k.KIND_ENUM, k.KIND_ENUM64):
        return None
    own = btf.size_of(found.id)
    # Callers extend what is narrower to 32 bits, and nobody beyond.
    if own < size and size == _REGISTER:
        what = f"is {shown}, of {_bits(own)}: what {kind} reads beyond 32 bits is undefined"
        return Misfit(what, is_sure=False)
    if own > size:
        what = f"is {shown}, of {_bits(own)}, of which {kind} reads the lower {_bits(size)}"
        return Misfit(what, is_sure=False)
    return None


def _bits(size: int) -> str:
    return f"{8 * size} bits"


def c_name(btf: Btf, type_id: int) -> str:
    """A type as C writes it, about: `struct file *`."""
    stars = ""
    found = btf.type(type_id)
    for _ in range(_DEEPEST * 2):
        if type_id == 0:
            return f"void {stars}".rstrip()
        found = btf.type(type_id)
        if found.kind == k.KIND_PTR:
            stars += "*"
        elif found.kind not in (k.KIND_CONST, k.KIND_VOLATILE, k.KIND_RESTRICT, k.KIND_TYPE_TAG):
            break
        type_id = found.ref
    word = {k.KIND_STRUCT: "struct ", k.KIND_UNION: "union ", k.KIND_ENUM: "enum "}.get(
        found.kind, ""
    )
    if found.kind == k.KIND_FWD:
        word = "struct "
    if found.kind == k.KIND_FUNC_PROTO:
        return f"function {stars}".rstrip()
    return f"{word}{found.name or '(anonymous)'} {stars}".rstrip()
