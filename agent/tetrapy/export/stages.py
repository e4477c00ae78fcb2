# SPDX-License-Identifier: Apache-2.0
"""What is between the events and the lines of a subscription."""

from __future__ import annotations

from typing import Any, Callable, FrozenSet, Optional

from tetrapy.config.settings import Settings
from tetrapy.events.event import Event
from tetrapy.filters.pushdown import Pushdown
from tetrapy.named import NamedTuple


class Stages(NamedTuple):
    """Each is absent unless a setting asks for it, so that what nobody wants costs nothing."""

    wanted: Optional[Callable[[Event], bool]] = None
    pushdown: Optional[Pushdown] = None  # the part of `wanted` that the kernel can decide
    aggregator: Any = None  # aggregation.Aggregator
    limiter: Any = None  # rate_limit.RateLimiter
    change: Optional[Callable[[str], Any]] = None  # type of event -> change of its body
    writes: bool = True  # whether there is a target at all

    @classmethod
    def of(cls, settings: Settings, now: int) -> Stages:
        """What the settings ask for; `now` in ns of the monotonic clock.

        Raises SettingsError for filters that make no sense.
        """
        limit = settings.export_rate_limit
        return cls(
            **_lists(settings),
            aggregator=_aggregator(settings),
            limiter=_limiter(limit, now) if limit > 0 else None,
            change=_field_filters(settings.field_filters),
            writes=bool(settings.export_filename) and limit != 0,
        )


def _lists(settings: Settings) -> Any:
    if not settings.export_allowlist and not settings.export_denylist:
        return {}
    from tetrapy.filters.lists import parse_list, predicate

    able = abilities(settings)
    allow = parse_list(settings.export_allowlist, "export-allowlist", able, in_doubt=True)
    deny = parse_list(settings.export_denylist, "export-denylist", able)
    pushed = Pushdown.of(allow, deny) if settings.kernel_filters else None
    return {"wanted": predicate(allow, deny), "pushdown": pushed}


def abilities(settings: Settings) -> Any:
    """What the settings let filters ask (filters.lists.Abilities)."""
    from tetrapy.filters.lists import Abilities

    return Abilities(
        settings.enable_process_cred, _with_ancestors(settings), settings.enable_pid_set_filter
    )


def _with_ancestors(settings: Settings) -> FrozenSet[str]:
    """The types of events that show ancestors."""
    from tetrapy.events.schema import EVENT_TYPES

    kinds = set(settings.enable_ancestors)
    if "base" not in kinds:
        return frozenset()
    names = {f"PROCESS_{kind.upper()}" for kind in kinds} | {"PROCESS_EXEC", "PROCESS_EXIT"}
    return frozenset(names & set(EVENT_TYPES))


def _aggregator(settings: Settings) -> Any:
    if not settings.enable_export_aggregation:
        return None
    from tetrapy.export.aggregation import Aggregator

    return Aggregator(
        settings.export_aggregation_window_size, settings.export_aggregation_buffer_size
    )


def _limiter(limit: int, now: int) -> Any:
    from tetrapy.export.rate_limit import limiter

    return limiter(limit, now)


def _field_filters(text: str) -> Optional[Callable[[str], Any]]:
    if not text:
        return None
    from tetrapy.filters.field_filters import parse_field_filters

    filters = parse_field_filters(text, "field-filters")
    return None if filters is None else filters.of_type
