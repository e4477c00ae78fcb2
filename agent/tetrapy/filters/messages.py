# SPDX-License-Identifier: Apache-2.0
"""The messages of events as Tetragon's .proto files have them: field -> type.

A type in square brackets is repeated. Other capital names are messages, or Google's wrappers.
"""

from __future__ import annotations

from typing import Dict

PROCESS = "Process"


def _fields(text: str) -> Dict[str, str]:
    pairs = (pair.partition(":") for pair in text.split())
    return {name: kind for name, _, kind in pairs}


_IDS = "uid gid euid egid suid sgid fsuid fsgid".split()
_NAMESPACES = "uts ipc mnt pid pid_for_children net time time_for_children cgroup user".split()

MESSAGES: Dict[str, Dict[str, str]] = {
    "ProcessExec": _fields("process:Process parent:Process ancestors:[Process]"),
    "ProcessExit": _fields(
        "process:Process parent:Process signal:string status:uint32 time:Timestamp"
        " ancestors:[Process]"
    ),
    "ProcessThrottle": _fields("type:enum cgroup:string"),
    "RateLimitInfo": _fields("number_of_dropped_process_events:uint64"),
    "Process": _fields(
        "exec_id:string pid:UInt32Value uid:UInt32Value cwd:string binary:string"
        " arguments:string flags:string start_time:Timestamp auid:UInt32Value pod:Pod"
        " docker:string parent_exec_id:string refcnt:uint32 cap:Capabilities ns:Namespaces"
        " tid:UInt32Value process_credentials:ProcessCredentials"
        " binary_properties:BinaryProperties user:UserRecord in_init_tree:BoolValue"
        " environment_variables:[EnvVar] executed_file:ExecutedFile"
    ),
    "Pod": _fields(
        "namespace:string name:string uid:string container:Container pod_labels:map"
        " workload:string workload_kind:string pod_annotations:map"
    ),
    "Container": _fields(
        "id:string name:string image:Image start_time:Timestamp pid:UInt32Value"
        " maybe_exec_probe:bool security_context:SecurityContext"
    ),
    "Image": _fields("id:string name:string"),
    "SecurityContext": _fields("privileged:bool"),
    "Capabilities": _fields("permitted:[enum] effective:[enum] inheritable:[enum]"),
    "Namespaces": dict.fromkeys(_NAMESPACES, "Namespace"),
    "Namespace": _fields("inum:uint32 is_host:bool"),
    "ProcessCredentials": {
        **dict.fromkeys(_IDS, "UInt32Value"),
        **_fields("securebits:[enum] caps:Capabilities user_ns:UserNamespace"),
    },
    "UserNamespace": _fields("level:Int32Value uid:UInt32Value gid:UInt32Value ns:Namespace"),
    "BinaryProperties": _fields(
        "setuid:UInt32Value setgid:UInt32Value privileges_changed:[enum] file:FileProperties"
    ),
    "FileProperties": _fields("inode:InodeProperties path:string"),
    # Of tetrapy alone: events/executed.py.
    "ExecutedFile": _fields(
        "device:string deleted:bool foreign:bool interpreter:bool partial:bool"
    ),
    "InodeProperties": _fields("number:uint64 links:UInt32Value"),
    "UserRecord": _fields("name:string"),
    "EnvVar": _fields("Key:string Value:string"),
}

EVENTS: Dict[str, str] = {
    "PROCESS_EXEC": "ProcessExec",
    "PROCESS_EXIT": "ProcessExit",
    "PROCESS_THROTTLE": "ProcessThrottle",
    "RATE_LIMIT_INFO": "RateLimitInfo",
}
"""Types of events that tetrapy makes -> their messages."""

_WITH_POLICY = "process parent ancestors policy_name message args tags action"

LATER_EVENTS: Dict[str, str] = {
    "PROCESS_KPROBE": _WITH_POLICY
    + " function_name return return_action kernel_stack_trace user_stack_trace data",
    "PROCESS_TRACEPOINT": _WITH_POLICY + " subsys event",
    "PROCESS_UPROBE": _WITH_POLICY + " path symbol offset ref_ctr_offset data",
    "PROCESS_USDT": _WITH_POLICY + " path provider name flags",
    "PROCESS_LSM": _WITH_POLICY + " function_name ima_hash",
    "PROCESS_LOADER": "process parent ancestors path buildid",
}
"""Types of events that policies will make -> the fields of their messages."""
