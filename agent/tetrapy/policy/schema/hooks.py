# SPDX-License-Identifier: Apache-2.0
"""Where in the kernel or in a program a policy looks."""

from __future__ import annotations

from tetrapy.policy import names
from tetrapy.policy.schema.field import FLAG, LIST, TEXT, UINT32, UINT64, Field, ObjectType
from tetrapy.policy.schema.selectors import SELECTOR

MAX_ARGUMENTS = 5
MAX_SELECTORS = 5
MAX_TAGS = 16

ARGUMENT = ObjectType(
    "Argument",
    "What is read of a call and reported.",
    [
        Field(
            "index",
            UINT32,
            "Position of the argument in the function, from 0; of a tracepoint, the number of the"
            " field in its format file, common fields counted.",
            required=True,
        ),
        Field(
            "type",
            TEXT,
            "What the argument is; auto for what a tracepoint's format file says.",
            default=names.AUTO,
            choices=names.ARGUMENT_TYPES,
        ),
        Field("resolve", TEXT, "Path from the argument to a member: mm.owner.comm, a[2].b."),
        Field(
            "sizeArgIndex",
            UINT32,
            "char_buf, char_iovec: number of the argument that holds the size, from 1; at most 15.",
        ),
        Field("returnCopy", FLAG, "Read when the function returns."),
        Field("maxData", FLAG, "char_buf: read up to 327360 bytes, not 4096."),
        Field("label", TEXT, "Name of the argument in events."),
        Field("source", TEXT, "Of data: current_task or pt_regs."),
        Field("btfType", TEXT, "Structure that resolve begins with, without the word struct."),
        Field("btfTypeModule", TEXT, "Kernel module whose BTF has btfType."),
    ],
)


def _message() -> Field:
    return Field("message", TEXT, "Text that events carry: 2 to 256 bytes, more is cut.")


def _args() -> Field:
    return Field("args", ARGUMENT, "Arguments that are reported.", many=LIST, most=MAX_ARGUMENTS)


def _data() -> Field:
    return Field("data", ARGUMENT, "Other data that is reported.", many=LIST, most=MAX_ARGUMENTS)


def _selectors() -> Field:
    return Field(
        "selectors",
        SELECTOR,
        "The first that matches decides. None at all match every call.",
        many=LIST,
        most=MAX_SELECTORS,
    )


def _tags() -> Field:
    return Field(
        "tags",
        TEXT,
        "Words that events carry: 2 to 128 bytes each, more is cut.",
        many=LIST,
        most=MAX_TAGS,
    )


def _return() -> Field:
    return Field("return", FLAG, "Report what is returned, as returnArg says.", attribute="returns")


def _return_arg() -> Field:
    return Field("returnArg", ARGUMENT, "What is returned.")


KPROBE_IGNORE = ObjectType(
    "KprobeIgnore",
    "What does not keep a policy from loading.",
    [Field("callNotFound", FLAG, "Leave the hook out if this kernel has no such function.")],
)
KPROBE_HOOK = ObjectType(
    "KprobeHook",
    "A kernel function, by kprobe or fentry.",
    [
        Field(
            "call",
            TEXT,
            "Name of the function; a system call as sys_openat; list:NAME for those of a list.",
            required=True,
        ),
        _return(),
        Field(
            "syscall",
            FLAG,
            "The function is a system call. Write false for any other function.",
            default=True,
        ),
        _message(),
        _args(),
        _data(),
        _return_arg(),
        Field("returnArgAction", TEXT, "TrackSock or UntrackSock, of what is returned."),
        _selectors(),
        _tags(),
        Field("ignore", KPROBE_IGNORE, "What does not keep the policy from loading."),
    ],
)
TRACEPOINT = ObjectType(
    "Tracepoint",
    "A tracepoint of the kernel: /sys/kernel/tracing/events/SUBSYSTEM/EVENT.",
    [
        Field("subsystem", TEXT, "Subsystem of the tracepoint.", required=True),
        Field("event", TEXT, "Name of the tracepoint.", required=True),
        Field("raw", FLAG, "Raw tracepoint: index counts the arguments of TP_PROTO."),
        _message(),
        _args(),
        _selectors(),
        _tags(),
    ],
)
UPROBE_IGNORE = ObjectType(
    "UprobeIgnore",
    "What does not keep a policy from loading.",
    [
        Field(
            "digestVerificationFailure",
            FLAG,
            "Leave the hook out if the file has none of binaryDigests.",
        )
    ],
)
UPROBE = ObjectType(
    "Uprobe",
    "A function of a program or library: one of symbols, offsets and addrs says where.",
    [
        Field("path", TEXT, "Path of the file.", required=True),
        Field("btfPath", TEXT, "File with the BTF of the program, for resolve."),
        Field("symbols", TEXT, "Names of functions, NAME or NAME+0x10.", many=LIST),
        Field("offsets", UINT64, "Offsets in the file.", many=LIST),
        Field("addrs", UINT64, "Addresses as the file has them.", many=LIST),
        Field("refCtrOffsets", UINT64, "Offset of the counter of each.", many=LIST),
        _message(),
        _selectors(),
        _args(),
        _data(),
        _tags(),
        _return(),
        _return_arg(),
        Field(
            "binaryDigests",
            TEXT,
            "Attach only if the file has one of these: sha256:HEX, build-id:HEX.",
            many=LIST,
        ),
        Field("ignore", UPROBE_IGNORE, "What does not keep the policy from loading."),
    ],
)
USDT = ObjectType(
    "Usdt",
    "A static probe of a program.",
    [
        Field("path", TEXT, "Path of the file.", required=True),
        Field("btfPath", TEXT, "File with the BTF of the program, for resolve."),
        Field("provider", TEXT, "Provider of the probe.", required=True),
        Field("name", TEXT, "Name of the probe.", required=True),
        _tags(),
        _message(),
        _args(),
        _selectors(),
    ],
)
LSM_HOOK = ObjectType(
    "LsmHook",
    "A hook of the security modules.",
    [
        Field("hook", TEXT, "Name of the hook without bpf_lsm_: file_open.", required=True),
        _message(),
        _args(),
        _selectors(),
        _tags(),
    ],
)
