# SPDX-License-Identifier: Apache-2.0
"""What the kernel tells of a link."""

from __future__ import annotations

import ctypes

import pytest

from tetrapy.kernel.links import missed_of


class Info(ctypes.Structure):
    """struct bpf_link_info of a kprobe, as include/uapi/linux/bpf.h of Linux 6.12 has it."""

    _fields_ = (
        ("type", ctypes.c_uint32),
        ("id", ctypes.c_uint32),
        ("prog_id", ctypes.c_uint32),
        ("_aligned", ctypes.c_uint32),
        ("event", ctypes.c_uint32),
        ("_event_aligned", ctypes.c_uint32),
        ("name", ctypes.c_uint64),
        ("name_size", ctypes.c_uint32),
        ("offset", ctypes.c_uint32),
        ("address", ctypes.c_uint64),
        ("missed", ctypes.c_uint64),
        ("cookie", ctypes.c_uint64),
    )


@pytest.mark.parametrize(
    ("kind", "event", "missed"), [(7, 3, 5), (7, 4, 5), (7, 1, 0), (7, 5, 0), (9, 3, 0)]
)
def test_only_kprobes_tell_what_they_missed(kind: int, event: int, missed: int) -> None:
    """Of a uprobe there is something else in that place; of other links all is."""
    info = Info(
        type=kind, prog_id=9, event=event, name_size=3, offset=4, address=1, missed=5, cookie=6
    )
    assert missed_of(bytes(info)) == missed


class ManyInfo(ctypes.Structure):
    """The same of many kprobes."""

    _fields_ = (
        *Info._fields_[:4],
        ("addresses", ctypes.c_uint64),
        ("count", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("missed", ctypes.c_uint64),
        ("cookies", ctypes.c_uint64),
        ("_more", ctypes.c_uint64 * 2),
    )


def test_many_kprobes_tell_what_they_missed() -> None:
    """All of them together."""
    assert missed_of(bytes(ManyInfo(type=8, prog_id=9, count=3, flags=1, missed=5))) == 5
