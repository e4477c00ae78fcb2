# SPDX-License-Identifier: Apache-2.0
"""`bugtool`: an archive with what a maintainer needs to know of an agent and its host.

Nothing that tells what processes did goes in: no events, no arguments, no environment, no memory,
and of the kernel's command line only what concerns the agent. What cannot be had is noted in the
archive's own log, and is no error.
"""

from __future__ import annotations

import io
import itertools
import os
import re
import tarfile
import time
from functools import partial
from typing import Any, Callable, Dict, Iterator, List, Tuple

from tetrapy.cli.btf.output import error_text, warn
from tetrapy.cli.client.arguments import Values
from tetrapy.cli.client.info_file import read_info
from tetrapy.cli.config import write
from tetrapy.errors import TetrapyError
from tetrapy.host_files import host_path, host_root
from tetrapy.json_codec import dumps
from tetrapy.version import __version__

EXIT_OK = 0
_PREFIX = "tetrapy-bugtool"
_MAX_MEMBER = 8 << 20  # bytes; of the log the last ones
_LOG_BYTES = 256 << 10
_PIECE = 64 << 10
_TIMEOUT = 10  # seconds, for the metrics
# Words of the kernel's command line that decide what the agent can do.
_BOOT_WORDS = re.compile(
    r"(?:lsm|security|lockdown|apparmor|selinux|audit|mitigations|systemd\.unified_cgroup_hierarchy"
    r"|cgroup_no_v1|cgroup_disable|nokaslr|init_on_alloc)(?:=\S*)?"
)

_HOST_FILES = {
    "version": "/proc/version",
    "cgroups": "/proc/cgroups",
    "bpf_jit_enable": "/proc/sys/net/core/bpf_jit_enable",
    "unprivileged_bpf_disabled": "/proc/sys/kernel/unprivileged_bpf_disabled",
    "perf_event_paranoid": "/proc/sys/kernel/perf_event_paranoid",
    "pid_max": "/proc/sys/kernel/pid_max",
    "meminfo": "/proc/meminfo",
}
_AGENT_FILES = ("status", "limits", "cgroup", "smaps_rollup", "stat", "mountinfo", "sched")

Member = Tuple[str, Callable[[], bytes]]


def run(options: Values, _arguments: List[str]) -> int:
    """Write the archive; returns the exit code."""
    path = options["out"]
    notes: List[str] = []
    aside = f"{path}.{os.getpid()}"
    # What bears this name already, be it a link of somebody else, is never opened.
    fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in _members(options):
            try:
                data = content()
            except (OSError, ValueError, TetrapyError) as err:
                why = error_text(err) if isinstance(err, OSError) else str(err)
                notes.append(f"{name}: {why}")
            else:
                notes.append(f"{name}: {len(data)} bytes")
                _add(archive, name, data[-_MAX_MEMBER:])
        _add(archive, "bugtool.log", ("\n".join(notes) + "\n").encode())
    os.rename(aside, path)
    if options["debug"]:
        warn("\n".join(notes))
    return write(f"Wrote {path}. It has no events; look through it before you hand it on.\n")


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(f"{_PREFIX}/{name}")
    member.size, member.mode, member.mtime = len(data), 0o600, int(time.time())
    archive.addfile(member, io.BytesIO(data))


def _members(options: Values) -> Iterator[Member]:
    yield "version", f"{__version__}\n".encode
    yield "uname", " ".join((*os.uname()[0:1], *os.uname()[2:], "\n")).encode
    for name, path in _HOST_FILES.items():
        yield f"host/{name}", _file(path)
    yield "host/os-release", _os_release
    yield "host/cmdline", _command_line
    yield "probe.json", _probe
    yield "config.json", _settings
    info: Dict[str, Any] = {}
    yield "tetrapy-info.json", lambda: dumps(info.setdefault("info", read_info()), indent=True)
    agent = info.get("info", {})
    pid = agent.get("pid")
    if isinstance(pid, int):
        for name in _AGENT_FILES:
            yield f"agent/{name}", _file(f"/proc/{pid}/{name}")
        yield "agent/bpf", lambda: _descriptors(pid)
        for name in ("memory.current", "memory.stat", "memory.events"):
            yield f"agent/{name}", partial(_of_cgroup, pid, name)
    if agent.get("metrics_address"):
        yield "metrics", lambda: _metrics(str(agent["metrics_address"]))
    if agent.get("export_fname"):
        yield "export-files", lambda: _export_files(str(agent["export_fname"]))
    yield "log", _log
    yield "tracing-policies.json", lambda: _policies(options)


def _policies(options: Values) -> bytes:
    """Names, states and counters; what they hook is in the operator's own files."""
    from tetrapy.cli.client.session import SENSORS, call

    once = {**options, "retries": 0}
    return dumps(call(once, "list policies", f"{SENSORS}/ListTracingPolicies"), indent=True)


def _file(path: str) -> Callable[[], bytes]:
    def content() -> bytes:
        # In small pieces: files of /proc/sys make room for all that is asked for.
        with open(path, "rb", buffering=0) as file:
            pieces = iter(lambda: file.read(_PIECE), b"")
            return b"".join(itertools.islice(pieces, _MAX_MEMBER // _PIECE))

    return content


def _os_release() -> bytes:
    """The machine's, not that of the container that this may be in."""
    from tetrapy.config import sources

    root = host_root(sources.read([], os.environ).procfs)
    return _file(host_path(root, "/etc/os-release"))()


def _command_line() -> bytes:
    words = _file("/proc/cmdline")().decode(errors="replace").split()
    return (" ".join(word for word in words if _BOOT_WORDS.fullmatch(word)) + "\n").encode()


def _probe() -> bytes:
    from tetrapy.cli.client import probe

    return dumps(probe.found(), indent=True)


def _settings() -> bytes:
    """What is not at its default; the agent may have been given flags besides."""
    from tetrapy.config.settings import SETTINGS
    from tetrapy.config.sources import combine
    from tetrapy.config.values import show

    settings = combine({}, os.environ)
    values = settings.items()
    return dumps(
        {
            setting.name: {
                "value": show(setting, values[setting.name]),
                "source": settings.source(setting.name),
            }
            for setting in SETTINGS
            if values[setting.name] != setting.default
        },
        indent=True,
    )


def _descriptors(pid: int) -> bytes:
    """What the kernel tells of the agent's programs, maps and links: types, sizes, runs."""
    parts = []
    directory = f"/proc/{pid}/fd"
    for name in sorted(os.listdir(directory), key=int):
        try:
            target = os.readlink(f"{directory}/{name}")
            if target.startswith("anon_inode:bpf"):
                text = _file(f"/proc/{pid}/fdinfo/{name}")().decode(errors="replace")
                parts.append(f"{name} {target}\n{text}\n")
        except OSError:
            continue  # closed meanwhile
    return "".join(parts).encode()


def _of_cgroup(pid: int, name: str) -> bytes:
    for line in _file(f"/proc/{pid}/cgroup")().decode(errors="replace").splitlines():
        if line.startswith("0::"):
            return _file(f"/sys/fs/cgroup{line[3:]}/{name}")()
    raise TetrapyError("the agent is in no cgroup of version 2")


def _metrics(address: str) -> bytes:
    from urllib.request import ProxyHandler, build_opener

    host = address if not address.startswith(":") else "localhost" + address
    opener = build_opener(ProxyHandler({}))
    with opener.open(f"http://{host}/metrics", timeout=_TIMEOUT) as answer:
        content: bytes = answer.read(_MAX_MEMBER)
        return content


def _export_files(path: str) -> bytes:
    """Names, sizes and times of the export file and its backups; not what is in them."""
    directory, base = os.path.split(path)
    stem = base.rsplit(".", 1)[0]
    lines = []
    for entry in sorted(os.scandir(directory or "."), key=lambda one: one.name):
        if entry.name.startswith(stem):
            seen = entry.stat(follow_symlinks=False)
            changed = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seen.st_mtime))
            lines.append(f"{seen.st_mode:o} {seen.st_uid} {seen.st_size} {changed} {entry.name}")
    return ("\n".join(lines) + "\n").encode()


def _log() -> bytes:
    """The last of the agent's log, where it has a file."""
    from tetrapy.config.sources import combine

    path = combine({}, os.environ).log_file
    if not path:
        raise TetrapyError("the agent's settings name no log file: journalctl -u tetrapy has it")
    with open(path, "rb") as file:
        file.seek(max(os.fstat(file.fileno()).st_size - _LOG_BYTES, 0))
        return file.read(_LOG_BYTES)
