# SPDX-License-Identifier: Apache-2.0
"""The bills of materials of the built file and of the executable: nothing is left out, nothing is
made up.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from license_expression import get_spdx_licensing
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from tests.pyz.test_executable import ARCH, EXECUTABLE, is_current, whole
from tests.support.agent import PYZ
from tests.unit.tools.test_signing import commands, run
from tools import zig
from tools.contents import LAUNCHER
from tools.errors import BuildError
from tools.fetch import ROOT, source_pins
from tools.interpreter.program import archives
from tools.sbom import inventory
from tools.sbom.components import LIBRARIES
from tools.supply_chain import bills
from tools.zip_writer import zip_bytes

# What is described, and not a part of it.
WHOLE = {"tetrapy.pyz", EXECUTABLE.name}


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the built files, and what lets others trust them."""
    directory = tmp_path_factory.mktemp("release")
    (directory / "tetrapy.pyz").write_bytes(PYZ.read_bytes())
    if is_current():
        (directory / EXECUTABLE.name).write_bytes(EXECUTABLE.read_bytes())
    (directory / "tetrapy-0.0.0.spdx.json").write_text("of an older version")
    done = subprocess.run(
        [sys.executable, "-m", "tools.supply_chain", str(directory)],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    # What an older release left is gone.
    assert not (directory / "tetrapy-0.0.0.spdx.json").exists()
    return directory


@pytest.fixture(scope="module", params=["tetrapy", "tetrapy-linux"])
def spdx_path(release: Path, request: pytest.FixtureRequest) -> Path:
    """The document of the .pyz, and that of the executable."""
    if request.param == "tetrapy":
        (path,) = release.glob("tetrapy-[0-9]*.spdx.json")
    else:
        whole()
        (path,) = release.glob("tetrapy-linux-*.spdx.json")
    return path


def beside(spdx_path: Path) -> Path:
    """The CycloneDX document of the same file."""
    return spdx_path.with_name(spdx_path.name.replace(".spdx.", ".cdx."))


@pytest.fixture(scope="module")
def members() -> dict[str, bytes]:
    with zipfile.ZipFile(PYZ) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def repacked(members: dict[str, bytes]) -> bytes:
    return zip_bytes(members, LAUNCHER)


def test_it_is_valid_spdx(spdx_path: Path) -> None:
    """By the validator of SPDX' own library, of what a reader gets."""
    assert validate_full_spdx_document(parse_file(str(spdx_path))) == []


def test_every_file_belongs_to_one_package(spdx_path: Path) -> None:
    """No file is in two packages, none is in no package."""
    document = json.loads(spdx_path.read_text())
    ids = {entry["SPDXID"] for entry in document["files"]}
    owned = [
        relation["relatedSpdxElement"]
        for relation in document["relationships"]
        if relation["relationshipType"] == "CONTAINS" and relation["relatedSpdxElement"] in ids
    ]
    assert len(owned) == len(ids)
    assert set(owned) == ids


def test_every_package_has_files_or_is_in_one_that_has(spdx_path: Path) -> None:
    """Nothing is listed that is not in the file."""
    document = json.loads(spdx_path.read_text())
    linked = {
        relation["relatedSpdxElement"]
        for relation in document["relationships"]
        if relation["relationshipType"] == "STATIC_LINK"
    }
    for package in document["packages"]:
        if package["name"] in WHOLE:
            continue
        assert package.get("filesAnalyzed", True) or package["SPDXID"] in linked, package["name"]


def test_native_code_names_its_sources(spdx_path: Path) -> None:
    """With the versions and digests of the lock: of the executable all that it pins."""
    document = json.loads(spdx_path.read_text())
    packages = {package["name"]: package for package in document["packages"]}
    pins = source_pins()
    of_the_executable = set(archives()) - {name for names in LIBRARIES.values() for name in names}
    if EXECUTABLE.name not in packages:
        assert not of_the_executable & set(packages)
        pins = {name: pin for name, pin in pins.items() if name not in of_the_executable}
    for name, pin in pins.items():
        package = packages[name]
        assert package["versionInfo"] == pin["version"]
        assert package["downloadLocation"] == pin.get("upstream", "NOASSERTION")
        assert package["checksums"][0]["checksumValue"] == pin.get("upstream_sha256", pin["sha256"])


def test_the_executable_names_its_c_library(release: Path) -> None:
    """musl and the compiler's own functions, which are linked in though no source is locked."""
    whole()
    (path,) = release.glob("tetrapy-linux-*.spdx.json")
    document = json.loads(path.read_text())
    packages = {package["name"]: package for package in document["packages"]}
    assert packages["ziglang"]["versionInfo"] == zig.wheel().version
    parts = {
        relation["relatedSpdxElement"]
        for relation in document["relationships"]
        if relation["relationshipType"] == "STATIC_LINK"
        and relation["spdxElementId"] == "SPDXRef-Package-tetrapy-interpreter"
    }
    linked = {packages[name]["SPDXID"] for name in (*archives(), "musl", "ziglang")}
    assert parts == linked


def test_the_licences_of_all(release: Path, spdx_path: Path) -> None:
    """Beside each bill a file has the licence texts of all that is listed there."""
    texts = (release / spdx_path.name.replace(".spdx.json", ".licenses.txt")).read_text()
    for package in json.loads(spdx_path.read_text())["packages"]:
        if "tetrapy" not in package["name"]:
            assert f"\n{package['name']} {package['versionInfo']}: " in texts, package["name"]


def test_packages_say_where_they_come_from(spdx_path: Path) -> None:
    """By a package URL and a release's own address, never by a mirror."""
    document = json.loads(spdx_path.read_text())
    hosts = {"github.com", "sourceware.org", "zlib.net", "www.oberhumer.com", "www.python.org"}
    for package in document["packages"]:
        if package["name"] in WHOLE:
            continue
        (reference,) = package["externalRefs"]
        assert reference["referenceLocator"].startswith("pkg:")
        place = package["downloadLocation"]
        if place == "NOASSERTION":
            own = "pkg:generic/tetrapy"
            assert reference["referenceLocator"].startswith(
                ("pkg:pypi/", "pkg:deb/debian/", "pkg:generic/musl", own)
            )
        else:
            assert place.split("/")[2] in hosts


def test_both_bills_tell_the_same(spdx_path: Path) -> None:
    """The same packages, the same licences, the same files in SPDX and CycloneDX."""
    other = json.loads(beside(spdx_path).read_text())
    mine = json.loads(spdx_path.read_text())
    files = {file["name"] for one in other["components"] for file in one.get("components", ())}
    assert files == {entry["fileName"].removeprefix("./") for entry in mine["files"]}
    assert {(one["name"], one["version"]) for one in other["components"]} == {
        (package["name"], package["versionInfo"])
        for package in mine["packages"]
        if package["name"] not in WHOLE
    }


def test_each_component_has_its_licence(spdx_path: Path) -> None:
    """The whole has those of all its parts; both bills have the same."""
    read = get_spdx_licensing().parse
    mine = {
        one["externalRefs"][0]["referenceLocator"]: read(one["licenseDeclared"], validate=True)
        for one in json.loads(spdx_path.read_text())["packages"]
        if one["name"] not in WHOLE
    }
    bill = json.loads(beside(spdx_path).read_text())
    other = {one["purl"]: read(one["licenses"][0]["expression"]) for one in bill["components"]}
    assert other == mine
    named = {purl.partition("@")[0]: str(licence) for purl, licence in mine.items()}
    assert named["pkg:generic/tetrapy"] == named["pkg:generic/tetrapy-libtetrapy"] == "Apache-2.0"
    assert named["pkg:generic/tetrapy-bpf"] == "GPL-2.0-only"
    assert named["pkg:github/libbpf/libbpf"] == "LGPL-2.1-only OR BSD-2-Clause"
    assert named["pkg:generic/elfutils"] == "GPL-2.0-or-later OR LGPL-3.0-or-later"
    assert named["pkg:pypi/orjson"].endswith("(Apache-2.0 OR MIT)")
    (whole,) = bill["metadata"]["component"]["licenses"]
    assert read(whole["expression"]).objects == {
        key for one in mine.values() for key in one.objects
    }


def test_the_same_file_gives_the_same_bills(release: Path) -> None:
    """Byte for byte; a date is in them only when SOURCE_DATE_EPOCH gives it."""
    for name in WHOLE & {path.name for path in release.iterdir()}:
        for path, data in bills.make(release / name).items():
            assert path.read_bytes() == data, path.name


def test_a_reader_can_compare_bill_and_file(
    release: Path, members: dict[str, bytes], tmp_path: Path
) -> None:
    """The documented command finds no difference, and the one file that was changed."""
    command = commands("What is inside")[0]
    assert run(command, release).returncode == 0
    for path in release.glob("*.spdx.json"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    changed = repacked({**members, "tetrapy/version.py": b"evil"})
    (tmp_path / "tetrapy.pyz").write_bytes(changed)
    done = run(command, tmp_path)
    assert done.returncode == 1
    assert done.stderr == "./tetrapy/version.py\n"


@pytest.mark.parametrize("place", [None, 100, -100])
def test_a_reader_can_compare_bill_and_executable(
    release: Path, tmp_path: Path, place: int | None
) -> None:
    """So it is for the executable: a byte of its interpreter, or of its .pyz, is noticed."""
    data = bytearray(whole())
    command = commands("What is inside")[1].replace("amd64", ARCH)
    for path in (release / "tetrapy.pyz", *release.glob("*.spdx.json")):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    if place is not None:
        data[place] ^= 1
    (tmp_path / EXECUTABLE.name).write_bytes(data)
    done = run(command, tmp_path)
    assert (done.returncode == 0) == (place is None), done.stdout + done.stderr


def test_another_interpreter_is_refused() -> None:
    """What is in front of the .pyz is what this checkout builds."""
    data = bytearray(whole())
    data[100] ^= 1
    with pytest.raises(BuildError, match=r"has another interpreter"):
        inventory.take(bytes(data), EXECUTABLE.name)


@pytest.mark.parametrize(
    "name", ["stray.py", "tetrapy/stray.py", "tetrapy/errors.so", "tetrapy/kernel/data/lib/x.so"]
)
def test_a_stray_file_is_refused(members: dict[str, bytes], name: str) -> None:
    """Wherever it lies."""
    with pytest.raises(BuildError, match=rf"^{re.escape(name)} is in the file and comes from nowh"):
        inventory.take(repacked({**members, name: b"x"}))


def test_a_changed_package_is_refused(members: dict[str, bytes]) -> None:
    """Packages of others are traced to their wheels, file by file, native code too."""
    modules = "tetrapy/kernel/data/lib/orjson-x86_64.tar.xz"
    for name, owner in (("six.py", "pypi-six-"), (modules, "tetrapy-orjson-x86-64")):
        with pytest.raises(BuildError, match=rf"^{re.escape(name)} is not what {owner}"):
            inventory.take(repacked({**members, name: b"x"}))


@pytest.mark.parametrize(
    "name",
    [
        "tetrapy/version.pyc",
        "tetrapy/kernel/data/bpf/base.bpf.o",
        "tetrapy/kernel/data/lib/libbpf-x86_64.so",
        "tetrapy/kernel/data/btfs/archive.xz",
        "__main__.pyc",
    ],
)
def test_a_changed_file_is_refused(members: dict[str, bytes], name: str) -> None:
    """Code compiled ahead, native code and data as well as sources."""
    changed = members[name][:-1] + bytes([members[name][-1] ^ 1])
    with pytest.raises(BuildError, match=f"^{re.escape(name)} is not what tetrapy"):
        inventory.take(repacked({**members, name: changed}))
