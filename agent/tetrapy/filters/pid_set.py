# SPDX-License-Identifier: Apache-2.0
"""The field `pid_set`: processes and all that descend from them.

Descent is followed through the links of the process table. Those are cut when a process is gone,
so what was found to descend is remembered by pid and time of birth, which no other process has.
A descendant whose every ancestor was gone before it made an event is missed, as in Tetragon.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Callable, FrozenSet, List, Optional, Tuple

from tetrapy.events.event import Event
from tetrapy.events.process import Process

_REMEMBERED = 32_768


def descends_from(pids: FrozenSet[int]) -> Callable[[Event], bool]:
    """Whether an event's process is one of `pids` or descends from one."""
    members: OrderedDict[Tuple[int, int], None] = OrderedDict()

    def is_member(process: Optional[Process]) -> bool:
        below: List[Tuple[int, int]] = []
        while process is not None:
            key = (process.pid, process.start)
            if key in members or process.pid in pids:
                below.append(key)
                for one in below:
                    members[one] = None
                    members.move_to_end(one)
                while len(members) > _REMEMBERED:
                    members.popitem(last=False)
                return True
            below.append(key)
            process = process.parent
        return False

    def test(event: Event) -> bool:
        process = event.process
        if process is None:
            return False
        if is_member(process):
            return True
        if not is_member(event.parent):
            return False
        members[process.pid, process.start] = None
        return True

    return test
