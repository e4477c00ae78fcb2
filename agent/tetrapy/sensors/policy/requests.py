# SPDX-License-Identifier: Apache-2.0
"""GetUrl and DnsLookup: what policies have the agent ask of others, when the settings allow it.

A thread of its own asks one thing after the other, so that nothing that answers late, or never,
keeps an event from being reported. What finds no room in front of it is counted, and forgotten.
"""

from __future__ import annotations

import queue
import socket
import threading
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

from tetrapy.named import NamedTuple
from tetrapy.policy.types import Action

MAX_WAITING = 256
"""Requests that may wait for the thread."""
TIMEOUT = 5.0
"""Seconds in which a server has to answer, or to send more of its answer's head."""

GET_URL, DNS_LOOKUP = "GetUrl", "DnsLookup"
ACTIONS = frozenset({GET_URL, DNS_LOOKUP})
OK, FAILED, DROPPED = "ok", "failed", "dropped"
_AGENT = "tetrapy"


class Request(NamedTuple):
    """What is asked: an action, and the URL or the name."""

    action: str
    what: str


def requests_of(actions: Sequence[Action]) -> Tuple[Request, ...]:
    """The requests among the actions of a selector."""
    return tuple(
        Request(one.action, one.arg_url if one.action == GET_URL else one.arg_fqdn)
        for one in actions
        if one.action in ACTIONS
    )


class Requests:
    """Asks, and counts by action and `ok`, `failed`, `dropped`."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[Request] = queue.Queue(MAX_WAITING)
        self._thread: Optional[threading.Thread] = None
        self._opener: Any = None  # of the thread
        self._counts = {
            (action, outcome): 0
            for action in (GET_URL, DNS_LOOKUP)
            for outcome in (OK, FAILED, DROPPED)
        }

    def ask(self, requests: Sequence[Request]) -> None:
        """Have them made soon; returns at once."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="requests", daemon=True)
            self._thread.start()
        for one in requests:
            try:
                self._waiting.put_nowait(one)
            except queue.Full:
                self._counts[one.action, DROPPED] += 1

    def counts(self) -> Mapping[Tuple[str, str], int]:
        """How many there were so far."""
        found: Dict[Tuple[str, str], int] = self._counts.copy()
        return found

    def _run(self) -> None:
        while True:
            one = self._waiting.get()
            try:
                if one.action == GET_URL:
                    self._get(one.what)
                else:
                    socket.getaddrinfo(one.what, None, socket.AF_INET, socket.SOCK_STREAM)
                outcome = OK
            # Whatever a server answers, and whatever a policy calls a URL.
            except Exception:  # noqa: BLE001 - counted as failed, and the next one is asked
                outcome = FAILED
            self._counts[one.action, outcome] += 1

    def _get(self, url: str) -> None:
        """Ask for it, and look at the head of the answer only. Raises OSError, ValueError."""
        if self._opener is None:
            from urllib import request  # late: it takes a megabyte

            # No other schemes than these, also where an answer leads to another place.
            self._opener = request.OpenerDirector()
            for handler in (
                request.ProxyHandler,
                request.HTTPHandler,
                request.HTTPSHandler,
                request.HTTPRedirectHandler,
                request.HTTPDefaultErrorHandler,
                request.HTTPErrorProcessor,
                request.UnknownHandler,
            ):
                self._opener.add_handler(handler())
            self._opener.addheaders = [("User-Agent", _AGENT)]
        self._opener.open(url, timeout=TIMEOUT).close()
