# SPDX-License-Identifier: Apache-2.0
"""Boots a kernel in QEMU (software emulation only), runs a script in it, brings back its files.

The guest's root is the base cpio of `root` with a second one appended that holds the script and the
caller's files. What the script leaves in /result comes back as a tar on a raw NVMe disk (its driver
is built into Debian's cloud kernels), or compressed through a second serial port. The console is
only for people who look for what went wrong.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional, Union

from tools.errors import BuildError
from tools.guest import nobtf, root
from tools.guest.cpio import CpioWriter
from tools.guest.kernels import Kernel

RESULT_DISK_BYTES = 512 << 20  # sparse: costs what is written
# A guest that hangs is ended after this many seconds. A boot and a test take 10 to 60 of them; the
# budget's took 900 on two cores with five other guests and builds, and is right all the same.
HANG_BOUND = 2700.0
# A boot that ends before init runs has met nothing of what is tested: it is tried once more.
BOOT_ATTEMPTS = 2
# In seconds of QEMU's CPU time, so that a busy machine ends no boot; one takes 5 to 40 of them.
BOOT_BOUND = 200.0
INIT_MARK = b"@@UP "  # tools/guest/init prints it

# cryptomgr.notests: the crypto self-tests are the slowest part of an emulated boot. The rest is
# time and noise that no test looks at.
_APPEND = "panic=-1 oops=panic quiet mitigations=off cryptomgr.notests audit=0 printk.time=0"
# nokaslr: addresses of one boot hold for the next (nobtf).
_APPEND_AMD64 = "console=ttyS0 nokaslr no_timer_check tsc=reliable 8250.nr_uarts=1"
_APPEND_ARM64 = "console=ttyAMA0"
# What the kernel does not know goes to init as a variable.
# A kernel without ACPI cannot power off; a reset ends QEMU as well.
_APPEND_SERIAL = "8250.nr_uarts=2 result=/dev/ttyS1 end=reboot"
# Mitigations stay on and the LSM list is set as where the figures to compare with were measured.
# norandmaps: the addresses of a process decide how often it faults and how its hashes collide.
_APPEND_DETERMINISTIC = "console=ttyS0 quiet panic=-1 oops=panic nokaslr norandmaps lsm=bpf"

# la57: five levels of page tables cost time. cx16: QEMU 7.2 leaves garbage in EFLAGS behind
# cmpxchg16b, which the slab allocator uses, and then one boot of Linux 6.12 in six crashes. Without
# it a fork, exec and exit costs 0.4 % more instructions than on plain "max".
_CPU = "max,cx16=off"

# What two threads want at once is made once. Reentrant: making a kernel without BTF boots another.
_PREPARING = threading.RLock()

Content = Union[bytes, str, Path]


class GuestError(BuildError):
    """The guest brought back no result: `console` holds what it printed."""

    def __init__(self, message: str, console: str) -> None:
        tail = "\n".join(console.splitlines()[-40:])
        super().__init__(f"{message}; its console ended with:\n{tail}")
        self.console = console


@dataclass
class GuestResult:
    """What came back. `files` maps names relative to /result; `output` is the script's own."""

    exit_code: int
    output: str
    files: dict[str, bytes]
    console: str
    wall_seconds: float
    cpu_seconds: float  # of QEMU, user and system
    kernel: Kernel = field(repr=False)


def run(
    kernel: Kernel,
    script: str,
    files: Optional[Mapping[str, Content]] = None,
    *,
    smp: int = 1,
    memory: int = 768,
    append: str = "",
    deterministic: bool = False,
    timeout: float = HANG_BOUND,
) -> GuestResult:
    """Boot `kernel`, run `script` with busybox sh as root in /root, power off.

    `files`: absolute guest path -> bytes, text (mode 0755 both), or a host file (keeps its mode).
    `memory` in MiB. `deterministic` (amd64, one CPU) makes one guest instruction one guest
    nanosecond and skips idle time. `timeout` in host seconds is a bound against a hang, nothing
    else. Raises GuestError when no result came back.
    """
    with tempfile.TemporaryDirectory(prefix="tetrapy-guest-") as scratch:
        initrd, disk, console = (Path(scratch, name) for name in ("initrd", "disk", "console"))
        with _PREPARING:
            command = prepared(kernel, smp, memory, append, deterministic)
            base = root.build(kernel.arch)
        _write_initrd(initrd, base, script, files or {})
        disk.touch()
        command += ["-initrd", str(initrd), "-serial", f"file:{console}"]
        if kernel.nvme:
            os.truncate(disk, RESULT_DISK_BYTES)
            command += ["-drive", f"file={disk},if=none,id=result,format=raw,cache=unsafe"]
            command += ["-device", "nvme,drive=result,serial=result"]
        else:
            command += ["-serial", f"file:{disk}"]
        life = live(kernel.name, command, console, timeout)
        brought = read_result(disk)
    if not {"exit_code", "output"} <= brought.keys():
        raise GuestError(f"guest {kernel.name} ({kernel.release}) {life.end}", life.console)
    return result_of(kernel, life, brought)


def result_of(kernel: Kernel, life: Life, brought: dict[str, bytes]) -> GuestResult:
    """The result of a guest that has brought its files."""
    return GuestResult(
        exit_code=int(brought.pop("exit_code")),
        output=brought.pop("output").decode("utf-8", "replace"),
        files=brought,
        console=life.console,
        wall_seconds=life.wall_seconds,
        cpu_seconds=life.cpu_seconds,
        kernel=kernel,
    )


def image(kernel: Kernel) -> Path:
    """The file that QEMU boots. Raises KernelError when the package is to be had nowhere."""
    if kernel.btf:
        return kernel.stock_image()
    return nobtf.patched_image(kernel, lambda stock, script: run(stock, script).output)


def prepared(
    kernel: Kernel, smp: int, memory: int, append: str, deterministic: bool = False
) -> list[str]:
    """QEMU's command for a kernel, made bootable first; its disks and console are to be added."""
    with _PREPARING:
        return _command(kernel, smp, memory, append, deterministic)


def _command(kernel: Kernel, smp: int, memory: int, append: str, deterministic: bool) -> list[str]:
    if kernel.arch == "amd64":
        levels = "la57=on" if kernel.la57 else "la57=off"
        program = [_found("qemu-system-x86_64"), "-M", "pc", "-cpu", f"{_CPU},{levels}"]
        parameters = f"{_APPEND} {_APPEND_AMD64}"
    else:
        program = [_found("qemu-system-aarch64"), "-M", "virt", "-cpu", "cortex-a72"]
        parameters = f"{_APPEND} {_APPEND_ARM64}"
    if not kernel.nvme:
        parameters = f"{parameters} {_APPEND_SERIAL}"
    accelerator = ["-accel", "tcg,thread=multi"]
    if deterministic:
        if kernel.arch != "amd64" or smp != 1:
            raise ValueError("a deterministic guest is amd64 with one CPU")
        parameters = _APPEND_DETERMINISTIC
        accelerator = ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off"]
        # The remaining sources of chance: the random number instruction and the wall clock.
        accelerator += ["-seed", "1", "-rtc", "base=2026-01-01T00:00:00,clock=vm"]
    return [
        *program,
        *accelerator,
        *("-smp", str(smp), "-m", str(memory)),
        *("-nodefaults", "-no-user-config", "-nographic", "-no-reboot"),
        *("-kernel", str(image(kernel)), "-append", f"{parameters} {append}".strip()),
    ]


def _write_initrd(path: Path, base: Path, script: str, files: Mapping[str, Content]) -> None:
    with path.open("wb") as out:
        with base.open("rb") as file:
            shutil.copyfileobj(file, out, 1 << 20)
        cpio = CpioWriter(out)
        cpio.file("/test/run.sh", script.encode(), 0o755)
        for target, content in files.items():
            if isinstance(content, Path):
                cpio.file(target, content.read_bytes(), content.stat().st_mode & 0o777)
            else:
                cpio.file(target, content.encode() if isinstance(content, str) else content, 0o755)
        cpio.close()


@dataclass
class Life:
    """One run of QEMU, from power on to its end by itself or by a bound."""

    reached_init: bool
    end: str
    console: str
    wall_seconds: float
    cpu_seconds: float


def live(name: str, command: list[str], console: Path, timeout: float) -> Life:
    """Run QEMU to its end, once more if init was not reached: `name` is reported then."""
    life = _live(command, console, timeout)
    for _ in range(BOOT_ATTEMPTS - 1):
        if life.reached_init:
            break
        print(f"guest {name} {life.end} before init ran: once more", file=sys.stderr)
        life = _live(command, console, timeout)
    return life


def _live(command: list[str], console: Path, timeout: float) -> Life:
    console.write_bytes(b"")
    started = time.monotonic()
    end = "powered off without a result"
    reached_init = False
    with tempfile.TemporaryFile() as complaint:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=complaint, stderr=subprocess.STDOUT
        )
        try:
            pid, _, usage = os.wait4(process.pid, os.WNOHANG)
            while not pid:
                time.sleep(0.05)
                pid, _, usage = os.wait4(process.pid, os.WNOHANG)
                reached_init = reached_init or INIT_MARK in console.read_bytes()
                if pid:
                    break
                if time.monotonic() - started > timeout:
                    end = f"was ended after {timeout:.0f} s"
                elif not reached_init and _cpu_seconds(process.pid) > BOOT_BOUND:
                    end = f"was ended after {BOOT_BOUND:.0f} s of CPU time"
                else:
                    continue
                process.kill()
                pid, _, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        process.returncode = 0  # wait4 has collected it: nothing is left for Popen to wait for
        complaint.seek(0)
        printed = console.read_bytes() + complaint.read()
    return Life(
        reached_init or INIT_MARK in printed,
        end,
        printed.decode("utf-8", "replace").replace("\r", ""),
        time.monotonic() - started,
        usage.ru_utime + usage.ru_stime,
    )


def _cpu_seconds(pid: int) -> float:
    """What this process, which may have ended, has used so far: user and system."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, after_name[11:13])) / os.sysconf("SC_CLK_TCK")


def read_result(disk: Path) -> dict[str, bytes]:
    """Regular files of the tar at the disk's start; empty when the guest wrote none, or a part."""
    brought = {}
    with disk.open("rb") as start:
        packed = start.read(2) == b"\x1f\x8b"
    try:
        # Never "r:*": to lzma an empty disk is millions of empty streams, which take hours.
        with tarfile.open(disk, "r:gz") if packed else tarfile.open(disk, "r:") as tar:
            for member in tar:
                file = tar.extractfile(member) if member.isreg() else None
                if file is not None:
                    brought[member.name.removeprefix("result/")] = file.read()
    except (tarfile.ReadError, EOFError, zlib.error):
        return {}
    return brought


def _found(program: str) -> str:
    if shutil.which(program) is None:
        raise BuildError(f"{program} is not here; what guests need: python3 -m tools.setup test")
    return program
