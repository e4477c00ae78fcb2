# SPDX-License-Identifier: Apache-2.0
"""The installed command: by which Python it runs the agent, and with which words."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.fetch import ROOT

# Say how they were started, one word a line.
PYZ = "import sys\nprint('pyz', *sys.argv[1:], sep='\\n')\n"
ALONE = "#!/bin/sh\nprintf '%s\\n' alone \"$@\"\n"


@pytest.fixture(name="place")
def fixture_place(tmp_path: Path) -> Path:
    """A directory with the command, its programs in `lib`, and `bin` to be a PATH."""
    lib, binaries = tmp_path / "lib", tmp_path / "bin"
    lib.mkdir()
    binaries.mkdir()
    (lib / "tetrapy.pyz").write_text(PYZ)
    (lib / "tetrapy").write_text(ALONE)
    (lib / "tetrapy").chmod(0o755)
    text = (ROOT / "deploy/tetrapy").read_text()
    (tmp_path / "tetrapy").write_text(text.replace("/usr/local/lib/tetrapy", str(lib)))
    return tmp_path


def started(place: Path, *words: str, name: str = "tetrapy") -> list[str]:
    done = subprocess.run(
        ["/bin/sh", place / name, *words],
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": str(place / "bin")},
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def python(place: Path, text: str) -> None:
    """Let this be python3."""
    program = place / "bin/python3"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)


def test_python_that_serves(place: Path) -> None:
    """The .pyz is run, without what the host adds to Python, with the words as they are."""
    python(place, f'[ "$1" = -IS ] && exec {sys.executable} "$@"')
    assert started(place, "a b", "", "*") == ["pyz", "a b", "", "*"]


@pytest.mark.parametrize(
    "text",
    [
        None,
        "exit 1",
        "echo old >&2; exit 1",  # what 3.6 and 3.7 do
        "echo Unknown option: -I >&2; exit 2",  # Python 2
        "kill -SEGV $$",
    ],
)
def test_python_that_does_not(place: Path, text: str | None) -> None:
    """Absent, old or broken: the executable is run, and nothing is said."""
    if text is not None:
        python(place, text)
    assert started(place, "a b", "", "*") == ["alone", "a b", "", "*"]


@pytest.mark.parametrize("lacks", ["ctypes", "lzma", "zlib"])
def test_python_that_lacks_a_part(place: Path, lacks: str) -> None:
    """Debian's python3-minimal, or one that was built without a library."""
    absent = place / "absent.py"
    absent.write_text(f"import sys\nsys.modules[{lacks!r}] = None\nexec(sys.argv.pop(2), {{}})\n")
    python(place, f'shift; exec {sys.executable} -IS {absent} "$@"')
    assert started(place, "x") == ["alone", "x"]


def test_the_name_of_tetragons_client(place: Path) -> None:
    """By a link of that name the program gets it as its first word; no other name counts."""
    for name in ("tetra", "other"):
        (place / name).symlink_to("tetrapy")
    assert started(place, "status", name="tetra") == ["alone", "tetra", "status"]
    assert started(place, "status", name="other") == ["alone", "status"]


def test_pythons_of_this_machine(place: Path) -> None:
    """Real ones: 3.8 and later run the .pyz, others do not."""
    versions = sorted((Path.home() / ".pyenv/versions").glob("*/bin/python"))
    for real in versions:
        if os.access(real, os.X_OK):
            python(place, f'exec {real} "$@"')
            number = tuple(map(int, real.parts[-3].split(".")[:2]))
            assert started(place) == (["pyz"] if number >= (3, 8) else ["alone"]), real
