# SPDX-License-Identifier: Apache-2.0
"""The end of many policies; in place of what the kernel has, ends that wait for one another."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from tetrapy.daemon.policies import Policies
from tetrapy.daemon.policy_entry import Entry
from tetrapy.errors import AgentEndsError
from tetrapy.kernel.waits import AT_ONCE
from tetrapy.sensors.policy.attached import AttachedHook
from tetrapy.sensors.policy.lineage import Lineage
from tetrapy.sensors.policy.loaded import LoadedPolicy, PreparedHook
from tetrapy.sensors.policy.slots import Slots
from tetrapy.sensors.policy.workloads import Workloads

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 60.0  # seconds until a test fails; nothing is decided by it


def _nothing(*_: Any) -> None:
    pass


def _loaded(end: Callable[[], None], hooks: int, steps: list[str]) -> LoadedPolicy:
    """A policy with hooks of one link each."""
    nobody = SimpleNamespace(claim=lambda: None, release=_nothing)
    slots = SimpleNamespace(give_back=lambda *_: steps.append("forgotten"))
    loaded = LoadedPolicy(
        cast(Lineage, nobody), cast(Workloads, nobody), "enforce", cast(Slots, slots)
    )
    for _ in range(hooks):
        hook = AttachedHook(cast(Any, SimpleNamespace(slots=slots, give_back=_nothing)))
        hook.links.append(cast(Any, SimpleNamespace(close=end)))
        loaded.acquired.callback(hook.close)
        loaded.add(PreparedHook("spec", hook, "uprobe:x", ()))
    return loaded


@pytest.mark.parametrize("policies", [1, AT_ONCE])
def test_hooks_end_together(policies: int) -> None:
    """Those of all policies at a stop, those of one when it is taken out; and before any table is
    forgotten.
    """
    met = threading.Barrier(AT_ONCE)
    steps: list[str] = []

    def end() -> None:
        met.wait(PATIENCE)  # else it is broken, and raises
        steps.append("ended")

    signs: list[int] = []
    all_of_them = Policies(lambda _: pytest.fail("nothing is to be loaded"), _log)
    all_of_them.when_alive = lambda: signs.append(threading.get_ident())
    for number in range(policies):
        entry = Entry(number, "a file", "static")
        entry.loaded = _loaded(end, AT_ONCE // policies, steps)
        all_of_them.entries.append(entry)
    if policies == 1:
        all_of_them.remove(all_of_them.entries[0])
    else:
        all_of_them.detach()
        assert steps == ["ended"] * AT_ONCE
        assert set(signs) <= {threading.get_ident()}
        all_of_them.close()
    assert steps == ["ended"] * AT_ONCE + ["forgotten"] * AT_ONCE


def test_a_signal_ends_the_loading_between_hooks() -> None:
    """What was attached of the policy is taken out again."""
    steps: list[str] = []
    loaded = _loaded(lambda: steps.append("ended"), 2, steps)
    loaded._lineage = loaded._workloads = cast(Any, SimpleNamespace(follow=_nothing))
    loaded.prepared[0].hook.attachments.append(lambda: pytest.fail("a hook is attached"))

    def between() -> None:
        raise AgentEndsError("the agent is to end")

    loaded.between = between
    with pytest.raises(AgentEndsError):
        loaded.attach({})
    assert steps == ["ended"] * 2 + ["forgotten"] * 2


def _log(_level: str, _text: str, **_: object) -> None:
    pass
