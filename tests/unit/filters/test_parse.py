# SPDX-License-Identifier: Apache-2.0
"""Allow and deny lists: out of text, and what their errors say."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.filter_events import EVERYTHING, executed, listed, process
from tetrapy.errors import SettingsError
from tetrapy.filters.lists import Abilities, list_of, parse_list
from tetrapy.filters.message import FIELDS

ID = executed(process("/usr/bin/id"))
LS = executed(process("/usr/bin/ls"))


@pytest.mark.parametrize("between", ["\n", "\r\n\n", " ", ""])
def test_objects_follow_each_other_with_or_without_line_ends(between: str) -> None:
    """As Go's decoder reads them."""
    objects = ['{"binary_regex":["id$"]}', '{"binary_regex":["ls$"]}', '{"pid":[7]}']
    made = listed(between.join(objects) + between)
    assert len(made.filters) == 3
    assert made.matches(ID)
    assert made.matches(LS)


@pytest.mark.parametrize("text", ["", "\n", " \n\t\n"])
def test_an_empty_text_is_no_list(text: str) -> None:
    """So everything passes."""
    assert parse_list(text, "export-allowlist", EVERYTHING) is None


def test_both_spellings_of_a_field_are_known() -> None:
    """snake_case and camelCase, for each of the 20 fields."""
    assert len(FIELDS) == 20
    for name in FIELDS:
        first, *rest = name.split("_")
        camel = first + "".join(map(str.title, rest))
        assert listed(json.dumps({name: None})).matches(ID)
        assert listed(json.dumps({camel: None})).matches(ID)


def test_an_empty_list_or_null_is_no_condition() -> None:
    """As protojson has it: the field is unset."""
    assert listed('{"binary_regex":[],"pid":null,"in_init_tree":null}').matches(ID)


def test_numbers_and_names_of_enums_are_known() -> None:
    """protojson takes both, and numbers as strings."""
    assert listed('{"event_set":[1]}').matches(ID)
    assert listed('{"event_set":["PROCESS_EXEC"],"pid":["100", 1e2]}').matches(ID)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"pid":[1]}\n\n{"binary_regexp":["a"]}', 'line 3: there is no field "binary_regexp"'),
        ('{"binary_regex":["a("]}', 'line 1: "binary_regex": the regular expression "a("'),
        ('{"pod_regex":["a("]}', '"pod_regex": the regular expression'),
        ('{"namespace_regex":["a("]}', '"namespace_regex": the regular expression'),
        ('{"container_name_regex":["a("]}', '"container_name_regex": the regular expression'),
        ('{"event_set":["EXEC"]}', '"event_set": "EXEC" is no event type, such as PROCESS_EXEC'),
        ('{"event_set":[2]}', '"event_set": 2 is no event type'),
        ('{"event_set":"PROCESS_EXEC"}', '"event_set" is a list'),
        ('{"binary_regex":"a"}', '"binary_regex" is a list of strings, not "a"'),
        ('{"binary_regex":[1]}', '"binary_regex" is a list of strings'),
        ('{"pid":7}', '"pid" is a list of process ids, not 7'),
        ('{"pid":[-1]}', '"pid": -1 is no process id'),
        ('{"pid":[4294967296]}', "is no process id"),
        ('{"pid":[true]}', "is no process id"),
        ('{"pid":[1.5]}', "is no process id"),
        ('{"health_check":"yes"}', '"health_check" is true or false'),
        ('{"binary_regex":["a"],"binaryRegex":["b"]}', '"binary_regex" is given twice'),
        ('{"pid":[1],"pid":[2]}', '"pid" stands twice'),
        ('{"capabilities":{"effective":{"any":["CAP_X"]}}}', '"CAP_X" is no capability'),
        ('{"capabilities":{"effective":{}}}', "exactly one of any, all, exactly and none"),
        (
            '{"capabilities":{"effective":{"any":[1],"all":[1]}}}',
            '"capabilities.effective" has exactly one of any, all, exactly and none, not any, all',
        ),
        ('{"capabilities":{"ambient":{}}}', 'there is no field "ambient"'),
        ('{"capabilities":[]}', '"capabilities" is an object'),
        ('[{"pid":[1]}]', "is not the start of a JSON object"),
        ('{"pid":[1]},{"pid":[2]}', "is not the start of a JSON object"),
        ('{"pid":[1]}\n{"pid":', "line 2: this is not JSON"),
        ('{"pid":[NaN]}', "NaN is no number of JSON"),
        ('{"labels":' + "[" * 100_000, "nested too deep"),
    ],
)
def test_errors_name_the_list_the_line_and_what_is_wrong(text: str, said: str) -> None:
    """Nothing of a list with a mistake is used."""
    with pytest.raises(SettingsError) as info:
        parse_list(text, "export-denylist", EVERYTHING)
    assert str(info.value).startswith("export-denylist, line ")
    assert said in str(info.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"capabilities":{"effective":{"any":["CAP_BPF"]}}}', "needs enable-process-cred"),
        ('{"pid_set":[1]}', "enable-pid-set-filter allows it"),
        ('{"ancestor_binary_regex":["a"]}', "needs enable-ancestors for PROCESS_EXEC, PROCESS_"),
        (
            '{"ancestor_binary_regex":["a"],"event_set":["PROCESS_EXIT","PROCESS_THROTTLE"]}',
            "needs enable-ancestors for PROCESS_EXIT, PROCESS_THROTTLE;",
        ),
    ],
)
def test_what_other_settings_must_allow_is_refused_without(text: str, said: str) -> None:
    """The error names the setting."""
    with pytest.raises(SettingsError, match=said):
        parse_list(text, "export-allowlist", Abilities())


def test_ancestors_are_needed_for_the_named_events_only() -> None:
    """A filter on exec and exit does not ask for the ancestors of kprobes."""
    text = '{"ancestor_binary_regex":["init$"],"event_set":["PROCESS_EXEC","PROCESS_EXIT"]}'
    made = listed(text)
    init = process("/sbin/init", pid=1)
    assert made.matches(executed(process(), process("/bin/sh"), init))
    assert not made.matches(executed(process("/sbin/init")))


def test_a_subscriber_brings_objects() -> None:
    """Lists that are no text make the same filters; errors name their source only."""
    made = list_of([{"binary_regex": ["id$"]}], "allow_list", EVERYTHING)
    assert made is not None
    assert made.matches(ID)
    assert list_of([], "allow_list", EVERYTHING) is None
    with pytest.raises(SettingsError, match=r'^deny_list: there is no field "x"'):
        list_of([{"x": 1}], "deny_list", EVERYTHING)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
names = st.sampled_from([*FIELDS, "binaryRegex", "any", "effective"]) | st.text(max_size=6)


@pytest.mark.slow
@given(st.dictionaries(names, json_values, max_size=3))
def test_any_object_is_a_filter_or_an_error_of_ours(value: dict[str, object]) -> None:
    """Nothing but SettingsError leaves the parser, and what it takes can be asked."""
    try:
        made = parse_list(json.dumps(value), "export-allowlist", EVERYTHING)
    except SettingsError:
        return
    assert made is not None
    made.matches(ID)


@given(st.text('{}[]":,\\ \ntruefalsenull019.pid_"', max_size=40))
def test_any_text_is_a_list_or_an_error_of_ours(text: str) -> None:
    """As above, of text."""
    with contextlib.suppress(SettingsError):
        parse_list(text, "export-allowlist", EVERYTHING)
