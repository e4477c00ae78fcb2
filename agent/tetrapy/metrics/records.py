# SPDX-License-Identifier: Apache-2.0
"""Records: how many of which kind, which made no sense, and how long they took."""

from __future__ import annotations

from typing import Iterator, Mapping, Tuple

from tetrapy.metrics import zero
from tetrapy.metrics.catalog import CATALOG
from tetrapy.metrics.opcodes import OPCODES, UNKNOWN, UNKNOWN_OPCODE, by_opcode
from tetrapy.metrics.prometheus import Collector, Metric
from tetrapy.metrics.sources import Sources

LATENCY_BOUNDS = (50, 100, 500, 1000, 10_000, 100_000)  # microseconds

# The second stays 0: no reader hands over an empty record.
_FAILED, _EMPTY, _UNKNOWN = "event_handler_failed", "perf_empty_data", "unknown_opcode"


class Records(Collector):
    """The figures of the dispatcher."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        dispatcher = self._sources.dispatcher
        yield CATALOG["tetragon_msg_op_total"].by_label(by_opcode(dict(dispatcher.messages)))
        yield CATALOG["tetragon_handler_errors_total"].of(_failures(dict(dispatcher.failures)))
        yield CATALOG["tetragon_errors_total"].by_label(
            {**dict.fromkeys(zero.ERRORS, 0), **dispatcher.oddities}
        )
        by_kind = dict(dispatcher.latencies)
        latencies = {OPCODES[kind]: figures for kind, figures in by_kind.items()}
        yield CATALOG["tetragon_handling_latency"].histogram(
            LATENCY_BOUNDS, latencies, OPCODES.values()
        )


def _failures(by_kind: Mapping[str, int]) -> Iterator[Tuple[Tuple[str, str], int]]:
    counted = {(_FAILED, opcode): count for opcode, count in by_opcode(by_kind).items()}
    counted[_UNKNOWN, UNKNOWN_OPCODE] = by_kind.get(UNKNOWN, 0)
    for error in (_FAILED, _EMPTY, _UNKNOWN):
        for opcode in (*OPCODES.values(), UNKNOWN_OPCODE):
            yield (error, opcode), counted.get((error, opcode), 0)
