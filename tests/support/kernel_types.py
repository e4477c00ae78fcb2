# SPDX-License-Identifier: Apache-2.0
"""The BTF of a small kernel, with functions of each kind that policies are held against."""

from __future__ import annotations

from tests.support.builders import BtfBuilder
from tetrapy.abi import kinds as k


class KernelTypes:
    """Functions and structures are added by name."""

    def __init__(self) -> None:
        self._btf = BtfBuilder()
        self.types: dict[str, int] = {"": 0}
        for name, size in (("int", 4), ("unsigned long", 8), ("_Bool", 1), ("char", 1)):
            self.types[name] = self._btf.integer(name, size)
        for name in ("task_struct", "cred", "path"):
            self.structure(name, 64, ("pid", "int"))
        self.structure("file", 128, ("f_path", "path"), ("f_flags", "int"))
        self.structure("pair", 16, ("first", "unsigned long"))

    def structure(self, name: str, size: int, *members: tuple[str, str]) -> None:
        """Members of 64 bytes each."""
        rows = [(member, self.types[kind], 512 * at) for at, (member, kind) in enumerate(members)]
        self.types[name] = self._btf.composite(name, size, rows)
        self.types[f"{name} *"] = self._btf.add(k.KIND_PTR, ref=self.types[name])

    def pointer(self, name: str) -> None:
        """A pointer to a type that is there."""
        self.types[f"{name} *"] = self._btf.add(k.KIND_PTR, ref=self.types[name])

    def prototype(self, *parameters: str, returns: str = "int") -> int:
        """Parameters are named a, b, c."""
        body = []
        for letter, kind in zip("abcdef", parameters, strict=False):
            body += [self._btf.name(letter), self.types[kind]]
        ref = self.types[returns]
        return self._btf.add(k.KIND_FUNC_PROTO, "", ref, body, len(parameters))

    def function(self, name: str, *parameters: str, returns: str = "int") -> None:
        """A function of the kernel."""
        self._btf.add(k.KIND_FUNC, name, self.prototype(*parameters, returns=returns))

    def tracepoint(self, event: str, *parameters: str, fields: tuple[str, ...] = ()) -> None:
        """What its probes are called with, and the record with fields of four bytes."""
        pointer = self._btf.add(k.KIND_PTR, ref=self.prototype("unsigned long", *parameters))
        self._btf.add(k.KIND_TYPEDEF, f"btf_trace_{event}", pointer)
        if fields:
            self.structure(f"trace_event_raw_{event}", 512, *[(one, "int") for one in fields])

    def enum(self, name: str, *members: str) -> None:
        """Values count from 0."""
        self._btf.enum(name, {member: at for at, member in enumerate(members)})

    def build(self) -> bytes:
        """The image."""
        return self._btf.build()


def small_kernel(*without: str) -> bytes:
    """A kernel for x86_64 with everything that policies need, but for some functions."""
    types = KernelTypes()
    types.pointer("char")
    for name, *parameters in (
        ("__x64_sys_close", "unsigned long"),
        ("__x64_sys_openat", "unsigned long"),
        ("register_kprobe", "unsigned long"),
        ("uprobe_mmap", "unsigned long"),
        ("within_error_injection_list", "unsigned long"),
        ("security_file_open", "file *"),
        ("commit_creds", "cred *"),
        ("do_mixed", "int", "unsigned long", "_Bool", "char *"),
        ("do_pair", "pair", "int"),
        ("bpf_lsm_file_open", "file *"),
    ):
        if name not in without:
            types.function(name, *parameters)
    types.function("do_nothing_back", "int", returns="")
    types.tracepoint("sys_enter", "unsigned long", "int")
    types.tracepoint("my_event", "task_struct *", fields=("ent", "pid", "__data_loc_comm"))
    auxiliary = ("ops", "kprobe_write_ctx")
    types.structure(
        "bpf_prog_aux", 512, *[(one, "_Bool") for one in auxiliary if one not in without]
    )
    if "fentry" not in without:
        types.enum("bpf_attach_type", "BPF_CGROUP_INET_INGRESS", "BPF_TRACE_FENTRY")
    else:
        types.enum("bpf_attach_type", "BPF_CGROUP_INET_INGRESS")
    return types.build()
