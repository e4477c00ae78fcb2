# SPDX-License-Identifier: Apache-2.0
"""Counting events: by type and binary, under the label filter, and within bounds."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.metrics.metrics_sources import read, series
from tetrapy.events import flags
from tetrapy.events.account import ROOT, Account
from tetrapy.events.container import Container, Membership, Pod
from tetrapy.events.exec import ProcessExec
from tetrapy.events.exit import ProcessExit
from tetrapy.events.process import Process
from tetrapy.events.rate_limit import RateLimitInfo
from tetrapy.metrics import family
from tetrapy.metrics.counters import (
    CAPACITY,
    IDLE,
    MAX_LENGTH,
    OTHER,
    EventCounter,
    FlagCounter,
    enabled_labels,
)
from tetrapy.metrics.family import Collector

BINARY = frozenset({"binary"})


def process(binary: str, bits: int = 0, account: Account = ROOT) -> Process:
    made = Process(b"host1", 1, 0, 0)
    made.binary = binary
    made.flags = bits
    made.account = account
    return made


def executed(binary: str, bits: int = 0, account: Account = ROOT) -> ProcessExec:
    return ProcessExec(process(binary, bits, account), None)


def run_by(uid: int, *binaries: str, container: str = "") -> list[ProcessExec]:
    return [executed(binary, account=Account(uid, container)) for binary in binaries]


def many(word: str, count: int = CAPACITY) -> list[str]:
    return [f"/{word}/{number}" for number in range(count)]


def exited(binary: str) -> ProcessExit:
    return ProcessExit(process(binary), None, 0, 0)


def reported(counter: Collector) -> dict[str, float]:
    return read(family.encode(counter.collect()).decode())


def test_by_type_and_binary() -> None:
    """An event of no process has no binary; namespace, pod and workload are Kubernetes' own."""
    counter = EventCounter(BINARY, "host1")
    counter.count([executed("/bin/a"), exited("/bin/a"), executed("/bin/a")])
    counter.count([executed("/bin/b"), RateLimitInfo(5, 0)])
    assert reported(counter) == {
        series("PROCESS_EXEC", "/bin/a"): 2,
        series("PROCESS_EXIT", "/bin/a"): 1,
        series("PROCESS_EXEC", "/bin/b"): 1,
        series("RATE_LIMIT_INFO", ""): 1,
        "tetrapy_event_series": 4,
        "tetrapy_event_series_capacity": CAPACITY,
    }


@pytest.mark.parametrize(
    ("setting", "binary", "node"),
    [
        ("namespace,workload,pod,binary", "/bin/a", ""),
        (" binary , node_name", "/bin/a", "host1"),
        ("node_name,nothing", "", "host1"),
        ("", "", ""),
    ],
)
def test_the_label_filter(setting: str, binary: str, node: str) -> None:
    """A label that is not named is empty; unknown names and blanks do not matter."""
    counter = EventCounter(enabled_labels(setting.split(",")), "host1")
    counter.count([executed("/bin/a")])
    assert reported(counter)[series("PROCESS_EXEC", binary, node)] == 1


LABELS = frozenset({"binary", "namespace", "pod"})


def in_pod(name: str, binary: str = "/bin/a") -> ProcessExec:
    """An exec in a pod of the namespace `shop`, which is a container of its own."""
    event = executed(binary, account=Account(0, name))
    event.process.container = Membership(Pod(Container("containerd://1", "web"), "shop", name))
    return event


def of_pod(name: str, namespace: str = "shop", binary: str = "/bin/a") -> str:
    return (
        series("PROCESS_EXEC", binary)
        .replace('pod=""', f'pod="{name}"')
        .replace('namespace=""', f'namespace="{namespace}"')
    )


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (LABELS, {of_pod("web-1"): 2, of_pod("web-2"): 1, of_pod("", ""): 1}),
        ({"namespace"}, {of_pod("", binary=""): 3, of_pod("", "", ""): 1}),
        ({"binary"}, {of_pod("", ""): 4}),
    ],
)
def test_pods(labels: set[str], expected: dict[str, int]) -> None:
    """What processes of pods do is counted by pod, as far as the filter has it; a container
    outside of Kubernetes is in none.
    """
    counter = EventCounter(frozenset(labels), "host1")
    alone = executed("/bin/a")
    alone.process.container = Membership(Pod(Container("docker://1", "web")))
    counter.count([in_pod("web-1"), in_pod("web-2"), in_pod("web-1"), alone])
    found = {key: count for key, count in reported(counter).items() if key.startswith("tetragon")}
    assert found == expected


def test_pods_that_are_gone_make_room() -> None:
    """Where there is none, those without an event for a minute do; the host's series stay."""
    now = [0.0]
    counter = EventCounter(LABELS, "", capacity=7, clock=lambda: now[0])
    counter.count([executed("/bin/a"), *(in_pod(f"old-{n}") for n in range(6))])
    counter.count([in_pod("late")])
    assert reported(counter)[of_pod("", "", OTHER)] == 1
    for _ in range(2):  # who is there is seen, then who had nothing since
        now[0] += IDLE
        counter.count([in_pod("old-0"), in_pod("new")])
    found = reported(counter)
    assert found[of_pod("", "")] == 1
    assert found[of_pod("old-0")] == 3
    assert found[of_pod("new")] == 1
    assert of_pod("old-1") not in found
    assert found["tetrapy_event_series"] == 4


def test_series_that_coincide_are_summed() -> None:
    """Without the binary there is one series for each type."""
    counter = EventCounter(frozenset(), "host1")
    counter.count([executed(f"/bin/{n}") for n in range(10)] + [exited("/bin/a")])
    found = reported(counter)
    assert found[series("PROCESS_EXEC", "")] == 10
    assert found["tetrapy_event_series"] == 2


def test_more_binaries_than_there_may_be() -> None:
    """What came first keeps its series; the rest is counted together, and nothing is lost."""
    counter = EventCounter(BINARY, "", capacity=6)
    for _ in range(2):
        counter.count([executed(f"/bin/{n}") for n in range(10)])
    found = reported(counter)
    assert found[series("PROCESS_EXEC", "/bin/2")] == 2
    assert found[series("PROCESS_EXEC", OTHER)] == 14
    assert found["tetrapy_event_series"] == 4
    assert found["tetrapy_event_series_capacity"] == 6


def of_its_own(counter: EventCounter, events: list[ProcessExec]) -> int:
    """How many of the binaries of these events have a series of their own when they are counted."""
    counter.count(events)
    found = reported(counter)
    return sum(series("PROCESS_EXEC", event.process.binary) in found for event in events)


@pytest.mark.slow
def test_one_user_leaves_room_for_others() -> None:
    """However many binaries he makes up, he has a quarter of the series; his own are summed."""
    counter = EventCounter(BINARY, "")
    flood = run_by(1000, *many("flood", 3 * CAPACITY))
    assert of_its_own(counter, flood) == CAPACITY // 4
    assert of_its_own(counter, run_by(1001, *many("others", 100))) == 100
    assert of_its_own(counter, run_by(0, *many("root", 1000))) == 1000
    found = reported(counter)
    assert found[series("PROCESS_EXEC", OTHER)] == len(flood) - CAPACITY // 4
    assert found["tetrapy_event_series"] <= CAPACITY + 1


@pytest.mark.slow
def test_a_container_is_one_user() -> None:
    """Whichever uids it takes; root of the host has its own."""
    counter = EventCounter(BINARY, "")
    made = [
        of_its_own(counter, run_by(uid, *many(f"flood{uid}", 1000), container="web"))
        for uid in range(10)
    ]
    assert sum(made) == CAPACITY // 4
    assert of_its_own(counter, run_by(0, *many("root", 1000))) == 1000


@pytest.mark.slow
def test_many_users_together_leave_some() -> None:
    """Each takes at most as many as are free after him, so that seven leave room for the next."""
    counter = EventCounter(BINARY, "")
    taken = [of_its_own(counter, run_by(uid, *many(f"flood{uid}"))) for uid in range(1, 8)]
    assert taken[:4] == [1024, 1024, 1024, 512]
    assert taken == sorted(taken, reverse=True)
    assert of_its_own(counter, run_by(1001, *many("others", 20))) >= 20


def test_root_alone() -> None:
    """It may have half, as long as nobody else has many."""
    counter = EventCounter(BINARY, "")
    assert of_its_own(counter, run_by(0, *many("root"))) == CAPACITY // 2


def test_counters_only_grow() -> None:
    """A series never goes, and what `other` has stays there: Prometheus' `rate` is right."""
    counter = EventCounter(BINARY, "", capacity=16)
    before: dict[str, float] = {}
    for turn in range(60):
        counter.count(run_by(turn % 5, f"/bin/{turn * 7 % 30}"))
        now = reported(counter)
        assert set(before) <= set(now)
        assert all(now[name] >= count for name, count in before.items())
        before = now


def test_an_event_of_no_process_is_no_other_binary() -> None:
    """It has its series also when there are too many."""
    counter = EventCounter(BINARY, "", capacity=1)
    counter.count([executed("/bin/a"), RateLimitInfo(5, 0), RateLimitInfo(5, 0)])
    assert reported(counter)[series("RATE_LIMIT_INFO", "")] == 2


def test_a_name_that_is_too_long() -> None:
    """It has no series of its own, since names of 4 KiB would take as much memory."""
    counter = EventCounter(BINARY, "")
    counter.count([executed("/" + "x" * MAX_LENGTH), executed("/" + "x" * (MAX_LENGTH - 1))])
    found = reported(counter)
    assert found[series("PROCESS_EXEC", OTHER)] == 1
    assert found[series("PROCESS_EXEC", "/" + "x" * (MAX_LENGTH - 1))] == 1


EVENTS = st.lists(
    st.tuples(st.sampled_from((executed, exited)), st.sampled_from("abcdefgh")), max_size=40
)


@pytest.mark.slow
@given(EVENTS, st.integers(1, 20))
def test_nothing_is_lost_or_made_up(events: list[tuple], capacity: int) -> None:
    """The sum is the number of events; a series that is not `other` has just its own."""
    counter = EventCounter(BINARY, "", capacity)
    counter.count([make(f"/{name}") for make, name in events])
    expected = Counter((make(name).type, f"/{name}") for make, name in events)
    found = reported(counter)
    size = found.pop("tetrapy_event_series")
    assert found.pop("tetrapy_event_series_capacity") == capacity
    assert size == len(found) <= capacity + 2
    assert sum(found.values()) == len(events)
    for (kind, binary), count in expected.items():
        assert found.get(series(kind, binary), count) == count


def test_flags_of_exec_events() -> None:
    """By word; other events do not count, and every word is there from the start."""
    counter = FlagCounter()
    before = reported(counter)
    assert set(before.values()) == {0}
    assert len(before) == len(flags.flag_words(-1).split())
    counter.count(
        [
            executed("/a", flags.EXECVE | flags.CLONE),
            executed("/a", flags.EXECVE),
            exited("/a"),
            RateLimitInfo(1, 0),
        ]
    )
    found = reported(counter)
    assert found['tetragon_flags_total{type="execve"}'] == 2
    assert found['tetragon_flags_total{type="clone"}'] == 1
    assert sum(found.values()) == 3
