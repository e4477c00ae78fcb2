# SPDX-License-Identifier: Apache-2.0
"""The RPM, by rpmbuild; it is made on any architecture, since it compiles nothing."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tools.contents import ARCHITECTURES
from tools.release import tree
from tools.release.command import run
from tools.release.tree import EPOCH, File

HERE = Path(__file__).parent
# What others own is not known; rpm removes an empty directory only when a package owns it.
_SHARED = (
    "/usr/share/bash-completion",
    "/usr/share/bash-completion/completions",
    "/usr/share/fish",
    "/usr/share/fish/vendor_completions.d",
    "/usr/share/zsh",
    "/usr/share/zsh/site-functions",
    "/usr/share/doc",
)


def build(arch: str) -> tuple[str, bytes]:
    """File name and content of the package for `arch` (amd64, arm64)."""
    target = ARCHITECTURES[arch]
    files = tree.installed("rpm", arch)
    with tempfile.TemporaryDirectory() as scratch:
        root, top = Path(scratch, "root"), Path(scratch, "rpmbuild")
        tree.write(files, root)
        spec = Path(scratch, "tetrapy.spec")
        spec.write_text(_spec(files))
        macros = {
            "_topdir": str(top),
            "_dbpath": str(top / "db"),
            "tree": str(root),
            "_buildhost": "localhost",
            "use_source_date_epoch_as_buildtime": "1",
            "clamp_mtime_to_source_date_epoch": "1",
            "source_date_epoch_from_changelog": "0",
            # Nothing of what others' hooks would change or add: no stripping, no build identities.
            "__os_install_post": "%{nil}",
            "_build_id_links": "none",
            "debug_package": "%{nil}",
            # One that every rpm since 2007 can unpack.
            "_binary_payload": "w6.xzdio",
        }
        defines = [f"--define={name} {value}" for name, value in macros.items()]
        run(["rpmbuild", "-bb", "--quiet", f"--target={target}-linux", *defines, str(spec)])
        (package,) = top.glob("RPMS/*/*.rpm")
        return package.name, package.read_bytes()


def _spec(files: dict[str, File]) -> str:
    listed = "\n".join(f"%attr({file.mode:04o}, root, root) {path}" for path, file in files.items())
    template = (HERE / "tetrapy.spec.in").read_text()
    for key, value in {
        "VERSION": tree.version(),
        "SUMMARY": tree.DESCRIPTION,
        "FILES": listed,
        "DIRECTORIES": "\n".join(f"%dir %attr(0755, root, root) {path}" for path in _SHARED),
        "DATE": f"@{EPOCH}",
    }.items():
        template = template.replace(f"@{key}@", value)
    return template
