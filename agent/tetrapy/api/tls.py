# SPDX-License-Identifier: Apache-2.0
"""TLS of the server: version 1.3, HTTP/2 by ALPN, and certificates of clients where demanded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Sequence

from tetrapy.errors import TetrapyError

if TYPE_CHECKING:
    import ssl


class TlsError(TetrapyError):
    """Certificate or key cannot be used, or this Python has no OpenSSL."""


def server_context(
    cert_file: str, key_file: str, client_ca_files: Sequence[str], *, demand: bool
) -> ssl.SSLContext:
    """Raises TlsError for files that cannot be read or do not belong together, without OpenSSL."""
    try:
        import ssl
    except ImportError as err:  # as in the executable
        raise TlsError(
            f"--server-tls-cert-file: this Python cannot speak TLS ({err}): run tetrapy.pyz by one"
            " that can, or name a unix socket"
        ) from err
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["h2"])
    what = f"--server-tls-cert-file {cert_file} with --server-tls-key-file {key_file}"
    try:
        context.load_cert_chain(cert_file, key_file)
        for name in client_ca_files:
            what = f"--server-tls-client-ca-files: {name}"
            context.load_verify_locations(name)
    except OSError as err:
        raise TlsError(f"{what}: {getattr(err, 'reason', '') or err.strerror or err}") from err
    if demand:
        context.verify_mode = ssl.CERT_REQUIRED
    return context
