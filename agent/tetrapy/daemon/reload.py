# SPDX-License-Identifier: Apache-2.0
"""Settings that can change while the agent runs: SIGHUP reloads them.

What cannot change waits for the next start, and is named.
"""

from __future__ import annotations

from typing import Callable, List, Optional

from tetrapy.config.settings import Settings
from tetrapy.daemon.start import make_redactor, make_stages
from tetrapy.errors import TetrapyError
from tetrapy.export.subscription import Subscription
from tetrapy.log import Log
from tetrapy.process.details import Details
from tetrapy.sensors.source import Handler
from tetrapy.sinks.file import FileSink
from tetrapy.sinks.rules import FileRules
from tetrapy.sinks.sink import Sink

_LOG = frozenset({"debug", "log-level"})
_FILTERS = frozenset({"export-allowlist", "export-denylist", "enable-pid-set-filter"})
_STAGES = frozenset(
    {
        "enable-export-aggregation",
        "export-aggregation-buffer-size",
        "export-aggregation-window-size",
        "export-rate-limit",
        "field-filters",
    }
)
_REDACTION = frozenset({"redaction-filters"})
_FILE = frozenset(
    {
        "export-file-compress",
        "export-file-max-age",
        "export-file-max-backups",
        "export-file-max-size-mb",
        "export-file-perm",
        "export-file-rotation-interval",
    }
)
CHANGEABLE = _LOG | _FILTERS | _STAGES | _REDACTION | _FILE

Reread = Callable[[], Settings]


class Reload:
    """Applies what is new in the settings to the parts of a running agent."""

    def __init__(
        self,
        settings: Settings,
        reread: Reread,
        log: Log,
        subscription: Subscription,
        sink: Sink,
        handler: Handler,
        details: Optional[Details],
    ) -> None:
        """`reread` gives the settings of now. Raises nothing itself."""
        self._settings = settings
        self._reread = reread
        self._log = log
        self._subscription = subscription
        self._sink = sink
        self._handler = handler
        self._details = details

    def __call__(self) -> None:
        """Read and apply. Settings with a mistake in them change nothing, and are logged."""
        try:
            settings = self._reread()
            changed = _changed(self._settings, settings)
            self._apply(settings, frozenset(changed))
        except TetrapyError as err:
            self._log("error", "Settings are not read again", error=str(err))
            return
        self._settings = settings
        late = [name for name in changed if name not in CHANGEABLE]
        self._log("info", "Settings are read again", changed=[n for n in changed if n not in late])
        if late:
            self._log("warn", "Settings take effect at the next start", changed=late)

    def _apply(self, settings: Settings, changed: frozenset[str]) -> None:
        # What can fail comes first.
        redactor = make_redactor(settings, self._log) if changed & _REDACTION else None
        stages = make_stages(settings) if changed & (_FILTERS | _STAGES) else None
        rules = FileRules.of(settings)
        if changed & _LOG:
            self._log.configure("debug" if settings.debug else settings.log_level)
        if changed & _REDACTION:
            if self._details is not None:
                self._details.redactor = redactor
            else:
                self._log("warn", "Redaction begins at the next start: nothing was to be redacted")
        if stages is not None:
            if changed & _FILTERS:
                # What the kernel was told may not hold any more.
                self._handler.forget_filters()
            self._subscription.replace_stages(stages)
        if changed & _FILE and isinstance(self._sink, FileSink):
            self._sink.rotation.follow(rules)


def _changed(before: Settings, after: Settings) -> List[str]:
    former, values = before.items(), after.items()
    return [name for name in values if values[name] != former.get(name)]
