# SPDX-License-Identifier: Apache-2.0
"""Policies of clients, kept in a directory from one run of the agent to the next.

As Tetragon keeps them: a JSON record each, `NAME:NAMESPACE:DOMAIN.json`, with the policy's text in
`yaml` and whether it is `enabled`.
"""

from __future__ import annotations

import os
import re
import stat
from typing import Any, Callable, List, Tuple

from tetrapy import json_codec
from tetrapy.daemon.policies import Policies
from tetrapy.daemon.policy_entry import Entry
from tetrapy.errors import TetrapyError

_SUFFIX = ".json"
_WORD = re.compile(r"[A-Za-z0-9._-]*\Z")
_MAX_SIZE = 16 << 20  # bytes of a record; a request has 4 MiB, and JSON may write a byte as six

Log = Callable[..., None]


class PolicyStoreError(TetrapyError):
    """Policies are not kept, or not there."""


class PolicyStore:
    """The records in a directory of root's."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def save(self, entry: Entry, *, enabled: bool) -> None:
        """Write the record of a policy. Raises PolicyStoreError."""
        path = self._path(entry)
        record = json_codec.dumps({"yaml": entry.text, "enabled": enabled})
        aside = os.path.join(self._directory, f".{os.getpid()}")
        try:
            os.makedirs(self._directory, 0o700, exist_ok=True)
            self._expect_own()
            _unlink(aside)
            fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(fd, "wb") as file:
                file.write(record)
                file.flush()
                os.fsync(fd)
            os.rename(aside, path)
        except OSError as err:
            _unlink(aside)
            raise PolicyStoreError(f"the policy cannot be kept: {err}") from err

    def forget(self, entry: Entry) -> None:
        """Remove the record of a policy, if there is one. Raises PolicyStoreError."""
        try:
            os.unlink(self._path(entry))
        except FileNotFoundError:
            pass
        except OSError as err:
            raise PolicyStoreError(f"the policy cannot be forgotten: {err}") from err

    def _path(self, entry: Entry) -> str:
        parts = (entry.name, entry.namespace, entry.domain)
        if not all(map(_WORD.match, parts)):
            raise PolicyStoreError(
                f"the policy cannot be kept under the name {':'.join(parts)!r}: letters, digits,"
                " points, dashes and underscores are"
            )
        return os.path.join(self._directory, ":".join(parts) + _SUFFIX)

    def restore(self, policies: Policies, log: Log) -> None:
        """Prepare all that are kept; a record that is none is logged, and stays where it is."""
        try:
            names = sorted(os.listdir(self._directory))
            self._expect_own()
        except FileNotFoundError:
            return
        except OSError as err:
            log("error", "Policies of clients are not restored", error=str(err))
            return
        for name in names:
            if name.startswith(".") or not name.endswith(_SUFFIX):
                continue
            path = os.path.join(self._directory, name)
            try:
                text, domain, enabled = _record(path)
            except (OSError, PolicyStoreError) as err:
                log("error", "A policy of a client is not restored", file=path, error=str(err))
                continue
            policies.prepare_text(text, path, domain, enabled=enabled)

    def _expect_own(self) -> None:
        """Raise PermissionError where somebody else may have put records."""
        status = os.stat(self._directory)
        if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise PermissionError(
                f"{self._directory} may be written to by others than the agent's user: give it to"
                " root, with mode 0700"
            )


def _record(path: str) -> Tuple[str, str, bool]:
    """Text, domain, and whether it is enabled. Raises PolicyStoreError, OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(fd, "rb") as file:
        data = file.read(_MAX_SIZE)
    parts: List[str] = os.path.basename(path)[: -len(_SUFFIX)].split(":")
    try:
        record: Any = json_codec.loads(data)
        text, enabled = record["yaml"], record["enabled"]
    except (ValueError, KeyError, TypeError) as err:
        raise PolicyStoreError(f"no record of a policy: {err!r}") from err
    if len(parts) != 3 or not isinstance(text, str) or not isinstance(enabled, bool):
        raise PolicyStoreError("no record of a policy")
    return text, parts[2], enabled


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass
