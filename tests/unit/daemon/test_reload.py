# SPDX-License-Identifier: Apache-2.0
"""SIGHUP: what new settings change in a running agent, and what has to wait."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.agent_run import Recorder
from tests.support.export_run import subscribed
from tests.support.records import SECOND, Task, World, execute, exit_of
from tetrapy.config.settings import SETTINGS, Settings
from tetrapy.config.sources import read
from tetrapy.daemon.reload import CHANGEABLE, Reload
from tetrapy.export.stages import Stages
from tetrapy.process.details import Details, Wanted
from tetrapy.sinks.file import FileSink
from tetrapy.sinks.rules import FileRules

INIT = Task(1, SECOND)


class Log(Recorder):
    """A log whose level can be set."""

    level = ""

    def configure(self, level: str) -> None:
        self.level = level


class Handler:
    """Counts how often it was told to let go of the filters in the kernel."""

    forgot = 0

    def forget_filters(self) -> None:
        self.forgot += 1


class Running:
    """The parts of an agent that a reload reaches."""

    def __init__(self, directory: Path, *flags: str, details: bool = True) -> None:
        self.target = directory / "out.json"
        self.log, self.handler = Log(), Handler()
        self.settings = self.of(*flags)
        self.flags = flags
        self.counted = 0
        sink = FileSink(str(self.target), FileRules(), self.log)
        stages = Stages.of(self.settings, 0)
        self.fanout, self.subscription, _ = subscribed(
            sink, self.log, stages, counters=(self.count,)
        )
        self.sink = sink
        self.details = Details(Wanted(environment=True), None, None) if details else None
        self.reload = Reload(
            self.settings,
            self.reread,
            self.log,
            self.subscription,
            sink,
            self.handler,
            self.details,
        )

    def of(self, *flags: str) -> Settings:
        return read([f"--export-filename={self.target}", *flags], {})

    def reread(self) -> Settings:
        return self.of(*self.flags)

    def count(self, events: Any) -> None:
        self.counted += len(list(events))

    def hang_up(self, *flags: str) -> None:
        self.flags = flags
        self.reload()

    def export(self) -> list[str]:
        """What becomes of an exec and an exit."""
        before = len(self.target.read_bytes().splitlines())
        world = World()
        self.fanout.publish(world.dispatcher.events([execute(INIT, Task(0)), exit_of(INIT)]))
        lines = self.target.read_bytes().splitlines()[before:]
        return [next(iter(json.loads(line))) for line in lines]


@pytest.fixture
def running(tmp_path: Path) -> Running:
    return Running(tmp_path)


def test_nothing_new(running: Running) -> None:
    """The same settings change nothing, and that is said."""
    running.hang_up()
    assert running.log.lines == [("info", "Settings are read again", {"changed": []})]
    assert running.handler.forgot == 0


def test_filters(running: Running) -> None:
    """New lists hold for the next event, and the kernel decides no more by the old ones."""
    assert running.export() == ["process_exec", "process_exit"]
    running.hang_up('--export-denylist={"event_set":["PROCESS_EXEC"]}')
    assert running.export() == ["process_exit"]
    assert running.handler.forgot == 1
    running.hang_up()
    assert running.export() == ["process_exec", "process_exit"]
    assert running.handler.forgot == 2


def test_other_stages(running: Running) -> None:
    """Rate limit, aggregation and field filters begin and end; the kernel's filters stay."""
    running.hang_up("--export-rate-limit=1")
    assert running.export() == ["process_exec"]
    running.hang_up()
    last = running.target.read_bytes().splitlines()[-1]
    assert b"rate_limit_info" in last  # what the old limit held back is told
    running.hang_up("--enable-export-aggregation")
    assert running.export() == []
    running.hang_up('--field-filters={"fields":"time","action":"EXCLUDE"}')
    assert running.subscription.passed == 4
    assert running.handler.forgot == 0


def test_who_counts_events_goes_on(running: Running) -> None:
    """The same counters get the events after a reload."""
    running.hang_up('--export-denylist={"event_set":["PROCESS_EXEC"]}')
    running.export()
    assert running.counted == 2


def test_redaction(running: Running) -> None:
    """Programs that start from now on are redacted by the new filters, or no longer."""
    assert running.details is not None
    running.hang_up('--redaction-filters={"redact":["pw=(\\\\S+)"]}')
    redactor: Any = running.details.redactor
    assert redactor.redact("/bin/x", "pw=1234", ()) == ("pw=*****", ())
    running.hang_up()
    assert running.details.redactor is None


def test_redaction_where_there_was_none(tmp_path: Path) -> None:
    """An agent that looks at no details cannot begin: the log says when it will."""
    running = Running(tmp_path, details=False)
    running.hang_up('--redaction-filters={"redact":["pw=(\\\\S+)"]}')
    assert ("warn", "Redaction begins at the next start: nothing was to be redacted", {}) in (
        running.log.lines
    )


def test_the_log_level(running: Running) -> None:
    """From the next line on; --debug is stronger."""
    running.hang_up("--log-level=warn")
    assert running.log.level == "warn"
    running.hang_up("--log-level=warn", "--debug")
    assert running.log.level == "debug"


def test_the_rules_of_the_file(running: Running) -> None:
    """Rotation goes by the new ones."""
    running.hang_up("--export-file-max-size-mb=77", "--export-file-compress")
    sink: Any = running.sink
    assert (sink.rotation.rules.max_size, sink.rotation.rules.compress) == (77 << 20, True)


def test_fewer_backups_are_kept_from_the_next_tick_on(running: Running) -> None:
    """A lower number removes what is too many at once, and not at the next rotation."""
    sink: Any = running.sink
    for _ in range(4):
        sink.write(b"line\n")
        sink.rotate()
    sink.tick(time.monotonic())
    sink.rotation.wait()
    running.hang_up("--export-file-max-backups=1")
    sink.tick(time.monotonic())
    sink.rotation.wait()
    assert len(list(running.target.parent.glob("out-*.json"))) == 1


def test_what_has_to_wait(running: Running) -> None:
    """Settings that are needed to start are named, and the others are applied."""
    running.hang_up("--rb-size-total=1M", "--enable-process-cred", "--log-level=error")
    messages = {message: keys for _, message, keys in running.log.lines}
    late = messages["Settings take effect at the next start"]["changed"]
    assert sorted(late) == ["enable-process-cred", "rb-size-total"]
    assert messages["Settings are read again"]["changed"] == ["log-level"]
    assert running.log.level == "error"


@pytest.mark.parametrize(
    "flags",
    [
        ('--export-denylist={"binary_regex":["("]}', "--log-level=error"),
        ("--export-file-rotation-interval=-5s", "--log-level=error"),
        ("--no-such-setting", "--log-level=error"),
    ],
)
def test_a_mistake_changes_nothing(running: Running, flags: tuple[str, ...]) -> None:
    """It is logged, the agent goes on as before, and the next reload is compared with what was."""
    running.hang_up(*flags)
    ((level, message, keys),) = running.log.lines
    assert (level, message) == ("error", "Settings are not read again")
    assert keys["error"]
    assert running.log.level == ""
    assert running.export() == ["process_exec", "process_exit"]
    running.hang_up("--log-level=error")
    assert running.log.keys_of("Settings are read again") == {"changed": ["log-level"]}


def test_what_can_change_is_a_setting() -> None:
    """No name among those that can change is mistyped."""
    assert {setting.name for setting in SETTINGS} >= CHANGEABLE
