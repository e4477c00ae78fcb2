# SPDX-License-Identifier: Apache-2.0
"""Messages as JSON, written out field by field: this is done for every event.

Written by `python3 -m tools.event_docs` from the schema of events (tetrapy.events.schema); do not
edit. A process is bytes, an event the whole line, a message inside of others text. Only texts are
looked at for what has to be escaped, and of those only what a process can choose.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Callable, Dict, Tuple

from tetrapy.events.caller import caller_json
from tetrapy.events.credentials import capability_names, secure_bit_names
from tetrapy.events.flags import flag_words
from tetrapy.events.text import base64_text, rfc3339
from tetrapy.json_codec import quoted
from tetrapy.visible import json_bytes

Keep = Callable[[Any], bytes]  # the JSON of a process, which is made once for many lines
Lines = Dict[str, bytes]  # event -> format of its line for the operator %: its fields and the time

FORMATS: Lines = {
    "process_exec": b'{"process":%b%b%b}',
    "process_exit": b'{"process":%b%b%b%b,"time":"%b"%b}',
    "process_kprobe": b'{"process":%b%b%b%b%b%b%b%b%b%b%b%b%b%b}',
    "process_tracepoint": b'{"process":%b%b%b%b%b%b%b%b%b%b}',
    "process_loader": b'{"process":%b%b%b%b%b}',
    "process_uprobe": b'{"process":%b%b%b%b%b%b%b%b%b%b%b%b%b}',
    "process_throttle": b'{"type":%b,"cgroup":%b}',
    "process_lsm": b'{"process":%b%b%b%b%b%b%b%b%b%b}',
    "process_usdt": b'{"process":%b%b%b%b%b%b%b%b%b%b%b}',
    "rate_limit_info": b'{"number_of_dropped_process_events":%b}',
}
"""Event -> format of its message."""

_BETWEEN = '","'


class _Few(Dict[Any, bytes]):
    """A field whose values are few: what of it is in a line."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def __missing__(self, value: Any) -> bytes:
        if len(self) >= 1024:
            self.clear()
        self[value] = shown = _field(self._name, value)
        return shown


class _Kept(Dict[Any, str]):
    """The JSON of messages that may come again soon, unless it is long."""

    def __init__(self, write: Callable[[Any], str]) -> None:
        super().__init__()
        self._write = write

    def __missing__(self, message: Any) -> str:
        text = self._write(message)
        if len(text) <= 512:
            if len(self) >= 256:
                self.clear()
            self[message] = text
        return text


class _Probes(Dict[Any, Tuple[bytes, ...]]):
    """By the probe of a hook: the fields that all its events have alike."""

    def __init__(self, fields: Callable[[Any], Tuple[bytes, ...]]) -> None:
        super().__init__()
        self._fields = fields

    def __missing__(self, probe: Any) -> Tuple[bytes, ...]:
        if len(self) >= 1024:
            self.clear()
        self[probe] = shown = self._fields(probe)
        return shown


def _field(name: str, value: Any) -> bytes:
    """A field, a text or several of them; nothing of an empty one."""
    if not value:
        return b""
    texts = quoted(value) if isinstance(value, str) else f"[{','.join(map(quoted, value))}]"
    return json_bytes(f',"{name}":{texts}')


_few_action = _Few("action")
_few_return_action = _Few("return_action")


def _map(entries: Dict[str, str]) -> str:
    """Texts by name."""
    pairs = [f"{quoted(name)}:{quoted(value)}" for name, value in entries.items()]
    return f"{{{','.join(pairs)}}}"


class _Flags(Dict[Any, str]):
    """The field `flags` of each value that occurred: a handful does."""

    def __missing__(self, value: Any) -> str:
        text = flag_words(value)
        self[value] = shown = f',"flags":"{text}"' if text else ""
        return shown


_flags = _Flags()


def _image(it: Any) -> str:
    """Message `Image`."""
    id_ = it.id
    name = it.name
    shown_id = f',"id":{quoted(id_)}' if id_ else ""
    shown_name = f',"name":{quoted(name)}' if name else ""
    text = f"{shown_id}{shown_name}"
    return f"{{{text[1:]}}}"


def _container(it: Any) -> str:
    """Message `Container`."""
    id_ = it.id
    name = it.name
    image = it.image
    start_time = it.start_time
    labels = it.labels
    shown_id = f',"id":{quoted(id_)}' if id_ else ""
    shown_name = f',"name":{quoted(name)}' if name else ""
    shown_image = f',"image":{_image(image)}' if image else ""
    shown_start_time = f',"start_time":{quoted(start_time)}' if start_time else ""
    shown_labels = f',"labels":{_map(labels)}' if labels else ""
    text = f"{shown_id}{shown_name}{shown_image}{shown_start_time}{shown_labels}"
    return f"{{{text[1:]}}}"


@lru_cache(maxsize=256)
def _pod(it: Any) -> str:
    """Message `Pod`."""
    namespace = it.namespace
    name = it.name
    uid = it.uid
    container = it.container
    pod_labels = it.pod_labels
    shown_namespace = f',"namespace":{quoted(namespace)}' if namespace else ""
    shown_name = f',"name":{quoted(name)}' if name else ""
    shown_uid = f',"uid":{quoted(uid)}' if uid else ""
    shown_container = f',"container":{_container(container)}' if container else ""
    shown_pod_labels = f',"pod_labels":{_map(pod_labels)}' if pod_labels else ""
    text = f"{shown_namespace}{shown_name}{shown_uid}{shown_container}{shown_pod_labels}"
    return f"{{{text[1:]}}}"


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


def _user_namespace(it: Any) -> str:
    """Message `UserNamespace`."""
    level = it.level
    uid = it.uid
    gid = it.gid
    ns = it.ns
    shown_level = f',"level":{level}' if level is not None else ""
    shown_uid = f',"uid":{uid}' if uid is not None else ""
    shown_gid = f',"gid":{gid}' if gid is not None else ""
    shown_ns = f',"ns":{_namespace(ns)}' if ns else ""
    text = f"{shown_level}{shown_uid}{shown_gid}{shown_ns}"
    return f"{{{text[1:]}}}"


@lru_cache(maxsize=256)
def _process_credentials(it: Any) -> str:
    """Message `ProcessCredentials`."""
    securebits = secure_bit_names(it.securebits)
    caps = it.caps
    user_ns = it.user_ns
    shown_securebits = f',"securebits":["{_BETWEEN.join(securebits)}"]' if securebits else ""
    shown_caps = f',"caps":{_capabilities(caps)}' if caps else ""
    shown_user_ns = f',"user_ns":{_user_namespace(user_ns)}' if user_ns else ""
    return (
        f'{{"uid":{it.uid},"gid":{it.gid},"euid":{it.euid},"egid":{it.egid},"suid":{it.suid}'
        f',"sgid":{it.sgid},"fsuid":{it.fsuid},"fsgid":{it.fsgid}{shown_securebits}{shown_caps}'
        f"{shown_user_ns}}}"
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


def _kprobe_skb(it: Any) -> str:
    """Message `KprobeSkb`."""
    hash_ = it.hash
    len_ = it.length
    priority = it.priority
    mark = it.mark
    saddr = it.saddr
    daddr = it.daddr
    sport = it.sport
    dport = it.dport
    proto = it.proto
    sec_path_len = it.sec_path_len
    sec_path_olen = it.sec_path_olen
    protocol = it.protocol
    family = it.family
    shown_hash = f',"hash":{hash_}' if hash_ else ""
    shown_len = f',"len":{len_}' if len_ else ""
    shown_priority = f',"priority":{priority}' if priority else ""
    shown_mark = f',"mark":{mark}' if mark else ""
    shown_saddr = f',"saddr":"{saddr}"' if saddr else ""
    shown_daddr = f',"daddr":"{daddr}"' if daddr else ""
    shown_sport = f',"sport":{sport}' if sport else ""
    shown_dport = f',"dport":{dport}' if dport else ""
    shown_proto = f',"proto":{proto}' if proto else ""
    shown_sec_path_len = f',"sec_path_len":{sec_path_len}' if sec_path_len else ""
    shown_sec_path_olen = f',"sec_path_olen":{sec_path_olen}' if sec_path_olen else ""
    shown_protocol = f',"protocol":"{protocol}"' if protocol else ""
    shown_family = f',"family":"{family}"' if family else ""
    text = (
        f"{shown_hash}{shown_len}{shown_priority}{shown_mark}{shown_saddr}{shown_daddr}"
        f"{shown_sport}{shown_dport}{shown_proto}{shown_sec_path_len}{shown_sec_path_olen}"
        f"{shown_protocol}{shown_family}"
    )
    return f"{{{text[1:]}}}"


def _kprobe_path(it: Any) -> str:
    """Message `KprobePath`."""
    path = it.path
    flags = it.flags
    permission = it.permission
    shown_path = f',"path":{quoted(path)}' if path else ""
    shown_flags = f',"flags":"{flags}"' if flags else ""
    shown_permission = f',"permission":"{permission}"' if permission else ""
    text = f"{shown_path}{shown_flags}{shown_permission}"
    return f"{{{text[1:]}}}"


def _kprobe_file(it: Any) -> str:
    """Message `KprobeFile`."""
    path = it.path
    flags = it.flags
    permission = it.permission
    shown_path = f',"path":{quoted(path)}' if path else ""
    shown_flags = f',"flags":"{flags}"' if flags else ""
    shown_permission = f',"permission":"{permission}"' if permission else ""
    text = f"{shown_path}{shown_flags}{shown_permission}"
    return f"{{{text[1:]}}}"


def _kprobe_truncated_bytes(it: Any) -> str:
    """Message `KprobeTruncatedBytes`."""
    bytes_arg = base64_text(it.data)
    orig_size = it.size
    shown_bytes_arg = f',"bytes_arg":"{bytes_arg}"' if bytes_arg else ""
    shown_orig_size = f',"orig_size":"{orig_size}"' if orig_size else ""
    text = f"{shown_bytes_arg}{shown_orig_size}"
    return f"{{{text[1:]}}}"


def _kprobe_sock(it: Any) -> str:
    """Message `KprobeSock`."""
    family = it.family
    type_ = it.kind
    protocol = it.protocol
    mark = it.mark
    priority = it.priority
    saddr = it.saddr
    daddr = it.daddr
    sport = it.sport
    dport = it.dport
    cookie = it.cookie
    state = it.state
    shown_family = f',"family":"{family}"' if family else ""
    shown_type = f',"type":"{type_}"' if type_ else ""
    shown_protocol = f',"protocol":"{protocol}"' if protocol else ""
    shown_mark = f',"mark":{mark}' if mark else ""
    shown_priority = f',"priority":{priority}' if priority else ""
    shown_saddr = f',"saddr":"{saddr}"' if saddr else ""
    shown_daddr = f',"daddr":"{daddr}"' if daddr else ""
    shown_sport = f',"sport":{sport}' if sport else ""
    shown_dport = f',"dport":{dport}' if dport else ""
    shown_cookie = f',"cookie":"{cookie}"' if cookie else ""
    shown_state = f',"state":"{state}"' if state else ""
    text = (
        f"{shown_family}{shown_type}{shown_protocol}{shown_mark}{shown_priority}{shown_saddr}"
        f"{shown_daddr}{shown_sport}{shown_dport}{shown_cookie}{shown_state}"
    )
    return f"{{{text[1:]}}}"


def _kprobe_bpf_attr(it: Any) -> str:
    """Message `KprobeBpfAttr`."""
    progtype = it.kind
    insncnt = it.instructions
    progname = it.name
    shown_progtype = f',"ProgType":"{progtype}"' if progtype else ""
    shown_insncnt = f',"InsnCnt":{insncnt}' if insncnt else ""
    shown_progname = f',"ProgName":{quoted(progname)}' if progname else ""
    text = f"{shown_progtype}{shown_insncnt}{shown_progname}"
    return f"{{{text[1:]}}}"


def _kprobe_perf_event(it: Any) -> str:
    """Message `KprobePerfEvent`."""
    kprobefunc = it.function
    type_ = it.kind
    config = it.config
    probeoffset = it.offset
    shown_kprobefunc = f',"KprobeFunc":{quoted(kprobefunc)}' if kprobefunc else ""
    shown_type = f',"Type":"{type_}"' if type_ else ""
    shown_config = f',"Config":"{config}"' if config else ""
    shown_probeoffset = f',"ProbeOffset":"{probeoffset}"' if probeoffset else ""
    text = f"{shown_kprobefunc}{shown_type}{shown_config}{shown_probeoffset}"
    return f"{{{text[1:]}}}"


def _kprobe_bpf_map(it: Any) -> str:
    """Message `KprobeBpfMap`."""
    maptype = it.kind
    keysize = it.key_size
    valuesize = it.value_size
    maxentries = it.max_entries
    mapname = it.name
    shown_maptype = f',"MapType":"{maptype}"' if maptype else ""
    shown_keysize = f',"KeySize":{keysize}' if keysize else ""
    shown_valuesize = f',"ValueSize":{valuesize}' if valuesize else ""
    shown_maxentries = f',"MaxEntries":{maxentries}' if maxentries else ""
    shown_mapname = f',"MapName":{quoted(mapname)}' if mapname else ""
    text = f"{shown_maptype}{shown_keysize}{shown_valuesize}{shown_maxentries}{shown_mapname}"
    return f"{{{text[1:]}}}"


def _kprobe_capability(it: Any) -> str:
    """Message `KprobeCapability`."""
    name = it.name
    shown_name = f',"name":"{name}"' if name else ""
    return f'{{"value":{it.number}{shown_name}}}'


def _kernel_module(it: Any) -> str:
    """Message `KernelModule`."""
    name = it.name
    signature_ok = it.signature_ok
    tainted = it.tainted
    shown_name = f',"name":{quoted(name)}' if name else ""
    shown_signature_ok = (
        f',"signature_ok":{"true" if signature_ok else "false"}' if signature_ok is not None else ""
    )
    shown_tainted = f',"tainted":["{_BETWEEN.join(tainted)}"]' if tainted else ""
    text = f"{shown_name}{shown_signature_ok}{shown_tainted}"
    return f"{{{text[1:]}}}"


def _kprobe_linux_binprm(it: Any) -> str:
    """Message `KprobeLinuxBinprm`."""
    path = it.path
    flags = it.flags
    permission = it.permission
    shown_path = f',"path":{quoted(path)}' if path else ""
    shown_flags = f',"flags":"{flags}"' if flags else ""
    shown_permission = f',"permission":"{permission}"' if permission else ""
    text = f"{shown_path}{shown_flags}{shown_permission}"
    return f"{{{text[1:]}}}"


def _syscall_id(it: Any) -> str:
    """Message `SyscallId`."""
    id_ = it.number
    abi = it.abi
    shown_id = f',"id":{id_}' if id_ else ""
    shown_abi = f',"abi":"{abi}"' if abi else ""
    text = f"{shown_id}{shown_abi}"
    return f"{{{text[1:]}}}"


def _kprobe_sockaddr(it: Any) -> str:
    """Message `KprobeSockaddr`."""
    family = it.family
    addr = it.address
    port = it.port
    shown_family = f',"family":"{family}"' if family else ""
    shown_addr = f',"addr":"{addr}"' if addr else ""
    shown_port = f',"port":{port}' if port else ""
    text = f"{shown_family}{shown_addr}{shown_port}"
    return f"{{{text[1:]}}}"


def _kprobe_bpf_prog(it: Any) -> str:
    """Message `KprobeBpfProg`."""
    progtype = it.kind
    insncnt = it.instructions
    progname = it.name
    shown_progtype = f',"ProgType":"{progtype}"' if progtype else ""
    shown_insncnt = f',"InsnCnt":{insncnt}' if insncnt else ""
    shown_progname = f',"ProgName":{quoted(progname)}' if progname else ""
    text = f"{shown_progtype}{shown_insncnt}{shown_progname}"
    return f"{{{text[1:]}}}"


def _kprobe_error(it: Any) -> str:
    """Message `KprobeError`."""
    shown_message = f',"Message":{quoted(it)}' if it else ""
    text = shown_message
    return f"{{{text[1:]}}}"


def _kprobe_sockaddr_un(it: Any) -> str:
    """Message `KprobeSockaddrUn`."""
    family = it.family
    path = it.path
    shown_family = f',"family":"{family}"' if family else ""
    shown_path = f',"path":{quoted(path)}' if path else ""
    text = f"{shown_family}{shown_path}"
    return f"{{{text[1:]}}}"


_kprobe_argument_members: Dict[str, Callable[[Any], str]] = {
    "string_arg": quoted,
    "int_arg": str,
    "skb_arg": _kprobe_skb,
    "size_arg": lambda it: f'"{it}"',
    "bytes_arg": lambda it: f'"{base64_text(it)}"',
    "path_arg": _kprobe_path,
    "file_arg": _kprobe_file,
    "truncated_bytes_arg": _kprobe_truncated_bytes,
    "sock_arg": _kprobe_sock,
    "long_arg": lambda it: f'"{it}"',
    "bpf_attr_arg": _kprobe_bpf_attr,
    "perf_event_arg": _kprobe_perf_event,
    "bpf_map_arg": _kprobe_bpf_map,
    "uint_arg": str,
    "capability_arg": _kprobe_capability,
    "process_credentials_arg": _process_credentials,
    "user_ns_arg": _user_namespace,
    "module_arg": _kernel_module,
    "kernel_cap_t_arg": lambda it: f'"{it}"',
    "cap_inheritable_arg": lambda it: f'"{it}"',
    "cap_permitted_arg": lambda it: f'"{it}"',
    "cap_effective_arg": lambda it: f'"{it}"',
    "linux_binprm_arg": _kprobe_linux_binprm,
    "bpf_cmd_arg": lambda it: f'"{it}"',
    "syscall_id": _syscall_id,
    "sockaddr_arg": _kprobe_sockaddr,
    "bpf_prog_arg": _kprobe_bpf_prog,
    "error_arg": _kprobe_error,
    "sockaddrun_arg": _kprobe_sockaddr_un,
}


def _kprobe_argument(it: Any) -> str:
    """Message `KprobeArgument`."""
    label = it.label
    member = it.member
    shown_label = f',"label":{quoted(label)}' if label else ""
    return f'{{"{member}":{_kprobe_argument_members[member](it.value)}{shown_label}}}'


_kept_kprobe_argument = _Kept(_kprobe_argument).__getitem__


def _stack_trace_entry(it: Any) -> str:
    """Message `StackTraceEntry`."""
    address = it.address
    offset = it.offset
    symbol = it.symbol
    module = it.module
    shown_address = f',"address":"{address}"' if address else ""
    shown_offset = f',"offset":"{offset}"' if offset else ""
    shown_symbol = f',"symbol":{quoted(symbol)}' if symbol else ""
    shown_module = f',"module":{quoted(module)}' if module else ""
    text = f"{shown_address}{shown_offset}{shown_symbol}{shown_module}"
    return f"{{{text[1:]}}}"


def process(it: Any) -> bytes:
    """Message `Process`. As events show it."""
    pid = it.pid
    cwd = it.cwd
    binary = it.binary
    arguments = it.arguments
    pod = it.container.pod
    docker = it.docker
    refcnt = it.refcnt
    shown_cwd = f',"cwd":{quoted(cwd)}' if cwd else ""
    shown_binary = f',"binary":{quoted(binary)}' if binary else ""
    shown_arguments = f',"arguments":{quoted(arguments)}' if arguments else ""
    shown_flags = _flags[it.flags]
    shown_pod = f',"pod":{_pod(pod)}' if pod else ""
    shown_docker = f',"docker":{quoted(docker)}' if docker else ""
    shown_refcnt = f',"refcnt":{refcnt}' if refcnt else ""
    return json_bytes(
        f'{{"exec_id":"{it.exec_id}","pid":{pid},"uid":{it.uid}{shown_cwd}{shown_binary}'
        f'{shown_arguments}{shown_flags},"start_time":"{rfc3339(it.start_time)}"'
        f',"auid":{it.auid}{shown_pod}{shown_docker},"parent_exec_id":"{it.parent_exec_id}"'
        f'{shown_refcnt},"tid":{pid},"in_init_tree":{"true" if it.in_init_tree else "false"}}}'
    )


def detailed_process(it: Any) -> bytes:
    """Message `Process`. With all that settings ask for."""
    pid = it.pid
    cwd = it.cwd
    binary = it.binary
    arguments = it.arguments
    pod = it.container.pod
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
    shown_pod = f',"pod":{_pod(pod)}' if pod else ""
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
        f'{shown_arguments}{shown_flags},"start_time":"{rfc3339(it.start_time)}"'
        f',"auid":{it.auid}{shown_pod}{shown_docker},"parent_exec_id":"{it.parent_exec_id}"'
        f'{shown_refcnt}{shown_cap}{shown_ns},"tid":{pid}{shown_process_credentials}'
        f'{shown_user},"in_init_tree":{"true" if it.in_init_tree else "false"}'
        f"{shown_environment_variables}}}"
    )


def executed_process(it: Any) -> bytes:
    """Message `Process`. As its own exec shows it."""
    pid = it.pid
    cwd = it.cwd
    binary = it.binary
    arguments = it.arguments
    pod = it.container.pod
    docker = it.docker
    refcnt = it.refcnt
    cap = it.capabilities
    ns = it.namespaces
    process_credentials = it.credentials
    binary_properties = it.reported_properties
    user = it.user
    environment_variables = it.environment
    executed_file = it.reported_file
    shown_cwd = f',"cwd":{quoted(cwd)}' if cwd else ""
    shown_binary = f',"binary":{quoted(binary)}' if binary else ""
    shown_arguments = f',"arguments":{quoted(arguments)}' if arguments else ""
    shown_flags = _flags[it.flags]
    shown_pod = f',"pod":{_pod(pod)}' if pod else ""
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
        f'{shown_arguments}{shown_flags},"start_time":"{rfc3339(it.start_time)}"'
        f',"auid":{it.auid}{shown_pod}{shown_docker},"parent_exec_id":"{it.parent_exec_id}"'
        f'{shown_refcnt}{shown_cap}{shown_ns},"tid":{pid}{shown_process_credentials}'
        f"{shown_binary_properties}{shown_user}"
        f',"in_init_tree":{"true" if it.in_init_tree else "false"}{shown_environment_variables}'
        f"{shown_executed_file}}}"
    )


def unknown_process(it: Any) -> bytes:
    """Message `Process`. Whose beginning was not seen."""
    return json_bytes(f'{{"pid":{it.pid},"start_time":"{rfc3339(it.start_time)}"}}')


def unseen_process(it: Any) -> bytes:
    """Message `Process`. Of which nothing but this is known."""
    return json_bytes(f'{{"pid":{it.pid}}}')


def process_exec(it: Any, lines: Lines, keep: Keep, ancestors: bytes) -> bytes:
    """Message `ProcessExec`."""
    time = rfc3339(it.time).encode()
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
    time = rfc3339(it.time).encode()
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


_probes_of_process_kprobe = _Probes(
    lambda it: (
        _field("function_name", it.function_name),
        _field("policy_name", it.policy_name),
        _field("message", it.message),
        _field("tags", it.tags),
    )
)


def process_kprobe(it: Any, lines: Lines, keep: Keep, ancestors: bytes) -> bytes:
    """Message `ProcessKprobe`."""
    time = rfc3339(it.time).encode()
    shown_function_name, shown_policy_name, shown_message, shown_tags = _probes_of_process_kprobe[
        it.probe
    ]
    process = it.process
    parent = it.parent
    shown_parent = b',"parent":' + (parent.json or keep(parent)) if parent is not None else b""
    args = it.args
    shown_args = (
        b',"args":' + (json_bytes(f"[{','.join(map(_kept_kprobe_argument, args))}]"))
        if args
        else b""
    )
    return_ = it.returned
    shown_return = (
        b',"return":' + (json_bytes(f"{_kept_kprobe_argument(return_)}")) if return_ else b""
    )
    kernel_stack_trace = it.kernel_stack
    shown_kernel_stack_trace = (
        b',"kernel_stack_trace":'
        + (json_bytes(f"[{','.join(map(_stack_trace_entry, kernel_stack_trace))}]"))
        if kernel_stack_trace
        else b""
    )
    user_stack_trace = it.user_stack
    shown_user_stack_trace = (
        b',"user_stack_trace":'
        + (json_bytes(f"[{','.join(map(_stack_trace_entry, user_stack_trace))}]"))
        if user_stack_trace
        else b""
    )
    shown_ancestors = b',"ancestors":' + ancestors if ancestors else b""
    data = it.data
    shown_data = (
        b',"data":' + (json_bytes(f"[{','.join(map(_kept_kprobe_argument, data))}]"))
        if data
        else b""
    )
    return lines["process_kprobe"] % (
        caller_json(process, it.tid),
        shown_parent,
        shown_function_name,
        shown_args,
        shown_return,
        _few_action[it.action],
        shown_kernel_stack_trace,
        shown_policy_name,
        _few_return_action[it.return_action],
        shown_message,
        shown_tags,
        shown_user_stack_trace,
        shown_ancestors,
        shown_data,
        time,
    )


_probes_of_process_tracepoint = _Probes(
    lambda it: (
        _field("subsys", it.subsys),
        _field("event", it.event),
        _field("policy_name", it.policy_name),
        _field("message", it.message),
        _field("tags", it.tags),
    )
)


def process_tracepoint(it: Any, lines: Lines, keep: Keep, ancestors: bytes) -> bytes:
    """Message `ProcessTracepoint`."""
    time = rfc3339(it.time).encode()
    shown_subsys, shown_event, shown_policy_name, shown_message, shown_tags = (
        _probes_of_process_tracepoint[it.probe]
    )
    process = it.process
    parent = it.parent
    shown_parent = b',"parent":' + (parent.json or keep(parent)) if parent is not None else b""
    args = it.args
    shown_args = (
        b',"args":' + (json_bytes(f"[{','.join(map(_kept_kprobe_argument, args))}]"))
        if args
        else b""
    )
    shown_ancestors = b',"ancestors":' + ancestors if ancestors else b""
    return lines["process_tracepoint"] % (
        caller_json(process, it.tid),
        shown_parent,
        shown_subsys,
        shown_event,
        shown_args,
        shown_policy_name,
        _few_action[it.action],
        shown_message,
        shown_tags,
        shown_ancestors,
        time,
    )


def process_loader(it: Any, lines: Lines, keep: Keep, ancestors: bytes) -> bytes:
    """Message `ProcessLoader`."""
    time = rfc3339(it.time).encode()
    process = it.process
    path = it.path
    shown_path = b',"path":' + (json_bytes(f"{quoted(path)}")) if path else b""
    buildid = base64_text(it.buildid)
    shown_buildid = b',"buildid":"%b"' % buildid.encode() if buildid else b""
    parent = it.parent
    shown_parent = b',"parent":' + (parent.json or keep(parent)) if parent is not None else b""
    shown_ancestors = b',"ancestors":' + ancestors if ancestors else b""
    return lines["process_loader"] % (
        caller_json(process, it.tid),
        shown_path,
        shown_buildid,
        shown_parent,
        shown_ancestors,
        time,
    )


_probes_of_process_uprobe = _Probes(
    lambda it: (
        _field("path", it.path),
        _field("symbol", it.symbol),
        _field("policy_name", it.policy_name),
        _field("message", it.message),
        _field("tags", it.tags),
        (b',"offset":' + (json_bytes(f'"{it.offset}"')) if it.offset else b""),
        (
            b',"ref_ctr_offset":' + (json_bytes(f'"{it.ref_ctr_offset}"'))
            if it.ref_ctr_offset
            else b""
        ),
    )
)


def process_uprobe(it: Any, lines: Lines, keep: Keep, ancestors: bytes) -> bytes:
    """Message `ProcessUprobe`."""
    time = rfc3339(it.time).encode()
    (
        shown_path,
        shown_symbol,
        shown_policy_name,
        shown_message,
        shown_tags,
        shown_offset,
        shown_ref_ctr_offset,
    ) = _probes_of_process_uprobe[it.probe]
    process = it.process
    parent = it.parent
    shown_parent = b',"parent":' + (parent.json or keep(parent)) if parent is not None else b""
    args = it.args
    shown_args = (
        b',"args":' + (json_bytes(f"[{','.join(map(_kept_kprobe_argument, args))}]"))
        if args
        else b""
    )
    shown_ancestors = b',"ancestors":' + ancestors if ancestors else b""
    data = it.data
    shown_data = (
        b',"data":' + (json_bytes(f"[{','.join(map(_kept_kprobe_argument, data))}]"))
        if data
        else b""
    )
    return lines["process_uprobe"] % (
        caller_json(process, it.tid),
        shown_parent,
        shown_path,
        shown_symbol,
        shown_policy_name,
        shown_message,
        shown_args,
        shown_tags,
        shown_ancestors,
        shown_offset,
        shown_ref_ctr_offset,
        _few_action[it.action],
        shown_data,
        time,
    )


def process_throttle(it: Any, lines: Lines, keep: Keep, ancestors: bytes) -> bytes:
    """Message `ProcessThrottle`."""
    time = rfc3339(it.time).encode()
    return lines["process_throttle"] % (
        json_bytes(f'"{it.action}"'),
        json_bytes(f"{quoted(it.cgroup)}"),
        time,
    )


_probes_of_process_lsm = _Probes(
    lambda it: (
        _field("function_name", it.function_name),
        _field("policy_name", it.policy_name),
        _field("message", it.message),
        _field("tags", it.tags),
    )
)


def process_lsm(it: Any, lines: Lines, keep: Keep, ancestors: bytes) -> bytes:
    """Message `ProcessLsm`."""
    time = rfc3339(it.time).encode()
    shown_function_name, shown_policy_name, shown_message, shown_tags = _probes_of_process_lsm[
        it.probe
    ]
    process = it.process
    parent = it.parent
    shown_parent = b',"parent":' + (parent.json or keep(parent)) if parent is not None else b""
    args = it.args
    shown_args = (
        b',"args":' + (json_bytes(f"[{','.join(map(_kept_kprobe_argument, args))}]"))
        if args
        else b""
    )
    shown_ancestors = b',"ancestors":' + ancestors if ancestors else b""
    ima_hash = it.ima_hash
    shown_ima_hash = b',"ima_hash":"%b"' % ima_hash.encode() if ima_hash else b""
    return lines["process_lsm"] % (
        caller_json(process, it.tid),
        shown_parent,
        shown_function_name,
        shown_policy_name,
        shown_message,
        shown_args,
        _few_action[it.action],
        shown_tags,
        shown_ancestors,
        shown_ima_hash,
        time,
    )


_probes_of_process_usdt = _Probes(
    lambda it: (
        _field("path", it.path),
        _field("provider", it.provider),
        _field("name", it.name),
        _field("policy_name", it.policy_name),
        _field("message", it.message),
        _field("tags", it.tags),
    )
)


def process_usdt(it: Any, lines: Lines, keep: Keep, ancestors: bytes) -> bytes:
    """Message `ProcessUsdt`."""
    time = rfc3339(it.time).encode()
    shown_path, shown_provider, shown_name, shown_policy_name, shown_message, shown_tags = (
        _probes_of_process_usdt[it.probe]
    )
    process = it.process
    parent = it.parent
    shown_parent = b',"parent":' + (parent.json or keep(parent)) if parent is not None else b""
    args = it.args
    shown_args = (
        b',"args":' + (json_bytes(f"[{','.join(map(_kept_kprobe_argument, args))}]"))
        if args
        else b""
    )
    shown_ancestors = b',"ancestors":' + ancestors if ancestors else b""
    return lines["process_usdt"] % (
        caller_json(process, it.tid),
        shown_parent,
        shown_path,
        shown_provider,
        shown_name,
        shown_policy_name,
        shown_message,
        shown_args,
        shown_tags,
        shown_ancestors,
        _few_action[it.action],
        time,
    )


def rate_limit_info(it: Any, lines: Lines, keep: Keep, ancestors: bytes) -> bytes:
    """Message `RateLimitInfo`."""
    time = rfc3339(it.time).encode()
    return lines["rate_limit_info"] % (json_bytes(f'"{it.dropped}"'), time)
