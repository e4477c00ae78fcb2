# SPDX-License-Identifier: Apache-2.0
"""Values that do not go together, or that no setting of their name can have."""

from __future__ import annotations

from typing import Any, Callable, Dict, List

from tetrapy.config.setting import DURATION, MILLISECOND
from tetrapy.config.settings import Note
from tetrapy.config.table import BY_NAME
from tetrapy.config.values import show_duration
from tetrapy.errors import SettingsError

Values = Dict[str, Any]
Source = Callable[[str], str]

_EXCLUSIVE = (
    ("rb-size", "rb-size-total"),
    ("execve-map-entries", "execve-map-size"),
    ("parents-map-entries", "parents-map-size"),
    ("force-small-progs", "force-large-progs"),
)
_MIN_LINE, _MIN_CACHE = 64 << 10, 1 << 20  # bytes
_CERTIFICATE, _KEY = "server-tls-cert-file", "server-tls-key-file"
_CLIENT_CA, _DEMAND = "server-tls-client-ca-files", "server-tls-require-client-cert"


def check(values: Values, set_by: Dict[str, str]) -> List[Note]:
    """What there is to warn of; `set_by`: name -> what set it, of those that are set.

    Raises SettingsError, in Tetragon's words where it has some, for what cannot be.
    """
    # All of it is about values that somebody set: the defaults go together.
    if not set_by:
        return []

    def refuse(what: str, *names: str) -> SettingsError:
        files = [name for name in names if name in set_by and set_by[name] != f"--{name}"]
        where = ", ".join(f"--{name} by {set_by[name]}" for name in files)
        return SettingsError(f"{what} (set: {where})" if where else what)

    for first, second in _EXCLUSIVE:
        if values[first] and values[second]:
            raise refuse(f"Can't specify --{first} and --{second} together", first, second)
    _check_numbers(values, refuse)
    if values["disable-process-cache"] and "base" in values["enable-ancestors"]:
        names = ("enable-ancestors", "disable-process-cache")
        raise refuse(f"--{names[0]} cannot be used together with --{names[1]}", *names)
    directory = values["tracing-policy-dir"]
    if not directory.startswith("/"):
        text = f"path specified by --tracing-policy-dir '{directory}' is not absolute"
        raise refuse(text, "tracing-policy-dir")
    _check_tls(values, refuse)
    return _warnings(values, set_by)


def _check_numbers(values: Values, refuse: Callable[..., SettingsError]) -> None:
    if values["process-cache-size"] < 1:
        raise refuse("--process-cache-size must be at least 1", "process-cache-size")
    if values["export-event-max-bytes"] < _MIN_LINE:
        text = f"--export-event-max-bytes must be at least {_MIN_LINE}"
        raise refuse(text, "export-event-max-bytes")
    if values["process-cache-max-bytes"] < _MIN_CACHE:
        text = f"--process-cache-max-bytes must be at least {_MIN_CACHE}"
        raise refuse(text, "process-cache-max-bytes")
    for name in ("export-file-user-share", "policy-cpu-share"):
        if values[name] > 100:
            raise refuse(f"--{name} is a percentage, at most 100", name)
    if not values["bpf-dir"] or set(values["bpf-dir"]) & set("./"):
        text = "--bpf-dir is the name of a directory in /sys/fs/bpf, without dots and slashes"
        raise refuse(text, "bpf-dir")
    if values["k8s-controlplane-retry"] == 0:
        text = "--k8s-controlplane-retry must not be 0: give -1 to try without end"
        raise refuse(text, "k8s-controlplane-retry")
    for name in ("process-cache-gc-interval", "export-aggregation-window-size", "stop-timeout"):
        if values[name] <= 0:
            shown = show_duration(values[name])
            raise refuse(f"--{name} is {shown}, but must be more than 0", name)
    for name, what in (
        ("export-file-rotation-interval", "frequency '{}' at which to rotate JSON export files"),
        ("export-file-max-age", "age '{}' at which to delete JSON export files"),
    ):
        if values[name] < 0:
            raise refuse(f"{what.format(show_duration(values[name]))} is negative", name)


def _check_tls(values: Values, refuse: Callable[..., SettingsError]) -> None:
    certificate, key = values[_CERTIFICATE], values[_KEY]
    if bool(certificate) != bool(key):
        raise refuse(f"--{_CERTIFICATE} and --{_KEY} must be set together", _CERTIFICATE, _KEY)
    if values[_DEMAND] and not certificate:
        raise refuse(f"--{_DEMAND} requires --{_CERTIFICATE} and --{_KEY}", _DEMAND)
    if values[_DEMAND] and not values[_CLIENT_CA]:
        raise refuse(f"--{_DEMAND} requires at least one --{_CLIENT_CA} entry", _DEMAND)
    if values[_CLIENT_CA] and not values[_DEMAND]:
        raise refuse(f"--{_CLIENT_CA} only takes effect when --{_DEMAND} is true", _CLIENT_CA)
    address = values["server-address"]
    if certificate and (not address or address.startswith("unix://")):
        text = f'--{_CERTIFICATE} requires --server-address to be a TCP address, not "{address}"'
        raise refuse(text, _CERTIFICATE, "server-address")


def _warnings(values: Values, set_by: Dict[str, str]) -> List[Note]:
    notes = []
    for name, source in set_by.items():
        if BY_NAME[name].kind == DURATION and 0 < values[name] < MILLISECOND:
            text = f"--{name} is less than a millisecond: a number without a unit is nanoseconds"
            notes.append(
                Note("warn", text, {"value": show_duration(values[name]), "source": source})
            )
    if values["keep-sensors-on-exit"] and values["release-pinned-bpf"]:
        text = (
            "--keep-sensors-on-exit and --release-pinned-bpf: the next start removes what is kept"
            " of policies that it cannot load"
        )
        notes.append(Note("warn", text, {}))
    return notes
