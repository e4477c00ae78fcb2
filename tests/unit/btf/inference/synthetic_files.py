# SPDX-License-Identifier: Apache-2.0
"""Open files and sockets of a made-up process: what policies read."""

from __future__ import annotations

import random
from typing import NamedTuple

from tests.unit.btf.inference import synthetic_context as context
from tests.unit.btf.inference.synthetic_memory import Memory, Object

_INET, _INET6, _STREAM, _DATAGRAM, _TCP, _UDP = 2, 10, 1, 2, 6, 17
_PIPES = 0x50495045  # the magic number of their file system
_SIZE = 256  # descriptors of the table


class File(NamedTuple):
    """As tetrapy.kernel.reference_process.open_files.OpenFile."""

    number: int
    inode: int
    mode: int


class Socket(NamedTuple):
    """As tetrapy.kernel.reference_process.open_files.OpenSocket."""

    number: int
    family: int
    kind: int
    protocol: int
    state: int
    mark: int
    priority: int
    source: str
    destination: str
    source_port: int
    destination_port: int


class Map(NamedTuple):
    """As tetrapy.kernel.reference_process.kernel_objects.OpenMap."""

    number: int
    type: int
    key_size: int
    value_size: int
    max_entries: int
    name: str


class Program(NamedTuple):
    """As tetrapy.kernel.reference_process.kernel_objects.OpenProgram."""

    number: int
    type: int
    length: int
    name: str


class Event(NamedTuple):
    """As tetrapy.kernel.reference_process.kernel_objects.OpenEvent."""

    number: int
    attributes: str


class Files(NamedTuple):
    """As tetrapy.kernel.reference_process.open_files.OpenFiles."""

    pipe: File
    program: File
    connected: Socket
    listening: Socket
    mapped: Socket
    routed: File
    bpf_map: Map
    bpf_program: Program
    perf_event: Event


def make(memory: Memory, task: Object, mm: Object, numbers: random.Random) -> Files:
    """Give them to a task, and its program to its mm."""
    number = numbers.randrange
    source, peer = number(1 << 24, 1 << 32), number(1 << 24, 1 << 32)
    mark, priority = number(1 << 28, 1 << 32), number(1 << 28, 1 << 32)
    low = "00000000000000000000ffff"
    addresses = (f"{source:08x}", f"{peer:08x}")
    mapped = (f"{low}{source:08x}", f"{low}{peer:08x}")
    ports = [number(33_000, 60_000) for _ in range(4)]
    sent = (mark, priority)
    found = Files(
        File(113, number(10_000, 90_000), 0o10600),
        File(129, number(100_000, 900_000), 0o100755),
        Socket(130, _INET, _DATAGRAM, _UDP, 1, *sent, *addresses, ports[0], ports[1]),
        Socket(131, _INET, _STREAM, _TCP, 10, *sent, addresses[0], "", ports[2], 0),
        Socket(132, _INET6, _DATAGRAM, _UDP, 1, *sent, *mapped, ports[3], ports[1]),
        File(136, number(10_000, 90_000), 0o140777),
        Map(133, *(number(1 << 20, 1 << 32) for _ in range(4)), f"map-{number(1000)}"),
        Program(134, *(number(1 << 20, 1 << 32) for _ in range(2)), f"program-{number(1000)}"),
        Event(135, number(1 << 190, 1 << 192).to_bytes(24, "little").hex()),
    )
    array = memory.allocate(8 * _SIZE)
    pipe = context.open_file(memory, *found.pipe[1:], 1, 0, b"", magic=_PIPES)
    program = context.open_file(memory, *found.program[1:], 1, 0)
    program.set("f_flags", 0x88000)  # O_CLOEXEC | O_LARGEFILE
    own = memory.object("file", f_inode=inode_of(program), f_flags=0x8020)
    mm.set("exe_file", own.address)
    made = {113: pipe, 129: program}
    for one in (found.connected, found.listening, found.mapped):
        made[one.number] = socket(memory, one)
    made[found.routed.number] = routed(memory, found.routed)
    made.update(kernel_objects(memory, found))
    for descriptor, file in made.items():
        memory.write(array + 8 * descriptor, file.address.to_bytes(8, "little"))
    table = memory.object("fdtable", max_fds=_SIZE, fd=array)
    files = memory.object("files_struct", fdt=table.address)
    task.set("files", files.address)
    return found


def inode_of(file: Object) -> int:
    """The address of its inode."""
    data = file.memory.read(file.at("f_inode"), 8)
    return int.from_bytes(data or b"", "little")


def socket(memory: Memory, wanted: Socket) -> Object:
    """A struct file, the socket behind it, and its struct sock."""
    file = context.open_file(memory, wanted.number + 70_000, 0o140777, 1, 0, b"")
    sock = memory.object("sock")
    made = memory.object("socket", file=file.address, sk=sock.address)
    file.set("private_data", made.address)
    common = "__sk_common."
    sock.set(f"{common}skc_family", wanted.family)
    sock.set(f"{common}skc_state", wanted.state)
    sock.set(f"{common}skc_num", wanted.source_port)
    swapped = int.from_bytes(wanted.destination_port.to_bytes(2, "big"), "little")
    sock.set(f"{common}skc_dport", swapped)
    for member, text in (("rcv_saddr", wanted.source), ("daddr", wanted.destination)):
        data = bytes.fromhex(text)
        if len(data) == 16:
            for half in range(2):
                word = int.from_bytes(data[8 * half : 8 * half + 8], "little")
                sock.set(f"{common}skc_v6_{member}", word, half, size=8)
            data = data[12:]
        sock.set(f"{common}skc_{member}", int.from_bytes(data, "little"))
    sock.set("sk_mark", wanted.mark)
    sock.set("sk_priority", wanted.priority)
    sock.set("sk_type", wanted.kind)
    sock.set("sk_protocol", wanted.protocol)
    return file


def routed(memory: Memory, wanted: File) -> Object:
    """A struct file whose socket has a route to the loopback device."""
    file = context.open_file(memory, wanted.inode, wanted.mode, 1, 0, b"")
    device = memory.object("net_device")
    put(device, "name", b"lo")
    route = memory.allocate(64)
    memory.write(route, device.address.to_bytes(8, "little"))
    sock = memory.object("sock", sk_dst_cache=route)
    made = memory.object("socket", file=file.address, sk=sock.address)
    file.set("private_data", made.address)
    return file


def kernel_objects(memory: Memory, found: Files) -> dict[int, Object]:
    """By descriptor: files with a BPF map, a program and a perf event behind them."""
    kept, loaded, event = found.bpf_map, found.bpf_program, found.perf_event
    sizes = {"map_type": kept.type, "key_size": kept.key_size, "value_size": kept.value_size}
    map_ = memory.object("bpf_map", max_entries=kept.max_entries, **sizes)
    put(map_, "name", kept.name.encode())
    aux = memory.object("bpf_prog_aux")
    put(aux, "name", loaded.name.encode())
    program = memory.object("bpf_prog", type=loaded.type, len=loaded.length, aux=aux.address)
    perf = memory.object("perf_event")
    put(perf, "attr", bytes.fromhex(event.attributes), 24)
    made = {}
    for one, behind in ((kept, map_), (loaded, program), (event, perf)):
        file = context.open_file(memory, one.number + 70_000, 0o600, 1, 0, b"[made]")
        file.set("private_data", behind.address)
        made[one.number] = file
    return made


def put(to: Object, member: str, data: bytes, size: int = 16) -> None:
    """Put bytes into a member, filled up with zeros."""
    place = to.at(member)
    to.memory.write(place, data.ljust(size, b"\0"))
    to.touched |= {at & -8 for at in range(place, place + size)}
