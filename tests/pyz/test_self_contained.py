# SPDX-License-Identifier: Apache-2.0
"""What the host has for Python does not matter: variables, directories, packages, .pth files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pyz.conftest import needs_root, tells
from tests.pyz.test_hosts import GOOD, PYTHONS
from tests.support.agent import PYZ, Agent, isolated

# What the file carries, what that would take if it were there, and modules of Python's own.
CARRIED = ("celpy", "dateutil", "lark", "pyroute2", "six", "yaml")
OPTIONAL = ("re2", "regex", "_yaml", "decorator")
OF_PYTHON = ("json", "resource", "select", "socket", "struct", "zlib", "ctypes", "http")

POISON = """
with open({mark!r}, "a") as file:
    file.write(__name__ + "\\n")
raise SystemExit("a module of the host was imported: " + __name__)
"""


class Host:
    """A home directory and a working directory that would be the end of every careless program."""

    def __init__(self, directory: Path, version: str) -> None:
        self.mark = directory / "imported"
        self.place = directory / "place"  # PYTHONPATH, and the working directory
        short = ".".join(version.split(".")[:2])
        self.home = directory / "home"
        self.user = self.home / f".local/lib/python{short}/site-packages"
        for place in (self.user, self.place):
            place.mkdir(parents=True)
            for name in (*CARRIED, *OPTIONAL, *OF_PYTHON, "tetrapy"):
                poison = POISON.format(mark=str(self.mark))
                (place / name).mkdir()
                (place / name / "__init__.py").write_text(poison)
        # What Python itself runs before it runs any program; here it makes a patch.
        patch = "import sys; sys.modules['yaml'] = sys.modules['lark'] = sys\n"
        (self.user / "usercustomize.py").write_text(patch)
        (self.user / "evil.pth").write_text(patch)
        (self.place / "sitecustomize.py").write_text(patch)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.home),
            "PYTHONPATH": str(self.place),
            "PYTHONSTARTUP": str(self.place / "json/__init__.py"),
            "PYTHONINSPECT": "1",
            "PYTHONMALLOC": "debug",
            "PYTHONWARNINGS": "error",
            "PYTHONNODEBUGRANGES": "1",
            "PYTHONUSERBASE": str(self.home / ".local"),
        }


SETTINGS = (
    ("--metrics-server", "localhost:0"),
    (
        "--export-allowlist",
        '{"cel_expression": ["process_exec.process.pid > 0u || process_exit.process.pid > 0u"]}',
    ),
    ("--sensor", "connector"),
)


@needs_root
@pytest.mark.parametrize("flags", SETTINGS, ids=lambda flags: flags[0])
def test_the_host_does_not_matter(tmp_path: Path, actor: Path, flags: tuple[str, ...]) -> None:
    """Nothing of it is imported, by whatever feature needs carried packages."""
    host = Host(tmp_path, ".".join(map(str, sys.version_info[:2])))
    agent = Agent(
        tmp_path / "agent",
        *flags,
        environment=host.environment,
        prepare=f"cd {host.place}",
    )
    if "connector" in flags:  # which may come too late for a short life
        with agent:
            agent.started()
            assert agent.stop() == 0
    else:
        tells(agent, actor)
    assert not host.mark.exists(), host.mark.read_text()


@needs_root
@pytest.mark.parametrize("way", ["python", "isolated", "itself"])
@pytest.mark.parametrize("version", GOOD)
def test_every_way_and_every_python(tmp_path: Path, version: str, way: str) -> None:
    """Started by Python, by Python alone, by itself: the YAML file is read by what is carried."""
    host = Host(tmp_path, version)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python3").symlink_to(PYTHONS[version])
    variables = {**host.environment, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    if (
        way == "python"
        and subprocess.run(["python3", "-c", ""], check=False, env=variables).returncode
    ):
        # A .pth file of this Python imports one of them: no program starts.
        for name in OF_PYTHON:
            shutil.rmtree(host.place / name)
            shutil.rmtree(host.user / name)
        host.mark.unlink()
    settings = "mount -t tmpfs tmpfs /etc; mkdir /etc/tetrapy; echo log-level: debug"
    start = {"python": ["python3", PYZ], "isolated": ["python3", "-IS", PYZ], "itself": [PYZ]}[way]
    done = subprocess.run(
        isolated(
            [*start, "config", "--changed"],
            f"cd {host.place}; {settings} > /etc/tetrapy/tetrapy.yaml",
        ),
        check=False,
        capture_output=True,
        text=True,
        env=variables,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "tetrapy.yaml" in done.stdout
    assert not host.mark.exists(), host.mark.read_text()


@needs_root
def test_what_a_new_start_keeps(tmp_path: Path) -> None:
    """Process, words, environment, descriptors and working directory are those of the first one."""
    (tmp_path / "seven").write_text("seven")
    look = 'cat /proc/$$/environ > before; exec 7< seven; exec "$@"'
    variables = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "A": "one", "PYTHONHASHSEED": "3"}
    under = ("env", "-i", *(f"{name}={value}" for name, value in variables.items()))
    with Agent(tmp_path, under=(*under, "sh", "-c", f"cd {tmp_path}; {look}", "sh")) as agent:
        agent.started()
        place = Path(f"/proc/{agent.pid}")
        shown = place.joinpath("cmdline").read_bytes().split(b"\0")[:-1]
        assert shown[1:3] == [b"-IS", str(PYZ).encode()]
        before = set((tmp_path / "before").read_bytes().split(b"\0"))
        after = set(place.joinpath("environ").read_bytes().split(b"\0"))
        shell = {b"PWD", b"OLDPWD", b"_", b"SHLVL"}  # what the shell sets
        assert {v for v in before ^ after if v.partition(b"=")[0] not in shell} == set()
        assert os.path.samefile(place / "fd/7", tmp_path / "seven")
        assert os.path.samefile(place / "cwd", tmp_path)
        assert agent.stop() == 0


def test_options_of_python(tmp_path: Path) -> None:
    """They are handed on."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", PYZ, "--version"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert "tetrapy.cli.main" in done.stderr


def test_no_loop() -> None:
    """A Python that does not heed its options is reported once, not started for ever."""
    deaf = "import runpy, sys; sys.orig_argv = ['python3', '-IS', 'x']; runpy.run_path(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", deaf, PYZ], check=False, capture_output=True, text=True
    )
    assert done.returncode == 255
    assert "does not heed the option -IS" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_not_taken(closed: str) -> None:
    """The copy of the file is at none of the standard descriptors; what is printed goes nowhere."""
    done = subprocess.run(
        ["/bin/sh", "-c", f'"$0" --version {closed}', PYZ], check=False, capture_output=True
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout in {b"", b"0.1.0\n"}
