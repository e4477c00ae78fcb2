# SPDX-License-Identifier: Apache-2.0
"""A root directory to install into, and releases to install."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path

from tools.release import tarball


class Host:
    """A root directory, and releases that are installed there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.root = path / "root"
        self.root.mkdir()
        self.release = self.unpack("release")

    def unpack(self, name: str) -> Path:
        file, content = tarball.build("amd64")
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            tar.extractall(self.path, filter="tar")
        unpacked = self.path / file.removesuffix(".tar.gz")
        return unpacked.rename(self.path / name)

    def run(
        self, script: Path, *words: str, environment: dict[str, str] | None = None
    ) -> tuple[int, str]:
        """Exit code and all that was printed; `environment` beside the usual one."""
        command = ["sh", str(script), "--root", str(self.root), *words]
        done = subprocess.run(
            command,
            check=False,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self.path,
            env={**os.environ, **(environment or {})},
        )
        return done.returncode, done.stdout

    def install(self, release: Path | None = None, *words: str) -> tuple[int, str]:
        return self.run((release or self.release) / "install.sh", *words)

    def uninstall(self, *words: str) -> tuple[int, str]:
        return self.run(self.release / "uninstall.sh", *words)

    def files(self) -> dict[str, tuple[int, bytes | None]]:
        """Mode and content of all there is; None is a directory's."""
        return {
            str(path.relative_to(self.root)): (
                path.stat().st_mode & 0o7777,
                None if path.is_dir() else path.read_bytes(),
            )
            for path in sorted(self.root.rglob("*"))
        }
