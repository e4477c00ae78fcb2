# SPDX-License-Identifier: Apache-2.0
"""Container runtimes in a guest with systemd: how each is asked for what containers go through.

Here those whose containers have ids; runtime_cri.py and runtime_names.py have others.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

ROOT = Path("/srv/box")  # of containers
IMAGE = "/srv/box.tar"
USER, HOME = "someone", "/home/someone"  # who has containers of his own
UID = 1000
BUSYBOX = "/bin/busybox"
OLD, NEW = "old", "new"
BUSY, LATE = ("busy0", "busy1"), "late"
LOAD = 300  # programs that a busy container executes, at least
_CONTAINERS = """[containers]
default_ulimits = []
[engine]
events_logger = "file"
"""
BOUND = 300.0  # seconds, for what is waited for


def run(*words: str) -> str:
    """What a command says. Raises CalledProcessError, TimeoutExpired."""
    done = subprocess.run(
        words, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=BOUND
    )
    if done.returncode:
        print(words, done.stdout, done.stderr, file=sys.stderr, flush=True)
        done.check_returncode()
    return done.stdout.strip()


def until(there: Callable[[], object], what: str, bound: float = BOUND) -> None:
    """Wait for it. Raises TimeoutError."""
    end = time.monotonic() + bound
    while not there():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.1)


def _shell(script: str) -> list[str]:
    return [BUSYBOX, "sh", "-c", script]


_FOR_LONG = f"exec {BUSYBOX} sleep 100000"


def living(tag: str) -> list[str]:
    """What a container runs: one marked program, then nothing for long."""
    return _shell(f"{BUSYBOX} true {tag}; {_FOR_LONG}")


def working(tag: str) -> list[str]:
    """What a busy container runs: marked and numbered programs, as fast as it can, `LOAD` and more
    until it is to stop; then one that says how many, and nothing for long.
    """
    return _shell(
        f"n=0; until [ -e /stop-{tag} ] && [ $n -ge {LOAD} ];"
        f" do {BUSYBOX} true {tag} $n; n=$((n+1)); done;"
        f" {BUSYBOX} true {tag}-ended $n; : >/ended-{tag}; {_FOR_LONG}"
    )


def ending(tag: str) -> list[str]:
    """What has such a container stop, and ends when it has."""
    wait = f"until [ -e /ended-{tag} ]; do {BUSYBOX} sleep 0.1; done"
    return _shell(f": >/stop-{tag}; {wait}")


def furnish() -> None:
    """The root of all containers, as a directory and as an image."""
    for name in ("bin", "dev", "etc", "proc", "run", "sys", "tmp", "usr", "var"):
        (ROOT / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", ROOT / "bin/busybox")
    (ROOT / "etc/os-release").write_text("ID=box\n")
    (ROOT / "etc/passwd").write_text("root:x:0:0::/:/bin/busybox\n")
    with tarfile.open(IMAGE, "w") as tar:
        tar.add(ROOT, "")
    os.chmod(IMAGE, 0o644)
    configuration = Path("/etc/containers")
    (configuration / "containers.conf").write_text(_CONTAINERS)
    places = 'runroot = "/run/containers/storage"\ngraphroot = "/var/lib/containers/storage"\n'
    (configuration / "storage.conf").write_text(f'[storage]\ndriver = "vfs"\n{places}')
    policy = {"default": [{"type": "insecureAcceptAnything"}]}
    (configuration / "policy.json").write_text(json.dumps(policy))


class Runtime:
    """One runtime. A container's id is what its cgroup is named after."""

    name = ""
    renames = True

    def begin(self) -> None:
        """Before the first container."""

    def command(self, *words: str) -> str:
        """The runtime's own; what it says."""
        raise NotImplementedError

    def start(self, container: str, words: list[str]) -> str:
        """One that runs a program; its id."""
        flags = ["--name", f"{self.name}-{container}", "--network", "none", "--label", "tier=front"]
        return self.command("run", "-d", *flags, "box:1", *words).split()[-1]

    def execute(self, container: str, words: list[str]) -> None:
        """Another program in it, to its end."""
        self.command("exec", container, *words)

    def mark(self, container: str, tag: str) -> None:
        """Execute a marked program in it."""
        self.execute(container, [BUSYBOX, "true", tag])

    def pause(self, container: str) -> None:
        """Stop all in it for a while."""
        self.command("pause", container)
        self.command("unpause", container)

    def restart(self, container: str) -> str:
        """End all in it and start it again; its id."""
        self.command("restart", "-t", "0", container)
        return container

    def rename(self, container: str, name: str) -> str:
        """Its id."""
        self.command("rename", container, f"{self.name}-{name}")
        return container

    def remove(self, container: str) -> None:
        """With what runs in it."""
        self.command("rm", "-f", container)


class Docker(Runtime):
    """With the driver systemd, and runc."""

    name = "docker"

    def begin(self) -> None:
        Path("/etc/docker").mkdir(exist_ok=True)
        settings = {"bridge": "none", "iptables": False, "ip6tables": False}
        settings["storage-driver"] = "vfs"
        Path("/etc/docker/daemon.json").write_text(json.dumps(settings))
        run("systemctl", "start", "docker")
        change = f'ENTRYPOINT ["{BUSYBOX}", "sleep", "100000"]'
        self.command("import", IMAGE, "box:1")
        self.command("import", "--change", change, IMAGE, "docker.io/library/pause:1")

    def command(self, *words: str) -> str:
        return run("docker", *words)


class Podman(Runtime):
    """Root's, with the driver systemd and crun."""

    name = "podman"
    flags: tuple[str, ...] = ()

    def begin(self) -> None:
        self.command("import", IMAGE, "box:1")

    def command(self, *words: str) -> str:
        return run("podman", *self.flags, *words)


class PodmanByFiles(Podman):
    """Root's, with the driver cgroupfs and runc."""

    name = "cgroupfs"
    flags = ("--cgroup-manager", "cgroupfs", "--runtime", "runc")


class Rootless(Podman):
    """A user's, in his own manager's cgroups."""

    name = "rootless"

    def begin(self) -> None:
        run("useradd", "-m", "-u", str(UID), USER)
        Path("/etc/subuid").write_text(f"{USER}:100000:65536\n")
        Path("/etc/subgid").write_text(f"{USER}:100000:65536\n")
        run("loginctl", "enable-linger", USER)
        until(Path(f"/run/user/{UID}/bus").is_socket, "the user's bus")
        super().begin()

    def command(self, *words: str) -> str:
        bus = f"unix:path=/run/user/{UID}/bus"
        variables = [f"XDG_RUNTIME_DIR=/run/user/{UID}", f"DBUS_SESSION_BUS_ADDRESS={bus}"]
        return run(
            "runuser",
            "-l",
            USER,
            "-c",
            " ".join(["env", *variables, "podman", *(f"'{word}'" for word in words)]),
        )


class Ctr(Runtime):
    """containerd's own client: nobody knows a name."""

    name = "ctr"
    renames = False
    _begun = 0

    def begin(self) -> None:
        run("systemctl", "start", "containerd")

    def command(self, *words: str) -> str:
        return run("ctr", *words)

    def start(self, container: str, words: list[str]) -> str:
        id_ = sha256(container.encode()).hexdigest()
        self.command("run", "-d", "--rootfs", str(ROOT), id_, *words)
        return id_

    def execute(self, container: str, words: list[str]) -> None:
        self._begun += 1
        self.command("task", "exec", "--exec-id", f"e{self._begun}", container, *words)

    def pause(self, container: str) -> None:
        self.command("task", "pause", container)
        self.command("task", "resume", container)

    def restart(self, container: str) -> str:
        self.command("task", "rm", "-f", container)
        self.command("task", "start", "-d", container)
        return container

    def remove(self, container: str) -> None:
        self.command("task", "rm", "-f", container)
