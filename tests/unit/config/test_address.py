# SPDX-License-Identifier: Apache-2.0
"""Addresses to listen at: how they are written, and what listens there."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.agent_run import Recorder
from tests.support.metrics_server import HERE, INFERRED, fetch
from tetrapy.config.address import Address
from tetrapy.errors import MetricsError
from tetrapy.metrics.collectors import About
from tetrapy.metrics.server import listen, serve


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (":2112", ("", 2112)),
        ("localhost:2112", ("localhost", 2112)),
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("[::1]:65535", ("::1", 65535)),
        ("[::]:2112", ("::", 2112)),
        ("[fe80::1%eth0.5]:2112", ("fe80::1%eth0.5", 2112)),
        ("[::FFFF:10.0.0.1]:1", ("::FFFF:10.0.0.1", 1)),
        ("a-b.example.org:80", ("a-b.example.org", 80)),
    ],
)
def test_an_address(text: str, address: tuple[str, int]) -> None:
    """Host and port as Go splits them; written again they are the same text."""
    assert Address.parse(text) == address
    assert str(Address.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", ":", "2112", "host", "host:", "::1:2112", "[::1]", "[]:1", "[host]:1", "h:http"),
        *("h:-1", "h:65536", "h:999999", "h:1 ", " h:1", "h:1\n", "h/x:1", "http://h:1"),
        *("h:\u0661", "ö:1"),
    ],
)
def test_no_address(text: str) -> None:
    """What lacks a port, or is more than host and port, is refused."""
    with pytest.raises(ValueError, match="no address"):
        Address.parse(text)


@given(st.text(max_size=20))
def test_any_text_as_an_address(text: str) -> None:
    """Whatever is typed is an address with a possible port, or a ValueError."""
    try:
        address = Address.parse(text)
    except ValueError:
        return
    assert 0 <= address.port <= 65535
    assert Address.parse(str(address)) == address


# --- what listens ------------------------------------------------------------------------------


def test_a_busy_port() -> None:
    """The error names the address, the reason and the flag."""
    with listen(Address.parse(HERE)) as first:
        address = Address(*first.getsockname())
        text = f"metrics cannot be served at {address}: Address already in use; give "
        with pytest.raises(MetricsError, match=text) as caught:
            serve(str(address), [], Recorder())
        assert "--metrics-server" in str(caught.value)


def test_an_address_of_another_machine() -> None:
    """192.0.2.1 is nobody's (RFC 5737)."""
    with pytest.raises(
        MetricsError, match=r"at 192\.0\.2\.1:2112: Cannot assign requested address"
    ):
        listen(Address("192.0.2.1", 2112))


def test_a_name_that_does_not_resolve() -> None:
    """The name is in the error; `.invalid` never exists (RFC 2606)."""
    with pytest.raises(MetricsError, match=r"at no\.invalid:2112: "):
        listen(Address("no.invalid", 2112))


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


@needs_ipv6
def test_ipv6() -> None:
    """An IPv6 address is listened at, and told in brackets."""
    log = Recorder()
    server = serve("[::1]:0", [About(INFERRED)], log)
    try:
        reported = log.keys_of("Starting metrics server")["addr"]
        assert reported.startswith("[::1]:")
        assert fetch(Address.parse(reported))[0] == 200
    finally:
        server.close()


@needs_ipv6
@pytest.mark.parametrize("host", ["", "::"])
def test_every_address(host: str) -> None:
    """Without a host both families are served by one socket, as by Go."""
    with listen(Address(host, 0)) as listener:
        place, port = listener.getsockname()[:2]
        assert place == "::"
        for known in ("127.0.0.1", "::1"):
            socket.create_connection((known, port), timeout=60).close()


def without_ipv6(*arguments: int) -> socket.socket:
    if arguments[0] == socket.AF_INET6:
        raise OSError(97, "Address family not supported by protocol")
    return REAL_SOCKET(*arguments)


REAL_SOCKET = socket.socket


def test_every_address_without_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel without IPv6 has its IPv4 addresses served."""
    monkeypatch.setattr(socket, "socket", without_ipv6)
    with listen(Address("", 0)) as listener:
        assert listener.getsockname()[0] == "0.0.0.0"


def test_only_the_host_that_is_named() -> None:
    """0.0.0.0 is IPv4 alone, and localhost is not the world."""
    for host, place in (("0.0.0.0", "0.0.0.0"), ("localhost", "127.0.0.1")):
        with listen(Address(host, 0)) as listener:
            assert listener.getsockname()[0] == place
