# SPDX-License-Identifier: Apache-2.0
"""When a scan gives up, and what becomes of what it finds."""

from __future__ import annotations

import contextlib
import random
from functools import partial
from struct import pack
from typing import TYPE_CHECKING

import pytest

from tests.unit.btf.inference import inference_corpus as c
from tests.unit.btf.inference.synthetic_memory import Moved
from tests.unit.btf.inference.synthetic_objects import Host
from tests.unit.btf.inference.synthetic_process import SyntheticProcess, Task
from tetrapy.btf import requirements
from tetrapy.btf.inference.candidates import check, same_names
from tetrapy.btf.inference.checks.namespaces import KINDS
from tetrapy.btf.inference.prober import LayoutProber
from tetrapy.btf.inference.reference_process import UNSET_LOGIN_UID
from tetrapy.btf.inference.scan import scan
from tetrapy.btf.inference.view import CGROUPS, key

if TYPE_CHECKING:
    from collections.abc import Callable

TIMES = ("time_ns", "time_ns_for_children")
KERNEL = "debian/13/x86_64/6.12.107+deb13-cloud-amd64"


@pytest.fixture(scope="module")
def kernel() -> c.Kernel:
    return c.kernel(KERNEL)


def scanned(reference: SyntheticProcess) -> tuple[str, bool]:
    """Why a scan gave up; and whether it ended the reference process."""
    found = scan(c.queries().names, reference, c.optional())
    assert found.layout is None
    return "; ".join(found.reasons), reference.ended


def test_a_kernel_with_another_order_is_refused(kernel: c.Kernel) -> None:
    """CONFIG_RANDSTRUCT: what stands beside `real_parent`, `cred` and `mm` is something else."""
    for names in (("parent", "real_parent"), ("real_cred", "cred"), ("active_mm", "mm")):
        reference = kernel.reference()
        reference.task("thread").set(names[0], reference.thread.address)
        reason, ended = scanned(reference)
        assert "not found" in reason
        assert ended


@pytest.mark.slow
def test_a_scan_needs_what_can_be_recognized(kernel: c.Kernel) -> None:
    """Without a pid namespace, ids, directories or an exec of its own, it says what is missing."""
    changes: dict[str, dict[str, object]] = {
        "no pid namespace could be made": {"ns_pid": None},
        "ids could not be changed": {"ids": None},
        "no working directory": {"cwd_names": ()},
        "linux_binprm.filename was not found": {"exec_strings": ()},
        "the cgroup has no name": {"cgroup_names": ()},
        "the cgroup's directory was not": {"cgroup_ids": {}},
    }
    for reason, values in changes.items():
        reference = kernel.reference()
        for name, value in values.items():
            setattr(reference, name, value)
        assert reason in scanned(reference)[0]


@pytest.mark.parametrize(
    "values",
    [
        {"capabilities": None},
        {"securebits": None},
        {"exec_file": None},
        {"exec_gained": False},
        {"namespaces": {}},
    ],
)
def test_a_scan_does_without_what_is_optional(kernel: c.Kernel, values: dict[str, object]) -> None:
    """What only programs read that need not be loaded keeps no scan from ending well."""
    reference = kernel.reference()
    for name, value in values.items():
        setattr(reference, name, value)
    found = scan(c.queries().names, reference, c.optional())
    assert found.layout is not None, found.reasons
    assert found.off
    assert all(query in c.optional() for query in found.off)
    right = zip(c.queries().names, same_names(c.queries().names, kernel.answers), strict=True)
    left = tuple(None if query in found.off else answer for query, answer in right)
    assert found.layout == left
    off = requirements.Programs(c.images()).disabled(c.queries().names, left)
    lost = {
        "exec_file": ("on_exec_context", "on_exec_file"),
        "namespaces": (),
    }
    assert off == lost.get(next(iter(values)), ("on_exec_context",))


@pytest.mark.parametrize(
    "kinds", [TIMES, ("net_ns",), ("net_ns", "uts_ns", "ipc_ns"), ("cgroup_ns",)]
)
def test_a_scan_without_some_namespaces(kernel: c.Kernel, kinds: tuple[str, ...]) -> None:
    """Built without a kind, the kernel shows none: everything else is found, and no program is
    off.
    """
    reference = kernel.reference()
    reference.without_namespaces(*kinds)
    found = scan(c.queries().names, reference, c.optional())
    lost = [one for kind in KINDS if kind.member in kinds for one in (kind.pointer, kind.number)]
    assert set(found.off) == set(map(c.query, lost))
    assert found.layout is not None
    assert not requirements.Programs(c.images()).disabled(c.queries().names, found.layout)
    right = same_names(c.queries().names, kernel.answers)
    assert found.layout == tuple(
        None if name in found.off else one
        for name, one in zip(c.queries().names, right, strict=True)
    )


@pytest.mark.parametrize("name", [KERNEL, "debian/12/arm64/6.1.0-47-arm64"])
def test_a_scan_without_pid_namespaces(name: str) -> None:
    """In a kernel without any, each process has one number: the level is 0, where Linux has it."""
    kernel = c.kernel(name)
    references = [kernel.reference(variant, Host(level=0)) for variant in (0, 1)]
    found = LayoutProber(c.queries().names, c.optional(), partial(one_of, references)).scan()
    lost = ("upid.ns", "nsproxy.pid_ns_for_children", "pid_namespace.ns.inum")
    assert set(found.off) == set(map(c.query, lost))
    right = same_names(c.queries().names, kernel.answers)
    assert found.answers == tuple(
        None if query in found.off else one
        for query, one in zip(c.queries().names, right, strict=True)
    )
    assert set(map(c.query, ("pid.level", "type_size upid"))) <= set(found.unproven)


def test_a_namespace_alone_is_lost(kernel: c.Kernel) -> None:
    """A layout that is wrong in one namespace, or that lacks it, is used without that one."""
    for changes in (
        {"nsproxy_net_ns": 8 * 64, "net_ns_inum": 8 * 16},
        {"nsproxy_net_ns": None, "net_ns_inum": None},
        {"cred_user_ns": None, "user_namespace_ns_inum": None},
    ):
        found = check(
            c.queries().names,
            c.changed(kernel.answers, **changes),
            kernel.reference(),
            c.optional(),
        )
        assert not found.failed
        assert len(found.doubted) == 2
        left = c.changed(kernel.answers, **dict.fromkeys(changes))
        assert not requirements.Programs(c.images()).disabled(c.queries().names, left)


def test_a_kernel_without_cgroups_has_none(kernel: c.Kernel) -> None:
    """The scan does without, and the programs too; a layout that has cgroups is refused. Where the
    kernel has cgroups, neither a layout without them nor a scan that does not find them serves.
    """
    names = c.queries().names
    references = [kernel.reference(variant) for variant in (0, 1)]
    for reference in references:
        reference.without_cgroups()
    prober = LayoutProber(names, c.optional(), partial(one_of, references))
    found = prober.scan()
    assert found.answers is not None, found.reason
    assert {key(name) for name in found.off} >= CGROUPS
    programs = requirements.Programs(c.images())
    assert programs.disabled(names, found.answers) == ()
    without = tuple(
        None if "cgroup" in name or "css_set" in name else one
        for name, one in zip(names, kernel.answers, strict=True)
    )
    assert requirements.missing(names, without, programs.optional_accesses()) == []
    assert programs.disabled(names, without) == ()
    references[:] = kernel.reference(), kernel.reference()
    references[0].without_cgroups()
    assert check(names, kernel.answers, references[0]).failed == ["cgroup"]
    assert "cgroup" in check(names, without, references[1], c.optional()).failed
    reference = kernel.reference()
    reference.task("thread").set("cgroups", 0)
    assert "css_set.dfl_cgrp was not found" in scanned(reference)[0]


def test_a_kernel_without_cgroups_is_checked(kernel: c.Kernel) -> None:
    """Its right layout passes, and what is wrong in it is told as ever."""
    names, reference = c.queries().names, kernel.reference()
    reference.without_cgroups()
    right = tuple(
        None if "cgroup" in name or "css_set" in name else one
        for name, one in zip(names, kernel.answers, strict=True)
    )
    found = check(names, right, reference, c.optional())
    assert not any((found.failed, found.doubtful))
    assert {key(name) for name in found.unproven} == {
        "kernfs_node.name",
        "kernfs_node.parent",
        "kernfs_node.id",
    }


def test_a_kernel_without_audit_has_no_login_uid(kernel: c.Kernel) -> None:
    """The scan leaves it out; a layout that has it is refused."""
    reference = kernel.reference()
    reference.login_uid = None
    found = scan(c.queries().names, reference, c.optional())
    assert found.off == [c.query("task_struct.loginuid"), c.query("task_struct.loginuid.val")]
    assert found.layout is not None
    reference = kernel.reference()
    reference.login_uid = None
    assert check(c.queries().names, kernel.answers, reference)[0] == ["login uid"]


def test_a_login_uid_that_cannot_be_recognized_is_left_out(kernel: c.Kernel) -> None:
    """In a container it cannot be set. Unset it is found, if it is inherited and a common number
    it is not.
    """
    names = c.query("task_struct.loginuid"), c.query("task_struct.loginuid.val")
    for uid, off in ((UNSET_LOGIN_UID, ()), (0, names)):
        references = [kernel.reference(variant) for variant in (0, 1)]
        for reference in references:
            reference.login_uid = uid
            for field in ("loginuid", "sessionid"):
                reference.task("thread").set(field, uid, size=4)
        prober = LayoutProber(c.queries().names, c.optional(), partial(one_of, references))
        found = prober.scan()
        assert not found.reason
        assert found.off == off
        assert not found.unproven


def one_of(
    references: list[SyntheticProcess], variant: int
) -> contextlib.AbstractContextManager[SyntheticProcess]:
    """The reference process of this variant."""
    return c.given(references[variant])


def test_what_the_second_subject_does_not_confirm_is_refused(kernel: c.Kernel) -> None:
    """A scan is believed only when the checks hold for another process."""
    lying = kernel.reference(1)
    lying.arg_end += 1
    references = [kernel.reference(0), lying]
    prober = LayoutProber(c.queries().names, c.optional(), partial(one_of, references))
    found = prober.scan()
    assert found.answers is None
    assert found.reason == "what was found is not confirmed: arguments"
    references[:] = kernel.reference(0), kernel.reference(1)
    assert prober.scan().answers == same_names(c.queries().names, kernel.answers)


@pytest.mark.parametrize(
    ("field", "place"),
    [("task_struct.cgroups", 2632), ("kernfs_node.id", 144), ("kernfs_node.name", 72)],
)
def test_lock_debugging_moves_neighbours(kernel: c.Kernel, field: str, place: int) -> None:
    """As far as it was seen to move them: from `signal` to the cgroups, and in a kernfs_node."""
    name, _, member = field.partition(".")
    start = kernel.types.field(name, "signal" if name == "task_struct" else member)
    now = kernel.types.field(name, member)
    assert start is not None
    assert now is not None
    room = place - (now.offset - start.offset if name == "task_struct" else now.offset)
    types = Moved(kernel.types, {field: room})
    moved = kernel._replace(types=types, answers=c.moved(kernel.answers, types))
    references = [moved.reference(variant) for variant in (0, 1)]
    found = LayoutProber(c.queries().names, c.optional(), partial(one_of, references)).scan()
    assert found.answers == same_names(c.queries().names, moved.answers), found.reason


@pytest.mark.slow
def test_random_memory_is_scanned_to_the_end(
    kernel: c.Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever stands in memory, the scan gives up."""
    for seed in range(20):
        reference = kernel.reference()
        monkeypatch.setattr(reference, "read", random_words(seed, reference.thread))
        assert scan(c.queries().names, reference, c.optional()).layout is None


def test_what_the_second_subject_refutes_of_optional_needs_is_left_out(kernel: c.Kernel) -> None:
    """What was found by chance goes; the rest of the layout stays."""
    lying = kernel.reference(1)
    lying.securebits += 1
    prober = LayoutProber(
        c.queries().names, c.optional(), partial(one_of, [kernel.reference(0), lying])
    )
    found = prober.scan()
    assert found.off == (c.query("cred.securebits"),)
    assert found.doubtful == ("securebits",)
    right = same_names(c.queries().names, kernel.answers)
    assert found.answers == c.changed(right, cred_securebits=None)


def random_words(seed: int, task: Task) -> Callable[[int, int], bytes]:
    """What reads a memory full of the task's ids, pointers into it, and small numbers."""
    generator = random.Random(seed)
    words = [task.address + 8 * generator.randrange(4096) for _ in range(64)]
    words += [0, 1, task.tgid << 32 | task.pid, generator.getrandbits(64)]
    return lambda address, size: pack(f"<{size // 8}Q", *generator.choices(words, k=size // 8))
