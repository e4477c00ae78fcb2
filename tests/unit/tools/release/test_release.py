# SPDX-License-Identifier: Apache-2.0
"""What a release consists of, and that the same sources give the same bytes."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import shutil
import subprocess
import tarfile
import tomllib
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.unit.tools.release.release_tree import release_around
from tetrapy.config.table import BY_NAME
from tools.contents import ARCHITECTURES
from tools.errors import BuildError
from tools.release import deb, rpm, tarball, tree

pytestmark = pytest.mark.slow  # each makes a release

BUILDERS = {"tarball": tarball.build, "deb": deb.build, "rpm": rpm.build}


def needs(program: str) -> pytest.MarkDecorator:
    """`make setup` brings it; `make unit` alone does not."""
    missing = shutil.which(program) is None
    return pytest.mark.skipif(missing, reason=f"needs {program}: make setup")


KINDS = [
    "tarball",
    pytest.param("deb", marks=needs("dpkg-deb")),
    pytest.param("rpm", marks=needs("rpmbuild")),
]


@pytest.fixture(autouse=True)
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for the .pyz, which takes a build."""
    release_around(tmp_path, monkeypatch)


def unpacked(arch: str = "amd64") -> dict[str, tuple[tarfile.TarInfo, bytes]]:
    _, content = tarball.build(arch)
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return {
            info.name: (info, tar.extractfile(info).read() if info.isreg() else b"")  # type: ignore[union-attr]
            for info in tar
        }


def test_the_tarball_has_what_the_reference_has() -> None:
    """One directory, both scripts, unit, program, drop-ins, manual, completions, sums."""
    top = f"tetrapy-{tree.version()}-amd64"
    assert tarball.build("amd64")[0] == f"{top}.tar.gz"
    files = {name.removeprefix(f"{top}/") for name, (info, _) in unpacked().items() if info.isreg()}
    dropins = {path.name for path in (ROOT / "deploy/tetrapy.conf.d").iterdir()}
    assert files == {
        "SHA256SUMS",
        "VERSION",
        "install.sh",
        "uninstall.sh",
        "usr/lib/systemd/system/tetrapy.service",
        "usr/local/lib/systemd/system-generators/tetrapy-generator",
        "usr/local/bin/tetrapy",
        "usr/local/lib/tetrapy/tetrapy",
        "usr/local/lib/tetrapy/tetrapy.pyz",
        "usr/local/share/doc/tetrapy/licenses.txt",
        "usr/local/lib/tetrapy/oci-hooks.d/tetrapy.json",
        "usr/local/lib/tetrapy/tetrapy-oci-hook",
        "usr/local/lib/tetrapy/uninstall.sh",
        *(f"usr/local/lib/tetrapy/tetrapy.conf.d/{name}" for name in dropins),
        "usr/local/share/man/man8/tetrapy.8",
        "usr/local/share/man/man8/tetra.8",
        "usr/local/share/bash-completion/completions/tetrapy",
        "usr/local/share/fish/vendor_completions.d/tetrapy.fish",
        "usr/local/share/zsh/site-functions/_tetrapy",
    }


def test_the_generator_is_where_every_systemd_looks() -> None:
    """Below /usr/local, or in the distribution's own directory: Debian's /usr may be split."""
    found = {
        kind: [path for path in tree.installed(kind, "amd64") if path.endswith("-generator")]
        for kind in ("tarball", "deb", "rpm")
    }
    place = "lib/systemd/system-generators/tetrapy-generator"
    assert found == {
        "tarball": [f"/usr/local/{place}"],
        "deb": [f"/{place}"],
        "rpm": [f"/usr/{place}"],
    }


def test_all_in_the_tarball_is_roots_and_fixed() -> None:
    """Owner, time and modes follow from nothing of this machine; parents come first, sorted."""
    members = unpacked()
    seen: set[str] = set()
    for name, (info, _) in members.items():
        assert (info.uid, info.gid, info.uname, info.gname) == (0, 0, "root", "root")
        assert info.mtime == tree.EPOCH
        executable = info.isdir() or name.endswith(
            (".sh", "tetrapy/tetrapy", ".pyz", "bin/tetrapy", "tetrapy-generator", "oci-hook")
        )
        assert info.mode == (0o755 if executable else 0o644)
        assert "/" not in name or name.rpartition("/")[0] in seen
        seen.add(name)
    files = [name for name, (info, _) in members.items() if info.isreg()]
    assert files == sorted(files)


def test_the_sums_are_of_every_other_file() -> None:
    """SHA256SUMS names each file but itself, with its digest."""
    members = unpacked()
    top = f"tetrapy-{tree.version()}-amd64"
    reported = dict(
        reversed(line.split("  ", 1))
        for line in members[f"{top}/SHA256SUMS"][1].decode().splitlines()
    )
    found = {
        name.removeprefix(f"{top}/"): hashlib.sha256(content).hexdigest()
        for name, (info, content) in members.items()
        if info.isreg()
    }
    del found["SHA256SUMS"]
    assert reported == found


def test_architectures_differ_by_the_programs() -> None:
    """All else serves both. The executable has the .pyz of the release behind it."""
    one, other = (
        {n.partition("/")[2]: c for n, (_, c) in unpacked(a).items()} for a in ARCHITECTURES
    )
    differing = {name for name in one if one[name] != other[name]}
    executable = "usr/local/lib/tetrapy/tetrapy"
    assert differing == {executable, "usr/local/lib/tetrapy/tetrapy-oci-hook", "SHA256SUMS"}
    assert one[executable] == tree.executable("amd64").read_bytes()
    assert one["usr/local/lib/tetrapy/tetrapy.pyz"] == tree.PYZ.read_bytes()


@pytest.mark.parametrize("content", [None, b"of another .pyz"])
def test_no_release_without_its_executable(content: bytes | None) -> None:
    """Nor with one that an earlier build left."""
    tree.executable("arm64").unlink()
    if content is not None:
        tree.executable("arm64").write_bytes(content)
    tree.installed("tarball", "amd64")
    with pytest.raises(BuildError, match=r"tetrapy-linux-arm64 is not there.*: make executable"):
        tree.installed("tarball", "arm64")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_same_sources_give_the_same_bytes(
    kind: str, arch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the umask, the time zone, the clock's date and the place of the build."""
    first = BUILDERS[kind](arch)
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    before = os.umask(0o077)
    try:
        second = BUILDERS[kind](arch)
    finally:
        os.umask(before)
    assert first == second


def test_no_gzip_header_tells_time_or_name() -> None:
    """Of the tarball and of the manual in packages."""
    manual = tree.installed("deb", "amd64")["/usr/share/man/man8/tetrapy.8.gz"].content
    for content in (tarball.build("arm64")[1], manual):
        assert content[:2] == b"\x1f\x8b"
        assert content[3] == 0  # no name, no comment
        assert content[4:8] == bytes(4)
    assert gzip.decompress(manual) == (ROOT / "docs/tetrapy.8").read_bytes()


@needs("dpkg-deb")
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_debian_package(tmp_path: Path, arch: str) -> None:
    """Its fields, files of root's below /usr, no conffile, and sums that are right."""
    name, content = deb.build(arch)
    path = tmp_path / name
    path.write_bytes(content)
    fields = output("dpkg-deb", "--field", path, "Package", "Version", "Architecture", "Recommends")
    assert fields.splitlines() == [
        "Package: tetrapy",
        f"Version: {tree.version()}",
        f"Architecture: {arch}",
        "Recommends: python3 (>= 3.8), systemd",
    ]
    assert not output("dpkg-deb", "--field", path, "Depends").strip()
    listed = [line.split() for line in output("dpkg-deb", "--contents", path).splitlines()]
    assert {line[1] for line in listed} == {"root/root"}
    assert {f".{name}" for name in tree.installed("deb", "amd64")} < {line[5] for line in listed}
    assert not [line for line in listed if "/usr/local/" in line[5]]
    output("dpkg-deb", "--raw-extract", path, tmp_path / "raw")
    output("md5sum", "--check", "--strict", "DEBIAN/md5sums", cwd=tmp_path / "raw")
    scripts = sorted(path.name for path in (tmp_path / "raw/DEBIAN").iterdir())
    assert scripts == ["control", "md5sums", "postinst", "postrm", "preinst", "prerm"]


@pytest.mark.slow
@needs("rpmbuild")
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_rpm(tmp_path: Path, arch: str) -> None:
    """Its name, files of root's below /usr, and that it asks for a shell only."""
    name, content = rpm.build(arch)
    assert name == f"tetrapy-{tree.version()}-1.{ARCHITECTURES[arch]}.rpm"
    path = tmp_path / name
    path.write_bytes(content)
    query = ["rpm", "--dbpath", tmp_path / "db", "-qp", path]
    listed = [line.split() for line in output(*query, "-lv").splitlines()]
    assert {(line[2], line[3]) for line in listed} == {("root", "root")}
    assert set(tree.installed("rpm", "amd64")) < {line[-1] for line in listed}
    assert not [line for line in listed if "/usr/local/" in line[-1]]
    wanted = [line for line in output(*query, "--requires").splitlines() if "rpmlib" not in line]
    assert set(wanted) == {"/bin/sh"}
    assert output(*query, "--recommends").splitlines() == ["python3 >= 3.8"]


def test_packages_name_their_own_places() -> None:
    """Unit and drop-ins of a package say /usr where those of the tarball say /usr/local."""
    prefixes: dict[tree.Kind, str] = {"tarball": "/usr/local", "deb": "/usr", "rpm": "/usr"}
    for kind, prefix in prefixes.items():
        files = tree.installed(kind, "amd64")
        unit = files["/usr/lib/systemd/system/tetrapy.service"].content.decode()
        assert f"\nExecStart={prefix}/bin/tetrapy\n" in unit
        launcher = files[f"{prefix}/bin/tetrapy"].content.decode()
        assert f"\nlib={prefix}/lib/tetrapy\n" in launcher
        assert f"{prefix}/lib/tetrapy/tetrapy" in files
        settings = f"{prefix}/lib/tetrapy/tetrapy.conf.d"
        assert files[f"{settings}/bpf-lib"].content.decode().strip() == f"{prefix}/lib/tetrapy/bpf/"


def test_packaged_settings_are_settings() -> None:
    """Each file's name is that of a setting, and its value what the reference's packages have."""
    directory = ROOT / "deploy/tetrapy.conf.d"
    values = {path.name: path.read_text().strip() for path in directory.iterdir()}
    assert values == {
        "bpf-lib": "/usr/local/lib/tetrapy/bpf/",
        "export-filename": "/var/log/tetrapy/tetrapy.log",
        "export-file-compress": "true",
        "log-format": "text",
        "log-level": "info",
        "metrics-server": "",
    }
    assert set(values) <= set(BY_NAME)


@needs("shellcheck")
@pytest.mark.parametrize(
    "script",
    [
        "install.sh",
        "uninstall.sh",
        "deploy/tetrapy",
        "deploy/tetrapy-generator",
        *(f"tools/release/deb/{name}" for name in ("preinst", "postinst", "prerm", "postrm")),
        "tools/guest/guest-test",
        *(f"tests/vm/service/{name}.sh" for name in ("common", "lifecycle", "packages")),
    ],
)
def test_scripts_are_clean(script: str) -> None:
    """ShellCheck, for the shell that the first line names, finds nothing."""
    done = subprocess.run(
        ["shellcheck", "--shell=sh", "--exclude=SC1091", ROOT / script],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_unit_has_the_rights_that_its_comments_explain() -> None:
    """Each capability of the bounding set is named in the comment above it."""
    unit = (ROOT / "tetrapy.service").read_text()
    held = re.findall(
        r"CAP_(\w+)", " ".join(re.findall(r"^CapabilityBoundingSet=.*$", unit, re.MULTILINE))
    )
    comment = " ".join(re.findall(r"^# (.*)$", unit, re.MULTILINE))
    assert held
    assert [name for name in held if name not in comment] == []


def generate(tmp_path: Path, btf: bool, **settings: int) -> Path:
    """The drop-ins that the generator makes on a host whose kernel has these settings."""
    script = (ROOT / "deploy/tetrapy-generator").read_text()
    for place in ("/sys/kernel/btf", "/proc/sys/kernel"):
        (tmp_path / place.lstrip("/")).mkdir(parents=True)
        script = script.replace(f"{place}/", f"{tmp_path}{place}/")
    if btf:
        (tmp_path / "sys/kernel/btf/vmlinux").touch()
    for name, value in settings.items():
        (tmp_path / "proc/sys/kernel" / name).write_text(f"{value}\n")
    subprocess.run(
        ["sh", "-c", script, "generator", tmp_path / "a", "b", "c"],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    return tmp_path / "a/tetrapy.service.d"


@pytest.mark.parametrize(
    ("btf", "last_capability", "more"),
    [(True, 40, False), (True, 39, False), (True, 37, True), (False, 40, True), (True, None, True)],
)
def test_more_rights_where_the_kernel_needs_them(
    tmp_path: Path, btf: bool, last_capability: int | None, more: bool
) -> None:
    """A kernel without BTF or without CAP_BPF, and one that tells nothing, gets the drop-in."""
    known = {} if last_capability is None else {"cap_last_cap": last_capability}
    directory = generate(tmp_path, btf, **known)
    assert (directory / "more-rights.conf").exists() == more
    assert not (directory / "perf-events.conf").exists()
    if more:
        assert "CAP_SYS_ADMIN" in (directory / "more-rights.conf").read_text()


@pytest.mark.parametrize("paranoid", [-1, 2, 3, 4])
def test_rights_for_perf_events(tmp_path: Path, paranoid: int) -> None:
    """Where CAP_PERFMON is not enough for them, as with Debian's kernels."""
    directory = generate(tmp_path, True, cap_last_cap=40, perf_event_paranoid=paranoid)
    assert (directory / "perf-events.conf").exists() == (paranoid > 2)
    assert not (directory / "more-rights.conf").exists()


def test_the_version_is_that_of_the_agent() -> None:
    """Read from its one place; pyproject.toml has it from there too."""
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dynamic"] == ["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", tree.version())


def output(*command: object, cwd: Path | None = None) -> str:
    done = subprocess.run(
        list(map(str, command)), check=True, capture_output=True, text=True, cwd=cwd
    )
    return done.stdout
