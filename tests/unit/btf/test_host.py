# SPDX-License-Identifier: Apache-2.0
"""What identifies the running kernel."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrapy.btf import host
from tetrapy.host_files import host_root


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("ID=debian", "debian"),
        ('ID="debian"', "debian"),
        ("ID='debian'", "debian"),
        ("  ID=debian  ", "debian"),
        ("ID=", ""),
        ('ID=""', ""),
        ('ID="a b"', "a b"),
        (r'ID="a\"b\$c\`d\\e"', 'a"b$c`d\\e'),
        (r'ID="a\b"', r"a\b"),
        (r"ID='a\b'", r"a\b"),
        (r"ID=a\ b", "a b"),
        ('ID="unfinished', "unfinished"),
        ('ID="a" # comment', "a"),
    ],
)
def test_values_are_quoted_as_in_a_shell(line: str, value: str) -> None:
    """os-release(5) takes a shell's quoting of values, and nothing else of a shell."""
    assert host.parse_os_release(f"# comment\n\n{line}\nNAME=x\n")["ID"] == value


def test_comments_and_other_lines_are_left_out() -> None:
    """Only lines NAME=value count; the last one of a name holds, as in a shell."""
    assert host.parse_os_release("#ID=no\nnonsense\nID=1\nID=2\n") == {"ID": "2"}


@pytest.mark.slow
@given(st.text())
def test_any_text_is_read(text: str) -> None:
    """No text of an os-release file is an error."""
    host.parse_os_release(text)


def write(root: Path, place: str, text: str) -> None:
    """A file below a root directory."""
    path = root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_file_in_etc_comes_first(tmp_path: Path) -> None:
    """/usr/lib/os-release is read only where /etc/os-release is not there."""
    write(tmp_path, "usr/lib/os-release", "ID=vendor\nVERSION_ID=1\n")
    assert host.current(str(tmp_path)).id == "vendor"
    write(tmp_path, "etc/os-release", "ID=admin\n")
    found = host.current(str(tmp_path))
    assert (found.id, found.version_id) == ("admin", "")


def test_a_link_to_an_absolute_path_stays_inside_the_root(tmp_path: Path) -> None:
    """/etc/os-release of a container's host may be a link that starts with a slash."""
    write(tmp_path, "usr/lib/os-release", "ID=inside\n")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").symlink_to("/usr/lib/os-release")
    assert host.current(str(tmp_path)).id == "inside"


def test_a_system_without_os_release_is_linux(tmp_path: Path) -> None:
    """ID is "linux" by default; the rest comes from uname."""
    uname = os.uname()
    found = host.current(str(tmp_path))
    assert found.id == "linux"
    assert found.release == uname.release
    assert str(found) == f"linux//{host.ARCHITECTURES[uname.machine]}/{uname.release}"


def test_bytes_that_are_no_utf8_are_read(tmp_path: Path) -> None:
    """Stray bytes in os-release do not stop the agent."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_bytes(b"NAME=\xff\xfe\nID=debian\n")
    assert host.current(str(tmp_path)).id == "debian"


def test_the_hosts_root_is_seen_through_its_first_process(tmp_path: Path) -> None:
    """In a container that sees the host's processes, os-release is the host's."""
    procfs = tmp_path / "proc"
    write(procfs, "1/root/usr/lib/os-release", "ID=fedora\nVERSION_ID=41\n")
    root = host_root(f"{procfs}/")
    assert host.current(root)[:2] == ("fedora", "41")
    (procfs / "1/root/etc").mkdir()
    # A link whose end is not there in this mount namespace is one all the same.
    (procfs / "1/root/etc/os-release").symlink_to("/usr/lib/os-release")
    assert host.current(host_root(str(procfs))).id == "fedora"


def test_a_host_without_os_release_does_not_have_the_images(tmp_path: Path) -> None:
    """The file of the image that the agent runs in tells of another system."""
    (tmp_path / "proc/1/root").mkdir(parents=True)
    assert host.current(host_root(str(tmp_path / "proc"))).id == "linux"
