# SPDX-License-Identifier: Apache-2.0
"""Any bytes in any source: settings come out, or a SettingsError."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from tetrapy.config.settings import SETTINGS, not_yet
from tetrapy.config.sources import read
from tetrapy.config.table import BY_NAME
from tetrapy.config.values import show
from tetrapy.errors import SettingsError

pytestmark = pytest.mark.slow

NAMES = sorted(BY_NAME)
ETC = "etc/tetrapy/tetrapy.conf.d"
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12), st.dates()
)
DATA = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SCALARS, inner, max_size=3)
)
# What surrounds values in a YAML file, so that random texts are often YAML.
MARKS = st.sampled_from(
    [*NAMES, ": ", "\n", "- ", "[", "]", "{", "}", "&a ", "*a", "!!int ", "|", "'"]
)


def attempt(files: dict[str, bytes]) -> None:
    """Read settings from these files; whatever comes out can be shown."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        try:
            settings = read([], {}, directory)
        except SettingsError:
            return
    values = settings.items()
    assert set(values) == {setting.name for setting in SETTINGS}
    for setting in SETTINGS:
        assert isinstance(show(setting, values[setting.name]), str)
        assert settings.source(setting.name)
    assert all(isinstance(sentence, str) for sentence in not_yet(settings))


@given(st.sampled_from(NAMES), st.binary(max_size=40))
@example("export-file-perm", b"\xff")
@example("config-dir", b"a\0b")
@example("config-dir", b"\xff")
def test_any_bytes_in_a_drop_in(name: str, content: bytes) -> None:
    """Of every setting."""
    attempt({f"{ETC}/{name}": content})


@given(st.binary(min_size=1, max_size=40), st.binary(max_size=4))
def test_any_name_of_a_drop_in(name: bytes, content: bytes) -> None:
    """Whatever a file system can name."""
    text = name.replace(b"/", b"_").replace(b"\0", b"_").decode("utf-8", "surrogateescape")
    if text not in {".", ".."}:
        attempt({f"{ETC}/{text}": content})


@given(st.binary(max_size=200))
def test_any_bytes_for_yaml(content: bytes) -> None:
    """Most of them are none."""
    attempt({"etc/tetrapy/tetrapy.yaml": content})


@given(st.lists(MARKS | st.text(max_size=5), max_size=20))
@example(["- ", "!!int ", "x"])
@example(["{", "{", "}", ": ", "x", "}"])
def test_texts_that_are_nearly_yaml(pieces: list[str]) -> None:
    """Marks of YAML in any order."""
    attempt({"etc/tetrapy/tetrapy.yaml": "".join(pieces).encode("utf-8", "replace")})


@given(st.dictionaries(st.sampled_from(NAMES) | SCALARS, DATA, max_size=4))
def test_any_data_in_yaml(data: dict[object, object]) -> None:
    """Every kind of value for every setting."""
    attempt({"etc/tetrapy/tetrapy.yaml": yaml.safe_dump(data, allow_unicode=True).encode()})


@given(
    st.dictionaries(
        st.sampled_from([setting.variable for setting in SETTINGS])
        | st.text(max_size=6).map("TETRAPY_{}".format),
        st.text(max_size=12),
        max_size=4,
    )
)
def test_any_variables(environment: dict[str, str]) -> None:
    """Of every name and value."""
    try:
        settings = read([], environment, "/nowhere")
    except SettingsError:
        return
    assert set(settings.items()) == {setting.name for setting in SETTINGS}
