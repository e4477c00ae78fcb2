# SPDX-License-Identifier: Apache-2.0
"""Starting the agent beside whatever runs on this machine, and reading what it says."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.events import Event
from tests.support.harmless import expect_harmless_flags

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

ROOT = Path(__file__).resolve().parents[2]
PYZ = ROOT / "dist" / "tetrapy.pyz"

# A bound on waiting, for a machine that is busy; nothing is decided by it.
TIMEOUT = 60.0

_LOOKS_AT_LOSSES = 15.0  # seconds; it looks every ten

# The agent's own place for pid file and temporary files; `$1` is shell run in there first.
_PRIVATE = """
set -e
mount -t tmpfs -o mode=755 tmpfs /run
eval "$1"
shift
exec "$@"
"""


def isolated(command: Sequence[str], prepare: str = "") -> list[str]:
    """The command in a mount namespace with its own /run; `prepare` is shell run there before."""
    start = ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", _PRIVATE, "sh"]
    return [*start, prepare, *command]


def until(check, what: str, patience: float = TIMEOUT):
    """What `check` returns as soon as that is true; an AssertionError names what never came."""
    end = time.monotonic() + patience
    while True:
        result = check()
        if result:
            return result
        if time.monotonic() > end:
            message = what() if callable(what) else what
            raise AssertionError(f"waited {patience:.0f} s in vain for {message}")
        time.sleep(0.01)


# One file holds all events, whatever others run meanwhile, unless a test has a limit of its own.
_LIMIT = "--export-file-max-size-mb"


class Agent:
    """One run of the agent in a private mount namespace, its files in `directory`."""

    def __init__(
        self,
        directory: Path,
        *flags: str,
        code: Path = PYZ,
        python: str = sys.executable,
        prepare: str = "",
        environment: Mapping[str, str] | None = None,
        under: Sequence[str] = (),
        export: Path | None = None,
    ) -> None:
        """Start it: `prepare` is shell run in its mount namespace before, `under` a command that
        runs a command.
        """
        expect_harmless_flags(flags)
        directory.mkdir(parents=True, exist_ok=True)
        self.export = export or directory / "events.json"
        self.log_path = directory / "log"
        self.error_path = directory / "stderr"
        self._lines: list[bytes] = []
        self._rest = b""
        self._read = 0
        self._fences = 0
        command = [*under, python, str(code), "--export-filename", str(self.export), *flags]
        if not any(flag.startswith(_LIMIT) for flag in flags):
            command += [_LIMIT, "100000"]
        # A test of a stranger's environment says so.
        variables = {n: v for n, v in os.environ.items() if not n.startswith("TETRAPY_")}
        variables["TETRAPY_DEBUG"] = "true"
        variables.update(environment or {})
        with self.log_path.open("wb") as log, self.error_path.open("wb") as errors:
            self.process = subprocess.Popen(
                isolated(command, prepare),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=errors,
                env=variables,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    @property
    def errors(self) -> str:
        return self.error_path.read_text(errors="replace")

    def _said(self) -> str:
        return f"\n--- log\n{self.log}\n--- standard error\n{self.errors}"

    def wait_for_log(self, text: str) -> Self:
        """Return when the log has the text; fail when the agent ends without it."""

        def there() -> bool:
            running = self.process.poll() is None
            if text in self.log:
                return True
            assert running, f"the agent ended with {self.process.returncode}{self._said()}"
            return False

        until(there, lambda: f"{text!r} in the log{self._said()}")
        return self

    def started(self) -> Self:
        """Return when it listens for events."""
        return self.wait_for_log("Listening for events")

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        """The exit code."""
        return self.process.wait(timeout=TIMEOUT)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Have it stop; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(timeout=TIMEOUT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    # --- events ------------------------------------------------------------------------------

    def lines(self) -> list[bytes]:
        """Every whole line of the export file so far."""
        try:
            with self.export.open("rb") as file:
                file.seek(self._read)
                new = file.read()
        except FileNotFoundError:
            return self._lines
        self._read += len(new)
        whole, feed, rest = (self._rest + new).rpartition(b"\n")
        if feed:
            self._lines += whole.split(b"\n")
            self._rest = rest
        else:
            self._rest += new
        return self._lines

    def events(self, mark: int = 0) -> list[Event]:
        """The events from line `mark` on."""
        return [Event(line) for line in self.lines()[mark:]]

    def fence(self) -> int:
        """Return when all that happened before this call is in the file; the number of lines.

        A process that does nothing is run: what the agent tells of it comes last. It is run again
        now and then, because it may itself be lost in a buffer that is still full.
        """
        self._fences += 1
        name = f"fence-{self.pid}-{self._fences}"
        wanted = f'"arguments":"{name}"'.encode()
        at = len(self._lines)
        next_run = 0.0

        def ended() -> bool:
            nonlocal at, next_run
            if time.monotonic() > next_run:
                subprocess.run(["/bin/true", name], check=True)
                next_run = time.monotonic() + 2
            lines = self.lines()
            for index in range(at, len(lines)):
                if wanted in lines[index] and lines[index].startswith(b'{"process_exit"'):
                    return True
            at = len(lines)
            assert self.process.poll() is None, f"the agent ended{self._said()}"
            return False

        until(ended, lambda: f"the exit of {name}{self._said()}")
        return len(self._lines)

    def tagged(self, tag: str, mark: int = 0) -> list[Event]:
        """The events, from line `mark` on, of processes whose binary or arguments have the tag."""
        self.fence()
        needle = tag.encode()
        found = [Event(line) for line in self._lines[mark:] if needle in line]
        return [event for event in found if event.is_of(tag)]

    # --- the last words ----------------------------------------------------------------------

    def statistics(self) -> dict[str, int]:
        """The numbers of the line `Observer events statistics`."""
        line = next(x for x in self.log.splitlines() if "Observer events statistics" in x)
        return {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", line)}

    def lost(self) -> int:
        """Records that it counted as lost, as soon as it says so; 0 when it says nothing of the
        kind for as long as it takes between two looks.
        """
        end = time.monotonic() + _LOOKS_AT_LOSSES
        while not self.losses() and time.monotonic() < end:
            time.sleep(0.1)
        return sum(self.losses().values())

    def losses(self) -> dict[str, int]:
        """The numbers of all lines `Kernel events lost`, summed by kind."""
        totals: dict[str, int] = {}
        for line in self.log.splitlines():
            if "Kernel events lost" in line:
                for kind, count in re.findall(r"\b(exec|exit|fork|args)=(\d+)", line):
                    totals[kind] = totals.get(kind, 0) + int(count)
        return totals
