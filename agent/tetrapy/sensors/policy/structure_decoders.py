# SPDX-License-Identifier: Apache-2.0
"""Structures of the kernel (bpf/value_records.h) -> arguments of events."""

from __future__ import annotations

from typing import Any, Callable, Mapping, Sequence, Tuple

from tetrapy.abi.layout import struct_layout, unpacker
from tetrapy.events.arguments import (
    TAINTS,
    Argument,
    BpfMap,
    CallerCredentials,
    Module,
    PerfEvent,
    Program,
    Skb,
    UserNamespace,
)
from tetrapy.events.credentials import Capabilities
from tetrapy.events.namespaces import Namespace
from tetrapy.events.text import to_text
from tetrapy.sensors.policy.networks import FAMILIES, PROTOCOLS, address_text, named
from tetrapy.sensors.policy.value_abi import Decode, Socket, Wanted

_NAMESPACE = ("level", "uid", "gid", "inode")

# include/uapi/linux/bpf.h; a number that is not here is reported as one.
_PROGRAM_TYPES = {
    number: f"BPF_PROG_TYPE_{name}"
    for number, name in enumerate(
        (
            "UNSPEC SOCKET_FILTER KPROBE SCHED_CLS SCHED_ACT TRACEPOINT XDP PERF_EVENT CGROUP_SKB"
            " CGROUP_SOCK LWT_IN LWT_OUT LWT_XMIT SOCK_OPS SK_SKB CGROUP_DEVICE SK_MSG"
            " RAW_TRACEPOINT CGROUP_SOCK_ADDR LWT_SEG6LOCAL LIRC_MODE2 SK_REUSEPORT FLOW_DISSECTOR"
            " CGROUP_SYSCTL RAW_TRACEPOINT_WRITABLE CGROUP_SOCKOPT TRACING STRUCT_OPS EXT LSM"
            " SK_LOOKUP SYSCALL"
        ).split()
    )
}
_MAP_TYPES = {
    number: f"BPF_MAP_TYPE_{name}"
    for number, name in enumerate(
        (
            "UNSPEC HASH ARRAY PROG_ARRAY PERF_EVENT_ARRAY PERCPU_HASH PERCPU_ARRAY STACK_TRACE"
            " CGROUP_ARRAY LRU_HASH LRU_PERCPU_HASH LPM_TRIE ARRAY_OF_MAPS HASH_OF_MAPS DEVMAP"
            " SOCKMAP CPUMAP XSKMAP SOCKHASH CGROUP_STORAGE REUSEPORT_SOCKARRAY"
            " PERCPU_CGROUP_STORAGE QUEUE STACK SK_STORAGE DEVMAP_HASH STRUCT_OPS RINGBUF"
            " INODE_STORAGE TASK_STORAGE BLOOM_FILTER"
        ).split()
    )
}
# include/uapi/linux/perf_event.h
_EVENT_TYPES = {
    number: f"PERF_TYPE_{name}"
    for number, name in enumerate(
        "HARDWARE SOFTWARE TRACEPOINT HW_CACHE RAW BREAKPOINT MAX".split()
    )
}


def _text(data: bytes) -> str:
    return to_text(data.split(b"\0", 1)[0])


def _of(
    structure: str, members: Sequence[str], member: str, make: Callable[..., Any]
) -> Callable[[Wanted], Decode]:
    """A maker of decoders that hand the members of a structure, in their order, to `make`."""

    def maker(wanted: Wanted) -> Decode:
        unpack = unpacker(struct_layout(wanted.abi.btf, structure), members).unpack_from

        def decode(data: bytes, flags: int, detail: int) -> Argument:
            if flags & wanted.abi.error:
                return wanted.error
            return wanted.one(member, make(*unpack(data)))

        return decode

    return maker


def _user_namespace(level: int, uid: int, gid: int, inode: int) -> UserNamespace:
    return UserNamespace(level, uid, gid, Namespace(inode, is_host=level == 0))


_CREDENTIALS = (
    *"uid gid suid sgid euid egid fsuid fsgid securebits".split(),
    *"inheritable permitted effective".split(),
    *(f"user_namespace.{name}" for name in _NAMESPACE),
)


def _credentials(
    uid: int,
    gid: int,
    suid: int,
    sgid: int,
    euid: int,
    egid: int,
    fsuid: int,
    fsgid: int,
    securebits: int,
    inheritable: int,
    permitted: int,
    effective: int,
    *namespace: int,
) -> CallerCredentials:
    caps = Capabilities(permitted, effective, inheritable)
    return CallerCredentials(
        uid,
        gid,
        euid,
        egid,
        suid,
        sgid,
        fsuid,
        fsgid,
        securebits,
        caps,
        _user_namespace(*namespace),
    )


def _program(kind: int, instructions: int, name: bytes) -> Program:
    return Program(named(_PROGRAM_TYPES, kind), instructions, _text(name))


def _map(kind: int, key_size: int, value_size: int, entries: int, name: bytes) -> BpfMap:
    return BpfMap(named(_MAP_TYPES, kind), key_size, value_size, entries, _text(name))


def _perf_event(config: int, offset: int, kind: int, function: bytes) -> PerfEvent:
    return PerfEvent(_text(function), named(_EVENT_TYPES, kind), config, offset)


def _tainted(taints: int) -> Tuple[str, ...]:
    return tuple(name for name, bit in TAINTS.items() if taints & bit)


def _module(taints: int, name: bytes) -> Module:
    return Module(_text(name), None, _tainted(taints))


def _load_info(taints: int, signature_ok: int, name: bytes) -> Module:
    return Module(_text(name), bool(signature_ok), _tainted(taints))


def _skb(wanted: Wanted) -> Decode:
    abi = wanted.abi
    socket_size = struct_layout(abi.btf, "call_socket").size
    members = ("hash", "length", "transformations", "offloaded")
    unpack = unpacker(struct_layout(abi.btf, "call_packet"), members).unpack_from

    def decode(data: bytes, flags: int, detail: int) -> Argument:
        if flags & abi.error:
            return wanted.error
        found = Socket(*abi.unpack_socket(data))
        hash_, length, transformations, offloaded = unpack(data, socket_size)
        value = Skb(
            hash_,
            length,
            found.priority,
            found.mark,
            address_text(found.family, found.source),
            address_text(found.family, found.destination),
            found.source_port,
            found.destination_port,
            found.protocol,
            transformations,
            offloaded,
            named(PROTOCOLS, found.protocol),
            named(FAMILIES, found.family),
        )
        return wanted.one("skb_arg", value)

    return decode


STRUCTURES: Mapping[str, Callable[[Wanted], Decode]] = {
    "skb": _skb,
    "user_namespace": _of("call_user_namespace", _NAMESPACE, "user_ns_arg", _user_namespace),
    "cred": _of("call_credentials", _CREDENTIALS, "process_credentials_arg", _credentials),
    "bpf_attr": _of("call_bpf_program", ("type", "instructions", "name"), "bpf_attr_arg", _program),
    "bpf_prog": _of("call_bpf_program", ("type", "instructions", "name"), "bpf_prog_arg", _program),
    "bpf_map": _of(
        "call_bpf_map",
        ("type", "key_size", "value_size", "max_entries", "name"),
        "bpf_map_arg",
        _map,
    ),
    "perf_event": _of(
        "call_perf_event", ("config", "offset", "type", "function"), "perf_event_arg", _perf_event
    ),
    "module": _of("call_module", ("taints", "name"), "module_arg", _module),
    "load_info": _of("call_module", ("taints", "signature_ok", "name"), "module_arg", _load_info),
}
"""Maker of the decoder of a hook's value, by the type that the policy gives it."""
