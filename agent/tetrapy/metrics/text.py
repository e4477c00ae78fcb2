# SPDX-License-Identifier: Apache-2.0
"""Families of metrics -> Prometheus's text format, version 0.0.4.

prometheus_client has an encoder too, in the module of its servers (see `prometheus`).
"""

from __future__ import annotations

from typing import Iterable, List

from tetrapy.metrics.prometheus import Metric
from tetrapy.visible import printable

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def encode(families: Iterable[Metric]) -> bytes:
    """The text of counters, gauges and histograms."""
    lines: List[str] = []
    for family in families:
        # The library keeps a counter's name without the ending that its samples have.
        name = family.name + "_total" if family.type == "counter" else family.name
        lines.append(f"# HELP {name} {_escape(family.documentation)}")
        lines.append(f"# TYPE {name} {family.type}")
        for sample in family.samples:
            labels = ",".join(
                [f'{label}="{_quote(value)}"' for label, value in sorted(sample.labels.items())]
            )
            braced = f"{{{labels}}}" if labels else ""
            lines.append(f"{sample.name}{braced} {_number(sample.value)}")
    lines.append("")
    return "\n".join(lines).encode("utf-8", "replace")


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quote(text: str) -> str:
    """The value of a label. The format escapes three characters; others that are not seen it lacks
    a way for, so their escapes are part of the value.
    """
    if not text.isprintable() or not text.isascii():
        text = "\n".join(map(printable, text.split("\n")))
    return _escape(text).replace('"', '\\"')


def _number(value: float) -> str:
    """As Go reads it: whole numbers to the last digit, `+Inf`, `-Inf`, `NaN`."""
    if isinstance(value, int):
        return f"{value:d}"
    text = repr(value)
    return {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN"}.get(text, text)
