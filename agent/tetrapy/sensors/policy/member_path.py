# SPDX-License-Identifier: Apache-2.0
"""Members of kernel structures that a policy names: `mm.owner.comm`, `dentry.d_name.name`, `[2]`.

The kernel's full BTF says where they are. A member that is a pointer is followed when the path goes
on; members of unions and structures without a name count as the outer one's.
"""

from __future__ import annotations

import re
from typing import Callable, List, Optional, Tuple

from tetrapy.abi import kinds as k
from tetrapy.abi.btf import Btf
from tetrapy.abi.btf_types import Member, Type
from tetrapy.errors import BtfError, PolicyUnsupportedError
from tetrapy.named import NamedTuple
from tetrapy.sensors.policy.tables import MemberPath

_PART = r"([A-Za-z_][A-Za-z0-9_]*)|\[(\d+)\]"
_MAX_ANONYMOUS = 8
_RAW_TRACEPOINT = "btf_trace_"  # and its name: a typedef of what its probes are called with


class Resolved(NamedTuple):
    """Where a member is, and what."""

    path: MemberPath
    is_pointer: bool  # the end of the path is the pointer itself; else the member's address
    size: int  # bytes; 0 for a structure


class KernelTypes:
    """The types of a kernel, from its full BTF; or of one of its modules, too."""

    def __init__(
        self, btf: Btf, module: Optional[Callable[[str], bytes]] = None, first: int = 0
    ) -> None:
        """`module` reads the BTF of a module, which goes on where the kernel's ends.

        Where two structures have a name, the one counts whose id is at least `first`.
        """
        self._btf = btf
        self._module = module
        self._first = first

    def of_module(self, name: str) -> KernelTypes:
        """Those of a module too. Raises what reads its BTF does; PolicyUnsupportedError."""
        if self._module is None:
            raise PolicyUnsupportedError(
                "btfTypeModule needs the kernel's own BTF, on which that of a module is built"
            )
        try:
            return KernelTypes(Btf(self._module(name), self._btf), first=len(self._btf))
        except BtfError as err:
            raise PolicyUnsupportedError(f"btfTypeModule: BTF of module {name}: {err}") from err

    def function(self, name: str) -> List[int]:
        """The types of a function's parameters.

        Raises PolicyUnsupportedError when the kernel tells nothing of it.
        """
        found = self._btf.find(name, k.KIND_FUNC)
        if found is None:
            raise PolicyUnsupportedError(f"the kernel's BTF has no function {name}")
        return [kind for _, kind in self._btf.parameters(self._btf.type(found.ref))]

    def raw_tracepoint(self, event: str) -> List[int]:
        """The types of what a raw tracepoint hands over. Raises PolicyUnsupportedError."""
        found = self._btf.find(_RAW_TRACEPOINT + event, k.KIND_TYPEDEF)
        if found is None:
            raise PolicyUnsupportedError(f"the kernel's BTF has no raw tracepoint {event}")
        prototype = self._btf.resolve(self._btf.resolve(found.id).ref)
        return [kind for _, kind in self._btf.parameters(prototype)][1:]

    def structure(self, name: str) -> int:
        """A structure or union by its name. Raises PolicyUnsupportedError."""
        found = self._btf.find_all(name, k.KIND_STRUCT, k.KIND_UNION)
        if not found:
            raise PolicyUnsupportedError(f"the kernel's BTF has no struct {name}")
        return next((one for one in found if one.id >= self._first), found[0]).id

    def resolve(self, type_id: int, text: str) -> Resolved:
        """Follow a path from a pointer to a structure, or from the structure's type itself.

        Raises PolicyUnsupportedError, with the part that is not there.
        """
        start = self._btf.resolve(type_id)
        current = self._btf.resolve(start.ref) if start.kind == k.KIND_PTR else start
        steps: List[int] = []
        offset = 0
        for name, index in _parts(text):
            if current.kind == k.KIND_PTR:
                steps.append(offset)
                offset = 0
                if not index:
                    current = self._btf.resolve(current.ref)
            if index:
                current, offset = self._element(current, int(index), offset, text)
                continue
            if current.kind not in (k.KIND_STRUCT, k.KIND_UNION):
                raise PolicyUnsupportedError(f"resolve {text}: {name} is of no structure")
            found = self._member(current, name, _MAX_ANONYMOUS)
            if found is None:
                raise PolicyUnsupportedError(
                    f"resolve {text}: struct {current.name or '(anonymous)'} has no {name}"
                )
            member, outer = found
            if member.bits or member.bit_offset % 8:
                raise PolicyUnsupportedError(f"resolve {text}: {name} is a bit field")
            offset += outer + member.bit_offset // 8
            current = self._btf.resolve(member.type_id)
        if current.kind == k.KIND_PTR:
            return Resolved(MemberPath((*steps, offset)), is_pointer=True, size=8)
        size = 0 if current.kind in (k.KIND_STRUCT, k.KIND_UNION) else self._size(current)
        return Resolved(MemberPath(tuple(steps), offset), is_pointer=False, size=size)

    def _element(self, current: Type, index: int, offset: int, text: str) -> Tuple[Type, int]:
        if current.kind == k.KIND_ARRAY:
            element, count = self._btf.array(current)
            if index >= count:
                raise PolicyUnsupportedError(f"resolve {text}: [{index}] of {count} elements")
        elif current.kind == k.KIND_PTR:
            element = current.ref
        else:
            raise PolicyUnsupportedError(f"resolve {text}: [{index}] is of no array")
        return self._btf.resolve(element), offset + index * self._btf.size_of(element)

    def _size(self, found: Type) -> int:
        return self._btf.size_of(found.id)

    def _member(self, found: Type, name: str, depth: int) -> Optional[Tuple[Member, int]]:
        """A member, and the offset of the unnamed structure that it is in."""
        for member in self._btf.members(found):
            if member.name == name:
                return member, 0
            if not member.name and depth:
                inner = self._btf.resolve(member.type_id)
                if inner.kind in (k.KIND_STRUCT, k.KIND_UNION):
                    deeper = self._member(inner, name, depth - 1)
                    if deeper:
                        return deeper[0], deeper[1] + member.bit_offset // 8
        return None


def _parts(text: str) -> List[Tuple[str, str]]:
    parts = []
    part = re.compile(_PART)
    for word in text.split("."):
        at = 0
        while at < len(word):
            found = part.match(word, at)
            if found is None:
                raise PolicyUnsupportedError(f"resolve {text}: {word!r} names no member")
            parts.append((found.group(1) or "", found.group(2) or ""))
            at = found.end()
        if not word:
            raise PolicyUnsupportedError(f"resolve {text}: a name is missing")
    return parts
