# SPDX-License-Identifier: Apache-2.0
"""A signature that every host with openssl verifies, without a network: ECDSA on P-256.

Ed25519 would be as good, but openssl(1) verifies it in releases from 3.0 on only. The key never is
in this repository: whoever makes releases names its file.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from tools.errors import BuildError
from tools.fetch import ROOT

SUFFIX = ".sig"
PUBLIC_KEY = ROOT / "docs/release-key.pem"  # the project's, once it has one


def sign(path: Path, key: Path, public: Path | None = None) -> Path:
    """Write `path`.sig with a private key; returns its path.

    Raises BuildError when the key cannot be used, or is not the one whose public half is in
    `public` (the project's published one when there is one).
    """
    if public is None and PUBLIC_KEY.exists():
        public = PUBLIC_KEY
    if key.stat().st_mode & 0o077:
        raise BuildError(f"the key {key} can be read by others: chmod 600 {key}")
    signature = path.with_name(path.name + SUFFIX)
    with tempfile.TemporaryDirectory() as scratch:
        derived = Path(scratch, "public.pem")
        _openssl("pkey", "-in", str(key), "-pubout", "-out", str(derived))
        _openssl("dgst", "-sha256", "-sign", str(key), "-out", str(signature), str(path))
        try:
            verify(path, public or derived)
        except BuildError:
            signature.unlink()
            raise BuildError(f"{key} is not the key whose public half is {public}") from None
    return signature


def verify(path: Path, public: Path) -> None:
    """Raise BuildError unless `path`.sig is the file's signature."""
    signature = f"{path}{SUFFIX}"
    _openssl("dgst", "-sha256", "-verify", str(public), "-signature", signature, str(path))


def _openssl(*arguments: str) -> None:
    try:
        done = subprocess.run(["openssl", *arguments], check=False, capture_output=True, text=True)
    except FileNotFoundError:
        raise BuildError("openssl is needed to sign: sudo apt-get install openssl") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise BuildError(f"openssl {arguments[0]}: {said[0] if said else done.returncode}")
