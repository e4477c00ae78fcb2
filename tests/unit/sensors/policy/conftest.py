# SPDX-License-Identifier: Apache-2.0
"""A world in which one process runs whose calls are reported."""

from __future__ import annotations

import pytest

from tests.support.calls import INIT, TASK, CallWorld
from tests.support.records import Task, execute


@pytest.fixture
def world() -> CallWorld:
    world = CallWorld()
    world.feed(execute(INIT, Task(0)), execute(TASK, INIT, b"/bin/it", (b"it", b"-x")))
    return world
