# SPDX-License-Identifier: Apache-2.0
"""install.sh and uninstall.sh below a directory; tests/vm/service runs them on a host."""

from __future__ import annotations

import os
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from tests.unit.tools.release.install_host import Host
from tests.unit.tools.release.release_tree import release_around
from tools.release import tree

pytestmark = pytest.mark.slow  # each installs

MANIFEST = "usr/local/lib/tetrapy/manifest"
RUNS = (
    "tetrapy runs by python3 of 3.8 or newer where a start finds one, else by a Python of its own\n"
)
DROPINS = "usr/local/lib/tetrapy/tetrapy.conf.d"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    release_around(tmp_path, monkeypatch)
    return Host(tmp_path)


def resum(release: Path) -> None:
    """Make SHA256SUMS right again after a change."""
    names = sorted(str(path.relative_to(release)) for path in release.rglob("*") if path.is_file())
    names.remove("SHA256SUMS")
    done = subprocess.run(
        ["sha256sum", *names], check=True, cwd=release, capture_output=True, text=True
    )
    (release / "SHA256SUMS").write_text(done.stdout)


def test_all_files_with_their_modes(host: Host) -> None:
    """What the tarball has below usr/ is installed, and nothing but the manifest beside it."""
    assert host.install() == (0, f"{RUNS}tetrapy installed successfully!\n")
    found = {f"/{name}": value for name, value in host.files().items() if value[1] is not None}
    wanted = {
        name: (file.mode, file.content) for name, file in tree.installed("tarball", "amd64").items()
    }
    assert found.pop(f"/{MANIFEST}")[0] == 0o644
    assert found == wanted
    assert (host.root / "etc/tetrapy/tetrapy.conf.d").is_dir()


@pytest.mark.parametrize("umask", [0o022, 0o077, 0])
def test_the_umask_does_not_matter(host: Host, umask: int) -> None:
    """Directories can be entered by all and written to by root, whatever root's umask is."""
    before = os.umask(umask)
    try:
        host.install()
    finally:
        os.umask(before)
    assert {mode for mode, content in host.files().values() if content is None} == {0o755}


@pytest.mark.slow
def test_removing_leaves_what_was_there(host: Host) -> None:
    """Files and directories are as before, those that were there empty among them."""
    (host.root / "usr/local/share/zsh").mkdir(parents=True)
    (host.root / "usr/local/bin").mkdir()
    (host.root / "usr/local/bin/other").write_text("x")
    before = host.files()
    host.install()
    assert host.uninstall() == (0, "tetrapy removed.\n")
    assert host.files() == before


def test_policies_that_stayed_go(host: Host) -> None:
    """Those that --keep-sensors-on-exit left, and nobody else's pins."""
    pins = host.root / "sys/fs/bpf"
    (pins / "tetrapy/run-1/policy-1").mkdir(parents=True)
    (pins / "tetrapy/run-1/policy-1/link-0").touch()
    (pins / "other").touch()
    host.install()
    assert host.uninstall() == (0, "tetrapy removed.\n")
    assert [path.name for path in pins.iterdir()] == ["other"]


@pytest.mark.slow
def test_an_administrators_settings_stay(host: Host) -> None:
    """Neither installing, nor an upgrade, nor removing changes them; --purge does."""
    mine = host.root / "etc/tetrapy/tetrapy.conf.d/log-level"
    mine.parent.mkdir(parents=True)
    mine.write_text("debug\n")
    log = host.root / "var/log/tetrapy/tetrapy.log"
    log.parent.mkdir(parents=True)
    log.write_text("{}\n")
    before = host.files()
    host.install()
    host.install()
    assert [path.name for path in mine.parent.iterdir()] == ["log-level"]
    code, said = host.uninstall()
    assert code == 0
    assert f"kept: {host.root}/etc/tetrapy\n" in said
    assert f"kept: {host.root}/var/log/tetrapy\n" in said
    assert host.files() == before
    assert host.uninstall("--purge") == (0, "tetrapy removed.\n")
    assert set(host.files()) == {"etc", "var", "var/log"}


@pytest.mark.slow
def test_an_upgrade(host: Host) -> None:
    """New content and files come, files that the new release lacks go; removing takes all."""
    before = host.files()
    host.install()
    later = host.unpack("later")
    (later / DROPINS / "log-level").write_text("warn\n")
    (later / DROPINS / "export-file-max-size-mb").write_text("20\n")
    shutil.rmtree(later / "usr/local/share/zsh")
    resum(later)
    assert host.install(later)[0] == 0
    assert (host.root / DROPINS / "log-level").read_text() == "warn\n"
    assert (host.root / DROPINS / "export-file-max-size-mb").read_text() == "20\n"
    assert not (host.root / "usr/local/share/zsh/site-functions/_tetrapy").exists()
    host.uninstall()
    assert host.files() == before


@pytest.mark.slow
def test_a_file_is_replaced_at_once(host: Host) -> None:
    """Whoever has the old program open keeps it: it is never written to."""
    host.install()
    program = host.root / "usr/local/bin/tetrapy"
    with program.open("rb") as old:
        later = host.unpack("later")
        (later / "usr/local/bin/tetrapy").write_bytes(b"new")
        resum(later)
        host.install(later)
        assert old.read() != b"new"
    assert program.read_bytes() == b"new"


def damaged(release: Path) -> None:
    (release / "usr/local/bin/tetrapy").write_bytes(b"")


def missing(release: Path) -> None:
    (release / "usr/lib/systemd/system/tetrapy.service").unlink()


def without_sums(release: Path) -> None:
    (release / "SHA256SUMS").unlink()


def malformed_sums(release: Path) -> None:
    (release / "SHA256SUMS").write_text("garbage\n")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (damaged, "files differ from SHA256SUMS (usr/local/bin/tetrapy)"),
        (missing, "files differ from SHA256SUMS (usr/lib/systemd/system/tetrapy.service)"),
        (without_sums, "SHA256SUMS is not beside install.sh"),
        (malformed_sums, "files differ from SHA256SUMS"),
    ],
)
def test_a_damaged_release_changes_nothing(host: Host, spoil: object, said: str) -> None:
    """One sentence that names the file, exit code 1, and the old installation stays."""
    host.install()
    before = host.files()
    assert callable(spoil)
    spoil(host.release)
    code, text = host.install()
    assert (code, host.files()) == (1, before)
    assert said in text


@pytest.mark.parametrize(
    ("path", "is_directory"),
    [
        ("usr/local/bin/tetrapy", False),
        ("usr/local/bin/tetrapy", True),
        ("usr/lib/systemd/system/tetrapy.service", False),
        ("usr/local/share/man", False),
        ("etc/tetrapy", False),
        ("etc/tetrapy/tetrapy.conf.d", False),
    ],
)
def test_what_others_put_there_is_not_overwritten(
    host: Host, path: str, is_directory: bool
) -> None:
    """A file or directory in the way, which no install.sh made, is named; nothing is changed."""
    place = host.root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    if is_directory:
        place.mkdir()
    else:
        place.write_text("mine")
    before = host.files()
    code, text = host.install()
    assert (code, host.files()) == (1, before)
    assert f"/{path}" in text


def test_the_same_file_is_no_obstacle(host: Host) -> None:
    """An installation by hand of this very release is taken over."""
    place = host.root / "usr/local/bin/tetrapy"
    place.parent.mkdir(parents=True)
    shutil.copy(host.release / "usr/local/bin/tetrapy", place)
    assert host.install()[0] == 0


@pytest.mark.slow
def test_an_installation_that_was_interrupted_can_be_removed(host: Host) -> None:
    """The manifest is there before the files: here `mv` ends the installer at each of its calls."""
    before = host.files()
    tools = host.path / "tools"
    tools.mkdir()
    counter = host.path / "counter"
    (tools / "mv").write_text(
        f'#!/bin/sh\nn=$(cat {counter})\necho $((n - 1)) > {counter}\n[ "$n" -gt 0 ] || exit 1\n'
        f'exec {shutil.which("mv")} "$@"\n'
    )
    (tools / "mv").chmod(0o755)
    # What the environment names is not in front of the system's programs.
    script, sums = host.release / "install.sh", host.release / "SHA256SUMS"
    digest = sha256(script.read_bytes()).hexdigest()
    script.write_text(script.read_text().replace("\nPATH=", f"\nPATH={tools}:", 1))
    sums.write_text(sums.read_text().replace(digest, sha256(script.read_bytes()).hexdigest()))
    ends = 0
    for calls in range(100):
        counter.write_text(f"{calls}\n")
        code, _ = host.install()
        counter.write_text("100\n")
        assert not [name for name in host.files() if name.endswith(".new")]
        manifest = host.root / MANIFEST
        # What was never started is started by the next run, an upgrade of what was stopped is not.
        assert not calls or ("# incomplete\n" in manifest.read_text()) == bool(code)
        host.uninstall()
        if calls == 0:  # without a manifest there is nothing but its directory
            assert {content for _, content in host.files().values()} == {None}
            shutil.rmtree(host.root / "usr")
        assert host.files() == before
        if code == 0:
            break
        ends += 1
    assert ends == len(tree.installed("tarball", "amd64")) + 2


@pytest.mark.parametrize("script", ["install.sh", "uninstall.sh"])
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--help"], 0, "Usage: "),
        (["--nonsense"], 1, "unknown option: --nonsense"),
        (["--root"], 1, "--root needs a directory"),
        (["--root", "relative"], 1, "name an absolute directory"),
    ],
)
def test_options(host: Host, script: str, words: list[str], code: int, said: str) -> None:
    """Help is no error; what makes no sense is reported, and nothing is done."""
    command = ["sh", str(host.release / script), *words]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, host.files()) == (code, {})
    assert said in done.stdout + done.stderr


def test_nothing_to_remove(host: Host) -> None:
    """Where nothing was installed, uninstall.sh says so."""
    code, text = host.uninstall()
    assert code == 1
    assert f"no {host.root}/{MANIFEST}: install.sh has installed nothing here" in text


@pytest.mark.slow
def test_the_name_of_tetragons_client(host: Host) -> None:
    """A link that is there when it is asked for, stays in an upgrade, and goes with the rest."""
    before = host.files()
    host.install()
    link = host.root / "usr/local/bin/tetra"
    assert not link.is_symlink()
    assert host.install(None, "--tetra")[0] == 0
    assert os.readlink(link) == "tetrapy"
    assert host.install()[0] == 0
    assert os.readlink(link) == "tetrapy"
    assert host.uninstall("--purge")[0] == 0
    assert host.files() == before


@pytest.mark.parametrize("kind", ["file", "link", "directory"])
def test_another_tetra_is_not_replaced(host: Host, kind: str) -> None:
    """Nothing is installed then; without the option all but it is."""
    link = host.root / "usr/local/bin/tetra"
    link.parent.mkdir(parents=True)
    if kind == "directory":
        link.mkdir()
    elif kind == "link":
        link.symlink_to("nowhere")
    else:
        link.write_text("Tetragon's")
    code, said = host.install(None, "--tetra")
    assert (code, "move it away" in said) == (1, True)
    assert not (host.root / MANIFEST).exists()
    assert host.install()[0] == 0
    host.uninstall()
    assert link.is_dir() if kind == "directory" else os.path.lexists(link)
