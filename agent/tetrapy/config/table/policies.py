# SPDX-License-Identifier: Apache-2.0
"""Settings of tracing policies."""

from __future__ import annotations

from typing import Tuple

from tetrapy.config.setting import BOOL, DIRECTORY, FILES, Setting, Topic

TOPICS: Tuple[Topic, ...] = (
    (
        "Tracing policies",
        (
            Setting(
                "tracing-policy",
                FILES,
                (),
                "policy that is loaded at start, after those of the directory; may be given more"
                " than once",
            ),
            Setting(
                "tracing-policy-dir",
                DIRECTORY,
                "/etc/tetrapy/tetrapy.tp.d",
                "absolute directory of policies that are loaded at start: files in it and one level"
                " below, whatever their names end with",
            ),
            Setting(
                "tracing-policy-strict",
                BOOL,
                False,
                "end the start when a policy cannot be loaded, as Tetragon does, and not keep it in"
                " the list with its error",
                own=True,
            ),
        ),
    ),
)
