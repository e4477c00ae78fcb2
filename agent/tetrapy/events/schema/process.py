# SPDX-License-Identifier: Apache-2.0
"""The message `Process` and what it is made of (Tetragon's tetragon.proto)."""

from __future__ import annotations

from typing import Dict, Tuple

from tetrapy.events.schema.field import (
    ALWAYS,
    BEGUN,
    EXEC,
    KNOWN,
    OWN,
    SELF,
    Field,
    field,
    unfilled,
)

_CRED = "enable-process-cred"
_NS = "enable-process-ns"

_PROCESS = (
    field(1, "exec_id", "string", "names this run of a program: base64 of `node:time:pid`",
          KNOWN, plain=True, identity=True),
    field(2, "pid", "UInt32Value", "process id on the host", ALWAYS, identity=True),
    field(3, "uid", "UInt32Value", "effective user id", KNOWN),
    field(4, "cwd", "string", "working directory"),
    field(5, "binary", "string", "program as it was called, made absolute"),
    field(6, "arguments", "string",
          "arguments after the program's name; one that is empty or has a space is quoted"),
    field(7, "flags", "string", "how the process came to be, and what could not be read whole",
          through="flag_words", plain=True),
    field(8, "start_time", "Timestamp", "when this image began", BEGUN,
          through="rfc3339", plain=True, identity=True),
    field(9, "auid", "UInt32Value", "user who logged in; 4294967295 for nobody", KNOWN),
    field(10, "pod", "Pod", "container of the process, and its pod", source="container.pod"),
    field(11, "docker", "string", "first 31 digits of the container's id"),
    field(12, "parent_exec_id", "string", "`exec_id` of the parent", KNOWN, plain=True,
          identity=True),
    field(13, "refcnt", "uint32", "Tetragon's count of references; 1 after a fork", identity=True),
    field(14, "cap", "Capabilities", "capabilities", source="capabilities", setting=_CRED),
    field(15, "ns", "Namespaces", "namespaces", source="namespaces", identity=True, setting=_NS),
    field(16, "tid", "UInt32Value", "thread that the event is about", KNOWN, source="pid",
          identity=True),
    field(17, "process_credentials", "ProcessCredentials", "user and group ids, secure bits",
          source="credentials", setting=_CRED),
    field(18, "binary_properties", "BinaryProperties", "what is odd about the binary", EXEC,
          source="reported_properties"),
    field(19, "user", "UserRecord", "user name, on the host", identity=True,
          setting="username-metadata"),
    field(20, "in_init_tree", "BoolValue",
          "whether it descends from the first process of its container", KNOWN, identity=True),
    field(21, "environment_variables", "[EnvVar]", "environment", source="environment",
          setting="enable-process-environment-variables"),
    field(OWN, "executed_file", "ExecutedFile",
          "what `binary_properties.file` has no place for; *tetrapy's own*", EXEC,
          source="reported_file"),
)  # fmt: skip

_POD = (
    field(1, "namespace", "string", "namespace in Kubernetes"),
    field(2, "name", "string", "name of the pod"),
    field(3, "uid", "string", "uid of the pod"),
    field(4, "container", "Container", "the container; also outside of Kubernetes"),
    field(5, "pod_labels", "map", "labels of the pod"),
    unfilled(6, "workload", "string"),
    unfilled(7, "workload_kind", "string"),
    unfilled(8, "pod_annotations", "map"),
)

_CONTAINER = (
    field(1, "id", "string", "`runtime://id`, whole"),
    field(2, "name", "string", "its name"),
    field(3, "image", "Image", "what it was made from"),
    field(4, "start_time", "Timestamp", "when it started, as the runtime says"),
    unfilled(5, "pid", "UInt32Value"),
    unfilled(13, "maybe_exec_probe", "bool"),
    unfilled(14, "security_context", "SecurityContext"),
    field(OWN, "labels", "map", "its labels, where they are not those of a pod; *tetrapy's own*",
          setting="enable-container-labels"),
)  # fmt: skip


def _sets(*names: str) -> Tuple[Field, ...]:
    return tuple(
        field(number, name, "[CapabilitiesType]", f"{name} set", through="capability_names")
        for number, name in enumerate(names, 1)
    )


def _namespaces(*names: str) -> Tuple[Field, ...]:
    return tuple(field(number, name, "Namespace") for number, name in enumerate(names, 1))


def _ids(**names: str) -> Tuple[Field, ...]:
    return tuple(
        field(number, name, "UInt32Value", help_, ALWAYS)
        for number, (name, help_) in enumerate(names.items(), 1)
    )


PROCESS_MESSAGES: Dict[str, Tuple[Field, ...]] = {
    "Process": _PROCESS,
    "Pod": _POD,
    "Container": _CONTAINER,
    "Image": (
        field(1, "id", "string", "digest of the image"),
        field(2, "name", "string", "name of the image, as the container was made from it"),
    ),
    "SecurityContext": (unfilled(1, "privileged", "bool"),),
    "Capabilities": _sets("permitted", "effective", "inheritable"),
    "Namespaces": _namespaces(
        *"uts ipc mnt pid pid_for_children net time time_for_children cgroup user".split()
    ),
    "Namespace": (
        field(1, "inum", "uint32", "inode number of the namespace"),
        field(2, "is_host", "bool", "whether it is that of the host's first process"),
    ),
    "ProcessCredentials": (
        *_ids(
            uid="real user id", gid="real group id",
            euid="effective user id", egid="effective group id",
            suid="saved user id", sgid="saved group id",
            fsuid="user id for files", fsgid="group id for files",
        ),
        field(9, "securebits", "[SecureBitsType]", "secure bits", through="secure_bit_names"),
        field(10, "caps", "Capabilities", "capabilities; only in arguments"),
        field(11, "user_ns", "UserNamespace", "user namespace; only in arguments"),
    ),
    "UserNamespace": (
        field(1, "level", "Int32Value", "how many namespaces are above it"),
        field(2, "uid", "UInt32Value", "user id of who made it"),
        field(3, "gid", "UInt32Value", "group id of who made it"),
        field(4, "ns", "Namespace", "the namespace itself"),
    ),
    "BinaryProperties": (
        field(1, "setuid", "UInt32Value", "new effective user id of a set-user-ID execution",
              setting=_CRED),
        field(2, "setgid", "UInt32Value", "new effective group id of a set-group-ID execution",
              setting=_CRED),
        field(3, "privileges_changed", "[ProcessPrivilegesChanged]", "what raised privileges",
              setting=_CRED),
        field(4, "file", "FileProperties", "the file that was executed, where it is not `binary`"),
    ),
    "FileProperties": (
        field(1, "inode", "InodeProperties", "inode of the file", ALWAYS, source=SELF),
        field(2, "path", "string", "path of the file on the host"),
    ),
    "InodeProperties": (
        field(1, "number", "uint64", "inode number", ALWAYS, source="inode"),
        field(2, "links", "UInt32Value", "names that it has", ALWAYS),
    ),
    "ExecutedFile": (
        field(1, "device", "string", "numbers of the device, `major:minor`", source="device_text",
              plain=True),
        field(2, "deleted", "bool", "it has no name any more"),
        field(3, "foreign", "bool", "the host's first process finds another file at the path"),
        field(4, "interpreter", "bool", "`binary` is a script, and this its interpreter"),
        field(5, "partial", "bool", "the path lacks its front, or was cut"),
    ),
    "UserRecord": (field(1, "name", "string", "name of the user", source=SELF),),
    "EnvVar": (
        field(1, "Key", "string", "name; `invalid` for a text without `=`", source="[0]"),
        field(2, "Value", "string", "value", source="[1]"),
    ),
}  # fmt: skip
