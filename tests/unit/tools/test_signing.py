# SPDX-License-Identifier: Apache-2.0
"""Sums and signatures, verified by the very commands that docs/verify.md names."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tools.errors import BuildError
from tools.fetch import ROOT
from tools.supply_chain import signing, sums

DOC = (ROOT / "docs/verify.md").read_text()


def commands(heading: str) -> list[str]:
    """The shell blocks of a section of docs/verify.md."""
    _, found_heading, rest = DOC.partition(f"\n## {heading}\n")
    assert found_heading
    section = rest.partition("\n## ")[0]
    found = re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert found
    return found


def run(command: str, directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-ec", command], check=False, cwd=directory, capture_output=True, text=True
    )


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A key made as docs/verify.md says, of this test only; its public half lies beside it."""
    place = tmp_path / "key"
    place.mkdir()
    done = run(commands("For those who make releases")[0], place)
    assert done.returncode == 0, done.stderr
    return place / "release.key"


@pytest.fixture
def release(tmp_path: Path, key: Path) -> Path:
    """A directory with two files, sums and a signature, as somebody receives it."""
    directory = tmp_path / "release"
    directory.mkdir()
    (directory / "tetrapy.pyz").write_bytes(b"the program")
    (directory / "tetrapy-1.tar.gz").write_bytes(b"the tarball")
    signing.sign(sums.write(directory), key, key.with_name("release-key.pem"))
    (directory / "release-key.pem").write_bytes(key.with_name("release-key.pem").read_bytes())
    return directory


def verified(release: Path) -> bool:
    """Whether the documented commands say that all is well; the first only shows a fingerprint."""
    fingerprint, signature, files = commands("Signature and sums")
    assert re.fullmatch(r"[0-9a-f]{64}  -\n", run(fingerprint, release).stdout)
    genuine = run(signature, release)
    assert ("Verified OK" in genuine.stdout) == (genuine.returncode == 0)
    return genuine.returncode == 0 and run(files, release).returncode == 0


def test_a_release_is_verified(release: Path) -> None:
    """By openssl and sha256sum alone."""
    assert verified(release)


def test_a_release_is_verified_in_parts(release: Path) -> None:
    """Whoever took one file of it needs no other."""
    (release / "tetrapy-1.tar.gz").unlink()
    assert verified(release)


def test_the_key_of_the_project_can_sign_elsewhere(release: Path, key: Path) -> None:
    """The documented command signs SHA256SUMS where the key is."""
    (release / "SHA256SUMS.sig").unlink()
    (release / "release.key").write_bytes(key.read_bytes())
    assert run(commands("For those who make releases")[1], release).returncode == 0
    assert verified(release)


@pytest.mark.parametrize("name", ["tetrapy.pyz", "tetrapy-1.tar.gz"])
def test_a_changed_file_is_noticed(release: Path, name: str) -> None:
    """One byte suffices."""
    path = release / name
    path.write_bytes(path.read_bytes()[:-1] + b"X")
    assert not verified(release)


def test_changed_sums_are_noticed(release: Path) -> None:
    """New sums for a changed file lack the signature."""
    (release / "tetrapy.pyz").write_bytes(b"another program")
    sums.write(release)
    assert not verified(release)


def test_the_signature_of_another_key_is_noticed(release: Path, tmp_path: Path) -> None:
    """A signature counts only with the key that the reader has."""
    (tmp_path / "other").mkdir()
    assert run(commands("For those who make releases")[0], tmp_path / "other").returncode == 0
    other = tmp_path / "other/release.key"
    signing.sign(release / "SHA256SUMS", other, other.with_name("release-key.pem"))
    assert not verified(release)


@pytest.mark.parametrize("size", [0, 1, 40])
def test_a_signature_that_is_cut_is_noticed(release: Path, size: int) -> None:
    """So is an empty one."""
    path = release / "SHA256SUMS.sig"
    path.write_bytes(path.read_bytes()[:size])
    assert not verified(release)


def test_a_key_that_is_not_the_published_one_signs_nothing(release: Path, tmp_path: Path) -> None:
    """It is refused, and no signature stays that nobody could verify."""
    (tmp_path / "other").mkdir()
    run(commands("For those who make releases")[0], tmp_path / "other")
    with pytest.raises(BuildError, match="is not the key whose public half is"):
        signing.sign(
            release / "SHA256SUMS", tmp_path / "other/release.key", release / "release-key.pem"
        )
    assert not (release / "SHA256SUMS.sig").exists()


def test_a_key_that_others_can_read_signs_nothing(release: Path, key: Path) -> None:
    """The text says what to do."""
    key.chmod(0o644)
    with pytest.raises(BuildError, match="chmod 600"):
        signing.sign(release / "SHA256SUMS", key)


def test_sums_tell_each_file_once_and_not_themselves(release: Path) -> None:
    """In the order of names, in the form of sha256sum."""
    lines = (release / "SHA256SUMS").read_text().splitlines()
    assert [line.split("  ")[1] for line in lines] == ["tetrapy-1.tar.gz", "tetrapy.pyz"]


@pytest.mark.parametrize("name", ["two words", "new\nline", "back\\slash"])
def test_a_name_that_needs_escapes_is_refused(release: Path, name: str) -> None:
    """Readers of sums do not agree on them."""
    (release / name).write_bytes(b"")
    with pytest.raises(BuildError, match="plain name"):
        sums.write(release)


def test_a_link_is_refused(release: Path) -> None:
    """Its target would be summed up, but not shipped."""
    (release / "link").symlink_to("tetrapy.pyz")
    with pytest.raises(BuildError, match="plain file"):
        sums.write(release)


def test_no_private_key_is_in_the_repository() -> None:
    """The key that signs releases is elsewhere."""
    listed = subprocess.run(
        ["git", "grep", "-lE", "BEGIN( EC| RSA)? PRIVATE" + " KEY"],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (listed.returncode, listed.stdout) == (1, "")
