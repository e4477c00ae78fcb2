# SPDX-License-Identifier: Apache-2.0
"""Certificates, made by openssl."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


def openssl(*words: object) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


class Authority:
    """Signs certificates."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory = directory
        self.certificate, self.key = directory / f"{name}.pem", directory / f"{name}.key"
        files = ["-keyout", self.key, "-out", self.certificate]
        openssl("req", "-x509", *_KEY, *files, "-subj", f"/CN={name}", "-days", 2)

    def sign(self, name: str) -> tuple[Path, Path]:
        """The files of a certificate for `localhost` and its key."""
        certificate, key = self.directory / f"{name}.pem", self.directory / f"{name}.key"
        request, extensions = self.directory / f"{name}.csr", self.directory / f"{name}.ext"
        extensions.write_text("subjectAltName=DNS:localhost\n")
        openssl("req", *_KEY, "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        by = ["-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial"]
        files = ["-in", request, "-out", certificate, "-extfile", extensions]
        openssl("x509", "-req", *files, *by, "-days", 2)
        return certificate, key
