# SPDX-License-Identifier: Apache-2.0
"""What is told to a user whom the kernel refuses BPF: the obstacle, and the way out."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from tetrapy.errors import KernelError, NotPermittedError
from tetrapy.kernel import privilege

ADMIN, PERFMON, BPF = 1 << 21, 1 << 38, 1 << 39  # include/uapi/linux/capability.h


REAL_STATUS = privilege._status


class FakeLibrary:
    def __init__(self, result: int) -> None:
        self.result = result
        self.asked = 0

    def bpf_map_create(self, *_: object) -> int:
        self.asked += 1
        return self.result


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An ordinary one: root with all capabilities, no filter, no lockdown."""
    state(monkeypatch)
    monkeypatch.setattr(privilege, "_LOCKDOWN", str(tmp_path / "lockdown"))
    monkeypatch.setattr(privilege, "_PARANOID", str(tmp_path / "paranoid"))
    monkeypatch.setattr(privilege, "_in_user_namespace", lambda: False)
    return tmp_path


def state(
    monkeypatch: pytest.MonkeyPatch, capabilities: int = ADMIN, seccomp: str = "0", uid: int = 0
) -> None:
    status = {"CapEff": f"{capabilities:016x}", "Seccomp": seccomp}
    monkeypatch.setattr(privilege, "_status", lambda: status)
    monkeypatch.setattr(privilege.os, "geteuid", lambda: uid)


def refusal(code: int = errno.EPERM) -> KernelError:
    error = privilege.denied(code, "the bpf system call was refused")
    assert error.errno == code
    return error


@pytest.mark.parametrize("capabilities", [ADMIN, BPF | PERFMON, ADMIN | BPF])
def test_enough_capabilities(monkeypatch: pytest.MonkeyPatch, capabilities: int) -> None:
    """CAP_SYS_ADMIN, or CAP_BPF and CAP_PERFMON: then the kernel is asked for a map."""
    state(monkeypatch, capabilities, uid=1000)
    library = FakeLibrary(privilege.os.open("/dev/null", 0))
    monkeypatch.setattr(privilege, "libbpf", lambda: library)
    privilege.check_bpf()
    assert library.asked == 1
    with pytest.raises(OSError, match="Bad file"):
        privilege.os.fstat(library.result)


@pytest.mark.parametrize(
    ("capabilities", "held"), [(0, "neither"), (BPF, "CAP_BPF"), (PERFMON, "CAP_PERFMON")]
)
def test_an_ordinary_user(monkeypatch: pytest.MonkeyPatch, capabilities: int, held: str) -> None:
    """Told before anything is asked of the kernel, with what is held already."""
    state(monkeypatch, capabilities, uid=1000)
    monkeypatch.setattr(privilege, "libbpf", lambda: pytest.fail("was asked"))
    with pytest.raises(NotPermittedError, match=rf"needs root: it runs as user 1000.*{held}\)"):
        privilege.check_bpf()


def test_root_without_capabilities(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container: the missing capability is named."""
    state(monkeypatch, BPF)
    with pytest.raises(NotPermittedError, match=r"root lacks.*CAP_SYS_ADMIN.*held: CAP_BPF;"):
        privilege.check_bpf()


@pytest.mark.parametrize("code", [errno.EPERM, errno.EACCES, errno.ENOSYS])
def test_a_seccomp_filter(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """Whatever error number the filter gives."""
    state(monkeypatch, seccomp="2")
    error = refusal(code)
    assert isinstance(error, NotPermittedError)
    assert "seccomp filter is in force (Seccomp: 2" in str(error)


def test_a_kernel_without_bpf() -> None:
    """ENOSYS without a filter is the kernel's own word."""
    error = refusal(errno.ENOSYS)
    assert not isinstance(error, NotPermittedError)
    assert "CONFIG_BPF_SYSCALL" in str(error)


@pytest.mark.parametrize(
    ("content", "locked"),
    [
        ("none integrity [confidentiality]\n", True),
        ("none [integrity] confidentiality\n", False),
        ("[none] integrity confidentiality\n", False),
    ],
)
def test_lockdown(machine: Path, content: str, locked: bool) -> None:
    """Only confidentiality forbids what tetrapy does."""
    (machine / "lockdown").write_text(content)
    assert ("locked down" in str(refusal())) == locked


def test_a_user_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root of a user namespace holds all capabilities, and none of them counts."""
    monkeypatch.setattr(privilege, "_in_user_namespace", lambda: True)
    assert "this is a user namespace" in str(refusal())


def test_the_real_user_namespace() -> None:
    """The initial one is distinguished from another by its inode."""
    program = (
        f"import sys; sys.path.insert(0, {str(Path(privilege.__file__).parents[2])!r})\n"
        "from tetrapy.kernel import privilege; print(privilege._in_user_namespace())"
    )
    command = ["unshare", "--user", "--map-root-user", sys.executable, "-c", program]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout == "True\n"


@pytest.mark.parametrize(
    ("limits", "may_raise", "then"),
    [
        ((1024, 4096), True, (65536, 65536)),
        ((1024, 4096), False, (4096, 4096)),
        ((1024, 1 << 20), False, (65536, 1 << 20)),
        ((100_000, 1 << 20), False, (100_000, 1 << 20)),
        ((16, 512), False, (512, 512)),
        ((16, 20), True, (65536, 65536)),
    ],
)
def test_open_files(
    monkeypatch: pytest.MonkeyPatch,
    limits: tuple[int, int],
    may_raise: bool,
    then: tuple[int, int],
) -> None:
    """As many as the hooks of policies may need, beyond what was given where that is permitted."""
    now = [limits]

    def set_limits(_: int, wanted: tuple[int, int]) -> None:
        if wanted[1] > now[0][1] and not may_raise:
            raise ValueError("not allowed to raise maximum limit")
        now[0] = wanted

    monkeypatch.setattr(privilege.resource, "getrlimit", lambda _: now[0])
    monkeypatch.setattr(privilege.resource, "setrlimit", set_limits)
    privilege.raise_open_files_limit()
    assert now == [then]


def test_too_few_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is named, and how to raise it."""

    def refused(*_: object) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(privilege.resource, "getrlimit", lambda _: (16, 20))
    monkeypatch.setattr(privilege.resource, "setrlimit", refused)
    with pytest.raises(KernelError, match=r"may have 20 files open and needs \d+; .*ulimit -n"):
        privilege.raise_open_files_limit()


@pytest.mark.parametrize(
    ("value", "held", "named"),
    [
        ("3\n", BPF | PERFMON, True),
        ("2\n", BPF | PERFMON, False),
        ("3\n", ADMIN, False),
        ("", BPF | PERFMON, False),
    ],
)
def test_paranoid_perf_events(
    monkeypatch: pytest.MonkeyPatch, machine: Path, value: str, held: int, named: bool
) -> None:
    """Debian's kernels have a level that asks for CAP_SYS_ADMIN, also under a seccomp filter."""
    for seccomp in ("0", "2"):
        state(monkeypatch, held, seccomp)
        (machine / "paranoid").write_text(value)
        assert ("perf_event_paranoid is 3" in str(refusal(errno.EACCES))) == named
        assert "perf_event_paranoid" not in str(refusal(errno.EPERM))


def test_nothing_that_explains_it() -> None:
    """Then the kernel log may tell."""
    error = refusal()
    assert isinstance(error, NotPermittedError)
    assert str(error).startswith("the bpf system call was refused: Operation not permitted (EPERM)")
    assert "dmesg" in str(error)


def test_other_errors_are_passed_on() -> None:
    """What is no refusal is not explained as one."""
    error = refusal(errno.ENOMEM)
    assert type(error) is KernelError
    assert str(error).endswith("Cannot allocate memory (ENOMEM)")


def test_the_real_status() -> None:
    """The kernel's own page about this process has what is read from it."""
    status = REAL_STATUS()
    assert int(status["CapEff"], 16) >= 0
    assert status["Seccomp"] in {"0", "1", "2"}
