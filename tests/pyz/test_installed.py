# SPDX-License-Identifier: Apache-2.0
"""install.sh and the installed command where python3 is absent, old, reduced, or as it should be.

On a copy of this machine's root that is thrown away, without systemd; tests/vm/service has a host
with it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.pyz.conftest import needs_root
from tests.pyz.test_executable import ARCH, whole
from tools.release import tarball, tree

pytestmark = needs_root

# The root is an overlay: what is written goes into memory, and nothing changes outside. `systemctl`
# has nothing to do, as the service is not started. $1: an empty directory; $2: the release; $3: the
# shell that python3 is to be, empty for none.
SCRIPT = r"""
set -eu
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
root=$1/root
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mkdir -p "$root/run/systemd/system" "$root/test"
tar xf "$2" -C "$root/test" --strip-components 1
rm -f "$root/bin/systemctl" "$root/usr/bin/systemctl"
printf '#!/bin/sh\n[ "$1" != is-active ]\n' > "$root/usr/bin/systemctl"
chmod 755 "$root/usr/bin/systemctl"
for directory in /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin /sbin /bin; do
	rm -f "$root$directory/python3"
done
if [ -n "$3" ]; then
	printf '#!/bin/sh\n%s\n' "$3" > "$root/usr/bin/python3"
	chmod 755 "$root/usr/bin/python3"
fi
cat > "$root/test/run.sh" <<'END'
set -u
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
cd /test
places="/usr/local /usr/lib/systemd /etc/tetrapy /var/log/tetrapy /var/lib/tetrapy"
find $places 2> /dev/null | sort > before
./install.sh --no-start --tetra
echo "@@ $?"
tetrapy --version
echo "@@ $?"
tetra version --build
echo "@@ $?"
# By which program it runs.
mkfifo pipe
tetrapy getevents < pipe > /dev/null &
exec 3> pipe
for try in $(seq 600); do
	readlink /proc/$!/exe | grep -q 'python\|tetrapy$' && break
	sleep 0.1
done
readlink /proc/$!/exe
exec 3>&-
wait
./uninstall.sh --purge
find $places 2> /dev/null | sort | diff before - && echo nothing is left
END
exec chroot "$root" /bin/sh /test/run.sh
"""

ALONE = "/usr/local/lib/tetrapy/tetrapy"
OLD = "case $1 in --version) echo Python 3.6.15;; *) echo old >&2; exit 1;; esac"
REAL_OLD = sorted(Path.home().glob(".pyenv/versions/3.[67].*/bin/python3"))


@pytest.fixture(name="release", scope="module")
def fixture_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tarball of the built files."""
    whole()
    path = tmp_path_factory.mktemp("release") / "release.tar.gz"
    path.write_bytes(tarball.build(ARCH)[1])
    return path


def installed(release: Path, tmp_path: Path, python3: str) -> tuple[str, str]:
    """What install.sh says the command runs by, and what it was seen to run by."""
    root = tmp_path / "root"
    root.mkdir()
    command = ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", SCRIPT, "sh"]
    done = subprocess.run(
        [*command, root, release, python3],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said = done.stdout
    assert done.returncode == 0, said
    installation, version, client, rest = said.split("@@ 0\n")
    runs, not_started, success = installation.splitlines()
    assert (not_started, success) == (
        "not started: systemctl enable --now tetrapy",
        "tetrapy installed successfully!",
    )
    assert tree.version() in version
    assert tree.version() in client
    program, *removed = rest.splitlines()
    assert removed == ["tetrapy removed.", "nothing is left"]
    assert runs.startswith("tetrapy runs by ")
    return runs.removeprefix("tetrapy runs by "), program


def test_no_python(release: Path, tmp_path: Path) -> None:
    """The executable is what runs."""
    runs, program = installed(release, tmp_path, "")
    assert runs.startswith("a Python of its own: there is no python3 in /usr/local/sbin:")
    assert program == ALONE


@pytest.mark.parametrize("python", [None, *REAL_OLD], ids=str)
def test_old_python(release: Path, tmp_path: Path, python: Path | None) -> None:
    """So it is with an older one: where this machine has none, a stand-in."""
    runs, program = installed(release, tmp_path, OLD if python is None else f'exec {python} "$@"')
    version = "3.6.15" if python is None else python.parts[-3]
    assert runs == f"a Python of its own: /usr/bin/python3 is Python {version}, older than 3.8"
    assert program == ALONE


def test_python_without_its_library(release: Path, tmp_path: Path) -> None:
    """And with Debian's python3-minimal, or the like."""
    line = "ModuleNotFoundError: No module named '_ctypes'"
    runs, program = installed(release, tmp_path, f'echo "{line}" >&2; exit 1')
    assert runs == f"a Python of its own: /usr/bin/python3 does not serve ({line})"
    assert program == ALONE


def test_python_that_serves(release: Path, tmp_path: Path) -> None:
    """Where python3 is 3.8 or newer, tetrapy.pyz is what runs."""
    runs, program = installed(release, tmp_path, f'exec {sys.executable} "$@"')
    assert runs.startswith("/usr/bin/python3, Python 3.")
    assert "python" in program
