# SPDX-License-Identifier: Apache-2.0
"""What ran, of processes that procfs tells of: those of before the agent, and the connector's.

Each wants to be taken for a program on the deny list; one is that program.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.agent import Agent, until
from tests.support.compile import installed
from tests.support.elder import Elder

NOBODY = 65534
USER = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--"]
DENIED = "/usr/bin/true"


class Cast:
    """Processes that wait, and an agent that is started before them or after them."""

    def __init__(self, stack: ExitStack, actor: Path, top: Path, sensor: str) -> None:
        self.stack = stack
        self.actor, self.top, self.sensor = actor, top, sensor
        self.program = top / "evil"
        self.host = top / "denied"
        for copy in (self.program, self.host):
            shutil.copy(actor, copy)
        self.by_name: dict[str, Elder] = {}
        self.forgers: dict[str, int] = {}  # pids

    def start_agent(self) -> None:
        patterns = [f"^{DENIED}$", f"^{re.escape(str(self.host))}$"]
        self.agent = self.stack.enter_context(
            Agent(
                self.top / "agent",
                f"--sensor={self.sensor}",
                "--export-denylist",
                json.dumps({"binary_regex": patterns}),
            )
        )
        self.agent.started()

    def add(self, name: str, *before: str | Path, path: str | Path, **options: Any) -> Elder:
        tag = f"cast-{name}"
        words = [*before, path, tag, "say", "here", "wait", "exit", "0"]
        elder = self.by_name[name] = Elder([str(word) for word in words], **options)
        self.stack.callback(elder.close)
        return elder

    def start(self) -> None:
        mount = f'mount --bind {self.program} {DENIED}; exec "$@"'
        shell = ("sh", "-ec", mount, "sh")
        private = ("unshare", "-m", "--propagation=private", "--")
        self.add("host", path=self.host)
        self.add("other", path=self.program)
        mounted = self.add("mount", *private, *shell, path=DENIED)
        # The file of that namespace, run by who is in none of his own.
        fd = os.open(f"/proc/{mounted.pid}/root{DENIED}", os.O_RDONLY)
        try:
            self.add("passed", path=f"/proc/self/fd/{fd}", pass_fds=[fd])
        finally:
            os.close(fd)
        jail = self.jail()
        self.add("root", "chroot", jail, path=DENIED)
        if not subprocess.run([*USER, "unshare", "-Urm", "true"], check=False).returncode:
            self.add("user-mount", *USER, "unshare", "-Urm", "--", *shell, path=DENIED)
            self.add("user-root", *USER, "unshare", "-Ur", "--", "chroot", jail, path=DENIED)
            self.forge()

    def forge(self) -> None:
        """A process whose /proc/PID/exe leads to a file that is denied, and was never executed."""
        for name, how in (("itself", []), ("by another", ["by-another"])):
            words = [*USER, installed("forge", self.top), self.host, 1, *how, 600]
            forger = subprocess.Popen([str(word) for word in words])
            self.stack.callback(forger.wait)
            self.stack.callback(forger.kill)
            link = f"/proc/{forger.pid}/exe"
            until(lambda link=link: os.readlink(link) == str(self.host), "another executable")
            self.forgers[name] = forger.pid

    def jail(self) -> Path:
        """A root directory in which the program is at the path that is denied."""
        jail = self.top / "jail"
        listed = subprocess.run(["ldd", self.program], check=False, capture_output=True).stdout
        for library in [*re.findall(r"(/\S+) \(0x", listed.decode()), DENIED]:
            target = jail / library.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.program if library == DENIED else library, target)
        return jail

    def process(self, name: str) -> dict[str, Any]:
        """What the last exec event of this one says."""
        pid = self.by_name[name].pid

        def found() -> list[dict[str, Any]]:
            return [
                event.process
                for event in self.agent.events()
                if event.kind == "exec"
                and event.pid == pid
                and f"cast-{name} say" in event.process.get("arguments", "")
                and not event.process["binary"].endswith(("sh", "unshare", "setpriv", "chroot"))
            ]

        return until(found, f"an exec of {name}")[-1]


@pytest.fixture(scope="module", params=["ebpf-before", "connector-before", "connector-after"])
def cast(request, actor: Path, tmp_path_factory) -> Iterator[Cast]:
    sensor, _, when = request.param.partition("-")
    top = tmp_path_factory.mktemp("cast")
    # Others than root must get there; pytest-xdist adds one directory for each process.
    for directory in (top, *top.parents[:3]):
        directory.chmod(0o755)
    with ExitStack() as stack:
        cast = Cast(stack, actor, top, sensor)
        if when == "after":
            cast.start_agent()
        cast.start()
        if when == "before":
            cast.start_agent()
        yield cast


@pytest.mark.parametrize("name", ["mount", "passed", "root", "user-mount", "user-root"])
def test_a_foreign_file_is_reported(cast: Cast, name: str) -> None:
    """By inode and device; a deny does not hold for it."""
    if name not in cast.by_name:
        pytest.skip("no user namespaces here")
    process = cast.process(name)
    file = process["binary_properties"]["file"]
    seen = os.stat(f"/proc/{cast.by_name[name].pid}/exe")
    if "root" in name:
        assert file["path"] == process["binary"] == f"{cast.top}/jail{DENIED}"
    else:
        assert file["path"] == process["binary"] == DENIED
    assert file["inode"] == {"number": str(seen.st_ino), "links": seen.st_nlink}
    device = f"{os.major(seen.st_dev)}:{os.minor(seen.st_dev)}"
    assert process["executed_file"] == {"device": device, "foreign": True}


def test_the_hosts_file_is_denied(cast: Cast) -> None:
    """And another one that is the host's has nothing to tell beyond its path."""
    process = cast.process("other")
    assert process["binary"] == str(cast.program)
    assert not {"binary_properties", "executed_file"} & set(process)
    pid = cast.by_name["host"].pid
    assert not [event for event in cast.agent.events() if event.pid == pid and _is_denied(event)]


@pytest.mark.parametrize("how", ["itself", "by another"])
def test_a_file_that_was_named_later_is_not_known(cast: Cast, how: str) -> None:
    """In a user namespace any process may have another one's shown, for those outside, too, whose
    memory it shares: no deny holds there.
    """
    if not cast.forgers:
        pytest.skip("no user namespaces here")
    if how == "by another" and cast.sensor == "connector":
        pytest.skip("procfs does not tell that, and there is nobody else to ask")
    pid = cast.forgers[how]
    until(lambda: [event for event in cast.agent.events() if event.pid == pid], "an event of it")


def _is_denied(event: Any) -> bool:
    return bool(event.process["binary"].endswith("/denied"))
