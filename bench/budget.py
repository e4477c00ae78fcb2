# SPDX-License-Identifier: Apache-2.0
"""The budget: the figures that have landed, and how far a change may raise them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from bench.figures import FIGURES
from tools.errors import BuildError

PATH = Path(__file__).with_name("budget.json")
TOLERANCE = 0.05
# What is a difference of two loads is as unsure as these: a fraction of a percent of 266 k.
SLACK = {"denied_in_kernel": 1500}  # instructions


class Budget(NamedTuple):
    """Landed figures, and how many processes each load had that they were measured with."""

    processes: int
    figures: Mapping[str, float]

    def exceeded(self, measured: Mapping[str, float]) -> list[str]:
        """A line for each figure that is more than TOLERANCE, or SLACK, over the landed one."""
        lines = []
        for name, landed in self.figures.items():
            now = measured[name]
            if now > landed + max(landed * TOLERANCE, SLACK.get(name, 0)):
                figure = FIGURES[name]
                lines.append(
                    f"{figure.title.removeprefix('- of that, ')}: "
                    f"{now / figure.scale:.2f} {figure.unit}, landed "
                    f"{landed / figure.scale:.2f} ({100 * (now / landed - 1):+.1f} %)"
                )
        return lines


def read() -> Budget:
    """The budget of bench/budget.json. Raises BuildError when a figure has none there."""
    content = json.loads(PATH.read_text())
    lacking = set(FIGURES) ^ set(content["figures"])
    if lacking:
        raise BuildError(f"{PATH.name} and FIGURES differ in {sorted(lacking)}: use --update")
    return Budget(content["processes"], content["figures"])


def write(budget: Budget) -> None:
    """Replace bench/budget.json."""
    rounded = {name: round(value) for name, value in budget.figures.items()}
    content = {"processes": budget.processes, "figures": rounded}
    PATH.write_text(json.dumps(content, indent=2) + "\n")
