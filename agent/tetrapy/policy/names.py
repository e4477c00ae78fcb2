# SPDX-License-Identifier: Apache-2.0
"""Words that policies are written with: operators, types of arguments, actions, namespaces."""

from __future__ import annotations

from typing import Dict, Mapping, Tuple

from tetrapy.events.credentials import CAPABILITY_NAMES

POLICY, POLICY_NAMESPACED = "TracingPolicy", "TracingPolicyNamespaced"
KINDS = (POLICY, POLICY_NAMESPACED)
API_VERSION = "cilium.io/v1alpha1"
SECTIONS = ("kprobes", "fentries", "tracepoints", "uprobes", "usdts", "lsmhooks")
"""Fields of spec that hold hooks."""

ARGUMENT_TYPES: Tuple[str, ...] = tuple(
    "auto int sint8 int8 uint8 sint16 int16 uint16 uint32 sint32 int32 ulong uint64 size_t long"
    " sint64 int64 char_buf char_iovec skb sock sockaddr socket sockaddr_un string fd file filename"
    " path nop bpf_attr perf_event bpf_map user_namespace capability kiocb iov_iter cred const_buf"
    " load_info module syscall64 kernel_cap_t cap_inheritable cap_permitted cap_effective"
    " linux_binprm data_loc net_device bpf_cmd dentry bpf_prog".split()
)
AUTO = "auto"

INTEGERS: Mapping[str, Tuple[int, bool]] = {
    "int8": (8, True),
    "sint8": (8, True),
    "uint8": (8, False),
    "int16": (16, True),
    "sint16": (16, True),
    "uint16": (16, False),
    "int": (32, True),
    "int32": (32, True),
    "sint32": (32, True),
    "bpf_cmd": (32, True),
    "uint32": (32, False),
    "long": (64, True),
    "int64": (64, True),
    "sint64": (64, True),
    "syscall64": (64, True),
    "ulong": (64, False),
    "uint64": (64, False),
    "size_t": (64, False),
}
"""Type -> its bits, and whether it has a sign."""

TEXTS = frozenset(
    "string char_buf fd file path dentry linux_binprm data_loc net_device sockaddr_un".split()
)
"""Types that Equal compares as texts; the value of a file or path is its path."""
PREFIXED = TEXTS | {"filename", "kiocb"}
"""Types that Prefix and Postfix compare."""
CAPABILITY_SETS = frozenset({"kernel_cap_t", "cap_inheritable", "cap_permitted", "cap_effective"})
SOCKETS = frozenset({"sock", "skb", "socket", "sockaddr"})
FILES = frozenset({"file", "path"})

EQUALITY, PREFIX, POSTFIX, SUBSTRING = "equality", "prefix", "postfix", "substring"
COMPARISON, RANGE, SET, PORT = "comparison", "range", "set", "port"
PRIVILEGED, ADDRESS, NUMBERED, CAPABILITIES = "privileged", "address", "numbered", "capabilities"
FILE_TYPE, EXPRESSION = "file type", "expression"

OPERATORS: Mapping[str, str] = {
    "Equal": EQUALITY,
    "NotEqual": EQUALITY,
    "Prefix": PREFIX,
    "NotPrefix": PREFIX,
    "Postfix": POSTFIX,
    "NotPostfix": POSTFIX,
    "GreaterThan": COMPARISON,
    "LessThan": COMPARISON,
    "GT": COMPARISON,
    "LT": COMPARISON,
    "Mask": COMPARISON,
    "SPort": PORT,
    "NotSPort": PORT,
    "SPortPriv": PRIVILEGED,
    "NotSportPriv": PRIVILEGED,
    "DPort": PORT,
    "NotDPort": PORT,
    "DPortPriv": PRIVILEGED,
    "NotDPortPriv": PRIVILEGED,
    "SAddr": ADDRESS,
    "NotSAddr": ADDRESS,
    "DAddr": ADDRESS,
    "NotDAddr": ADDRESS,
    "Protocol": NUMBERED,
    "Family": NUMBERED,
    "State": NUMBERED,
    "InMap": SET,
    "NotInMap": SET,
    "CapabilitiesGained": CAPABILITIES,
    "InRange": RANGE,
    "NotInRange": RANGE,
    "SubString": SUBSTRING,
    "SubStringIgnCase": SUBSTRING,
    "CelExpr": EXPRESSION,
    "FileType": FILE_TYPE,
    "NotFileType": FILE_TYPE,
}
"""Operator of matchArgs -> how its values are read."""

# What a sockaddr, which has one end, cannot be asked.
NOT_OF_SOCKADDR = frozenset(
    "DPort NotDPort DPortPriv NotDPortPriv DAddr NotDAddr Protocol State".split()
)

IN_OPERATORS = ("In", "NotIn")
BINARY_OPERATORS = ("In", "NotIn", "Prefix", "NotPrefix", "Postfix", "NotPostfix")

ACTIONS = (
    "Post Sigkill Override GetUrl DnsLookup NoPost Signal TrackSock UntrackSock NotifyEnforcer"
    " CleanupEnforcerNotification Set"
).split()
ENFORCING = frozenset({"Sigkill", "Signal", "Override", "NotifyEnforcer", "Set"})
SIGNALS = range(1, 65)
RATE_LIMIT_SCOPES = ("thread", "process", "global")

NAMESPACES = tuple("Uts Ipc Mnt Pid PidForChildren Net Time TimeForChildren Cgroup User".split())
"""In the order of the bits of matchNamespaceChanges."""
HOST_NAMESPACE = "host_ns"
CAPABILITY_KINDS = ("Effective", "Inheritable", "Permitted")

LIST_PREFIX = "list:"
SYSCALL_LIST, ALL_SYSCALLS, TRACEABLE_FUNCTIONS = (
    "syscalls",
    "generated_syscalls",
    "generated_ftrace",
)
LIST_TYPES = (SYSCALL_LIST, ALL_SYSCALLS, TRACEABLE_FUNCTIONS)

CURRENT_TASK, REGISTERS = "current_task", "pt_regs"
SOURCES = (CURRENT_TASK, REGISTERS)

# include/uapi/linux/capability.h. Number 1 has no prefix in Tetragon's enum; both are understood.
CAPABILITIES_BY_NAME: Dict[str, int] = {
    **{name: number for number, name in enumerate(CAPABILITY_NAMES)},
    "CAP_DAC_OVERRIDE": CAPABILITY_NAMES.index("DAC_OVERRIDE"),
}

# include/uapi/linux/stat.h: the bits of S_IFMT.
FILE_TYPES: Mapping[str, int] = {
    "sock": 0o140000,
    "socket": 0o140000,
    "lnk": 0o120000,
    "link": 0o120000,
    "reg": 0o100000,
    "regular": 0o100000,
    "blk": 0o060000,
    "block": 0o060000,
    "dir": 0o040000,
    "chr": 0o020000,
    "char": 0o020000,
    "fifo": 0o010000,
    "pipe": 0o010000,
}


def _numbered(prefix: str, names: str) -> Dict[str, int]:
    words = names.split()
    return {prefix + name: int(number) for number, name in zip(words[::2], words[1::2])}


# include/uapi/linux/in.h
PROTOCOLS = _numbered(
    "IPPROTO_",
    "0 IP 1 ICMP 2 IGMP 4 IPIP 6 TCP 8 EGP 12 PUP 17 UDP 22 IDP 29 TP 33 DCCP 41 IPV6 46 RSVP"
    " 47 GRE 50 ESP 51 AH 58 ICMPV6 92 MTP 94 BEETPH 98 ENCAP 103 PIM 108 COMP 132 SCTP"
    " 136 UDPLITE 137 MPLS 143 ETHERNET 255 RAW 262 MPTCP",
)
# include/linux/socket.h
FAMILIES = _numbered(
    "AF_",
    "0 UNSPEC 1 UNIX 1 LOCAL 2 INET 3 AX25 4 IPX 5 APPLETALK 6 NETROM 7 BRIDGE 8 ATMPVC 9 X25"
    " 10 INET6 11 ROSE 12 DECnet 13 NETBEUI 14 SECURITY 15 KEY 16 NETLINK 17 PACKET 18 ASH"
    " 19 ECONET 20 ATMSVC 21 RDS 22 SNA 23 IRDA 24 PPPOX 25 WANPIPE 26 LLC 27 IB 28 MPLS 29 CAN"
    " 30 TIPC 31 BLUETOOTH 32 IUCV 33 RXRPC 34 ISDN 35 PHONET 36 IEEE802154 37 CAIF 38 ALG 39 NFC"
    " 40 VSOCK 41 KCM 42 QIPCRTR 43 SMC 44 XDP 45 MCTP",
)
# include/net/tcp_states.h
STATES = _numbered(
    "TCP_",
    "1 ESTABLISHED 2 SYN_SENT 3 SYN_RECV 4 FIN_WAIT1 5 FIN_WAIT2 6 TIME_WAIT 7 CLOSE 8 CLOSE_WAIT"
    " 9 LAST_ACK 10 LISTEN 11 CLOSING 12 NEW_SYN_RECV",
)
NUMBERS_BY_NAME: Mapping[str, Mapping[str, int]] = {
    "Protocol": PROTOCOLS,
    "Family": FAMILIES,
    "State": STATES,
}
"""Operator -> the names that its values may have."""

_MAX_ERRNO = 4095  # include/linux/err.h
_EPERM = 1


def refusal(error: int) -> int:
    """What an LSM hook returns for an Override's argError: that, or -EPERM if it is no error."""
    return error if -_MAX_ERRNO <= error < 0 else -_EPERM
