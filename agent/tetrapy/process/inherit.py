# SPDX-License-Identifier: Apache-2.0
"""What a process has of the one that it came from, for all sensors in one place.

An attribute that a fork or an exec hands on (user, container and pod) is named here.
"""

from __future__ import annotations

from tetrapy.events.process import DetailedProcess, Process


def inherit(process: Process, former: Process, *, image: bool) -> None:
    """Give `process` what an exec leaves as it was; with `image` also what a fork goes on with.

    Flags, places in the table and whether it is below a container's init are the caller's.
    """
    process.uid = former.uid
    process.auid = former.auid
    process.account = former.account
    process.cwd = former.cwd
    process.docker = former.docker
    process.container = former.container
    if isinstance(process, DetailedProcess):
        process.take_details(former)
        if not image:
            process.environment = ()
    if image:
        process.binary = former.binary
        process.arguments = former.arguments
        process.executed = former.executed
