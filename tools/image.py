# SPDX-License-Identifier: Apache-2.0
"""What the container image is built from: python3 -m tools.image [--pin]

Writes into build/image a root for each architecture, as a tar file whose bytes follow from the lock
and from dist/tetrapy.pyz, and into dist a bill of materials for each. The image is then made by
`podman build` or `buildah build` with deploy/Containerfile, without internet and without running
anything of it: docs/containers.md has the commands. --pin takes the newest versions into the lock.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import subprocess
import sys
import tarfile
import tomllib
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from tools import debian
from tools.contents import ARCHITECTURES
from tools.errors import BuildError
from tools.fetch import LOCK, ROOT
from tools.release import tree
from tools.zip_writer import replace_file

CONTEXT = ROOT / "build/image"
_LOCK_FILE = LOCK / "image.toml"
_AGENT = "usr/lib/tetrapy/tetrapy.pyz"
# Of what packages bring, that nothing in the image uses; their copyright files stay.
_LEFT_OUT = ("usr/share/", "usr/lib/python3.11/lib2to3/", "usr/lib/python3.11/pydoc_data/")
_KEPT = "/copyright"
# The image has no shell, which the first lines of the .pyz are for.
_LAUNCHER = """#!/usr/bin/python3 -IS
import os, sys
words = sys.argv[1:]
if words[:1] == [__file__]:  # named once more behind the image, as in commands for Tetragon's
    del words[0]
os.execv("/usr/bin/python3", ["python3", "/usr/lib/tetrapy/{}", *words])
"""


class Package(NamedTuple):
    """A Debian package of the image."""

    name: str
    version: str
    sha256: dict[str, str]  # by architecture


def packages() -> list[Package]:
    """Those of the lock."""
    with _LOCK_FILE.open("rb") as file:
        rows = tomllib.load(file)["package"]
    return [
        Package(row["name"], row["version"], {arch: row[arch] for arch in ARCHITECTURES})
        for row in rows
    ]


def root(arch: str) -> bytes:
    """The root of the image as a tar file. Raises BuildError."""
    members: dict[str, tuple[tarfile.TarInfo, bytes]] = {}
    for package in packages():
        for info, content in _unpacked(package, arch):
            members[info.name] = info, content
    for info, content in _own():
        members[info.name] = info, content
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(members):
            info, content = members[name]
            info.uid = info.gid = 0
            info.uname = info.gname = "root"
            info.mtime = tree.EPOCH
            tar.addfile(info, io.BytesIO(content) if info.isreg() else None)
    return out.getvalue()


def _unpacked(package: Package, arch: str) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    path = debian.download(package.name, package.version, _suite(), arch, package.sha256[arch])
    data = subprocess.run(["dpkg-deb", "--fsys-tarfile", path], check=True, capture_output=True)
    with tarfile.open(fileobj=io.BytesIO(data.stdout)) as tar:
        for info in tar:
            info.name = info.name.removeprefix("./")
            if not info.name or (info.name.startswith(_LEFT_OUT) and not _is_kept(info)):
                continue
            file = tar.extractfile(info) if info.isreg() else None
            yield info, file.read() if file is not None else b""


def _is_kept(info: tarfile.TarInfo) -> bool:
    return info.name.startswith("usr/share/doc/") and info.name.endswith(_KEPT)


def _own() -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """The agent, and the directories that are mounted over or written to."""
    files = {
        _AGENT: (tree.PYZ.read_bytes(), 0o644),
        "usr/bin/tetrapy": (_LAUNCHER.format("tetrapy.pyz").encode(), 0o755),
        "usr/bin/tetra": (_LAUNCHER.format("tetra").encode(), 0o755),
        "usr/lib/tetrapy/LICENSE": ((ROOT / "LICENSE").read_bytes(), 0o644),
    }
    for path, (content, mode) in files.items():
        info = tarfile.TarInfo(path)
        info.size, info.mode = len(content), mode
        yield info, content
    link = tarfile.TarInfo("usr/lib/tetrapy/tetra")
    link.type, link.linkname = tarfile.SYMTYPE, "tetrapy.pyz"
    yield link, b""
    modes = {"tmp": 0o1777, "proc": 0o555, "sys": 0o555, "dev": 0o755, "etc/tetrapy": 0o755}
    modes |= dict.fromkeys(("run", "usr/lib/tetrapy", "var/lib/tetrapy", "var/log/tetrapy"), 0o755)
    for path, mode in modes.items():
        info = tarfile.TarInfo(path)
        info.type, info.mode = tarfile.DIRTYPE, mode
        yield info, b""
    run = tarfile.TarInfo("var/run")
    run.type, run.linkname = tarfile.SYMTYPE, "/run"
    yield run, b""


def bill(arch: str) -> bytes:
    """The bill of materials, as CycloneDX 1.6 in JSON; what is in the .pyz stands in its own."""
    components = [
        Component(
            name=package.name,
            version=package.version,
            type=ComponentType.LIBRARY,
            bom_ref=f"deb:{package.name}",
            purl=PackageURL(
                "deb", "debian", package.name, package.version, {"arch": arch, "distro": _suite()}
            ),
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=package.sha256[arch])],
        )
        for package in packages()
    ]
    version = tree.version()
    agent = Component(
        name="tetrapy.pyz", version=version, type=ComponentType.APPLICATION, bom_ref="tetrapy.pyz"
    )
    whole = Component(
        name=f"tetrapy-image-{arch}",
        version=version,
        type=ComponentType.CONTAINER,
        bom_ref="image",
    )
    bom = Bom(
        components=[agent, *components],
        metadata=BomMetaData(component=whole, timestamp=datetime.fromtimestamp(tree.EPOCH, UTC)),
    )
    bom.serial_number = _serial(arch)
    bom.register_dependency(whole, [agent, *components])
    return JsonV1Dot6(bom).output_as_string(indent=1).encode() + b"\n"


def _serial(arch: str) -> uuid.UUID:
    digest = hashlib.sha256(tree.PYZ.read_bytes() + _LOCK_FILE.read_bytes() + arch.encode())
    return uuid.UUID(bytes=digest.digest()[:16], version=4)


def _suite() -> str:
    with _LOCK_FILE.open("rb") as file:
        return str(tomllib.load(file)["suite"])


def _pin() -> None:
    """Take the newest versions into the lock. Raises BuildError where architectures differ."""
    suite = _suite()
    head, _, _ = _LOCK_FILE.read_text().partition("[[package]]")
    lines = [head.rstrip(), ""]
    for package in packages():
        found = {arch: debian.versions(package.name, suite, arch)[0] for arch in ARCHITECTURES}
        if len({one.version for one in found.values()}) > 1:
            raise BuildError(f"{package.name}: the architectures have different versions")
        lines += ["[[package]]", f'name = "{package.name}"']
        lines += [f'version = "{next(iter(found.values())).version}"']
        lines += [*(f'{arch} = "{one.sha256}"' for arch, one in found.items()), ""]
    _LOCK_FILE.write_text("\n".join(lines))


def main() -> int:
    """Exit code: 1 when something could not be made."""
    parser = argparse.ArgumentParser(
        prog="python3 -m tools.image",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--pin", action="store_true", help="renew the lock, and make nothing")
    parser.add_argument("--output", type=Path, default=CONTEXT, metavar="DIR")
    arguments = parser.parse_args()
    try:
        if arguments.pin:
            _pin()
            return 0
        arguments.output.mkdir(parents=True, exist_ok=True)
        for arch in ARCHITECTURES:
            replace_file(arguments.output / f"root-{arch}.tar", root(arch), 0o644)
            name = f"tetrapy-{tree.version()}-image-{arch}.cdx.json"
            replace_file(tree.PYZ.parent / name, bill(arch), 0o644)
    except BuildError as err:
        print(f"image: {err}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
