# SPDX-License-Identifier: Apache-2.0
"""`tetrapy btf` of the built file, as operators and maintainers use it."""

from __future__ import annotations

import json
import lzma
import os
import subprocess
import zipfile
from pathlib import Path

import pytest
import yaml

from tests.pyz.conftest import SYSTEM_PYTHON, needs_root
from tests.support.agent import PYZ
from tests.support.btf_kernels import tree
from tetrapy.abi.core_minimal import minimal_btf
from tetrapy.abi.core_queries import CoreQueries
from tetrapy.btf.archive import Archive

ROOT = Path(__file__).resolve().parents[2]
OWN = Path("/sys/kernel/btf/vmlinux")
JOB = ROOT / "deploy/btf-pack-job.yaml"
RELEASE = "5.15.0-own"

needs_own_btf = pytest.mark.skipif(not OWN.exists(), reason="this kernel has no BTF")


def member(name: str) -> bytes:
    """A file of the bundle inside the built file."""
    with zipfile.ZipFile(PYZ) as packed:
        path = f"tetrapy/kernel/data/{name}"
        if path in packed.namelist():
            return packed.read(path)
        return lzma.decompress(packed.read(f"{path}.xz"))


@pytest.fixture(scope="module")
def queries() -> CoreQueries:
    names = [f"bpf/{name}{end}.bpf.o" for name in ("base", "policy") for end in ("", "-perf")]
    return CoreQueries([member(name) for name in names])


@pytest.fixture(scope="module")
def archive() -> Archive:
    return Archive(member("btfs/archive.xz"))


@pytest.fixture
def kernel(tmp_path: Path, queries: CoreQueries, archive: Archive) -> Path:
    """A file with the BTF of a kernel that the archive has."""
    path = tmp_path / "kernel.btf"
    path.write_bytes(minimal_btf(queries, archive.layouts[0]))
    return path


def test_list(run, archive: Archive) -> None:
    """All kernels of the archive are listed; the exit code tells whether any matches."""
    done = run(PYZ, "btf", "list", "--json", "--dir", "/nowhere")
    assert (done.returncode, done.stderr) == (0, "")
    rows = json.loads(done.stdout)["kernels"]
    assert {row["key"]: row["layout"] for row in rows} == archive.kernels
    key = next(iter(archive.kernels))
    assert run(PYZ, "btf", "list", key).returncode == 0
    assert run(PYZ, "btf", "list", "no-such-kernel").returncode == 1


def test_verify(run, kernel: Path, archive: Archive) -> None:
    """A known kernel's BTF serves; half of it does not."""
    done = run(PYZ, "btf", "verify", kernel)
    assert (done.returncode, done.stderr) == (0, "")
    assert "layout  0 of the embedded archive" in done.stdout
    kernel.write_bytes(kernel.read_bytes()[: kernel.stat().st_size // 2])
    done = run(PYZ, "btf", "verify", kernel)
    assert done.returncode == 1
    assert "cut short" in done.stderr


def test_diff(run, kernel: Path, archive: Archive) -> None:
    """The exit code tells equal, different and trouble."""
    by_layout = {number: key for key, number in archive.kernels.items()}
    assert run(PYZ, "btf", "diff", by_layout[0], kernel).returncode == 0
    done = run(PYZ, "btf", "diff", by_layout[0], by_layout[1])
    assert done.returncode == 1
    assert "struct " in done.stdout
    assert run(PYZ, "btf", "diff", by_layout[0], "none").returncode == 2


def test_which_of_another_kernel(run, archive: Archive, tmp_path: Path) -> None:
    """An entry of the archive is found by os-release, architecture and release."""
    key = next(iter(archive.kernels))
    name, version, arch, release = key.split("/")
    (tmp_path / "os-release").write_text(f'ID={name}\nVERSION_ID="{version}"\n')
    words = ["--release", release, "--arch", arch, "--os-release", "os-release"]
    done = run(PYZ, "btf", "which", *words)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(f"used: archive, {key}\n")


@needs_root
@needs_own_btf
def test_which_here(run) -> None:
    """The kernel's own BTF is used here; where it is out of sight, the search goes on and tells."""
    done = run(PYZ, "btf", "which", "--json")
    assert json.loads(done.stdout)["kind"] == "kernel"
    hide = "mount -t tmpfs none /sys/kernel/btf"
    done = run(PYZ, "btf", "which", "--btf-inference", "off", "--json", prepare=hide)
    answer = json.loads(done.stdout)
    places = [place for place, _finding in answer["tried"]]
    assert places[0] == str(OWN)
    assert "the embedded archive" in places
    assert (done.returncode, answer["kind"]) in {(1, ""), (0, "archive")}


@needs_root
@needs_own_btf
def test_added_here(run, tmp_path: Path) -> None:
    """The kernel's own BTF, added, is what the agent finds in the local store afterwards."""
    store = "mkdir -p /run/lib/tetrapy; mount --bind /run/lib /var/lib"
    hide = f"{store}; cp {OWN} {tmp_path}/own.btf; mount -t tmpfs none /sys/kernel/btf"
    script = f"{PYZ} btf add {tmp_path}/own.btf && {PYZ} btf which && {PYZ} btf list own-or-none"
    done = run("/bin/sh", "-c", script, prepare=hide)
    assert "added /var/lib/tetrapy/btf/" in done.stdout, done.stderr
    assert "\nused: store, /var/lib/tetrapy/btf/" in done.stdout


@needs_root
@needs_own_btf
def test_verify_live(run, kernel: Path) -> None:
    """The running kernel agrees with its own BTF and contradicts another's."""
    assert "is the running kernel's" in run(PYZ, "btf", "verify", "--live", OWN).stdout
    done = run(PYZ, "btf", "verify", "--live", kernel)
    assert done.returncode == 1
    assert "IS NOT THE RUNNING KERNEL'S" in done.stdout


def test_add_and_remove(run, kernel: Path, tmp_path: Path) -> None:
    """A kernel of the operator's own is kept whole, listed and removed."""
    store = tmp_path / "store"
    done = run(PYZ, "btf", "add", kernel, "--release", RELEASE, "--dir", store)
    assert done.returncode == 0, done.stderr
    (path,) = store.rglob("*.btf.xz")
    assert path.name == f"{RELEASE}.btf.xz"
    assert lzma.decompress(path.read_bytes()) == kernel.read_bytes()
    listed = run(PYZ, "btf", "list", RELEASE, "--dir", store)
    assert "     0  local  " in listed.stdout
    assert run(PYZ, "btf", "remove", RELEASE, "--dir", store).returncode == 0
    assert list(store.iterdir()) == []


@needs_root
def test_users(run, kernel: Path, everyones: Path, place: Path) -> None:
    """Another user may ask, and is told that adding needs root."""
    user = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", SYSTEM_PYTHON, everyones)
    copy = place / "kernel.btf"
    copy.write_bytes(kernel.read_bytes())
    assert run(*user, "btf", "list", cwd="/").returncode == 0
    assert run(*user, "btf", "verify", copy, cwd="/").returncode == 0
    clean = "mkdir /run/lib; mount --bind /run/lib /var/lib"
    done = run(*user, "btf", "add", copy, "--release", RELEASE, cwd="/", prepare=clean)
    assert done.returncode == 255
    assert "root" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_job_of_many_machines(
    run, queries: CoreQueries, archive: Archive, tmp_path: Path
) -> None:
    """The commands of deploy/ pack a tree in shards, and merging gives what one run gives."""
    spec = yaml.safe_load(JOB.read_text())["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    (script,) = container["args"]
    count = spec["completions"]
    assert f'"$JOB_COMPLETION_INDEX/{count}"' in script
    assert container["volumeMounts"][0]["mountPath"] == "/data"
    kernels = {
        f"debian/12/x86_64/6.1.0-{number}-amd64": minimal_btf(queries, archive.layouts[number % 5])
        for number in range(count * 2 + 1)
    }
    full = tree(tmp_path / "btfhub-archive", kernels, ".btf.xz")
    (tmp_path / "tetrapy.pyz").symlink_to(PYZ)
    local = script.replace("/data/", f"{tmp_path}/")
    for number in range(count):
        done = run(*container["command"], local, environment={"JOB_COMPLETION_INDEX": str(number)})
        assert done.returncode == 0, done.stderr
    (merge,) = [line for line in JOB.read_text().splitlines() if "btf merge" in line]
    merging = merge.lstrip("# ").replace("/data/", f"{tmp_path}/")
    done = run("/bin/sh", "-c", merging)
    assert done.returncode == 0, done.stderr
    assert run(PYZ, "btf", "pack", full, "--output", tmp_path / "whole.xz").returncode == 0
    merged = (tmp_path / "archive.xz").read_bytes()
    assert merged == (tmp_path / "whole.xz").read_bytes()
    assert Archive(merged).kernels.keys() == kernels.keys()


def test_harvest(run, kernel: Path, tmp_path: Path) -> None:
    """A harvest fills a tree that can be packed; what is damaged is named."""
    tree(tmp_path / "in", {"debian/12/x86_64/6.1.0-1-amd64": kernel.read_bytes()})
    tree(tmp_path / "in", {"debian/12/x86_64/6.1.0-2-amd64": b"damaged"})
    done = run(PYZ, "btf", "harvest", tmp_path / "in", "--output", tmp_path / "out")
    assert done.returncode == 1
    assert "6.1.0-2-amd64.btf" in done.stderr
    done = run(PYZ, "btf", "pack", tmp_path / "out", "--output", "archive.xz", "--partial")
    assert done.returncode == 0
    assert list(Archive((tmp_path / "archive.xz").read_bytes()).kernels) == [
        "debian/12/x86_64/6.1.0-1-amd64"
    ]


def test_an_interrupt_leaves_nothing(
    tmp_path: Path, queries: CoreQueries, archive: Archive
) -> None:
    """Ctrl-C ends a run with its processes, and leaves neither output nor half of one."""
    data = minimal_btf(queries, archive.layouts[0])
    full = tree(tmp_path / "in", {f"a/1/x86_64/{number}": data for number in range(3000)})
    command = [PYZ, "btf", "pack", full, "--output", tmp_path / "archive.xz", "--partial"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True, text=True)
    assert process.stderr is not None
    assert "10 %" in process.stderr.readline()
    os.killpg(process.pid, 2)
    rest = process.communicate()[1]
    assert process.returncode == 130
    assert "Traceback" not in rest
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@needs_root
def test_a_full_disk(run, tmp_path: Path, kernel: Path) -> None:
    """It is reported once, with the place and with what to do; what is unfinished is removed."""
    tree(tmp_path / "btfs", {"debian/12/x86_64/6.1.0-1-amd64": kernel.read_bytes()})
    btf = f"python3 {PYZ} btf"
    script = f"""
        mount -t tmpfs -o size=64k none full
        mkdir full/out
        cat /dev/zero >full/fill 2>/dev/null
        {btf} pack btfs --output full/archive.xz; echo $?
        {btf} add kernel.btf --release 5.15.0-own --dir full/store; echo $?
        {btf} harvest btfs --output full/out; echo $?
        find full -type f
    """
    (tmp_path / "full").mkdir()
    done = run("unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", script)
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == done.stderr.count("no space left") == 3, done.stderr
    assert errors[0].startswith("Error: full/archive.xz: ")
    assert errors[1].startswith("Error: full/store/")
    assert errors[2].startswith("Error: the output directory full/out cannot be written")
    assert sorted(done.stdout.split()[-2:]) == ["full/fill", "full/out/.harvest.journal"]
    assert [line for line in done.stdout.splitlines() if line.isdigit()] == ["255"] * 3
