"""Which sources make which BPF object."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import bpf_objects
from tools.errors import BuildError


def test_every_source_belongs_to_an_object(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A source that no object names stops the build, as does one that is not there."""
    monkeypatch.setattr(bpf_objects, "ROOT", tmp_path)
    (tmp_path / "bpf").mkdir()
    named = {source for recipe in bpf_objects.OBJECTS.values() for source in recipe.sources}
    for source in (named - {"exit.bpf.c"}) | {"forgotten.bpf.c"}:
        (tmp_path / "bpf" / source).touch()
    with pytest.raises(BuildError, match=r"exit\.bpf\.c, forgotten\.bpf\.c"):
        bpf_objects.build(tmp_path)


def test_flavours_are_objects() -> None:
    """The two flavours of the base object are made of the same sources."""
    ring, perf = bpf_objects.FLAVOURS.values()
    assert ring.sources == perf.sources
    assert ring.flags != perf.flags
    assert bpf_objects.OBJECTS.items() >= bpf_objects.FLAVOURS.items()
