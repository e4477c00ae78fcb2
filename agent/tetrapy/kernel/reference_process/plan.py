# SPDX-License-Identifier: Apache-2.0
"""How the processes are prepared by which offsets are proven: distinct values, in two variants.

Small and common numbers are found in many places of a structure by chance; these are not. Nothing
of the second variant equals the first, so that what was proven by one is tried by the other.
"""

from __future__ import annotations

from typing import Tuple

from tetrapy.kernel.reference_process.capabilities import DistinctSets
from tetrapy.named import NamedTuple


class Plan(NamedTuple):
    """What one process is to be."""

    # uid, gid, suid, sgid, euid, egid, fsuid, fsgid: the order of struct cred
    ids: Tuple[int, int, int, int, int, int, int, int]
    capabilities: DistinctSets  # as far as they are held
    securebits: int
    login_uid: int
    last_pid: int  # the highest number in the pid namespace before the threads are made
    idle_threads: int  # beside the thread that is looked at, and the leader, which has ended
    leader_code: int  # of exit(2), 0..255
    group_code: int
    arg_bytes: int  # between arg_start and arg_end
    env_bytes: int  # between env_start and env_end
    root: str
    cwd: str
    descriptor: int  # the least number of a pipe
    source: str  # addresses of its sockets, on the loopback device
    destination: str
    port: int
    mark: int
    priority: int
    map_sizes: Tuple[int, int, int]  # of a key, of a value, and entries, of a BPF map
    instructions: int  # of a BPF program
    namespace_ids: Tuple[int, int]  # the user and the group that make a user namespace


PLANS = (
    Plan(
        ids=(1804289, 1681692, 1714636, 1957747, 1424238, 1719885, 1649760, 1596516),
        capabilities=DistinctSets(0x04C386BBC4, 0x37FAF5FBFF, 0x074044303C, 0x04428499C0),
        securebits=0xEB,
        login_uid=1189641,
        last_pid=23457,
        idle_threads=4,
        leader_code=173,
        group_code=89,
        arg_bytes=13,
        env_bytes=11,
        root="/proc/sys",
        cwd="/proc/sys/kernel/random",
        descriptor=113,
        source="127.83.21.164",
        destination="127.199.74.38",
        port=47321,
        mark=0x2E5A93C7,
        priority=0x5B1D8E36,
        map_sizes=(47, 1213, 3391),
        instructions=1733,
        namespace_ids=(2683921, 1937046),
    ),
    Plan(
        ids=(2025202, 2350490, 2783368, 2102520, 2044897, 2967513, 2365180, 2540383),
        capabilities=DistinctSets(0x050E7A269F, 0x37F6BEFB7B, 0x1714BA2B59, 0x01042A0218),
        securebits=0xB6,
        login_uid=2304089,
        last_pid=17021,
        idle_threads=6,
        leader_code=211,
        group_code=57,
        arg_bytes=7,
        env_bytes=5,
        root="/proc/sys/kernel",
        cwd="/proc/sys/kernel/random",
        descriptor=187,
        source="127.142.97.53",
        destination="127.61.228.119",
        port=52867,
        mark=0x71C4D62B,
        priority=0x3F96A15D,
        map_sizes=(83, 2179, 5477),
        instructions=2591,
        namespace_ids=(1508237, 2871694),
    ),
)
