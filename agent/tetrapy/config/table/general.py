# SPDX-License-Identifier: Apache-2.0
"""Settings of the agent as a program: where settings lie, its log."""

from __future__ import annotations

from typing import Tuple

from tetrapy.config.setting import (
    BOOL,
    DIRECTORY,
    DURATION,
    FILE,
    SECOND,
    STRING,
    Setting,
    Topic,
)

TOPICS: Tuple[Topic, ...] = (
    (
        "Agent and log",
        (
            Setting(
                "config-dir",
                DIRECTORY,
                "",
                "directory of settings, one file each, that beats every other file",
            ),
            Setting("debug", BOOL, False, "log everything, as --log-level debug", short="d"),
            Setting(
                "log-level",
                STRING,
                "info",
                "least level that is logged",
                choices=("trace", "debug", "info", "warn", "warning", "error", "panic", "fatal"),
            ),
            Setting(
                "log-format",
                STRING,
                "text",
                "form of log lines; -ts adds the time",
                choices=("text", "text-ts", "json", "json-ts"),
            ),
            Setting(
                "log-file",
                FILE,
                "",
                "file that log lines are written to as well; emptied at start",
            ),
            Setting("procfs", DIRECTORY, "/proc/", "procfs that is read for existing processes"),
            Setting(
                "stop-timeout",
                DURATION,
                5 * SECOND,
                "most time that a stop takes; events that are left then are counted as lost",
                own=True,
            ),
            Setting(
                "raise-priority",
                BOOL,
                True,
                "run ahead of other processes, and be the last that a lack of memory ends, unless"
                " who started the agent has said how",
                own=True,
            ),
            Setting(
                "generate-docs", BOOL, False, "print every flag with its default as YAML and exit"
            ),
        ),
    ),
)
