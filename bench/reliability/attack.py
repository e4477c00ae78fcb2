# SPDX-License-Identifier: Apache-2.0
"""An ordinary user attacks while another one's processes run: what is reported, what does it
take?
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

from bench.reliability import life
from bench.reliability.attacks import Attack
from bench.reliability.cgroups import Cgroups
from bench.reliability.follower import Follower
from bench.reliability.reader import KINDS, kept, lines
from bench.reliability.watched import Watched, free_port

VICTIM, ATTACKER = 64001, 65534  # uids
VICTIMS = 500
OLDS, OLD = 20, 1_000_000  # processes of the victim from before the attack, and their first number
MEMORY = 64.0  # MB: the aim for the peak of resident memory
STOP = 5.0  # seconds: the aim for the stop
KEPT = 2 * 6 * 10.0  # MB: an export file and five backups, and as many for the overflow
_SLACK = 1.1
_LEAD = 0.5  # seconds that the attack is ahead of the victim, and the agent's work of both
_BOUND = 60.0  # seconds; an agent that takes longer to stop is killed


class Programs(NamedTuple):
    """bench/attack.c and what its loads execute, in a directory that every user may enter."""

    attack: Path
    nothing: Path

    @classmethod
    def built(cls, directory: Path) -> Self:
        """Compiled for this machine. Raises BuildError."""
        from bench import programs

        _, nothing = programs.build(directory)
        return cls(programs.build_attack(directory), nothing)

    def start(self, *words: str, uid: int) -> subprocess.Popen[bytes]:
        """A load in the background, in a session of its own."""
        return subprocess.Popen(
            [str(self.attack), *words, f"as={uid}", f"program={self.nothing}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def victim(
        self, tag: str, count: int, pause: int, meanwhile: Callable[[], None] | None = None
    ) -> int:
        """Executes so many programs, `pause` ms apart; how many ran. Raises CalledProcessError.

        `meanwhile` is called twice a second.
        """
        load = self.start("victim", f"tag={tag}", f"count={count}", f"ms={pause}", uid=VICTIM)
        while meanwhile and load.poll() is None:
            meanwhile()
            time.sleep(0.5)
        return done(load)

    def old(self, tag: str) -> list[subprocess.Popen[bytes]]:
        """Programs of the victim that run until they are told to end, numbered from OLD on."""
        return [
            subprocess.Popen(
                ["wait", f"{tag}-{OLD + number}"],
                executable=self.attack,
                stdin=subprocess.DEVNULL,
                user=VICTIM,
                group=VICTIM,
                extra_groups=[],
            )
            for number in range(OLDS)
        ]


def done(load: subprocess.Popen[bytes]) -> int:
    """Wait for a load; how often it did what it does. Raises CalledProcessError."""
    output, _ = load.communicate()
    found = re.search(rb"done=(\d+)", output)
    if load.returncode or not found:
        raise subprocess.CalledProcessError(load.returncode, load.args, output)
    return int(found[1])


def attack(
    pyz: Path, directory: Path, programs: Programs, one: Attack, victims: int, flags: list[str]
) -> dict[str, Any]:
    """One attack on an agent of its own; the figures. Raises BuildError."""
    directory.mkdir(parents=True, exist_ok=True)
    tag = f"victim-{os.getpid()}"
    signs = life.Life(directory)
    port = str(free_port())
    own = [flag.replace("{port}", port) for flag in one.flags]
    with Watched(pyz, directory, *own, *flags, environment=signs.environment) as agent:
        agent.listening()
        follower = Follower(agent.export, tag)
        olds = programs.old(tag)
        with ExitStack() as attacking:
            load = attacking.enter_context(_attacking(programs, one, directory))
            time.sleep(_LEAD)
            ran = programs.victim(tag, victims, 10, _reloads(agent) if one.reload else None)
            _end(olds)
            if not one.stop:
                attacking.close()
                time.sleep(_LEAD)
            pause, cpu = signs.end().longest, agent.sample().cpu
            stopped, peak = _stop(agent)
    follower.end()
    reported = {kind: set(follower.reported[kind]) for kind in KINDS}
    return {
        "victim's processes": ran,
        "every event is an aim": one.reported,
        "execs reported": sum(number < OLD for number in reported["process_exec"]),
        "exits reported": sum(number < OLD for number in reported["process_exit"]),
        "exits of old processes reported": sum(
            number >= OLD for number in reported["process_exit"]
        ),
        "reported twice": sum(len(follower.reported[kind]) - len(reported[kind]) for kind in KINDS),
        "records lost": agent.statistics()["lost"] if agent.says("Observer events") else -1,
        "lost, says the log": agent.reported_losses(),
        "peak of RSS in MB": peak / 1024,
        "longest pause in s": pause,
        "stop in s": stopped,
        "CPU in s": cpu,
        "MB written": follower.bytes / 1e6,
        "MB kept": sum(path.stat().st_size for path in kept(agent.export)) / 1e6,
        "victim's events kept": _kept(agent.export, tag),
        "longest line in kB": follower.longest / 1e3,
        "lines broken": follower.broken,
        "attacker did": load.count,
        "exit code": agent.process.returncode,
    }


class _Load:
    """What the attacker has done, known when it has ended."""

    count = 0


@contextmanager
def _attacking(programs: Programs, one: Attack, directory: Path) -> Iterator[_Load]:
    """The attack goes on in the body of the `with`."""
    load = _Load()
    if not one.load:
        yield load
        return
    place = directory / "place"
    place.mkdir(mode=0o777, exist_ok=True)
    place.chmod(0o777)
    with Cgroups(one.cgroups, ATTACKER) as cgroups:
        words = [*one.load, "seconds=100", f"place={cgroups.path or place}"]
        if cgroups.path:
            words.append(f"enter={cgroups.path}")
        process = programs.start(*words, uid=ATTACKER)
        try:
            yield load
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
            # What it has left behind: of its group there may be none any more.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            found = re.search(rb"done=(\d+)", output)
            load.count = int(found[1]) if found else -1


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait()


def _reloads(agent: Watched) -> Callable[[], None]:
    """Have the agent read its settings again."""
    return lambda: agent.process.send_signal(signal.SIGHUP)


def _stop(agent: Watched) -> tuple[float, int]:
    """Seconds that the stop took, and kB that the agent had at most until then."""
    began = time.monotonic()
    peak = agent.peak()
    agent.process.terminate()
    while agent.process.poll() is None and time.monotonic() - began < _BOUND:
        peak = max(peak, agent.peak())
        time.sleep(0.02)
    if agent.process.poll() is None:
        agent.process.kill()
        agent.process.wait()
    return time.monotonic() - began, peak


def _kept(export: Path, tag: str) -> int:
    """Lines of the victim that are still in one of the files."""
    wanted = f'"arguments":"{tag}-'.encode()
    return sum(wanted in line[:4096] for path in kept(export) for line in lines(path))


def failures(figures: dict[str, Any]) -> list[str]:
    """What is wrong with one attack's figures: events and bytes, never times."""
    ran = figures["victim's processes"]
    aims = {"execs reported": ran, "exits reported": ran, "exits of old processes reported": OLDS}
    found = [
        f"{name}: {figures[name]} of {aim}"
        for name, aim in aims.items()
        if figures[name] != aim and figures["every event is an aim"]
    ]
    zero = ("reported twice", "lines broken", "exit code")
    found += [f"{name}: {figures[name]}" for name in zero if figures[name]]
    for name, bound in (("peak of RSS in MB", MEMORY), ("MB kept", KEPT * _SLACK)):
        if figures[name] > bound:
            found.append(f"{name}: {figures[name]:.0f}, should be under {bound:.0f}")
    return found


_COLUMNS = (
    ("execs reported", "execs", ".0f"),
    ("exits reported", "exits", ".0f"),
    ("exits of old processes reported", "old", ".0f"),
    ("records lost", "lost", ".0f"),
    ("peak of RSS in MB", "RSS MB", ".1f"),
    ("longest pause in s", "pause s", ".1f"),
    ("stop in s", "stop s", ".1f"),
    ("CPU in s", "CPU s", ".1f"),
    ("MB written", "written MB", ".0f"),
    ("MB kept", "kept MB", ".0f"),
    ("victim's events kept", "evidence", ".0f"),
    ("longest line in kB", "line kB", ".0f"),
    ("attacker did", "attacker", ".0f"),
)


def table(rows: dict[str, dict[str, Any]], victims: int) -> str:
    """The figures of all attacks, the aims below the heads."""
    aims = {
        "execs": str(victims),
        "exits": str(victims),
        "old": str(OLDS),
        "RSS MB": f"< {MEMORY:.0f}",
        "pause s": f"< {life.ALLOWED:.0f}",
        "stop s": f"< {STOP:.0f}",
        "kept MB": f"< {KEPT * _SLACK:.0f}",
        "evidence": str(2 * (victims + OLDS)),
    }
    heads = [head for _, head, _ in _COLUMNS]
    cells = [["", *heads], ["aim", *(aims.get(head, "") for head in heads)]]
    cells += [
        [name, *(format(figures[key], form) for key, _, form in _COLUMNS)]
        for name, figures in rows.items()
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        f"{row[0]:{widths[0]}}  "
        + "  ".join(f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in cells
    )
