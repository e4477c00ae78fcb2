# SPDX-License-Identifier: Apache-2.0
"""What ran, however the caller wrote it: each way to forge a path, by root and by others."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.conftest import SMALL_PATH, Stage

NOBODY = 65534
USER = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--"]
MOUNTS = ["unshare", "-m", "--propagation=private", "--"]
USERS_MOUNTS = [*USER, "unshare", "-Urm", "--"]


class Forger:
    """A directory with a program in it that wants to be taken for another."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.top = stage.directory
        self.program = self.top / "usr/bin/apt"
        for name in ("usr/bin", "a/b/c", "mnt", "work", "upper"):
            (self.top / name).mkdir(parents=True)
        shutil.copy(stage.actor, self.program)
        (self.top / "link").symlink_to(self.top / "a/b/c")
        for directory, _, files in os.walk(self.top):
            for name in (directory, *(os.path.join(directory, one) for one in files)):
                os.chown(name, NOBODY, NOBODY)
        self.inode = self.program.stat()

    def sh(self, script: str, *before: str) -> dict[str, Any]:
        """Have a shell run it, with A and D for the actor's words and this directory.

        The last image that the tag is in the arguments of, as its exec shows it.
        """
        words = f"{self.stage.tag} exit 0"
        script = script.replace("@A", words).replace("@D", str(self.top))
        done = self.stage.command(*before, "sh", "-ec", script, cwd=self.top)
        if done.returncode and b"unshare" in done.stderr:
            pytest.skip(f"no user namespaces here: {done.stderr.decode()}")
        assert not done.returncode, done.stderr
        found = [
            event.process
            for event in self.stage.execs()
            if event.arguments.endswith(words) and Path(event.binary).name != "sh"
        ]
        assert found, self.stage.events()
        return found[-1]

    def is_reported(self, process: dict[str, Any], path: str | None = None) -> None:
        """The event tells of the program by path, inode and device."""
        file = process["binary_properties"]["file"]
        assert file["path"] == (str(self.program) if path is None else path)
        assert file["inode"] == {"number": str(self.inode.st_ino), "links": self.inode.st_nlink}
        device = self.inode.st_dev
        assert process["executed_file"]["device"] == f"{os.major(device)}:{os.minor(device)}"


@pytest.fixture
def forger(stage: Stage) -> Forger:
    return Forger(stage)


def test_what_agrees_is_not_reported(forger: Forger) -> None:
    """By an absolute path or a relative one, there is nothing to tell."""
    for script in (
        "exec @D/usr/bin/apt @A",
        "cd usr; exec ./bin/apt @A",
        "cd usr/bin; exec ../bin/apt @A",
    ):
        process = forger.sh(script)
        assert process["binary"] == str(forger.program)
        assert not {"binary_properties", "executed_file"} & set(process)


def test_dots_behind_a_link(forger: Forger) -> None:
    """`..` of what a link leads to is not that of the text."""
    process = forger.sh("exec link/../../../usr/bin/apt @A", *USER)
    forger.is_reported(process)
    assert process["binary"] != str(forger.program)
    process = forger.sh("exec @D/usr/../usr/bin/apt @A", *USER)
    assert process["binary"] == f"{forger.top}/usr/../usr/bin/apt"
    forger.is_reported(process)


def test_a_symbolic_link(forger: Forger) -> None:
    """It is told where it leads."""
    process = forger.sh("ln -s usr/bin/apt sshd; exec ./sshd @A", *USER)
    assert process["binary"] == f"{forger.top}/sshd"
    forger.is_reported(process)


@pytest.mark.parametrize("before", [[], [*USER, "unshare", "-Ur", "--"]], ids=["root", "user"])
def test_another_root_directory(forger: Forger, before: list[str]) -> None:
    """The path is distinguished from the host's root."""
    listed = forger.stage.command("ldd", forger.program).stdout.decode()
    for library in re.findall(r"(/\S+) \(0x", listed):
        target = forger.top / library.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, target)
    process = forger.sh("exec chroot @D /usr/bin/apt @A", *before)
    assert process["binary"] == "/usr/bin/apt"
    forger.is_reported(process)
    assert process["executed_file"]["foreign"] is True


@pytest.mark.parametrize("before", [MOUNTS, USERS_MOUNTS], ids=["root", "user"])
def test_a_mount_of_ones_own(forger: Forger, before: list[str]) -> None:
    """In another mount namespace the path is the same, and the file another."""
    process = forger.sh("mount --bind @D/usr/bin/apt /usr/bin/true; exec /usr/bin/true @A", *before)
    assert process["binary"] == "/usr/bin/true"
    forger.is_reported(process, "/usr/bin/true")
    assert process["executed_file"]["foreign"] is True


def test_an_overlay(forger: Forger) -> None:
    """Path, inode and device are those that stat shows in it."""
    script = "cd %s; mount -t overlay none -o lowerdir=usr,upperdir=upper,workdir=work mnt; %s"
    if forger.stage.command(*MOUNTS, "sh", "-ec", script % (forger.top, "true")).returncode:
        pytest.skip("no overlay can be mounted here")
    process = forger.sh(script % (forger.top, "exec @D/mnt/../mnt/bin/apt @A"), *MOUNTS)
    file = process["binary_properties"]["file"]
    assert file["path"] == f"{forger.top}/mnt/bin/apt"
    assert file["inode"]["number"] == str(forger.inode.st_ino)
    assert process["executed_file"]["foreign"] is True


@pytest.mark.parametrize("before", [MOUNTS, USERS_MOUNTS], ids=["root", "user"])
def test_a_detached_directory(forger: Forger, before: list[str]) -> None:
    """What was unmounted has no way to the root: the directory is flagged, the file foreign."""
    script = (
        "mount -t tmpfs none @D/mnt; mkdir -p @D/mnt/usr/bin;"
        " cp @D/usr/bin/apt @D/mnt/usr/bin/sshd; cd @D/mnt/usr/bin;"
        " umount -l @D/mnt; exec ./sshd @A"
    )
    process = forger.sh(script, *before)
    assert process["cwd"] == "/usr/bin"
    assert "errorPathResolutionCwd" in process["flags"].split()
    assert process["executed_file"]["foreign"] is True


def test_descriptors(forger: Forger) -> None:
    """/dev/fd and /proc/self/fd hide the file from the text."""
    for place in ("/proc/self/fd/9", "/dev/fd/9"):
        process = forger.sh(f"exec 9<@D/usr/bin/apt; exec {place} @A", *USER)
        assert process["binary"] == place
        forger.is_reported(process)


def test_a_hard_link(forger: Forger) -> None:
    """The name by which it was opened, and how many there are."""
    process = forger.sh("ln usr/bin/apt sshd; exec ./a/../sshd @A", *USER)
    assert process["binary"] == f"{forger.top}/sshd"
    assert "executed_file" not in process


def test_a_memfd(stage: Stage) -> None:
    """It has a name only."""
    stage.run("memfd", stage.actor, stage.tag, "exit", 0)
    process = stage.execs()[-1].process
    assert process["binary"].startswith("/dev/fd/")
    assert process["binary_properties"]["file"]["path"].startswith("/memfd:")
    assert process["binary_properties"]["file"]["inode"]["links"] == 0
    assert process["executed_file"]["deleted"] is True


def test_a_deleted_file(stage: Stage) -> None:
    """It is told where it was."""
    path = os.fsdecode(stage.copy("was-here"))
    stage.run("gone", path, stage.tag, "exit", 0)
    process = stage.execs()[-1].process
    assert process["binary_properties"]["file"]["path"] == path
    assert process["binary_properties"]["file"]["inode"]["links"] == 0
    assert process["executed_file"]["deleted"] is True


def test_a_script(forger: Forger) -> None:
    """The script is the binary, the file its interpreter's."""
    script = forger.top / "script"
    script.write_text(f"#!{forger.top}/usr/bin/apt {forger.stage.tag}\n")
    script.chmod(0o755)
    forger.stage.command(*USER, script, "exit", "0")
    process = next(e.process for e in forger.stage.execs() if e.binary == str(script))
    forger.is_reported(process)
    assert process["executed_file"]["interpreter"] is True


def test_an_exec_by_a_thread(forger: Forger) -> None:
    """Not the leader's: the event is the same."""
    code = (
        "import os, sys, threading, time\n"
        f"t = threading.Thread(target=os.execv, args=('{forger.top}/link/../../../usr/bin/apt',"
        f" ['apt', '{forger.stage.tag}', 'exit', '0']))\n"
        "t.start(); t.join()"
    )
    subprocess.run(["python3", "-c", code], check=True)
    process = forger.stage.execs()[-1].process
    forger.is_reported(process)


@pytest.mark.parametrize(("count", "size"), [(15, 9), (17, 9), (300, 9), (1900, 1)])
def test_a_deep_file(forger: Forger, count: int, size: int) -> None:
    """However deep it is; of the deepest small programs report the end."""
    name = "d" * size
    parts = [name] * count
    top = os.open(forger.top, os.O_RDONLY)
    try:
        here = top
        for part in parts:
            os.mkdir(part, dir_fd=here)
            below = os.open(part, os.O_RDONLY, dir_fd=here)
            if here != top:
                os.close(here)
            here = below
        target = os.open("sshd", os.O_WRONLY | os.O_CREAT, 0o755, dir_fd=here)
        os.write(target, forger.program.read_bytes())
        os.close(target)
        program = os.open("sshd", os.O_RDONLY, dir_fd=here)
        os.close(here)
    finally:
        os.close(top)
    subprocess.run(
        [f"/proc/self/fd/{program}", forger.stage.tag, "exit", "0"], pass_fds=[program], check=True
    )
    os.close(program)
    process = forger.stage.execs()[-1].process
    subprocess.run(["rm", "-rf", forger.top / name], check=True)
    path = f"{forger.top}/" + "/".join([*parts, "sshd"])
    found = process["binary_properties"]["file"]["path"]
    if forger.stage.is_small and count > SMALL_PATH:
        assert path.endswith(found)
        assert found.count("/") >= SMALL_PATH
        assert process["executed_file"]["partial"] is True
    else:
        assert found == path
        assert "partial" not in process["executed_file"]


def test_a_removed_directory(forger: Forger) -> None:
    """It is reported as removed, as Tetragon does."""
    process = forger.sh("mkdir gone; cd gone; rmdir ../gone; exec @D/usr/bin/apt @A", *USER)
    assert process["cwd"] == f"{forger.top}/gone (deleted)"
