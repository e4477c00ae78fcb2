"""Container ids out of cgroup names (rules: Tetragon's events, section 8)."""

from __future__ import annotations

from functools import lru_cache

_ID_LENGTH = 64  # hex characters of a container id
SHOWN_LENGTH = 31  # how many of them Tetragon shows
_NAME_LIMIT = 127  # longest name that the kernel side hands over


def _last_part(name: str) -> str:
    """What follows the last `:` and the last `-`: drivers put prefixes in front of the id."""
    return name.rsplit(":", 1)[-1].rsplit("-", 1)[-1]


@lru_cache(maxsize=1024)
def container_of_name(name: bytes) -> str:
    """The first 31 characters of the container's id, empty when the cgroup is no container's.

    `name` is the last component of the cgroup's path, cut by the kernel side at 127 bytes.
    """
    text = name.decode("utf-8", "replace")
    candidate = _last_part(text)
    if candidate.endswith("service"):
        return ""
    cut = len(name) >= _NAME_LIMIT and len(candidate) >= SHOWN_LENGTH
    if len(candidate) >= _ID_LENGTH or cut:
        return candidate[:SHOWN_LENGTH]
    return ""


def container_of_procfs(text: str) -> str:
    """The same out of `/proc/PID/cgroup`; an empty string when no line names a container."""
    for line in text.splitlines():
        path = line.split(":", 2)[-1]
        if any(word in path for word in ("pods", "docker", "libpod")):
            found = _container_of_path(path)
            if found:
                return found
        name = path.rsplit("/", 1)[-1]
        if len(name) >= SHOWN_LENGTH and _is_hex(name):
            return name[:SHOWN_LENGTH]
    return ""


def _container_of_path(path: str) -> str:
    parts = path.split("/")
    name = parts[-1]
    if "syscont-cgroup-root" in name and len(parts) > 4:  # a container inside a Sysbox container
        name = parts[4]
    elif name == "container" and "libpod" in path:  # Podman's leaf below the container's cgroup
        name = parts[-2]
    return container_of_name(name.encode())


def _is_hex(text: str) -> bool:
    """Whole bytes in hexadecimal, as Go's hex.DecodeString takes them."""
    return len(text) % 2 == 0 and all(digit in "0123456789abcdefABCDEF" for digit in text)
