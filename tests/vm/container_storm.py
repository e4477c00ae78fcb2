# SPDX-License-Identifier: Apache-2.0
"""Runs in a guest: short containers, one after the other, and what an agent's memory is meanwhile.

container_storm.py PID DIRECTORY COUNT...     a JSON array: bytes of PID after so many each
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

TOP = Path("/sys/fs/cgroup")
_AT_ONCE = 8  # processes that make containers: the kernel takes its time to give up a cgroup
_EVERY = 3  # one in so many is known to the runtime


def resident(pid: int) -> int:
    """Bytes of memory that the process has."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def live(number: int, directory: Path) -> None:
    """One container: a program is executed in it, and it is gone."""
    id_ = f"{number:08x}{0:056x}"
    group, about = TOP / f"docker-{id_}.scope", directory / "containers" / id_
    if not number % _EVERY:
        about.mkdir(parents=True)
        config = {"Image": "box", "Labels": {"tier": "front", "number": str(number)}}
        content = {"ID": id_, "Name": f"/box{number}", "Image": "sha256:ab", "Config": config}
        (about / "config.v2.json").write_text(json.dumps(content))
    group.mkdir()
    child = os.fork()
    if not child:
        (group / "cgroup.procs").write_text("0")
        os.execv("/bin/true", ["true", "storm", str(number)])
    os.waitpid(child, 0)
    group.rmdir()
    shutil.rmtree(about, ignore_errors=True)


def storm(numbers: range, directory: Path) -> None:
    """So many containers."""
    makers = []
    for first in range(_AT_ONCE):
        maker = os.fork()
        if not maker:
            for number in numbers[first::_AT_ONCE]:
                live(number, directory)
            os._exit(0)
        makers.append(maker)
    for maker in makers:
        assert os.waitpid(maker, 0)[1] == 0


def stages(pid: int, directory: Path, counts: list[int]) -> Iterator[int]:
    """The memory after each."""
    begun = 0
    for count in counts:
        storm(range(begun, count), directory)
        begun = count
        yield resident(pid)


if __name__ == "__main__":
    json.dump(
        list(stages(int(sys.argv[1]), Path(sys.argv[2]), list(map(int, sys.argv[3:])))), sys.stdout
    )
