# SPDX-License-Identifier: Apache-2.0
"""Policies against kernels that need not run here."""

from __future__ import annotations

import contextlib
import os
import random
from pathlib import Path

import pytest

from tests.support.builders import Symbol, elf
from tests.support.kernel_types import small_kernel
from tests.support.paths import ROOT
from tests.support.policies import read, spec
from tetrapy.cli.policy.check import check_file
from tetrapy.cli.policy.kernel import Kernel, kernel_of
from tetrapy.cli.policy.on_kernel import Findings, examine
from tetrapy.errors import SettingsError

OWN = Path("/sys/kernel/btf/vmlinux")
CASES = ROOT.parent / "shared/reference/tetragon/policy-golden/cases"
CORPUS = Path(os.environ.get("TETRAPY_BTFS", ""), "debian/12/x86_64/6.1.0-54-amd64.btf")


@pytest.fixture(name="kernel", scope="module")
def fixture_kernel(tmp_path_factory: pytest.TempPathFactory) -> Kernel:
    """A small one."""
    return made(tmp_path_factory.mktemp("kernel"))


def made(directory: Path, *without: str) -> Kernel:
    """A kernel without some of its functions."""
    (directory / "k.btf").write_bytes(small_kernel(*without))
    return kernel_of(str(directory / "k.btf"))


def found(text: str, kernel: Kernel) -> Findings:
    """Of a policy with this spec, whose lines are indented by two."""
    return examine(read(spec(text)), kernel)


def errors(text: str, kernel: Kernel) -> list[str]:
    """The mistakes, with their places."""
    return [str(one) for one in found(text, kernel).errors]


def kprobe(call: str, more: str = "", *, syscall: str = "false") -> str:
    """A kprobe, or by another name of the section a fentry."""
    return f"  kprobes:\n  - {{call: {call}, syscall: {syscall}{more}}}"


OVERRIDE = kprobe(
    "sys_openat",
    ", selectors: [{matchActions: [{action: Override, argError: -1}]}]",
    syscall="true",
)
CHANGE = (
    "  uprobes:\n  - {path: /bin/a, symbols: [b],"
    " selectors: [{matchActions: [{action: Override, argRegs: [rax=1]}]}]}"
)
RIGHT = [
    OVERRIDE,
    CHANGE,
    kprobe("security_file_open", ", args: [{index: 0, type: file}]"),
    kprobe("security_file_open", ", args: [{index: 0, type: int, resolve: f_path.pid}]"),
    kprobe("security_file_open", ", args: [{index: 0, type: nop}], return: true,"
           " returnArg: {index: 0, type: int}"),
    kprobe("do_mixed", ", args: [{index: 0, type: int}, {index: 1, type: size_t},"
           " {index: 2, type: int}, {index: 3, type: char_buf, sizeArgIndex: 2}]"),
    kprobe("do_pair", ", args: [{index: 2, type: int}]"),
    kprobe("sys_openat", ", args: [{index: 1, type: string}]", syscall="true"),
    kprobe("commit_creds", ", data: [{index: 0, type: int, source: current_task,"
           " resolve: pid}]"),
    kprobe("commit_creds", ", data: [{index: 0, type: uint64, source: pt_regs, resolve: rip}]"),
    "  fentries:\n  - {call: commit_creds, syscall: false, args: [{index: 0, type: cred}]}",
    "  lsmhooks:\n  - {hook: file_open, args: [{index: 0, type: file}]}",
    ("  tracepoints:\n  - {subsystem: raw_syscalls, event: sys_enter, raw: true,"
    " args: [{index: 1, type: int}]}"),
    ("  tracepoints:\n  - {subsystem: my, event: my_event, args: [{index: 4, type: int},"
    " {index: 5, type: data_loc}]}"),
    "  tracepoints:\n  - {subsystem: syscalls, event: sys_enter_openat}",
    "  uprobes:\n  - {path: /bin/a, symbols: [b]}",
]  # fmt: skip


@pytest.mark.parametrize("text", RIGHT)
def test_what_is_there(kernel: Kernel, text: str) -> None:
    """Nothing is found, and no question is open."""
    assert found(text, kernel) == Findings((), (), ())


WRONG = [
    (kprobe("no_function"), "6:12: spec.kprobes[0].call: the kernel's BTF has no function"),
    (kprobe("sys_openat"), "but __x64_sys_openat: write syscall: true"),
    (kprobe("commit_creds", syscall="true"), "for what is no system call write syscall: false"),
    (
        kprobe("security_file_open", ", args: [{index: 1, type: int}]"),
        "args[0].index: security_file_open has 1 argument; index counts from 0",
    ),
    (
        kprobe("do_mixed", ", args: [{index: 3, type: char_buf, sizeArgIndex: 7}]"),
        "do_mixed has 4 arguments; sizeArgIndex counts from 1",
    ),
    (
        kprobe("commit_creds", ", args: [{index: 0, type: file}]"),
        "args[0].type: argument 0 of commit_creds, a, is struct cred *, and the type file is for",
    ),
    (
        kprobe("security_file_open", ", args: [{index: 0, type: string}]"),
        "is struct file *, which is no text",
    ),
    (
        kprobe("security_file_open", ", args: [{index: 0, type: int}]"),
        "is struct file *: as int its address is reported",
    ),
    (
        kprobe("do_mixed", ", args: [{index: 0, type: string}]"),
        "is int, no address: the type string is for a pointer",
    ),
    (
        kprobe("security_file_open", ", args: [{index: 0, type: int, resolve: f_path.dentri}]"),
        "args[0].resolve: resolve f_path.dentri: struct path has no dentri (of struct file *)",
    ),
    (
        kprobe("commit_creds", ", data: [{index: 0, type: int, source: current_task,"
               " resolve: pidd}]"),
        "data[0].resolve: resolve pidd: struct task_struct has no pidd",
    ),
    (
        kprobe("commit_creds", ", data: [{index: 0, type: int, source: pt_regs, resolve: x0}]"),
        'x86_64 has no register "x0"',
    ),
    (
        kprobe("sys_openat", ", args: [{index: 1, type: int, resolve: a}]", syscall="true"),
        "a system call's argument is in user space",
    ),
    (
        ("  fentries:\n  - {call: do_nothing_back, syscall: false, return: true,"
        " returnArg: {index: 0, type: int}}"),
        "function do_nothing_back returns nothing",
    ),
    ("  fentries:\n  - {call: nothing, syscall: false}", "has no function nothing"),
    ("  lsmhooks:\n  - {hook: file_close}", "lsmhooks[0].hook: there is no LSM hook file_close"),
    ("  tracepoints:\n  - {subsystem: a, event: b}", "there is no tracepoint b"),
    (
        "  tracepoints:\n  - {subsystem: syscalls, event: sys_enter_opn}",
        "there is no system call opn",
    ),
    (
        "  tracepoints:\n  - {subsystem: my, event: my_event, args: [{index: 6, type: int}]}",
        "the tracepoint has the fields 0 to 5",
    ),
    (
        "  tracepoints:\n  - {subsystem: my, event: my_event, args: [{index: 5, type: string}]}",
        "field 5, __data_loc_comm, is a text elsewhere in the record",
    ),
    (
        ("  lists:\n  - {name: l, type: generated_ftrace, pattern: ^nothing$}\n"
        "  kprobes:\n  - {call: 'list:l', syscall: false}"),
        'no function fits the pattern "^nothing$"',
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_what_is_not_there(kernel: Kernel, text: str, message: str) -> None:
    """It is told where the policy asks for it."""
    (line,) = errors(text, kernel)
    assert message in line


@pytest.mark.parametrize(
    ("without", "text", "message"),
    [
        ("register_kprobe", kprobe("commit_creds"), "the kernel has no kprobes"),
        ("uprobe_mmap", "  uprobes:\n  - {path: /bin/a, symbols: [b]}", "has no uprobes"),
        ("bpf_lsm_file_open", "  lsmhooks:\n  - {hook: file_open}", "no programs at LSM hooks"),
        ("fentry", "  fentries:\n  - {call: commit_creds, syscall: false}", "no fentry programs"),
        ("within_error_injection_list", OVERRIDE, "Override of a system call needs a kernel with"),
        ("kprobe_write_ctx", CHANGE, "Override of a uprobe needs Linux 6.18"),
    ],
)
def test_kernels_that_lack_something(tmp_path: Path, without: str, text: str, message: str) -> None:
    """A kind of hook that a kernel was built without."""
    (line,) = errors(text, made(tmp_path, without))
    assert message in line


def test_what_is_doubtful(kernel: Kernel) -> None:
    """A number that is read with more bits than it has, and a function that may be missing."""
    text = kprobe("do_mixed", ", args: [{index: 0, type: uint64}]")
    (warning,) = found(text, kernel).warnings
    assert "is int, of 32 bits: what uint64 reads beyond 32 bits is undefined" in str(warning)
    text = kprobe("no_function", ", ignore: {callNotFound: true}")
    (warning,) = found(text, kernel).warnings
    assert "the hook is left out (callNotFound)" in str(warning)


def test_many_mistakes_are_bounded(kernel: Kernel) -> None:
    """A policy of very many hooks that are not there."""
    hooks = "\n".join(f"  - {{call: no_{number}, syscall: false}}" for number in range(100))
    assert len(found(f"  kprobes:\n{hooks}", kernel).errors) == 21


def test_symbols_of_a_vmlinux(tmp_path: Path) -> None:
    """A function without types is there, and of one that is not there it is known."""
    image = elf(
        {".BTF": small_kernel(), ".text": b"\0" * 16},
        [Symbol("untyped", ".text", 0, 4)],
    )
    (tmp_path / "vmlinux").write_bytes(image)
    kernel = kernel_of(str(tmp_path / "vmlinux"))
    assert found(kprobe("untyped"), kernel) == Findings((), (), ())
    asked = found(kprobe("untyped", ", args: [{index: 0, type: int}]"), kernel).unanswered
    assert "what function untyped is called with: it has no types" in str(asked[0])
    (line,) = errors(kprobe("no_function"), kernel)
    assert line.endswith("there is no function no_function")


@pytest.mark.skipif(not (ROOT / "build/bundle/btfs").is_dir(), reason="nothing is built")
def test_what_the_archive_answers() -> None:
    """Members that the agent reads itself; all else is an open question, and no mistake."""
    kernel = kernel_of("debian/12/x86_64/6.1.0-50-amd64")
    assert (kernel.is_partial, kernel.machine) == (True, "x86_64")
    text = kprobe(
        "commit_creds", ", data: [{index: 0, type: int, source: current_task, resolve: tgid}]"
    )
    unanswered = found(text, kernel).unanswered
    assert [one.message for one in unanswered] == [
        "whether there is a function commit_creds, and its arguments"
    ]
    findings = found("  lsmhooks:\n  - {hook: nothing}", kernel)
    assert (findings.errors, len(findings.unanswered)) == ((), 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"\x7fELF", "no little-endian ELF64 file"), (b"text", "holds no BTF"), (None, "is no file")],
)
def test_kernels_that_cannot_be_read(tmp_path: Path, content: bytes | None, message: str) -> None:
    """It is said what was found, and what would do."""
    path = tmp_path / "k"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=message):
        kernel_of(str(path))


@pytest.mark.slow
def test_damaged_files(tmp_path: Path) -> None:
    """They are refused, or answer something; nothing else happens. A seed, so that it is found."""
    whole = small_kernel()
    policy = tmp_path / "p.yaml"
    policy.write_text(
        spec(
            kprobe(
                "do_mixed", ", args: [{index: 0, type: int, resolve: a.b}, {index: 3, type: file}]"
            )
        ).replace("kprobes", "fentries")
    )
    for seed in range(100):
        rng = random.Random(seed)
        data = bytearray(whole)
        for _ in range(rng.randrange(1, 9)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        path = tmp_path / "k"
        path.write_bytes(data[: rng.choice([len(data), rng.randrange(len(data))])])
        with contextlib.suppress(SettingsError):
            check_file(str(policy), [kernel_of(str(path))])


@pytest.mark.slow
@pytest.mark.skipif(not OWN.exists(), reason="this kernel has no BTF")
def test_the_running_kernel() -> None:
    """Its own BTF, and what else it tells."""
    kernel = kernel_of("running")
    text = "  fentries:\n  - {call: security_file_open, syscall: false}"
    assert found(text, kernel) == Findings((), (), ())
    (line,) = errors(text.replace("file_open", "file_opn"), kernel)
    assert line.endswith("there is no function security_file_opn")


if CASES.is_dir() and CORPUS.is_file():
    REFUSED = {
        "63-override-syscall": "needs a kernel with error injection",
        "e05-wrong-apiversion": "has no function __x64_sys_nosuchcall",
        "e14-unknown-symbol": "has no function security_nothing_of_the_kind",
        "e103-lsm-unknown-hook": "there is no LSM hook file_nothing",
        "e80-resolve-unknown-field": "struct path has no nothing",
        "e95-tp-index": "has the fields 0 to 6",
    }
    TAKEN = sorted(
        one.name
        for one in CASES.iterdir()
        # The rules refuse one, as tests/unit/policy/test_golden.py says.
        if (one / "expected.jsonl").exists() and one.name != "17-capability"
    )

    @pytest.fixture(name="debian", scope="module")
    def fixture_debian() -> Kernel:
        """That of the guest."""
        return kernel_of(str(CORPUS))

    @pytest.mark.parametrize("case", [*REFUSED, *(one for one in TAKEN if one not in REFUSED)])
    def test_as_a_kernel_answered_tetragon(debian: Kernel, case: str) -> None:
        """Policies that it loaded on Linux 6.1, and those that it could not load there."""
        text = (CASES / case / "policy.yaml").read_text()
        found_ = examine(read(text), debian).errors
        assert [str(one) for one in found_ if REFUSED.get(case, "\0") not in str(one)] == []
        assert bool(found_) == (case in REFUSED)
