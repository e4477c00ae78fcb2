# SPDX-License-Identifier: Apache-2.0
"""The rules of tests/conftest.py, seen from outside: a small tree of tests is run with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

pytestmark = pytest.mark.slow

CONFTEST = ROOT / "tests/conftest.py"
ONE_SKIP = 'import pytest\n\ndef test_it():\n    pytest.skip("no moon tonight")\n'
MODULE_SKIP = 'import pytest\n\npytest.skip("no moon tonight", allow_module_level=True)\n'
XFAIL = "import pytest\n\n@pytest.mark.xfail\ndef test_it():\n    assert False\n"


def outcome(
    tree: Path, path: str, source: str, *options: str, **environment: str
) -> tuple[int, str]:
    """Run one test file below tests/ of a new tree; pytest's exit code and output."""
    place = tree / "tests" / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(source)
    (tree / "pytest.ini").write_text(
        "[pytest]\nmarkers =\n  root\n  kernel\n  pyz\n  vm\n  alone\n"
    )
    shutil.copy(CONFTEST, tree / "tests/conftest.py")
    clean = {k: v for k, v in os.environ.items() if k not in {"CI", "TETRAPY_CI"}}
    clean["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rsfE", "-p", "no:cacheprovider", *options, "tests"],
        cwd=tree,
        env={**clean, **environment},
        check=False,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


# How tests are run: in one process, and as `make test` does.
MANY = ("-p", "xdist", "-n2", "--no-loadscope-reorder")
WAYS = pytest.mark.parametrize("options", [(), MANY], ids=["one", "many"])


@WAYS
@pytest.mark.parametrize("source", [ONE_SKIP, MODULE_SKIP], ids=["test", "module"])
@pytest.mark.parametrize("variable", [{"CI": "true"}, {"TETRAPY_CI": "1"}], ids=["CI", "TETRAPY"])
def test_a_skip_fails_in_ci(
    tmp_path: Path, source: str, variable: dict[str, str], options: tuple[str, ...]
) -> None:
    """A skip that no one expects is a failure in CI, and its reason is still reported."""
    code, output = outcome(tmp_path, "unit/test_it.py", source, *options, **variable)
    assert code != 0
    assert "no moon tonight" in output
    assert "EXPECTED_SKIPS" in output


@WAYS
def test_a_skip_is_a_skip_elsewhere(tmp_path: Path, options: tuple[str, ...]) -> None:
    """On a developer's machine a skip is reported with its reason and harms nothing."""
    code, output = outcome(tmp_path, "unit/test_it.py", ONE_SKIP, *options)
    assert code == 0
    assert "1 skipped" in output
    assert "no moon tonight" in output


def test_an_expected_failure_is_no_skip(tmp_path: Path) -> None:
    """CI accepts a test that is marked as failing."""
    code, output = outcome(tmp_path, "unit/test_it.py", XFAIL, CI="true")
    assert code == 0
    assert "1 xfailed" in output


def test_a_test_of_the_built_file_waits_for_it(tmp_path: Path) -> None:
    """Without dist/tetrapy.pyz the tests of tests/pyz are skipped; with it they run."""
    passing = "def test_it():\n    pass\n"
    assert "needs dist/tetrapy.pyz" in outcome(tmp_path, "pyz/test_it.py", passing)[1]
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist/tetrapy.pyz").touch()
    assert "1 passed" in outcome(tmp_path, "pyz/test_it.py", passing)[1]


def test_nothing_runs_beside_a_test_that_is_alone(tmp_path: Path) -> None:
    """While a test is marked `alone`, no other process of pytest-xdist is in a test."""
    source = """
import pathlib, time, pytest

HERE = pathlib.Path(__file__)

{mark}
def test_it():
    HERE.with_suffix(".inside").touch()
    end = time.monotonic() + 1
    while time.monotonic() < end:
        assert list(HERE.parent.glob("*.inside")) == [HERE.with_suffix(".inside")]
    HERE.with_suffix(".inside").unlink()
"""
    beside = tmp_path / "tests/unit/test_beside.py"
    beside.parent.mkdir(parents=True)
    beside.write_text(source.format(mark=""))
    alone = source.format(mark="@pytest.mark.alone")
    code, output = outcome(tmp_path, "unit/test_alone.py", alone, *MANY)
    assert code == 0, output
    assert "2 passed" in output
    code, output = outcome(tmp_path, "unit/test_alone.py", source.format(mark=""), *MANY)
    assert code == 1, output


def test_a_forked_process_does_not_keep_who_is_alone_waiting(tmp_path: Path) -> None:
    """A process that another test forked, and that lives on, has that test's locks open."""
    forking = """
import os, pathlib, time

HERE = pathlib.Path(__file__).parent

def test_it():
    if os.fork() == 0:
        (HERE / "lives").touch()
        end = time.monotonic() + 60
        while time.monotonic() < end and not (HERE / "end").exists():
            time.sleep(0.01)
        (HERE / "lives").unlink()
        os._exit(0)
"""
    alone = """
import pathlib, time, pytest

HERE = pathlib.Path(__file__).parent

def test_wait():
    while not (HERE / "lives").exists():
        time.sleep(0.01)

@pytest.mark.alone
def test_it():
    assert (HERE / "lives").exists()
    (HERE / "end").touch()
"""
    beside = tmp_path / "tests/unit/test_beside.py"
    beside.parent.mkdir(parents=True)
    beside.write_text(forking)
    code, output = outcome(tmp_path, "unit/test_it.py", alone, *MANY)
    assert code == 0, output


def test_tests_of_events_share_a_process(tmp_path):
    """They share agents; other files are apart."""
    source = (
        "import os\n\ndef test_it():\n    pass\n\ndef test_who():\n"
        "    name = os.environ['PYTEST_XDIST_WORKER']\n"
        "    open('who', 'a').write(f'{__name__} {name}\\n')\n"
    )
    for name in ("kernel/events/test_one.py", "kernel/events/test_two.py", "kernel/test_other.py"):
        place = tmp_path / "tests" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(source)
    code, output = outcome(tmp_path, "kernel/events/test_three.py", source, *MANY)
    assert code == 0, output
    who = [line.rsplit(" ") for line in (tmp_path / "who").read_text().splitlines()]
    assert len(who) == 4
    assert len({process for test, process in who if test != "test_other"}) == 1
    assert len({process for _, process in who}) == 2
