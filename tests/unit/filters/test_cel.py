# SPDX-License-Identifier: Apache-2.0
"""The field `cel_expression`."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.filter_events import (
    EVERYTHING,
    THROTTLE,
    TIME,
    capabilities,
    executed,
    exited,
    listed,
    process,
)
from tetrapy.errors import SettingsError
from tetrapy.events.rate_limit import RateLimitInfo
from tetrapy.filters.cel import expression as expression_module
from tetrapy.filters.cel import library
from tetrapy.filters.cel.checker import check
from tetrapy.filters.cel.functions import FUNCTIONS, METHODS
from tetrapy.filters.cel.library import parse
from tetrapy.filters.excess import excess
from tetrapy.filters.lists import parse_list
from tetrapy.filters.regex.budget import Budget

INIT = process("/sbin/init", pid=1)
CURL = process(
    "/usr/bin/curl",
    "-k https://host/",
    pid=7,
    parent=INIT,
    capabilities=capabilities(1 << 21, 1 << 21),
    user="root",
    environment=(("A", "b"),),
)
EXEC = executed(CURL, INIT)
EXIT = exited(CURL, code=0x100)


def holds(event: Any, *expressions: str) -> bool:
    """Whether a filter with these expressions holds for the event."""
    return listed(json.dumps({"cel_expression": expressions})).matches(event)


@pytest.mark.parametrize(
    "expression",
    [
        "process_exec.process.pid == 7u",
        "process_exec.process.pid > uint(6) && process_exec.process.uid == 0u",
        "process_exec.process.binary.startsWith('/usr')",
        "process_exec.process.binary in ['/bin/sh', '/usr/bin/curl']",
        "process_exec.process.arguments.contains('https') || false",
        "process_exec.process.arguments.matches('^-k\\\\s[[:alpha:]]+://')",
        "matches(process_exec.process.arguments, r'\\Qhttps://\\E')",
        "size(process_exec.process.arguments) == 16",
        "process_exec.process.binary.size() > 1 ? true : false",
        "process_exec.parent.binary.endsWith('init')",
        "has(process_exec.parent) && !has(process_exec.parent.pod)",
        "process_exec.ancestors.exists(a, a.pid == 1u)",
        "process_exec.ancestors.all(a, a.binary != '')",
        "process_exec.ancestors.filter(a, a.pid == 1u).size() == 1",
        "process_exec.ancestors.map(a, a.pid) == [1u]",
        "process_exec.ancestors[0].binary == '/sbin/init'",
        "process_exec.process.cap.effective.exists(c, c == 21)",
        "process_exec.process.user.name == 'root'",
        "process_exec.process.environment_variables[0].Key == 'A'",
        "process_exec.process.in_init_tree == false",
        "process_exec.process.start_time > timestamp('2025-01-01T00:00:00Z')",
        "process_exec.process.start_time.getFullYear() == 2026",
        # Unset fields have their types' defaults, unset wrappers are null.
        "process_exec.process.pod.name == '' && process_exec.process.pod.pod_labels.size() == 0",
        "process_exec.process.refcnt == 0u",
        "process_exec.process.binary_properties.setuid == null",
        "process_exec.process.binary_properties.setuid != 0u",
        "!has(process_exec.process.binary_properties.setuid)",
        "process_exec.process.process_credentials.user_ns.ns.inum == 0u",
        # A mistake in the branch that does not count is none.
        "true || process_exec.process.binary_properties.setuid > 1u",
        "has(process_exec.process) && process_exec.process.pid == 7u || process_exit.status == 0u",
        "cidr('10.0.0.0/16').containsIP('10.0.2.21') && has(process_exec.process)",
        "ip('2001:db8::1').family() == 6 && has(process_exec.process)",
        "!ip('192.168.0.1').isLoopback() && has(process_exec.process)",
        "isIP('::1') && !isIP('x') && !isCIDR('x') && has(process_exec.process)",
        "cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16') && has(process_exec.process)",
        "cidr('10.0.0.9/8').masked().ip() == ip('10.0.0.0') && has(process_exec.process)",
        "ip('10.0.0.1').isGlobalUnicast() && has(process_exec.process)",
        "ip('169.254.0.1').isLinkLocalUnicast() && has(process_exec.process)",
        "ip('224.0.0.1').isLinkLocalMulticast() && has(process_exec.process)",
        "cidr('10.0.0.0/8').prefixLength() == 8 && has(process_exec.process)",
    ],
)
def test_an_expression_holds_for_an_exec(expression: str) -> None:
    """And, negated, does not."""
    assert holds(EXEC, expression)
    assert not holds(EXEC, f"!({expression})")


def test_other_events_are_messages_too() -> None:
    """Exit, throttle, and their enums and large numbers."""
    assert holds(EXIT, "process_exit.status == 1u && process_exit.signal == ''")
    assert holds(EXIT, "process_exit.time > process_exit.process.start_time - duration('1s')")
    assert holds(THROTTLE, "process_throttle.type == 1 && process_throttle.cgroup != ''")
    dropped = RateLimitInfo(2**40, TIME)
    assert holds(dropped, "rate_limit_info.number_of_dropped_process_events > 1099511627775u")


def test_an_expression_is_asked_about_events_that_it_mentions() -> None:
    """One that mentions none never holds (as in Tetragon)."""
    assert not holds(EXIT, "process_exec.process.pid == 7u")
    assert not holds(EXIT, "process_exec.process.pid != 7u")
    assert not holds(EXEC, "true")
    assert not holds(EXEC, "process_kprobe.args[0].sock_arg.saddr == '10.0.0.1'")
    both = "process_exec.process.pid == 7u || process_exit.process.pid == 7u"
    assert holds(EXEC, both)
    assert holds(EXIT, both)


def test_expressions_are_alternatives_until_one_cannot_be_evaluated() -> None:
    """An error ends the search, and does not hold (as in Tetragon)."""
    yes = "process_exec.process.pid == 7u"
    fails = "process_exec.ancestors[7].pid == 7u"
    assert holds(EXEC, "process_exec.process.pid == 8u", yes)
    assert holds(EXEC, yes, fails)
    assert not holds(EXEC, fails, yes)
    assert not holds(EXEC, f"!({fails})")
    assert not holds(
        EXEC, "process_exec.process.binary.matches(process_exec.process.arguments + '(')"
    )


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("process_exec.process.bad_field == 'a'", "Process has no field bad_field"),
        ("process_exec.ancestors.exists(a, a.pidd == 1u)", "Process has no field pidd"),
        ("process_exec.process.binary.x == ''", "a value of type string has no field x"),
        ("proces_exec.process.pid == 1u", "proces_exec is not known"),
        ("process_exec.process.pid > 1", "compares a uint and a int; 1u is a uint"),
        ("process_exec.process.binary == 1u", "compares a string and a uint"),
        ("process_exec.process.binary + 1 == ''", "adds a string and a int"),
        ("process_exec.process.binary", "it gives string, not true or false"),
        ("1 + 1", "it gives int"),
        ("process_exec", "it gives ProcessExec"),
        ("process_exec.process.pid && true", "for conditions, not for a uint"),
        ("!process_exec.process.pid", "! is for a condition"),
        ("process_exec.process.pid ? true : false", "for conditions"),
        ("process_exec.process.binary.matches('(?=a)')", "RE2 has no look-ahead"),
        ("matches('a', r'\\1')", "back-reference"),
        ("process_exec.process.pid.startsWith('a')", "startsWith() is for a string"),
        ("process_exec.process.binary.starts('a')", "there is no method starts()"),
        ("lower(process_exec.process.binary) == ''", "there is no function lower()"),
        ("process_exec.process.binary.all(a, true)", "all() goes through a list"),
        ("process_exec.ancestors.all(a)", "takes a variable and an expression"),
        ("process_exec.ancestors.all(a.b, true)", "is a variable's name"),
        ("process_exec.ancestors.exists(a, a.binary)", "takes a condition, not a string"),
        ("process_exec.ancestors['a'].pid == 1u", "no index of type string"),
        ("Process{pid: 1u} == process_exec.process", "member_object is not supported"),
        ("process_exec.process.pid ==", "does not parse at"),
        ("process_exec @", "does not parse at"),
        ("", "does not parse"),
        ("(" * 3000, "does not parse"),
        ("[1].map(1, 2) == [1]", "is a variable's name"),
        *(
            (f"process_exec.process.start_time.{hours}('{zone}') == 1", f'time zone "{zone}"')
            for hours, zone in [("getHours", "Mars/X"), ("getDate", "+1:2"), ("getMonth", "../x")]
        ),
    ],
)
def test_a_mistake_is_found_at_start(expression: str, said: str) -> None:
    """The error names list, line, expression and what is wrong."""
    with pytest.raises(SettingsError) as info:
        holds(EXEC, expression)
    assert str(info.value).startswith('export-allowlist, line 1: "cel_expression": ')
    assert said in str(info.value)


def test_a_result_is_remembered_by_what_the_expression_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Events that differ elsewhere are not evaluated again; the memory is bounded."""
    made = expression_module._Expression(
        "process_exec.process.binary.endsWith('curl')", listed_place()
    )
    real, count = made._evaluate, []
    made._evaluate = lambda *args: count.append(1) or real(*args)
    monkeypatch.setattr(expression_module, "_REMEMBERED", 2)
    assert made.holds(EXEC, Budget())
    assert made.holds(executed(process("/usr/bin/curl", pid=8)), Budget())
    assert len(count) == 1
    for number in range(5):
        assert made.holds(executed(process(f"/{number}")), Budget()) is False
    assert len(count) == 6
    assert len(made._known) <= 2
    long = executed(process("/" + "x" * 2000 + "/curl"))
    assert made.holds(long, Budget())
    assert made.holds(long, Budget())
    assert len(count) == 7
    assert all(len(value) < 300 for _, value in made._known)


MANY = tuple((f"NAME{number}", "value") for number in range(20_000))
CROWD = executed(process(environment=MANY, arguments="1" * 250_000))
ENVIRONMENT = "process_exec.process.environment_variables"
ARGUMENTS = "process_exec.process.arguments"


@pytest.mark.parametrize(
    "expression",
    [
        f"{ENVIRONMENT}.exists(v, v.Key == 'OTHER')",
        f"{ENVIRONMENT}.all(v, {ENVIRONMENT}.exists(w, w.Key == v.Key))",
        f"!{ENVIRONMENT}.exists(v, v.Key == 'NAME1') || true",
        f"{ENVIRONMENT}[0].Key.matches({ARGUMENTS})",
        f"({ARGUMENTS} + {ARGUMENTS} + {ARGUMENTS}).matches('(1+)+$')",
        f"['a', 'b'].all(x, ({ARGUMENTS} + x + {ARGUMENTS}).matches('(1+)+2'))",
        f"'x'.matches({ARGUMENTS}.size() > 5 ? '1{{5}}' + {ENVIRONMENT}[0].Key : 'x')",
    ],
)
def test_what_would_cost_too_much_is_the_lists_to_decide(expression: str) -> None:
    """It holds in an allow list and does not in a deny list, and is counted."""
    text = json.dumps({"cel_expression": [expression]})
    for in_doubt in (True, False):
        before = excess.counts.get("some-list", 0)
        made = parse_list(text, "some-list", EVERYTHING, in_doubt)
        assert made is not None
        assert made.matches(CROWD) is in_doubt
        assert excess.counts["some-list"] == before + 1


@pytest.mark.parametrize("convert", ["int", "uint", "double", "timestamp", "duration"])
def test_a_long_text_is_no_number(convert: str) -> None:
    """Some conversions take the square of its length; it cannot be evaluated instead."""
    assert not holds(CROWD, f"{convert}({ARGUMENTS}) == {convert}({ARGUMENTS})")
    short = executed(process(arguments="12"))
    assert holds(short, f"int({ARGUMENTS}) == 12 && double({ARGUMENTS}) == 12.0")


def test_only_what_is_read_is_made_a_value() -> None:
    """An expression about something else is answered for a process with many variables."""
    assert holds(CROWD, "process_exec.process.binary == '/usr/bin/id'")
    assert holds(CROWD, f"{ARGUMENTS}.contains('11') && !{ARGUMENTS}.contains('2')")


def listed_place() -> Any:
    """A place for errors."""
    from tetrapy.filters.json_objects import Place

    return Place("export-allowlist", 1)


def test_without_the_library_an_expression_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names what is missing; other filters work."""
    monkeypatch.setitem(sys.modules, "celpy.celparser", None)
    monkeypatch.delitem(sys.modules, "tetrapy.filters.cel.library")
    monkeypatch.delattr("tetrapy.filters.cel.library")
    with pytest.raises(SettingsError, match="needs cel-python"):
        holds(EXEC, "process_exec.process.pid == 7u")
    assert listed('{"pid":[7]}').matches(EXEC)


@pytest.mark.parametrize("kind", [ImportError, OSError, MemoryError, Warning, NotImplementedError])
def test_whatever_an_evaluation_raises_it_does_not_hold(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Time zones are read from the host by others' code; no kind of exception ends the agent."""

    def fail(_name: str) -> None:
        raise kind("of others")

    expression = "process_exec.process.start_time.getHours(process_exec.process.binary) >= 0"
    assert not holds(EXEC, expression)
    assert holds(EXEC, "process_exec.process.start_time.getHours('+02:00') >= 0")
    monkeypatch.setattr(library.TimestampType, "tz_parse", staticmethod(fail))
    assert not holds(executed(process("/x")), expression)
    with pytest.raises(SettingsError, match='time zone "UTC" is not known on this host'):
        holds(EXEC, "process_exec.process.start_time.getHours('UTC') >= 0")


expressions = st.recursive(
    st.sampled_from(
        "process_exec process_exec.process process_exec.process.pid process_exec.ancestors a 1 1u"
        " 'x' true null process_exit.status process_exec.process.binary"
        " 'a/b' '1h' '2020-01-01T00:00:00Z' '10.0.0.0/8' '::1' b'\\xff' -1 1e999 [] {1:2}"
        " process_exec.process.start_time 9223372036854775807 1970000000000".split()
    ),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("== != < + && || in / %".split()), inner).map(" ".join),
        inner.map("!({})".format),
        inner.map("has({})".format),
        inner.map("size({})".format),
        st.tuples(st.sampled_from([*FUNCTIONS]), inner).map("{0[0]}({0[1]})".format),
        st.tuples(inner, st.sampled_from([*METHODS]), inner).map("{0[0]}.{0[1]}({0[2]})".format),
        st.tuples(inner, st.sampled_from([*METHODS])).map("{0[0]}.{0[1]}()".format),
        st.tuples(inner, inner).map("{0[0]}.exists(a, {0[1]})".format),
        st.tuples(inner, inner).map("({0[0]})[{0[1]}]".format),
    ),
    max_leaves=6,
)


@given(expressions | st.text("process_exec.()[]'\"<>=!&|?:+-*/%,1u ", max_size=20))
def test_any_expression_is_a_condition_or_an_error_of_ours(expression: str) -> None:
    """Nothing but SettingsError leaves the checker, and nothing at all the evaluation."""
    try:
        check(parse(expression))
    except SettingsError:
        return
    holds(EXEC, expression)
    holds(EXIT, expression)
