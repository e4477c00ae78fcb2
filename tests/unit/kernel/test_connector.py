# SPDX-License-Identifier: Apache-2.0
"""What the process connector's socket says when it cannot be used. No root."""

from __future__ import annotations

import errno
import os
import select
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.connector_messages import message
from tetrapy.errors import BundleError, KernelError, NotPermittedError
from tetrapy.kernel import connector as module
from tetrapy.kernel import namespaces
from tetrapy.kernel import pyroute2 as parts
from tetrapy.kernel.connector import ProcessConnector

if TYPE_CHECKING:
    from pathlib import Path


class FakeSocket:
    """pyroute2's ProcEventSocket, as far as it is used; `refuse` maps a call to an errno."""

    refuse: dict[str, int] = {}  # noqa: RUF012 - each test sets its own
    answers: list[Any] = []  # noqa: RUF012 - as above
    taken: set[int] = set()  # noqa: RUF012 - as above

    def __init__(self) -> None:
        self._check("socket")
        self.readable, self._end = os.pipe()
        os.write(self._end, b"x")
        self.options: list[tuple[int, int]] = []
        self.sent: list[dict[str, Any]] = []

    def _check(self, call: str) -> None:
        if call in self.refuse:
            raise OSError(self.refuse[call], os.strerror(self.refuse[call]))

    def bind(self, pid: int) -> None:
        if pid in self.taken:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        self._check("bind")
        self.bound = pid

    def setsockopt(self, level: int, option: int, value: int) -> None:
        if option == 33:
            self._check("force")
        self.options.append((option, value))

    def getsockopt(self, level: int, option: int) -> int:
        return 2 * self.options[-1][1]

    def setblocking(self, flag: bool) -> None:
        assert not flag

    def fileno(self) -> int:
        return self.readable

    def put(self, data: dict[str, Any], kind: int, msg_flags: int) -> None:
        self._check("put")
        self.sent.append(dict(data))

    def recvfrom(self, size: int) -> tuple[bytes, tuple[int, int]]:
        answer = self.answers.pop(0) if self.answers else None
        if answer is None:
            raise BlockingIOError
        if isinstance(answer, int):
            raise OSError(answer, os.strerror(answer))
        return answer if isinstance(answer, tuple) else (answer, (0, 1))

    def close(self) -> None:
        os.close(self.readable)
        os.close(self._end)


def acknowledged(error: int = 0, ack: int = 0x7466) -> bytes:
    """The kernel's answer to a request."""
    data = bytearray(message("none", error))
    data[28:32] = ack.to_bytes(4, sys.byteorder)
    return bytes(data)


@pytest.fixture
def connector(monkeypatch: pytest.MonkeyPatch):
    """Makes the connector over a fake socket that refuses and answers as told."""
    fake = SimpleNamespace(
        ProcEventSocket=FakeSocket,
        proc_event_control=dict,
        PROC_CN_MCAST_LISTEN=1,
        PROC_CN_MCAST_IGNORE=2,
        CN_IDX_PROC=1,
        CN_VAL_PROC=1,
    )
    monkeypatch.setattr(module, "part", lambda name: fake)
    monkeypatch.setattr(module, "provoke_event_on_each_cpu", lambda: True)
    monkeypatch.setattr(module, "_TIMEOUT", 0.05)
    monkeypatch.setattr(module, "own_namespaces", list)
    made: list[ProcessConnector] = []

    def make(*answers: Any, **refuse: int) -> ProcessConnector:
        monkeypatch.setattr(FakeSocket, "refuse", refuse)
        monkeypatch.setattr(FakeSocket, "answers", list(answers))
        made.append(ProcessConnector(1000))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize(
    ("call", "number", "kind", "text"),
    [
        ("socket", errno.EPROTONOSUPPORT, KernelError, "CONFIG_CONNECTOR"),
        ("socket", errno.EACCES, NotPermittedError, "security module"),
        ("bind", errno.EPERM, NotPermittedError, "CAP_NET_ADMIN"),
        ("bind", errno.ENOMEM, KernelError, "cannot be listened to: Cannot allocate memory"),
    ],
)
def test_cannot_be_opened(connector, call: str, number: int, kind: type, text: str) -> None:
    """The error says what the kernel lacks, or which capability this process lacks."""
    with pytest.raises(kind, match=text) as caught:
        connector(**{call: number})
    assert caught.value.errno == number


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.ECONNREFUSED, "the machine's own network namespace"),
        (errno.ENOENT, "CONFIG_PROC_EVENTS"),
    ],
)
def test_request_is_refused(connector, number: int, text: str) -> None:
    """A refused request names the obstacle."""
    with pytest.raises(KernelError, match=text):
        connector(put=number).listen()


def test_listening(connector) -> None:
    """The answer and a message about this process are waited for; what comes with them is kept."""
    others = [message("fork", 1, 1, 2, 2), message("comm", 9, 9)]
    own = message("comm", os.getpid(), os.getpid())
    first, second = [others[0], acknowledged(ack=5), acknowledged(), others[1]], [own, others[0]]
    one = connector(*first, None, *second)
    assert one.listen() == first + second
    (sent,) = one._socket.sent
    assert sent == {"idx": 1, "val": 1, "len": 4, "ack": 0x7465, "action": 1}
    one.request(listen=False)
    assert one._socket.sent[1]["action"] == 2


def test_acknowledged_refusal(connector) -> None:
    """An answer with an error is a refusal."""
    with pytest.raises(NotPermittedError, match="CAP_NET_ADMIN"):
        connector(acknowledged(errno.EPERM)).listen()


def test_no_answer(connector) -> None:
    """A kernel that does not answer has no process connector."""
    with pytest.raises(KernelError, match=r"does not answer: .*CONFIG_PROC_EVENTS"):
        connector(message("fork", 1, 1, 2, 2)).listen()


def test_nothing_about_this_process(connector, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer alone does not prove that messages come; the namespace that hinders is named."""
    monkeypatch.setattr(module, "own_namespaces", lambda: ["pid", "net"])
    with pytest.raises(KernelError, match=r"tell of this process: .* a pid and net namespace"):
        connector(acknowledged()).listen()


def test_own_message_cannot_be_provoked(connector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where procfs is read-only, the answer has to do."""
    monkeypatch.setattr(module, "provoke_event_on_each_cpu", lambda: False)
    assert connector(acknowledged()).listen() == [acknowledged()]


def test_overrun(connector) -> None:
    """An overrun is counted, and what follows is read."""
    data = message("fork", 1, 1, 2, 2)
    one = connector(data, errno.ENOBUFS, data)
    assert one.receive(10) == [data, data]
    assert one.overruns == 1


def test_socket_breaks(connector) -> None:
    """Any other failure is an error of the kernel's."""
    with pytest.raises(KernelError, match="process connector"):
        connector(errno.EIO).receive(10)


def test_message_of_another_process(connector) -> None:
    """What a process sent, and not the kernel, is left out."""
    data = message("fork", 1, 1, 2, 2)
    assert connector((data, (77, 0)), data).receive(10) == [data]


def test_limit(connector) -> None:
    """No more messages are taken than asked for."""
    data = message("fork", 1, 1, 2, 2)
    one = connector(data, data, data)
    assert [len(one.receive(2)) for _ in range(3)] == [2, 1, 0]


def test_address_is_taken(connector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the process' own address is taken, another one is found, or the error is reported."""
    pid = os.getpid()
    monkeypatch.setattr(FakeSocket, "taken", {pid, pid + (1 << 22)})
    assert connector()._socket.bound == pid + (2 << 22)
    with pytest.raises(KernelError, match="Address already in use"):
        connector(bind=errno.EADDRINUSE)


def test_buffer(connector) -> None:
    """The buffer has the size asked for; without the privilege, what the machine allows."""
    assert connector()._socket.options == [(33, 1000)]
    limited = connector(force=errno.EPERM)
    assert limited._socket.options == [(8, 1000)]
    assert limited.buffer_bytes == 2000
    with select.epoll() as epoll:
        epoll.register(limited.fd, select.EPOLLIN)


def test_namespaces(tmp_path: Path) -> None:
    """A namespace is this process' own when it is not the initial one; what hides is left out."""
    for process, kind, inode in (
        ("self", "pid", 0xEFFFFFFC),
        ("self", "user", 0xEFFFFFFD),
        ("self", "net", 5),
        ("1", "net", 5),
    ):
        path = tmp_path / process / "ns" / kind
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(inode))
    inodes = lambda root, process, kind: _content(tmp_path / process / "ns" / kind)  # noqa: E731
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(namespaces, "_inode", inodes)
        assert namespaces.own_namespaces() == []
        (tmp_path / "self/ns/pid").write_text("7")
        (tmp_path / "1/ns/net").write_text("6")
        assert namespaces.own_namespaces() == ["pid", "net"]
        (tmp_path / "1/ns/net").unlink()
        assert namespaces.own_namespaces() == ["pid"]
    assert namespaces.own_namespaces(str(tmp_path / "nowhere")) == []


def _content(path: Path) -> int:
    return int(path.read_text()) if path.exists() else 0


def test_pyroute2_is_not_executed() -> None:
    """The connector's part of pyroute2 brings neither asyncio nor ssl, nor most of pyroute2."""
    code = (
        "import sys; before = len(sys.modules)\n"
        "from tetrapy.kernel.pyroute2 import part\n"
        "assert part('netlink.connector.cn_proc').ProcEventSocket\n"
        "print(sorted({'asyncio', 'ssl', 'sqlite3', 'pyroute2.ndb'} & set(sys.modules)))\n"
        "print(len(sys.modules) - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    found, modules = done.stdout.split("\n")[:2]
    assert found == "[]"
    assert int(modules) < 120


def test_without_pyroute2(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python that lacks what pyroute2 needs is reported."""
    monkeypatch.delitem(sys.modules, "pyroute2", raising=False)
    monkeypatch.setattr(parts.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BundleError, match=r"pyroute2 cannot be used: no module named pyroute2"):
        parts.part("netlink.connector.cn_proc")
