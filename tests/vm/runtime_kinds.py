# SPDX-License-Identifier: Apache-2.0
"""Container runtimes in a guest with systemd: how each is asked for what containers go through."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

ROOT = Path("/srv/box")  # of containers
IMAGE = "/srv/box.tar"
USER, HOME = "someone", "/home/someone"  # who has containers of his own
UID = 1000
BUSYBOX = "/bin/busybox"
OLD, NEW = "old", "new"
_BOUND = 300.0  # seconds, for what is waited for


def run(*words: str) -> str:
    """What a command says. Raises CalledProcessError, TimeoutExpired."""
    done = subprocess.run(
        words, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=_BOUND
    )
    if done.returncode:
        print(words, done.stdout, done.stderr, file=sys.stderr, flush=True)
        done.check_returncode()
    return done.stdout.strip()


def until(there: Callable[[], object], what: str) -> None:
    """Wait for it. Raises TimeoutError."""
    end = time.monotonic() + _BOUND
    while not there():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.1)


def living(tag: str) -> list[str]:
    """What a container runs: one marked program, then nothing for long."""
    return [BUSYBOX, "sh", "-c", f"{BUSYBOX} true {tag}; exec {BUSYBOX} sleep 100000"]


class Runtime:
    """One runtime. A container's id is what its cgroup is named after."""

    name = ""
    renames = restarts = pauses = True

    def begin(self) -> None:
        """Before the first container."""

    def command(self, *words: str) -> str:
        """The runtime's own; what it says."""
        raise NotImplementedError

    def start(self, container: str, tag: str) -> str:
        """Its id."""
        flags = ["--name", f"{self.name}-{container}", "--network", "none", "--label", "tier=front"]
        return self.command("run", "-d", *flags, "box:1", *living(tag)).split()[-1]

    def execute(self, container: str, tag: str) -> None:
        """Another program in it."""
        self.command("exec", container, BUSYBOX, "true", tag)

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
    renames = restarts = False

    def begin(self) -> None:
        run("systemctl", "start", "containerd")

    def command(self, *words: str) -> str:
        return run("ctr", *words)

    def start(self, container: str, tag: str) -> str:
        id_ = ("0a" if container == OLD else "0b") * 32
        self.command("run", "-d", "--rootfs", str(ROOT), id_, *living(tag))
        return id_

    def execute(self, container: str, tag: str) -> None:
        words = ["--exec-id", tag, container, BUSYBOX, "true", tag]
        self.command("task", "exec", *words)

    def remove(self, container: str) -> None:
        self.command("task", "rm", "-f", container)


class Cri(Runtime):
    """containerd as kubelet uses it: a pod of one container, in the network of the host."""

    name = "cri"
    renames = restarts = pauses = False
    _socket = "/run/containerd/containerd.sock"

    def begin(self) -> None:
        plugin = 'plugins."io.containerd.grpc.v1.cri"'
        directory = Path("/etc/containerd")
        directory.mkdir(exist_ok=True)
        (directory / "config.toml").write_text(
            f'version = 2\n[{plugin}]\nsandbox_image = "docker.io/library/pause:1"\n'
            f'[{plugin}.containerd]\nsnapshotter = "native"\n'
        )
        run("docker", "save", "-o", "/srv/images.tar", "box:1", "pause:1")
        run("systemctl", "restart", "containerd")
        run("ctr", "-n", "k8s.io", "images", "import", "--snapshotter", "native", "/srv/images.tar")

    def _call(self, method: str, request: bytes) -> str:
        """The first field of the reply."""
        from tetrapy.api.client import Channel
        from tetrapy.api.grpc import RpcError
        from tetrapy.api.wire import fields

        with Channel(f"unix://{self._socket}", None, _BOUND, 1 << 20) as channel:
            path = f"/runtime.v1.RuntimeService/{method}"
            try:
                reply = next(channel.stream_bytes(path, request, _BOUND))
            except RpcError as err:
                raise OSError(f"{method}: {err}") from err
        found = {number: value for number, _, value in fields(reply)}
        first = found.get(1, b"")
        return bytes(first).decode() if isinstance(first, (bytes, memoryview)) else ""

    def start(self, container: str, tag: str) -> str:
        from tetrapy.api.wire import BYTES, VARINT, sized, varint
        from tetrapy.api.wire import tag as key

        def text(number: int, value: str | bytes) -> bytes:
            return key(number, BYTES) + sized(value.encode() if isinstance(value, str) else value)

        name = f"cri-{container}"
        metadata = text(1, f"pod-of-{name}") + text(2, f"uid-of-{name}") + text(3, "shop")
        on_host = key(1, VARINT) + varint(2)
        config = text(1, metadata) + text(3, "/var/log/pods")
        config += text(8, text(2, text(1, on_host)))
        pod = self._call("RunPodSandbox", text(1, config))
        own = text(1, text(1, name)) + text(2, text(1, "docker.io/library/box:1"))
        own += b"".join(text(3, word) for word in living(tag))
        labels = {"pod.name": f"pod-of-{name}", "pod.namespace": "shop", "container.name": name}
        for label, value in labels.items():  # as kubelet gives them
            own += text(9, text(1, f"io.kubernetes.{label}") + text(2, value))
        id_ = self._call("CreateContainer", text(1, pod) + text(2, own) + text(3, config))
        self._call("StartContainer", text(1, id_))
        return id_

    def execute(self, container: str, tag: str) -> None:
        from tetrapy.api.wire import BYTES, sized
        from tetrapy.api.wire import tag as key

        words = [container, BUSYBOX, "true", tag]
        numbers = [1, 2, 2, 2]
        parts = [
            key(at, BYTES) + sized(word.encode()) for at, word in zip(numbers, words, strict=True)
        ]
        self._call("ExecSync", b"".join(parts))

    def remove(self, container: str) -> None:
        run("ctr", "-n", "k8s.io", "task", "kill", "-s", "KILL", container)


class Lxc(Runtime):
    """Has names in place of ids."""

    name = "lxc"
    renames = restarts = pauses = False

    def command(self, *words: str) -> str:
        return run(*words)

    def start(self, container: str, tag: str) -> str:
        name = f"lxc-{container}"
        config = Path(f"/srv/{name}.conf")
        settings = {
            "lxc.rootfs.path": f"dir:{ROOT}",
            "lxc.uts.name": name,
            "lxc.net.0.type": "empty",
            "lxc.apparmor.profile": "unconfined",
            "lxc.init.cmd": f"{BUSYBOX} sh /{tag}.sh",
        }
        config.write_text("".join(f"{key} = {value}\n" for key, value in settings.items()))
        script = f"{BUSYBOX} true {tag}; exec {BUSYBOX} sleep 100000\n"
        (ROOT / f"{tag}.sh").write_text(script)
        self.command("lxc-start", "-n", name, "-f", str(config), "-d")
        return name

    def execute(self, container: str, tag: str) -> None:
        self.command("lxc-attach", "-n", container, "--", BUSYBOX, "true", tag)

    def remove(self, container: str) -> None:
        self.command("lxc-stop", "-k", "-n", container)


class Nspawn(Runtime):
    """systemd's; names in place of ids, too."""

    name = "nspawn"
    renames = restarts = pauses = False

    def start(self, container: str, tag: str) -> str:
        name = f"nspawn-{container}"
        root = f"/srv/{name}"
        shutil.copytree(ROOT, root, symlinks=True)
        words = ["systemd-nspawn", "-q", "-D", root, "-M", name, "--as-pid2", *living(tag)]
        run("systemd-run", "--unit", name, *words)
        until(lambda: self._leader(name), name)
        return name

    def _leader(self, name: str) -> str:
        with suppress(subprocess.CalledProcessError):
            return run("machinectl", "show", "-p", "Leader", "--value", name)
        return ""

    def execute(self, container: str, tag: str) -> None:
        """Who enters the namespaces has not entered the cgroup."""
        run("nsenter", "-t", self._leader(container), "-m", "-p", "-i", BUSYBOX, "true", tag)

    def remove(self, container: str) -> None:
        run("machinectl", "terminate", container)


RUNTIMES: tuple[type[Runtime], ...] = (
    *(Docker, Podman, PodmanByFiles, Rootless, Ctr, Cri, Lxc, Nspawn),
)
