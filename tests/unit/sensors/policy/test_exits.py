# SPDX-License-Identifier: Apache-2.0
"""Whether a function's return is seen at its trampoline, without a kernel."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from tetrapy.errors import KernelError
from tetrapy.kernel import features
from tetrapy.kernel.kernel_btf import Prototype
from tetrapy.sensors.policy.attached import AttachedHook
from tetrapy.sensors.policy.exits import (
    Functions,
    Taken,
    attachment_of,
    steps_at_return,
    with_exits,
)
from tetrapy.sensors.policy.hook import FENTRY, KPROBE, UPROBE
from tetrapy.sensors.policy.place import Place
from tetrapy.sensors.policy.plan import Site
from tetrapy.sensors.policy.tables import Value

PATH_KINDS = "FILE PATH DENTRY BINPRM FD BINARY HOSTS_BINARY KIOCB".split()

RETURN = Place(KPROBE, ("function",), 7, is_return=True, exits=True)


class Kernel:
    """Prepares and attaches programs, or does not, by the kind of place."""

    def __init__(self, *, loads: bool = True, attaches: bool = True) -> None:
        self._loads, self._attaches = loads, attaches
        self.functions = Functions()
        self.taken: Taken = []

    def prepare(self, place: Place) -> Any:
        if place.kind == FENTRY and not self._loads:
            raise KernelError("refused")

        def attach() -> str:
            if place.kind == FENTRY and not self._attaches:
                raise KernelError("not attached")
            return place.kind

        return attach

    def attached(self, place: Place) -> str:
        """The kind of place where it is seen in the end."""
        hook = cast(AttachedHook, SimpleNamespace(taken=self.taken))
        link: Any = attachment_of(place, self.prepare, self.functions, hook)()
        return str(link)


def test_at_the_trampoline() -> None:
    """Where the kernel has one and takes the program; else by the kretprobe."""
    assert Kernel().attached(RETURN) == FENTRY
    assert Kernel(loads=False).attached(RETURN) == KPROBE
    assert Kernel(attaches=False).attached(RETURN) == KPROBE
    for place in (
        RETURN._replace(exits=False),
        RETURN._replace(is_return=False),
        RETURN._replace(kind=UPROBE),
    ):
        kernel = Kernel()
        assert (kernel.attached(place), kernel.taken) == (place.kind, [])


def test_what_a_kprobe_overrides() -> None:
    """It is seen to return by kretprobes; one that is seen at a trampoline nobody overrides."""
    kernel = Kernel()
    overriding: Taken = []
    kernel.functions.override("function", overriding)
    assert kernel.attached(RETURN) == KPROBE
    assert kernel.attached(RETURN._replace(target=("other",))) == FENTRY
    with pytest.raises(KernelError, match="other would run all the same"):
        kernel.functions.override("other", overriding)
    kernel.functions.give_back(overriding)
    assert kernel.attached(RETURN) == FENTRY
    kernel.functions.give_back(kernel.taken)
    kernel.functions.override("function", overriding)
    kernel.functions.override("other", overriding)


def test_what_trampolines_need(monkeypatch: pytest.MonkeyPatch) -> None:
    """A prototype that returns something, in the BTF of the kernel itself, which keeps trampolines
    while somebody waits there; 64 functions at most.
    """
    prototypes = {"has": Prototype(3, returns=True), "void": Prototype(1, returns=False)}
    btf = SimpleNamespace(has_member=lambda *_: True, prototype=prototypes.get)
    machine: Any = SimpleNamespace(btf=btf)

    def sites(*names: str) -> tuple[Site, ...]:
        return tuple(Site(Place(KPROBE, (name,), 0), (name,)) for name in names)

    def exits(found: tuple[Site, ...]) -> list[tuple[bool, int]]:
        return [(site.place.exits, site.place.arguments) for site in found]

    monkeypatch.setattr(features, "FENTRY", SimpleNamespace(is_there=True))
    names = ("has", "void", "not")
    assert exits(with_exits(sites(*names), machine)) == [(True, 3), (False, 0), (False, 0)]
    many = sites(*["has"] * 65)
    assert with_exits(many, machine) == many
    btf.has_member = lambda *_: False
    assert with_exits(sites("has"), machine) == sites("has")
    monkeypatch.setattr(features, "FENTRY", SimpleNamespace(is_there=False))
    btf.has_member = lambda *_: True
    assert with_exits(sites("has"), machine) == sites("has")


def test_steps_at_return() -> None:
    """Paths are walked then, and filters of texts asked, only where something of it is returned."""
    kinds = {f"VALUE_{name}": number for number, name in enumerate(["NUMBER", *PATH_KINDS])}
    writer: Any = SimpleNamespace(kinds=kinds, value_flags={"VALUE_AT_RETURN": 4})

    def steps(*values: Value, **more: Any) -> set[str]:
        found = {"values": values, "return_texts": (), "return_searches": (), "steps": frozenset()}
        table: Any = SimpleNamespace(**{**found, **more})
        return set(steps_at_return(table, writer))

    path = Value(kinds["VALUE_FILE"], 0)
    assert steps(path, Value(kinds["VALUE_NUMBER"], 1, flags=4)) == {"STEP_VALUES"}
    assert steps(path._replace(flags=6)) == {"STEP_VALUES", "STEP_PATH", "STEP_PATH_DEEP"}
    assert steps(return_texts=("x",)) == {"STEP_VALUES", "STEP_MATCH"}
    assert steps(return_searches=("x",)) == {"STEP_VALUES", "STEP_MATCH"}
    assert steps(steps=frozenset({"STEP_ACT"})) == {"STEP_VALUES", "STEP_ACT"}
