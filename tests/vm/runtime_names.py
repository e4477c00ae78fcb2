# SPDX-License-Identifier: Apache-2.0
"""Runtimes in a guest that give containers names in place of ids, and all runtimes there are."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.vm.runtime_cri import Cri
from tests.vm.runtime_kinds import (
    BUSYBOX,
    ROOT,
    Ctr,
    Docker,
    Podman,
    PodmanByFiles,
    Rootless,
    Runtime,
    run,
    until,
)


class Lxc(Runtime):
    """LXC, with containers where its commands look for them: `lxc-freeze` refuses others."""

    name = "lxc"

    def start(self, container: str, words: list[str]) -> str:
        name = f"lxc-{container}"
        place = Path("/var/lib/lxc", name)
        shutil.copytree(ROOT, place / "rootfs", symlinks=True)
        settings = {
            "lxc.rootfs.path": f"dir:{place}/rootfs",
            "lxc.uts.name": name,
            "lxc.net.0.type": "empty",
            "lxc.apparmor.profile": "unconfined",
            "lxc.init.cmd": f"{BUSYBOX} sh /first.sh",
        }
        (place / "config").write_text("".join(f"{key} = {settings[key]}\n" for key in settings))
        (place / "rootfs/first.sh").write_text(f"exec {shlex.join(words)}\n")
        run("lxc-start", "-n", name, "-d")
        return name

    def execute(self, container: str, words: list[str]) -> None:
        run("lxc-attach", "-n", container, "--", *words)

    def pause(self, container: str) -> None:
        run("lxc-freeze", "-n", container)
        run("lxc-unfreeze", "-n", container)

    def restart(self, container: str) -> str:
        self.remove(container)
        run("lxc-start", "-n", container, "-d")
        return container

    def rename(self, container: str, name: str) -> str:
        """What `lxc-copy --rename` does, without rsync. None that runs gets another name."""
        self.remove(container)
        place = Path("/var/lib/lxc", container).rename(f"/var/lib/lxc/lxc-{name}")
        text = (place / "config").read_text().replace(container, place.name)
        (place / "config").write_text(text)
        run("lxc-start", "-n", place.name, "-d")
        return place.name

    def remove(self, container: str) -> None:
        run("lxc-stop", "-k", "-n", container)


class Nspawn(Runtime):
    """systemd's."""

    name = "nspawn"
    renames = False

    def __init__(self) -> None:
        self._words: dict[str, list[str]] = {}

    def start(self, container: str, words: list[str]) -> str:
        name = f"nspawn-{container}"
        shutil.copytree(ROOT, f"/srv/{name}", symlinks=True)
        self._words[name] = words
        return self._run(name)

    def _run(self, name: str) -> str:
        words = ["-q", "-D", f"/srv/{name}", "-M", name, "--as-pid2", *self._words[name]]
        run("systemd-run", "--collect", "--unit", name, "systemd-nspawn", *words)
        until(lambda: self._leader(name), name)
        return name

    def _leader(self, name: str) -> str:
        with suppress(subprocess.CalledProcessError):
            return run("machinectl", "show", "-p", "Leader", "--value", name)
        return ""

    def execute(self, container: str, words: list[str]) -> None:
        """Who enters the namespaces has not entered the cgroup."""
        run("nsenter", "-t", self._leader(container), "-m", "-p", "-i", *words)

    def pause(self, container: str) -> None:
        unit = run("machinectl", "show", "-p", "Unit", "--value", container)
        run("systemctl", "freeze", unit)
        run("systemctl", "thaw", unit)

    def restart(self, container: str) -> str:
        self.remove(container)
        return self._run(container)

    def remove(self, container: str) -> None:
        run("machinectl", "terminate", container)
        until(lambda: not self._runs(container), f"the end of {container}")

    def _runs(self, container: str) -> bool:
        return run("systemctl", "show", "-p", "LoadState", "--value", container) == "loaded"


RUNTIMES: tuple[type[Runtime], ...] = (
    *(Docker, Podman, PodmanByFiles, Rootless, Ctr, Cri, Lxc, Nspawn),
)
