# SPDX-License-Identifier: Apache-2.0
"""What a container does to procfs keeps nothing from being known, and nothing wrong is believed."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.kernel_layout import KERNEL, KernelLayout
from tetrapy.abi.btf import Btf
from tetrapy.abi.core_queries import CoreQueries
from tetrapy.btf.inference import candidates
from tetrapy.kernel import bundle
from tetrapy.kernel.kernel_memory import KernelMemory
from tetrapy.kernel.reference_process import prepared
from tetrapy.sensors.configuration import OBJECTS

pytestmark = pytest.mark.skipif(not KERNEL.exists(), reason="needs a kernel with BTF")

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT / 'agent'}:{ROOT}"}


@pytest.mark.parametrize(
    "prepare",
    [
        "mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys",
        "mount --bind /proc/sys/kernel /proc/sys/kernel",
        "mount -t tmpfs tmpfs /proc/sys",
        "mount -t tmpfs tmpfs /proc/sys/kernel",
        "mount -t proc -o subset=pid proc /proc",
        "mount -t proc -o hidepid=2 proc /proc",
        "mount -t proc proc /proc",
    ],
)
@pytest.mark.parametrize("variant", ["0", "1"])
def test_parts_of_procfs_are_mounted(prepare: str, variant: str) -> None:
    """Directories are known, and the mount's root is not the directory it is mounted on."""
    run = [sys.executable, "-m", "tests.kernel.test_reference_process_container", variant]
    space = ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-ec", f'{prepare}; "$@"']
    subprocess.run([*space, "sh", *run], check=True, env=ENVIRONMENT, timeout=60)


def test_without_chroot(tmp_path: Path) -> None:
    """The agent's working directory may be on another mount: then the process is in neither."""
    script = 'mount -t tmpfs tmpfs "$0"; cd "$0"; exec setpriv --bounding-set=-sys_chroot "$@"'
    space = ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-ec", script]
    probe = [sys.executable, "-m", "tests.kernel.test_reference_process_container", "same-mount"]
    subprocess.run([*space, str(tmp_path), *probe], check=True, env=ENVIRONMENT, timeout=60)


def same_mount() -> None:
    """Without CAP_SYS_CHROOT: root and working directory are on one mount."""
    with contextlib.closing(KernelMemory()) as memory, prepared(memory) as reference:
        assert not reference.cwd_names
        layout = KernelLayout(reference.read)
        fs = layout.number(reference.thread.address, "task_struct", "fs")
        mounts = [layout.number(fs, "fs_struct", f"{name}.mnt") for name in ("root", "pwd")]
        assert mounts[0] == mounts[1]


@pytest.mark.parametrize("root", ["true", "namespace's"])
def test_in_the_root_cgroup_of_a_container(root: str) -> None:
    """A least-privilege pod, in a root cgroup that it cannot leave: no directory is above it, and
    the right layout is not refused.
    """
    script = """
        mount -t cgroup2 none /mnt
        if [ "$0" != true ]; then
            made=/mnt/tetrapy-test-$$; mkdir $made; echo $$ > $made/cgroup.procs
            trap 'echo $$ > /mnt/cgroup.procs; rmdir $made' EXIT
        fi
        unshare --cgroup --mount --propagation private /bin/sh -ec '
            umount -a -t cgroup2; mount -t cgroup2 -o ro none /mnt
            exec setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin "$@"' sh "$@"
    """
    probe = [sys.executable, "-m", "tests.kernel.test_reference_process_container", "root-cgroup"]
    space = ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-ec", script, root]
    subprocess.run([*space, *probe], check=True, env=ENVIRONMENT, timeout=60)


def root_cgroup() -> None:
    """Its ids are those of one directory, and the checks of cgroups hold for the right layout."""
    objects = [bundle.read(name) for name in OBJECTS]
    queries = CoreQueries(objects)
    answers = queries.answers(Btf(KERNEL.read_bytes()))
    with contextlib.closing(KernelMemory()) as memory, prepared(memory) as reference:
        assert reference.cgroup_names == ()
        assert len(reference.cgroup_ids[""]) == 1, reference.cgroup_ids
        assert not candidates.check(queries.names, answers, reference).failed


def main(variant: int) -> None:
    """In the container."""
    with contextlib.closing(KernelMemory()) as memory, prepared(memory, variant) as reference:
        layout = KernelLayout(reference.read)
        fs = layout.number(reference.thread.address, "task_struct", "fs")
        root = layout.number(fs, "fs_struct", "root.dentry")
        cwd = layout.number(fs, "fs_struct", "pwd.dentry")
        mount = layout.number(fs, "fs_struct", "root.mnt") - layout.offset("mount", "mnt")
        top = layout.number(mount, "mount", "mnt.mnt_root")
        assert layout.names(cwd, root) == reference.cwd_names != (), reference.limits
        assert layout.names(root, top) == reference.root_names != ()
        assert layout.number(mount, "mount", "mnt_mountpoint") != top
        assert reference.mount_point == b"proc"
        assert reference.limits == ()


if __name__ == "__main__":
    if sys.argv[1] == "same-mount":
        same_mount()
    elif sys.argv[1] == "root-cgroup":
        root_cgroup()
    else:
        main(int(sys.argv[1]))
