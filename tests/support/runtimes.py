# SPDX-License-Identifier: Apache-2.0
"""Real container runtimes, each with a directory of its own: Docker, Podman, containerd by CRI.

Their programs are found by PATH, or below $TETRAPY_RUNTIMES, where Debian's packages docker.io,
containerd, runc, podman, conmon and what they depend on are unpacked (`dpkg -x`). Containers have
no network, and an image with nothing but the actor.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from tests.support.agent import until
from tetrapy.api.wire import BYTES, VARINT, fields, sized, tag, varint

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

UNPACKED = Path(os.environ.get("TETRAPY_RUNTIMES", "/nonexistent"))
_LIBRARIES = [UNPACKED / "usr/lib" / name for name in ("x86_64-linux-gnu", "aarch64-linux-gnu")]
ACTOR = "/bin/actor"


def environment() -> dict[str, str]:
    """With programs and libraries of the unpacked packages first."""
    path = f"{UNPACKED}/usr/bin:{UNPACKED}/usr/sbin:{os.environ['PATH']}:/usr/sbin"
    libraries = ":".join(map(str, _LIBRARIES)) if UNPACKED.is_dir() else ""
    return {**os.environ, "PATH": path, **({"LD_LIBRARY_PATH": libraries} if libraries else {})}


def missing(*programs: str) -> str:
    """The first program that is not here; empty when all are."""
    found = environment()["PATH"]
    return next((name for name in programs if not shutil.which(name, path=found)), "")


def image(actor: Path, directory: Path) -> Path:
    """The root of the image as a tar file: the actor, and the libraries that it is linked with."""
    path = directory / "image.tar"
    linked = subprocess.run(["ldd", actor], capture_output=True, text=True, check=True).stdout
    with tarfile.open(path, "w") as tar:
        tar.add(actor, ACTOR[1:])
        for library in re.findall(r"(/[^ ]+) \(0x", linked):
            tar.add(os.path.realpath(library), library[1:])
    return path


class Runtime:
    """One runtime; `directories` and `sockets` are what the agent is told of it."""

    needs: Sequence[str] = ()
    runtime = ""  # in front of ids
    image_name = "box:1"

    def __init__(self, directory: Path, tar: Path) -> None:
        self.directory = directory
        directory.mkdir()
        self.daemon: subprocess.Popen[bytes] | None = None
        try:
            self.begin(tar)
        except BaseException:
            self.end()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def begin(self, tar: Path) -> None:
        """Start what has to run, and load the image."""
        raise NotImplementedError

    def end(self) -> None:
        """End it."""
        if self.daemon is not None:
            self.daemon.terminate()
            self.daemon.wait()

    def command(self, *words: str) -> list[str]:
        """The runtime's own command."""
        raise NotImplementedError

    def run(self, *words: str) -> str:
        """Run its command to its end; what it says."""
        done = subprocess.run(
            self.command(*words), env=environment(), capture_output=True, text=True, check=False
        )
        assert not done.returncode, f"{words}: {done.stderr}"
        return done.stdout.strip()

    def start(self, name: str, *words: str) -> str:
        """A container in which the actor does what the words say; its id."""
        flags = ["--name", name, "--network", "none", "--label", "tier=front"]
        return self.run("run", "-d", *flags, self.image_name, ACTOR, *words).split()[-1]

    def execute(self, name: str, *words: str) -> None:
        """Another actor in the container."""
        self.run("exec", name, ACTOR, *words)

    def serve(self, command: list[str], there: Path) -> None:
        """Start a daemon, and wait until its socket is there."""
        with (self.directory / "log").open("wb") as log:
            self.daemon = subprocess.Popen(command, env=environment(), stdout=log, stderr=log)
        until(there.is_socket, (self.directory / "log").read_text)


class Docker(Runtime):
    """dockerd, which starts a containerd of its own."""

    needs = ("dockerd", "docker", "containerd", "runc")
    runtime = "docker"

    def begin(self, tar: Path) -> None:
        here = self.directory
        self.root, self.socket = here / "root", here / "docker.sock"
        flags = ["--data-root", self.root, "--exec-root", here / "run", "-p", here / "pid"]
        flags += ["--bridge", "none", "--iptables=false", "--ip6tables=false"]
        flags += ["--storage-driver", "vfs", "-H", f"unix://{self.socket}"]
        self.serve(["dockerd", *map(str, flags)], self.socket)
        self.run("import", str(tar), self.image_name)

    def command(self, *words: str) -> list[str]:
        return ["docker", "-H", f"unix://{self.socket}", *words]


_PODMAN = """
mount -t overlay overlay -o "lowerdir=$0:/etc" /etc
exec podman "$@"
"""


class Podman(Runtime):
    """Podman, in a mount namespace in which its configuration lies in /etc."""

    needs = ("podman", "conmon", "runc")
    runtime = "podman"
    image_name = "localhost/box:1"

    def begin(self, tar: Path) -> None:
        self.configure()
        self.run("import", str(tar), self.image_name)

    def configure(self) -> None:
        """Its configuration."""
        found = environment()["PATH"]
        self.root, etc = self.directory / "root", self.directory / "etc/containers"
        etc.mkdir(parents=True)
        programs = {name: shutil.which(name, path=found) for name in self.needs}
        (etc / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        (etc / "containers.conf").write_text(
            '[containers]\ndefault_ulimits = []\ncgroupns = "host"\n'
            '[engine]\nruntime = "runc"\nevents_logger = "file"\n'
            f'conmon_path = ["{programs["conmon"]}"]\n'
            f'[engine.runtimes]\nrunc = ["{programs["runc"]}"]\n'
        )

    def command(self, *words: str) -> list[str]:
        start = ["unshare", "--mount", "/bin/sh", "-c", _PODMAN, str(self.directory / "etc")]
        flags = ["--root", self.root, "--runroot", self.directory / "run"]
        flags += ["--cgroup-manager", "cgroupfs", "--storage-driver", "vfs"]
        return [*start, *map(str, flags), *words]


_PARENT = f"tetrapy-cri-{os.getpid()}"  # the cgroup above those of pods


def text(number: int, value: str | bytes) -> bytes:
    """A field of bytes."""
    return tag(number, BYTES) + sized(value.encode() if isinstance(value, str) else value)


class Containerd(Runtime):
    """containerd, asked as kubelet does: a pod with one container, on the host's network."""

    needs = ("containerd", "ctr", "runc")
    runtime = "containerd"
    image_name = "docker.io/library/box:1"
    pod = ""  # that is there
    _channel: grpc.Channel | None = None

    def begin(self, tar: Path) -> None:
        here = self.directory
        self.root, self.socket = here / "state", here / "containerd.sock"
        cri = 'plugins."io.containerd.grpc.v1.cri"'
        (here / "config.toml").write_text(
            f'version = 2\nroot = "{here}/root"\nstate = "{self.root}"\n'
            f'[grpc]\naddress = "{self.socket}"\n'
            f'[{cri}]\nsandbox_image = "{self.image_name}"\nrestrict_oom_score_adj = true\n'
            f'[{cri}.containerd]\nsnapshotter = "native"\n'
            f'[{cri}.registry]\nconfig_path = ""\n' + self.more_configuration()
        )
        self.serve(["containerd", "-c", str(here / "config.toml")], self.socket)
        self._import(tar)
        self._channel = grpc.insecure_channel(f"unix:{self.socket}")

    def more_configuration(self) -> str:
        """Behind the rest."""
        return ""

    def end(self) -> None:
        if self.pod:
            self.remove()
        if self._channel is not None:
            self._channel.close()
        super().end()
        for place in ("", "*/"):  # of one hierarchy, or of several
            for path in Path("/sys/fs/cgroup").glob(place + _PARENT):
                path.rmdir()

    def _import(self, tar: Path) -> None:
        """As an archive of Docker's, made by hand: a configuration and one layer."""
        archive = self.directory / "image"
        archive.mkdir()
        shutil.copy(tar, archive / "layer.tar")
        digest = subprocess.run(["sha256sum", tar], capture_output=True, text=True, check=True)
        config = {
            "architecture": "amd64" if os.uname().machine == "x86_64" else "arm64",
            "os": "linux",
            "config": {"Entrypoint": [ACTOR], "Cmd": ["sandbox", "pause"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest.stdout.split()[0]}"]},
        }
        manifest = {"Config": "c.json", "RepoTags": ["box:1"], "Layers": ["layer.tar"]}
        (archive / "c.json").write_text(json.dumps(config))
        (archive / "manifest.json").write_text(json.dumps([manifest]))
        with tarfile.open(self.directory / "image.tar", "w") as packed:
            for name in ("manifest.json", "c.json", "layer.tar"):
                packed.add(archive / name, name)
        image_file = str(self.directory / "image.tar")
        self.run("images", "import", "--snapshotter", "native", image_file)

    def command(self, *words: str) -> list[str]:
        return ["ctr", "-a", str(self.socket), "-n", "k8s.io", *words]

    def call(self, method: str, request: bytes) -> str:
        """A call of the interface; the first field of its reply."""
        reply = self._channel.unary_unary(f"/runtime.v1.RuntimeService/{method}")(request)
        return next(
            (bytes(value).decode() for number, _, value in fields(reply) if number == 1), ""
        )

    def start(self, name: str, *words: str) -> str:
        """A container `name` in a pod `pod-of-name` of the namespace `shop`."""
        metadata = text(1, f"pod-of-{name}") + text(2, f"uid-of-{name}") + text(3, "shop")
        on_host = tag(1, VARINT) + varint(2)
        config = text(1, metadata) + text(3, str(self.directory / "logs"))
        config += text(8, text(1, f"/{_PARENT}") + text(2, text(1, on_host)))
        self.pod = self.call("RunPodSandbox", text(1, config))
        own = text(1, text(1, name)) + text(2, text(1, self.image_name)) + text(3, ACTOR)
        own += b"".join(text(4, word) for word in words)
        labels = {"pod.name": f"pod-of-{name}", "pod.namespace": "shop", "container.name": name}
        for key, value in labels.items():  # as kubelet gives them
            own += text(9, text(1, f"io.kubernetes.{key}") + text(2, value))
        request = text(1, self.pod) + text(2, own) + text(3, config)
        found = self.call("CreateContainer", request)
        self.call("StartContainer", text(1, found))
        return found

    def execute(self, name: str, *words: str) -> None:
        """`name` is the id."""
        parts = [text(2, word) for word in (ACTOR, *words)]
        self.call("ExecSync", text(1, name) + b"".join(parts))

    def remove(self) -> None:
        """The pod with its container."""
        self.call("StopPodSandbox", text(1, self.pod))
        self.call("RemovePodSandbox", text(1, self.pod))
        self.pod = ""
