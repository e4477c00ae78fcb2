# SPDX-License-Identifier: Apache-2.0
"""The kernel's process connector: netlink messages about forks, execs and exits (cn_proc).

The socket is pyroute2's ProcEventSocket. Its messages are read here, raw: pyroute2's own decoder
takes 18 us for each, blocks, and ends with an exception when a thread's name is not UTF-8.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import struct
import time
from typing import Any, Callable, List, Tuple

from tetrapy.errors import KernelError, NotPermittedError
from tetrapy.kernel import sys_calls
from tetrapy.kernel.namespaces import own_namespaces
from tetrapy.kernel.pyroute2 import part

_SOL_SOCKET, _SO_RCVBUF, _SO_RCVBUFFORCE = 1, 8, 33  # include/uapi/asm-generic/socket.h
_MESSAGE = 512  # bytes that are read at a time; a message has 76
_TIMEOUT = 5.0  # seconds for an answer of the kernel, which is there at once
_PID_BITS, _ADDRESSES = 22, 64

# struct nlmsghdr (16 bytes), cn_msg, then of proc_event: what, cpu, timestamp, error or pid, tgid
_ANSWER = struct.Struct("=16x IIII HH II Q II")
_NOTHING, _NAME_CHANGED = 0, 0x200  # enum proc_cn_event
_REQUEST = 0x7465  # identifies our request; the kernel answers with the number after it

_HINTS = {
    errno.EPROTONOSUPPORT: "this kernel has no connector (CONFIG_CONNECTOR)",
    errno.ENOENT: "this kernel has no process connector (CONFIG_PROC_EVENTS)",
    errno.ECONNREFUSED: (
        "the connector listens in the machine's own network namespace only; run tetrapy there "
        "(a container: --network=host)"
    ),
    errno.EPERM: "the capability CAP_NET_ADMIN is missing (a container: --cap-add NET_ADMIN)",
    errno.EACCES: "a security module forbids it, see the kernel log (dmesg)",
}


class ProcessConnector:
    """The socket. Messages come after `listen` only; none comes that another process sent."""

    def __init__(self, buffer_bytes: int) -> None:
        """Open it, with room for `buffer_bytes` of messages in the kernel.

        Raises KernelError, which names what is missing, or BundleError without pyroute2.
        """
        module = part("netlink.connector.cn_proc")
        self.overruns = 0  # times that messages did not fit; how many, their numbers tell
        self._control: Callable[[], Any] = module.proc_event_control
        self._listen, self._ignore = module.PROC_CN_MCAST_LISTEN, module.PROC_CN_MCAST_IGNORE
        self._id = (module.CN_IDX_PROC, module.CN_VAL_PROC)
        self._socket = _bound(module)
        try:
            self._enlarge(buffer_bytes)
            self._socket.setblocking(False)
        except OSError as err:
            self.close()
            raise _refused("the process connector cannot be listened to", err) from err

    def _enlarge(self, size: int) -> None:
        size = min(size, 1 << 30)  # the kernel doubles it
        try:
            self._socket.setsockopt(_SOL_SOCKET, _SO_RCVBUFFORCE, size)
        except PermissionError:  # a limit of the machine holds then: net.core.rmem_max
            self._socket.setsockopt(_SOL_SOCKET, _SO_RCVBUF, size)

    @property
    def fd(self) -> int:
        """Readable while messages wait."""
        return int(self._socket.fileno())

    @property
    def buffer_bytes(self) -> int:
        """What the kernel lets messages take up, its own overhead of about 700 bytes included."""
        return int(self._socket.getsockopt(_SOL_SOCKET, _SO_RCVBUF))

    def listen(self) -> List[bytes]:
        """Start the flow of messages; returns those that came meanwhile.

        The kernel ignores requests from namespaces and does not say so. So its answer is waited
        for, and then a message about this very process. One comes from every CPU, so that from
        then on a message that is lost is missed. Raises KernelError when none comes.
        """
        self.request(listen=True)
        messages: List[bytes] = []
        if not self._wait(messages, lambda fields: _answers(fields, self._id)):
            raise _silent("the process connector does not answer")
        if provoke_event_on_each_cpu() and not self._wait(messages, _is_own_name):
            raise _silent("the process connector does not tell of this process")
        return messages

    def request(self, *, listen: bool) -> None:
        """Ask for messages, or for no more of them. Raises KernelError."""
        message = self._control()
        message["idx"], message["val"] = self._id
        message["len"] = 4
        message["ack"] = _REQUEST
        message["action"] = self._listen if listen else self._ignore
        try:
            self._socket.put(message, 3, msg_flags=0)  # NLMSG_DONE
        except OSError as err:
            raise _refused("the process connector refuses requests", err) from err

    def _wait(self, messages: List[bytes], found: Callable[[Tuple[int, ...]], bool]) -> bool:
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        deadline = time.monotonic() + _TIMEOUT
        while time.monotonic() < deadline:
            poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
            came = self.receive(1024)
            messages.extend(came)
            if any(found(_ANSWER.unpack_from(one)) for one in came if len(one) >= _ANSWER.size):
                return True
        return False

    def receive(self, limit: int) -> List[bytes]:
        """At most `limit` messages that wait."""
        messages: List[bytes] = []
        receive = self._socket.recvfrom
        while len(messages) < limit:
            try:
                message, sender = receive(_MESSAGE)
            except BlockingIOError:
                break
            except OSError as err:
                if err.errno != errno.ENOBUFS:
                    raise KernelError(f"process connector: {err.strerror}", err.errno or 0) from err
                self.overruns += 1
                continue
            if not sender[0]:  # 0 is the kernel; a process with CAP_NET_ADMIN may send, too
                messages.append(message)
        return messages

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def _bound(module: Any) -> Any:
    """A socket of the connector's group, at the first free address that has this pid in it.

    pyroute2's own search for one does not tell why all are refused.
    """
    number = 0
    while True:
        try:
            socket = module.ProcEventSocket()
        except OSError as err:
            raise _refused("the process connector cannot be opened", err) from err
        try:
            socket.bind(pid=os.getpid() + (number << _PID_BITS))
            return socket
        except OSError as err:
            socket.close()
            number += 1
            if err.errno != errno.EADDRINUSE or number == _ADDRESSES:
                raise _refused("the process connector cannot be listened to", err) from err


def provoke_event() -> bool:
    """Have the connector tell something: this process is given the name that it has.

    False where that is forbidden.
    """
    try:
        # Linux before 5.17 does not tell of a name that is written to /proc/self/comm.
        sys_calls.set_thread_name(sys_calls.get_thread_name())
    except OSError:
        return False
    return True


def provoke_event_on_each_cpu() -> bool:
    """Provoke an event on each CPU that this thread may use."""
    allowed = os.sched_getaffinity(0)
    provoked = False
    try:
        for cpu in sorted(allowed):
            os.sched_setaffinity(0, {cpu})
            provoked = provoke_event()
    except OSError:
        pass  # a CPU was taken away, or a seccomp filter forbids to choose one
    finally:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, allowed)
    return provoked


def _answers(fields: Tuple[int, ...], connector: Tuple[int, int]) -> bool:
    index, value, _, ack, _, _, what, _, _, error, _ = fields
    if (index, value) != connector or what != _NOTHING or ack != _REQUEST + 1:
        return False
    if error:
        refusal = OSError(error, os.strerror(error))
        raise _refused("the process connector refuses to be listened to", refusal)
    return True


def _is_own_name(fields: Tuple[int, ...]) -> bool:
    return fields[6] == _NAME_CHANGED and fields[10] == os.getpid()


def _refused(what: str, err: OSError) -> KernelError:
    number = err.errno or 0
    kind = NotPermittedError if number in {errno.EPERM, errno.EACCES} else KernelError
    text = f"{what}: {err.strerror}"
    hint = _HINTS.get(number)
    return kind(f"{text}: {hint}" if hint else text, number)


def _silent(what: str) -> KernelError:
    found = own_namespaces()
    if found:
        kinds = " and ".join(found)
        return KernelError(
            f"{what}: this process is in a {kinds} namespace of its own, where the kernel tells "
            "nothing; run tetrapy outside of it (a container: --pid=host --network=host, no user "
            "namespaces)"
        )
    return KernelError(
        f"{what}: this kernel has no process connector (CONFIG_PROC_EVENTS), or a namespace that "
        "cannot be seen from here is in the way"
    )
