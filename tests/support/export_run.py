# SPDX-License-Identifier: Apache-2.0
"""One subscription with a sink of its own, as the agent makes it."""

from __future__ import annotations

from typing import NamedTuple

from tests.support.agent_run import Recorder
from tests.support.records import EPOCH, NODE
from tetrapy.events.json import JsonEncoder
from tetrapy.export.fanout import Count, Fanout
from tetrapy.export.stages import Stages
from tetrapy.export.subscription import Subscription
from tetrapy.export.target import SinkTarget
from tetrapy.sinks.sink import Sink


class Export(NamedTuple):
    fanout: Fanout
    subscription: Subscription
    target: SinkTarget


def subscribed(
    sink: Sink,
    log: Recorder,
    stages: Stages | None = None,
    share: int = 0,
    counters: tuple[Count, ...] = (),
) -> Export:
    target = SinkTarget(sink, log, share)
    subscription = Subscription(stages or Stages(), JsonEncoder(NODE), target, lambda: EPOCH)
    return Export(Fanout([subscription], log, counters), subscription, target)
