# SPDX-License-Identifier: Apache-2.0
"""The process that reads policies: what it answers, and that nothing it does ends the agent."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, NoReturn

import pytest

from tests.support.policies import kprobe, spec
from tests.unit.policy.test_plain import FILES
from tetrapy.daemon import policy_reader
from tetrapy.daemon.policies import Policies
from tetrapy.daemon.policy_entry import GRPC, LOAD_ERROR
from tetrapy.daemon.policy_reader import PolicyReader
from tetrapy.errors import PolicyError, PolicyReaderError
from tetrapy.policy import read as reading

GOOD = kprobe()
ALIASES = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + former] * 9)}]\n"
    for former, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.fixture(name="reader")
def fixture_reader() -> Iterator[PolicyReader]:
    """One whose process is ended."""
    with contextlib.closing(PolicyReader(lambda: None)) as reader:
        yield reader


def doing(monkeypatch: pytest.MonkeyPatch, what: Callable[[str], Any]) -> None:
    """Have a process that starts from now on do that with texts."""
    monkeypatch.setattr(reading, "read_policy", what)


def children() -> list[str]:
    """The numbers of this process's children, those that have ended and were not waited for, too;
    other tests may have left some.
    """
    return Path("/proc/thread-self/children").read_text().split()


def refusal(read: Callable[[str], Any], text: str) -> list[str]:
    """The words for what is wrong with a text."""
    with pytest.raises(PolicyError) as refused:
        read(text)
    return [str(problem) for problem in refused.value.problems]


def test_policies_are_those_that_were_read(reader: PolicyReader) -> None:
    """All of the library, by one process, with what is probably not meant."""
    texts = [path.read_text(encoding="utf-8") for path in FILES]
    texts.append(kprobe(", selectors: [{matchPIDs: [{operator: In, values: [0]}]}]"))
    for text in texts:
        here, there = reading.read_policy(text), reader.read(text)
        assert there.policy == here.policy
        assert there.warnings == tuple(map(str, here.warnings))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a: b",
        "]",
        "kind: \udcff\n",
        "\ud800",
        spec("  kprobes: [{cal: sys_dup, syscall: 3}]\n"),
        GOOD.replace("metadata", "meta\u2028data"),
        ALIASES,
        "a: [" * 70,
    ],
)
def test_mistakes_have_the_same_words(reader: PolicyReader, text: str) -> None:
    """Each with its line and column, whatever characters the text has."""
    assert refusal(reader.read, text) == refusal(reading.read_policy, text)
    assert reader.read(GOOD).policy.kind == "TracingPolicy"


def test_a_text_as_long_as_any(reader: PolicyReader) -> None:
    """It takes longer to hand over than a pipe has room."""
    text = GOOD + "#" + "\u00e9" * (1 << 20) + "\n"
    assert reader.read(text).policy == reading.read_policy(text).policy


def test_a_process_that_is_killed(reader: PolicyReader, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text has an error, which says what happened; another process reads the next one."""
    with monkeypatch.context() as patch:
        doing(patch, lambda _: os.kill(os.getpid(), signal.SIGKILL))
        with pytest.raises(
            PolicyReaderError, match="was ended by SIGKILL, by somebody or for want"
        ):
            reader.read(GOOD)
    assert reader.read(GOOD).policy.kind == "TracingPolicy"


def test_a_process_that_hangs(reader: PolicyReader, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up."""
    monkeypatch.setattr(policy_reader, "PATIENCE", 0)
    doing(monkeypatch, lambda _: signal.pause())
    with pytest.raises(PolicyReaderError, match="was silent 0 s"):
        reader.read(GOOD)


def test_a_stop_does_not_wait_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal comes while the loop waits for the process."""
    doing(monkeypatch, lambda _: signal.pause())
    policies = Policies(lambda _: pytest.fail("nothing is to be loaded"), lambda *_, **__: None)
    steps: list[None] = []
    policies.when_alive = lambda: steps.append(None)
    policies.is_ending = lambda: len(steps) > 3
    entry = policies.prepare_text(GOOD, "nobody", GRPC)
    assert (entry.state, entry.error) == (LOAD_ERROR, "the agent is to end")
    assert len(steps) == 4


@pytest.mark.slow
def test_a_text_that_takes_too_much_time(
    reader: PolicyReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel ends the process."""

    def endless(_: str) -> NoReturn:
        while True:
            pass

    monkeypatch.setattr(policy_reader, "SECONDS", 0)
    doing(monkeypatch, endless)
    with pytest.raises(PolicyReaderError, match="was ended by SIGXCPU, for it took too much time"):
        reader.read(GOOD)


def test_a_text_that_takes_too_much_memory(
    reader: PolicyReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than its bound beyond what the agent had; the process goes on."""

    def much(text: str) -> Any:  # more than its heap has free
        return bytes(resource.getrlimit(resource.RLIMIT_DATA)[0]) if text else 1 / 0

    doing(monkeypatch, much)
    assert refusal(reader.read, "much") == ["reading it takes more than 128 MiB of memory"]
    with pytest.raises(PolicyReaderError, match="ZeroDivisionError"):
        reader.read("")


def test_a_policy_that_is_too_large(reader: PolicyReader, monkeypatch: pytest.MonkeyPatch) -> None:
    """What aliases repeat goes from process to process each time."""
    monkeypatch.setattr(policy_reader, "MAX_REPLY", 100)
    (found,) = refusal(reader.read, GOOD)
    assert found == "has more than 0 MiB, with all that aliases repeat"


def test_a_process_that_does_not_stop_writing(
    reader: PolicyReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent keeps no more of it than of the largest policy."""
    monkeypatch.setattr(policy_reader, "MAX_REPLY", 1 << 17)
    monkeypatch.setattr(policy_reader, "_answer", lambda _: b"x" * (1 << 24))
    with pytest.raises(PolicyReaderError, match=r"wrote (131|196)\d{3} bytes"):
        reader.read(GOOD)


def test_a_defect_is_reported_as_the_agents_own(
    reader: PolicyReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the place in the code."""
    doing(monkeypatch, lambda _: {}["none"])
    with pytest.raises(
        PolicyReaderError,
        match=r"^unexpected, a defect of tetrapy: KeyError: 'none', at \S*test_policy_reader.py:",
    ):
        reader.read(GOOD)


def test_what_the_process_holds(reader: PolicyReader, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that the agent has open, so that what the agent closes is closed."""
    ours = os.pipe()

    def held(_: str) -> NoReturn:
        found = []
        for fd in os.listdir("/proc/self/fd"):
            with contextlib.suppress(FileNotFoundError):  # the directory itself
                found.append(os.readlink(f"/proc/self/fd/{fd}"))
        raise PolicyError(found)

    shared = os.readlink(f"/proc/self/fd/{ours[0]}")
    doing(monkeypatch, held)
    try:
        assert shared not in refusal(reader.read, GOOD)
    finally:
        for fd in ours:
            os.close(fd)


def test_what_the_process_may_do(reader: PolicyReader, monkeypatch: pytest.MonkeyPatch) -> None:
    """No capability is left to it, and no program that it could execute gives it any."""

    def may(_: str) -> NoReturn:
        raise PolicyError(Path("/proc/self/status").read_text().splitlines())

    doing(monkeypatch, may)
    found = dict(line.split(":\t", 1) for line in refusal(reader.read, GOOD) if ":\t" in line)
    sets = {int(found[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")}
    assert (sets, found["NoNewPrivs"]) == ({0}, "1")


def test_no_process_is_left(reader: PolicyReader) -> None:
    """Neither a process nor an open file, however often."""
    before, others = os.listdir("/proc/self/fd"), children()
    for _ in range(3):
        reader.read(GOOD)
        reader.close()
        reader.close()
    assert os.listdir("/proc/self/fd") == before
    assert children() == others


def test_an_exception_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer to a text that was not waited for is not taken for the next one's."""
    alive = [True]

    def expect_alive() -> None:
        if not alive[0]:
            raise KeyboardInterrupt

    with contextlib.closing(PolicyReader(expect_alive)) as reader:
        reader.read(GOOD)
        alive[0] = False
        with pytest.raises(KeyboardInterrupt):
            reader.read(GOOD)
        alive[0] = True
        assert refusal(reader.read, "]") == refusal(reading.read_policy, "]")


def test_no_process_can_be_had(reader: PolicyReader, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's reason is in the error."""

    def fork() -> NoReturn:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", fork)
    with pytest.raises(PolicyReaderError, match="no process that would read it: Resource temp"):
        reader.read(GOOD)


def test_a_policy_whose_reader_dies_is_in_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the error; the agent goes on, and reads the next one."""
    logged: list[dict[str, Any]] = []
    others = children()
    policies = Policies(
        lambda _: pytest.fail("nothing is loaded"), lambda *_, **fields: logged.append(fields)
    )
    with contextlib.closing(policies):
        with monkeypatch.context() as patch:
            doing(patch, lambda _: os.kill(os.getpid(), signal.SIGKILL))
            entry = policies.prepare_text(GOOD, "a test", GRPC)
        assert entry.state == LOAD_ERROR
        assert "SIGKILL" in entry.error
        assert [line["error"] for line in logged] == [entry.error]
        other = policies.prepare_text(GOOD, "a test", GRPC, enabled=False)
        assert (other.name, other.error) == ("a", "")
        policies.settled()
        assert children() == others
