# SPDX-License-Identifier: Apache-2.0
"""Where the agent finds the types of this kernel, and what it says when it finds none."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.agent import PYZ, ROOT, Agent
from tetrapy.abi.btf import Btf
from tetrapy.abi.core_minimal import minimal_btf
from tetrapy.abi.core_queries import CoreQueries
from tetrapy.btf.archive import Archive
from tetrapy.btf.host import ARCHITECTURES

KERNEL = Path("/sys/kernel/btf/vmlinux")
# Without it the process connector would be used where there is no BTF.
EBPF = "--sensor=ebpf"
RELEASE = os.uname().release
ARCH = ARCHITECTURES[os.uname().machine]
HIDE = "mount -t tmpfs tmpfs /sys/kernel/btf"
PLACES = (
    "/boot/vmlinux-{0}",
    "/lib/modules/{0}/vmlinux-{0}",
    "/lib/modules/{0}/build/vmlinux",
    "/usr/lib/modules/{0}/kernel/vmlinux",
    "/usr/lib/debug/boot/vmlinux-{0}",
    "/usr/lib/debug/boot/vmlinux-{0}.debug",
    "/usr/lib/debug/lib/modules/{0}/vmlinux",
)

pytestmark = pytest.mark.skipif(not KERNEL.exists(), reason="needs a kernel with BTF")


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A copy of this kernel's own BTF."""
    path = tmp_path_factory.mktemp("btf") / "vmlinux"
    shutil.copyfile(KERNEL, path)
    return path


@pytest.fixture(scope="module")
def minimized(whole: Path) -> Path:
    """This kernel's BTF with no more than the programs need."""
    objects = sorted((ROOT / "build/bundle/bpf").glob("base*.bpf.o"))
    path = whole.parent / "minimized"
    command = ["bpftool", "gen", "min_core_btf", whole, path, *objects]
    if shutil.which("bpftool") is None:
        pytest.skip("needs bpftool: make setup")
    subprocess.run(command, check=True)
    assert path.stat().st_size < 20_000
    return path


@pytest.fixture(scope="module")
def another(tmp_path_factory) -> Path:
    """The BTF of a kernel of the archive that is not this one."""
    queries = CoreQueries(
        [path.read_bytes() for path in sorted((ROOT / "build/bundle/bpf").glob("base*.bpf.o"))]
    )
    answers = queries.answers(Btf(KERNEL.read_bytes()))
    archive = Archive((ROOT / "btfs/archive.xz").read_bytes()).select(queries.names)
    path = tmp_path_factory.mktemp("another") / "vmlinux"
    path.write_bytes(minimal_btf(queries, next(f for f in archive.layouts[::-1] if f != answers)))
    return path


def works(agent: Agent, actor: Path) -> None:
    """It tells of a process with all that it reads from the kernel's memory."""
    with agent:
        agent.started()
        tag = f"types-{agent.pid}x"
        subprocess.run([actor, tag, "exit", "3"], check=False, cwd="/usr/lib")
        started, ended = agent.tagged(tag)
        assert agent.stop() == 0
    assert started.process["cwd"] == "/usr/lib"
    assert started.parent is not None
    assert started.parent["pid"] == os.getpid()
    assert started.flags == ["execve", "clone"]
    assert ended.status == 3
    assert not agent.errors


def fails(agent: Agent) -> str:
    """It ends with the code of a start that failed; what it says in its last line."""
    with agent:
        assert agent.wait() == 255
    assert "Traceback" not in agent.errors + agent.log
    assert agent.export.read_bytes() == b"" if agent.export.exists() else True
    last = agent.log.splitlines()[-1]
    assert last.startswith('level=error msg="Failed to execute tetrapy" error=')
    return last


def test_own(tmp_path: Path, actor: Path) -> None:
    """The kernel's own is used when it is there."""
    agent = Agent(tmp_path)
    works(agent, actor)
    assert (
        'msg="BTF discovery: default kernel btf file found" btf-file=/sys/kernel/btf/vmlinux'
        in agent.log
    )


@pytest.mark.parametrize("flavour", [(), ("--use-perf-ring-buffer",)])
def test_minimized(tmp_path: Path, actor: Path, minimized: Path, flavour: tuple[str, ...]) -> None:
    """--btf overrides; a minimized file is enough, also where the kernel has none."""
    agent = Agent(tmp_path, "--btf", str(minimized), *flavour, prepare=HIDE)
    works(agent, actor)
    assert f'msg="BTF file: user specified btf file found" btf-file={minimized}' in agent.log
    assert "BTF discovery" not in agent.log


def test_odd_path(tmp_path: Path, actor: Path, whole: Path) -> None:
    """The name of the file may be any bytes."""
    path = bytes(tmp_path) + b"/b\xe9 \n"
    shutil.copyfile(whole, path)
    works(Agent(tmp_path / "agent", "--btf", os.fsdecode(path), prepare=HIDE), actor)


def test_variable(tmp_path: Path, actor: Path, whole: Path) -> None:
    """The file can be named by the environment."""
    agent = Agent(tmp_path, prepare=HIDE, environment={"TETRAPY_BTF": str(whole)})
    works(agent, actor)


def test_missing(tmp_path: Path) -> None:
    """A file that is not there is an error, although the kernel has its own."""
    line = fails(Agent(tmp_path, EBPF, "--btf", "/nowhere/vmlinux"))
    assert "user specified BTF does not exist: stat /nowhere/vmlinux: no such file" in line


def test_directory(tmp_path: Path) -> None:
    """A directory is told to be one."""
    assert "is a directory" in fails(Agent(tmp_path, EBPF, "--btf", "/tmp"))


@pytest.mark.parametrize(
    "content",
    [b"", b"no BTF at all, but quite a long text", b"\x7fELF" + bytes(100), b"\x9f\xeb\x01\x00"],
    ids=["empty", "text", "elf", "header"],
)
def test_wrong(tmp_path: Path, content: bytes) -> None:
    """A file that holds something else is named, with what is wrong."""
    path = tmp_path / "wrong"
    path.write_bytes(content)
    line = fails(Agent(tmp_path / "agent", EBPF, "--btf", str(path)))
    assert str(path) in line


def test_cut_short(tmp_path: Path, whole: Path) -> None:
    """A file that ends too early is named."""
    path = tmp_path / "short"
    path.write_bytes(whole.read_bytes()[:100_000])
    line = fails(Agent(tmp_path / "agent", EBPF, "--btf", str(path)))
    assert str(path) in line


def test_of_something_else(tmp_path: Path) -> None:
    """BTF that does not describe a kernel is refused with one clear line."""
    path = tmp_path / "other"
    strings = b"\0int\0"
    integer = struct.pack("<IIII", 1, 1 << 24, 4, 1 << 24 | 32)  # struct btf_type and its data
    header = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(integer), len(integer), len(strings))
    path.write_bytes(header + integer + strings)
    line = fails(Agent(tmp_path / "agent", EBPF, "--btf", str(path)))
    assert str(path) in line


def test_of_another_kernel(tmp_path: Path, another: Path) -> None:
    """BTF that has all types, but is another kernel's, is refused by what it says of this one."""
    line = fails(Agent(tmp_path, EBPF, "--btf", str(another)))
    assert f"user specified BTF {another}: is not the running kernel's: " in line


def test_unchecked(tmp_path: Path, another: Path) -> None:
    """--btf-check=false believes it."""
    with Agent(tmp_path, "--btf", str(another), "--btf-check=false") as agent:
        agent.started()
        assert agent.stop() == 0


def test_none(tmp_path: Path) -> None:
    """Where there is none the error names every place that was tried, and the way out."""
    library = tmp_path / "lib"
    flags = (EBPF, "--bpf-lib", str(library), "--btf-inference=off")
    agent = Agent(tmp_path / "agent", *flags, prepare=HIDE)
    line = fails(agent)
    cut = RELEASE.partition("-")[0]
    tried = ["/sys/kernel/btf/vmlinux"]
    tried += [f"{library}/metadata/vmlinux-{version}" for version in dict.fromkeys((RELEASE, cut))]
    tried += [f"{library}/btf", *(place.format(RELEASE) for place in PLACES)]
    file_check = tried[1:]
    tried += ["/var/lib/tetrapy/btf/", "the embedded archive", "inference from the archive"]
    tried.append("scan of kernel memory")
    places = [line.index(place) for place in tried]
    assert places == sorted(places)
    assert "is off (--btf-inference=off)" in line
    assert "`tetrapy btf add FILE`" in line
    assert RELEASE in line
    assert 'msg="BTF discovery: default kernel btf file does not exist"' in agent.log
    for path in file_check:
        assert f'candidate btf file does not exist" btf-file={path}' in agent.log


@pytest.mark.parametrize("flavour", [(), ("--use-perf-ring-buffer",)])
def test_scanned(tmp_path: Path, actor: Path, flavour: tuple[str, ...]) -> None:
    """A kernel that nobody knows is read all the same, which log and info file say."""
    agent = Agent(tmp_path, *flavour, prepare=HIDE)
    works(agent, actor)
    assert 'level=warn msg="BTF discovery: inferred from the memory of the running kernel"' in (
        agent.log
    )


def test_info_file(tmp_path: Path) -> None:
    """The info file tells where the types came from, and is gone with the agent."""
    with Agent(tmp_path, prepare=HIDE) as agent:
        agent.started()
        run = Path(f"/proc/{agent.pid}/root/run/tetrapy")
        info = json.loads((run / "tetrapy-info.json").read_text())
        assert info["btf_source"] == "inferred from the memory of the running kernel"
        assert (info["btf_kind"], info["pid"]) == ("scanned", agent.pid)
        assert info["export_fname"] == str(agent.export)
        # Held open: the namespace ends with the agent.
        directory = os.open(run, os.O_RDONLY | os.O_DIRECTORY)
        assert agent.stop() == 0
        assert os.listdir(directory) == []
        os.close(directory)


def test_added(tmp_path: Path, actor: Path, whole: Path) -> None:
    """What `tetrapy btf add` kept is used where the kernel has none."""
    add = f"{sys.executable} {PYZ} btf add {whole}"
    agent = Agent(tmp_path, prepare=f"{HIDE}; mount -t tmpfs tmpfs /var/lib; {add}")
    works(agent, actor)
    assert 'msg="BTF discovery: local store has this kernel"' in agent.log


def test_archive(tmp_path: Path, actor: Path, whole: Path) -> None:
    """An archive that `tetrapy btf pack` made serves in place of the embedded one."""
    tree = tmp_path / "tree/vendor/1" / ARCH
    tree.mkdir(parents=True)
    shutil.copyfile(whole, tree / f"{RELEASE}.btf")
    archive = tmp_path / "archive.xz"
    pack = [sys.executable, PYZ, "btf", "pack", tmp_path / "tree", "--partial", "--output", archive]
    subprocess.run(pack, check=True)
    agent = Agent(tmp_path / "exact", "--btf-archive", str(archive), prepare=HIDE)
    works(agent, actor)
    assert f'msg="BTF discovery: archive {archive} has this kernel"' in agent.log
    # The same kernel under another name.
    (tree / f"{RELEASE}.btf").rename(tree / "6.0-other.btf")
    subprocess.run(pack, check=True)
    agent = Agent(tmp_path / "inferred", "--btf-archive", str(archive), prepare=HIDE)
    works(agent, actor)
    assert f'msg="BTF discovery: inferred from vendor/1/{ARCH}/6.0-other"' in agent.log
    archive.write_bytes(archive.read_bytes()[:-9])
    line = fails(Agent(tmp_path / "cut", EBPF, "--btf-archive", str(archive), prepare=HIDE))
    assert "cut short" in line
    assert "pack it again" in line


@pytest.mark.parametrize(
    "name", ["btf", f"metadata/vmlinux-{RELEASE}", f"metadata/vmlinux-{RELEASE.partition('-')[0]}"]
)
def test_beside(tmp_path: Path, actor: Path, whole: Path, name: str) -> None:
    """A file below --bpf-lib serves where the kernel has none."""
    path = tmp_path / "lib" / name
    path.parent.mkdir(parents=True)
    path.symlink_to(whole)
    agent = Agent(tmp_path / "agent", "--bpf-lib", str(tmp_path / "lib"), prepare=HIDE)
    works(agent, actor)
    assert f'msg="BTF discovery: candidate btf file found" btf-file={path}' in agent.log


def test_order_beside(tmp_path: Path, actor: Path, whole: Path) -> None:
    """A candidate that is a directory or no BTF is passed over, with a word about it."""
    library = tmp_path / "lib"
    (library / "metadata" / f"vmlinux-{RELEASE}").mkdir(parents=True)
    (library / "btf").symlink_to(whole)
    agent = Agent(tmp_path / "agent", "--bpf-lib", str(library), prepare=HIDE)
    works(agent, actor)
    assert "is a directory" in agent.log
    assert f"btf-file={library}/btf" in agent.log
