# SPDX-License-Identifier: Apache-2.0
"""What an exec record says about the new image: paths, arguments, flags, container."""

from __future__ import annotations

import pytest

from tests.support.records import SECOND, Task, World, abi, execute, fork, long_exec
from tetrapy.events.flags import flag_words
from tetrapy.events.process import Process

INIT = Task(1, SECOND)
TASK = Task(50, 2 * SECOND)
ID = "0123456789abcdef" * 4  # of a container


@pytest.fixture
def world() -> World:
    world = World()
    world.feed(execute(INIT, Task(0)), fork(TASK, INIT))
    return world


def run(world: World, **given: object) -> Process:
    process = world.one(execute(TASK, INIT, **given)).process
    assert isinstance(process, Process)
    return process


def words(process: Process) -> str:
    return flag_words(process.flags)


@pytest.mark.parametrize(
    ("flag", "word"),
    [
        ("EXEC_PATH_ERROR", "errorFilename"),
        ("EXEC_ARGS_ERROR", "errorArgs"),
        ("EXEC_ARGS_TRUNCATED", "truncArgs"),
        ("EXEC_CWD_ROOT", "rootcwd"),
        ("EXEC_CWD_PARTIAL", "errorPathResolutionCwd"),
        ("EXEC_CWD_ERROR", "errorCWD"),
        ("EXEC_CGROUP_ERROR", "errorCgroupName"),
        ("EXEC_CGROUP_PARTIAL", "errorCgroupName"),
        ("EXEC_ENV_ERROR", "errorEnvs"),
        ("EXEC_CWD_DELETED", ""),
        ("EXEC_FILE_UNREPORTED", ""),
    ],
)
def test_each_finding_of_the_kernel_side_has_its_word(world: World, flag: str, word: str) -> None:
    """A flag of enum exec_flag is shown as the word of Tetragon's that means the same."""
    shown = words(run(world, flags=[flag])).split()
    assert sorted(shown) == sorted(["execve", "clone", word] if word else ["execve", "clone"])


def test_every_finding_of_the_kernel_side_is_known() -> None:
    """No flag of enum exec_flag is without a test: above, below, or in
    test_deferred_forks.py.
    """
    assert set(abi().exec_flags) == {
        "EXEC_PATH_ERROR",
        "EXEC_ARGS_ERROR",
        "EXEC_ARGS_TRUNCATED",
        "EXEC_ARGS_APART",
        "EXEC_CWD_ROOT",
        "EXEC_CWD_PARTIAL",
        "EXEC_CWD_ERROR",
        "EXEC_CWD_DELETED",
        "EXEC_FILE_UNREPORTED",
        "EXEC_CGROUP_ERROR",
        "EXEC_CGROUP_PARTIAL",
        "EXEC_ENV_ERROR",
        "EXEC_CLONED",
        "EXEC_SUPPRESSED",
    }


def test_all_findings_at_once(world: World) -> None:
    """Words of several findings stand in Tetragon's order."""
    flags = ["EXEC_PATH_ERROR", "EXEC_ARGS_TRUNCATED", "EXEC_CWD_ERROR", "EXEC_CGROUP_ERROR"]
    shown = words(run(world, path=b"", cwd=b"", flags=flags))
    assert shown == "execve truncArgs errorFilename errorCWD clone errorCgroupName"


@pytest.mark.parametrize(
    ("path", "cwd", "flags", "binary", "shown_cwd"),
    [
        (b"/bin/ls", b"/root", [], "/bin/ls", "/root"),
        (b"./a.out", b"/home/me", [], "/home/me/a.out", "/home/me"),
        (b"bin/../ls", b"", ["EXEC_CWD_ROOT"], "/ls", "/"),
        (b"/dev/fd/3", b"", ["EXEC_CWD_ROOT"], "/dev/fd/3", "/"),
        (b"/bin/\xff\xfels", b"/r\xc3\xa9\xc3", [], "/bin/\ufffdls", "/r\u00e9\ufffd"),
        (b"", b"", ["EXEC_PATH_ERROR", "EXEC_CWD_ERROR"], "", ""),
        (b"/bin/ls", b"", ["EXEC_CWD_ERROR"], "/bin/ls", ""),
    ],
)
def test_binary_and_working_directory(
    world: World, path: bytes, cwd: bytes, flags: list[str], binary: str, shown_cwd: str
) -> None:
    """A relative name is joined with the working directory; invalid bytes are replaced."""
    process = run(world, path=path, cwd=cwd, flags=flags)
    assert (process.binary, process.cwd) == (binary, shown_cwd)


def test_a_deep_working_directory(world: World) -> None:
    """4,095 bytes of working directory are kept, and a relative binary is below them."""
    cwd = b"/d" * 2047 + b"x"
    process = run(world, path=b"prog", cwd=cwd)
    assert process.cwd == cwd.decode()
    assert process.binary == cwd.decode() + "/prog"


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        ((), ""),
        ((b"",), ""),
        ((b"true",), ""),
        ((b"sh", b"-c", b"echo hi"), '-c "echo hi"'),
        ((b"sh", b"a b"), ' "a b"'),
        ((b"x", b"\xff\xfe", b"\xe2\x82\xac"), "\ufffd \u20ac"),
    ],
)
def test_arguments(world: World, argv: tuple[bytes, ...], shown: str) -> None:
    """argv without its first element, empty argv included."""
    assert run(world, argv=argv).arguments == shown


@pytest.mark.parametrize(("flags", "cwd"), [([], b"/root"), (["EXEC_CWD_ROOT"], b"")])
def test_an_empty_last_argument(world: World, flags: list[str], cwd: bytes) -> None:
    """It is told whether or not a working directory follows it."""
    assert run(world, argv=(b"x", b"a", b""), flags=flags, cwd=cwd).arguments == 'a ""'


def test_parts_do_not_run_into_each_other(world: World) -> None:
    """Path, arguments, working directory and cgroup are cut by their sizes, not by zero bytes."""
    process = run(
        world, path=b"/p\0q", argv=(b"a0", b"a1"), cwd=b"/c", cgroup=f"docker-{ID}".encode()
    )
    assert (process.binary, process.arguments, process.cwd) == ("/p\0q", "a1", "/c")
    assert process.docker == ID[:31]


@pytest.mark.parametrize(
    ("cgroup", "docker"),
    [
        (b"", ""),
        (b"init.scope", ""),
        (ID.encode(), ID[:31]),
        (f"docker-{ID}.scope".encode(), ID[:31]),
        (f"cri-containerd-{ID}.scope".encode(), ID[:31]),
        (f"mine\0{ID}\0docker\0".encode(), ID[:31]),
    ],
)
def test_the_container_of_an_image(world: World, cgroup: bytes, docker: str) -> None:
    """The cgroup's path tells the container; an image outside of containers has none."""
    assert run(world, cgroup=cgroup).docker == docker


def test_who_hides_in_a_deep_cgroup_stays_in_its_container(world: World) -> None:
    """Where the path was too long to be reported whole, the image before says which it is."""
    inside = run(world, cgroup=f"docker-{ID}.scope\0".encode())
    assert inside.docker == ID[:31]
    (event,) = world.feed(
        execute(TASK, INIT, at=9 * SECOND, cgroup=b"x\0" * 32, flags=["EXEC_CGROUP_PARTIAL"])
    )
    assert (event.process.docker, event.process.parent) == (ID[:31], inside)
    assert "errorCgroupName" in words(event.process)


@pytest.mark.parametrize(
    ("path_size", "size", "shown"),
    [
        (9, 60, "execve clone"),
        (9, 950, "execve clone"),
        (9, 951, "execve clone dataArgs"),
        (253, 706, "execve clone"),
        (253, 707, "execve clone dataArgs"),
        (254, 927, "execve clone dataFilename"),
        (254, 928, "execve clone dataFilename dataArgs"),
        (4000, 927, "execve clone dataFilename"),
        (4000, 928, "execve clone dataFilename dataArgs"),
        (9, 4000, "execve clone dataArgs"),
    ],
)
def test_long_paths_and_arguments_are_flagged(
    world: World, path_size: int, size: int, shown: str
) -> None:
    """What Tetragon would send apart has its flag, and is whole.

    Its event has 1,024 bytes: 64 of them fixed, then the path (32 bytes stand for one of 254 and
    more), and behind it the arguments but the first, with their zero bytes.
    """
    path, argument = b"/" + b"p" * (path_size - 1), b"x" * (size - 1)
    process = run(world, path=path, argv=(b"prog", argument))
    assert process.binary == path.decode()
    assert process.arguments == argument.decode()
    assert words(process) == shown


@pytest.mark.parametrize("size", [4096, 8190, 8191, 8192, 16382, 16383, 100_000, 262_144])
def test_arguments_that_come_in_chunks(world: World, size: int) -> None:
    """Chunks are put together in front of their exec, up to 256 KiB."""
    argv = [b"prog", b"x" * (size - 7), b""]
    assert sum(len(argument) + 1 for argument in argv) == size
    records = long_exec(TASK, INIT, argv, at=5 * SECOND)
    (event,) = world.feed(*records)
    assert event.process.arguments == "x" * (size - 7) + ' ""'
    assert event.process.binary == "/bin/true"
    assert event.process.cwd == "/root"
    assert words(event.process) == "execve clone dataArgs"


def test_chunks_of_two_processes_are_told_apart(world: World) -> None:
    """Records of execs on two CPUs may come mixed."""
    other = Task(60, 3 * SECOND)
    world.feed(fork(other, INIT))
    one = long_exec(TASK, INIT, [b"a", b"1" * 20_000], at=5 * SECOND)
    two = long_exec(other, INIT, [b"b", b"2" * 20_000], at=5 * SECOND)
    mixed = [record for pair in zip(one, two, strict=True) for record in pair]
    first, second = world.feed(*mixed)
    assert first.process.arguments == "1" * 20_000
    assert second.process.arguments == "2" * 20_000


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_lost_chunk_is_flagged_and_nothing_wrong_is_joined(world: World, lost: int) -> None:
    """With a chunk missing the arguments are those before the hole, flagged errorArgs."""
    step = abi().limits["ARGS_CHUNK"]
    argv = [b"p", *[bytes([97 + number % 26]) * 999 for number in range(5 * step // 2 // 1000)]]
    records = long_exec(TASK, INIT, argv, at=5 * SECOND)
    assert len(records) == 4
    del records[lost]
    (event,) = world.feed(*records)
    assert "errorArgs" in words(event.process)
    whole = " ".join(argument.decode() for argument in argv[1:])
    assert whole.startswith(event.process.arguments)
    assert len(event.process.arguments) <= lost * step
    if lost:
        assert len(event.process.arguments) > lost * step - 10
    assert (event.process.binary, event.process.cwd) == ("/bin/true", "/root")


def test_chunks_whose_exec_was_lost_are_forgotten(world: World) -> None:
    """However many execs are lost, their arguments do not pile up."""
    for number in range(500):
        task = Task(1000 + number, 9 * SECOND)
        world.feed(*long_exec(task, INIT, [b"x", b"y" * 9000], at=10 * SECOND)[:-1])
    assert world.dispatcher.reassembly.size == 64
    assert world.dispatcher.reassembly.evictions == 436
    (event,) = world.feed(*long_exec(TASK, INIT, [b"x", b"y" * 9000], at=5 * SECOND))
    assert len(event.process.arguments) == 9000
    assert "errorArgs" not in words(event.process)
