"""The rules of tests/conftest.py, seen from outside: a small tree of tests is run with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).resolve().parents[1] / "conftest.py"
ONE_SKIP = 'import pytest\n\ndef test_it():\n    pytest.skip("no moon tonight")\n'
MODULE_SKIP = 'import pytest\n\npytest.skip("no moon tonight", allow_module_level=True)\n'
XFAIL = "import pytest\n\n@pytest.mark.xfail\ndef test_it():\n    assert False\n"


def outcome(tree: Path, path: str, source: str, **environment: str) -> tuple[int, str]:
    """Run one test file below tests/ of a new tree; pytest's exit code and output."""
    place = tree / "tests" / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(source)
    (tree / "pytest.ini").write_text("[pytest]\nmarkers =\n  root\n  kernel\n  pyz\n  vm\n")
    shutil.copy(CONFTEST, tree / "tests/conftest.py")
    clean = {k: v for k, v in os.environ.items() if k not in {"CI", "TETRAPY_CI"}}
    clean["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rsfE", "-p", "no:cacheprovider", "tests"],
        cwd=tree,
        env={**clean, **environment},
        check=False,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("source", [ONE_SKIP, MODULE_SKIP], ids=["test", "module"])
@pytest.mark.parametrize("variable", [{"CI": "true"}, {"TETRAPY_CI": "1"}], ids=["CI", "TETRAPY"])
def test_a_skip_fails_in_ci(tmp_path: Path, source: str, variable: dict[str, str]) -> None:
    """A skip that no one expects is a failure in CI, and its reason is still told."""
    code, output = outcome(tmp_path, "unit/test_it.py", source, **variable)
    assert code != 0
    assert "no moon tonight" in output
    assert "EXPECTED_SKIPS" in output


def test_a_skip_is_a_skip_elsewhere(tmp_path: Path) -> None:
    """On a developer's machine a skip is told with its reason and harms nothing."""
    code, output = outcome(tmp_path, "unit/test_it.py", ONE_SKIP)
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
