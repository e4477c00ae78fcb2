# SPDX-License-Identifier: Apache-2.0
"""An agent with a run directory of its own, whose files lie in one directory."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from bench.reliability.loads import Loads
from tools.errors import BuildError

TIMEOUT = 120.0  # seconds; only a bound on waiting for what should come

# The run directory is seen by this agent only, so that it runs beside others; and it outlives the
# agent, as on a host, so that the next one meets what a killed one left there.
_PRIVATE = 'set -e; mount --bind "$1" /run; shift; exec "$@"'

_KINDS = {"prog": "programs", "map": "maps", "link": "links"}
_HELD = re.compile(r"^(prog|map|link)_id:\s+(\d+)", re.MULTILINE)


class Sample(NamedTuple):
    """What an agent takes at one moment."""

    seconds: float  # since it was started
    rss: int  # kB
    cpu: float  # seconds


class Watched:
    """One run of the agent."""

    def __init__(
        self,
        pyz: Path,
        directory: Path,
        *flags: str,
        environment: Mapping[str, str] | None = None,
        export: Path | None = None,
        under: Sequence[str] = (),
    ) -> None:
        """Start it; `directory` gets export, log and run directory.

        `environment`: variables to add; `under`: a command that runs a command.
        """
        self.run = directory / "run"
        self.run.mkdir(parents=True, exist_ok=True)
        self.run.chmod(0o755)
        self.export = export or directory / "events.json"
        self._log = directory / "log"
        self.started = time.monotonic()
        command = [*under, sys.executable, str(pyz), "--export-filename", str(self.export), *flags]
        private = ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", _PRIVATE]
        variables = {n: v for n, v in os.environ.items() if not n.startswith("TETRAPY_")}
        variables.update(environment or {})
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*private, "sh", str(self.run), *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=variables,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, at: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    @property
    def pid(self) -> int:
        """Of the agent: what starts it becomes it."""
        return self.process.pid

    @property
    def log(self) -> str:
        """All that it has logged."""
        return self._log.read_text("utf-8", "replace")

    def says(self, text: str) -> bool:
        """Whether the log has the text."""
        return text in self.log

    def listening(self) -> Self:
        """Wait until it listens. Raises BuildError when it ends instead."""
        deadline = time.monotonic() + TIMEOUT
        while not self.says("Listening for events"):
            if self.process.poll() is not None:
                last = self.log.strip().splitlines()[-1:]
                raise BuildError(
                    f"the agent ended with {self.process.returncode}: {' '.join(last)}"
                )
            if time.monotonic() > deadline:
                raise BuildError(f"the agent does not listen after {TIMEOUT:.0f} s")
            time.sleep(0.01)
        return self

    def sample(self) -> Sample:
        """Its memory and CPU time now."""
        memory = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        found = re.search(r"^Rss:\s+(\d+) kB", memory, re.MULTILINE)
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])
        return Sample(
            time.monotonic() - self.started,
            int(found[1]) if found else 0,
            ticks / os.sysconf("SC_CLK_TCK"),
        )

    def peak(self) -> int:
        """KB of resident memory that it had at most; 0 when it has ended."""
        try:
            found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        except (FileNotFoundError, ProcessLookupError):
            return 0
        return int(found[1]) if found else 0

    def held(self) -> dict[str, set[int]]:
        """Ids of the BPF programs, maps and links that it holds now."""
        ids: dict[str, set[int]] = {"programs": set(), "maps": set(), "links": set()}
        for path in Path(f"/proc/{self.pid}/fdinfo").iterdir():
            try:
                content = path.read_text()
            except FileNotFoundError:
                continue  # it was closed meanwhile
            for kind, number in _HELD.findall(content):
                ids[_KINDS[kind]].add(int(number))
        return ids

    def wait_for_one(self, loads: Loads) -> None:
        """Return when all that was before is in the file: the end of a process that starts now is.

        Raises BuildError.
        """
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            name = f"last-{time.monotonic_ns()}"
            loads.run_one(name)
            if self._has_end_of(name, time.monotonic() + 5):
                return
            # It may be lost itself in a buffer that is full.
        raise BuildError(f"no process is reported after {TIMEOUT:.0f} s\n{self.log}")

    def _has_end_of(self, name: str, deadline: float) -> bool:
        wanted = f'"arguments":"{name}"'.encode()
        while time.monotonic() < deadline:
            found = [x for x in self.export.read_bytes().splitlines() if wanted in x]
            if any(line.startswith(b'{"process_exit"') for line in found):
                return True
            time.sleep(0.1)
        return False

    def stop(self) -> int:
        """Have it stop in order; the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(timeout=TIMEOUT)

    def statistics(self) -> dict[str, int]:
        """The numbers of its last words. Raises BuildError when there are none."""
        found = re.search(r'msg="Observer events statistics" (.*)', self.log)
        if not found:
            raise BuildError(f"the agent's log has no statistics:\n{self.log}")
        return {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", found[1])}

    def reported_losses(self) -> dict[str, int]:
        """Kind of record -> how many the log says were lost."""
        totals: dict[str, int] = {}
        for line in self.log.splitlines():
            if "Kernel events lost" in line:
                for kind, count in re.findall(r"\b(\w+)=(\d+)", line):
                    totals[kind] = totals.get(kind, 0) + int(count)
        return totals


def free_port() -> int:
    """A TCP port of this machine that nobody uses now."""
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port: int = chosen.getsockname()[1]
        return port
