# SPDX-License-Identifier: Apache-2.0
"""Messages as JSON, written out field by field: this is done for every event.

Written by `python3 -m tools.event_docs` from the schema of events (tetrapy.events.schema); do not
edit. A process is bytes, an event the whole line, a message inside of others text. Only texts are
looked at for what has to be escaped, and of those only what a process can choose.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Callable, Dict

from tetrapy.events.credentials import capability_names, secure_bit_names
from tetrapy.events.flags import flag_words
from tetrapy.json_codec import quoted
from tetrapy.visible import json_bytes

Keep = Callable[[Any], bytes]  # the JSON of a process, which is made once for many lines
Lines = Dict[str, bytes]  # event -> format of its line for the operator %: its fields and the time

FORMATS: Lines = {
    "process_exec": b'{"process":%b%b%b}',
    "process_exit": b'{"process":%b%b%b%b,"time":"%b"%b}',
    "process_throttle": b'{"type":%b,"cgroup":%b}',
    "rate_limit_info": b'{"number_of_dropped_process_events":%b}',
}
"""Event -> format of its message."""

_BETWEEN = '","'


class _Flags(Dict[Any, str]):
    """The field `flags` of each value that occurred: a handful does."""

    def __missing__(self, value: Any) -> str:
        text = flag_words(value)
        self[value] = shown = f',"flags":"{text}"' if text else ""
        return shown


_flags = _Flags()


@lru_cache(maxsize=256)
def _capabilities(it: Any) -> str:
    """Message `Capabilities`."""
    permitted = capability_names(it.permitted)
    effective = capability_names(it.effective)
    inheritable = capability_names(it.inheritable)
    shown_permitted = f',"permitted":["{_BETWEEN.join(permitted)}"]' if permitted else ""
    shown_effective = f',"effective":["{_BETWEEN.join(effective)}"]' if effective else ""
    shown_inheritable = f',"inheritable":["{_BETWEEN.join(inheritable)}"]' if inheritable else ""
    text = f"{shown_permitted}{shown_effective}{shown_inheritable}"
    return f"{{{text[1:]}}}"


def _namespace(it: Any) -> str:
    """Message `Namespace`."""
    inum = it.inum
    is_host = it.is_host
    shown_inum = f',"inum":{inum}' if inum else ""
    shown_is_host = ',"is_host":true' if is_host else ""
    text = f"{shown_inum}{shown_is_host}"
    return f"{{{text[1:]}}}"


@lru_cache(maxsize=256)
def _namespaces(it: Any) -> str:
    """Message `Namespaces`."""
    uts = it.uts
    ipc = it.ipc
    mnt = it.mnt
    pid = it.pid
    pid_for_children = it.pid_for_children
    net = it.net
    time = it.time
    time_for_children = it.time_for_children
    cgroup = it.cgroup
    user = it.user
    shown_uts = f',"uts":{_namespace(uts)}' if uts else ""
    shown_ipc = f',"ipc":{_namespace(ipc)}' if ipc else ""
    shown_mnt = f',"mnt":{_namespace(mnt)}' if mnt else ""
    shown_pid = f',"pid":{_namespace(pid)}' if pid else ""
    shown_pid_for_children = (
        f',"pid_for_children":{_namespace(pid_for_children)}' if pid_for_children else ""
    )
    shown_net = f',"net":{_namespace(net)}' if net else ""
    shown_time = f',"time":{_namespace(time)}' if time else ""
    shown_time_for_children = (
        f',"time_for_children":{_namespace(time_for_children)}' if time_for_children else ""
    )
    shown_cgroup = f',"cgroup":{_namespace(cgroup)}' if cgroup else ""
    shown_user = f',"user":{_namespace(user)}' if user else ""
    text = (
        f"{shown_uts}{shown_ipc}{shown_mnt}{shown_pid}{shown_pid_for_children}{shown_net}"
        f"{shown_time}{shown_time_for_children}{shown_cgroup}{shown_user}"
    )
    return f"{{{text[1:]}}}"


@lru_cache(maxsize=256)
def _process_credentials(it: Any) -> str:
    """Message `ProcessCredentials`."""
    securebits = secure_bit_names(it.securebits)
    shown_securebits = f',"securebits":["{_BETWEEN.join(securebits)}"]' if securebits else ""
    return (
        f'{{"uid":{it.uid},"gid":{it.gid},"euid":{it.euid},"egid":{it.egid},"suid":{it.suid}'
        f',"sgid":{it.sgid},"fsuid":{it.fsuid},"fsgid":{it.fsgid}{shown_securebits}}}'
    )


def _inode_properties(it: Any) -> str:
    """Message `InodeProperties`."""
    return f'{{"number":"{it.inode}","links":{it.links}}}'


def _file_properties(it: Any) -> str:
    """Message `FileProperties`."""
    path = it.path
    shown_path = f',"path":{quoted(path)}' if path else ""
    return f'{{"inode":{_inode_properties(it)}{shown_path}}}'


def _binary_properties(it: Any) -> str:
    """Message `BinaryProperties`."""
    setuid = it.setuid
    setgid = it.setgid
    privileges_changed = it.privileges_changed
    file = it.file
    shown_setuid = f',"setuid":{setuid}' if setuid is not None else ""
    shown_setgid = f',"setgid":{setgid}' if setgid is not None else ""
    shown_privileges_changed = (
        f',"privileges_changed":["{_BETWEEN.join(privileges_changed)}"]'
        if privileges_changed
        else ""
    )
    shown_file = f',"file":{_file_properties(file)}' if file else ""
    text = f"{shown_setuid}{shown_setgid}{shown_privileges_changed}{shown_file}"
    return f"{{{text[1:]}}}"


def _user_record(it: Any) -> str:
    """Message `UserRecord`."""
    shown_name = f',"name":{quoted(it)}' if it else ""
    text = shown_name
    return f"{{{text[1:]}}}"


def _env_var(it: Any) -> str:
    """Message `EnvVar`."""
    key = it[0]
    value = it[1]
    shown_key = f',"Key":{quoted(key)}' if key else ""
    shown_value = f',"Value":{quoted(value)}' if value else ""
    text = f"{shown_key}{shown_value}"
    return f"{{{text[1:]}}}"


def _executed_file(it: Any) -> str:
    """Message `ExecutedFile`."""
    device = it.device_text
    deleted = it.deleted
    foreign = it.foreign
    interpreter = it.interpreter
    partial = it.partial
    shown_device = f',"device":"{device}"' if device else ""
    shown_deleted = ',"deleted":true' if deleted else ""
    shown_foreign = ',"foreign":true' if foreign else ""
    shown_interpreter = ',"interpreter":true' if interpreter else ""
    shown_partial = ',"partial":true' if partial else ""
    text = f"{shown_device}{shown_deleted}{shown_foreign}{shown_interpreter}{shown_partial}"
    return f"{{{text[1:]}}}"


def process(it: Any) -> bytes:
    """Message `Process`. As events show it."""
    pid = it.pid
    cwd = it.cwd
    binary = it.binary
    arguments = it.arguments
    docker = it.docker
    refcnt = it.refcnt
    shown_cwd = f',"cwd":{quoted(cwd)}' if cwd else ""
    shown_binary = f',"binary":{quoted(binary)}' if binary else ""
    shown_arguments = f',"arguments":{quoted(arguments)}' if arguments else ""
    shown_flags = _flags[it.flags]
    shown_docker = f',"docker":{quoted(docker)}' if docker else ""
    shown_refcnt = f',"refcnt":{refcnt}' if refcnt else ""
    return json_bytes(
        f'{{"exec_id":"{it.exec_id}","pid":{pid},"uid":{it.uid}{shown_cwd}{shown_binary}'
        f'{shown_arguments}{shown_flags},"start_time":"{it.start_time}","auid":{it.auid}'
        f'{shown_docker},"parent_exec_id":"{it.parent_exec_id}"{shown_refcnt},"tid":{pid}'
        f',"in_init_tree":{"true" if it.in_init_tree else "false"}}}'
    )


def detailed_process(it: Any) -> bytes:
    """Message `Process`. With all that settings ask for."""
    pid = it.pid
    cwd = it.cwd
    binary = it.binary
    arguments = it.arguments
    docker = it.docker
    refcnt = it.refcnt
    cap = it.capabilities
    ns = it.namespaces
    process_credentials = it.credentials
    user = it.user
    environment_variables = it.environment
    shown_cwd = f',"cwd":{quoted(cwd)}' if cwd else ""
    shown_binary = f',"binary":{quoted(binary)}' if binary else ""
    shown_arguments = f',"arguments":{quoted(arguments)}' if arguments else ""
    shown_flags = _flags[it.flags]
    shown_docker = f',"docker":{quoted(docker)}' if docker else ""
    shown_refcnt = f',"refcnt":{refcnt}' if refcnt else ""
    shown_cap = f',"cap":{_capabilities(cap)}' if cap else ""
    shown_ns = f',"ns":{_namespaces(ns)}' if ns else ""
    shown_process_credentials = (
        f',"process_credentials":{_process_credentials(process_credentials)}'
        if process_credentials
        else ""
    )
    shown_user = f',"user":{_user_record(user)}' if user else ""
    shown_environment_variables = (
        f',"environment_variables":[{",".join(map(_env_var, environment_variables))}]'
        if environment_variables
        else ""
    )
    return json_bytes(
        f'{{"exec_id":"{it.exec_id}","pid":{pid},"uid":{it.uid}{shown_cwd}{shown_binary}'
        f'{shown_arguments}{shown_flags},"start_time":"{it.start_time}","auid":{it.auid}'
        f'{shown_docker},"parent_exec_id":"{it.parent_exec_id}"{shown_refcnt}{shown_cap}'
        f'{shown_ns},"tid":{pid}{shown_process_credentials}{shown_user}'
        f',"in_init_tree":{"true" if it.in_init_tree else "false"}{shown_environment_variables}'
        f"}}"
    )


def executed_process(it: Any) -> bytes:
    """Message `Process`. As its own exec shows it."""
    pid = it.pid
    cwd = it.cwd
    binary = it.binary
    arguments = it.arguments
    docker = it.docker
    refcnt = it.refcnt
    cap = it.capabilities
    ns = it.namespaces
    process_credentials = it.credentials
    binary_properties = it.told_properties
    user = it.user
    environment_variables = it.environment
    executed_file = it.told_file
    shown_cwd = f',"cwd":{quoted(cwd)}' if cwd else ""
    shown_binary = f',"binary":{quoted(binary)}' if binary else ""
    shown_arguments = f',"arguments":{quoted(arguments)}' if arguments else ""
    shown_flags = _flags[it.flags]
    shown_docker = f',"docker":{quoted(docker)}' if docker else ""
    shown_refcnt = f',"refcnt":{refcnt}' if refcnt else ""
    shown_cap = f',"cap":{_capabilities(cap)}' if cap else ""
    shown_ns = f',"ns":{_namespaces(ns)}' if ns else ""
    shown_process_credentials = (
        f',"process_credentials":{_process_credentials(process_credentials)}'
        if process_credentials
        else ""
    )
    shown_binary_properties = (
        f',"binary_properties":{_binary_properties(binary_properties)}' if binary_properties else ""
    )
    shown_user = f',"user":{_user_record(user)}' if user else ""
    shown_environment_variables = (
        f',"environment_variables":[{",".join(map(_env_var, environment_variables))}]'
        if environment_variables
        else ""
    )
    shown_executed_file = (
        f',"executed_file":{_executed_file(executed_file)}' if executed_file else ""
    )
    return json_bytes(
        f'{{"exec_id":"{it.exec_id}","pid":{pid},"uid":{it.uid}{shown_cwd}{shown_binary}'
        f'{shown_arguments}{shown_flags},"start_time":"{it.start_time}","auid":{it.auid}'
        f'{shown_docker},"parent_exec_id":"{it.parent_exec_id}"{shown_refcnt}{shown_cap}'
        f'{shown_ns},"tid":{pid}{shown_process_credentials}{shown_binary_properties}'
        f'{shown_user},"in_init_tree":{"true" if it.in_init_tree else "false"}'
        f"{shown_environment_variables}{shown_executed_file}}}"
    )


def unknown_process(it: Any) -> bytes:
    """Message `Process`. Whose beginning was not seen."""
    return json_bytes(f'{{"pid":{it.pid},"start_time":"{it.start_time}"}}')


def unseen_process(it: Any) -> bytes:
    """Message `Process`. Of which nothing but this is known."""
    return json_bytes(f'{{"pid":{it.pid}}}')


def process_exec(it: Any, lines: Lines, keep: Keep, ancestors: bytes) -> bytes:
    """Message `ProcessExec`."""
    time = it.time.encode()
    process = it.shown
    parent = it.parent
    shown_parent = b',"parent":' + (parent.json or keep(parent)) if parent is not None else b""
    shown_ancestors = b',"ancestors":' + ancestors if ancestors else b""
    return lines["process_exec"] % (
        process.json or keep(process),
        shown_parent,
        shown_ancestors,
        time,
    )


def process_exit(it: Any, lines: Lines, keep: Keep, ancestors: bytes) -> bytes:
    """Message `ProcessExit`."""
    time = it.time.encode()
    process = it.process
    parent = it.parent
    shown_parent = b',"parent":' + (parent.json or keep(parent)) if parent is not None else b""
    signal = it.signal
    shown_signal = b',"signal":"%b"' % signal.encode() if signal else b""
    status = it.status
    shown_status = b',"status":%d' % status if status else b""
    shown_ancestors = b',"ancestors":' + ancestors if ancestors else b""
    return lines["process_exit"] % (
        process.json or keep(process),
        shown_parent,
        shown_signal,
        shown_status,
        time,
        shown_ancestors,
        time,
    )


def process_throttle(it: Any, lines: Lines, keep: Keep, ancestors: bytes) -> bytes:
    """Message `ProcessThrottle`."""
    time = it.time.encode()
    return lines["process_throttle"] % (
        json_bytes(f'"{it.action}"'),
        json_bytes(f"{quoted(it.cgroup)}"),
        time,
    )


def rate_limit_info(it: Any, lines: Lines, keep: Keep, ancestors: bytes) -> bytes:
    """Message `RateLimitInfo`."""
    time = it.time.encode()
    return lines["rate_limit_info"] % (json_bytes(f'"{it.dropped}"'), time)
