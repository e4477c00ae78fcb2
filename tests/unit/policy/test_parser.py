# SPDX-License-Identifier: Apache-2.0
"""TracingPolicy: YAML to objects, as the schema says."""

from __future__ import annotations

import pytest

from tests.support.policies import HEAD, kprobe, lines, read, refused, spec
from tetrapy.errors import PolicyError
from tetrapy.policy.parser import parse
from tetrapy.policy.problems import MAX_PROBLEMS, Problems
from tetrapy.policy.scalars import integer
from tetrapy.policy.types import Argument, KprobeHook, Selector

TWO = """\
apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata:
  name: "two"   # a comment
spec:
  kprobes:
  - call: "sys_write"
    message: told
    tags: [one, two]
    return: yes
    returnArg: {index: 0, type: size_t}
    args:
    - {index: 0, type: fd, label: where}
    - index: 0x1
      type: char_buf
      sizeArgIndex: 3
      returnCopy: off
    selectors:
    - matchPIDs:
      - {operator: NotIn, followForks: true, isNamespacePID: True, values: [0, 0o17, 1_0]}
      matchBinaries:
      - operator: In
        values: [/bin/cat]
  - {call: tcp_close, syscall: false}
"""


def test_fields_and_defaults() -> None:
    """What is written is there, and what is not has Tetragon's default."""
    policy = read(TWO).policy
    assert (policy.kind, policy.metadata.name) == ("TracingPolicy", "two")
    write, close = policy.spec.kprobes
    assert (write.call, write.returns, write.message, write.tags) == (
        "sys_write",
        True,
        "told",
        ("one", "two"),
    )
    assert write.return_arg is not None
    assert [(one.index, one.type) for one in (*write.args, write.return_arg)] == [
        (0, "fd"),
        (1, "char_buf"),
        (0, "size_t"),
    ]
    pids = write.selectors[0].match_pids[0]
    assert (pids.values, pids.follow_forks, pids.is_namespace_pid) == ((0, 15, 10), True, True)
    assert (write.syscall, close.syscall) == (True, False)
    assert (close.returns, close.return_arg, close.args, close.ignore) == (False, None, (), None)
    assert policy.spec.host_selector is None


def test_objects_do_not_change() -> None:
    """A policy that was checked stays what it was."""
    policy = read(TWO).policy
    hook = policy.spec.kprobes[0]
    with pytest.raises(AttributeError, match="call of a KprobeHook cannot be changed"):
        hook.call = "other"
    assert hook.replaced(call="other").call == "other"
    assert hook.call == "sys_write"
    assert hook == read(TWO).policy.spec.kprobes[0] != policy.spec.kprobes[1]
    assert len({hook, read(TWO).policy.spec.kprobes[0]}) == 1
    with pytest.raises(TypeError, match="Selector has no, or needs, "):
        Selector(label="x")
    assert "call='sys_write'" in repr(hook)
    assert Argument.parts[:2] == ("index", "type")
    assert isinstance(hook, KprobeHook)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (spec("  probes: []"), '5:3: spec.probes: "probes" is no field of spec; did you mean'),
        (
            kprobe(", selectors: [{matchArg: []}]"),
            (
                '6:75: spec.kprobes[0].selectors[0].matchArg: "matchArg" is no field of'
                " spec.kprobes[0].selectors[0]; did you mean matchArgs? One of label, "
            ),
        ),
        (HEAD + "  loader: true\nspec: {}", '6:1: spec: "spec" is there a second time, first in'),
        (
            spec("  kprobes:\n  - call: f\n    call: g\n"),
            '7:5: spec.kprobes[0].call: "call" is there a second time, first in line 6; remove one',
        ),
        (spec("  kprobes:\n  - syscall: true"), "6:5: spec.kprobes[0].call: is missing: Name of"),
        (spec("  kprobes: {}"), "5:12: spec.kprobes: is a mapping; a list is expected"),
        (spec("  kprobes: f"), '5:12: spec.kprobes: is the text "f"; a list is expected'),
        (spec("  kprobes: [f]"), '5:13: spec.kprobes[0]: is the text "f"; a mapping of names to'),
        (
            spec("  kprobes: [{call: 7}]"),
            (
                '5:20: spec.kprobes[0].call: is the number "7"; a text is expected: write it in'
                ' quotes, "7"'
            ),
        ),
        (spec("  kprobes: [{call: yes}]"), '5:20: spec.kprobes[0].call: is the boolean "yes"; a t'),
        (spec("  kprobes: [{call: [a]}]"), "5:20: spec.kprobes[0].call: is a list; a text is"),
        (spec("  kprobes: [{call: ~}]"), "5:13: spec.kprobes[0].call: is missing: "),
        (spec("  loader: 1"), '5:11: spec.loader: is the number "1"; true or false is expected'),
        (spec('  loader: "true"'), '5:11: spec.loader: is the text "true"; true or false is'),
        (
            kprobe(", args: [{index: -1}]").replace("args: [{index: 0, type: int}], ", ""),
            (
                '6:46: spec.kprobes[0].args[0].index: is the number "-1"; a whole number from 0 to'
                " 4294967295 is expected"
            ),
        ),
        (kprobe(kind="integer"), '6:55: spec.kprobes[0].args[0].type: is "integer"; one of auto, '),
        (kprobe(kind="Int"), '6:55: spec.kprobes[0].args[0].type: is "Int"; did you mean int? One'),
        (kprobe(", tags: [" + "aa," * 17 + "]"), "6:68: spec.kprobes[0].tags: has 17 elements; at"),
        (
            spec("  options: [{name: a, value: 1.5}]"),
            '5:30: spec.options[0].value: is the decimal "1.5"; a text is expected',
        ),
        (
            spec("  podSelector: {matchLabels: {a: 'b c'}}"),
            '5:34: spec.podSelector.matchLabels.a: is "b c", which is no such name: ',
        ),
        ("kind: Pod\nfoo: 1", '1:7: kind: is "Pod"; one of TracingPolicy, TracingPolicyNamespaced'),
        ("a: 1", '1:1: a: "a" is no field of the document; one of apiVersion, kind, metadata, sp'),
        ("[]", "1:1: is a list; a mapping of names to values is expected"),
        ("", "1:1: the document is empty; a TracingPolicy is expected"),
        ("---\n# nothing\n", "1:1: the document is empty; a TracingPolicy is expected"),
        ("a: [", "1:5: no YAML: "),
        ("a: 'b", "1:6: no YAML: "),
        ("a: \x01", "1:4: no YAML: a character that YAML does not allow, '\\x01'"),
        ("a: b\udcff", "1:5: no YAML: the byte 0xff, which is no UTF-8"),
        ("a: *b", "1:4: no YAML: found undefined alias"),
        ('a: "\\UFFFFFFFF"', "1:1: no YAML: "),
        (HEAD.replace("{name: a}", "{name: A_b}") + "  {}", '3:18: metadata.name: is "A_b", which'),
        (
            HEAD.replace("{name: a}", "{nam: a}") + "  {}",
            '3:12: metadata.nam: "nam" is no field of',
        ),
        (HEAD + "  {}\n---\n" + HEAD + "  {}", "7:1: a second policy begins; one is expected"),
        (
            spec('  options: [{name: "\\ud800"}]'),
            "5:20: spec.options[0].name: holds half of a surr",
        ),
        (
            spec("  options: [{name: !x y}]"),
            '5:20: spec.options[0].name: the tag "!x" is not known',
        ),
        (spec("  ? [a]\n  : b"), "5:5: spec: a key must be a text, not a list or mapping"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    """The place, what was found and what is expected are reported."""
    assert [line for line in lines(text) if line.startswith(message)], lines(text)


def test_all_mistakes_are_reported_in_order() -> None:
    """Not only the first."""
    text = "spec:\n  x: 1\n  loader: 2\nkind: TracingPolicy\ny: 3\n"
    assert [problem.path for problem in refused(text)] == ["metadata", "spec.x", "spec.loader", "y"]


@pytest.mark.slow
def test_many_mistakes_are_not_all_reported() -> None:
    """There is a bound, and it says so."""
    found = lines(spec("  loader: 1\n" + "".join(f"  x{number}: 1\n" for number in range(100))))
    assert len(found) == MAX_PROBLEMS + 1
    assert found[-1].endswith("there may be more; mend these first")


@pytest.mark.parametrize(
    "rest",
    ["\n---\n", "\n---\n# nothing\n---\n", "\n...\n", "\n---\nkind: Pod\nspec: {a: b}\n"],
)
def test_documents_that_are_no_policy(rest: str) -> None:
    """Empty ones, and those of other kinds, as a file for kubectl may have."""
    assert read(TWO + rest).policy == read(TWO).policy
    assert read("kind: Pod\n---\n" + TWO).policy == read(TWO).policy


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1:5", "1:5"),
        ("0o8", "0o8"),
        ("2001-01-01", "2001-01-01"),
        ("'7'", "7"),
        ("!!str 7", "7"),
        ("y", "y"),
        ("=", "="),
        ("|\n      a\n      b\n", "a\nb\n"),
        ('"a\\0"', "a\0"),
        ("1.2.3", "1.2.3"),
        ("0x", "0x"),
    ],
)
def test_texts(text: str, value: str) -> None:
    """What Tetragon's YAML library takes for a text is one here."""
    policy = parse(spec(f"  options:\n  - name: {text}"), Problems())
    assert policy.spec.options[0].name == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7),
        ("-7", -7),
        ("+7", 7),
        ("0x1F", 31),
        ("-0x1f", -31),
        ("017", 15),
        ("0o17", 15),
        ("0b11", 3),
        ("1_000", 1000),
        ("0", 0),
        ("00", 0),
        ("08", None),
        ("0x", None),
        ("", None),
        ("-", None),
        ("1.0", None),
        ("1e3", None),
        ("\u0661", None),
        ("9" * 100, None),
        ("7\n", None),
        (" 7", None),
    ],
)
def test_integers(text: str, value: int | None) -> None:
    """Go's notations of any base."""
    assert integer(text) == value


def test_anchors_and_merges() -> None:
    """An alias stands for what it names; << adds what is not written."""
    text = spec(
        "  kprobes:\n"
        "  - &base {call: f, syscall: false, message: hello, args: &args [{index: 0, type: int}]}\n"
        "  - {<<: *base, call: g}\n"
        "  - {call: h, args: *args}\n"
        "  - {<<: [{call: x}, *base]}\n"
    )
    hooks = read(text).policy.spec.kprobes
    assert [(hook.call, hook.message, hook.syscall) for hook in hooks] == [
        ("f", "hello", False),
        ("g", "hello", False),
        ("h", "", True),
        ("x", "hello", False),
    ]
    assert hooks[0].args == hooks[1].args == hooks[2].args


@pytest.mark.parametrize("text", ["  <<: 1", "  <<: [[]]", "  &a\n  <<: *a"])
def test_merges_of_what_is_no_mapping(text: str) -> None:
    """Nor of itself."""
    assert any("<< takes mappings" in line for line in lines(spec(text)))


def test_a_mistake_in_a_key_is_shown_as_text() -> None:
    """What would not be seen is escaped, and what is long is cut."""
    (problem,) = refused(spec('  "a\\u202eb": 1'))
    assert problem.path == "spec.a\\u202eb"
    (problem,) = refused(spec(f"  {'k' * 500}: 1"))
    assert len(problem.path) < 80
    assert len(problem.message) < 800


@pytest.mark.slow
def test_too_much() -> None:
    """Deep nesting, many nodes, and few nodes that aliases make many."""
    deep = spec("  kprobes: " + "[" * 200_000)
    assert any("nested deeper than 64 levels" in line for line in lines(deep))
    many = spec("  options: [" + "{name: a}," * 30_000 + "]")
    assert any("more than 50000 values" in line for line in lines(many))
    values = ", ".join(["v"] * 1000)
    entry = f"{{operator: In, values: &v [{values}]}}"
    alias = "{operator: In, values: *v}"
    hooks = "".join(
        f"  - {{call: f, selectors: [{{matchBinaries: [{alias}]}}]}}\n" for _ in range(900)
    )
    bomb = spec(f"  kprobes:\n  - {{call: f, selectors: [{{matchBinaries: [{entry}]}}]}}\n{hooks}")
    with pytest.raises(PolicyError, match="more than 200000 values"):
        read(bomb)


@pytest.mark.slow
def test_macros_make_few_values_many() -> None:
    """What each selector adds is counted, too."""
    values = ", ".join(f"v{number}" for number in range(20_000))
    hooks = "  - {call: f, selectors: [" + "{macros: [m]}," * 5 + "]}\n"
    text = spec(
        f"  selectorsMacros:\n    m: {{matchBinaries: [{{operator: In, values: [{values}]}}]}}\n"
        "  kprobes:\n" + hooks * 50
    )
    with pytest.raises(PolicyError, match="more than 200000 values"):
        read(text)
