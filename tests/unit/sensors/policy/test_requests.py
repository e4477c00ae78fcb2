# SPDX-License-Identifier: Apache-2.0
"""What policies have the agent ask of others: made by a thread, counted, and never waited for."""

from __future__ import annotations

import http.server
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.agent import until
from tests.support.policies import read, selector
from tetrapy.sensors.policy import requests
from tetrapy.sensors.policy.requests import DNS_LOOKUP, GET_URL, Request, Requests, requests_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Server:
    """An HTTP server that may keep those who ask waiting."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.may_answer = threading.Event()
        self.may_answer.set()
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                server.may_answer.wait()
                code = {"/missing": 404, "/moved": 302, "/away": 302}.get(self.path, 200)
                self.send_response(code)
                if code == 302:
                    to = "/here" if self.path == "/moved" else "file:///etc/hostname"
                    self.send_header("Location", to)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Keep quiet."""

        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.may_answer.set()
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


def get(url: str) -> Request:
    return Request(GET_URL, url)


def test_requests_are_made_in_their_order(server: Server) -> None:
    """Also where an answer leads elsewhere; an error of the server is a failure."""
    made = Requests()
    made.ask([get(f"{server.url}/{name}") for name in ("one", "missing", "moved", "two")])
    until(lambda: made.counts()[GET_URL, "ok"] == 3, "all answers")
    assert server.asked == ["/one", "/missing", "/moved", "/here", "/two"]
    assert made.counts()[GET_URL, "failed"] == 1


def test_only_http_is_spoken(server: Server, tmp_path: Path) -> None:
    """Neither by what a policy says nor where a server leads; what is no URL fails as well."""
    (tmp_path / "file").write_text("")
    wrong = [f"file://{tmp_path}/file", "data:,x", "ftp://127.0.0.1:1/", "", "http://", "nothing"]
    made = Requests()
    made.ask([*map(get, wrong), get(f"{server.url}/away"), get(f"{server.url}/a b")])
    made.ask([get(f"{server.url}/last")])
    until(lambda: made.counts()[GET_URL, "ok"] == 1, "the last answer")
    assert made.counts()[GET_URL, "failed"] == len(wrong) + 2
    assert server.asked == ["/away", "/last"]


def test_names_are_looked_up() -> None:
    """An address is a name too; one that cannot be is a failure."""
    made = Requests()
    made.ask([Request(DNS_LOOKUP, name) for name in ("127.0.0.1", "x" * 300)])
    until(lambda: sum(made.counts().values()) == 2, "both answers")
    assert made.counts()[DNS_LOOKUP, "ok"] == made.counts()[DNS_LOOKUP, "failed"] == 1


def test_what_finds_no_room_is_dropped(server: Server) -> None:
    """A server that does not answer makes nobody wait, and takes no more than its room."""
    server.may_answer.clear()
    made = Requests()
    made.ask([get(f"{server.url}/slow")])
    until(lambda: server.asked == ["/slow"], "the request")
    made.ask([get(f"{server.url}/more")] * (requests.MAX_WAITING + 3))
    assert made.counts()[GET_URL, "dropped"] == 3
    server.may_answer.set()
    until(lambda: made.counts()[GET_URL, "ok"] == requests.MAX_WAITING + 1, "all answers")


def test_those_of_a_selector() -> None:
    """Other actions ask nobody."""
    asking = "{action: GetUrl, argUrl: 'http://a/'}, {action: DnsLookup, argFqdn: b}"
    (hook,) = read(selector(f"{{matchActions: [{{action: Post}}, {asking}]}}")).policy.spec.kprobes
    actions = hook.selectors[0].match_actions
    assert requests_of(actions) == (get("http://a/"), Request(DNS_LOOKUP, "b"))
