# SPDX-License-Identifier: Apache-2.0
"""tetrapy as a container: built from the release, and run as the page says."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from tests.support import runtimes
from tests.support.agent import PYZ, ROOT, until
from tests.support.runtimes import Podman
from tools import image
from tools.contents import ARCHITECTURES
from tools.release import tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = (ROOT / "docs/containers.md").read_text().replace("\\\n", " ")
RUNS = [line for line in PAGE.splitlines() if line.startswith("sudo podman run")]
BUILDS = [line for line in PAGE.splitlines() if line.startswith("podman build")]
SAVES = [line for line in PAGE.splitlines() if line.startswith("podman save")]
ON_A_NETWORK = "--network none"  # none can be made here


class Built(Podman):
    """Podman, with the image in place of the actor's."""

    def begin(self, tar: Path) -> None:
        self.configure()

    def build(self, command: str, context: Path, *words: str) -> str:
        """Run a command of the page with another context; the id of the image."""
        given = shlex.split(command)[1:]
        given[given.index("build/image")] = str(context)
        given[given.index("deploy/Containerfile")] = str(ROOT / "deploy/Containerfile")
        return self.run(*given[:1], "--quiet", *words, *given[1:]).split()[-1]

    def start_agent(self, line: str, *more: str) -> None:
        """Run a line of the page, without the directories of this machine."""
        words = shlex.split(line)[2:]
        if "-v" in words:
            at = words.index("-v") + 1
            words[at] = words[at].replace("/etc/tetrapy", f"{self.directory}/etc-tetrapy", 1)
        assert words[0] == "run"
        self.run("run", *shlex.split(ON_A_NETWORK), *words[1:], *more)

    def log(self) -> str:
        """What the agent says."""
        command = self.command("logs", "tetrapy")
        done = subprocess.run(
            command, env=runtimes.environment(), capture_output=True, text=True, check=True
        )
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def podman(place: Path) -> Iterator[Built]:
    """One that has built the image."""
    missing = runtimes.missing(*Podman.needs)
    if missing:
        pytest.skip(f"needs {missing}: see tests/support/runtimes.py")
    if not PYZ.exists():
        pytest.skip("needs make build")
    context = place / "context"
    context.mkdir()
    for arch in ARCHITECTURES:
        (context / f"root-{arch}.tar").write_bytes(image.root(arch))
    with Built(place / "built", context) as made:
        made.context = context
        made.ids = {line: made.build(line, context) for line in BUILDS}
        yield made


@pytest.fixture(autouse=True)
def _removed(podman: Built) -> Iterator[None]:
    yield
    podman.run("rm", "--force", "--ignore", "--time", "5", "tetrapy")


def test_both_architectures(podman: Built) -> None:
    """An image for each, the same each time, with labels and nothing but what it needs."""
    assert len(podman.ids) == len(ARCHITECTURES) == len(set(podman.ids.values()))
    again = podman.build(BUILDS[0], podman.context, "--no-cache")
    assert again == podman.ids[BUILDS[0]]
    found = [json.loads(podman.run("inspect", one))[0] for one in podman.ids.values()]
    assert {one["Architecture"] for one in found} == set(ARCHITECTURES)
    for one in found:
        assert one["Config"]["Labels"]["org.opencontainers.image.version"] == tree.version()
        assert one["Config"]["Entrypoint"] == ["/usr/bin/tetrapy"]


def test_archives(podman: Built, place: Path) -> None:
    """The page's archives have the images, and the same files each time: blobs are called by their
    digests.
    """
    for line, id_ in zip(SAVES, podman.ids.values(), strict=True):
        words = shlex.split(line)[1:]
        found = []
        for name in ("first.tar", "second.tar"):
            words[words.index("-o") + 1] = str(place / name)
            podman.run(*words)
            with tarfile.open(place / name) as tar:
                found.append({one.name: one.size for one in tar if one.isfile()})
            (place / name).unlink()
        assert found[0] == found[1]
        assert {"index.json", "oci-layout", f"blobs/sha256/{id_}"} <= found[0].keys()


def test_the_bill_of_materials() -> None:
    """It names every package of the lock."""
    document = json.loads(image.bill("arm64"))
    names = {one["name"] for one in document["components"]}
    assert names == {"tetrapy.pyz", *(one.name for one in image.packages())}
    assert all("arch=arm64" in one.get("purl", "arch=arm64") for one in document["components"])


@pytest.mark.parametrize("line", RUNS)
def test_it_runs(podman: Built, line: str) -> None:
    """As the page has it: flags, environment, drop-ins; with all privileges and with the least."""
    dropins = podman.directory / "etc-tetrapy/tetrapy.conf.d"
    shutil.rmtree(dropins.parent, ignore_errors=True)
    dropins.mkdir(parents=True)
    (dropins / "export-filename").write_text("/var/log/tetrapy/tetrapy.log")
    podman.start_agent(line)
    until(lambda: "Listening for events" in podman.log(), podman.log)
    assert not re.findall("level=error.*", podman.log())
    assert "procfs does not appear" not in podman.log()
    assert re.search(r"Read ProcFS /proc/ appended [1-9]", podman.log())
    assert podman.run("exec", "tetrapy", "tetra", "status") == "Health Status: running"
    if "--privileged" not in line:
        assert 'capabilities="CAP_SYS_PTRACE, CAP_BPF"' in podman.log()
        return
    code = "import os; print(os.path.getsize('/var/log/tetrapy/tetrapy.log'))"
    until(
        lambda: int(podman.run("exec", "tetrapy", "/usr/bin/python3", "-c", code)),
        "exported events",
    )


MISSING = {
    "--pid=host": ["--cgroupns=host", "--privileged"],
    "--cgroupns=host": [
        *("--pid=host", "--cgroupns=private", "--security-opt", "seccomp=unconfined"),
        *("--cap-drop", "ALL", "--cap-add", "BPF,PERFMON,SYS_PTRACE"),
    ],
    "--privileged": ["--pid=host", "--cgroupns=host"],
    "seccomp=unconfined": ["--pid=host", "--cap-drop", "ALL", "--cap-add", "BPF,PERFMON"],
}


@pytest.mark.parametrize("flag", MISSING)
def test_a_flag_is_missing(podman: Built, flag: str) -> None:
    """One line of the log names it."""
    name = f"localhost/tetrapy:{'amd64' if podman_machine() == 'x86_64' else 'arm64'}"
    words = ["run", "-d", "--name", "tetrapy", *shlex.split(ON_A_NETWORK), *MISSING[flag], name]
    podman.run(*words)

    def named() -> list[str]:
        lines = podman.log().splitlines()
        return [one for one in lines if flag in one and "level=info" not in one]

    assert until(named, podman.log)


def podman_machine() -> str:
    """As uname has it."""
    return subprocess.run(
        ["uname", "-m"], capture_output=True, text=True, check=True
    ).stdout.strip()
