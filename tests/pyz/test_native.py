# SPDX-License-Identifier: Apache-2.0
"""The built file's native code, loaded as on a host that tries to prevent it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tools import shared_library
from tools.zip_writer import replace_file, zip_bytes

PYZ = Path(__file__).resolve().parents[2] / "dist" / "tetrapy.pyz"

LOADS = r"""
import ctypes, importlib, os, sys
from tetrapy.kernel import bundle, native

libbpf = native.load_libbpf()
print("libbpf", libbpf.libbpf_major_version(), libbpf.libbpf_minor_version())
# A second memfd must not be taken for the first: each keeps its own path.
from tetrapy.kernel import decompress
frame = b"\x02\x21\x4c\x18\x06\x00\x00\x00\x50Linux"
print("unpack", decompress.decompressors()["lz4"](frame, 5).decode())
print("bundle", len(bundle.read("bpf/base.bpf.o")) > 1000)
from tetrapy.kernel import extensions
extensions.install()
from tetrapy import json_codec as codec
numbers = [1 << 63, 1 << 70, 1e16, 1e-5, 1.5, float("inf")]
values = [None, True, numbers, "\x00\x7f\u20ac", "\ud800", {"a": ()}]
texts = ['{"a":1e999,"b":[1E5,-0]}', '{"a":1,"a":2}', "[18446744073709551616]"]
texts += ['"\\ud800"', "[1", "NaN"]
def results():
    for indent in (False, True):
        yield codec.dumps(values, None, indent)
    for text in texts:
        for read in (codec.loads, lambda text: codec.object_at(text, 0)):
            try:
                yield repr(read(text))
            except ValueError as err:
                yield repr(err)
orjson, first = codec._orjson(), list(results())
codec._orjson = lambda: None
print("orjson", (sys.version_info < (3, 15)) == (orjson is not None), first == list(results()))
left = os.listdir(native.RUN_DIRECTORY) if os.path.exists(native.RUN_DIRECTORY) else []
print("left", left)
"""

LOADED = ["libbpf 1 7", "unpack Linux", "bundle True", "orjson True True"]

HOST = f"""
set -e
mount --make-rprivate /
mount --bind "$1" "$1"
mount -o remount,bind,ro "$1"
mount -t tmpfs -o noexec,nosuid,nodev tmpfs /var/tmp
mount --bind /tmp /tmp
mount -o remount,bind,noexec /tmp
mount -t tmpfs -o noexec,nosuid,nodev tmpfs /run
mount -o remount,bind,ro /
! touch "$1/x" /x 2>/dev/null
cp "$1/lib.so" /tmp/tetrapy-noexec.so
! {sys.executable} -c 'import ctypes; ctypes.CDLL("/tmp/tetrapy-noexec.so")' 2>/dev/null
rm /tmp/tetrapy-noexec.so
echo prepared
exec {{python}} -I "$1/loads.pyz"
"""


@pytest.fixture(scope="module")
def loads(tmp_path_factory) -> Path:
    """A directory with the built file's members under another __main__, and one library."""
    directory = tmp_path_factory.mktemp("loads")
    with zipfile.ZipFile(PYZ) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    del members["__main__.pyc"]
    library = members[f"tetrapy/kernel/data/lib/libbpf-{platform.machine()}.so"]
    (directory / "lib.so").write_bytes(library)
    members["__main__.py"] = LOADS.encode()
    replace_file(directory / "loads.pyz", zip_bytes(members, "#!/usr/bin/env python3"), 0o755)
    return directory


def pythons() -> list[str]:
    """Every CPython from 3.8 on that this machine has: this one, Debian's, and pyenv's."""
    found = [sys.executable, "/usr/bin/python3"]
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for minor in range(8, 20):
        found += [str(path) for path in versions.glob(f"3.{minor}.*/bin/python3")]
    real = {os.path.realpath(path): path for path in found if os.path.exists(path)}
    return sorted(real.values())


def check(output: str) -> None:
    """The output of LOADS."""
    expected = [*LOADED, "left []"]
    assert output.splitlines()[-5:] == expected


@pytest.mark.parametrize("python", pythons())
def test_native_code_loads(loads: Path, python: str):
    """All load from the packed file on each Python that is here, leaving no file."""
    command = [python, "-I", str(loads / "loads.pyz")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    check(done.stdout)
    assert done.stderr == ""


@pytest.mark.root
def test_read_only_root_and_noexec_tmp(loads: Path):
    """All load with a read-only root, the file on a read-only mount, and /tmp mounted noexec."""
    script = HOST.replace("{python}", sys.executable)
    command = ["unshare", "--mount", "sh", "-c", script, "sh", str(loads)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.stdout.startswith("prepared\n"), done.stderr
    assert done.returncode == 0, done.stderr
    check(done.stdout)


@pytest.mark.root
@pytest.mark.skipif(
    not Path("/proc/sys/vm/memfd_noexec").exists(), reason="needs vm.memfd_noexec (Linux 6.3)"
)
@pytest.mark.parametrize("level", [1, 2])
def test_memfds_without_permission_to_execute(loads: Path, level: int):
    """Where vm.memfd_noexec takes the right to execute from memfds, all still load."""
    script = 'echo "$2" > /proc/sys/vm/memfd_noexec; exec "$3" -I "$1/loads.pyz"'
    command = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-c", script, "sh"]
    command += [str(loads), str(level), sys.executable]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:4] == LOADED


@pytest.mark.root
def test_private_directory_where_memfds_are_refused(loads: Path, tmp_path: Path):
    """The real linker loads both from the private directory, which is empty again after that."""
    run = tmp_path / "native"
    refuse = f"""
import os
def refuse(name, flags):
    raise PermissionError(1, "Operation not permitted")
os.memfd_create = refuse
from tetrapy.kernel import native
print(native.load_libbpf({str(run)!r}).libbpf_major_version())
print(native.load_unpack({str(run)!r}) is not None)
print(os.listdir({str(run)!r}))
"""
    with zipfile.ZipFile(loads / "loads.pyz") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["__main__.py"] = refuse.encode()
    (tmp_path / "refused.pyz").write_bytes(zip_bytes(members))
    command = [sys.executable, "-I", str(tmp_path / "refused.pyz")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.stdout == "1\nTrue\n[]\n", done.stderr


def test_bundle_holds_native_code_for_both_machines():
    """Our libraries need libc alone, as of glibc 2.17."""
    with zipfile.ZipFile(PYZ) as archive:
        for machine in shared_library.ARCHITECTURES:
            for name in (f"libbpf-{machine}.so", f"libunpack-{machine}.so"):
                image = archive.read(f"tetrapy/kernel/data/lib/{name}")
                shared_library.check(name, image, machine)
