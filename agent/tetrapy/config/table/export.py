# SPDX-License-Identifier: Apache-2.0
"""Settings of the export: where events go, and which."""

from __future__ import annotations

from typing import Tuple

from tetrapy.config.setting import (
    BOOL,
    DURATION,
    FILE,
    INT,
    LINES,
    MODE,
    SECOND,
    UINT,
    Setting,
    Topic,
)

TOPICS: Tuple[Topic, ...] = (
    (
        "Export",
        (
            Setting(
                "export-filename",
                FILE,
                "",
                "file that JSON events are appended to; - is standard output, empty is nowhere",
                aliases=("export-file",),
            ),
            Setting(
                "export-file-perm",
                MODE,
                0o600,
                "permissions of a new export file, in octal; always kept from others' writing",
            ),
            Setting("export-file-max-size-mb", UINT, 10, "size in MB at which the file is rotated"),
            Setting(
                "export-file-rotation-interval",
                DURATION,
                0,
                "time after which the file is rotated too; 0 is never",
            ),
            Setting("export-file-max-backups", UINT, 5, "rotated files that are kept; 0 keeps all"),
            Setting(
                "export-file-max-age",
                DURATION,
                0,
                "age at which rotated files are deleted; 0 keeps them",
                own=True,
            ),
            Setting("export-file-compress", BOOL, False, "compress rotated files with gzip"),
            Setting(
                "export-file-user-share",
                UINT,
                25,
                "percent of the export files that a user other than the host's root may fill, and"
                " as much in each further day, and a container twice that; lines beyond go into a"
                " file named overflow-...; 0 is no limit",
                own=True,
            ),
            Setting(
                "export-event-max-bytes",
                UINT,
                2 << 20,
                "most bytes of a line, at least 65536; the texts of a longer one are cut",
                own=True,
            ),
            Setting(
                "export-rate-limit",
                INT,
                -1,
                "most events a minute; -1 is no limit, 0 is no export",
            ),
            Setting(
                "enable-export-aggregation",
                BOOL,
                False,
                "write equal events of a time window once, with their number",
            ),
            Setting(
                "export-aggregation-window-size", DURATION, 15 * SECOND, "length of that window"
            ),
            Setting(
                "export-aggregation-buffer-size",
                UINT,
                10000,
                "most different events that a window holds",
            ),
        ),
    ),
    (
        "Filters",
        (
            Setting(
                "export-allowlist",
                LINES,
                "",
                "filters in JSON, one a line: only events that one of them matches are written",
            ),
            Setting(
                "export-denylist",
                LINES,
                "",
                "filters in JSON, one a line: events that one of them matches are not written",
            ),
            Setting(
                "field-filters",
                LINES,
                "",
                "field filters in JSON, one a line: which fields are written",
            ),
            Setting(
                "redaction-filters",
                LINES,
                "",
                "redaction filters in JSON, one a line: what is replaced by *****",
            ),
            Setting("enable-pid-set-filter", BOOL, False, "permit pid_set in filters"),
            Setting(
                "kernel-filters",
                BOOL,
                True,
                "apply filters in the kernel where their meaning allows it",
                own=True,
            ),
        ),
    ),
)
