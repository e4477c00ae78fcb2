#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Adds kernels to btfs/corpus.tar.xz, the reduced corpus, from full BTFs; see btfs/README.md.

    python3 btfs/reduce.py [--corpus DIR] [--drop]

What DIR (../shared/btf) has replaces what is there; the others stay, or go with --drop.

Of each kernel it keeps the structures below with all their members. What is inside them is kept as
well, but large structures of other names are left with their size alone, and what a pointer leads
to with its name. So a program that reads another member of them needs no full BTF to be built,
tested and put into the archive; one that reads another structure does.
"""

from __future__ import annotations

import argparse
import io
import lzma
import sys
import tarfile
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "agent")]

from btfs import corpus  # noqa: E402 - after the path is set
from btfs.corpus import Corpus  # noqa: E402 - likewise
from tetrapy.abi import kinds as k  # noqa: E402 - likewise
from tetrapy.abi.btf import Btf  # noqa: E402 - likewise
from tetrapy.abi.btf_types import Type  # noqa: E402 - likewise
from tetrapy.abi.btf_writer import BtfWriter  # noqa: E402 - likewise
from tetrapy.abi.core_compat import COMPOSITE, ENUMS, essential_name  # noqa: E402 - likewise
from tetrapy.btf.pack import order  # noqa: E402 - likewise
from tetrapy.btf.packing import find_sources, is_witness  # noqa: E402 - likewise
from tetrapy.errors import TetrapyError  # noqa: E402 - likewise
from tools.errors import BuildError  # noqa: E402 - likewise

# What the programs read, and what policies on processes, files, sockets and BPF will.
STRUCTURES = frozenset(
    # processes
    "task_struct thread_info cred user_struct mm_struct vm_area_struct signal_struct sighand_struct"
    " pid upid fs_struct files_struct fdtable linux_binprm pt_regs"
    # namespaces
    " nsproxy ns_common cgroup_namespace ipc_namespace mnt_namespace net pid_namespace"
    " time_namespace user_namespace uts_namespace"
    # control groups
    " cgroup cgroup_subsys cgroup_subsys_id cgroup_subsys_state css_set kernfs_node"
    " kernfs_open_file"
    # files
    " file path qstr dentry hlist_bl_head inode address_space super_block file_system_type"
    " block_device mount vfsmount kiocb iov_iter iter_type iovec filename"
    # sockets
    " socket sock sock_common inet_sock inet_connection_sock tcp_sock udp_sock unix_sock sk_buff"
    " msghdr sockaddr sockaddr_in sockaddr_in6 sockaddr_un iphdr ipv6hdr tcphdr udphdr net_device"
    " skb_ext skb_ext_id sec_path"
    # BPF, tracing, modules and keys
    " bpf_attr bpf_map bpf_map_type bpf_prog bpf_prog_aux bpf_prog_type bpf_attach_type perf_event"
    " perf_event_attr kprobe trace_event_raw_sys_enter trace_event_raw_sys_exit module load_info"
    " key"
    # those of which some kernels have several of one name, for the tests of that
    " slot mm_slot irq_info bpf_htab its_device".split()
)
# Bytes of a structure of another name that is kept whole where it is a member.
_SMALL = 128
_QUALIFIERS = (k.KIND_CONST, k.KIND_VOLATILE, k.KIND_RESTRICT, k.KIND_TYPE_TAG)
_ROOTS = (*COMPOSITE, *ENUMS)


class _Reducer:
    """Copies types of a kernel; ids are those of the copy."""

    def __init__(self, full: Btf) -> None:
        self._full = full
        self._writer = BtfWriter()
        self._copies: dict[int, int] = {0: 0}

    def build(self) -> bytes:
        """BTF with all types of the names in STRUCTURES."""
        for name in sorted(STRUCTURES):
            for found in self._full.find_flavours(name, *_ROOTS):
                self._copy(found.id)
        return self._writer.build()

    def _copy(self, type_id: int) -> int:
        known = self._copies.get(type_id)
        if known is None:
            known = self._copies[type_id] = self._made(self._full.type(type_id))
        return known

    def _made(self, found: Type) -> int:
        full, writer, kind, name = self._full, self._writer, found.kind, found.name
        is_listed = essential_name(name) in STRUCTURES
        if kind == k.KIND_INT:
            detail = full.integer(found)
            word = detail.encoding << 24 | detail.bit_offset << 16 | detail.bits
            return writer.add(kind, name, found.ref, [word])
        if kind == k.KIND_PTR:
            return writer.add(kind, ref=self._target(found.ref))
        if kind == k.KIND_ARRAY:
            array = full.array(found)
            return writer.array(self._copy(array.element_id), array.elements)
        if kind in COMPOSITE:
            is_whole = is_listed or not name or found.ref <= _SMALL
            members = full.members(found) if is_whole else ()
            return writer.composite(
                kind,
                name,
                found.ref,
                [(m.name, self._copy(m.type_id), m.bit_offset, m.bits) for m in members],
            )
        if kind in ENUMS:
            values = full.enumerators(found) if is_listed else ()
            return writer.enum(name, found.ref, found.kind_flag, values)
        if kind == k.KIND_FLOAT:
            return writer.add(kind, name, found.ref)
        if kind == k.KIND_FWD:
            return writer.add(kind, name, flag=found.kind_flag)
        # Typedefs, qualifiers and tags.
        return writer.add(kind, name, self._copy(found.ref))

    def _target(self, type_id: int) -> int:
        """What a pointer leads to: the name of a structure, a plain type, or nothing known."""
        found = self._full.type(type_id)
        while found.kind in {*_QUALIFIERS, k.KIND_TYPEDEF}:
            found = self._full.type(found.ref)
        if found.kind in {*COMPOSITE, k.KIND_FWD}:
            is_union = found.kind == k.KIND_UNION or (found.kind == k.KIND_FWD and found.kind_flag)
            return self._writer.add(k.KIND_FWD, found.name, flag=is_union) if found.name else 0
        return self._copy(found.id) if found.kind in {k.KIND_INT, k.KIND_PTR} else 0


def reduced(full: Btf) -> bytes:
    """The BTF of a kernel, reduced. Equal input gives equal bytes."""
    return _Reducer(full).build()


def _reduced_file(path: Path) -> bytes:
    return reduced(Btf(path.read_bytes()))


def pack(directory: Path, kept: Corpus | None = None) -> bytes:
    """The reduced corpus of a directory of full BTFs, and of those kernels that are only in `kept`.

    A BTF that is there twice is a hard link. Raises BuildError when those of `kept` lack what is
    in STRUCTURES now.
    """
    full = _files(directory)
    digests = {
        key: sha256(path.read_bytes()).hexdigest()
        for key, (_name, path) in full.items()
        if not is_witness(key)
    }
    files = full
    if kept:
        files, digests = _files(kept.path) | full, kept.digests | digests
        lacking, count = sorted(STRUCTURES - kept.structures), len(files) - len(full)
        if lacking and count:
            raise BuildError(
                f"{count} kernels are not in {directory}, and their reduced BTFs lack"
                f" {', '.join(lacking)}: add full ones, or leave these kernels out with --drop"
            )
    # Like stands next to like.
    keys = sorted(files, key=lambda key: (is_witness(key), order(key)))
    lists = {
        corpus.DIGESTS: "".join(f"{digests[key]}  {key}\n" for key in keys if key in digests),
        corpus.STRUCTURES: "\n".join((*sorted(STRUCTURES), "")),
    }
    buffer = io.BytesIO()
    places: dict[bytes, str] = {}
    with (
        ProcessPoolExecutor() as pool,
        tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name, text in lists.items():
            _add(tar, name, text.encode())
        names, paths = zip(*(files[key] for key in keys), strict=True)
        for name, data in zip(names, pool.map(_reduced_file, paths), strict=True):
            first = places.setdefault(data, name)
            if first == name:
                _add(tar, name, data)
            else:
                link = tarfile.TarInfo(name)
                link.type, link.linkname = tarfile.LNKTYPE, first
                tar.addfile(link)
    words = {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 0, "lp": 2}
    return lzma.compress(buffer.getvalue(), check=lzma.CHECK_SHA256, filters=[words])


def _files(directory: Path) -> dict[str, tuple[str, Path]]:
    """The BTFs of a corpus by key: name in the corpus, and file."""
    paths = {source.key: Path(source.path) for source in find_sources([str(directory)])}
    return {key: (str(path.relative_to(directory)), path) for key, path in paths.items()}


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, help="directory of full BTFs (../shared/btf)")
    parser.add_argument("--drop", action="store_true", help="keep no kernel that is not in it")
    options = parser.parse_args(arguments)
    try:
        directory = options.corpus or corpus.full()
        packed = pack(directory, None if options.drop else corpus.reduced())
    except (BuildError, TetrapyError) as err:
        print(f"reduce: {err}", file=sys.stderr)
        return 1
    corpus.PACKED.write_bytes(packed)
    print(f"{len(packed):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
