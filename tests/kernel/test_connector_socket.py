# SPDX-License-Identifier: Apache-2.0
"""The socket of the process connector on this kernel."""

from __future__ import annotations

import os
import re
import select
import socket
import subprocess
import sys
import time

import pytest

from tests.support.connector import TIMEOUT, Watch
from tetrapy.errors import KernelError
from tetrapy.kernel.connector import ProcessConnector
from tetrapy.sensors.connector.source import ConnectorSource


def test_nobody_else_can_send() -> None:
    """A message that a process sends to the socket is not taken for the kernel's."""
    connector = ProcessConnector(1 << 20)
    try:
        address = connector._socket.getsockname()
        data = bytes.fromhex("4c000000030000000000000000000000") + bytes(60)
        with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, 11) as other:
            other.sendto(data, (address[0], 0))
        assert data not in connector.receive(1000)
    finally:
        connector.close()


def test_every_cpu_is_heard() -> None:
    """At the start each CPU has told something, so that its numbers are known."""
    with Watch() as watch:
        deadline = time.monotonic() + TIMEOUT
        while not os.sched_getaffinity(0) <= watch.sensor._next.keys():
            assert time.monotonic() < deadline
            time.sleep(0.002)


def test_descriptors() -> None:
    """A closed connector leaves no file descriptor behind."""
    ProcessConnector(1 << 20).close()
    before = sorted(os.listdir("/proc/self/fd"))
    connector = ProcessConnector(1 << 20)
    connector.listen()
    connector.request(listen=False)
    connector.close()
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_silence_is_noticed() -> None:
    """A provoked message wakes an idle sensor, so that silence means that the flow has stopped."""
    sensor = ConnectorSource("", 1 << 20, priority=0)
    try:
        sensor.attach()
        for _ in range(3):
            sensor.drain(100)
            sensor._heard = sensor._provoked = False
            sensor.check_flow()
            assert sensor._provoked
            readable, _, _ = select.select([sensor._connector.fd], [], [], TIMEOUT)
            assert readable
            sensor.drain(100)
            assert sensor._heard
        assert sensor.losses()["silence"] == 0
        sensor.detach()
    finally:
        sensor.close()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--net"], "network namespace"),
        (["--pid", "--fork", "--mount-proc"], "a pid.* namespace of its own"),
    ],
)
def test_other_namespaces(options: list[str], text: str) -> None:
    """Where the kernel tells nothing, the sensor says why."""
    code = (
        "from tetrapy.kernel import connector\n"
        "connector._TIMEOUT = 0.3\n"
        "from tetrapy.errors import KernelError\n"
        "try: connector.ProcessConnector(1 << 20).listen()\n"
        "except KernelError as err: print(err)\n"
    )
    done = subprocess.run(
        ["unshare", *options, sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert re.search(text, done.stdout), done


def test_without_the_privilege() -> None:
    """A process without CAP_NET_ADMIN is told so, or the kernel lets it listen (Linux 6.6)."""
    child = os.fork()
    if not child:
        os.setuid(65534)
        try:
            ProcessConnector(1 << 20).listen()
        except KernelError as err:
            os._exit(0 if "CAP_NET_ADMIN" in str(err) else 1)
        except BaseException:  # noqa: BLE001 - whatever it is, the parent has to know
            os._exit(2)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
