# SPDX-License-Identifier: Apache-2.0
"""What is accepted, what refused and what left out, where a host or a kernel shows less."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.unit.btf.inference import inference_corpus as c
from tetrapy.btf.host import Host as KernelName
from tetrapy.btf.inference.candidates import check, infer
from tetrapy.btf.inference.prober import LayoutProber
from tetrapy.btf.inference.reference_process import UNSET_LOGIN_UID
from tetrapy.btf.inference.view import key

if TYPE_CHECKING:
    from tests.unit.btf.inference.synthetic_process import SyntheticProcess
    from tetrapy.abi.core_queries import Answers

NAME = "debian/13/x86_64/6.12.107+deb13-cloud-amd64"
HOST = KernelName(*NAME.split("/"))
OLD, NEW = "debian/13/x86_64/6.12.1-amd64", "debian/13/x86_64/6.12.200-amd64"


class Known(NamedTuple):
    """Layouts that are known, as an archive has them."""

    queries: tuple[str, ...]
    layouts: list[Answers]
    kernels: dict[str, int]


@pytest.fixture(scope="module")
def kernel() -> c.Kernel:
    return c.kernel(NAME)


def known(*layouts: Answers) -> Known:
    """An archive of the kernels OLD and NEW."""
    kernels = {OLD: 0, NEW: 1} if len(layouts) == 2 else {OLD: 0}
    return Known(c.queries().names, list(layouts), kernels)


def test_layouts_that_differ_in_what_is_optional_are_merged(kernel: c.Kernel) -> None:
    """A login uid that is equal to the session id beside it: it is left out, loudly."""
    names = ("task_struct.loginuid", "task_struct.loginuid.val")
    right = kernel.answers[c.queries().names.index(c.query(names[0]))]
    assert right is not None
    wrong = c.changed(
        kernel.answers, task_struct_loginuid=right + 32, task_struct_loginuid_val=right + 32
    )
    found = infer(
        known(kernel.answers, wrong), HOST, logged_in(kernel.reference(), 3), c.optional()
    )
    assert found.passed == [NEW, OLD]
    assert found.off == [c.query(name) for name in names]
    assert found.layout == c.changed(
        kernel.answers, task_struct_loginuid=None, task_struct_loginuid_val=None
    )
    # Where both are unset, what follows the session id distinguishes them.
    unset = logged_in(kernel.reference(), UNSET_LOGIN_UID)
    assert infer(known(kernel.answers, wrong), HOST, unset, c.optional()).layout == kernel.answers


def test_a_login_uid_that_is_set_tells_them_apart(kernel: c.Kernel) -> None:
    """The same two layouts, with a reference process whose login uid could be set."""
    at = c.queries().names.index(c.query("task_struct.loginuid"))
    right = kernel.answers[at]
    assert right is not None
    wrong = c.changed(
        kernel.answers, task_struct_loginuid=right + 32, task_struct_loginuid_val=right + 32
    )
    found = infer(known(wrong, kernel.answers), HOST, kernel.reference(), c.optional())
    assert found.layout == kernel.answers
    assert found.refused == {OLD: "login uid"}


def test_layouts_that_differ_in_what_is_essential_are_refused(kernel: c.Kernel) -> None:
    """Without a known pid namespace nothing tells where the level is: no guess is made."""
    wrong = c.changed(kernel.answers, pid_level=64)
    reference = kernel.reference()
    reference.ns_pid = None
    del reference.namespaces["pid"]
    found = infer(known(kernel.answers, wrong), HOST, reference, c.optional())
    assert found.layout is None
    assert f"differ in: {c.query('pid.level')}" in found.reason


def test_names_of_a_renamed_field_are_no_difference(kernel: c.Kernel) -> None:
    """The programs read the same, so the nearest of the two is taken."""
    other = c.changed(kernel.answers, kernfs_node_parent=None, kernfs_node___rcu___parent=64)
    found = infer(known(other, kernel.answers), HOST, kernel.reference(), c.optional())
    assert found.layout == kernel.answers
    assert found.passed == [NEW, OLD]
    assert not found.off


def test_a_living_subject_is_kept_when_none_passes(kernel: c.Kernel) -> None:
    """The second phase is for those that passed the first."""
    reference = kernel.reference()
    found = infer(
        known(c.changed(kernel.answers, task_struct_pid=64)), HOST, reference, c.optional()
    )
    assert found.layout is None
    assert not reference.ended
    assert found.refused == {OLD: "pid of three tasks"}


def test_other_architectures_are_no_candidates(kernel: c.Kernel) -> None:
    """Not even where their layout is the right one."""
    arm = Known(c.queries().names, [kernel.answers], {"debian/13/arm64/6.12.107+deb13-arm64": 0})
    found = infer(arm, HOST, kernel.reference(), c.optional())
    assert (found.layout, found.tested) == (None, 0)


def test_what_no_fact_confirms_is_reported(kernel: c.Kernel) -> None:
    """What was not prepared, or is not shown by procfs."""
    reference = kernel.reference()
    reference.exec_strings, reference.exec_file, reference.exec_gained = (), None, False
    reference.ids = reference.capabilities = reference.securebits = None
    reference.namespaces = {}
    reference.cgroup_ids = {}
    reference.cwd_names, reference.root_names, reference.mount_point = (), (), b""
    found = check(c.queries().names, kernel.answers, reference)
    assert not found.failed
    prefixes = ("linux_binprm.", "mount.", "dentry.", "fs_struct.", "task_struct.fs")
    prefixes += ("cred.", "task_struct.cred", "file.", "inode.", "nsproxy.", "upid.ns")
    prefixes += ("super_block.",)
    prefixes += ("task_struct.nsproxy", "kernfs_node.id")
    assert {key(name) for name in found.unproven} == {
        short
        for short in map(key, c.queries().names)
        if short.startswith(prefixes) or short.endswith(".ns.inum")
    }


def test_in_the_root_cgroup_ids_prove_nothing(kernel: c.Kernel) -> None:
    """Nothing is above it: the right layout passes, one number alone confirms none, and refutes."""
    reference = kernel.reference()
    reference.cgroup_names = ()
    reference.cgroup_ids = {"": reference.cgroup_ids[""][:1]}
    found = check(c.queries().names, kernel.answers, reference)
    assert not found.failed
    assert c.query("kernfs_node.id") in found.unproven
    reference = kernel.reference()
    reference.cgroup_ids = {"": (4711,)}
    assert check(c.queries().names, kernel.answers, reference).failed == ["ids of the cgroups"]


def test_an_examiner_tells_what_it_found(kernel: c.Kernel) -> None:
    """The known kernel, how many layouts were tested, why others failed, how much is proven."""
    wrong = c.changed(kernel.answers, task_struct_pid=64)
    prober = LayoutProber(
        c.queries().names, c.optional(), lambda variant: c.given(kernel.reference())
    )
    found = prober.infer(known(wrong, kernel.answers), HOST)
    answered = sum(answer is not None for answer in kernel.answers)
    assert (found.answers, found.kernel, found.tested) == (kernel.answers, NEW, 2)
    assert found.refused == ((OLD, "pid of three tasks"),)
    assert (found.proven, found.unproven, found.off, found.reason) == (answered, (), (), "")
    found = prober.infer(known(wrong), HOST)
    assert found.answers is None
    assert found.reason == (
        f"none of 1 known layouts passes all checks; the nearest, {OLD}: pid of three tasks"
    )
    assert not any(prober.check(kernel.answers))
    assert "pid of three tasks" in prober.check(wrong).failed


def test_what_is_wrong_in_optional_needs_is_left_out(kernel: c.Kernel) -> None:
    """A layout that the checks refute in optional queries alone is used without them, and told."""
    right = kernel.answers[c.queries().names.index(c.query("cred.securebits"))]
    assert right is not None
    wrong = c.changed(kernel.answers, cred_securebits=right + 32)
    left = c.changed(kernel.answers, cred_securebits=None)
    prober = LayoutProber(
        c.queries().names, c.optional(), lambda variant: c.given(kernel.reference())
    )
    found = prober.infer(known(wrong), HOST)
    assert (found.answers, found.off) == (left, (c.query("cred.securebits"),))
    assert found.doubtful == ("securebits",)
    assert not found.unproven
    checked = prober.check(wrong)
    assert (checked.failed, checked.doubtful) == ([], ["securebits"])
    assert checked.doubted == [c.query("cred.securebits")]
    # A layout that is right in all goes first.
    found = prober.infer(known(wrong, kernel.answers), HOST)
    assert (found.answers, found.doubtful) == (kernel.answers, ())
    assert found.refused == ((OLD, "securebits"),)


def test_layouts_that_are_wrong_in_different_optional_needs(kernel: c.Kernel) -> None:
    """Each is wrong in something: what no check is against in any of them is used."""
    at = c.queries().names.index(c.query("cred.securebits"))
    other = c.queries().names.index(c.query("upid.ns"))
    answers = [
        (*kernel.answers[:place], 64 * 100, *kernel.answers[place + 1 :]) for place in (at, other)
    ]
    found = infer(known(*answers), HOST, kernel.reference(), c.optional())
    assert found.layout == c.changed(
        kernel.answers, cred_securebits=None, upid_ns=None, pid_namespace_ns_inum=None
    )
    assert found.passed == [NEW, OLD]


def logged_in(reference: SyntheticProcess, number: int) -> SyntheticProcess:
    """A reference process whose login uid, which could not be changed, is its session id as
    well.
    """
    reference.login_uid = number
    thread = reference.task("thread")
    thread.set("loginuid", number, size=4)
    thread.set("sessionid", number, size=4)
    return reference
