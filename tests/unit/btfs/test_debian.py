# SPDX-License-Identifier: Apache-2.0
"""Which of Debian's packages are harvested for the archive, and what is said of the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from btfs import corpus, debian
from tests.support import harvest_builders as b
from tools.debian import Deb, DebianError


def package(name: str, size: int = 50_000_000) -> Deb:
    """A line of a suite's index."""
    return Deb(name, "6.1.999-1", "arm64", "0" * 64, size)


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """A mirror with one suite of two kernels, one of which is gone; the packages that were had."""
    names = [f"linux-image-{b.ARM_RELEASE}", "linux-image-6.1.0-98-arm64"]
    had: list[Path] = []

    def download(name: str, *_: str) -> Path:
        if name != names[0]:
            raise DebianError(f"{name}: 404")
        path = tmp_path / f"{name}.deb"
        files = {f"boot/vmlinuz-{b.ARM_RELEASE}": b.arm64_image()}
        path.write_bytes(b.deb(files, Package=name, Architecture="arm64"))
        had.append(path)
        return path

    monkeypatch.setattr(debian, "SUITES", ("bookworm",))
    monkeypatch.setattr(corpus, "files", dict)
    monkeypatch.setattr(debian.debian, "listed", lambda *_: [package(name) for name in names])
    monkeypatch.setattr(debian.debian, "download", download)
    return had


def test_packages_with_a_kernel_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not those of debug information, unsigned duplicates, templates, and that depend on others."""
    debs = [
        package("linux-image-6.1.0-47-rt-arm64"),
        package("linux-image-6.1.0-47-rt-arm64-dbg"),
        package("linux-image-6.1.0-47-rt-arm64-unsigned"),
        package("linux-image-6.1.0-47-rt-arm64-unsigned-dbg"),
        package("linux-image-6.12-arm64-signed-template", 300_000),
        package("linux-image-7.2.13+deb14-arm64-16k", 1_900),
        package("linux-binary-7.2.13+deb14-arm64-16k"),
        package("linux-binary-unsigned-7.2.13+deb14-arm64-16k"),
    ]
    monkeypatch.setattr(debian.debian, "listed", lambda *_: debs)
    assert debian.listed("trixie", "arm64") == {
        "6.1.0-47-rt-arm64": debs[0],
        "7.2.13+deb14-arm64-16k": debs[6],
    }


def test_a_kernel_is_harvested_once_and_its_package_removed(
    tmp_path: Path, mirror: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """What the mirror has no more is named, and makes the exit code 1."""
    output = tmp_path / "out"
    arguments = ["--output", str(output), "--arch", "arm64"]
    for _ in range(2):
        assert debian.main(arguments) == 1
        assert "6.1.0-98-arm64: linux-image-6.1.0-98-arm64: 404" in capsys.readouterr().out
    assert len(mirror) == 1
    assert not mirror[0].exists()
    data = (output / f"debian/12/arm64/{b.ARM_RELEASE}.btf").read_bytes()
    assert data == b.kernel_btf("arm64")


def test_known_kernels_are_not_fetched(
    tmp_path: Path, mirror: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the corpus, by release alone."""
    names = [Path("debian/13/arm64", f"6.1.0-{number}-arm64.btf") for number in (98, 99)]
    monkeypatch.setattr(corpus, "files", lambda: dict.fromkeys(names, Path()))
    assert debian.main(["--output", str(tmp_path / "out"), "--arch", "arm64"]) == 0
    assert mirror == []
