# SPDX-License-Identifier: Apache-2.0
"""The files that tetrapy carries besides Python sources: BPF objects, native code, the BTF archive.

`stage` writes them to build/bundle, where the sources find them when they are run without being
packed; the packed file has the same names. tetrapy.kernel.bundle reads both.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

# The agent's own reader judges whether the archive fits the objects.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "agent"))

from tetrapy.abi.core_queries import CoreQueries
from tetrapy.btf.archive import Archive, check_queries
from tetrapy.errors import ArchiveError
from tools import bpf_objects, libbpf_so, own_so, shared_library, unpack_so, wheels
from tools.contents import NATIVE_PACKAGES
from tools.errors import BuildError
from tools.fetch import ROOT
from tools.xz_writer import packed
from tools.zip_writer import replace_file

STAGED = ROOT / "build" / "bundle"
_BTFS = ROOT / "btfs"
_POLICIES = ROOT / "policies"
_PACKED = ("bpf/base-4.19.bpf.o", "bpf/policy-perf.bpf.o")


def stage() -> dict[str, bytes]:
    """Bring build/bundle up to date; returns name -> contents of each file of the bundle.

    Raises BuildError when a part can neither be built nor be found. An archive that was made for
    other objects is an error where the environment says STRICT=1, as in CI, else a warning.
    """
    bpf_objects.build(STAGED / "bpf")
    files = bpf_files()
    for architecture in shared_library.ARCHITECTURES:
        for build in (libbpf_so, own_so, unpack_so):
            library = build.library(architecture)
            files[f"lib/{library.stem}-{architecture}.so"] = library.read_bytes()
    for project in NATIVE_PACKAGES:
        for machine, archive in wheels.extension_archives(project).items():
            files[f"lib/{project}-{machine}.tar.xz"] = archive
    files["btfs/archive.xz"] = _btf_archive(list(_bpf_objects().values()))
    files["policies/library.json"] = policies()
    for name, contents in files.items():
        path = STAGED / name
        if not path.is_file() or path.read_bytes() != contents:
            replace_file(path, contents, 0o644)
    kept = {*files, *_bpf_objects()}
    for path in STAGED.rglob("*"):
        beside = path.name.startswith(".")
        if path.is_file() and not beside and str(path.relative_to(STAGED)) not in kept:
            path.unlink(missing_ok=True)
    return files


def bpf_files() -> dict[str, bytes]:
    """Name -> contents of the BPF objects in the bundle, which have been built.

    Those that few agents load are packed: the ones for old kernels.
    """
    files = {}
    for name, contents in _bpf_objects().items():
        if name in _PACKED:
            files[f"{name}.xz"] = packed(contents)
        else:
            files[name] = contents
    return files


def _bpf_objects() -> dict[str, bytes]:
    return {f"bpf/{name}": (STAGED / "bpf" / name).read_bytes() for name in bpf_objects.OBJECTS}


def policies() -> bytes:
    """The library of policies, in one file: each entry of the zip costs every start a little."""
    texts = {path.stem: path.read_text() for path in sorted(_POLICIES.glob("*.yaml"))}
    return json.dumps(texts).encode()


def _btf_archive(objects: list[bytes]) -> bytes:
    path = _BTFS / "archive.xz"
    if not path.is_file():
        raise BuildError("btfs/archive.xz is not there; it is made by `make refresh-btfs`")
    archive = path.read_bytes()
    try:
        known = Archive(archive)
    except ArchiveError as err:
        raise BuildError(f"btfs/archive.xz: {err}; `make refresh-btfs` makes it anew") from err
    try:
        check_queries(known, CoreQueries(objects))
    except ArchiveError as err:
        problem = f"btfs/archive.xz: {err}; `make refresh-btfs` makes it anew"
        if os.environ.get("STRICT") == "1":
            raise BuildError(problem) from err
        print(
            f"build: {problem}; until then only kernels that have BTF are served", file=sys.stderr
        )
    return archive


if __name__ == "__main__":
    for staged_name, staged in sorted(stage().items()):
        print(f"{len(staged):9,} {STAGED.relative_to(ROOT) / staged_name}")
