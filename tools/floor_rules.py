# SPDX-License-Identifier: Apache-2.0
"""What Linux 4.19, 5.4 and 5.8 accept in a BPF object: tables for `tools.floor`.

Every table holds only what the project uses or may soon use, after the kernel's sources of those
versions; what is missing is refused, so a new helper or program type is added here on purpose.
"""

from __future__ import annotations

from typing import NamedTuple

# --- helpers, by number in __BPF_FUNC_MAPPER (include/uapi/linux/bpf.h) ---------------------------

HELPER_NAMES = {
    1: "map_lookup_elem", 2: "map_update_elem", 3: "map_delete_elem", 4: "probe_read",
    5: "ktime_get_ns", 6: "trace_printk", 7: "get_prandom_u32", 8: "get_smp_processor_id",
    12: "tail_call", 14: "get_current_pid_tgid", 15: "get_current_uid_gid", 16: "get_current_comm",
    22: "perf_event_read", 25: "perf_event_output", 27: "get_stackid", 35: "get_current_task",
    36: "probe_write_user", 37: "current_task_under_cgroup", 42: "get_numa_node_id",
    45: "probe_read_str", 55: "perf_event_read_value", 58: "override_return", 67: "get_stack",
    80: "get_current_cgroup_id", 87: "map_push_elem", 88: "map_pop_elem", 89: "map_peek_elem",
    109: "send_signal", 112: "probe_read_user", 113: "probe_read_kernel",
    114: "probe_read_user_str", 115: "probe_read_kernel_str", 117: "send_signal_thread",
    120: "get_ns_current_pid_tgid", 125: "ktime_get_boot_ns", 130: "ringbuf_output",
    131: "ringbuf_reserve", 132: "ringbuf_submit", 133: "ringbuf_discard", 134: "ringbuf_query",
    174: "get_attach_cookie", 181: "loop",
}  # fmt: skip
TAIL_CALL = 12

# tracing_func_proto() in kernel/trace/bpf_trace.c of 4.19, which is that of 4.18, and of 5.4.
_TRACING_4_19 = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 12, 14, 15, 16, 22, 35, 36, 37, 42, 45, 80})
_TRACING_5_4 = _TRACING_4_19 | {87, 88, 89, 109}
# Newer than 5.4 (5.5), and allowed all the same: on kernels without them libbpf rewrites 112 and
# 113 to 4, 114 and 115 to 45 before it loads a program: bpf_object__sanitize_prog() in libbpf.c.
_REWRITTEN = frozenset({112, 113, 114, 115})
# kprobe_prog_func_proto, tp_prog_func_proto, raw_tp_prog_func_proto of the same file add these.
_OUTPUT = frozenset({25, 27, 67})
_KPROBE = frozenset({55, 58})
# bpf_tracing_func_proto() of 5.8, with the ring buffer (commit 457f44363a88, "bpf: Implement BPF
# ring buffer and verifier support for it") and ktime_get_boot_ns (commit 71d19214776e).
_TRACING_5_8 = frozenset({55, 112, 113, 114, 115, 117, 120, 125, 130, 131, 132, 133, 134})
# What tells a program by which of its links it runs (commit 7adfc6c9b315).
_TRACING_5_15 = frozenset({174})
# Loops whose body is a function, which the verifier walks once (commit e6f2dd0f8067).
_TRACING_5_17 = frozenset({181})

# --- program types, by the part of the section's name before the first slash ----------------------

# The names are those of section_defs in libbpf.c. What is younger than the floor is left out:
# fentry, fexit and tp_btf came with 5.5, fmod_ret and lsm with 5.7, iter with 5.8, sleepable
# programs with 5.10, syscall with 5.14, kprobe.multi with 5.18.
_TYPES = {
    "raw_tracepoint": "raw_tracepoint", "raw_tp": "raw_tracepoint",
    "tracepoint": "tracepoint", "tp": "tracepoint",
    "kprobe": "kprobe", "kretprobe": "kprobe", "uprobe": "kprobe", "uretprobe": "kprobe",
}  # fmt: skip


class Rules(NamedTuple):
    """What one kernel version accepts."""

    version: str
    # Section prefix -> program type, program type -> numbers of helpers.
    types: dict[str, str]
    helpers: dict[str, frozenset[int]]
    # Map types are numbered in the order in which they came; flags are a mask.
    newest_map_type: int
    map_flags: int
    # Functions may be called beside tail calls (5.10 on x86_64), and have addresses (5.13).
    functions: bool
    # As since 5.3: comparisons of 32 bits (5.1), global data and a million instructions (5.2), and
    # loops. Else constants are put into instructions (abi/constants.py).
    large: bool

    @property
    def max_instructions(self) -> int:
        """The most that a program may have, with the functions that it calls."""
        return MAX_INSTRUCTIONS if self.large else MAX_SMALL_INSTRUCTIONS


def _rules(
    version: str,
    common: frozenset[int],
    newest_map_type: int,
    map_flags: int,
    functions: bool = False,
    large: bool = True,
) -> Rules:
    helpers = {
        "raw_tracepoint": common | _OUTPUT,
        "tracepoint": common | _OUTPUT,
        "kprobe": common | _OUTPUT | _KPROBE,
    }
    return Rules(version, _TYPES, helpers, newest_map_type, map_flags, functions, large)


# The newest map types are DEVMAP_HASH (25, commit 6f9d451ab1a3) and RINGBUF (27); the newest flag
# of 5.4 is BPF_F_CLONE (1 << 9), BPF_F_MMAPABLE (1 << 10) came with 5.5 (commit fc9702273e2e).
# libbpf sets the latter on maps of global variables itself, and only where the kernel knows it.
# Of 4.19 they are REUSEPORT_SOCKARRAY (20) and BPF_F_STACK_BUILD_ID (1 << 5).
RULES = {
    "4.19": _rules("4.19", _TRACING_4_19 | _REWRITTEN, 20, (1 << 6) - 1, large=False),
    "5.4": _rules("5.4", _TRACING_5_4 | _REWRITTEN, 25, (1 << 10) - 1),
    "5.8": _rules("5.8", _TRACING_5_4 | _TRACING_5_8, 27, (1 << 11) - 1),
    "5.15": _rules("5.15", _TRACING_5_4 | _TRACING_5_8 | _TRACING_5_15, 30, (1 << 13) - 1),
    "5.17": _rules(
        "5.17",
        _TRACING_5_4 | _TRACING_5_8 | _TRACING_5_15 | _TRACING_5_17,
        30,
        (1 << 13) - 1,
        functions=True,
    ),
}

# BPF_COMPLEXITY_LIMIT_INSNS since 5.2: the limit of a program's length for root, and of the
# instructions that the verifier walks over, which only a kernel can count. Before, BPF_MAXINSNS.
MAX_INSTRUCTIONS = 1_000_000
MAX_SMALL_INSTRUCTIONS = 4_096

# --- instructions (Documentation/bpf/standardization/instruction-set.rst) -------------------------

LD, LDX, ST, STX, ALU, JMP, JMP32, ALU64 = range(8)
LD_IMM64 = 0x18
CALL, EXIT = 0x85, 0x95
CALL_HELPER, CALL_FUNCTION, CALL_KERNEL = range(3)
_MODE_MEM, _MODE_MEMSX, _MODE_ATOMIC = 0x60, 0x80, 0xC0
_OP_END, _OP_CALL, _OP_EXIT = 0xD0, 0x80, 0x90
JA = _OP_JA = 0x00
# What the 16-byte load may carry before libbpf resolves it: a number, a map, a place in a map.
_LD_IMM64_SOURCES = (0, 1, 2)


def refused(code: int, source: int, offset: int, immediate: int, large: bool = True) -> str:
    """Why the kernels refuse an instruction that is no call; empty if they accept it.

    Those of `large` programs know version 3 of the instruction set (jmp32 since 5.1, alu32 since
    before), none the atomics of 5.12 and version 4 of 6.6.
    """
    kind = code & 7
    if kind == JMP32 and not large:
        return "comparison of 32 bits: instruction set v3, Linux 5.1"
    if kind == LD:
        return _refused_load(code, source)
    if kind in (LDX, ST, STX):
        return _refused_memory(kind, code, immediate)
    if kind in (ALU, ALU64):
        return _refused_arithmetic(kind, code, offset, immediate)
    return _refused_jump(kind, code, immediate)


def _refused_load(code: int, source: int) -> str:
    if code != LD_IMM64:
        return f"opcode {code:#04x}: packet loads are for socket programs"
    if source not in _LD_IMM64_SOURCES:
        return (
            f"16-byte load of kind {source} (BTF variable, function or map index): 5.10 and later"
        )
    return ""


def _refused_memory(kind: int, code: int, immediate: int) -> str:
    mode, width = code & 0xE0, code & 0x18
    if mode == _MODE_MEM:
        return ""
    if kind == LDX and mode == _MODE_MEMSX:
        return "sign-extending load: instruction set v4, Linux 6.6"
    if kind == STX and mode == _MODE_ATOMIC:
        if immediate:
            return f"atomic operation {immediate:#x}: only plain add, without fetch, before 5.12"
        return "" if width in (0x00, 0x18) else "atomic add of less than 4 bytes"
    return f"opcode {code:#04x} is not known"


def _refused_arithmetic(kind: int, code: int, offset: int, immediate: int) -> str:
    operation = code & 0xF0
    if operation > _OP_END:
        return f"opcode {code:#04x} is not known"
    if operation == _OP_END:
        if kind == ALU64:
            return "unconditional byte swap: instruction set v4, Linux 6.6"
        return "" if immediate in (16, 32, 64) else f"byte swap of {immediate} bits"
    if offset:
        return f"offset {offset} (signed division or sign-extending move): v4, Linux 6.6"
    return ""


def _refused_jump(kind: int, code: int, immediate: int) -> str:
    operation = code & 0xF0
    if operation > _OP_END:
        return "may_goto: Linux 6.9" if code == 0xE5 else f"opcode {code:#04x} is not known"
    if kind == JMP32 and operation == _OP_JA:
        return "long jump: instruction set v4, Linux 6.6"
    if kind == JMP32 and operation in (_OP_CALL, _OP_EXIT):
        return f"opcode {code:#04x} is not known"
    if code & 8 and operation in (_OP_JA, _OP_CALL, _OP_EXIT):
        return f"opcode {code:#04x}: a jump or call through a register"
    if operation == _OP_JA and immediate:
        return "jump with an immediate"
    return ""
