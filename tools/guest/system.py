# SPDX-License-Identifier: Apache-2.0
"""Boots a kernel with systemd as its init, runs a script as root, brings back its files.

Three NVMe name spaces: the root (changes are dropped), a tar with the caller's files, and room for
the tar of /result. There is no network.
"""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tools.guest import qemu, systemd_root
from tools.guest.kernels import Kernel
from tools.guest.qemu import Content, GuestError, GuestResult

_APPEND = "root=/dev/nvme0n1 rootfstype=ext4 rw init=/sbin/init systemd.show_status=no"


def run(
    kernel: Kernel,
    script: str,
    files: Mapping[str, Content],
    *,
    root: systemd_root.Recipe = systemd_root.PLAIN,
    smp: int = 2,
    memory: int = 1024,
    append: str = "",
    timeout: float = qemu.HANG_BOUND,
) -> GuestResult:
    """Boot `kernel` (amd64, cloud flavour) and run `script` with sh in /root.

    `files` as for `qemu.run`. Raises GuestError when no result came back.
    """
    with tempfile.TemporaryDirectory(prefix="tetrapy-guest-") as scratch:
        given, result, console = (Path(scratch, name) for name in ("given", "result", "console"))
        _write_tar(given, {"/test/run.sh": script, **files})
        result.touch()
        os.truncate(result, qemu.RESULT_DISK_BYTES)
        command = qemu.prepared(kernel, smp, memory, f"{_APPEND} {append}".strip())
        command += ["-serial", f"file:{console}", "-device", "nvme,id=disks,serial=disks"]
        disk = f"{systemd_root.build(root)},snapshot=on"
        for number, file in enumerate((disk, f"{given},readonly=on", result), 1):
            command += ["-drive", f"file={file},if=none,id=disk{number},format=raw,cache=unsafe"]
            command += ["-device", f"nvme-ns,drive=disk{number},bus=disks,nsid={number}"]
        life = qemu.live(kernel.name, command, console, timeout)
        brought = qemu.read_result(result)
    if not {"exit_code", "output"} <= brought.keys():
        raise GuestError(f"guest {kernel.name} with systemd {life.end}", life.console)
    return qemu.result_of(kernel, life, brought)


def _write_tar(path: Path, files: Mapping[str, Content]) -> None:
    with tarfile.open(path, "w") as tar:
        for target, content in files.items():
            info = tarfile.TarInfo(target.lstrip("/"))
            if isinstance(content, Path):
                data, info.mode = content.read_bytes(), content.stat().st_mode & 0o777
            else:
                data = content.encode() if isinstance(content, str) else content
                info.mode = 0o755
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
