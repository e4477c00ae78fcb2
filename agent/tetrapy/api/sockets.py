# SPDX-License-Identifier: Apache-2.0
"""What sockets raise, with TLS or without."""

from __future__ import annotations

from typing import Any

try:
    import ssl

    NOT_NOW: Any = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
except ImportError:  # a Python without OpenSSL serves, and asks, without TLS
    NOT_NOW = BlockingIOError
"""What a socket raises that does not wait, when it would have to."""
